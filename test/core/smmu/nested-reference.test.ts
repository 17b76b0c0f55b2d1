/**
 * Stage 2, nesting and HTTU against the second walker, which knows nothing of `core`
 * (test/support/reference-walker.ts): random streams with stage 1, stage 2 or both, tables that grow under
 * the accesses that need them, CDs that are reached through stage 2, and accesses of all kinds. Every
 * access is followed by one nearby, and all are made twice, so that what the caches serve is held as well. Compared are the address or the
 * record with its fields, every write to a descriptor, and without caches the descriptors read.
 *
 * `REFERENCE_RUNS` sets the number of stories, `REFERENCE_SEED` the seed; with `REFERENCE_SHOW` the count of
 * each outcome is printed.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../core/event.ts';
import { decode } from '../../../core/layout/layout.ts';
import { openSession } from '../../../core/machine.ts';
import { CD, L1CD } from '../../../core/smmu/cd.ts';
import { type EventRecordName, eventRecords } from '../../../core/smmu/event-record.ts';
import { STE } from '../../../core/smmu/ste.ts';
import {
  accesses,
  accessesOf,
  type Growing,
  growing,
  plans,
  RAM,
  type Story,
  stories,
} from '../../support/arbitrary-contexts.ts';
import { at, cd, machine, reset, SID, ste, store } from '../../support/build.ts';
import type { Access, Half, Outcome } from '../../support/reference-types.ts';
import { translate } from '../../support/reference-walker.ts';
import { idr, put } from '../../support/tables.ts';
import { openWalkRule } from '../../support/walk-rule.ts';

const CODES = { TG0: { '4KB': 0, '16KB': 2, '64KB': 1 }, TG1: { '4KB': 2, '16KB': 1, '64KB': 3 } } as const;
const SIZES = [32, 36, 40, 42, 44, 48, 52] as const;
const sizeCode = (bits: number): number => SIZES.indexOf(bits as 32);
const flags = (values: Record<string, boolean | undefined>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${value ? 1 : 0}`)
    .join(' ');

function idrOf({ context: { oasBits, xnx } }: Story): Record<string, number> {
  const wide = oasBits === 52 ? 1 : 0;
  return idr(`S1P=1 S2P=1 Hyp=1 HTTU=3 TTENDIAN=0 STALL_MODEL=1 CD2L=1 SSIDSIZE=20 EPAN=1 STT=1 FWB=1
    PTWNNC=1 XNX=${xnx ? 1 : 0} OAS=${sizeCode(oasBits)} VAX=${wide} DS=${wide}`);
}

function cdOf({ context: { stage1 } }: Story): Uint32Array {
  if (stage1 === undefined) return cd();
  const [lower, upper] = stage1.halves;
  const numbers = `T0SZ=${lower.tsz} T1SZ=${upper.tsz} TTB0=${lower.ttb} TTB1=${upper.ttb}
    TG0=${CODES.TG0[lower.granule]} TG1=${CODES.TG1[upper.granule]} IPS=${sizeCode(stage1.ipsBits)}`;
  const { ds, affd, wxn, pan, epan, ha, hd, haft, bigEndian } = stage1;
  const both = {
    DS: ds,
    AFFD: affd,
    WXN: wxn,
    PAN: pan,
    EPAN: epan,
    HA: ha,
    HD: hd,
    HAFT: haft,
    ENDI: bigEndian,
  };
  const first = { EPD0: lower.epd, TBI0: lower.tbi, HAD0: lower.had, E0PD0: lower.e0pd };
  const second = { EPD1: upper.epd, TBI1: upper.tbi, HAD1: upper.had, E0PD1: upper.e0pd };
  return put(CD.fields, cd(), `${numbers} ${flags({ ...both, ...first, ...second })}`);
}

function steOf({ mode, context: { stage1, stage2, structures } }: Story): Uint32Array {
  const [one, two] = structures;
  const substreams =
    mode === 'NESTED, stage 1 bypassed'
      ? 'S1CDMax=1 S1DSS=1'
      : two === undefined
        ? ''
        : 'S1CDMax=6 S1DSS=2 S1Fmt=1';
  const words = ste({
    Config: mode === 'S1' || mode === 'S2' ? mode : 'NESTED',
    S1ContextPtr: Number(one?.address ?? at.cd),
    STRW: stage1 === undefined || stage1.regime === 'EL1' ? 'NS_EL1' : 'NS_EL2',
    S2VMID: 7,
    S2AA64: true,
    S2R: true,
  });
  put(STE.fields, words, substreams);
  if (stage2 === undefined) return words;
  const { granule, tsz, sl0, ttb, psBits, ds, ha, hd, haft, affd, ptw, fwb, bigEndian } = stage2;
  const numbers = `S2T0SZ=${tsz} S2SL0=${sl0 % 4} S2SL0_2=${sl0 >> 2} S2TG=${CODES.TG0[granule]}
    S2PS=${sizeCode(psBits)} S2TTB=${ttb}`;
  const bits = {
    S2DS: ds,
    S2HA: ha,
    S2HD: hd,
    S2HAFT: haft,
    S2AFFD: affd,
    S2PTW: ptw,
    S2FWB: fwb,
    S2ENDI: bigEndian,
  };
  return put(STE.fields, words, `${numbers} ${flags(bits)}`);
}

function doublewords(words: Uint32Array): bigint[] {
  return [...new BigUint64Array(words.slice().buffer)];
}

/** What stands in memory before any walk: the STE, and the CD of a stream with stage 1 alone. */
function fixed(story: Story): Map<bigint, bigint> {
  const words = new Map<bigint, bigint>();
  const lay = (pa: number, values: readonly bigint[]) => {
    for (const [index, value] of values.entries()) words.set(BigInt(pa + 8 * index), value);
  };
  lay(at.strtab + SID * 64, doublewords(steOf(story)));
  if (story.mode === 'S1') lay(at.cd, doublewords(cdOf(story)));
  return words;
}

