/**
 * The n-th access of the SMMU to memory aborts, for every n: a story with two-level tables, hardware updates of
 * descriptors at both stages, records, Page Requests, commands and MSIs is told once, and then again for each of
 * its accesses, which aborts that one time. Each time the record, CERROR or GERROR of that access comes, to the bit
 * (IHI 0070 3.18, 7.1, 7.2.2, 7.3.4, 7.3.10, 7.3.12, 8.2), and the SMMU goes on.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Entry } from '../../../core/event.ts';
import { Memory } from '../../../core/memory/memory.ts';
import { Simulation } from '../../../core/simulation.ts';
import { type EventRecordName, encodeEventRecord } from '../../../core/smmu/event-record.ts';
import { gerrorBits } from '../../../core/smmu/gerror.ts';
import type { Ste } from '../../../core/smmu/ste.ts';
import type { State } from '../../../core/state.ts';
import type { Stimulus, StimulusOf } from '../../../core/stimulus.ts';
import {
  at,
  bringUp,
  cd,
  command,
  dma,
  issue,
  map,
  PAGE_RW,
  reset,
  SID,
  ste,
  store,
  storeWords,
  tables,
  write,
} from '../../support/build.ts';
import { PRIQ } from '../../support/endpoints.ts';
import { GUEST, inGuest, nestedMachine, S2_RW, s2Map, s2Tables, stage2Fields } from '../../support/nested.ts';
import { idr } from '../../support/tables.ts';

const STES = 0x6_0000;
const CDS = 0x7_0000;
const SSID = 70;
/** Where the messages of each source go. */
const MSI = { GERROR: 0x8_0000, EVENTQ: 0x8_0010, PRIQ: 0x8_0020, CMD_SYNC: 0x8_0030 } as const;
const PROD = 3;

type Mode = 'S1' | 'S2' | 'NESTED';

/** Writable, not yet written to and not yet accessed: hardware sets both. */
const CLEAN = (PAGE_RW | (1n << 7n) | (1n << 51n)) & ~(1n << 10n);
const S2_CLEAN = (S2_RW | (1n << 51n)) & ~(1n << 7n) & ~(1n << 10n);

function setup(mode: Mode): Stimulus[] {
  const stage1: Partial<Ste> = { S1Fmt: 'TWO_LEVEL_4K', S1CDMax: 10, S1ContextPtr: at.cd };
  const stage2: Partial<Ste> = mode === 'S1' ? {} : { ...stage2Fields, S2HA: true, S2HD: true };
  const ofGuest: Stimulus[] = [
    store(at.cd + 8, BigInt(CDS) | 1n),
    storeWords(CDS + (SSID - 64) * 64, cd({ HA: true, HD: true })),
    ...tables(),
    map(0x1000, at.data, CLEAN),
  ];
  const sync = command('CMD_SYNC', { CS: 'SIG_IRQ', MSIAddress: BigInt(MSI.CMD_SYNC), MSIData: 0x51 });
  return [
    ...bringUp().map((each) =>
      each.type === 'mmio.write' && each.offset === 0x88 ? write('STRTAB_BASE_CFG', 0x1_0188) : each,
    ),
    store(at.strtab, BigInt(STES) | 7n),
    storeWords(STES + SID * 64, ste({ ...stage1, ...stage2, Config: mode })),
    ...s2Tables(32),
    s2Map(at.data, GUEST + at.data, S2_CLEAN),
    s2Map(0x1000, GUEST + 0x1000, S2_CLEAN),
    s2Map(0x3000, 0, 0n),
    ...ofGuest.map(mode === 'NESTED' ? inGuest : (each) => each),
    write('PRIQ_BASE', BigInt(PRIQ) | 2n),
    write('PRIQ_PROD', 0),
    write('PRIQ_CONS', 0),
    write('IRQ_CTRL', 0),
    ...(['GERROR', 'EVENTQ', 'PRIQ'] as const).flatMap((source) => [
      write(`${source}_IRQ_CFG0`, MSI[source]),
      write(`${source}_IRQ_CFG1`, 0x40 + MSI[source]),
    ]),
    write('IRQ_CTRL', 7),
    write('CR0', 0xf),
    ...issue(0, command('CMD_TLBI_NH_ALL'), command('CMD_CFGI_STE', { StreamID: SID }), sync).slice(0, -1),
  ];
}

