/**
 * A look at the pages of an LMDB file before LMDB maps it: LMDB trusts its pages, and a wrong page
 * number, count or offset ends the process. Checked are the two meta pages and every branch, leaf and
 * free-list page that the newer of them reaches. The data of values is not read: the log's hashes cover
 * it. The heads of overflow runs are read where LMDB will: for values that may be written again, which
 * are the last of their kind and branch, or for all.
 *
 * The format is that of the fork in lmdb-js 3.5 (mdb.c): 24 byte page heads with a transaction
 * number, offsets counted from behind the head, and free lists in which a negative number is the
 * length of the block that follows. Little-endian, 64-bit, no sub-databases: what Backwalk writes.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { HEAD_BYTES, type Meta, newestMeta, number64, type Tree } from './lmdb-meta.ts';
import { messageOf, StoreError } from './store-error.ts';

const NODE_BYTES = 8;
const BRANCH = 0x01;
const LEAF = 0x02;
const OVERFLOW = 0x04;
const BIG_DATA = 0x01;
/** Flags of the free database: integer keys; LMDB's own record of how the file was opened. */
const FREE_FLAGS = 0x08;
const OPEN_FLAGS = 0x5000;
const DEPTH_MAX = 32;
/** The part of our keys that says of what kind a value is, and of which branch. */
const KIND_BYTES = 5;

export interface PageOptions {
  /** Reads the heads of all overflow runs, as is due before many values are deleted. */
  readonly thorough?: boolean;
  readonly visit?: Visit;
}

/** Told of every value of the main tree: its key, and the byte of the file where it begins. */
export type Visit = (key: Uint8Array, byte: number) => void;

export interface PageReport {
  /** Number of the transaction that the newer meta page ends. */
  readonly transaction: number;
  readonly pages: number;
}

/**
 * Throws StoreError with the place when the structure of the file is broken. When another process
 * commits meanwhile, pages may change under the eye: then the check begins anew, a few times.
 */
export function checkPages(path: string, options: PageOptions = {}): PageReport {
  const file = openSync(path, 'r');
  try {
    for (let attempt = 1; ; attempt += 1) {
      const before = newestMeta(path, file);
      try {
        return new Checker(path, file, before, options).run();
      } catch (error) {
        const moved = attempt < 8 && newestMeta(path, file).transaction !== before.transaction;
        if (!moved) throw error;
      }
    }
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw new StoreError(`${path} cannot be read: ${messageOf(error)}`);
  } finally {
    closeSync(file);
  }
}

/** One node of a page: where it begins in the page, and its parts. */
interface PageNode {
  /** Offset of its key in the page; the key ends where the data begins. */
  readonly key: number;
  readonly low: number;
  readonly flags: number;
  /** Page number that a branch's node names. */
  readonly child: number;
  readonly data: number;
}

class Checker {
  readonly #path: string;
  readonly #file: number;
  readonly #meta: Meta;
  readonly #pagesInFile: number;
  /** A bit for each page that something names. */
  readonly #seen: Uint8Array;
  readonly #visit: Visit | undefined;
  readonly #thorough: boolean;
  #claimed = 0;
  /** Kind and branch of the value looked at before: values are met from the last to the first. */
  readonly #kind = new Uint8Array(KIND_BYTES);

  constructor(path: string, file: number, meta: Meta, options: PageOptions) {
    this.#path = path;
    this.#visit = options.visit;
    this.#thorough = options.thorough ?? false;
    this.#file = file;
    this.#meta = meta;
    this.#pagesInFile = Math.floor(fstatSync(file).size / meta.pageBytes);
    // The file may end before the last page when only free ones are missing.
    this.#seen = new Uint8Array((Math.min(meta.lastPage, this.#pagesInFile * 2 + 1024) >>> 3) + 1);
  }

  run(): PageReport {
    const { main, free, transaction, lastPage } = this.#meta;
    if ((free.flags & ~OPEN_FLAGS) !== FREE_FLAGS || main.flags !== 0)
      throw this.#wrong(0, `database flags ${free.flags.toString(16)} and ${main.flags.toString(16)}`);
    this.#tree(main, () => {});
    const lists: Buffer[] = [];
    this.#tree(free, (list) => lists.push(list));
    for (const list of lists) this.#freeList(list);
    if (this.#thorough && this.#claimed !== lastPage - 1)
      throw this.#wrong(0, `${this.#claimed} of ${lastPage - 1} pages are used or free`);
    return { transaction, pages: lastPage + 1 };
  }

  #wrong(page: number, what: string): StoreError {
    const byte = page * this.#meta.pageBytes;
    return new StoreError(`${this.#path} is damaged at page ${page} (byte ${byte}): ${what}`);
  }

