/**
 * Accesses of devices: what served one, what allowed it, what has changed since it was read, and what refused
 * one. IHI 0070 3.4 and 7.3 for the order; the facts are the entries that the access names.
 */
import type { Entry, EntryOf } from '../../../core/event.ts';
import { decode } from '../../../core/layout/layout.ts';
import { showAttributes } from '../../../core/smmu/attributes.ts';
import { CD } from '../../../core/smmu/cd.ts';
import { type EventRecordName, eventRecords } from '../../../core/smmu/event-record.ts';
import { STE, steConfig } from '../../../core/smmu/ste.ts';
import { restsOn, walkOf } from './fills.ts';
import { type Evidence, fact, type Reason, type Rows } from './reason.ts';
import { type Fill, isFill, survived } from './removal.ts';

type Completed = EntryOf<'access.completed'>;
type Refused = EntryOf<'access.terminated'> | EntryOf<'access.stalled'>;

export const accessRows: Rows = {
  dma: { cite: 'IHI 0070 3.4', below: followed },
  'ats.translate': { cite: 'IHI 0070 3.9', below: followed },
  'pri.request': { cite: 'IHI 0070 8.1', below: followed },
  'access.completed': { cite: 'IHI 0070 3.4', below: completed },
  'access.terminated': { cite: 'IHI 0070 3.12', below: refused },
  'access.stalled': { cite: 'IHI 0070 3.12.2', below: refused },
  'stall.ended': { cite: 'IHI 0070 3.12.2', below: (e, evidence) => evidence.because('stalled', e.stalled) },
  'stall.decided': {
    cite: 'IHI 0070 4.7',
    below: (e, evidence) => e.stalled.flatMap((seq) => evidence.because('stalled', seq)),
  },
};

const OUTCOMES = /^(access\.|ats\.answered|page\.requested|request\.withheld)/;

/** A request of a device is explained by how it ended. */
function followed(e: Entry, evidence: Evidence): readonly Reason[] {
  const ends = evidence.step(e).filter(({ type }) => OUTCOMES.test(type));
  return ends.flatMap(({ seq }) => evidence.because('ended', seq));
}

function completed(e: Completed, evidence: Evidence): readonly Reason[] {
  return [...changedSince(e, evidence), ...allowedBy(e, evidence)];
}

/** Why the access did not fault: what served it, or the bits that let it through untranslated. */
export function allowedBy(e: Completed, evidence: Evidence): readonly Reason[] {
  if (e.via === 'bypass') return bypassed(e, evidence);
  if (e.via === 'translated') return untouched(e, evidence);
  const served = e.via === 'walk' ? 'walked, and filled' : 'served by';
  return [...permitted(e, evidence), ...restsOn(e, evidence, served), ...walked(e, evidence)];
}

function permitted({ tlb, seq, access }: Completed, evidence: Evidence): readonly Reason[] {
  const fill = tlb === 0 ? undefined : evidence.entry(tlb);
  if (fill?.type !== 'tlb.filled') return [];
  const what = `a ${access}: the entry @${tlb} holds ${showAttributes(fill.attributes)}`;
  return [fact(seq, 'permitted', what, 'IHI 0070 13.4')];
}

/** Without a cached entry the access itself read the descriptors. */
function walked(e: Completed | Refused, evidence: Evidence): readonly Reason[] {
  if (e.tlb !== 0) return [];
  const read = evidence.step(e).filter((each) => each.type === 'descriptor.fetched' && each.seq < e.seq);
  return read
    .slice(-LEVELS_MAX)
    .reverse()
    .flatMap(({ seq }) => evidence.because('walked', seq));
}

const LEVELS_MAX = 8;

/** SMMUEN=0 with GBPA.ABORT=0 (3.11), or what the STE says (5.2). */
function bypassed(e: Completed, evidence: Evidence): readonly Reason[] {
  const before = e.seq - 1;
  const regs = evidence.state(before).smmus[e.smmu]?.regs ?? {};
  if (((regs['CR0'] ?? 0) & (regs['CR0ACK'] ?? 0) & 1) === 0) {
    return [
      fact(before, 'allowed', 'SMMUEN=0 and GBPA.ABORT=0: it passes untranslated', 'IHI 0070 3.11'),
      ...evidence.setTo('CR0', e.smmu, 'CR0', before),
      ...evidence.setTo('GBPA', e.smmu, 'GBPA', before),
    ];
  }
  const ste = e.ste === 0 ? undefined : evidence.entry(e.ste);
  if (ste?.type !== 'config.filled') return restsOn(e, evidence);
  const fields = decode(STE, wordsOf(ste.words));
  const config = steConfig(fields);
  const what =
    config === 'BYPASS'
      ? 'STE.Config=BYPASS: neither stage translates'
      : `STE.Config=${config} with S1DSS=${fields.S1DSS}, and no SubstreamID`;
  return [fact(before, 'allowed', what, 'IHI 0070 5.2'), ...evidence.because('STE', e.ste)];
}

