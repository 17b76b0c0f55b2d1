/**
 * What the ATCs behind one SMMU may hold (IHI 0070 3.9, 4.5.1): every translation that was given and
 * kept, until a CMD_ATC_INV that covers it was answered and synced, and was not too early: as long as
 * the TLB may still give the same answer, the endpoint may have asked again.
 */
import { type AtcScope, coveredAtc } from '../../core/endpoint/atc.ts';
import { atcKeys } from '../../core/endpoint/atc-keys.ts';
import type { AtcEntry } from '../../core/endpoint/state.ts';
import type { EntryOf } from '../../core/event.ts';
import { Cache } from '../../core/smmu/cache.ts';
import type { ConfigFill, PathNode, TlbFill } from './fills.ts';
import type { Invalidation, Output } from './obligation.ts';
import { addOutput, newOutputs, type OutputIndex, removeOutput } from './outputs.ts';
import type { Stray } from './stray.ts';

/** A translation that an endpoint was given, and what the answer rests on. */
export interface AtcHeld {
  readonly entry: EntryOf<'atc.filled'>;
  readonly ste: ConfigFill | undefined;
  readonly cd: ConfigFill | undefined;
  readonly fills: readonly TlbFill[];
  /** The descriptors that were read, where no TLB entry holds the answer. */
  readonly walk: PathNode | undefined;
  /** An entry of another context that gave the answer. */
  readonly stray: Stray | undefined;
  readonly output: Output;
  /** The CMD_ATC_INV that it had to go with. */
  invalidated: Invalidation | undefined;
  /** The endpoint dropped it all the same, or was given another. */
  gone: boolean;
  /** A `could-be-used` was told already. */
  reported: boolean;
}

/** Entries of one endpoint as an ATC finds them. */
interface Endpoint {
  cache: Cache<AtcEntry>;
  /** A function level reset came, and ATS has not been turned on since. */
  inReset: boolean;
  ats: boolean;
}

export interface Atcs {
  readonly endpoints: Map<string, Endpoint>;
  readonly held: Map<number, AtcHeld>;
  readonly outputs: OutputIndex<AtcHeld>;
  /** Had to go with a CMD_ATC_INV whose CMD_SYNC is still to come. */
  readonly going: Set<AtcHeld>;
}

/** Entries that outlived their invalidation and are still remembered. */
const SURVIVORS_MAX = 4096;

/** No endpoint holds anything. */
export function newAtcs(): Atcs {
  return { endpoints: new Map(), held: new Map(), outputs: newOutputs(), going: new Set() };
}

/** The endpoint of that name; made when it is first heard of. */
export function endpointOf({ endpoints }: Atcs, name: string): Endpoint {
  let found = endpoints.get(name);
  if (found === undefined) {
    found = { cache: new Cache<AtcEntry>().fork(), inReset: false, ats: true };
    endpoints.set(name, found);
  }
  return found;
}

/** The endpoint keeps an answer. */
export function atcFilled(
  atcs: Atcs,
  entry: EntryOf<'atc.filled'>,
  rests: Pick<AtcHeld, 'ste' | 'cd' | 'fills' | 'walk' | 'stray'>,
): AtcHeld {
  const endpoint = endpointOf(atcs, entry.endpoint);
  const keys = atcKeys(entry);
  const before = endpoint.cache.find(...keys);
  if (before !== undefined) forget(atcs, before.id);
  const output = { pa: entry.pa, sizeLog2: entry.sizeLog2 };
  const held: AtcHeld = { entry, ...rests, output, invalidated: undefined, gone: false, reported: false };
  endpoint.cache.add({ ...entry, id: entry.seq }, ...keys);
  atcs.held.set(entry.seq, held);
  addOutput(atcs.outputs, held);
  return held;
}

/** What an answered CMD_ATC_INV covers. */
export function coveredBy(atcs: Atcs, name: string, scope: AtcScope): readonly AtcHeld[] {
  const { cache } = endpointOf(atcs, name);
  return coveredAtc({ atc: cache }, scope).flatMap((seq) => atcs.held.get(seq) ?? []);
}

/** CMD_SYNC: what had to go by then counts no more. What the endpoint kept is remembered. */
export function settleAtcs(atcs: Atcs, queue: string): void {
  for (const held of atcs.going) {
    if (held.invalidated?.queue !== queue || held.invalidated.synced === 0) continue;
    atcs.going.delete(held);
    removeOutput(atcs.outputs, held);
    dropKey(atcs, held);
    if (held.gone) atcs.held.delete(held.entry.seq);
  }
  if (atcs.held.size > SURVIVORS_MAX) trimSurvivors(atcs);
}

function trimSurvivors({ held }: Atcs): void {
  for (const [seq, each] of held) {
    if (each.invalidated !== undefined && each.invalidated.synced !== 0) {
      held.delete(seq);
      return;
    }
  }
}

/** The endpoint dropped entries of itself; with ATS off or a reset it can use none any more. */
export function atcEvicted(atcs: Atcs, { removed }: EntryOf<'atc.evicted'>): void {
  for (const seq of removed) forget(atcs, seq);
}

/** The endpoint removed these on request. */
export function atcRemoved({ held }: Atcs, removed: readonly number[]): void {
  for (const seq of removed) {
    const found = held.get(seq);
    if (found !== undefined) found.gone = true;
  }
}

function forget(atcs: Atcs, seq: number): void {
  const held = atcs.held.get(seq);
  if (held === undefined) return;
  atcs.held.delete(seq);
  atcs.going.delete(held);
  removeOutput(atcs.outputs, held);
  dropKey(atcs, held);
}

function dropKey(atcs: Atcs, { entry }: AtcHeld): void {
  const { cache } = endpointOf(atcs, entry.endpoint);
  if (cache.fills.get(entry.seq) !== undefined) cache.remove(entry.seq, ...atcKeys(entry));
}
