/**
 * Broadcast TLB maintenance (IHI 0070 3.17, 6.3.12.1, 16.7.7): for each operation, which entries go; who takes
 * part; what is never touched. An entry is EL1, stage 1, VMID 3, ASID 7, ASET=0, a 4KB page at 0x40000000,
 * unless it says otherwise; the SMMU has everything, unless the row takes something away.
 */
import { describe, expect, it } from 'vitest';
import type { Event } from '../../../core/event.ts';
import { broadcasts } from '../../../core/smmu/broadcast.ts';
import type { Stimulus, StimulusOf } from '../../../core/stimulus.ts';
import { at, bringUp, dma, machine, map, tables, write } from '../../support/build.ts';
import { on, turn, type When } from '../../support/given.ts';
import { idr, pairs, table } from '../../support/tables.ts';

const WHOLE = 'S2P=1 Hyp=1 BTM=1 VMW=1 VMID16=1';

function tlbi(operation: string, operands = ''): StimulusOf<'cpu.tlbi'> {
  const values = Object.fromEntries(
    pairs(operands).map(([name, value]) => {
      if (name === 'va') return [name, BigInt(value)];
      if (name === 'tg') return [name, value];
      return [name, name === 'el2' || name === 'e2h' ? value === '1' : Number(value)];
    }),
  );
  return { type: 'cpu.tlbi', operation, ...values };
}

/** A TLB or walk-cache entry, as a fact. */
function filled(text: string): Stimulus {
  const of = new Map(pairs(text));
  const granuleLog2 = { '16K': 14, '64K': 16 }[of.get('g') ?? ''] ?? 12;
  const level = Number(of.get('level') ?? 3);
  const leaf = !of.has('table');
  const event: Event = {
    type: 'tlb.filled',
    smmu: 'smmu0',
    cache: leaf ? 'tlb' : 'walk',
    regime: (of.get('regime') ?? 'EL1') as 'EL1',
    stage: Number(of.get('stage') ?? 1),
    vmid: Number(of.get('vmid') ?? 3),
    asid: Number(of.get('asid') ?? 7),
    global: of.has('global'),
    ...(of.has('aset') ? { aset: true } : {}),
    va: BigInt(of.get('va') ?? 0x4000_0000),
    granuleLog2,
    level,
    sizeLog2: granuleLog2 + (granuleLog2 - 3) * (3 - level),
    leaf,
    pa: at.data,
    attributes: 0,
    descriptorPa: at.table,
    descriptor: 0n,
    parent: 0,
  };
  return { type: 'observe', events: [event as unknown as Record<string, unknown>] };
}

/** The machine with one entry, after the operation. */
function broadcast(operation: string, operands: string, env: string, entry: string): When {
  const own = pairs(env).filter(([name]) => name !== 'VMW_BITS');
  const bits = Number(new Map(pairs(env)).get('VMW_BITS') ?? 0);
  const features = idr(`${WHOLE} ${own.map((pair) => pair.join('=')).join(' ')}`);
  return on(machine({}, { idr: features }))
    .given(write('CR0', bits << 6), filled(entry))
    .when(tlbi(operation, operands));
}

type Columns = 'operation' | 'operands' | 'env' | 'entry' | 'hit';

