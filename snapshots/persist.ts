/**
 * Persistent maps as records. What has an id already is not looked into: a node or value keeps its id
 * for as long as it lives, so a snapshot costs what changed since the last. Children come before
 * their parents. Loading makes stubs, and a stub becomes a node or a value when it is first touched.
 *
 * Records: a line (its words), a node (which slots, then ids or numbers), an object (msgpack), and a
 * map inside a map (root, height, size).
 */
import { Packr } from 'msgpackr';
import type { Line } from '../core/memory/memory.ts';
import { Radix, type RadixNode, type RadixSource, Stub } from '../core/memory/radix.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import type { ChunkWriter } from './chunk.ts';
import { StoreError } from './store-error.ts';

const FAN = 64;
const LINE_BYTES = 512;
/** First byte of a record. */
const KIND = { line: 1, object: 2, map: 3, nodeOfIds: 4, nodeOfNumbers: 5, nodeOfValues: 6 } as const;

const packr = new Packr({ useRecords: false, useBigIntExtension: true, moreTypes: true });

/** A map as the snapshot's own record names it. */
export interface MapRoot {
  /** -1 where the map is empty. */
  readonly root: number;
  readonly height: number;
  readonly size: number;
}

type Node = RadixNode<unknown>;

export class Persister {
  readonly #read: (id: number) => Uint8Array;
  /** Ids of nodes and values that are in the store, for as long as somebody holds them. */
  readonly #ids = new WeakMap<object, number>();
  readonly #source: RadixSource<unknown>;

  /** @param read the record of an id. */
  constructor(read: (id: number) => Uint8Array) {
    this.#read = read;
    this.#source = { node: (id) => this.#loadNode(id), value: (id) => this.#loadValue(id) };
  }

  /** Ids given are void, because what they name was not kept. */
  forget(objects: Iterable<object>): void {
    for (const object of objects) this.#ids.delete(object);
  }

  /** Writes what of the map has no id yet; `given` collects whatever gets one. */
  save(map: Radix<unknown>, out: ChunkWriter, given: object[]): MapRoot {
    return new Saver(this.#ids, out, given).map(map);
  }

  /** The map, not loaded yet, and sealed. */
  open({ root, height, size }: MapRoot): Radix<unknown> {
    const map = new Radix<unknown>({
      root: root < 0 ? undefined : new Stub(root),
      height,
      size,
      source: this.#source,
    });
    map.seal();
    return map;
  }

  #loadNode(id: number): Node {
    const { slots, used } = readNode(this.#read(id));
    const node: Node = { owner: undefined, slots, used };
    this.#ids.set(node, id);
    return node;
  }

  #loadValue(id: number): unknown {
    const record = this.#read(id);
    const value = this.#value(record[0], record.subarray(1));
    this.#ids.set(value, id);
    return value;
  }

  #value(kind: number | undefined, body: Uint8Array): object {
    if (kind === KIND.line && body.length === LINE_BYTES) {
      const line: Line = { owner: undefined, words: new Uint32Array(body.slice().buffer) };
      return line;
    }
    if (kind === KIND.object) return packr.unpack(body.slice()) as object;
    if (kind === KIND.map) return this.open(readMap(body));
    throw new StoreError(`a record of kind ${kind}`);
  }
}

function readMap(body: Uint8Array): MapRoot {
  const reader = new ByteReader(body);
  return { root: reader.varint() - 1, height: reader.varint(), size: reader.varint() };
}

/** Other records that a record names: of a node its children, of a map its root. */
export interface Named {
  /** They may name others in turn. */
  readonly follow: readonly number[];
  /** Lines and objects: they name none. */
  readonly plain: readonly number[];
}

export function namedBy(record: Uint8Array): Named {
  const kind = record[0];
  if (kind === KIND.nodeOfIds || kind === KIND.nodeOfValues) {
    const ids = readNode(record).slots.flatMap((slot) => (slot instanceof Stub ? [slot.id] : []));
    return kind === KIND.nodeOfIds ? { follow: ids, plain: [] } : { follow: [], plain: ids };
  }
  const root = kind === KIND.map ? readMap(record.subarray(1)).root : -1;
  return { follow: root < 0 ? [] : [root], plain: [] };
}

