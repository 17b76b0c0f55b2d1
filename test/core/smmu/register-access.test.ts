/**
 * Every register of pages 0 and 1 against the access rules of IHI 0070 6.1 to 6.3, from a table written
 * beside the register map: what a write of all ones leaves there, in one piece and in halves, what
 * guards it, and what it is without its feature.
 */
import { describe, expect, it } from 'vitest';
import { Features } from '../../../core/smmu/features.ts';
import { type RegisterName, registers } from '../../../core/smmu/registers.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { machine, write } from '../../support/build.ts';
import { given, on, written } from '../../support/given.ts';
import { idr, table } from '../../support/tables.ts';

// `ones`: what remains of all ones with every feature; `RO` stays as it is. `guard`: how it gets guarded.
// `needs`: the feature without which it is RES0.
const rows = table<'offset' | 'register' | 'width' | 'ones' | 'guard' | 'needs'>(`
  offset  | register        | width | ones               | guard        | needs
  0x0     | IDR0            | 32    | RO                 |              |
  0x4     | IDR1            | 32    | RO                 |              |
  0x8     | IDR2            | 32    | RO                 |              |
  0xc     | IDR3            | 32    | RO                 |              |
  0x10    | IDR4            | 32    | RO                 |              |
  0x14    | IDR5            | 32    | RO                 |              |
  0x18    | IIDR            | 32    | RO                 |              |
  0x1c    | AIDR            | 32    | RO                 |              |
  0x20    | CR0             | 32    | 0x5df              |              |
  0x24    | CR0ACK          | 32    | RO                 |              |
  0x28    | CR1             | 32    | 0xfff              | SMMUEN CMDQEN|
  0x2c    | CR2             | 32    | 0xf                | SMMUEN       |
  0x30    | S2PII           | 64    | 0xffffffffffffffff |              | S2PI
  0x40    | STATUSR         | 32    | RO                 |              |
  0x44    | GBPA            | 32    | 0x801f3f1f         | GBPA.Update  |
  0x48    | AGBPA           | 32    | 0xffffffff         |              |
  0x50    | IRQ_CTRL        | 32    | 0x7                |              |
  0x54    | IRQ_CTRLACK     | 32    | RO                 |              |
  0x60    | GERROR          | 32    | RO                 |              |
  0x64    | GERRORN         | 32    | 0x7fd              |              |
  0x68    | GERROR_IRQ_CFG0 | 64    | 0xfffffffffffffc   | GERROR_IRQEN | MSI
  0x70    | GERROR_IRQ_CFG1 | 32    | 0xffffffff         | GERROR_IRQEN | MSI
  0x74    | GERROR_IRQ_CFG2 | 32    | 0x3f               | GERROR_IRQEN | MSI
  0x80    | STRTAB_BASE     | 64    | 0x40ffffffffffffc0 | SMMUEN       |
  0x88    | STRTAB_BASE_CFG | 32    | 0x307ff            | SMMUEN       |
  0x90    | CMDQ_BASE       | 64    | 0x40ffffffffffffff | CMDQEN       |
  0x98    | CMDQ_PROD       | 32    | 0xfffff            |              |
  0x9c    | CMDQ_CONS       | 32    | 0xfffff            | CMDQEN       |
  0xa0    | EVENTQ_BASE     | 64    | 0x40ffffffffffffff | EVENTQEN     |
  0xb0    | EVENTQ_IRQ_CFG0 | 64    | 0xfffffffffffffc   | EVENTQ_IRQEN | MSI
  0xb8    | EVENTQ_IRQ_CFG1 | 32    | 0xffffffff         | EVENTQ_IRQEN | MSI
  0xbc    | EVENTQ_IRQ_CFG2 | 32    | 0x3f               | EVENTQ_IRQEN | MSI
  0xc0    | PRIQ_BASE       | 64    | 0x40ffffffffffffff | PRIQEN       | PRI
  0xd0    | PRIQ_IRQ_CFG0   | 64    | 0xfffffffffffffc   | PRIQ_IRQEN   | PRI
  0xd8    | PRIQ_IRQ_CFG1   | 32    | 0xffffffff         | PRIQ_IRQEN   | PRI
  0xdc    | PRIQ_IRQ_CFG2   | 32    | 0x8000003f         | PRIQ_IRQEN   | PRI
  0x10a8  | -               |       |                    |              |
  0x100a8 | EVENTQ_PROD     | 32    | 0x800fffff         | EVENTQEN     |
  0x100ac | EVENTQ_CONS     | 32    | 0x800fffff         |              |
  0x100c8 | PRIQ_PROD       | 32    | 0x800fffff         | PRIQEN       | PRI
  0x100cc | PRIQ_CONS       | 32    | 0x800fffff         |              | PRI
`).filter((row) => row.register !== '-');