const rows = table<Columns>(`
  operation  | operands                    | env         | entry                  | hit
  VAE1       | vmid=3 asid=7 va=0x40000000 |             |                        | yes
  VAE1       | vmid=3 asid=7 va=0x40000fff |             |                        | yes
  VAE1       | vmid=3 asid=7 va=0x40001000 |             |                        | no
  VAE1       | vmid=3 asid=7 va=0x401ff000 |             | level=2                | yes
  VAE1       | vmid=3 asid=7 va=0x4000f000 |             | g=64K                  | yes
  VAE1       | vmid=3 asid=8 va=0x40000000 |             |                        | no
  VAE1       | vmid=3 asid=8 va=0x40000000 |             | global                 | yes
  VAE1       | vmid=4 asid=7 va=0x40000000 |             |                        | no
  VAE1       | vmid=4 asid=7 va=0x40000000 |             | global                 | no
  VAE1       | vmid=3 asid=7 va=0x40000000 |             | stage=12               | yes
  VAE1       | vmid=3 asid=7 va=0x40000000 |             | stage=2                | no
  VAE1       | vmid=3 asid=7 va=0x40000000 |             | regime=EL2 vmid=0      | no
  VAE1       | vmid=3 asid=7 va=0x40000000 |             | regime=EL2_E2H vmid=0  | no
  VAE1       | vmid=3 asid=7 va=0x40000000 |             | table level=2          | yes
  VAE1       | vmid=3 asid=7 va=0xffff000040000000 |     | va=0xffff000040000000  | yes
  VAE1       | vmid=3 asid=7 va=0x40000000 |             | aset                   | no
  VAE1       | vmid=3 asid=7 va=0x40000000 |             | aset global            | no
  VALE1      | vmid=3 asid=7 va=0x40000000 |             |                        | yes
  VALE1      | vmid=3 asid=7 va=0x40000000 |             | table level=2          | no
  VALE1      | vmid=3 asid=7 va=0x40000000 |             | aset                   | no
  VAAE1      | vmid=3 va=0x40000000        |             | asid=9                 | yes
  VAAE1      | vmid=3 va=0x40000000        |             | asid=9 aset            | yes
  VAAE1      | vmid=3 va=0x40000000        |             | global aset            | yes
  VAAE1      | vmid=3 va=0x40000000        |             | asid=9 table level=1   | yes
  VAAE1      | vmid=3 va=0x40000000        |             | stage=2                | no
  VAAE1      | vmid=4 va=0x40000000        |             |                        | no
  VAALE1     | vmid=3 va=0x40000000        |             | asid=9 aset            | yes
  VAALE1     | vmid=3 va=0x40000000        |             | asid=9 table level=1   | no
  ASIDE1     | vmid=3 asid=7               |             |                        | yes
  ASIDE1     | vmid=3 asid=7               |             | table level=1          | yes
  ASIDE1     | vmid=3 asid=7               |             | global                 | no
  ASIDE1     | vmid=3 asid=7               |             | aset                   | no
  ASIDE1     | vmid=3 asid=7               |             | stage=12               | yes
  ASIDE1     | vmid=3 asid=8               |             |                        | no
  ASIDE1     | vmid=4 asid=7               |             |                        | no
  VMALLE1    | vmid=3                      |             | asid=9                 | yes
  VMALLE1    | vmid=3                      |             | asid=9 aset            | yes
  VMALLE1    | vmid=3                      |             | global aset            | yes
  VMALLE1    | vmid=3                      |             | stage=12               | yes
  VMALLE1    | vmid=3                      |             | stage=2                | no
  VMALLE1    | vmid=4                      |             |                        | no
  ALLE1      |                             |             | vmid=9 aset            | yes
  ALLE1      |                             |             | vmid=9 stage=2         | yes
  ALLE1      |                             |             | vmid=9 stage=12 global | yes
  ALLE1      |                             |             | regime=EL2 vmid=0      | no
  IPAS2E1    | vmid=3 ipa=0x40000000       |             | stage=2                | yes
  IPAS2E1    | vmid=3 ipa=0x40001000       |             | stage=2                | no
  IPAS2E1    | vmid=3 ipa=0x40000000       |             | stage=2 table level=2  | yes
  IPAS2E1    | vmid=3 ipa=0x40000000       |             | stage=12               | no
  IPAS2E1    | vmid=3 ipa=0x40000000       |             |                        | no
  IPAS2E1    | vmid=4 ipa=0x40000000       |             | stage=2                | no
  IPAS2LE1   | vmid=3 ipa=0x40000000       |             | stage=2                | yes
  IPAS2LE1   | vmid=3 ipa=0x40000000       |             | stage=2 table level=2  | no
  VMALLS12E1 | vmid=3                      |             | stage=2                | yes
  VMALLS12E1 | vmid=3                      |             | stage=12 aset          | yes
  VMALLS12E1 | vmid=3                      |             | global                 | yes
  VMALLS12E1 | vmid=4                      |             | stage=2                | no
  VAE2       | va=0x40000000               |             | regime=EL2 asid=0      | yes
  VAE2       | va=0x40001000               |             | regime=EL2 asid=0      | no
  VAE2       | va=0x40000000               |             | regime=EL2 asid=0 aset | no
  VAE2       | va=0x40000000               |             | regime=EL2 asid=0 table level=2 | yes
  VAE2       | asid=7 va=0x40000000        |             | regime=EL2_E2H         | no
  VAE2       | asid=7 va=0x40000000 e2h=1  |             | regime=EL2_E2H         | yes
  VAE2       | asid=8 va=0x40000000 e2h=1  |             | regime=EL2_E2H         | no
  VAE2       | asid=8 va=0x40000000 e2h=1  |             | regime=EL2_E2H global  | yes
  VAE2       | asid=7 va=0x40000000 e2h=1  |             | regime=EL2_E2H aset    | no
  VAE2       | asid=7 va=0x40000000 e2h=1  |             | regime=EL2 asid=0      | no
  VALE2      | va=0x40000000               |             | regime=EL2 asid=0      | yes
  VALE2      | va=0x40000000               |             | regime=EL2 asid=0 table level=2 | no
  VAAE2      | va=0x40000000 e2h=1         |             | regime=EL2_E2H asid=9 aset | yes
  VAAE2      | va=0x40000000 e2h=1         |             | regime=EL2_E2H table level=2 | yes
  VAAE2      | va=0x40000000               |             | regime=EL2 asid=0      | no
  VAALE2     | va=0x40000000 e2h=1         |             | regime=EL2_E2H asid=9  | yes
  VAALE2     | va=0x40000000 e2h=1         |             | regime=EL2_E2H table level=2 | no
  ASIDE2     | asid=7 e2h=1                |             | regime=EL2_E2H         | yes
  ASIDE2     | asid=7 e2h=1                |             | regime=EL2_E2H global  | no
  ASIDE2     | asid=7 e2h=1                |             | regime=EL2_E2H aset    | no
  ASIDE2     | asid=7 e2h=1                |             |                        | no
  ALLE2      |                             |             | regime=EL2 asid=0 aset | yes
  ALLE2      |                             |             | regime=EL2_E2H         | no
  ALLE2      | e2h=1                       |             | regime=EL2_E2H global aset | yes
  ALLE2      |                             |             |                        | no
`);

