/**
 * Register accesses that are about more than one register, or a part of one: fields that need a feature, what
 * stands between the registers, the VATOS page, pointers of queues, reset. IHI 0070 6.1 to 6.3, 3.5.1.
 */
import { describe, expect, it } from 'vitest';
import { type RegisterName, registers } from '../../../core/smmu/registers.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import listing from '../../data/smmuv3-layout.json' with { type: 'json' };
import { machine, write } from '../../support/build.ts';
import { given, on, turn, type When, written } from '../../support/given.ts';
import { idr, table } from '../../support/tables.ts';

/** The VATOS page is put at 0x20000 + 0x10000 (6.3.3). */
const VATOS_PAGE = 0x3_0000;
const IDENTITY = `PRI=1 ATS=1 MSI=1 VMW=1 BTM=1 Hyp=1 S2P=1 ATSRECERR=1 DPT=1 S2PI=1 MPAM=1 ATOS=1 VATOS=1 VMID16=1
  ECMDQ=1 BA_VATOS=1 PRIQS=19`;
const everything = machine({ schedule: 'manual' }, { idr: idr(IDENTITY) });
const ONES = 0xffff_ffff_ffff_ffffn;
const ACK = turn('acknowledge');

function access(offset: number, size: number, value?: bigint): Stimulus {
  if (value === undefined) return { type: 'mmio.read', smmu: 'smmu0', offset, size };
  return { type: 'mmio.write', smmu: 'smmu0', offset, size, value };
}

