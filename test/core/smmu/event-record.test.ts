/**
 * The event record of each fault, all 256 bits (IHI 0070 7.3), and whether there is one: A, R and S
 * (3.12, 5.5). The expected words are encoded from the fields that 7.3 names for that fault.
 */
import { describe, expect, it } from 'vitest';
import { CD } from '../../../core/smmu/cd.ts';
import { type EventRecordName, encodeEventRecord } from '../../../core/smmu/event-record.ts';
import { STE } from '../../../core/smmu/ste.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  at,
  bringUp,
  cd,
  machine,
  map,
  PAGE_RW,
  SID,
  ste,
  store,
  storeWords,
  tables,
} from '../../support/build.ts';
import { on, type When } from '../../support/given.ts';
import { idr, pairs, put, table } from '../../support/tables.ts';

const FAR = 0x20_0000_0000n;

interface Case {
  readonly ste?: string;
  readonly cd?: string;
  readonly features?: string;
  readonly pte?: bigint;
  readonly more?: readonly Stimulus[];
  readonly access?: string;
}

/** One access of a stream whose STE, CD and level 3 descriptor are as said. */
function happen({
  ste: steFields = '',
  cd: cdFields = '',
  features = '',
  pte,
  more = [],
  access = '',
}: Case): When {
  const of = new Map(pairs(access));
  const setup = on(machine({}, { idr: idr(`TERM_MODEL=0 ${features}`) })).given(
    bringUp(),
    tables(),
    map(0x1000, at.data, pte ?? PAGE_RW),
    storeWords(at.strtab + SID * 64, put(STE.fields, ste(), steFields)),
    storeWords(at.cd, put(CD.fields, cd(), cdFields)),
    more,
  );
  return setup.when({
    type: 'dma',
    endpoint: 'dev0',
    iova: BigInt(of.get('iova') ?? 0x1abc),
    size: 4,
    access: of.has('write') ? 'write' : 'read',
    exec: of.has('exec'),
    privileged: of.has('priv'),
    ...(of.has('ssid') ? { ssid: Number(of.get('ssid')) } : {}),
  });
}

const READ = { StreamID: SID, RnW: true, CLASS: 'IN', InputAddr: 0x1abcn };
const WRITE = { ...READ, RnW: false };
const farStore = (pa: number): Stimulus => store(pa, FAR | 3n);

