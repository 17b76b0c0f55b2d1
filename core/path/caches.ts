/**
 * The caches in paths: `smmu0.tlb` is its entries, `smmu0.tlb[41]` the one that entry 41 of the log
 * filled; `nic0.atc` likewise. Names and forms of the fields are those of the fill event.
 */

import { endpointEvents } from '../endpoint/events.ts';
import type { EndpointState } from '../endpoint/state.ts';
import { touchKey } from '../history/touch.ts';
import { type AnyField, type Layout, show } from '../layout/layout.ts';
import { jsonValue, type Kind, type Schema, showValue } from '../schema.ts';
import type { Cache, CacheEntry } from '../smmu/cache.ts';
import { CD, L1CD } from '../smmu/cd.ts';
import { type CacheName, smmuEvents } from '../smmu/events.ts';
import type { SmmuState } from '../smmu/state.ts';
import { L1STD, STE } from '../smmu/ste.ts';
import { absent, group, leaf, type PathNode, type Watched } from './node.ts';

interface CacheRow {
  readonly schema: Schema;
  /** What the words of a configuration cache's entry are. */
  readonly layout?: Layout<Record<string, AnyField>>;
}

// biome-ignore format: a table
export const cacheRows: Readonly<Record<CacheName, CacheRow>> = {
  tlb:   { schema: smmuEvents['tlb.filled'] },
  walk:  { schema: smmuEvents['tlb.filled'] },
  ste:   { schema: smmuEvents['config.filled'], layout: STE },
  cd:    { schema: smmuEvents['config.filled'], layout: CD },
  l1std: { schema: smmuEvents['config.filled'], layout: L1STD },
  l1cd:  { schema: smmuEvents['config.filled'], layout: L1CD },
};

/** Fields that every entry of one cache has alike. */
const SAME: readonly string[] = ['smmu', 'cache', 'endpoint'];

const atcRow: CacheRow = { schema: endpointEvents['atc.filled'] };

/** The address translation cache of an endpoint. */
export function atcNode({ atc, config }: EndpointState): PathNode {
  return entriesNode(atc, atcRow, watchedFor(`${config.name}.atc`));
}

interface Index {
  readonly means: string;
  item(at: number): PathNode;
}

/** `index`, when given, is what an index leads to instead of an entry. */
export function cacheNode(smmu: SmmuState, name: CacheName, index?: Index): PathNode {
  const row = cacheRows[name];
  const watched = watchedFor(`${smmu.config.name}.${name}`);
  return entriesNode(smmu.caches[name] as Cache<CacheEntry>, row, watched, index);
}

function entriesNode(cache: Cache<CacheEntry>, row: CacheRow, watched: Watched, index?: Index): PathNode {
  const entries = (): CacheEntry[] => [...cache.fills.range()].map(([, entry]) => entry);
  return {
    json: () => entries().map((entry) => entryJson(row, entry)),
    lines: (brief) =>
      brief
        ? [{ below: '', text: cache.size === 1 ? '1 entry' : `${cache.size} entries` }]
        : cache.size === 0
          ? [{ below: '', text: 'empty' }]
          : entries().map((entry) => ({ below: `[${entry.id}]`, text: entryText(row, entry) })),
    watched: () => watched,
    names: ['size'],
    index: index?.means ?? 'seq of the fill',
    child: (below) => (below === 'size' ? leaf(cache.size, watched) : undefined),
    item: index?.item ?? ((id) => entryNode(row, cache.fills.get(id), id, watched)),
  };
}

/** Fills and removals of one cache. */
function watchedFor(cache: string): Watched {
  return { keys: [touchKey('cache', cache)], spans: [] };
}

/** One cached entry as JSON: `id` is the seq of its fill. */
function entryJson(row: CacheRow, entry: CacheEntry): Record<string, unknown> {
  const out: Record<string, unknown> = { id: entry.id };
  for (const [name, kind, value] of fieldsOf(row, entry)) out[name] = jsonValue(kind, value);
  return out;
}

function entryText(row: CacheRow, entry: CacheEntry): string {
  const parts: string[] = [];
  for (const [name, kind, value] of fieldsOf(row, entry)) {
    if (row.layout !== undefined && value instanceof Uint8Array) {
      parts.push(show(row.layout, new Uint32Array(value.slice().buffer)));
    } else parts.push(`${name}=${showValue(kind, value)}`);
  }
  return parts.join(' ');
}

function* fieldsOf(
  row: CacheRow,
  entry: CacheEntry,
): Generator<readonly [string, Kind<unknown, boolean>, unknown]> {
  for (const [name, kind] of Object.entries(row.schema)) {
    const value = (entry as unknown as Record<string, unknown>)[name];
    if (value !== undefined && !SAME.includes(name)) yield [name, kind, value];
  }
}

function entryNode(row: CacheRow, entry: CacheEntry | undefined, id: number, watched: Watched): PathNode {
  if (entry === undefined) return absent(`no entry filled at ${id} is cached`, watched);
  const json = entryJson(row, entry);
  const fields = Object.entries(json).map(([name, value]) => [name, () => leaf(value, watched)] as const);
  return {
    ...group(Object.fromEntries(fields)),
    json: () => json,
    lines: () => [{ below: '', text: entryText(row, entry) }],
    watched: () => watched,
  };
}