const ALL = idr('PRI=1 ATS=1 MSI=1 VMW=1 BTM=1 Hyp=1 S2P=1 ATSRECERR=1 DPT=1 S2PI=1');
const everything = machine({ schedule: 'manual' }, { idr: ALL });
const ONES = 0xffff_ffff_ffff_ffffn;
const HALF = 0xffff_ffffn;

function access(offset: number, size: number, value?: bigint): Stimulus {
  if (value === undefined) return { type: 'mmio.read', smmu: 'smmu0', offset, size };
  return { type: 'mmio.write', smmu: 'smmu0', offset, size, value };
}

describe.each(rows)('$register', ({ register, offset: at, width, ones, guard, needs }) => {
  const offset = Number(at);
  const bytes = Number(width) / 8;
  const declared = registers.byName[register as RegisterName];
  const before = BigInt(everything.smmus[0]?.idr[register] ?? 0);
  const after = ones === 'RO' ? before : BigInt(ones);
  const reserved = ones !== 'RO' && after !== (bytes === 8 ? ONES : HALF);

  it('stands where 6.2 puts it', () => {
    expect([declared.offset, declared.width]).toEqual([offset, Number(width)]);
  });

  it('takes a write of its width', () => {
    const wrote = on(everything).when(access(offset, bytes, bytes === 8 ? ONES : HALF));
    if (ones === 'RO') wrote.then({ type: 'write.ignored', register, why: 'read-only' });
    else wrote.then(written(register, after));
    expect(wrote.of('misuse.noted').some(({ rule }) => rule === 'reserved-bits')).toBe(reserved);
    wrote.when(access(offset, bytes)).thenOutcome({ value: after });
  });

  if (bytes === 8)
    it('takes its halves one by one, each leaving the other alone', () => {
      on(everything)
        .when(access(offset + 4, 4, HALF), access(offset, 8))
        .thenOutcome({ value: after & (HALF << 32n) })
        .when(access(offset, 4, HALF), access(offset, 8))
        .thenOutcome({ value: after })
        .when(access(offset + 4, 4))
        .thenOutcome({ value: after >> 32n })
        .when(access(offset, 4))
        .thenOutcome({ value: after & HALF });
    });

  it('ignores accesses of other sizes and off their alignment', () => {
    const sizes = [1, 2, 3, 5, 16].map((size) => access(offset, size, HALF));
    const off = [1, 2].map((by) => access(offset + by, 4, HALF));
    const crooked = offset % 8 === 4 || bytes === 8 ? [access(offset - (offset % 8) + 4, 8, ONES)] : [];
    const wrote = on(everything).when(sizes, off, crooked);
    expect(wrote.of('write.ignored').map(({ why }) => why)).toEqual(
      [...sizes, ...off, ...crooked].map(() => 'bad size or alignment'),
    );
    wrote.thenNo('register.written');
    wrote.when(access(offset, bytes)).thenOutcome({ value: before });
    wrote.when(access(offset, 2)).thenOutcome({ value: 0n });
  });

  if (guard !== '')
    it(`is guarded by ${guard} and by its copy`, () => {
      const raise: Record<string, Stimulus> = {
        SMMUEN: write('CR0', 1),
        CMDQEN: write('CR0', 8),
        EVENTQEN: write('CR0', 4),
        PRIQEN: write('CR0', 2),
        GERROR_IRQEN: write('IRQ_CTRL', 1),
        PRIQ_IRQEN: write('IRQ_CTRL', 2),
        EVENTQ_IRQEN: write('IRQ_CTRL', 4),
        'GBPA.Update': write('GBPA', 0x8000_1000),
      };
      const guards = guard.split(/\s+/);
      const up = guards.map((name) => raise[name] as Stimulus);
      if (guards.length > 1) up.splice(0, 2, write('CR0', 9));
      const why = `guarded by ${guards.join(', ')}`;
      const refused = { type: 'write.ignored', register, why } as const;
      const acknowledge: Stimulus = { type: 'turn', unit: 'smmu0.acknowledge' };
      const all = access(offset, bytes, bytes === 8 ? ONES : HALF);
      on(everything).given(up).when(all).then(refused);
      if (guard === 'GBPA.Update') return;
      on(everything).given(up, acknowledge).when(all).then(refused);
      const down = [write('CR0', 0), write('IRQ_CTRL', 0)];
      on(everything).given(up, acknowledge, down).when(all).then(refused);
      on(everything).given(up, acknowledge, down, acknowledge).when(all).then(written(register, after));
    });

  if (needs !== '')
    it(`is RES0 without ${needs}`, () => {
      const without = machine({}, { idr: idr(`PRI=1 ATS=1 MSI=1 S2PI=1 ${needs}=0`) });
      on(without)
        .when(access(offset, bytes, bytes === 8 ? ONES : HALF), access(offset, bytes))
        .then({ type: 'write.ignored', register, why: 'RES0' })
        .thenNo('register.written')
        .thenOutcome({ value: 0n });
    });
});

