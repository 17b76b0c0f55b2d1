/** The two meta pages of an LMDB file, from which everything else hangs. See `lmdb-pages.ts`. */
import { fstatSync, readSync } from 'node:fs';
import { StoreError } from './store-error.ts';

/** Bytes before the contents of every page: number, transaction, flags, bounds. */
export const HEAD_BYTES = 24;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const META = 0x08;
const EMPTY = 0xffffffffffffffffn;

export interface Tree {
  readonly flags: number;
  readonly depth: number;
  readonly branches: number;
  readonly leaves: number;
  readonly overflows: number;
  readonly entries: number;
  readonly root: number | undefined;
}

export interface Meta {
  readonly pageBytes: number;
  readonly mapBytes: number;
  readonly lastPage: number;
  readonly transaction: number;
  readonly free: Tree;
  readonly main: Tree;
}

/** The meta page that LMDB will take: the newer one. StoreError when the two cannot be. */
export function newestMeta(path: string, file: number): Meta {
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
  const pagesMost = (bytes / first.pageBytes) * 2 + 4096;
  for (const meta of [first, second]) {
    if (meta.mapBytes > 2 ** 46) throw wrong('an impossible map size');
    // LMDB maps at least as much as this. The file may end a little before: free pages are not written.
    if (meta.lastPage < 1 || meta.lastPage > pagesMost)
      throw wrong(`${meta.lastPage} as its last page, of ${bytes} bytes`);
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

/** An integer of 64 bits; beyond 2^53 it is only known to be large. */
export function number64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
