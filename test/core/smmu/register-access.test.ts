/**
 * Every Non-secure register of pages 0 and 1 and of the VATOS page against the access rules of IHI 0070 6.1 to 6.3:
 * the printed register table (test/data) says what there is, the tables here what guards it and what
 * a register or a field needs; each is tried in one piece, in halves, in wrong pieces, guarded and open.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Features } from '../../../core/smmu/features.ts';
import type { RegisterName } from '../../../core/smmu/registers.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import listing from '../../data/smmuv3-layout.json' with { type: 'json' };
import { machine, write } from '../../support/build.ts';
import { type Given, on, turn, type When, written } from '../../support/given.ts';
import { idr, table } from '../../support/tables.ts';

interface Listed {
  readonly name: string;
  readonly offset: number;
  readonly width: number;
  readonly access: string;
  readonly fields: readonly { readonly name: string; readonly hi: number; readonly lo: number }[];
}

/** The VATOS page is put at 0x20000 + 0x10000 (6.3.3). */
const VATOS_PAGE = 0x3_0000;
const IDENTITY = `PRI=1 ATS=1 MSI=1 VMW=1 BTM=1 Hyp=1 S2P=1 ATSRECERR=1 DPT=1 S2PI=1 MPAM=1 ATOS=1 VATOS=1 VMID16=1
  ECMDQ=1 BA_VATOS=1 PRIQS=19`;
const everything = machine({ schedule: 'manual' }, { idr: idr(IDENTITY) });
const features = new Features(idr(IDENTITY));

const blocks = listing.registerBlocks as unknown as { readonly VATOS: { registers: Listed[] } };
const all: readonly Listed[] = [
  ...(listing.registers as readonly Listed[]),
  ...blocks.VATOS.registers.map((each) => ({ ...each, offset: each.offset + VATOS_PAGE })),
];

// 6.3: what must be 0, with its copy, for a write to be taken ("Accessing"); each feature without which the
// register is RES0 ("Configuration").
const rules = table<'register' | 'guard' | 'needs'>(`
  register                  | guard          | needs
  IDR0                      |                |
  IDR1                      |                |
  IDR2                      |                |
  IDR3                      |                |
  IDR4                      |                |
  IDR5                      |                |
  IIDR                      |                |
  AIDR                      |                |
  CR0                       |                |
  CR0ACK                    |                |
  CR1                       | SMMUEN CMDQEN  |
  CR2                       | SMMUEN         |
  S2PII                     |                | S2PI
  STATUSR                   |                |
  GBPA                      | GBPA.Update    |
  AGBPA                     |                |
  IRQ_CTRL                  |                |
  IRQ_CTRLACK               |                |
  GERROR                    |                |
  GERRORN                   |                |
  GERROR_IRQ_CFG0           | GERROR_IRQEN   | MSI
  GERROR_IRQ_CFG1           | GERROR_IRQEN   | MSI
  GERROR_IRQ_CFG2           | GERROR_IRQEN   | MSI
  STRTAB_BASE               | SMMUEN         |
  STRTAB_BASE_CFG           | SMMUEN         |
  CMDQ_BASE                 | CMDQEN         |
  CMDQ_PROD                 |                |
  CMDQ_CONS                 | CMDQEN         |
  EVENTQ_BASE               | EVENTQEN       |
  EVENTQ_IRQ_CFG0           | EVENTQ_IRQEN   | MSI
  EVENTQ_IRQ_CFG1           | EVENTQ_IRQEN   | MSI
  EVENTQ_IRQ_CFG2           | EVENTQ_IRQEN   | MSI
  PRIQ_BASE                 | PRIQEN         | PRI
  PRIQ_IRQ_CFG0             | PRIQ_IRQEN     | PRI MSI
  PRIQ_IRQ_CFG1             | PRIQ_IRQEN     | PRI MSI
  PRIQ_IRQ_CFG2             | PRIQ_IRQEN     | PRI
  GATOS_CTRL                | GATOS.RUN      | ATOS
  GATOS_SID                 | GATOS.RUN      | ATOS
  GATOS_ADDR                | GATOS.RUN      | ATOS
  GATOS_PAR                 |                | ATOS
  MPAMIDR                   |                | MPAM
  GMPAM                     | GMPAM.Update   | MPAM
  GBPMPAM                   | GBPMPAM.Update | MPAM
  VATOS_SEL                 | VATOS.RUN      | VATOS
  IDR6                      |                | ECMDQ
  DPT_BASE                  | DPT_WALK_EN    | DPT
  DPT_BASE_CFG              | DPT_WALK_EN    | DPT
  DPT_CFG_FAR               |                | DPT
  CMDQ_CONTROL_PAGE_BASE0   |                | ECMDQ
  CMDQ_CONTROL_PAGE_CFG0    |                | ECMDQ
  CMDQ_CONTROL_PAGE_STATUS0 |                | ECMDQ
  EVENTQ_PROD               | EVENTQEN       |
  EVENTQ_CONS               |                |
  PRIQ_PROD                 | PRIQEN         | PRI
  PRIQ_CONS                 |                | PRI
  VATOS_CTRL                | VATOS.RUN      | VATOS
  VATOS_SID                 | VATOS.RUN      | VATOS
  VATOS_ADDR                | VATOS.RUN      | VATOS
  VATOS_PAR                 |                | VATOS
`);

