/**
 * One cache of an SMMU: entries by the seq of the event that filled them, and an index from what is
 * looked up to those. Both are persistent maps, so a state holds 10^5 entries at no cost a step.
 *
 * Configuration caches are indexed by (StreamID, SubstreamID); TLB and walk cache by translation
 * context, then by the first page of the entry, so that a range or an ASID is a range of keys.
 */
import { type Owner, Radix } from '../memory/radix.ts';

/** The fill event's payload, kept as it was logged. */
export interface CacheEntry {
  /** seq of the fill. */
  readonly id: number;
}

export class Cache<E extends CacheEntry> {
  readonly fills: Radix<E>;
  /** Primary key to (secondary key to fill). */
  readonly index: Radix<Radix<number>>;
  #owner: Owner | undefined;

  constructor(fills?: Radix<E>, index?: Radix<Radix<number>>, owner?: Owner) {
    this.#owner = owner;
    this.fills = fills ?? new Radix<E>(undefined, owner);
    this.index = index ?? new Radix<Radix<number>>(undefined, owner);
    if (owner === undefined) this.seal();
  }

  get open(): boolean {
    return this.#owner !== undefined;
  }

  get size(): number {
    return this.fills.size;
  }

  fork(): Cache<E> {
    const owner: Owner = {};
    this.#owner = undefined;
    return new Cache(this.fills.fork(owner), this.index.fork(owner), owner);
  }

  seal(): void {
    this.#owner = undefined;
    this.fills.seal();
    this.index.seal();
  }

  add(entry: E, primary: number, secondary: number): void {
    this.fills.set(entry.id, entry);
    this.#inner(primary).set(secondary, entry.id);
  }

  /** Removes a fill; its keys are those it was added with. */
  remove(id: number, primary: number, secondary: number): void {
    this.fills.delete(id);
    const present = this.index.get(primary);
    if (present?.get(secondary) !== id) return;
    const inner = this.#inner(primary);
    inner.delete(secondary);
    if (inner.size === 0) this.index.delete(primary);
  }

  find(primary: number, secondary: number): E | undefined {
    const id = this.index.get(primary)?.get(secondary);
    return id === undefined ? undefined : this.fills.get(id);
  }

  #inner(primary: number): Radix<number> {
    const present = this.index.get(primary);
    if (present?.isOwnedBy(this.#owner)) return present;
    const inner =
      present === undefined ? new Radix<number>(undefined, this.#owner) : present.fork(this.#owner);
    this.index.set(primary, inner);
    return inner;
  }
}