// Ranges of (NUM + 1) * 2^(5 * SCALE + 1) granules, VMID 3, ASID 7, from 0x40000000.
const ranges = table<Columns>(`
  operation  | operands                 | env   | entry                       | hit
  RVAE1      | tg=4KB num=0 scale=0     |       | va=0x40001000               | yes
  RVAE1      | tg=4KB num=0 scale=0     |       | va=0x40002000               | no
  RVAE1      | tg=4KB num=0 scale=0     |       | va=0x3ffff000               | no
  RVAE1      | tg=4KB num=3 scale=0     |       | va=0x40007000               | yes
  RVAE1      | tg=4KB num=3 scale=0     |       | va=0x40008000               | no
  RVAE1      | tg=4KB num=0 scale=1     |       | va=0x4003f000               | yes
  RVAE1      | tg=4KB num=0 scale=1     |       | va=0x40040000               | no
  RVAE1      | tg=4KB num=31 scale=3    |       | va=0x23ffff000              | yes
  RVAE1      | tg=4KB num=31 scale=3    |       | va=0x240000000              | no
  RVAE1      | tg=16KB num=0 scale=0    |       | g=16K va=0x40004000         | yes
  RVAE1      | tg=16KB num=0 scale=0    |       | g=16K va=0x40008000         | no
  RVAE1      | tg=64KB num=1 scale=0    |       | g=64K va=0x40030000         | yes
  RVAE1      | tg=64KB num=1 scale=0    |       | g=64K va=0x40040000         | no
  RVAE1      | tg=4KB num=0 scale=0     |       | g=64K                       | no
  RVAE1      | tg=4KB num=0 scale=0     |       | aset                        | no
  RVAE1      | tg=4KB num=0 scale=0     |       | asid=8                      | no
  RVAE1      | tg=4KB num=0 scale=0     | RIL=0 |                             | no
  RVAE1      | tg=4KB num=0 scale=0 ttl=3 |     |                             | yes
  RVAE1      | tg=4KB num=0 scale=0 ttl=2 |     |                             | no
  RVAE1      | tg=4KB num=0 scale=0 ttl=2 |     | level=2                     | yes
  RVAE1      | tg=4KB num=0 scale=0 ttl=2 |     | table level=2               | no
  RVAE1      | tg=4KB num=0 scale=0 ttl=3 |     | table level=2               | yes
  RVALE1     | tg=4KB num=0 scale=0     |       | va=0x40001000               | yes
  RVALE1     | tg=4KB num=0 scale=0     |       | table level=2               | no
  RVAAE1     | tg=4KB num=0 scale=0     |       | asid=9 aset va=0x40001000   | yes
  RVAAE1     | tg=4KB num=0 scale=0     |       | asid=9 va=0x40002000        | no
  RVAALE1    | tg=4KB num=0 scale=0     |       | asid=9 va=0x40001000        | yes
  RVAALE1    | tg=4KB num=0 scale=0     |       | asid=9 table level=2        | no
  RIPAS2E1   | tg=4KB num=0 scale=0     |       | stage=2 va=0x40001000       | yes
  RIPAS2E1   | tg=4KB num=0 scale=0     |       | stage=2 va=0x40002000       | no
  RIPAS2E1   | tg=4KB num=0 scale=0     |       | stage=12                    | no
  RIPAS2LE1  | tg=4KB num=0 scale=0     |       | stage=2 va=0x40001000       | yes
  RIPAS2LE1  | tg=4KB num=0 scale=0     |       | stage=2 table level=2       | no
  RVAE2      | tg=4KB num=0 scale=0     |       | regime=EL2 asid=0 va=0x40001000 | yes
  RVAE2      | tg=4KB num=0 scale=0     |       | regime=EL2 asid=0 aset      | no
  RVALE2     | tg=4KB num=0 scale=0     |       | regime=EL2 asid=0 va=0x40001000 | yes
  RVALE2     | tg=4KB num=0 scale=0     |       | regime=EL2 asid=0 table level=2 | no
  RVAAE2     | tg=4KB num=0 scale=0 e2h=1 |     | regime=EL2_E2H asid=9 va=0x40001000 | yes
  RVAAE2     | tg=4KB num=0 scale=0 e2h=1 |     | regime=EL2_E2H va=0x40002000 | no
  RVAALE2    | tg=4KB num=0 scale=0 e2h=1 |     | regime=EL2_E2H table level=2 | no
  RVAALE2    | tg=4KB num=0 scale=0 e2h=1 |     | regime=EL2_E2H asid=9       | yes
`);