function readNode(record: Uint8Array): { slots: unknown[]; used: number } {
  const kind = record[0];
  if (kind !== KIND.nodeOfIds && kind !== KIND.nodeOfNumbers && kind !== KIND.nodeOfValues)
    throw new StoreError(`a node of kind ${kind}`);
  const reader = new ByteReader(record.subarray(1));
  const present = reader.raw(FAN / 8);
  const slots: unknown[] = new Array(FAN).fill(undefined);
  let used = 0;
  let value = 0;
  for (let at = 0; at < FAN; at += 1) {
    if (((present[at >>> 3] ?? 0) & (1 << (at & 7))) === 0) continue;
    const folded = reader.varint();
    value += folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
    slots[at] = kind === KIND.nodeOfNumbers ? value : new Stub(value);
    used += 1;
  }
  return { slots, used };
}

class Saver {
  readonly #ids: WeakMap<object, number>;
  readonly #out: ChunkWriter;
  readonly #given: object[];
  readonly #record = new ByteWriter(1024);

  constructor(ids: WeakMap<object, number>, out: ChunkWriter, given: object[]) {
    this.#ids = ids;
    this.#out = out;
    this.#given = given;
  }

  map({ root, height, size }: Radix<unknown>): MapRoot {
    if (root === undefined) return { root: -1, height, size };
    return { root: root instanceof Stub ? root.id : this.#node(root, height), height, size };
  }

  /** Recursion is bounded by the height of a map, at most 9. */
  #node(node: Node, level: number): number {
    const known = this.#ids.get(node);
    if (known !== undefined) return known;
    const present = new Uint8Array(FAN / 8);
    const named: number[] = [];
    let kind: number = KIND.nodeOfIds;
    for (let at = 0; at < FAN; at += 1) {
      const slot = node.slots[at];
      if (slot === undefined) continue;
      present[at >>> 3] = (present[at >>> 3] ?? 0) | (1 << (at & 7));
      if (typeof slot === 'number') kind = KIND.nodeOfNumbers;
      else if (level === 0 && !(slot instanceof Stub) && !(slot instanceof Radix)) kind = KIND.nodeOfValues;
      named.push(this.#slot(slot, level));
    }
    return this.#keep(node, this.#nodeRecord(kind, present, named));
  }

  #slot(slot: unknown, level: number): number {
    if (slot instanceof Stub) return slot.id;
    if (typeof slot === 'number') return slot;
    return level > 0 ? this.#node(slot as Node, level - 1) : this.#value(slot as object);
  }

  /** Neighbours tend to be written together: their ids differ by little. */
  #nodeRecord(kind: number, present: Uint8Array, named: readonly number[]): Uint8Array {
    const record = this.#record;
    record.reset();
    record.u8(kind);
    record.raw(present);
    let before = 0;
    for (const value of named) {
      const delta = value - before;
      record.varint(delta < 0 ? -2 * delta - 1 : 2 * delta);
      before = value;
    }
    return record.view();
  }

  #value(value: object): number {
    const known = this.#ids.get(value);
    return known ?? this.#keep(value, this.#valueRecord(value));
  }

  #valueRecord(value: object): Uint8Array {
    const nested = value instanceof Radix ? this.map(value) : undefined;
    const record = this.#record;
    record.reset();
    if (nested !== undefined) {
      record.u8(KIND.map);
      for (const number of [nested.root + 1, nested.height, nested.size]) record.varint(number);
    } else if (isLine(value)) {
      record.u8(KIND.line);
      record.raw(new Uint8Array(value.words.buffer, value.words.byteOffset, LINE_BYTES));
    } else {
      record.u8(KIND.object);
      record.raw(packr.pack(value));
    }
    return record.view();
  }

  #keep(object: object, record: Uint8Array): number {
    const id = this.#out.add(record);
    this.#ids.set(object, id);
    this.#given.push(object);
    return id;
  }
}

function isLine(value: object): value is Line {
  return 'words' in value && value.words instanceof Uint32Array;
}
