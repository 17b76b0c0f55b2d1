/**
 * A look at the pages of an LMDB file before LMDB maps it: LMDB trusts its pages, and a wrong page
 * number, count or offset ends the process. Checked are the two meta pages and every branch, leaf and
 * free-list page that the newer of them reaches, and the head of every overflow run; the data inside the
 * runs is not read (the log's hashes cover that).
 *
 * The format is that of the fork in lmdb-js 3.5 (mdb.c): 24 byte page heads with a transaction
 * number, offsets counted from behind the head, and free lists in which a negative number is the
 * length of the block that follows. Little-endian, 64-bit, no sub-databases: what Backwalk writes.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { messageOf, StoreError } from './store-error.ts';

const HEAD_BYTES = 24;
const NODE_BYTES = 8;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const BRANCH = 0x01;
const LEAF = 0x02;
const OVERFLOW = 0x04;
const META = 0x08;
const BIG_DATA = 0x01;
/** Flags of the free database: integer keys; LMDB's own record of how the file was opened. */
const FREE_FLAGS = 0x08;
const OPEN_FLAGS = 0x5000;
const DEPTH_MAX = 32;
const EMPTY = 0xffffffffffffffffn;

/** Told of every value of the main tree: its key, and the byte of the file where it begins. */
export type Visit = (key: Uint8Array, byte: number) => void;

export interface PageReport {
  /** Number of the transaction that the newer meta page ends. */
  readonly transaction: number;
  readonly pages: number;
}

interface Tree {
  readonly flags: number;
  readonly depth: number;
  readonly branches: number;
  readonly leaves: number;
  readonly overflows: number;
  readonly entries: number;
  readonly root: number | undefined;
}

interface Meta {
  readonly pageBytes: number;
  readonly mapBytes: number;
  readonly lastPage: number;
  readonly transaction: number;
  readonly free: Tree;
  readonly main: Tree;
}

/**
 * Throws StoreError with the place when the structure of the file is broken. When another process
 * commits meanwhile, pages may change under the eye: then the check begins anew, a few times.
 */