/** Where a field of this name ends, if the SMMU has less of it than the table prints (6.3.21, 6.3.24, 6.3.38). */
function topOf(register: string, field: string): number {
  if (/_BASE$|_IRQ_CFG0$/.test(register) && /^B?ADDR$/.test(field)) return features.oas;
  if (field === 'STREAMID') return features.sidBits;
  if (field === 'SUBSTREAMID') return 32 + features.ssidBits;
  return 64;
}

/** Fields of registers that are written which hardware alone changes (6.3.28, 6.3.48). */
const HARDWARE: Readonly<Record<string, readonly string[]>> = {
  CMDQ_CONS: ['ERR'],
  DPT_CFG_FAR: ['FAULT', 'LEVEL', 'DPT_FAULTCODE', 'FADDR'],
};

function bits({ fields }: Pick<Listed, 'fields'>, top: (field: string) => number): bigint {
  let ones = 0n;
  for (const { name, hi, lo } of fields)
    for (let bit = lo; bit <= Math.min(hi, top(name) - 1); bit += 1) ones |= 1n << BigInt(bit);
  return ones;
}

const ONES = 0xffff_ffff_ffff_ffffn;
const HALF = 0xffff_ffffn;
const ACK = turn('acknowledge');

function access(offset: number, size: number, value?: bigint): Stimulus {
  if (value === undefined) return { type: 'mmio.read', smmu: 'smmu0', offset, size };
  return { type: 'mmio.write', smmu: 'smmu0', offset, size, value };
}

/** The value that the SMMU holds in the register. */
function held({ state }: When, name: string): bigint {
  const regs = state.smmus['smmu0']?.regs ?? {};
  return (BigInt(regs[`${name}_HI`] ?? 0) << 32n) | BigInt(regs[name] ?? 0);
}

/** Queues of the largest size: the pointers have all their bits (6.3.28). */
const LARGEST = (['CMDQ_BASE', 'EVENTQ_BASE', 'PRIQ_BASE'] as const).map((base) => write(base, 19));

const notesOf = (when: When): string[] => when.of('misuse.noted').map(({ rule }) => rule);

it('is every register of the listing that is tried', () => {
  expect(rules.map(({ register }) => register)).toEqual(all.map(({ name }) => name));
});