/** The words of a structure that a walk through stage 2 has found the place of. */
function structureWords(story: Story, name: 'L1CD' | 'CD'): readonly bigint[] {
  if (name === 'CD') return doublewords(cdOf(story));
  const address = story.context.structures.find(({ structure }) => structure === 'CD')?.address;
  return doublewords(put(L1CD.fields, new Uint32Array(2), `V=1 L2Ptr=${address}`));
}

interface Told {
  readonly answer: Record<string, unknown>;
  readonly writes: readonly string[];
}

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
const page = (value: bigint): bigint => value - (value % 4096n);

/** The reference's outcome in the words of a record. */
function expectedOf(outcome: Outcome, access: Access): Told {
  const writes = outcome.writes.map((each) => `${hex(each.pa)}: ${hex(each.old)} > ${hex(each.value)}`);
  if (!('record' in outcome)) return { answer: { pa: hex(outcome.pa) }, writes };
  const { record, s2, ipa, ttrnw, fetchAddr } = outcome;
  if (record === 'F_CD_FETCH') return { answer: { record, FetchAddr: hex(fetchAddr ?? 0n) }, writes };
  const { write, exec, privileged, iova } = access;
  const answer = {
    record,
    S2: s2,
    CLASS: outcome.class,
    InputAddr: iova,
    RnW: !write,
    PnU: privileged,
    InD: exec && !write,
    ...(fetchAddr === undefined ? { IPA: hex(page(ipa ?? 0n)) } : { FetchAddr: hex(fetchAddr) }),
    ...(record === 'F_PERMISSION' ? { TTRnW: ttrnw ?? false } : {}),
  };
  return { answer, writes };
}

const FIELDS = ['S2', 'CLASS', 'InputAddr', 'RnW', 'PnU', 'InD', 'IPA', 'FetchAddr', 'TTRnW'] as const;

function recordOf(entry: Extract<Entry, { type: 'record.raised' }>): Record<string, unknown> {
  const { layout } = eventRecords[entry.record as EventRecordName];
  const fields = decode(layout, new Uint32Array(entry.words.slice().buffer)) as Record<string, unknown>;
  const shown = FIELDS.filter((name) => name in fields).map((name) => {
    const value = fields[name];
    return [name, name === 'IPA' || name === 'FetchAddr' ? hex(value as number) : value];
  });
  return { record: entry.record, ...Object.fromEntries(shown) };
}

/** What the machine answered, in the same words. */
function toldOf(entries: readonly Entry[]): Told {
  const writes = entries
    .filter((entry) => entry.type === 'memory.written')
    .map((entry) => `${hex(entry.pa)}: ${hex(entry.old)} > ${hex(entry.value)}`);
  for (const entry of entries) {
    if (entry.type === 'record.raised') return { answer: recordOf(entry), writes };
    if (entry.type === 'access.completed') return { answer: { pa: hex(entry.pa) }, writes };
    if (entry.type === 'access.terminated') return { answer: { pa: entry.reason.split(' ')[0] }, writes };
  }
  throw new Error('no answer');
}