export function checkPages(path: string, visit: Visit = () => {}): PageReport {
  const file = openSync(path, 'r');
  try {
    for (let attempt = 1; ; attempt += 1) {
      const before = newestMeta(path, file);
      try {
        return new Checker(path, file, before, visit).run();
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

function newestMeta(path: string, file: number): Meta {
  const bytes = fstatSync(file).size;
  if (bytes === 0) throw new StoreError(`${path} is empty, not a Backwalk store`);
  const first = readMeta(path, file, 0);
  const second = readMeta(path, file, first.pageBytes);
  const wrong = (what: string): StoreError =>
    new StoreError(`${path} is damaged in its meta pages (byte 0): ${what}`);
  if (second.pageBytes !== first.pageBytes) throw wrong('two page sizes');
  // A transaction writes the page of its parity; a new file has twice transaction 0.
  const [even, odd] = [first.transaction, second.transaction];
  const fresh = even === 0 && odd === 0;
  if (!fresh && (even % 2 !== 0 || odd % 2 !== 1 || Math.abs(even - odd) !== 1))
    throw wrong(`transactions ${even} and ${odd} do not follow each other`);
  const newest = even >= odd ? first : second;
  for (const meta of [first, second]) {
    if (meta.mapBytes > 2 ** 46) throw wrong('an impossible map size');
    if (meta.lastPage < 1 || meta.lastPage > 2 ** 40) throw wrong('an impossible last page');
  }
  return newest;
}

function readMeta(path: string, file: number, offset: number): Meta {
  const bytes = Buffer.alloc(HEAD_BYTES + 144);
  const length = readSync(file, bytes, 0, bytes.length, offset);
  const notOurs = new StoreError(`${path} is not a Backwalk store (no LMDB meta page at byte ${offset})`);
  if (length < bytes.length || bytes.readUInt16LE(18) !== META || bytes.readUInt32LE(HEAD_BYTES) !== MAGIC)
    throw notOurs;
  const at = HEAD_BYTES;
  const version = bytes.readUInt32LE(at + 4) & 0xffff;
  if (version !== DATA_VERSION)
    throw new StoreError(`${path} has LMDB data version ${version}, not ${DATA_VERSION}`);
  const pageBytes = bytes.readUInt32LE(at + 24);
  if (pageBytes < 512 || pageBytes > 65536 || (pageBytes & (pageBytes - 1)) !== 0)
    throw new StoreError(`${path} is damaged: a page size of ${pageBytes} (byte ${offset + at + 24})`);
  return {
    pageBytes,
    mapBytes: number64(bytes, at + 16),
    free: readTree(bytes, at + 24),
    main: readTree(bytes, at + 72),
    lastPage: number64(bytes, at + 120),
    transaction: number64(bytes, at + 128),
  };
}

function readTree(bytes: Buffer, at: number): Tree {
  return {
    flags: bytes.readUInt16LE(at + 4),
    depth: bytes.readUInt16LE(at + 6),
    branches: number64(bytes, at + 8),
    leaves: number64(bytes, at + 16),
    overflows: number64(bytes, at + 24),
    entries: number64(bytes, at + 32),
    root: bytes.readBigUInt64LE(at + 40) === EMPTY ? undefined : number64(bytes, at + 40),
  };
}

function number64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

/** One node of a page: where it begins in the page, and its parts. */
interface PageNode {
  readonly key: Buffer;
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
  readonly #visit: Visit;

  constructor(path: string, file: number, meta: Meta, visit: Visit) {
    this.#path = path;
    this.#visit = visit;
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
      this.#checkOrder(page, nodes, isLeaf, isFree);
      if (isLeaf) {
        found.leaves += 1;
        found.entries += nodes.length;
        for (const node of nodes)
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
      const key = bytes.subarray(at + NODE_BYTES, data);
      nodes.push({ key, low, flags, child: low + flags * 2 ** 32, data });
    }
    return nodes;
  }

  /** Keys ascend; the first of a branch page counts for nothing. */
  #checkOrder(page: number, nodes: readonly PageNode[], isLeaf: boolean, isFree: boolean): void {
    for (let index = isLeaf ? 0 : 1; index < nodes.length; index += 1) {
      const key = (nodes[index] as PageNode).key;
      if (isFree ? key.length !== 8 : key.length === 0)
        throw this.#wrong(page, `a key of ${key.length} bytes`);
      const before = nodes[index - 1];
      if (before === undefined || (!isLeaf && index === 1)) continue;
      const ascends = isFree
        ? number64(before.key, 0) < number64(key, 0)
        : Buffer.compare(before.key, key) < 0;
      if (!ascends) throw this.#wrong(page, `key ${index} is not above the one before`);
    }
  }

  /** Checks where a value stands; returns the overflow pages it takes. */
  #value(page: number, bytes: Buffer, node: PageNode, each: ((value: Buffer) => void) | undefined): number {
    if (node.flags !== BIG_DATA) {
      if (each === undefined) this.#visit(node.key, page * this.#meta.pageBytes + node.data);
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
    const head = this.#read(page, first, each === undefined ? HEAD_BYTES : HEAD_BYTES + node.low);
    if (first + count > this.#pagesInFile)
      throw this.#wrong(page, `it names pages behind the end of the file`);
    if (head.readUInt16LE(18) !== OVERFLOW || head.readUInt32LE(20) !== count)
      throw this.#wrong(first, 'it is not the overflow page that a node names');
    if (each === undefined) this.#visit(node.key, first * this.#meta.pageBytes + HEAD_BYTES);
    each?.(head.subarray(HEAD_BYTES));
    return count;
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
    for (let at = page; at < page + count; at += 1) {
      const byte = this.#seen[at >>> 3];
      if (byte === undefined) continue;
      if ((byte & (1 << (at & 7))) !== 0)
        throw this.#wrong(at, 'a page is both free and used, or free twice');
      this.#seen[at >>> 3] = byte | (1 << (at & 7));
    }
  }
}