describe.each(all)('$name', (listed) => {
  const { name, offset, width } = listed;
  const bytes = width / 8;
  const ones = bytes === 8 ? ONES : HALF;
  const readOnly = listed.access === 'RO' || (HARDWARE[name]?.length ?? 0) === listed.fields.length;
  const declared = bits(listed, () => 64);
  const hardware = bits(
    { fields: listed.fields.filter((field) => HARDWARE[name]?.includes(field.name)) },
    () => 64,
  );
  const stored = bits(listed, (field) => topOf(name, field)) & ~hardware;
  // An address translation can be asked for while SMMUEN=1 alone (6.3.37).
  const enabled = /ATOS_CTRL$/.test(name) ? [write('CR0', 1), ACK] : LARGEST;
  const fresh = (): Given => on(everything).given(enabled);
  const before = fresh().when(access(offset, bytes)).outcome['value'] as bigint;

  it('takes a write of its width', () => {
    const wrote = fresh().when(access(offset, bytes, ones));
    if (readOnly)
      wrote.then({ type: 'write.ignored', register: name, why: 'read-only' }).thenNo('register.written');
    else wrote.then(written(name, stored));
    expect(notesOf(wrote).includes('reserved-bits')).toBe(!readOnly && declared !== ones);
    wrote.when(access(offset, bytes)).thenOutcome({ value: readOnly ? before : stored });
  });

  it('takes all bits that it has without a remark on reserved ones', () => {
    const notes = notesOf(fresh().when(access(offset, bytes, declared)));
    expect(notes).not.toContain('reserved-bits');
    const beyond = !readOnly && /^(STRTAB|CMDQ|EVENTQ|PRIQ)_BASE$|_IRQ_CFG0$/.test(name);
    expect(notes.includes('address-beyond-oas')).toBe(beyond);
  });

  if (bytes === 8)
    it('takes its halves one by one, each leaving the other alone', () => {
      const after = readOnly ? before : stored;
      const high = (after & ~HALF) | (before & HALF);
      fresh()
        .when(access(offset + 4, 4, HALF), access(offset, 8))
        .thenOutcome({ value: high })
        .when(access(offset, 4, HALF), access(offset, 8))
        .thenOutcome({ value: after })
        .when(access(offset + 4, 4))
        .thenOutcome({ value: after >> 32n })
        .when(access(offset, 4))
        .thenOutcome({ value: after & HALF });
    });

  it('is RAZ/WI to accesses of other sizes and off their alignment, each with a remark', () => {
    const places: [offset: number, size: number][] = [1, 2, 3, 5, 16].map((size) => [offset, size]);
    places.push([offset + 1, 4], [offset + 2, 4]);
    if (offset % 8 === 4 || bytes === 8) places.push([offset - (offset % 8) + 4, 8]);
    const wrote = fresh().when(places.map(([at, size]) => access(at, size, HALF)));
    const bad = places.map(() => 'bad size or alignment');
    expect(wrote.of('write.ignored').map(({ why }) => why)).toEqual(bad);
    expect(notesOf(wrote)).toEqual(places.map(() => 'bad-access'));
    wrote.thenNo('register.written');
    for (const [at, size] of places) {
      const read = fresh().when(access(at, size)).thenOutcome({ value: 0n });
      expect(notesOf(read)).toEqual(['bad-access']);
    }
    wrote.when(access(offset, bytes)).thenOutcome({ value: before });
  });

  const { guard = '', needs = '' } = rules.find(({ register }) => register === name) ?? {};
  if (guard !== '')
    it.each(statesOf(guard))(`is guarded by ${guard} and its copy: %s`, (_, past, guarded) => {
      const wrote = on(everything)
        .given(past)
        .when(access(offset, bytes, ones));
      const why = `guarded by ${guard.split(/\s+/).join(', ')}`;
      if (guarded) wrote.then({ type: 'write.ignored', register: name, why }).thenNo('register.written');
      else wrote.then({ type: 'register.written', register: name });
      if (!guarded) expect(held(wrote, name)).toBe(stored);
    });
  else
    it('is guarded by nothing', () => {
      if (readOnly) return;
      on(everything)
        .given(write('CR0', 0x5df), ACK, write('IRQ_CTRL', 7), ACK)
        .when(access(offset, bytes, name === 'CR0' || name === 'IRQ_CTRL' ? 0n : ones))
        .then({ type: 'register.written', register: name });
    });

  for (const without of needs.split(/\s+/))
    if (without !== '')
      it(`is RES0 without ${without}`, () => {
        // The page of VATOS registers stays where it is, and is empty.
        const identity = idr(`${IDENTITY} ${without}=0`);
        const wrote = on(machine({}, { idr: identity })).when(
          access(offset, bytes, ones),
          access(offset, bytes),
        );
        wrote.thenOutcome({ value: 0n }).thenNo('register.written');
        expect(new Set(wrote.of('write.ignored').map(({ why }) => why))).toEqual(new Set(['RES0']));
      });
});