/** A Translated transaction with an address of the device's own (3.9.1.3). */
function untouched(e: Completed, evidence: Evidence): readonly Reason[] {
  const ack = evidence.state(e.seq - 1).smmus[e.smmu]?.regs['CR0ACK'] ?? 0;
  const checked = (ack & 16) !== 0;
  const what = checked
    ? 'a Translated transaction, which CR0.ATSCHK=1 checked against STE.EATS'
    : 'a Translated transaction, and CR0.ATSCHK=0 lets it pass unchecked';
  return [fact(e.seq, 'allowed', what, 'IHI 0070 3.9.1.3'), ...restsOn(e, evidence)];
}

/** What was cached and is not what memory says any more, with what did not remove it. */
function changedSince(e: Completed, evidence: Evidence): readonly Reason[] {
  return [e.tlb, e.tlb2 ?? 0, e.cd, e.ste].flatMap((seq) => {
    const fill = seq === 0 || seq > e.cause ? undefined : evidence.entry(seq);
    return fill !== undefined && isFill(fill) ? staleSince(fill, e.seq - 1, evidence) : [];
  });
}

/** The first store after the fill that changed what it was filled from, and why the entry outlived it. */
export function staleSince(fill: Fill, until: number, evidence: Evidence): readonly Reason[] {
  for (const { pa, size, read } of sourcesOf(fill, evidence)) {
    const [first, ...later] = evidence.storesSince(pa, size, read, until);
    if (first === undefined) continue;
    const rest = later.at(-1);
    return [
      ...evidence.because(`changed since entry @${fill.seq} was filled`, first.seq),
      ...(rest === undefined ? [] : evidence.because('and last', rest.seq)),
      ...survived(fill, first.seq, until, evidence),
    ];
  }
  return [];
}

/** The memory that a fill was read from, and when. */
function sourcesOf(
  fill: Fill,
  evidence: Evidence,
): readonly { readonly pa: number; readonly size: number; readonly read: number }[] {
  const place = (pa: number): number => evidence.place(fill.smmu, pa, fill.seq);
  if (fill.type === 'config.filled') return [{ pa: place(fill.pa), size: fill.words.length, read: fill.seq }];
  const walk = walkOf(fill, evidence);
  if (walk.length === 0) return [{ pa: place(fill.descriptorPa), size: 8, read: fill.seq }];
  return walk.map(({ pa, seq }) => ({ pa: place(pa), size: 8, read: seq }));
}

function refused(e: Refused, evidence: Evidence): readonly Reason[] {
  const record = /^([CF]_[A-Z_]+):/.exec(e.reason)?.[1];
  const why = fact(e.seq, 'because', e.reason, citeOf(record));
  return [
    why,
    ...failedOn(e, evidence),
    ...unrecorded(e, record, evidence),
    ...restsOn(e, evidence, 'refused by'),
  ];
}

function citeOf(record: string | undefined): string {
  const row =
    record !== undefined && record in eventRecords ? eventRecords[record as EventRecordName] : undefined;
  return row === undefined ? 'IHI 0070 3.12' : `IHI 0070 ${row.spec}`;
}

/** What the access itself read last: the descriptor or structure that refused it. */
function failedOn(e: Refused, evidence: Evidence): readonly Reason[] {
  const read = evidence
    .step(e)
    .filter(({ seq, type }) => seq < e.seq && /^(descriptor|structure)\.fetched$|^fetch\.aborted$/.test(type))
    .at(-1);
  if (read === undefined || e.tlb !== 0) return registersOf(e, evidence);
  return evidence.because('read', read.seq);
}

/** Refusals that need no memory: by a register. */
function registersOf(e: Refused, evidence: Evidence): readonly Reason[] {
  if (e.reason.startsWith('GBPA.ABORT')) {
    return ['CR0', 'GBPA'].flatMap((name) => evidence.setTo(name, e.smmu, name, e.seq - 1));
  }
  if (e.reason.includes('beyond the stream table'))
    return evidence.setTo('table', e.smmu, 'STRTAB_BASE_CFG', e.seq - 1);
  return [];
}

/** Why no event record tells of it: CD.R, STE.S2R, CR2.RECINVSID (5.4, 5.5, 6.3.12). */
function unrecorded(e: Refused, record: string | undefined, evidence: Evidence): readonly Reason[] {
  const told = evidence.step(e).some(({ type }) => type === 'record.raised' || type === 'record.merged');
  if (told || record === undefined) return [];
  if (record === 'C_BAD_STREAMID') {
    const below = (): readonly Reason[] => evidence.setTo('CR2', e.smmu, 'CR2', e.seq);
    return [{ seq: e.seq, role: 'no record', what: 'CR2.RECINVSID=0', cite: 'IHI 0070 6.3.12.2', below }];
  }
  const bits = [...bitOf(e.cd, (words) => `CD.R=${Number(decode(CD, words).R)}`, evidence)];
  bits.push(...bitOf(e.ste, (words) => `STE.S2R=${Number(decode(STE, words).S2R)}`, evidence));
  return [fact(e.seq, 'no record', bits.join(', ') || 'the STE was not cached', 'IHI 0070 5.5')];
}

function bitOf(
  seq: number,
  show: (words: readonly number[]) => string,
  evidence: Evidence,
): readonly string[] {
  const fill = seq === 0 ? undefined : evidence.entry(seq);
  return fill?.type === 'config.filled' ? [show(wordsOf(fill.words))] : [];
}

function wordsOf(bytes: Uint8Array): readonly number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => view.getUint32(at * 4, true));
}
