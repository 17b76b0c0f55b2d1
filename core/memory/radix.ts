/**
 * A persistent map from integers (0 to 2^53 - 1) to values, in key order. It is what every large
 * part of the state is made of: copying it is O(1), a write copies at most one short path, and
 * copies share all they have in common, which is also what keeps snapshots small.
 *
 * A Radix is *open* (its owner may write nodes in place that it made itself) or *sealed*. `fork`
 * gives a new open one and leaves the old one sealed for good.
 */
import { assert } from '../assert.ts';

const FAN = 64;

/** Who may write a node in place. */
export type Owner = object;

export interface RadixNode<V> {
  owner: Owner | undefined;
  readonly slots: (RadixNode<V> | Stub | V | undefined)[];
  /** Slots in use. */
  used: number;
}

/** A node or value that is still in the store: loaded when first touched. */
export class Stub {
  readonly id: number;
  constructor(id: number) {
    this.id = id;
  }
}

/** Where stubs are loaded from. */
export interface RadixSource<V> {
  node(id: number): RadixNode<V>;
  value(id: number): V;
}

export class Radix<V> {
  #root: RadixNode<V> | Stub | undefined;
  /** Levels below the root: a tree of height h holds keys below 64^(h+1). */
  #height: number;
  #size: number;
  #owner: Owner | undefined;
  readonly #source: RadixSource<V> | undefined;

  constructor(
    from?: {
      root: RadixNode<V> | Stub | undefined;
      height: number;
      size: number;
      source?: RadixSource<V> | undefined;
    },
    owner?: Owner,
  ) {
    this.#root = from?.root;
    this.#height = from?.height ?? 0;
    this.#size = from?.size ?? 0;
    this.#source = from?.source;
    this.#owner = owner ?? {};
  }

  get size(): number {
    return this.#size;
  }

  get height(): number {
    return this.#height;
  }

  /** The top node, for a snapshot to walk. */
  get root(): RadixNode<V> | Stub | undefined {
    return this.#root;
  }

  get open(): boolean {
    return this.#owner !== undefined;
  }

  /** Who may write it, while it is open. */
  get owner(): Owner | undefined {
    return this.#owner;
  }

  isOwnedBy(owner: Owner | undefined): boolean {
    return owner !== undefined && this.#owner === owner;
  }

  /** From now on nobody writes this one. */
  seal(): void {
    this.#owner = undefined;
  }