describe('fields that are RES0 without a feature (6.3)', () => {
  const fields = table<'register' | 'without' | 'ones'>(`
    register        | without         | ones
    CR0             | PRI=0           | 0x5dd
    CR0             | ATS=0           | 0x5cf
    CR0             | VMW=0           | 0x41f
    CR0             | DPT=0           | 0x1df
    CR2             | Hyp=0           | 0xe
    CR2             | BTM=0           | 0xb
    CR2             | ATSRECERR=0     | 0x7
    IRQ_CTRL        | PRI=0           | 0x5
    STRTAB_BASE_CFG | ST_LEVEL=0      | 0x7ff
    PRIQ_IRQ_CFG2   | MSI=0           | 0x80000000
  `);
  it.each(fields)('$register of $without', ({ register, without, ones }) => {
    const features = idr(`PRI=1 ATS=1 MSI=1 VMW=1 BTM=1 Hyp=1 S2P=1 ATSRECERR=1 DPT=1 ${without}`);
    on(machine({ schedule: 'manual' }, { idr: features }))
      .when(write(register as RegisterName, 0xffff_ffff))
      .then(written(register, Number(ones)));
  });
});

describe('accesses between registers', () => {
  it('writes two 32-bit registers with one doubleword, the lower first (6.2)', () => {
    given()
      .when(access(0x98, 8, 0x0000_0003_0000_0002n))
      .then(written('CMDQ_PROD', 2), written('CMDQ_CONS', 3))
      .when(access(0x98, 8))
      .thenOutcome({ value: 0x3_0000_0002n });
  });

  it.each([0xa8, 0xac, 0xc8, 0xcc, 0x10020, 0x200, 0xfffc, 0x1_0000, 0x2_0000])(
    'reads zero and ignores writes at 0x%x',
    (offset) => {
      given()
        .when(access(offset, 4, 1n))
        .then({ type: 'write.ignored', offset, why: 'RES0' })
        .when(access(offset, 4))
        .thenOutcome({ value: 0n });
    },
  );

  it('holds back the part of CR1 that another owner guards, and says so (6.3.11)', () => {
    on(machine({ schedule: 'manual' }))
      .given(write('CR0', 8))
      .when(write('CR1', 0xfff))
      .then(
        { type: 'misuse.noted', rule: 'guarded-bits', detail: 'CR1 guarded by CMDQEN' },
        written('CR1', 0xfc0),
      );
  });

  it('keeps the error code of CMDQ_CONS from software (6.3.28)', () => {
    given().when(write('CMDQ_CONS', 0x0100_0003)).then(written('CMDQ_CONS', 3)).thenNo('misuse.noted');
  });

  it('resets to what the identification says and to zero elsewhere', () => {
    const { state } = on(everything).when();
    for (const { name } of registers.list) {
      const expected = everything.smmus[0]?.idr[name] ?? (/CONTROL_PAGE_(CFG|STATUS)0/.test(name) ? 1 : 0);
      expect([name, state.smmus['smmu0']?.regs[name]]).toEqual([name, expected]);
    }
    expect(new Features(ALL).oas).toBe(48);
  });

  it('can reset with GBPA.ABORT, as a choice (6.3.14)', () => {
    on(machine({}, { choices: { gbpaAbortAtReset: true } }))
      .when(access(0x44, 4))
      .thenOutcome({ value: 0x10_0000n });
  });
});
