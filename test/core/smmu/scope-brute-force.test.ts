/**
 * An invalidation finds its entries through the index of the cache. It must find exactly those that a
 * look at every entry finds, for random caches and random commands, and leave every other one findable.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Cache } from '../../../core/smmu/cache.ts';
import { scopesOf } from '../../../core/smmu/command.ts';
import { type CommandName, encodeCommand } from '../../../core/smmu/command-layout.ts';
import type { Regime } from '../../../core/smmu/events.ts';
import { Features } from '../../../core/smmu/features.ts';
import { tlbPrimary } from '../../../core/smmu/handlers.ts';
import {
  coveredConfigFills,
  coveredTlbFills,
  coversConfig,
  coversTlb,
  type Scope,
} from '../../../core/smmu/invalidate.ts';
import { vaKey } from '../../../core/smmu/keys.ts';
import type { ConfigEntry, TlbEntry } from '../../../core/smmu/state.ts';
import { idr } from '../../support/tables.ts';

const features = new Features(idr('S2P=1 Hyp=1'));
const small = fc.constantFrom(0, 1, 7);
const tag = fc.constantFrom(1, 1, 7, 0xffff);

// A few pages of each half, near enough to each other that ranges part them.
const page = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 500, max: 520 }),
  fc.constant(0x4_0000),
);
const address = fc
  .tuple(page, fc.boolean())
  .map(([at, upper]) => BigInt(at) * 4096n + (upper ? 0xffff_0000_0000_0000n : 0n));

const tlbTags = fc
  .record({
    regime: fc.constantFrom<Regime>('EL1', 'EL1', 'EL2', 'EL2_E2H'),
    stage: fc.constantFrom(1, 1, 2, 12),
    vmid: tag,
    asid: tag,
    global: fc.boolean(),
    at: address,
    granuleLog2: fc.constantFrom(12, 14, 16),
    level: fc.constantFrom(1, 2, 3, 3),
    leaf: fc.boolean(),
  })
  .map(({ at, granuleLog2, level, ...rest }, id = 0): Omit<TlbEntry, 'id'> => {
    const sizeLog2 = granuleLog2 + (granuleLog2 - 3) * (3 - level);
    return {
      ...rest,
      granuleLog2,
      level,
      sizeLog2,
      va: (at >> BigInt(sizeLog2)) << BigInt(sizeLog2),
      smmu: 'smmu0',
      cache: 'tlb',
      pa: id,
      attributes: 0,
      descriptorPa: 0,
      descriptor: 0n,
      parent: 0,
    };
  });

const TLBI: readonly CommandName[] = [
  'CMD_TLBI_NH_ALL',
  'CMD_TLBI_NH_ASID',
  'CMD_TLBI_NH_VA',
  'CMD_TLBI_NH_VAA',
  'CMD_TLBI_EL2_ALL',
  'CMD_TLBI_EL2_ASID',
  'CMD_TLBI_EL2_VA',
  'CMD_TLBI_EL2_VAA',
  'CMD_TLBI_S12_VMALL',
  'CMD_TLBI_S2_IPA',
  'CMD_TLBI_NSNH_ALL',
];
const tlbi = fc
  .record({
    name: fc.constantFrom(...TLBI),
    VMID: tag,
    ASID: tag,
    Address: address,
    Leaf: fc.boolean(),
    TG: fc.constantFrom<'NONE' | '4KB' | '16KB' | '64KB'>('NONE', '4KB', '16KB', '64KB'),
    TTL: fc.integer({ min: 0, max: 3 }),
    NUM: fc.integer({ min: 0, max: 31 }),
    SCALE: fc.constantFrom(0, 0, 1, 3, 9, 31),
    e2h: fc.boolean(),
  })
  .map(({ name, e2h, Address, ...fields }) => {
    const words = encodeCommand('CMD_TLBI_NH_VA', {
      ...fields,
      Address: Number(name === 'CMD_TLBI_S2_IPA' ? BigInt.asUintN(52, Address) : Address),
    });
    words[0] = ((words[0] ?? 0) & ~0xff) | (encodeCommand(name, {})[0] ?? 0);
    return scopesOf(words, { features, e2h });
  });

/** Later entries take the place of earlier ones with the same keys, as a fill does. */
function filled<E extends { readonly id: number }>(
  entries: readonly E[],
  keys: (entry: E) => [number, number],
): Cache<E> {
  const cache = new Cache<E>().fork();
  for (const entry of entries) {
    const held = cache.find(...keys(entry));
    if (held !== undefined) cache.remove(held.id, ...keys(held));
    cache.add(entry, ...keys(entry));
  }
  return cache;
}

const ids = (entries: readonly { readonly id: number }[]): number[] =>
  entries.map(({ id }) => id).sort((a, b) => a - b);
const all = <E extends { readonly id: number }>(cache: Cache<E>): E[] =>
  [...cache.fills.range()].map(([, each]) => each);