// Sizes of ASIDs and VMIDs, wildcards, and PEs and SMMUs that lack something.
const sizes = table<Columns>(`
  operation  | operands                      | env             | entry                 | hit
  ASIDE1     | vmid=3 asid=0x107             | ASID16=1        | asid=0x107            | yes
  ASIDE1     | vmid=3 asid=0x107             | ASID16=1        | asid=7                | no
  ASIDE1     | vmid=3 asid=0x107             | ASID16=0        | asid=7                | no
  ASIDE1     | vmid=3 asid=7                 | ASID16=0        | asid=7                | yes
  VAE1       | vmid=3 asid=0x107 va=0x40000000 | ASID16=0      | asid=7                | no
  VAE1       | vmid=3 asid=0x107 va=0x40000000 | ASID16=0      | global                | yes
  VMALLE1    | vmid=0x103                    | VMID16=1        | vmid=0x103            | yes
  VMALLE1    | vmid=0x103                    | VMID16=0        | vmid=3                | no
  VMALLE1    | vmid=0x103                    | VMID16=0 VMW_BITS=2 | vmid=3            | no
  VMALLE1    | vmid=2                        | VMW_BITS=1      | vmid=3                | yes
  VMALLE1    | vmid=2                        |                 | vmid=3                | no
  VMALLE1    | vmid=2                        | VMW_BITS=1      | vmid=4                | no
  VMALLE1    | vmid=12                       | VMW_BITS=4      | vmid=3                | yes
  VMALLE1    | vmid=19                       | VMW_BITS=4      | vmid=3                | no
  ASIDE1     | vmid=2 asid=7                 | VMW_BITS=1      | vmid=3                | yes
  IPAS2E1    | vmid=2 ipa=0x40000000         | VMW_BITS=1      | stage=2               | yes
  VMALLS12E1 | vmid=2                        | VMW_BITS=1      | stage=2               | yes
  VMALLE1    | vmid=3 el2=0                  |                 | vmid=0                | yes
  VMALLE1    | vmid=3 el2=0                  |                 | vmid=3                | no
  VMALLE1    | vmid=0                        | S2P=0           | vmid=0                | yes
  VMALLE1    | vmid=5                        | S2P=0           | vmid=0                | no
  IPAS2E1    | vmid=3 ipa=0x40000000         | S2P=0           | stage=2               | no
  VMALLS12E1 | vmid=0                        | S2P=0           | vmid=0                | yes
  ALLE1      |                               | S2P=0           | vmid=0                | yes
  VMALLE1    | vmid=3                        | S1P=0           |                       | no
  VAE1       | vmid=3 asid=7 va=0x40000000   | S1P=0           |                       | no
  ALLE1      |                               | S1P=0           | stage=2               | yes
  VMALLS12E1 | vmid=3                        | S1P=0           | stage=2               | yes
  ALLE2      |                               | Hyp=0           | regime=EL2            | no
  ALLE1      |                               | BTM=0           |                       | no
`);