const DATA = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
const request: StimulusOf<'pri.request'> = {
  type: 'pri.request',
  endpoint: 'dev0',
  iova: 0x3000n,
  access: 'read',
  prgIndex: 1,
  last: true,
};

function story(mode: Mode): readonly Stimulus[] {
  const more = mode === 'S2' ? {} : { ssid: SSID };
  return [
    { ...dma(0x1000, 'write'), ...more, data: DATA } as Stimulus,
    { ...dma(0x1008), ...more } as Stimulus,
    { ...dma(0x3000), ...more } as Stimulus,
    request,
    write('CMDQ_PROD', PROD),
  ];
}

const originalIsRam = Memory.prototype.isRam;
afterEach(() => vi.restoreAllMocks());

/**
 * Counts the accesses, and lets number `abortAt` (from 0) abort. Asking twice in a row about one place is one access.
 */
function watchMemory(abortAt: number): readonly number[] {
  const places: number[] = [];
  vi.spyOn(Memory.prototype, 'isRam').mockImplementation(function (this: Memory, pa: number, size: number) {
    if (places.at(-1) !== pa) places.push(pa);
    return places.length - 1 !== abortAt && originalIsRam.call(this, pa, size);
  });
  return places;
}

interface Told {
  readonly entries: readonly Entry[];
  readonly places: readonly number[];
  readonly simulation: Simulation;
}

function tell(base: State, mode: Mode, abortAt: number): Told {
  const simulation = new Simulation(base);
  const entries: Entry[] = [];
  simulation.entries$.subscribe((more) => entries.push(...more));
  const places = watchMemory(abortAt);
  for (const stimulus of story(mode)) simulation.dispatch(stimulus);
  vi.restoreAllMocks();
  return { entries, places, simulation };
}