  /** An open map with the same content; this one is sealed. */
  fork(owner: Owner = {}): Radix<V> {
    this.#owner = undefined;
    return new Radix(
      { root: this.#root, height: this.#height, size: this.#size, source: this.#source },
      owner,
    );
  }

  get(key: number): V | undefined {
    let node = this.#top();
    if (node === undefined || key >= capacity(this.#height)) return undefined;
    for (let level = this.#height; level > 0; level -= 1) {
      node = this.#child(node, digit(key, level));
      if (node === undefined) return undefined;
    }
    return this.#value(node, key % FAN);
  }

  set(key: number, value: V): void {
    const owner = this.#writable(key);
    let node = this.#growFor(key, owner);
    for (let level = this.#height; level > 0; level -= 1) {
      const at = digit(key, level);
      const child = this.#child(node, at);
      if (child !== undefined && child.owner === owner) {
        node = child;
        continue;
      }
      const next = child === undefined ? emptyNode<V>(owner) : copyNode(child, owner);
      if (child === undefined) node.used += 1;
      node.slots[at] = next;
      node = next;
    }
    const at = key % FAN;
    if (node.slots[at] === undefined) {
      node.used += 1;
      this.#size += 1;
    }
    node.slots[at] = value;
  }

  /** Removes a key; nodes left empty go with it. */
  delete(key: number): boolean {
    const owner = this.#writable(key);
    if (this.get(key) === undefined) return false;
    const path: { node: RadixNode<V>; at: number }[] = [];
    let node = this.#owned(this.#top(), owner);
    this.#root = node;
    for (let level = this.#height; level > 0; level -= 1) {
      const at = digit(key, level);
      const child = this.#owned(this.#child(node, at), owner);
      node.slots[at] = child;
      path.push({ node, at });
      node = child;
    }
    path.push({ node, at: key % FAN });
    for (let up = path.length - 1; up >= 0; up -= 1) {
      const step = path[up];
      if (step === undefined) break;
      step.node.slots[step.at] = undefined;
      step.node.used -= 1;
      if (step.node.used > 0) break;
      if (up === 0) this.#root = undefined;
    }
    this.#size -= 1;
    return true;
  }

  /** Entries with `from <= key < end`, in order. */
  *range(from = 0, end = Number.POSITIVE_INFINITY): Generator<readonly [number, V]> {
    // Leaf by leaf, and not by one generator inside another: each entry would come up through all of them.
    for (let at = from; at < end; ) {
      const top = this.#top();
      const leaf = top === undefined ? undefined : this.#leafFrom(top, this.#height, 0, at);
      if (leaf === undefined) return;
      const { node, base } = leaf;
      for (let slot = at <= base ? 0 : at - base; slot < FAN; slot += 1) {
        if (base + slot >= end) return;
        if (node.slots[slot] === undefined) continue;
        const value = this.#value(node, slot);
        if (value !== undefined) yield [base + slot, value];
      }
      at = base + FAN;
    }
  }

  /** The lowest key, if any. */
  firstKey(): number | undefined {
    for (const [key] of this.range()) return key;
    return undefined;
  }

  /** The last entry with `key < end`. */
  before(end: number): readonly [number, V] | undefined {
    const top = this.#top();
    return top === undefined || end <= 0 ? undefined : this.#lastBefore(top, this.#height, 0, end);
  }

  /** Recursion is bounded by the height. Nodes are never empty, so at most one path leads nowhere. */
  #lastBefore(
    node: RadixNode<V>,
    level: number,
    base: number,
    end: number,
  ): readonly [number, V] | undefined {
    const span = POWERS[level] ?? FAN ** level;
    const last = end - base >= span * FAN ? FAN - 1 : Math.ceil((end - base) / span) - 1;
    for (let at = last; at >= 0; at -= 1) {
      if (node.slots[at] === undefined) continue;
      const low = base + at * span;
      if (level === 0) {
        const value = this.#value(node, at);
        if (value !== undefined) return [low, value];
        continue;
      }
      const child = this.#child(node, at);
      const found = child === undefined ? undefined : this.#lastBefore(child, level - 1, low, end);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The first leaf that can hold keys from `from` on. Recursion is bounded by the height. */
  #leafFrom(
    node: RadixNode<V>,
    level: number,
    base: number,
    from: number,
  ): { readonly node: RadixNode<V>; readonly base: number } | undefined {
    if (level === 0) return from - base < FAN ? { node, base } : undefined;
    const span = POWERS[level] ?? FAN ** level;
    for (let at = from <= base ? 0 : Math.floor((from - base) / span); at < FAN; at += 1) {
      const child = this.#child(node, at);
      const low = base + at * span;
      const found = child === undefined ? undefined : this.#leafFrom(child, level - 1, low, from);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #writable(key: number): Owner {
    assert(this.#owner !== undefined, 'a sealed map is not written');
    if (!Number.isSafeInteger(key) || key < 0) assert(false, `${key} is a key`);
    return this.#owner;
  }

  #top(): RadixNode<V> | undefined {
    if (this.#root instanceof Stub) this.#root = this.#load(this.#root);
    return this.#root;
  }

  #owned(node: RadixNode<V> | undefined, owner: Owner): RadixNode<V> {
    assert(node !== undefined, 'the path to a present key exists');
    return node.owner === owner ? node : copyNode(node, owner);
  }

  #growFor(key: number, owner: Owner): RadixNode<V> {
    let root = this.#top();
    if (root === undefined) {
      this.#height = 0;
      while (key >= capacity(this.#height)) this.#height += 1;
      root = emptyNode(owner);
    } else if (root.owner !== owner) {
      root = copyNode(root, owner);
    }
    while (key >= capacity(this.#height)) {
      const above = emptyNode<V>(owner);
      above.slots[0] = root;
      above.used = 1;
      root = above;
      this.#height += 1;
    }
    this.#root = root;
    return root;
  }

  #child(node: RadixNode<V>, at: number): RadixNode<V> | undefined {
    const slot = node.slots[at];
    if (slot instanceof Stub) {
      const loaded = this.#load(slot);
      node.slots[at] = loaded;
      return loaded;
    }
    return slot as RadixNode<V> | undefined;
  }

  #value(node: RadixNode<V>, at: number): V | undefined {
    const slot = node.slots[at];
    if (slot instanceof Stub) {
      assert(this.#source !== undefined, 'a map with stubs has a source');
      const loaded = this.#source.value(slot.id);
      node.slots[at] = loaded;
      return loaded;
    }
    return slot as V | undefined;
  }

  #load(stub: Stub): RadixNode<V> {
    assert(this.#source !== undefined, 'a map with stubs has a source');
    return this.#source.node(stub.id);
  }
}

/** 64^0 to 64^9: beyond 2^53 nothing is a key. */
const POWERS: readonly number[] = Array.from({ length: 10 }, (_, level) => FAN ** level);

function capacity(height: number): number {
  return POWERS[height + 1] ?? Number.MAX_VALUE;
}

function digit(key: number, level: number): number {
  if (key <= 0x7fff_ffff) return level > 5 ? 0 : (key >>> (level * 6)) & 63;
  // The shift operators stop at 2^32.
  return Math.floor(key / (POWERS[level] ?? 1)) % FAN;
}

function emptyNode<V>(owner: Owner): RadixNode<V> {
  return { owner, slots: new Array(FAN).fill(undefined), used: 0 };
}

function copyNode<V>(node: RadixNode<V>, owner: Owner): RadixNode<V> {
  return { owner, slots: node.slots.slice(), used: node.used };
}