const ADDRESS = { EL1: 'vmid=3 asid=7 va=0x40000000 ipa=0x40000000', EL2: 'va=0x40000000' } as const;

describe('an operation', () => {
  it.each(rows)('$operation $operands: $entry $hit', ({ operation, operands, env, entry, hit }) => {
    const story = broadcast(operation, operands, env, entry);
    expect(story.of('cache.invalidated').length > 0 ? 'yes' : 'no').toBe(hit);
  });

  it.each(ranges)('$operation $operands $env: $entry $hit', ({ operation, operands, env, entry, hit }) => {
    const level = operation.endsWith('2') ? 'EL2' : 'EL1';
    const story = broadcast(operation, `${ADDRESS[level]} ${operands}`, env, entry);
    expect(story.of('cache.invalidated').length > 0 ? 'yes' : 'no').toBe(hit);
  });

  it.each(sizes)('$operation $operands $env: $entry $hit', ({ operation, operands, env, entry, hit }) => {
    const story = broadcast(operation, operands, env, entry);
    expect(story.of('cache.invalidated').length > 0 ? 'yes' : 'no').toBe(hit);
  });

  it('has a row of this test, each of them, with an entry that goes and one that stays', () => {
    const told = [...rows, ...ranges];
    for (const name of Object.keys(broadcasts)) {
      const hits = told.filter(({ operation }) => operation === name).map(({ hit }) => hit);
      expect(hits, name).toContain('yes');
      expect(hits, name).toContain('no');
    }
  });
});

describe('what the SMMU says of it', () => {
  const silent = table<'operation' | 'operands' | 'env' | 'why'>(`
    operation | operands                              | env   | why
    VMALLE1   | vmid=3                                | S1P=0 | IDR0.S1P=0
    IPAS2E1   | vmid=3 ipa=0x40000000                 | S2P=0 | IDR0.S2P=0
    ALLE2     |                                       | Hyp=0 | IDR0.Hyp=0
    RVAAE1    | vmid=3 va=0x1000 tg=4KB num=0 scale=0 | RIL=0 | IDR3.RIL=0
    ASIDE2    | asid=7                                |       | a PE without E2H does not send it
  `);
  it.each(silent)('$operation is ignored: $why', ({ operation, operands, env, why }) => {
    broadcast(operation, operands, env, 'regime=EL2_E2H')
      .then({ type: 'broadcast.received', operation, why })
      .thenNo('cache.invalidated');
  });

  it('names what the message carried, and no more (3.17)', () => {
    const said = (operation: string, operands: string) => {
      const [{ vmid, asid, va, ipa, why } = {}] = broadcast(operation, operands, '', '').of(
        'broadcast.received',
      );
      return { vmid, asid, va, ipa, why };
    };
    const none = { vmid: undefined, asid: undefined, va: undefined, ipa: undefined, why: undefined };
    const all = 'vmid=3 asid=7 va=0x5000 ipa=0x6000';
    expect(said('VAE1', all)).toEqual({ ...none, vmid: 3, asid: 7, va: 0x5000n });
    expect(said('IPAS2E1', all)).toEqual({ ...none, vmid: 3, ipa: 0x6000 });
    expect(said('VAE2', all)).toEqual({ ...none, va: 0x5000n });
    expect(said('VAE2', `${all} e2h=1`)).toEqual({ ...none, asid: 7, va: 0x5000n });
    expect(said('VMALLE1', `${all} el2=0`)).toEqual({ ...none, vmid: 0 });
    expect(said('ALLE1', all)).toEqual(none);
  });

  it('rests the invalidation on the message', () => {
    const story = broadcast('ALLE1', '', '', '');
    const received = story.of('broadcast.received')[0]!.seq;
    story.then(
      { type: 'broadcast.received' },
      { type: 'cache.invalidated', fetched: received, cache: 'tlb' },
    );
  });
});

