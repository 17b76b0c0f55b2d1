/**
 * Replacing an STE or a CD under accesses (IHI 0070 3.21.3.1; linux: arm-smmu-v3-test.c has the same transitions):
 * each is done store by store, and a device makes accesses between every two steps. The stores, and the
 * invalidations with their CMD_SYNC, are those of the table; each access sees the old entry or the new one, or,
 * where the update is breaking, an invalid one; never a mixture; and after the last CMD_SYNC only the new one.
 */
import { describe, expect, it } from 'vitest';
import type { SmmuConfig } from '../../../core/config.ts';
import type { Entry } from '../../../core/event.ts';
import { encode } from '../../../core/layout/layout.ts';
import { Simulation } from '../../../core/simulation.ts';
import { CD, type Cd } from '../../../core/smmu/cd.ts';
import type { Ste } from '../../../core/smmu/ste.ts';
import type { State } from '../../../core/state.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { at, cd, command, PAGE_RW, reset, SID, ste, store, storeWords } from '../../support/build.ts';
import {
  cdRules,
  planUpdate,
  type Qwords,
  qwordsOf,
  steRules,
  type UpdateStep,
} from '../../support/entry-writer.ts';
import { inGuest, nestedBringUp, nestedMachine, stage2Fields } from '../../support/nested.ts';
import { give } from '../../support/stalling.ts';
import { idr, table } from '../../support/tables.ts';

const IOVA = 0x1000;
/** Contexts 0 and 1 stand in CD table A, 2 and 3 in B; each has tables and a page of its own. */
const CONTEXTS = [0, 1, 2, 3] as const;
const tableOf = (context: number): number => at.table + context * 0x1_0000;
const pageOf = (context: number): number => at.data + context * 0x1_0000;
const CDS = { A: at.cd, B: at.cd + 0x1000 } as const;
const cdPa = (context: number): number => (context < 2 ? CDS.A : CDS.B) + (context % 2) * 64;

const contextTables = (context: number): Stimulus[] => [
  ...[0, 1, 2].map((level) =>
    store(tableOf(context) + level * 0x1000, BigInt(tableOf(context) + (level + 1) * 0x1000) | 3n),
  ),
  store(tableOf(context) + 0x3000 + (IOVA >>> 12) * 8, BigInt(pageOf(context)) | PAGE_RW),
  storeWords(cdPa(context), cd({ TTB0: tableOf(context), ASID: 5 + context })),
];

function machineOf(smmu: Partial<SmmuConfig>) {
  const endpoint = { smmu: 'smmu0', ats: false, pri: false, atc: 0 } as const;
  return nestedMachine(
    { endpoints: [{ ...endpoint, name: 'dev0', streamId: SID, ssidBits: 1 }] },
    { idr: idr('S2P=1 VMID16=1 ATS=1 STALL_MODEL=0 STALL_MAX=8'), ...smmu },
  );
}

/** The machine with everything that entries point to, both for the host and, at the same IPAs, for a guest. */
function world(smmu: Partial<SmmuConfig>): State {
  const simulation = new Simulation(reset(machineOf(smmu)));
  const structures = CONTEXTS.flatMap(contextTables);
  for (const each of [...nestedBringUp(), ...structures, ...structures.map(inGuest)])
    simulation.dispatch(each);
  return simulation.state;
}

const S1 = {
  Config: 'S1',
  S1CDMax: 1,
  S1DSS: 'SUBSTREAM0',
  S1CIR: 'WB_RA',
  S1COR: 'WB_RA',
  S1CSH: 'ISH',
  S1STALLD: true,
  SHCFG: 'NSH',
} as const satisfies Partial<Ste>;
const S2 = {
  ...stage2Fields,
  Config: 'S2',
  S2VMID: 0,
  SHCFG: 'USE_INCOMING',
} as const satisfies Partial<Ste>;
const ATS = { EATS: 'FULL' } as const;
const INCOMING = { SHCFG: 'USE_INCOMING' } as const;
const S1_BYPASS = { ...S1, ...INCOMING, S1DSS: 'BYPASS' } as const;
/** A host merges the records of its guests: MEV. */
const NESTED = { ...S2, ...S1, ...INCOMING, Config: 'NESTED', MEV: true } as const;