/** Stage, level and address of each descriptor read, once each. */
function fetchedOf(entries: readonly Entry[]): readonly string[] {
  const all = entries
    .filter((entry) => entry.type === 'descriptor.fetched')
    .map(({ stage, level, pa }) => `${stage}/${level} ${pa.toString(16)}`);
  return [...new Set(all)];
}

/** A name for what happened, for the count of what was met. */
function nameOf({ mode }: Story, outcome: Outcome): string {
  const name = mode.startsWith('NESTED, ') ? 'S2' : mode;
  if (!('record' in outcome)) return `${name} ok${outcome.writes.length > 0 ? ' with updates' : ''}`;
  const stage = outcome.s2 === undefined ? '' : outcome.s2 ? ' s2' : ' s1';
  const way = outcome.ttrnw === undefined ? '' : outcome.ttrnw ? ' read' : ' write';
  return `${name} ${outcome.record}${stage} ${outcome.class ?? ''}${way}`.trim();
}

const MUST_MEET = `
  S1 ok with updates
  S2 ok
  S2 ok with updates
  S2 F_TRANSLATION s2 IN
  S2 F_ADDR_SIZE s2 IN
  S2 F_ADDR_SIZE s1 IN
  S2 F_ACCESS s2 IN
  S2 F_PERMISSION s2 IN
  S2 F_WALK_EABT s2 IN
  NESTED ok
  NESTED ok with updates
  NESTED F_TRANSLATION s1 IN
  NESTED F_TRANSLATION s2 IN
  NESTED F_TRANSLATION s2 TT
  NESTED F_TRANSLATION s2 CD
  NESTED F_ADDR_SIZE s1 IN
  NESTED F_ADDR_SIZE s2 TT
  NESTED F_ACCESS s1 IN
  NESTED F_ACCESS s2 TT
  NESTED F_PERMISSION s1 IN
  NESTED F_PERMISSION s2 IN
  NESTED F_PERMISSION s2 TT read
  NESTED F_PERMISSION s2 TT write
  NESTED F_PERMISSION s2 CD
  NESTED F_WALK_EABT s1 TT
  NESTED F_WALK_EABT s2 TT
  NESTED F_CD_FETCH
`
  .split('\n')
  .map((line) => line.trim())
  .filter((line) => line !== '');

/** How the machine caches. */
const caching = fc.record({
  capacity: fc.constantFrom(0, 3, 'unbounded' as const, 'unbounded' as const),
  combinedEntries: fc.boolean(),
  cacheRefusedLeaf: fc.boolean(),
});
type Caching = typeof caching extends fc.Arbitrary<infer T> ? T : never;

/** Runs one story on both; returns the names of what was met. */
function hold(
  story: Story,
  memory: Growing,
  asked: readonly Access[],
  { capacity: chosen, ...choices }: Caching,
): readonly string[] {
  const expected = asked.map((access) => {
    memory.restart();
    const outcome = translate(story.context, access, memory);
    return { access, outcome, fetched: memory.fetched };
  });
  if (memory.overlap === 'spoiled') return [];
  const capacity = memory.overlap === 'none' ? chosen : 0;
  const caches = { ste: capacity, cd: capacity, tlb: capacity, walk: capacity } as const;
  const config = machine({ ram: RAM, schedule: 'manual' }, { idr: idrOf(story), caches, choices });
  const state = reset(config);
  Object.assign(state.smmus['smmu0']!.regs, {
    CR0: 1,
    CR0ACK: 1,
    CR2: story.context.stage1?.regime === 'EL2_E2H' ? 3 : 2,
    STRTAB_BASE: at.strtab,
    STRTAB_BASE_CFG: 8,
  });
  const session = openSession(state);
  const rule = openWalkRule(config, state);
  for (const [pa, value] of memory.first) session.step(store(Number(pa), value));
  for (const [index, { access, outcome, fetched }] of expected.entries()) {
    const { iova, write, exec, privileged } = access;
    const dma = { type: 'dma', endpoint: 'dev0', size: 1, access: write ? 'write' : 'read' } as const;
    const entries = session.step({ ...dma, iova, exec, privileged });
    rule.take(entries);
    const told = { index, ...toldOf(entries), ...(capacity === 0 ? { fetched: fetchedOf(entries) } : {}) };
    const due = { index, ...expectedOf(outcome, access), ...(capacity === 0 ? { fetched } : {}) };
    expect(told).toEqual(due);
  }
  expect(rule.told()).toEqual([]);
  return expected.map(({ outcome }) => nameOf(story, outcome));
}