describe('who takes part (6.3.12.1)', () => {
  const PTM = 4;
  const lively = machine({}, { idr: idr(WHOLE) });

  it('with CR2.PTM=1 it ignores all, and says so', () => {
    on(lively)
      .given(write('CR2', PTM), filled(''))
      .when(tlbi('ALLE1'))
      .then({ type: 'broadcast.received', why: 'CR2.PTM=1' })
      .thenNo('cache.invalidated');
  });

  it('PTM is RES0 without BTM, and an SMMU without BTM hears nothing', () => {
    on(machine({}, { idr: idr('S2P=1') }))
      .given(write('CR2', PTM), filled(''))
      .when(tlbi('ALLE1'))
      .thenNo('broadcast.received', 'cache.invalidated');
  });

  it('acts while SMMUEN=0 (6.3.9.6), and on every SMMU that has BTM=1', () => {
    const [first] = lively.smmus;
    const deaf = { ...first!, name: 'smmu1', base: 0xa00_0000, idr: idr('S2P=1') };
    const other = { ...first!, name: 'smmu2', base: 0xb00_0000 };
    const story = on({ ...lively, smmus: [first!, deaf, other] })
      .given(filled(''))
      .when(tlbi('ALLE1'));
    expect(story.of('broadcast.received').map(({ smmu }) => smmu)).toEqual(['smmu0', 'smmu2']);
    story.then({ type: 'cache.invalidated', smmu: 'smmu0' });
  });

  it('an operation that no PE has does nothing', () => {
    on(lively).given(filled('')).when(tlbi('VAE3')).thenNo('broadcast.received', 'cache.invalidated');
  });
});

describe('beside the Command queue', () => {
  const setup = [...tables(), map(0x1000, at.data), map(0x2000, at.data)];
  // The CD of `build.ts` has ASET=1 and ASID 5, VMID 0.
  const busy = (invalidation: 'literal' | 'generous') =>
    on(machine({}, { idr: idr(WHOLE), invalidation })).given(bringUp(), setup, dma(0x1000), dma(0x2000));

  it('leaves configuration caches alone, and the next access walks', () => {
    busy('literal')
      .when(tlbi('VAAE1', 'vmid=0 va=0x1000'), dma(0x1000), dma(0x2000))
      .then(
        { type: 'cache.invalidated', cache: 'walk' },
        { type: 'cache.invalidated', cache: 'tlb' },
        { type: 'access.completed', iova: 0x1000n, via: 'walk' },
        { type: 'access.completed', iova: 0x2000n, via: 'hit' },
      )
      .thenNo('config.filled', 'structure.fetched');
  });

  it('an address space of its own (ASET=1) keeps what an ASID names (16.7.7)', () => {
    busy('literal')
      .when(tlbi('VAE1', 'vmid=0 asid=5 va=0x1000'), tlbi('ASIDE1', 'vmid=0 asid=5'), dma(0x1000))
      .then({ type: 'broadcast.received' }, { type: 'access.completed', via: 'hit' })
      .thenNo('cache.invalidated');
  });

  it('generous hardware empties the TLB and the walk cache, and nothing else', () => {
    const story = busy('generous').when(tlbi('VAE1', 'vmid=9 asid=9 va=0x7000'));
    expect(story.of('cache.invalidated').map(({ cache }) => cache)).toEqual(['walk', 'tlb']);
    const { caches } = story.state.smmus['smmu0']!;
    expect([caches.tlb.size, caches.walk.size, caches.ste.size, caches.cd.size]).toEqual([0, 0, 1, 1]);
  });

  it('generous hardware ignores what it may ignore', () => {
    on(machine({}, { idr: idr(`${WHOLE} Hyp=0`), invalidation: 'generous' }))
      .given(bringUp(), setup, dma(0x1000))
      .when(tlbi('ALLE2'))
      .then({ type: 'broadcast.received', why: 'IDR0.Hyp=0' })
      .thenNo('cache.invalidated');
  });

  it('no CMD_SYNC waits for it: it takes no turn (4.7.3)', () => {
    const story = busy('literal').when(tlbi('ALLE1'), turn('perform'));
    story.then({ type: 'broadcast.received' }, { type: 'turn.passed', unit: 'smmu0.perform' });
  });
});
