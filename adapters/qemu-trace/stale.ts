/**
 * Where the caches of the two part: the emulator drops more than it must (or less), keeps no faulty
 * configuration, and empties a full TLB. What ours still holds of that is remembered, to explain a
 * difference by it, or put in step where only the emulator's way gives the trace.
 */
import type { Entry } from '../../core/event.ts';
import type { CacheName } from '../../core/smmu/events.ts';
import { entrySpans } from '../../core/smmu/granule.ts';
import { coveredConfigFills } from '../../core/smmu/invalidate.ts';
import { contextKey, vaKey } from '../../core/smmu/keys.ts';
import type { ConfigEntry } from '../../core/smmu/state.ts';
import type { TracedAccess } from './access.ts';
import type { DeviationName } from './deviations.ts';
import type { IotlbEntry } from './iotlb.ts';
import type { Live } from './live.ts';
import type { Tally } from './tally.ts';

const CONFIG_CACHES: readonly ('l1std' | 'ste' | 'cd')[] = ['l1std', 'ste', 'cd'];
const OUTLIVED_MAX = 4096;

export interface StaleFacts {
  readonly outlived: ReadonlySet<number>;
  readonly flushedAlone: boolean;
  readonly misaligned: boolean;
}

/** What an interrupted import hands to the one that goes on. */
export interface StaleState {
  readonly outlived: readonly number[];
  readonly failing: readonly number[];
  readonly flushedAlone: boolean;
  readonly misaligned: boolean;
}

export class Stale {
  readonly #live: Live;
  readonly #tally: Tally;
  #outlived = new Set<number>();
  /** Streams whose configuration was at fault when last used. */
  #failing = new Set<number>();
  #flushedAlone = false;
  #misaligned = false;

  constructor(live: Live, tally: Tally) {
    this.#live = live;
    this.#tally = tally;
  }

  get facts(): StaleFacts {
    return { outlived: this.#outlived, flushedAlone: this.#flushedAlone, misaligned: this.#misaligned };
  }

  state(): StaleState {
    return {
      outlived: [...this.#outlived],
      failing: [...this.#failing],
      flushedAlone: this.#flushedAlone,
      misaligned: this.#misaligned,
    };
  }

  restore(state: StaleState): void {
    this.#outlived = new Set(state.outlived);
    this.#failing = new Set(state.failing);
    this.#flushedAlone = state.flushedAlone;
    this.#misaligned = state.misaligned;
  }

  /** The emulator reads the configuration anew, or empties its TLB: what ours holds besides goes too. */
  beforeAccess(traced: TracedAccess): void {
    if (traced.configMiss) this.#refresh(traced);
    this.#missed(traced);
    if (traced.flushed) {
      const { fills } = this.#live.smmu.caches.tlb;
      const capacity = this.#live.smmu.config.caches.tlb;
      // A full cache of ours will empty itself.
      if (capacity === 'unbounded' || fills.size < capacity) {
        const ids = [...fills.range()].map(([id]) => id);
        if (ids.length > 0) this.#tally.deviation('tlb-flush-at-256');
        this.#live.evict(traced.line, 'tlb', ids, 'the emulator emptied its TLB');
      }
      this.#flushedAlone = false;
    }
  }

  /** What the emulator's wider scan took must not serve us where the emulator walks. */
  #missed({ lookup, lookupAddress, asid = 0, line }: TracedAccess): void {
    if (lookup !== 'miss' || lookupAddress === undefined || this.#outlived.size === 0) return;
    const ids = entrySpans
      .flatMap((sizeLog2) => {
        const address = lookupAddress - (lookupAddress % 2 ** sizeLog2);
        return this.heldBy({ asid, address, sizeLog2 });
      })
      .filter((id) => this.#outlived.has(id));
    if (ids.length === 0) return;
    this.#tally.deviation('tlbi-scan-wide');
    for (const id of ids) this.#outlived.delete(id);
    this.#live.evict(line, 'tlb', ids, 'the emulator dropped it with a wider scan');
  }

  afterAccess(traced: TracedAccess, entries: Iterable<Entry>): void {
    for (const entry of entries) {
      if (
        entry.type === 'cache.evicted' &&
        entry.cache === 'tlb' &&
        entry.why.startsWith('full') &&
        !traced.flushed
      ) {
        this.#flushedAlone = true;
      } else if (entry.type === 'access.terminated' && /^(C_BAD_|F_STE_|F_CD_)/.test(entry.reason)) {
        this.#failing.add(traced.sid);
      } else if (entry.type === 'access.completed') this.#failing.delete(traced.sid);
    }
  }

  /** After a round of commands: what the emulator dropped, and ours may still hold. */
  afterRound(dropped: readonly IotlbEntry[], misaligned: boolean): void {
    if (misaligned) this.#misaligned = true;
    for (const entry of dropped) for (const id of this.heldBy(entry)) this.#outlived.add(id);
    if (this.#outlived.size <= OUTLIVED_MAX) return;
    const { fills } = this.#live.smmu.caches.tlb;
    this.#outlived = new Set([...this.#outlived].filter((id) => fills.get(id) !== undefined));
  }

  /** The fill of ours for an entry of the emulator: its own ASID's, or a global one. */
  heldBy({ asid, address, sizeLog2 }: Pick<IotlbEntry, 'asid' | 'address' | 'sizeLog2'>): readonly number[] {
    const cache = this.#live.smmu.caches.tlb;
    const key = vaKey(BigInt(address), sizeLog2);
    const own = cache.find(contextKey('EL1', 1, 0, asid, false), key);
    const global = cache.find(contextKey('EL1', 1, 0, 0, true), key);
    return [own, global].flatMap((found) => (found === undefined ? [] : [found.id]));
  }

  #refresh({ sid, line }: TracedAccess): void {
    const { caches } = this.#live.smmu;
    for (const cache of CONFIG_CACHES) {
      const held = coveredConfigFills(caches[cache], {
        kind: 'config',
        caches: [cache],
        first: sid,
        last: sid,
      });
      const changed = held.filter((entry) => this.#changed(entry));
      if (changed.length === 0) continue;
      this.#tally.deviation(this.#nameOf(cache, sid));
      this.#live.evict(
        line,
        cache,
        changed.map(({ id }) => id),
        'the emulator reads it anew',
      );
    }
  }

  #changed({ pa, words }: ConfigEntry): boolean {
    const now = this.#live.memory.readBytes(pa, words.length);
    return now.some((byte, at) => byte !== words[at]);
  }

  #nameOf(cache: CacheName, sid: number): DeviationName {
    if (cache === 'l1std') return 'l1std-not-cached';
    return this.#failing.has(sid) ? 'failed-config-not-cached' : 'cfgi-cd-drops-ste';
  }
}