// A page of stage 1 that is writable-clean, in a table that stage 2 lets nobody write, onto a page that
// stage 2 lets nobody write: the update of the descriptor is refused first (7.3.22), cached or not.
const CLEAN_AND_READ_ONLY: Story = {
  mode: 'NESTED',
  trouble: 0,
  context: {
    oasBits: 48,
    xnx: true,
    structures: [{ structure: 'CD', address: 0x4000n }],
    stage1: {
      regime: 'EL1',
      halves: [halfAt(0x3000n, false), halfAt(0x3000n, true)],
      ipsBits: 48,
      oasBits: 48,
      ds: false,
      affd: false,
      wxn: false,
      pan: false,
      epan: false,
      ha: true,
      hd: true,
    },
    stage2: {
      granule: '4KB',
      tsz: 48,
      sl0: 3,
      ttb: 0x2000_0000n,
      psBits: 48,
      ds: false,
      ha: false,
      hd: false,
      haft: false,
      affd: false,
      ptw: false,
      fwb: false,
      bigEndian: false,
    },
  },
};
// IPA pages 3 (table), 4 (CD) and 7 (data) at PA 9000, c000 and b000; VA 2abc is at entry 2 of the table.
const CLEAN_AND_READ_ONLY_WORDS: ReadonlyMap<bigint, bigint> = new Map([
  [0x2000_0018n, 0x947fn],
  [0x2000_0020n, 0xc47fn],
  [0x2000_0038n, 0xb47fn],
  [0x9010n, 0x8_0000_0000_7fc3n],
]);

function halfAt(ttb: bigint, epd: boolean): Half {
  return { epd, tsz: 48, granule: '4KB', ttb, tbi: false, had: false, e0pd: false };
}

describe('stage 2 and both stages', () => {
  it.each([
    { capacity: 0, combinedEntries: true },
    { capacity: 'unbounded', combinedEntries: true },
    { capacity: 'unbounded', combinedEntries: false },
  ] as const)('agree on which of two refusals comes first: $capacity, $combinedEntries', (how) => {
    const story = CLEAN_AND_READ_ONLY;
    const words = new Map([...fixed(story), ...CLEAN_AND_READ_ONLY_WORDS]);
    const memory = growing(story, [], (name) => structureWords(story, name), words);
    const read = { iova: 0x2abcn, write: false, exec: false, privileged: false };
    const asked = [read, { ...read, write: true }];
    const met = hold(story, memory, asked, { ...how, cacheRefusedLeaf: true });
    expect(met).toEqual(['NESTED ok', 'NESTED F_PERMISSION s2 TT write']);
  });

  /** How often each outcome was met, over random stories. */
  function outcomesOf(parameters: { readonly numRuns: number; readonly seed?: number }): Map<string, number> {
    const met = new Map<string, number>();
    fc.assert(
      fc.property(
        stories,
        fc.array(plans, { minLength: 20, maxLength: 60 }),
        fc.array(accesses, { minLength: 3, maxLength: 7 }),
        caching,
        (story, drawn, wanted, how) => {
          const memory = growing(story, drawn, (name) => structureWords(story, name), fixed(story));
          for (const name of hold(story, memory, accessesOf(story, wanted), how))
            met.set(name, (met.get(name) ?? 0) + 1);
        },
      ),
      parameters,
    );
    return met;
  }

  const numRuns = Number(process.env['REFERENCE_RUNS'] ?? 500);
  it(
    'agree with the reference walker',
    () => {
      outcomesOf({ numRuns });
    },
    Math.max(60_000, numRuns * 50),
  );

  it('meet every outcome several times, on the way', { timeout: 120_000 }, () => {
    const met = outcomesOf({ numRuns: 1500, seed: 1 });
    expect(MUST_MEET.filter((name) => (met.get(name) ?? 0) < 3)).toEqual([]);
  });
});
