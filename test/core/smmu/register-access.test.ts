/**
 * Every Non-secure register of pages 0 and 1 and of the VATOS page against the access rules of IHI 0070 6.1 to 6.3:
 * the printed register table (test/data) says what there is, the tables here what guards it and what
 * a register or a field needs; each is tried in one piece, in halves, in wrong pieces, guarded and open.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Features } from '../../../core/smmu/features.ts';
import { type RegisterName, registers } from '../../../core/smmu/registers.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import listing from '../../data/smmuv3-layout.json' with { type: 'json' };
import { machine, write } from '../../support/build.ts';
import { type Given, given, on, turn, type When, written } from '../../support/given.ts';
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

// 6.3, "Accessing": what must be 0, with its copy, for a write to be taken.
const guards = table<'registers' | 'guard'>(`
  registers              | guard
  CR1                    | SMMUEN CMDQEN
  CR2                    | SMMUEN
  STRTAB_BASE(_CFG)?     | SMMUEN
  CMDQ_BASE              | CMDQEN
  CMDQ_CONS              | CMDQEN
  EVENTQ_(BASE;PROD)  | EVENTQEN
  PRIQ_(BASE;PROD)    | PRIQEN
  GERROR_IRQ_CFG[012]    | GERROR_IRQEN
  EVENTQ_IRQ_CFG[012]    | EVENTQ_IRQEN
  PRIQ_IRQ_CFG[012]      | PRIQ_IRQEN
  DPT_BASE(_CFG)?        | DPT_WALK_EN
  GBPA                   | GBPA.Update
  GMPAM                  | GMPAM.Update
  GBPMPAM                | GBPMPAM.Update
  GATOS_(CTRL;SID;ADDR) | GATOS.RUN
  VATOS_(CTRL;SID;ADDR;SEL) | VATOS.RUN
`).map(({ registers: names, guard }) => ({ names: pattern(names), guard }));

// 6.3, "Configuration": the feature without which the whole register is RES0.
const needs = table<'registers' | 'without'>(`
  registers                | without
  (GERROR;EVENTQ)_IRQ_CFG[012] | MSI
  PRIQ_IRQ_CFG[01]         | MSI
  PRIQ_(BASE;PROD;CONS;IRQ_CFG[012]) | PRI
  GATOS_(CTRL;SID;ADDR;PAR) | ATOS
  VATOS_(SEL;CTRL;SID;ADDR;PAR) | VATOS
  MPAMIDR                  | MPAM
  (GMPAM;GBPMPAM)          | MPAM
  DPT_(BASE;BASE_CFG;CFG_FAR) | DPT
  (IDR6;CMDQ_CONTROL_PAGE_(BASE;CFG;STATUS)0) | ECMDQ
  S2PII                    | S2PI
`).map(({ registers: names, without }) => ({ names: pattern(names), without }));

function pattern(names: string): RegExp {
  return new RegExp(`^(${names.replaceAll(';', '|')})$`);
}

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

const notesOf = (when: When): string[] => when.of('misuse.noted').map(({ rule }) => rule);

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
  const enabled = /ATOS_CTRL$/.test(name) ? [write('CR0', 1), ACK] : [];
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

  const guard = guards.find(({ names }) => names.test(name))?.guard ?? '';
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

  for (const { names, without } of needs)
    if (names.test(name))
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
          .when(stimuli, access(offset, width / 8))
          .thenOutcome({ value: expected });
      }),
    );
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
    const wrote = given()
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
    3   | PRIQ_CONS   | 5     | queue-inconsistent
    3   | PRIQ_CONS   | 4     | -
    2   | PRIQ_CONS   | 5     | -
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