  /** Marks pages as used; each may be used once. */
  #claim(from: number, page: number, count: number): void {
    if (page < 2 || count < 1 || page + count > this.#meta.lastPage + 1)
      throw this.#wrong(from, `it names pages ${page} to ${page + count - 1} of ${this.#meta.lastPage}`);
    for (let at = page; at < page + count; at += 1) {
      const bit = 1 << (at & 7);
      const byte = this.#seen[at >>> 3];
      if (byte === undefined) throw this.#wrong(from, `it names page ${at}, far behind the end of the file`);
      if ((byte & bit) !== 0) throw this.#wrong(from, `it names page ${at}, which is used elsewhere`);
      this.#seen[at >>> 3] = byte | bit;
    }
    this.#claimed += count;
  }

  #read(from: number, page: number, bytes: number): Buffer {
    if (page + Math.ceil(bytes / this.#meta.pageBytes) > this.#pagesInFile)
      throw this.#wrong(from, `it names page ${page}, but the file ends at ${this.#pagesInFile}`);
    const out = Buffer.alloc(bytes);
    readSync(this.#file, out, 0, bytes, page * this.#meta.pageBytes);
    if (number64(out, 0) !== page) throw this.#wrong(page, 'it carries another page number');
    // LMDB writes such a page in place, where the map may only be read.
    if (number64(out, 8) > this.#meta.transaction) throw this.#wrong(page, 'it is of a transaction to come');
    return out;
  }

  /** Walks a tree from its root; `each` is given the value of every node when it is the free list's. */
  #tree(tree: Tree, each: (value: Buffer) => void): void {
    if (tree.root === undefined) {
      if (tree.entries !== 0 || tree.depth !== 0) throw this.#wrong(0, 'a tree without a root has entries');
      return;
    }
    if (tree.depth < 1 || tree.depth > DEPTH_MAX) throw this.#wrong(0, `a tree of depth ${tree.depth}`);
    const isFree = tree === this.#meta.free;
    const found = { branches: 0, leaves: 0, overflows: 0, entries: 0 };
    const waiting = [{ from: 0, page: tree.root, level: 1 }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { from, page, level } = next;
      this.#claim(from, page, 1);
      const bytes = this.#read(from, page, this.#meta.pageBytes);
      const isLeaf = level === tree.depth;
      const flags = bytes.readUInt16LE(18);
      if (flags !== (isLeaf ? LEAF : BRANCH)) throw this.#wrong(page, `page flags ${flags.toString(16)}`);
      const nodes = this.#nodes(page, bytes, isLeaf);
      if (!isLeaf && nodes.length < 2 && !isFree) throw this.#wrong(page, 'a branch page with one child');
      this.#checkOrder(page, bytes, nodes, isLeaf, isFree);
      if (isLeaf) {
        found.leaves += 1;
        found.entries += nodes.length;
        for (const node of nodes.reverse())
          found.overflows += this.#value(page, bytes, node, isFree ? each : undefined);
      } else {
        found.branches += 1;
        for (const node of nodes) waiting.push({ from: page, page: node.child, level: level + 1 });
      }
    }
    const { branches, leaves, overflows, entries } = tree;
    if (
      branches !== found.branches ||
      leaves !== found.leaves ||
      overflows !== found.overflows ||
      entries !== found.entries
    )
      throw this.#wrong(0, 'the counts of pages and entries in the meta page are not those of its tree');
  }

  #nodes(page: number, bytes: Buffer, isLeaf: boolean): PageNode[] {
    const lower = bytes.readUInt16LE(20);
    const upper = bytes.readUInt16LE(22);
    const space = this.#meta.pageBytes - HEAD_BYTES;
    if (lower % 2 !== 0 || lower > upper || upper > space || lower < 2)
      throw this.#wrong(page, `free space from ${lower} to ${upper} of ${space}`);
    const nodes: PageNode[] = [];
    for (let index = 0; index < lower / 2; index += 1) {
      const offset = bytes.readUInt16LE(HEAD_BYTES + index * 2);
      if (offset < upper || offset + NODE_BYTES > space || offset % 2 !== 0)
        throw this.#wrong(page, `node ${index} at offset ${offset}`);
      const at = HEAD_BYTES + offset;
      const low = bytes.readUInt32LE(at);
      const flags = bytes.readUInt16LE(at + 4);
      const data = at + NODE_BYTES + bytes.readUInt16LE(at + 6);
      const dataBytes = !isLeaf ? 0 : flags === BIG_DATA ? 24 : low;
      if (isLeaf && flags !== 0 && flags !== BIG_DATA)
        throw this.#wrong(page, `node ${index} has flags ${flags}`);
      if (data + dataBytes > this.#meta.pageBytes) throw this.#wrong(page, `node ${index} leaves the page`);
      nodes.push({ key: at + NODE_BYTES, low, flags, child: low + flags * 2 ** 32, data });
    }
    return nodes;
  }

  /** Keys ascend; the first of a branch page counts for nothing. */
  #checkOrder(
    page: number,
    bytes: Buffer,
    nodes: readonly PageNode[],
    isLeaf: boolean,
    isFree: boolean,
  ): void {
    let before: PageNode | undefined;
    for (const node of isLeaf ? nodes : nodes.slice(1)) {
      const length = node.data - node.key;
      if (isFree ? length !== 8 : length === 0) throw this.#wrong(page, `a key of ${length} bytes`);
      if (
        before !== undefined &&
        !(isFree ? number64(bytes, before.key) < number64(bytes, node.key) : isBelow(bytes, before, node))
      )
        throw this.#wrong(page, 'a key is not above the one before');
      before = node;
    }
  }

  /** Checks where a value stands; returns the overflow pages it takes. */
  #value(page: number, bytes: Buffer, node: PageNode, each: ((value: Buffer) => void) | undefined): number {
    if (node.flags !== BIG_DATA) {
      if (each === undefined) this.#visit?.(keyOf(bytes, node), page * this.#meta.pageBytes + node.data);
      each?.(bytes.subarray(node.data, node.data + node.low));
      return 0;
    }
    const first = number64(bytes, node.data);
    const count = number64(bytes, node.data + 16);
    if (number64(bytes, node.data + 8) > this.#meta.transaction)
      throw this.#wrong(page, 'a node of a transaction to come');
    const needed = Math.floor((HEAD_BYTES - 1 + node.low) / this.#meta.pageBytes) + 1;
    if (count !== needed) throw this.#wrong(page, `${node.low} bytes in ${count} pages`);
    this.#claim(page, first, count);
    if (first + count > this.#pagesInFile)
      throw this.#wrong(page, 'it names pages behind the end of the file');
    if (each === undefined) this.#visit?.(keyOf(bytes, node), first * this.#meta.pageBytes + HEAD_BYTES);
    if (each !== undefined || this.#thorough || this.#isLastOfKind(bytes, node.key)) {
      const head = this.#read(page, first, each === undefined ? HEAD_BYTES : HEAD_BYTES + node.low);
      if (head.readUInt16LE(18) !== OVERFLOW || head.readUInt32LE(20) !== count)
        throw this.#wrong(first, 'it is not the overflow page that a node names');
      each?.(head.subarray(HEAD_BYTES));
    }
    return count;
  }

  #isLastOfKind(bytes: Buffer, key: number): boolean {
    let changed = false;
    for (let at = 0; at < KIND_BYTES; at += 1) {
      const byte = bytes[key + at] ?? 0;
      changed ||= this.#kind[at] !== byte;
      this.#kind[at] = byte;
    }
    return changed;
  }

  /** A free list: its length, then page numbers; a negative number is the length of a block, its first page follows. */
  #freeList(list: Buffer): void {
    const words = Math.floor(list.length / 8);
    const length = words === 0 ? 0 : number64(list, 0);
    if (length + 1 > words) throw this.#wrong(0, `a free list of ${length} in ${words} words`);
    for (let index = 1; index <= length; index += 1) {
      const value = list.readBigInt64LE(index * 8);
      if (value === 0n) continue;
      let count = 1;
      let first = value;
      if (value < 0n) {
        index += 1;
        if (index > length) throw this.#wrong(0, 'a free block without its page');
        count = Number(-value);
        first = list.readBigInt64LE(index * 8);
      }
      if (count > this.#meta.lastPage) throw this.#wrong(0, `a free block of ${count} pages`);
      this.#claimFree(Number(first), count);
    }
  }

  #claimFree(page: number, count: number): void {
    const { lastPage } = this.#meta;
    if (page < 2 || page + count > lastPage + 1)
      throw this.#wrong(0, `a free list names page ${page} of ${lastPage}`);
    this.#claimed += count;
    for (let at = page; at < page + count; at += 1) {
      const byte = this.#seen[at >>> 3];
      if (byte === undefined) continue;
      if ((byte & (1 << (at & 7))) !== 0)
        throw this.#wrong(at, 'a page is both free and used, or free twice');
      this.#seen[at >>> 3] = byte | (1 << (at & 7));
    }
  }
}

function keyOf(bytes: Buffer, node: PageNode): Uint8Array {
  return Uint8Array.from(bytes.subarray(node.key, node.data));
}

/** Whether one key is below another, byte by byte; a beginning is below its whole. */
function isBelow(bytes: Buffer, one: PageNode, other: PageNode): boolean {
  const length = Math.min(one.data - one.key, other.data - other.key);
  for (let at = 0; at < length; at += 1) {
    const difference = (bytes[one.key + at] ?? 0) - (bytes[other.key + at] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return one.data - one.key < other.data - other.key;
}