// biome-ignore format: a table
const stes: Readonly<Record<string, Partial<Ste>>> = {
  'bypass':               { Config: 'BYPASS', S1ContextPtr: 0, ...INCOMING },
  'abort':                { Config: 'ABORT', S1ContextPtr: 0, SHCFG: 'NSH' },
  'S1 A, ATS':            { ...S1, ...ATS },
  'S1 A, bypass, ATS':    { ...S1_BYPASS, ...ATS },
  'S1 B, bypass, ATS':    { ...S1_BYPASS, ...ATS, S1ContextPtr: CDS.B },
  'S1 A, stall':          { ...S1, S1STALLD: false },
  'S2, ATS':              { ...S2, ...ATS, S1ContextPtr: 0 },
  'S2':                   { ...S2, S1ContextPtr: 0 },
  'S2, stall':            { ...S2, S1ContextPtr: 0, S2S: true },
  'S2 of VMID 3':         { ...S2, ...ATS, S1ContextPtr: 0, S2VMID: 3 },
  'nested A, bypass, ATS': { ...NESTED, ...ATS, S1DSS: 'BYPASS' },
  'nested A':             { ...NESTED },
  'nested A, ATS':        { ...NESTED, ...ATS },
  'nested B':             { ...NESTED, S1ContextPtr: CDS.B },
  'nested B, bypass':     { ...NESTED, S1ContextPtr: CDS.B, S1DSS: 'BYPASS' },
};

const steTransitions = table<'from' | 'to' | 'stores' | 'kind'>(`
  from                       | to                         | stores           | kind
  bypass                     | abort                      | q0 / q1          | hitless
  abort                      | bypass                     | q1 / q0          | hitless
  S1 A, ATS                  | abort                      | q0 / q1          | hitless
  abort                      | S1 A, ATS                  | q1 / q0          | hitless
  S1 A, ATS                  | bypass                     | q1 / q0 / q1     | hitless
  bypass                     | S1 A, ATS                  | q1 / q0 / q1     | hitless
  S1 A, ATS                  | S1 A, bypass, ATS          | q1               | hitless
  S1 A, bypass, ATS          | S1 A, ATS                  | q1               | hitless
  S1 A, bypass, ATS          | bypass                     | q0 / q1          | hitless
  bypass                     | S1 A, bypass, ATS          | q1 / q0          | hitless
  S2, ATS                    | abort                      | q0 / q1,q2,q3    | hitless
  abort                      | S2, ATS                    | q1,q2,q3 / q0    | hitless
  S2, ATS                    | bypass                     | q0 / q1,q2,q3    | hitless
  bypass                     | S2, ATS                    | q1,q2,q3 / q0    | hitless
  S1 A, ATS                  | S2, ATS                    | q1,q2,q3 / q0 / q1 | hitless
  S2, ATS                    | S1 A, ATS                  | q1 / q0 / q1,q2,q3 | hitless
  S1 A, stall                | S2, stall                  | q1,q2,q3 / q0 / q1 | hitless
  S2, stall                  | S1 A, stall                | q1 / q0 / q1,q2,q3 | hitless
  S1 A, ATS                  | S1 B, bypass, ATS          | q0 / q1 / q0     | breaking
  nested A, bypass, ATS      | S2                         | q1 / q0 / q1     | hitless
  S2                         | nested A, bypass, ATS      | q1 / q0          | hitless
  S1 A, ATS                  | S2 of VMID 3               | q0 / q1,q2,q3 / q0 | breaking
  S2 of VMID 3               | S1 A, ATS                  | q0 / q1,q2,q3 / q0 | breaking
  abort                      | nested A                   | q1,q2,q3 / q0    | hitless
  S2                         | nested A                   | q1 / q0          | hitless
  S2                         | nested A, ATS              | q1 / q0          | hitless
  nested A                   | S2                         | q1 / q0 / q1     | hitless
  nested A, ATS              | S2                         | q1 / q0 / q1     | hitless
  nested A                   | abort                      | q0 / q1,q2,q3    | hitless
  nested A                   | nested B                   | q0               | hitless
  nested A                   | nested B, bypass           | q0 / q1 / q0     | breaking
  nested A                   | nested A, ATS              | q1               | hitless
  nested A                   | nested A                   |                  | none
`);

const SVA = { ASET: false, R: true, A: true, TTB0: tableOf(1), ASID: 9 } as const;
// biome-ignore format: a table
const cds: Readonly<Record<string, Uint32Array>> = {
  'invalid':      new Uint32Array(16),
  'S1':           mair(cd({ TTB0: tableOf(0), ASID: 5 })),
  'S1 of ASID 7': mair(cd({ TTB0: tableOf(0), ASID: 7 })),
  'S1 elsewhere': mair(cd({ TTB0: tableOf(1), ASID: 7 })),
  'SVA':          mair(cd(SVA)),
  'SVA released': mair(cd({ ...SVA, EPD0: true, T0SZ: 0, TTB0: 0 })),
};