const cases: readonly (readonly [what: string, how: Case, record: EventRecordName, fields: object])[] = [
  ['an STE with V=0', { ste: 'V=0' }, 'C_BAD_STE', { StreamID: SID }],
  [
    'the same with a SubstreamID',
    { ste: 'V=0', access: 'ssid=5' },
    'C_BAD_STE',
    { SSV: true, SubstreamID: 5, StreamID: SID },
  ],
  [
    'a SubstreamID without substreams',
    { access: 'ssid=5' },
    'C_BAD_SUBSTREAMID',
    { SubstreamID: 5, StreamID: SID },
  ],
  [
    'an L1CD with V=0, no SubstreamID',
    { ste: 'S1Fmt=1 S1CDMax=10 S1DSS=2', more: [store(at.cd, 0)] },
    'C_BAD_SUBSTREAMID',
    { StreamID: SID },
  ],
  ['S1DSS=0 without a SubstreamID', { ste: 'S1CDMax=4' }, 'F_STREAM_DISABLED', { StreamID: SID }],
  [
    'S1DSS=2 with SubstreamID 0',
    { ste: 'S1CDMax=4 S1DSS=2', access: 'ssid=0' },
    'F_STREAM_DISABLED',
    { StreamID: SID },
  ],
  [
    'a CD outside RAM',
    { ste: `S1ContextPtr=${FAR}` },
    'F_CD_FETCH',
    { StreamID: SID, FetchAddr: Number(FAR) },
  ],
  ['a CD with V=0', { cd: 'V=0' }, 'C_BAD_CD', { StreamID: SID }],
  [
    'a table outside RAM',
    { more: [farStore(at.table + 0x2000)] },
    'F_WALK_EABT',
    { ...READ, CLASS: 'TT', FetchAddr: Number(FAR) + 8 },
  ],
  [
    'the same for a write',
    { more: [farStore(at.table + 0x2000)], access: 'write' },
    'F_WALK_EABT',
    { ...WRITE, CLASS: 'TT', FetchAddr: Number(FAR) + 8 },
  ],
  ['an invalid descriptor', { pte: 0n }, 'F_TRANSLATION', READ],
  [
    'the same for a privileged write',
    { pte: 0n, access: 'write priv' },
    'F_TRANSLATION',
    { ...WRITE, PnU: true },
  ],
  ['the same for an instruction fetch', { pte: 0n, access: 'exec' }, 'F_TRANSLATION', { ...READ, InD: true }],
  [
    'a write is data, whatever the device says (13.1.2)',
    { pte: 0n, access: 'write exec' },
    'F_TRANSLATION',
    WRITE,
  ],
  [
    'PRIVCFG, as the STE overrides it',
    { pte: 0n, ste: 'PRIVCFG=PRIVILEGED' },
    'F_TRANSLATION',
    { ...READ, PnU: true },
  ],
  ['PRIVCFG the other way', { pte: 0n, ste: 'PRIVCFG=UNPRIVILEGED', access: 'priv' }, 'F_TRANSLATION', READ],
  [
    'INSTCFG, as the STE overrides it',
    { pte: 0n, ste: 'INSTCFG=INSTRUCTION' },
    'F_TRANSLATION',
    { ...READ, InD: true },
  ],
  [
    'INSTCFG, for reads only',
    { pte: 0n, ste: 'INSTCFG=INSTRUCTION', access: 'write' },
    'F_TRANSLATION',
    WRITE,
  ],
  ['INSTCFG the other way', { pte: 0n, ste: 'INSTCFG=DATA', access: 'exec' }, 'F_TRANSLATION', READ],
  [
    'overrides that IDR1 does not have',
    { pte: 0n, ste: 'PRIVCFG=PRIVILEGED INSTCFG=INSTRUCTION', features: 'ATTR_PERMS_OVR=0' },
    'F_TRANSLATION',
    READ,
  ],
  [
    'an address out of range, before TBI masks it',
    { cd: 'TBI0=1', access: 'iova=0x5a7f000000001abc', more: [store(at.table + 0xff * 8, 0)] },
    'F_TRANSLATION',
    { ...READ, InputAddr: 0x5a7f_0000_0000_1abcn },
  ],
  [
    'EPD1',
    { access: 'iova=0xffff000000001000' },
    'F_TRANSLATION',
    { ...READ, InputAddr: 0xffff_0000_0000_1000n },
  ],
  ['E0PD0', { cd: 'E0PD0=1' }, 'F_TRANSLATION', READ],
  ['an output beyond IPS', { cd: 'IPS=0', pte: PAGE_RW | (1n << 32n) }, 'F_ADDR_SIZE', READ],
  [
    'a bypass beyond OAS',
    { ste: 'Config=BYPASS', access: 'iova=0x1000000000000 write' },
    'F_ADDR_SIZE',
    { ...WRITE, InputAddr: 0x1_0000_0000_0000n },
  ],
  [
    'AF=0',
    {
      pte: PAGE_RW & ~(1n << 10n),
      access: 'write ssid=3',
      ste: 'S1CDMax=2',
      more: [storeWords(at.cd + 3 * 64, cd())],
    },
    'F_ACCESS',
    { ...WRITE, SSV: true, SubstreamID: 3 },
  ],
  ['a write to a read-only page', { pte: PAGE_RW | (1n << 7n), access: 'write' }, 'F_PERMISSION', WRITE],
];