/** How a guard goes up and down: what to do, and whether writes are IGNORED then. */
function statesOf(guard: string): [state: string, past: Stimulus[], guarded: boolean][] {
  const run = /^([GV]ATOS)\.RUN$/.exec(guard)?.[1];
  if (run !== undefined) {
    const ctrl = all.find(({ name }) => name === `${run}_CTRL`)?.offset ?? 0;
    const running = [write('CR0', 1), ACK, access(ctrl, 4, 1n)];
    return [
      ['running', running, true],
      ['answered', [...running, turn(run.toLowerCase())], false],
    ];
  }
  const updated = /^(\w+)\.Update$/.exec(guard)?.[1] as RegisterName | undefined;
  if (updated !== undefined) {
    const past = [write(updated, 0x8000_0000)];
    return [
      ['under way', past, true],
      ['done', [...past, ACK], false],
    ];
  }
  const [register, value] = raised[guard] ?? (['CR0', 0] as const);
  const up = write(register, value);
  const down = write(register, 0);
  return [
    ['written', [up], true],
    ['acknowledged', [up, ACK], true],
    ['cleared', [up, ACK, down], true],
    ['cleared and acknowledged', [up, ACK, down, ACK], false],
  ];
}

const raised: Readonly<Record<string, readonly [RegisterName, number]>> = {
  SMMUEN: ['CR0', 1],
  PRIQEN: ['CR0', 2],
  EVENTQEN: ['CR0', 4],
  CMDQEN: ['CR0', 8],
  'SMMUEN CMDQEN': ['CR0', 9],
  DPT_WALK_EN: ['CR0', 0x400],
  GERROR_IRQEN: ['IRQ_CTRL', 1],
  PRIQ_IRQEN: ['IRQ_CTRL', 2],
  EVENTQ_IRQEN: ['IRQ_CTRL', 4],
};

describe('stored values', () => {
  // Those whose write does more than store are tried above and in the handshakes.
  const plain = all.filter(
    ({ name, access: kind }) => kind === 'RW' && !/^(CR0|IRQ_CTRL|G?B?P?MPAM|GBPA)$|ATOS_CTRL$/.test(name),
  );
  const accesses = fc.array(fc.tuple(fc.constantFrom('whole', 'low', 'high'), fc.bigInt(0n, ONES)), {
    maxLength: 6,
  });

  it('are the old ones with the written bits in their place, whatever piece was written', () => {
    fc.assert(
      fc.property(fc.constantFrom(...plain), accesses, (listed, writes) => {
        const { name, offset, width } = listed;
        const hardware = listed.fields.filter((field) => HARDWARE[name]?.includes(field.name));
        const stored = bits(listed, (field) => topOf(name, field)) & ~bits({ fields: hardware }, () => 64);
        let expected = 0n;
        const stimuli: Stimulus[] = [];
        for (const [piece, value] of writes) {
          if (width === 32 || piece === 'low') stimuli.push(access(offset, 4, value & HALF));
          else if (piece === 'high') stimuli.push(access(offset + 4, 4, value & HALF));
          else stimuli.push(access(offset, 8, value));
          const mask = width === 32 || piece === 'low' ? HALF : piece === 'high' ? ONES ^ HALF : ONES;
          const put = width === 64 && piece === 'high' ? (value & HALF) << 32n : value;
          expected = (expected & ~mask) | (put & mask & stored);
        }
        on(everything)
          .given(/_BASE$/.test(name) ? [] : LARGEST)
          .when(stimuli, access(offset, width / 8))
          .thenOutcome({ value: expected });
      }),
    );
  });
});