interface Access {
  readonly what: string;
  readonly pa: number;
  /** The access of the device that it was for. */
  readonly dma: Extract<Entry, { type: 'dma' }> | undefined;
  /** What an abort is told of as. */
  readonly record?: EventRecordName;
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** The accesses that a log tells of, in order. */
function accessesOf(entries: readonly Entry[]): readonly Access[] {
  let latest: Extract<Entry, { type: 'dma' }> | undefined;
  const found: Access[] = [];
  for (const [index, entry] of entries.entries()) {
    if (entry.type === 'dma') latest = entry;
    const access = accessOf(entry, entries.slice(index + 1));
    if (access !== undefined) found.push({ ...access, dma: latest });
  }
  return found;
}

function accessOf(entry: Entry, later: readonly Entry[]): Omit<Access, 'dma'> | undefined {
  switch (entry.type) {
    case 'structure.fetched': {
      const { structure: what, pa } = entry;
      return {
        what,
        pa,
        record: what.includes('CD') ? 'F_CD_FETCH' : 'F_STE_FETCH',
        fields: { FetchAddr: pa },
      };
    }
    case 'descriptor.fetched': {
      const { stage, level, pa } = entry;
      const fields = { FetchAddr: pa, S2: stage === 2, CLASS: stage === 1 ? 'TT' : purpose(later) };
      return { what: `stage ${stage} level ${level}, ${fields.CLASS}`, pa, record: 'F_WALK_EABT', fields };
    }
    case 'command.fetched':
      return { what: 'command', pa: at.cmdq + entry.index * 16 };
    case 'record.written':
      return { what: 'record', pa: entry.pa };
    case 'page.queued':
      return { what: 'page request', pa: entry.pa };
    case 'msi.sent':
      return { what: `MSI of ${entry.source}`, pa: entry.pa };
    case 'access.completed':
      return { what: 'data', pa: entry.pa };
    default:
      return undefined;
  }
}

/** What a stage 2 walk is for: what comes next and is not of stage 2 tells. */
function purpose(later: readonly Entry[]): string {
  for (const entry of later) {
    if (entry.type === 'structure.fetched') return 'CD';
    if (entry.type === 'descriptor.fetched' && entry.stage === 1) return 'TT';
    // The update of a stage 1 descriptor is a write through stage 2.
    if (entry.type === 'memory.written' && entry.actor === 'smmu0' && entry.pa >= GUEST) return 'TT';
    if (/^(access|record)\./.test(entry.type)) break;
  }
  return 'IN';
}

const UNBOUNDED = { ste: 'unbounded', cd: 'unbounded', tlb: 'unbounded', walk: 'unbounded' } as const;
const NONE = { ste: 0, cd: 0, tlb: 0, walk: 0 } as const;
const endpoint = {
  name: 'dev0',
  smmu: 'smmu0',
  streamId: SID,
  ats: true,
  pri: true,
  ssidBits: 20,
  atc: 0,
} as const;

const worlds = (['S1', 'S2', 'NESTED'] as const).flatMap((mode) =>
  [UNBOUNDED, NONE].map((caches) => {
    const features = idr('S2P=1 VMID16=1 HTTU=2 XNX=1 RIL=1 ATS=1 PRI=1 PRIQS=8 MSI=1');
    const simulation = new Simulation(
      reset(nestedMachine({ endpoints: [endpoint] }, { idr: features, caches })),
    );
    for (const each of setup(mode)) simulation.dispatch(each);
    const base = simulation.state;
    const told = tell(base, mode, -1);
    return { mode, cached: caches === UNBOUNDED ? 'with caches' : 'without caches', base, told };
  }),
);

const smmuOf = (simulation: Simulation) => simulation.state.smmus['smmu0']!;
const has = (entries: readonly Entry[], fields: object): boolean =>
  entries.some((entry) =>
    Object.entries(fields).every(([name, value]) => Object.is((entry as never)[name], value)),
  );

/** The global error became active, and its message was sent. */
function expectGerror({ entries, simulation }: Told, name: keyof typeof gerrorBits): void {
  expect(smmuOf(simulation).regs['GERROR']).toBe(gerrorBits[name]);
  expect(has(entries, { type: 'interrupt.raised', source: 'GERROR' })).toBe(true);
  expect(simulation.state.memory.read32(MSI.GERROR)).toBe(0x40 + MSI.GERROR);
}

/** Software has seen the error. */
function acknowledge({ simulation }: Told): void {
  simulation.dispatch(write('GERRORN', smmuOf(simulation).regs['GERROR'] ?? 0));
}

function expectRecord({ entries }: Told, { record, fields, dma: asked }: Access): void {
  const common = { SSV: asked?.ssid !== undefined, SubstreamID: asked?.ssid ?? 0, StreamID: SID };
  const ofAccess = { RnW: asked?.access === 'read', InputAddr: asked?.iova };
  const expected = { ...common, ...(record === 'F_WALK_EABT' ? ofAccess : {}), ...fields };
  const words = [...encodeEventRecord(record!, expected as never)];
  const raised = entries.filter((entry) => entry.type === 'record.raised' && entry.record === record);
  expect(
    raised.map((entry) => [...new Uint32Array((entry as { words: Uint8Array }).words.slice().buffer)]),
  ).toEqual([words]);
  expect(has(entries, { type: 'fetch.aborted', pa: fields?.['FetchAddr'] })).toBe(true);
  expect(has(entries, { type: 'access.terminated', iova: asked?.iova, result: 'abort' })).toBe(true);
  expect(has(entries, { type: 'record.written', record })).toBe(true);
}

/** What an abort of each kind of access without a record leads to. */
const consequences: Readonly<Record<string, (again: Told, access: Access) => void>> = {
  command: (again) => {
    expect(has(again.entries, { type: 'command.rejected', error: 'CERROR_ABT' })).toBe(true);
    expectGerror(again, 'CMDQ_ERR');
    expect(has(again.entries, { type: 'sync.completed' })).toBe(false);
    const more: Entry[] = [];
    again.simulation.entries$.subscribe((entries) => more.push(...entries));
    acknowledge(again);
    expect(has(more, { type: 'sync.completed' })).toBe(true);
  },
  record: (again) => {
    expect(has(again.entries, { type: 'record.dropped', record: 'F_TRANSLATION' })).toBe(true);
    expect(smmuOf(again.simulation).regs['EVENTQ_PROD']).toBe(0);
    expectGerror(again, 'EVENTQ_ABT_ERR');
    acknowledge(again);
    again.simulation.dispatch(dma(0x3000));
    expect(smmuOf(again.simulation).regs['EVENTQ_PROD']).toBe(1);
  },
  'page request': (again) => {
    expect(has(again.entries, { type: 'page.dropped', prgIndex: 1 })).toBe(true);
    expect(has(again.entries, { type: 'page.responded', response: 'RESPONSE_FAILURE' })).toBe(true);
    expect(smmuOf(again.simulation).regs['PRIQ_PROD']).toBe(0);
    expectGerror(again, 'PRIQ_ABT_ERR');
    acknowledge(again);
    again.simulation.dispatch(request);
    expect(smmuOf(again.simulation).regs['PRIQ_PROD']).toBe(1);
  },
  'MSI of EVENTQ': (again) => expectGerror(again, 'MSI_EVENTQ_ABT_ERR'),
  'MSI of PRIQ': (again) => expectGerror(again, 'MSI_PRIQ_ABT_ERR'),
  'MSI of CMD_SYNC': (again) => expectGerror(again, 'MSI_CMDQ_ABT_ERR'),
  data: ({ entries }, { dma: asked }) => {
    expect(has(entries, { type: 'access.terminated', iova: asked?.iova, result: 'bus-error' })).toBe(true);
  },
};

describe.each(worlds)('$mode, $cached', ({ mode, cached, base, told }) => {
  const accesses = accessesOf(told.entries);

  it('tells of every access to memory, in order', () => {
    expect(accesses.map(({ pa }) => pa)).toEqual(told.places);
    const kinds = new Set(accesses.map(({ what }) => what.replace(/ level .*,/, ',')));
    const walked = {
      S1: ['stage 1, TT'],
      S2: ['stage 2, IN'],
      NESTED: ['stage 1, TT', 'stage 2, CD', 'stage 2, TT', 'stage 2, IN'],
    };
    const structures = mode === 'S2' ? ['L1STD', 'STE'] : ['L1STD', 'STE', 'L1CD', 'CD'];
    expect([...kinds].sort()).toEqual([...structures, ...walked[mode], ...Object.keys(consequences)].sort());
  });

  it('marks the page accessed and dirty, and everything goes well', () => {
    const { entries, simulation } = told;
    const updates = entries.filter((entry) => entry.type === 'memory.written' && entry.actor === 'smmu0');
    expect(updates.length).toBeGreaterThanOrEqual(mode === 'NESTED' ? 2 : 1);
    expect(entries.filter(({ type }) => type === 'access.completed')).toHaveLength(2);
    expect(has(entries, { type: 'page.queued' }) && has(entries, { type: 'sync.completed' })).toBe(true);
    expect(smmuOf(simulation).regs['GERROR']).toBe(0);
  });

  it.each(accesses.map((access, n) => [n, access.what, access] as const))(
    `access %i aborts: %s (${cached})`,
    (n, what, access) => {
      const again = tell(base, mode, n);
      if (access.record !== undefined) expectRecord(again, access);
      else consequences[what]!(again, access);
      // Nothing that aborted is cached, and no part of the SMMU waits for ever.
      const { entries, simulation } = again;
      const aborted = entries.find(({ type }) => type === 'fetch.aborted');
      const at = aborted === undefined ? -1 : entries.indexOf(aborted);
      const reason = entries.findIndex((entry, index) => index > at && entry.type === 'access.terminated');
      const between = at < 0 ? [] : entries.slice(at, reason);
      expect(between.filter(({ type }) => type === 'config.filled' || type === 'tlb.filled')).toEqual([]);
      const { inFlight, records, stalls, pageRequests } = smmuOf(simulation);
      expect([inFlight.length, records.length, stalls.length, pageRequests.length]).toEqual([0, 0, 0, 0]);
      if (access.record !== undefined) expect(has(entries, { type: 'sync.completed' })).toBe(true);
    },
  );
});

describe('an MSI of GERROR that aborts', () => {
  it('activates its own error, which is told of by no interrupt (7.5.1)', () => {
    const { base, mode, told } = worlds[0]!;
    const accesses = accessesOf(told.entries);
    const simulation = new Simulation(base);
    for (const each of [
      write('IRQ_CTRL', 0),
      write('GERROR_IRQ_CFG0', 0x20_0000_0000n),
      write('IRQ_CTRL', 7),
    ])
      simulation.dispatch(each);
    const again = tell(
      simulation.state,
      mode,
      accesses.findIndex(({ what }) => what === 'command'),
    );
    expect(smmuOf(again.simulation).regs['GERROR']).toBe(gerrorBits.CMDQ_ERR | gerrorBits.MSI_GERROR_ABT_ERR);
    expect(
      again.entries.filter((entry) => entry.type === 'interrupt.raised' && entry.source === 'GERROR'),
    ).toHaveLength(1);
  });
});
