/**
 * The record of each access that ended, held against the one that a walk of memory gives, field by field, and
 * against what was stored in the Event queue (IHI 0070 7.3). An access that rests on configuration which memory no
 * longer holds is not judged here: that is a matter of invalidations.
 */
import type { EntryOf } from '../../core/event.ts';
import { decode } from '../../core/layout/layout.ts';
import { type EventRecordName, eventRecordByNumber, eventRecords } from '../../core/smmu/event-record.ts';
import { mergedAlways, recordWords } from '../../core/smmu/raise.ts';
import type { Refused, Request } from '../../core/smmu/translate.ts';
import type { Finding } from '../finding.ts';
import { structureStands } from '../obligations/fills.ts';
import { hex } from '../obligations/tell.ts';
import { freshAnswer } from './fresh.ts';
import { deed, tell } from './tell.ts';
import type { RuleRun, Unit, World } from './world.ts';

type Ended = EntryOf<'access.terminated'> | EntryOf<'access.stalled'>;

interface Faults {
  readonly world: World;
  readonly told: Finding[];
  /** Configuration fills by seq, for as long as a cache holds them. */
  readonly fills: Map<number, EntryOf<'config.filled'>>;
  /** Words of records that wait, by the seq at which they were raised. */
  readonly raised: Map<number, Uint8Array>;
  /** What was said of the access that ends next. */
  said: EntryOf<'record.raised'> | EntryOf<'record.merged'> | EntryOf<'misuse.noted'> | undefined;
}

/** A run over all SMMUs. */
export function recordsOfFaults(world: World): RuleRun {
  const faults: Faults = { world, told: [], fills: new Map(), raised: new Map(), said: undefined };
  const { told, fills, raised } = faults;
  const gone = ({ removed }: { readonly removed: readonly number[] }): void => {
    for (const seq of removed) fills.delete(seq);
  };
  return {
    told: () => told,
    handlers: {
      'config.filled': (entry) => {
        fills.set(entry.seq, entry);
      },
      'cache.invalidated': gone,
      'cache.evicted': gone,
      'record.raised': (entry) => {
        raised.set(entry.seq, entry.words);
        faults.said = entry;
      },
      'record.merged': (entry) => {
        faults.said = entry;
      },
      'misuse.noted': (entry) => {
        if (entry.rule === 'record-lost') faults.said = entry;
      },
      'record.dropped': (entry) => raised.delete(entry.raised ?? 0),
      'record.withdrawn': (entry) => raised.delete(entry.raised),
      'record.written': (entry) => {
        const words = raised.get(entry.raised ?? 0);
        raised.delete(entry.raised ?? 0);
        if (words !== undefined && world.units.has(entry.smmu)) compareStored(faults, entry, words);
      },
      'access.completed': () => {
        faults.said = undefined;
      },
      'access.terminated': (entry) => judge(faults, entry),
      'access.stalled': (entry) => judge(faults, entry),
    },
  };
}

/** What stands in the queue is the record as it was raised. */
function compareStored({ world, told }: Faults, entry: EntryOf<'record.written'>, words: Uint8Array): void {
  const stored = world.watch.memory.readBytes(entry.pa, words.length);
  if (words.every((byte, at) => byte === stored[at])) return;
  told.push(
    tell(world, {
      rule: 'I11',
      title: `record-spoiled: ${entry.record} of ${entry.smmu}`,
      blame: deed(
        entry,
        `wrote [${hex(entry.pa)}] as ${nameOf(stored)}: ${differing(entry.record, words, stored)}`,
      ),
      needed: `the record ${entry.record} whole, as the fault was`,
    }),
  );
}

const nameOf = (words: Uint8Array): string =>
  eventRecordByNumber(words[0] ?? 0)?.name ?? `EventID ${hex(words[0] ?? 0)}`;

/** The fields in which two records of one kind differ: `CLASS CD, expected IN`. */
function differing(record: string, expected: Uint8Array, found: Uint8Array): string {
  const { layout } = eventRecords[record as EventRecordName];
  const [want, have] = [decode(layout, words32(expected)), decode(layout, words32(found))];
  const show = (value: unknown): string =>
    typeof value === 'bigint' || typeof value === 'number' ? hex(value) : String(value);
  return Object.entries(want)
    .filter(([name, value]) => (have as Readonly<Record<string, unknown>>)[name] !== value)
    .map(
      ([name, value]) =>
        `${name} ${show((have as Readonly<Record<string, unknown>>)[name])}, expected ${show(value)}`,
    )
    .join('; ');
}

/** Bytes in memory order as 32-bit words. */
export function words32(bytes: Uint8Array): readonly number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length >> 2 }, (_, at) => view.getUint32(at * 4, true));
}