describe('covered fills', () => {
  it('of a TLB are those that brute force finds', () => {
    let hits = 0;
    const tlbKeys = (entry: TlbEntry): [number, number] => [
      tlbPrimary(entry),
      vaKey(entry.va, entry.sizeLog2),
    ];
    fc.assert(
      fc.property(fc.array(tlbTags, { maxLength: 60 }), tlbi, (tags, scopes) => {
        const entries = tags.map((each, at) => ({ ...each, id: at + 1 }));
        const cache = filled(entries, tlbKeys);
        for (const scope of scopes) {
          if (scope.kind !== 'tlb') throw new Error('a TLBI has TLB scopes');
          const expected = all(cache).filter((entry) => coversTlb(scope, entry));
          hits += expected.length;
          expect(ids(coveredTlbFills(cache, scope))).toEqual(ids(expected));
        }
      }),
      { numRuns: 3000 },
    );
    expect(hits).toBeGreaterThan(500);
  });

  it('of a configuration cache are those that brute force finds', () => {
    const structure = fc
      .record({
        cache: fc.constantFrom('ste', 'cd', 'l1cd', 'l1std'),
        streamId: fc.oneof(
          fc.integer({ min: 0, max: 3000 }),
          fc.constantFrom(0xffff, 0x7fff_ffff, 0xffff_ffff),
        ),
        substreamId: fc.integer({ min: 0, max: 200 }),
        split: fc.constantFrom(6, 8, 10),
      })
      .map(({ cache, streamId, substreamId, split }) => {
        const span = cache === 'l1std' ? 2 ** split : cache === 'l1cd' ? 64 : 1;
        return {
          cache,
          span,
          streamId: cache === 'l1std' ? streamId - (streamId % span) : streamId,
          substreamId: cache === 'cd' ? substreamId : cache === 'l1cd' ? substreamId - (substreamId % 64) : 0,
        };
      });
    const cfgi = fc
      .record({
        name: fc.constantFrom<CommandName>(
          'CMD_CFGI_STE',
          'CMD_CFGI_STE_RANGE',
          'CMD_CFGI_CD',
          'CMD_CFGI_CD_ALL',
        ),
        StreamID: fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.constantFrom(0xffff, 0xffff_ffff)),
        SubstreamID: fc.integer({ min: 0, max: 200 }),
        Range: fc.constantFrom(0, 1, 5, 10, 30, 31),
        Leaf: fc.boolean(),
      })
      .map(({ name, StreamID, SubstreamID, Range, Leaf }): readonly Scope[] => {
        const fields = {
          CMD_CFGI_STE: { StreamID, Leaf },
          CMD_CFGI_STE_RANGE: { StreamID, Range },
          CMD_CFGI_CD: { StreamID, SubstreamID, Leaf },
          CMD_CFGI_CD_ALL: { StreamID },
        }[name as 'CMD_CFGI_STE'];
        return scopesOf(encodeCommand(name as 'CMD_CFGI_STE', fields), { features, e2h: false });
      });
    let hits = 0;
    fc.assert(
      fc.property(fc.array(structure, { maxLength: 60 }), cfgi, (structures, scopes) => {
        const entries = structures.map(
          (each, at) =>
            ({ ...each, id: at + 1, smmu: 'smmu0', pa: 0, words: new Uint8Array() }) as ConfigEntry,
        );
        // One cache holds one kind of structure.
        for (const kind of ['ste', 'cd', 'l1cd', 'l1std']) {
          const cache = filled(
            entries.filter((entry) => entry.cache === kind),
            (entry) => [entry.streamId, entry.substreamId],
          );
          for (const scope of scopes) {
            if (scope.kind !== 'config') throw new Error('a CFGI has configuration scopes');
            const expected = all(cache).filter((entry) => coversConfig(scope, entry));
            hits += expected.length;
            expect(ids(coveredConfigFills(cache, scope))).toEqual(ids(expected));
          }
        }
      }),
      { numRuns: 2000 },
    );
    expect(hits).toBeGreaterThan(500);
  });

  it('leave the rest findable, and an emptied cache empty', () => {
    const keys = (entry: TlbEntry): [number, number] => [tlbPrimary(entry), vaKey(entry.va, entry.sizeLog2)];
    fc.assert(
      fc.property(fc.array(tlbTags, { maxLength: 40 }), small, (tags, keep) => {
        const cache = filled(
          tags.map((each, at) => ({ ...each, id: at + 1 })),
          keys,
        );
        const before = all(cache);
        const gone = before.filter(({ id }) => id % 8 !== keep);
        for (const entry of gone) cache.remove(entry.id, ...keys(entry));
        for (const entry of before) {
          expect(cache.find(...keys(entry))?.id).toBe(gone.includes(entry) ? undefined : entry.id);
        }
        expect(cache.size).toBe(before.length - gone.length);
        if (cache.size === 0) expect(cache.index.size).toBe(0);
      }),
    );
  });
});