/** With memory attributes, in the fourth doubleword. */
function mair(words: Uint32Array): Uint32Array {
  const attributes: Partial<Cd> = { MAIR0: 0x0044_04ff };
  return words.map((word, index) => word | (encode(CD, attributes)[index] ?? 0));
}

const cdTransitions = table<'from' | 'to' | 'stores' | 'kind'>(`
  from         | to           | stores       | kind
  invalid      | S1           | q1,q3 / q0   | hitless
  S1           | invalid      | q0 / q1,q3   | hitless
  S1           | S1 of ASID 7 | q0           | hitless
  invalid      | SVA          | q1,q3 / q0   | hitless
  SVA          | invalid      | q0 / q1,q3   | hitless
  SVA          | SVA released | q0 / q1      | hitless
  SVA released | SVA          | q1 / q0      | hitless
  S1           | S1 elsewhere | q0 / q1 / q0 | breaking
`);

const access = (more: Partial<Extract<Stimulus, { type: 'dma' }>>): Stimulus =>
  ({ type: 'dma', endpoint: 'dev0', iova: BigInt(IOVA), size: 8, access: 'read', ...more }) as Stimulus;
const probes: readonly Stimulus[] = [access({}), access({ ssid: 1 }), access({ access: 'write' })];

/** What the accesses see now: where each goes, or the record that refuses it. */
function look(simulation: Simulation): readonly string[] {
  return probes.map((probe) => {
    const { result, pa, event } = simulation.dispatch(probe).outcome;
    return `${result} ${pa ?? event ?? ''}`;
  });
}

interface Place {
  readonly pa: number;
  readonly invalidate: readonly Uint32Array[];
  /** What STE.V=0 or CD.V=0 is told of as. */
  readonly invalid: string;
  /** A command after the update. */
  readonly after: readonly Uint32Array[];
}

const stream: Place = {
  pa: at.strtab + SID * 64,
  invalidate: [command('CMD_CFGI_STE', { StreamID: SID, Leaf: true }), command('CMD_SYNC')],
  invalid: 'abort C_BAD_STE',
  after: [command('CMD_PREFETCH_CONFIG', { StreamID: SID })],
};
const context: Place = {
  pa: CDS.A,
  invalidate: [command('CMD_CFGI_CD', { StreamID: SID, SubstreamID: 0, Leaf: true }), command('CMD_SYNC')],
  invalid: 'abort C_BAD_CD',
  after: [],
};

const putEntry = (place: Place, entry: Qwords): Stimulus => store(place.pa, ...entry);
const flush = give(
  command('CMD_CFGI_STE_RANGE', { Range: 31 }),
  command('CMD_TLBI_NSNH_ALL'),
  command('CMD_SYNC'),
);

/** What accesses see while the entry alone stands there, with nothing cached. */
function seenWith(base: State, place: Place, entry: Qwords): readonly string[] {
  const simulation = new Simulation(base);
  for (const each of [putEntry(place, entry), ...flush]) simulation.dispatch(each);
  return look(simulation);
}

interface Update {
  readonly place: Place;
  readonly from: Qwords;
  readonly to: Qwords;
  readonly steps: readonly UpdateStep[];
}

/** Does the update. Accesses are made before step `from` of it and after every later one. */
function perform(base: State, { place, from, steps }: Update, watchFrom: number) {
  const simulation = new Simulation(base);
  for (const each of [putEntry(place, from), ...flush]) simulation.dispatch(each);
  const entries: Entry[] = [];
  simulation.entries$.subscribe((more) => entries.push(...more));
  const seen: (readonly string[])[] = [];
  let done = 0;
  const watch = (): void => {
    if (done >= watchFrom) seen.push(look(simulation));
    done += 1;
  };
  watch();
  for (const step of steps) {
    if (step !== 'sync') {
      simulation.dispatch(store(place.pa + step.store * 8, step.value));
      watch();
      continue;
    }
    for (const each of give(...place.invalidate)) {
      simulation.dispatch(each);
      watch();
    }
  }
  for (const each of give(...place.after)) simulation.dispatch(each);
  return { seen, entries, last: look(simulation) };
}

const storesOf = (steps: readonly UpdateStep[]): string =>
  steps
    .map((step) => (step === 'sync' ? '/' : `q${step.store}`))
    .join(' ')
    .replace(/ \/$/, '')
    .split(' / ')
    .map((group) => group.replaceAll(' ', ','))
    .join(' / ');