/** Accesses that did not end in a walk: nothing is compared. */
const ASIDE = /^(the stall was terminated|0x)/;

function judge(faults: Faults, entry: Ended): void {
  const { world, said } = faults;
  faults.said = undefined;
  const unit = world.units.get(entry.smmu);
  if (unit === undefined || ASIDE.test(entry.reason)) return;
  if (said !== undefined && said.cause !== entry.cause) return;
  if (said?.type === 'misuse.noted' || (entry.type === 'access.stalled' && entry.held === true)) return;
  const request = requestOf(world, entry);
  if (request === undefined) return;
  const fresh = freshAnswer(world, unit, request);
  // Another fault, or none: what served it is stale, and judged with the invalidations.
  if (fresh.kind !== 'refused' || !fresh.why.startsWith(firstWord(entry.reason))) return;
  if (!restsOnMemory(faults, entry)) return;
  const wrong = wrongIn(world, unit, entry, said, fresh, request);
  if (wrong !== undefined) faults.told.push(tellWrong(world, entry, fresh, wrong));
}

const firstWord = (reason: string): string => /^[\w.]+/.exec(reason)?.[0] ?? reason;

/** The access as it was asked; of one that is tried again, as it was asked first. */
function requestOf({ stimulus }: World, entry: Ended): Request | undefined {
  const { streamId, substreamId, iova, access, cause } = entry;
  const about = { streamId, substreamId, iova, access };
  if (entry.type === 'access.stalled') {
    const { exec, privileged } = entry.request;
    return { ...about, exec, privileged };
  }
  if (stimulus?.type !== 'dma' || stimulus.seq !== cause || stimulus.translated === true) return undefined;
  return { ...about, exec: stimulus.exec ?? false, privileged: stimulus.privileged ?? false };
}

/** The STE and CD that served it stand in memory as they were read. */
function restsOnMemory({ fills, world }: Faults, { ste, cd }: Ended): boolean {
  return [ste, cd].every((seq) => {
    if (seq === 0) return true;
    const fill = fills.get(seq);
    return fill !== undefined && structureStands(world.watch.memory, fill);
  });
}

function wrongIn(
  world: World,
  unit: Unit,
  entry: Ended,
  said: Faults['said'],
  fresh: Refused,
  request: Request,
): string | undefined {
  const mayStall = world.machine.endpoints.find(({ name }) => name === entry.endpoint)?.stall ?? true;
  const expected = fresh.result === 'stall' && !mayStall ? 'abort' : fresh.result;
  const ended = entry.type === 'access.stalled' ? 'stall' : entry.result;
  if (ended !== expected) return `it ended with ${ended}, expected ${expected}`;
  const { fault } = fresh;
  if (fault === undefined)
    return said === undefined ? undefined : `${said.type} though nothing is to be recorded`;
  if (said === undefined) return `no record, expected ${fault.record}`;
  if (said.type === 'record.merged')
    return fresh.mev === true || mergedAlways.has(said.record)
      ? undefined
      : `${said.record} was merged with STE.MEV=0`;
  if (said.type !== 'record.raised') return undefined;
  if (said.record !== fault.record) return `record ${said.record}, expected ${fault.record}`;
  const stag = entry.type === 'access.stalled' ? entry.stag : undefined;
  const words = recordWords(fresh.seen ?? request, fault, stag, unit.features.oas, {});
  const bytes = new Uint8Array(words.buffer);
  if (bytes.every((byte, at) => byte === said.words[at])) return undefined;
  if (fault.s2 === true && maySkip(said, entry, bytes)) return undefined;
  return differing(said.record, bytes, said.words);
}

/**
 * A cached CD or table keeps hardware from the stage 2 fault that a walk of memory meets first: then the record is of
 * a later one. Not so where it says CD though the CD was there, or has no IPA.
 */
function maySkip(said: EntryOf<'record.raised'>, { cd }: Ended, expected: Uint8Array): boolean {
  const { layout } = eventRecords.F_TRANSLATION;
  const [want, have] = [decode(layout, words32(expected)), decode(layout, words32(said.words))];
  if (want.CLASS === have.CLASS) return false;
  return have.IPA !== 0 && !(have.CLASS === 'CD' && cd !== 0);
}

function tellWrong(world: World, entry: Ended, fresh: Refused, wrong: string): Finding {
  const what = `${entry.access} of ${hex(entry.iova)} by ${entry.endpoint}`;
  return tell(world, {
    rule: 'I11',
    title: `fault-not-told-as-it-was: ${what}`,
    actor: entry.endpoint,
    blame: { seq: entry.seq, actor: entry.smmu, what: wrong },
    needed: fresh.fault === undefined ? 'no record' : `${fresh.fault.record} with the fields of the walk`,
    notes: [`a walk of memory gives: ${fresh.why}`],
  });
}