describe('the record of', () => {
  it.each(cases)('%s', (_, how, record, fields) => {
    const answer = happen(how);
    const raised = answer.of('record.raised');
    expect(raised.map((each) => each.record)).toEqual([record]);
    const words = new Uint32Array(raised[0]!.words.slice().buffer);
    expect([...words]).toEqual([...encodeEventRecord(record, fields)]);
    answer.then(
      { type: 'record.raised', record },
      { type: 'access.terminated', result: 'abort' },
      { type: 'record.written', record, index: 0, pa: at.evtq },
    );
    // The words stand in the queue as they were raised.
    expect([...answer.state.memory.readWords(at.evtq, 8)]).toEqual([...words]);
    expect(answer.outcome['event']).toBe(record);
  });
});

describe('A, R and S of a stage 1 fault (5.5)', () => {
  const rows = table<'A' | 'R' | 'S' | 'client' | 'record'>(`
    A | R | S | client | record
    0 | 0 | 0 | raz-wi | none
    0 | 1 | 0 | raz-wi | Stall=0
    1 | 0 | 0 | abort  | none
    1 | 1 | 0 | abort  | Stall=0
    0 | 0 | 1 | stall  | Stall=1
    1 | 1 | 1 | stall  | Stall=1
  `);
  const faults: readonly (readonly [string, Case])[] = [
    ['F_TRANSLATION', { pte: 0n }],
    ['F_ADDR_SIZE', { pte: PAGE_RW | (1n << 47n) }],
    ['F_ACCESS', { pte: PAGE_RW & ~(1n << 10n) }],
    ['F_PERMISSION', { pte: PAGE_RW & ~(1n << 6n) }],
  ];
  describe.each(faults)('%s', (record, how) => {
    it.each(rows)('A=$A R=$R S=$S: $client, record $record', ({ A, R, S, client, record: expected }) => {
      const answer = happen({ ...how, cd: `A=${A} R=${R} S=${S} IPS=4`, features: 'STALL_MODEL=0' });
      if (client === 'stall') answer.then({ type: 'access.stalled' }).thenNo('access.terminated');
      else answer.then({ type: 'access.terminated', result: client }).thenNo('access.stalled');
      const raised = answer.of('record.raised');
      expect(raised.map((each) => each.record)).toEqual(expected === 'none' ? [] : [record]);
      if (expected === 'none') return;
      expect((raised[0]!.words[11]! & 0x80) !== 0).toBe(expected === 'Stall=1');
    });
  });

  it('do not matter to anything else: abort and record', () => {
    for (const how of [{ more: [farStore(at.table + 0x2000)] }, { ste: 'S1CDMax=4' }]) {
      const answer = happen({ ...how, cd: 'A=0 R=0' });
      answer.then({ type: 'record.raised' }, { type: 'access.terminated', result: 'abort' });
    }
  });

  it('a RAZ/WI access goes on past the bad page, and reads zero there', () => {
    const answer = on(machine({}, { idr: idr('') })).given(
      bringUp(),
      tables(),
      map(0x2000, at.data),
      store(at.data, 0x1122_3344_5566_7788n),
      storeWords(at.cd, put(CD.fields, cd(), 'A=0 R=0')),
    );
    answer
      .when({ type: 'dma', endpoint: 'dev0', iova: 0x1ffcn, size: 8, access: 'read' })
      .then(
        { type: 'access.terminated', result: 'raz-wi', iova: 0x1ffcn, size: 4 },
        { type: 'access.completed', iova: 0x2000n },
      )
      .thenOutcome({ result: 'ok' });
  });

  it('an abort ends the transaction at the bad page; what came before stands', () => {
    const data = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
    const answer = on(machine({}, { idr: idr('') }))
      .given(bringUp(), tables(), map(0x1000, at.data))
      .when({ type: 'dma', endpoint: 'dev0', iova: 0x1ffcn, size: 8, access: 'write', data });
    answer.then(
      { type: 'access.completed', size: 4 },
      { type: 'access.terminated', result: 'abort', iova: 0x2000n },
    );
    expect(answer.state.memory.read64(at.data + 0xff8)).toBe(0x0403_0201_0000_0000n);
  });
});