const UNBOUNDED = { ste: 'unbounded', cd: 'unbounded', tlb: 'unbounded', walk: 'unbounded' } as const;
const hardware: readonly (readonly [name: string, smmu: Partial<SmmuConfig>])[] = [
  ['unbounded caches', { caches: UNBOUNDED }],
  ['no caches', { caches: { ste: 0, cd: 0, tlb: 0, walk: 0 } }],
  ['caches that drop everything at an invalidation', { caches: UNBOUNDED, invalidation: 'generous' }],
];
const worlds = hardware.map(([name, smmu]) => [name, world(smmu)] as const);

function check(base: State, update: Update, kind: string): void {
  const { place, from, to, steps } = update;
  const before = seenWith(base, place, from);
  const after = seenWith(base, place, to);
  const commands = steps.flatMap((step) => (step === 'sync' ? place.invalidate : [])).length;
  let broken = 0;
  // Where something is cached, it matters when hardware looks for the first time.
  const { caches, invalidation } = base.smmus['smmu0']!.config;
  const starts = caches.ste === 0 || invalidation === 'generous' ? 0 : steps.length;
  for (let watchFrom = 0; watchFrom <= starts; watchFrom += 1) {
    const { seen, entries, last } = perform(base, update, watchFrom);
    for (const [moment, each] of seen.entries()) {
      for (const [index, outcome] of each.entries()) {
        const allowed = [before[index], after[index]];
        if (kind === 'breaking') allowed.push(place.invalid);
        expect(allowed, `probe ${index} at moment ${watchFrom + moment}`).toContain(outcome);
        if (outcome === place.invalid && !allowed.slice(0, 2).includes(outcome)) broken += 1;
      }
    }
    expect(last).toEqual(after);
    const performed = entries.filter(({ type }) => type === 'command.consumed');
    expect(performed).toHaveLength(commands + place.after.length);
    expect(entries.filter(({ type }) => type === 'sync.completed')).toHaveLength(
      steps.filter((step) => step === 'sync').length,
    );
  }
  expect(broken > 0).toBe(kind === 'breaking');
}

describe('an STE', () => {
  describe.each(steTransitions)('$from -> $to', ({ from, to, stores, kind }) => {
    const current = qwordsOf(ste(stes[from]));
    const target = qwordsOf(ste(stes[to]));
    const plan = planUpdate(current, target, steRules);

    it(`stores ${stores}: ${kind}`, () => {
      expect(storesOf(plan.steps)).toBe(stores);
      expect(plan.kind).toBe(kind);
    });

    it.each(worlds)('shows no mixture, %s', (_, base) => {
      check(base, { place: stream, from: current, to: target, steps: plan.steps }, kind);
    });
  });

  it('all entries are told apart by what accesses see', () => {
    const [, base] = worlds[0]!;
    const seen = Object.entries(stes).map(
      ([name, fields]) => `${seenWith(base, stream, qwordsOf(ste(fields))).join()} ${name}`,
    );
    const of = (name: string): string =>
      seen.find((each) => each.endsWith(` ${name}`))!.replace(` ${name}`, '');
    const kinds = [
      'bypass',
      'abort',
      'S1 A, ATS',
      'S1 A, bypass, ATS',
      'S1 B, bypass, ATS',
      'S2',
      'nested A',
      'nested B',
      'nested B, bypass',
    ];
    expect(new Set(kinds.map(of)).size).toBe(kinds.length);
  });
});

describe('a CD', () => {
  describe.each(cdTransitions)('$from -> $to', ({ from, to, stores, kind }) => {
    const current = qwordsOf(cds[from]!);
    const target = qwordsOf(cds[to]!);
    const plan = planUpdate(current, target, cdRules);

    it(`stores ${stores}: ${kind}`, () => {
      expect(storesOf(plan.steps)).toBe(stores);
      expect(plan.kind).toBe(kind);
    });

    it.each(worlds)('shows no mixture, %s', (_, base) => {
      const one = new Simulation(base);
      for (const each of [store(stream.pa, ...qwordsOf(ste(stes['S1 A, ATS']))), ...flush])
        one.dispatch(each);
      check(one.state, { place: context, from: current, to: target, steps: plan.steps }, kind);
    });
  });
});

describe('a careless update', () => {
  it('is seen: the doublewords in order, with nothing between them, show a mixture', () => {
    const [, base] = worlds[1]!;
    const current = qwordsOf(ste(stes['S1 A, ATS']));
    const target = qwordsOf(ste(stes['S1 B, bypass, ATS']));
    const steps = target.flatMap((value, at): UpdateStep[] =>
      value === current[at] ? [] : [{ store: at, value }],
    );
    const { seen } = perform(base, { place: stream, from: current, to: target, steps }, 0);
    const pure = [seenWith(base, stream, current), seenWith(base, stream, target)];
    expect(seen.filter((each) => !pure.some((one) => one.join() === each.join()))).toHaveLength(1);
  });
});
