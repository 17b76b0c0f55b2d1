/**
 * The address translation cache of an endpoint: filled by answers, looked into by its own accesses, emptied
 * by CMD_ATC_INV and by the endpoint itself. IHI 0070 3.9.
 */
import { assert } from '../assert.ts';
import { own } from '../lookup.ts';
import type { Context } from '../machine.ts';
import type { SmmuState } from '../smmu/state.ts';
import type { State } from '../state.ts';
import { atcKeys, atcPrimary, atcSpan, NO_PASID, partsOf } from './atc-keys.ts';
import type { AtcEntry, EndpointState } from './state.ts';

export type AtcFill = Omit<AtcEntry, 'id'>;

/** The endpoint and the SMMU it stands behind, or undefined when there is none of that name. */
export function findEndpoint(
  state: State,
  name: string,
): { readonly endpoint: EndpointState; readonly smmu: SmmuState } | undefined {
  const endpoint = own(state.endpoints, name);
  if (endpoint === undefined) return undefined;
  const smmu = state.smmus[endpoint.config.smmu];
  assert(smmu !== undefined, `${name} hangs on an SMMU`);
  return { endpoint, smmu };
}

/** What an entry about an endpoint tells of it. */
export function aboutEndpoint({ config }: EndpointState) {
  return { smmu: config.smmu, endpoint: config.name, streamId: config.streamId };
}

/** The same with the PASID of a request, if it has one. */
export function aboutRequest(endpoint: EndpointState, substreamId: number | undefined) {
  const about = aboutEndpoint(endpoint);
  return substreamId === undefined ? about : { ...about, substreamId };
}

/** The entry that holds the address: of the smallest span. */
export function findAtc(
  { atc, spans }: EndpointState,
  substreamId: number | undefined,
  privileged: boolean,
  iova: bigint,
): AtcEntry | undefined {
  if (atc.size === 0) return undefined;
  for (const sizeLog2 of spans) {
    const found = atc.find(atcPrimary(substreamId, privileged, sizeLog2), atcSpan(iova, sizeLog2));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Caches an answer, the oldest entries making room. */
export function fillAtc(context: Context, endpoint: EndpointState, fill: AtcFill): void {
  const { name, atc: capacity } = endpoint.config;
  if (capacity === 0) return;
  const held = endpoint.atc.find(...atcKeys(fill));
  if (held !== undefined) evict(context, endpoint, 'replaced', [held.id]);
  const { fills } = endpoint.atc;
  if (capacity !== 'unbounded' && fills.size >= capacity)
    evict(context, endpoint, 'full: oldest', [fills.firstKey() ?? 0]);
  context.emit(name, { type: 'atc.filled', ...fill });
}

/** The endpoint drops all it holds. */
export function emptyAtc(context: Context, endpoint: EndpointState, why: string): void {
  if (endpoint.atc.size === 0) return;
  const removed = [...endpoint.atc.fills.range()].map(([id]) => id);
  evict(context, endpoint, why, removed);
}

/** What an Invalidate Request covers. */
export interface AtcScope {
  /** First address; aligned to the size. */
  readonly start: bigint;
  readonly sizeLog2: number;
  /** `any`: without a PASID, which takes entries of all; `pasids`: the Global Invalidate flag. */
  readonly substreamId: number | 'any' | 'pasids';
}

/** Seqs of the entries that the span meets, in order. An entry goes whole. */
export function coveredAtc(
  { atc }: Pick<EndpointState, 'atc'>,
  { start, sizeLog2, substreamId }: AtcScope,
): readonly number[] {
  const last = start + (1n << BigInt(sizeLog2)) - 1n;
  const covered: number[] = [];
  const from = typeof substreamId === 'number' ? atcPrimary(substreamId, false, 0) : 0;
  const end = atcPrimary(typeof substreamId === 'number' ? substreamId + 1 : NO_PASID + 1, false, 0);
  for (const [primary, spans] of atc.index.range(from, end)) {
    const parts = partsOf(primary);
    if (substreamId === 'pasids' && parts.substreamId === NO_PASID) continue;
    const range = spans.range(atcSpan(start, parts.sizeLog2), atcSpan(last, parts.sizeLog2) + 1);
    for (const [, id] of range) covered.push(id);
  }
  return covered.sort((a, b) => a - b);
}

function evict({ emit }: Context, endpoint: EndpointState, why: string, removed: readonly number[]): void {
  emit(endpoint.config.name, { type: 'atc.evicted', ...aboutEndpoint(endpoint), why, removed });
}