const notesOf = (when: When): string[] => when.of('misuse.noted').map(({ rule }) => rule);

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
    GERRORN         | PRI=0           | 0x7b5
    GERRORN         | MSI=0           | 0x70d
    GERRORN         | ECMDQ=0         | 0x5fd
    GERRORN         | DPT=0           | 0x3fd
    STRTAB_BASE_CFG | ST_LEVEL=0      | 0x3f
    PRIQ_IRQ_CFG2   | MSI=0           | 0x80000000
    VATOS_SEL       | VMID16=0        | 0xff
    STRTAB_BASE     | OAS=0           | 0x40000000ffffffc0
    CMDQ_BASE       | OAS=1           | 0x4000000fffffffff
    EVENTQ_BASE     | OAS=2           | 0x400000ffffffffff
    PRIQ_BASE       | OAS=3           | 0x400003ffffffffff
    GERROR_IRQ_CFG0 | OAS=4           | 0xffffffffffc
    GATOS_SID       | SIDSIZE=6       | 0x1fffff0000003f
    GATOS_SID       | SSIDSIZE=5      | 0x10001f0000ffff
    GATOS_SID       | SSIDSIZE=0      | 0xffff
  `);
  it.each(fields)('$register of $without', ({ register, without, ones }) => {
    const identity = idr(`${IDENTITY} ${without}`);
    on(machine({ schedule: 'manual' }, { idr: identity }))
      .when(write(register as RegisterName, ONES))
      .then(written(register, BigInt(ones)));
  });
});

describe('accesses between registers', () => {
  it('writes two 32-bit registers with one doubleword, the lower first, and says so (6.2)', () => {
    const wrote = given(write('CMDQ_BASE', 19))
      .when(access(0x98, 8, 0x0000_0003_0000_0002n))
      .then(
        { type: 'misuse.noted', rule: 'spans-registers' },
        written('CMDQ_PROD', 2),
        written('CMDQ_CONS', 3),
      );
    const read = wrote.when(access(0x98, 8)).thenOutcome({ value: 0x3_0000_0002n });
    expect(notesOf(read)).toEqual(['spans-registers', 'spans-registers']);
  });

  it.each(
    listing.registers.filter(({ page }) => page === 1).map(({ name, offset }) => [offset - 0x10000, name]),
  )('has nothing at 0x%x, which other pages call %s, and says so (6.2)', (offset) => {
    const wrote = on(everything)
      .when(access(offset, 4, 1n))
      .then({ type: 'write.ignored', offset, why: 'RES0' }, { type: 'misuse.noted', rule: 'page-0-alias' });
    const read = wrote.when(access(offset, 4)).thenOutcome({ value: 0n });
    expect(notesOf(read)).toEqual(['page-0-alias', 'page-0-alias']);
  });

  // Undefined, IMPLEMENTATION DEFINED, between pages, before and behind the VATOS page.
  it.each([
    0x38,
    0xe00,
    0xfe0,
    0x1000,
    0x7ffc,
    0x10020,
    0x1_0000,
    0x2_0000,
    VATOS_PAGE,
    VATOS_PAGE + 0x1_0a00,
  ])('is RES0 at 0x%x', (offset) => {
    on(everything)
      .when(access(offset, 4, 1n))
      .then({ type: 'write.ignored', offset, why: 'RES0' })
      .when(access(offset, 4))
      .thenOutcome({ value: 0n })
      .thenNo('misuse.noted', 'register.written');
  });

  it.each([0x8000, 0x8020, 0x8090, 0x8100, 0xfffc])('is Secure at 0x%x: RAZ/WI (6.2)', (offset) => {
    on(everything)
      .when(access(offset, 4, 1n))
      .then({ type: 'write.ignored', offset, why: 'Secure' })
      .when(access(offset, 4))
      .thenOutcome({ value: 0n });
  });

  it.each([0, 1, 2, 0x3ff])('has the VATOS page at 0x20000 + %i * 0x10000 (6.3.3)', (page) => {
    const identity = idr(`${IDENTITY} ECMDQ=0 BA_VATOS=${page}`);
    on(machine({ schedule: 'manual' }, { idr: identity }))
      .when(access(0x2_0a10 + page * 0x1_0000, 8, 0x1234_5000n))
      .then(written('VATOS_ADDR', 0x1234_5000n));
  });
});

describe('parts of registers', () => {
  const halves = table<'guard' | 'cr0' | 'left'>(`
    guard    | cr0 | left
    SMMUEN   | 1   | 0x3f
    PRIQEN   | 2   | 0xfc0
    EVENTQEN | 4   | 0xfc0
    CMDQEN   | 8   | 0xfc0
  `);
  it.each(halves)(
    'holds back the part of CR1 that $guard guards, and says so (6.3.11)',
    ({ guard, cr0, left }) => {
      on(everything)
        .given(write('CR0', Number(cr0)))
        .when(write('CR1', 0xfff))
        .then(
          { type: 'misuse.noted', rule: 'guarded-bits', detail: `CR1 guarded by ${guard}` },
          written('CR1', Number(left)),
        );
    },
  );

  it('keeps the error code of CMDQ_CONS from software (6.3.28)', () => {
    given().when(write('CMDQ_CONS', 0x0100_0003)).then(written('CMDQ_CONS', 3)).thenNo('misuse.noted');
  });
});

describe('pointers of queues that run', () => {
  const misuses = table<'bit' | 'register' | 'value' | 'rule'>(`
    bit | register    | value | rule
    8   | CMDQ_PROD   | 7     | queue-inconsistent
    8   | CMDQ_PROD   | 4     | -
    4   | EVENTQ_CONS | 1     | queue-inconsistent
    4   | EVENTQ_CONS | 4     | -
    4   | EVENTQ_CONS | 0     | -
    3   | PRIQ_CONS   | 1     | queue-inconsistent
    3   | PRIQ_CONS   | 4     | -
    2   | PRIQ_CONS   | 1     | -
  `);
  // Queues of four entries, their pointers 0.
  const queues = (['CMDQ_BASE', 'EVENTQ_BASE', 'PRIQ_BASE'] as const).map((name) => write(name, 2));

  it.each(misuses)('$register = $value with CR0 = $bit: $rule (3.5.1)', ({ bit, register, value, rule }) => {
    const wrote = on(everything)
      .given(queues, write('CR0', Number(bit)), ACK)
      .when(write(register as RegisterName, Number(value)));
    expect(notesOf(wrote)).toEqual(rule === '-' ? [] : [rule]);
    wrote.then(written(register, Number(value)));
  });

  it.each([
    [8, 'CMDQ_PROD', 'CMDQ enabled with PROD = 0x7, CONS = 0x0'],
    [4, 'EVENTQ_PROD', 'EVENTQ enabled with PROD = 0x7, CONS = 0x0'],
    [2, 'PRIQ_PROD', 'PRIQ enabled with PROD = 0x7, CONS = 0x0'],
  ] as const)('says so when CR0 = %i enables a queue whose %s cannot be (3.5.1)', (bit, register, detail) => {
    on(everything)
      .given(queues, write(register, 7))
      .when(write('CR0', bit), ACK)
      .then({ type: 'misuse.noted', rule: 'queue-inconsistent', detail });
  });
});

describe('reset', () => {
  it('leaves what the identification says, and zero elsewhere', () => {
    const { state } = on(everything).when();
    for (const { name } of registers.list) {
      if (name.startsWith('CMDQ_CONTROL_PAGE')) continue;
      expect([name, state.smmus['smmu0']?.regs[name]]).toEqual([name, everything.smmus[0]?.idr[name] ?? 0]);
    }
  });

  it('can leave GBPA.ABORT, as a choice (6.3.14)', () => {
    on(machine({}, { choices: { gbpaAbortAtReset: true } }))
      .when(access(0x44, 4))
      .thenOutcome({ value: 0x10_0000n });
  });
});
