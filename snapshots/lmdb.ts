/**
 * One LMDB environment in a single file, with every way of failing turned into a StoreError that
 * names the file. Writes are synchronous transactions: they return when the commit is on disk, and an
 * error stops them before anything is visible.
 */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { checkPages } from './lmdb-pages.ts';
import { messageOf, StoreError } from './store-error.ts';

/** Address space for the map; no memory is taken before it is used. LMDB grows it when it must. */
const MAP_BYTES = 2 ** 34;
/** Left free on the disk by a write: copied pages and the free list need room beside the data. */
const SPARE_BYTES = 2 ** 20;
const LMDB_MAP_FULL = -30792;
const SYSTEM_ERRORS: Readonly<Record<number, string>> = {
  5: 'the disk reports an error',
  27: 'the file may not grow any further',
  28: 'no space left on the disk',
  30: 'the file system is read-only',
  122: 'the disk quota is used up',
  [LMDB_MAP_FULL]: 'the address space for the file is used up',
};

export interface EnvironmentOptions {
  readonly readOnly?: boolean;
  /** LZ4 over values of 1000 bytes and more. */
  readonly compression?: boolean;
}

export interface Pair {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** 13 bytes: what it is, whose it is, and a number; byte order is key order. */
export function storeKey(tag: number, branch: number, number: number): Uint8Array {
  const key = new Uint8Array(13);
  const view = new DataView(key.buffer);
  key[0] = tag;
  view.setUint32(1, branch);
  view.setUint32(5, Math.floor(number / 2 ** 32));
  view.setUint32(9, number % 2 ** 32);
  return key;
}

/** The parts of a key that `storeKey` made. */
export function keyParts(key: Uint8Array): { tag: number; branch: number; number: number } {
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  return {
    tag: view.getUint8(0),
    branch: view.getUint32(1),
    number: view.getUint32(5) * 2 ** 32 + view.getUint32(9),
  };
}

export class Environment {
  readonly path: string;
  readonly readOnly: boolean;
  readonly #db: RootDatabase<Uint8Array, Uint8Array>;
  #broken: StoreError | undefined;
  #closed = false;

  /** Opens or makes the file. StoreError when it is missing, damaged, or may not be used so. */
  constructor(path: string, { readOnly = false, compression = false }: EnvironmentOptions = {}) {
    this.path = path;
    this.readOnly = readOnly;
    if (checkAccess(path, readOnly)) checkPages(path);
    try {
      this.#db = open<Uint8Array, Uint8Array>(path, {
        encoding: 'binary',
        keyEncoding: 'binary',
        noSubdir: true,
        mapSize: MAP_BYTES,
        maxDbs: 1,
        // Transactions are synchronous and flush by themselves. The classic pair of meta pages is
        // then all there is, and the newer one is always the one that LMDB takes.
        overlappingSync: false,
        readOnly,
        compression,
      });
    } catch (error) {
      throw new StoreError(`${path} cannot be opened: ${reasonOf(error)}`);
    }
  }

  /** A copy of the value. */
  get(key: Uint8Array): Uint8Array | undefined {
    const value = this.#db.getBinary(key);
    return value === undefined ? undefined : plain(value);
  }

  /** The value in a buffer that the next read overwrites. */
  peek(key: Uint8Array): Uint8Array | undefined {
    const value = this.#db.getBinaryFast(key);
    return value === undefined ? undefined : new Uint8Array(value.buffer, value.byteOffset, value.length);
  }

  has(key: Uint8Array): boolean {
    return this.#db.doesExist(key);
  }

  /** Pairs with `start <= key < end`, in order. */
  *range(start: Uint8Array, end: Uint8Array): Generator<Pair> {
    for (const { key, value } of this.#db.getRange({ start, end, snapshot: false })) {
      yield { key: plain(key), value: plain(value) };
    }
  }

  /** Keys with `start <= key < end`, in order, without their values. */
  *keys(start: Uint8Array, end: Uint8Array): Generator<Uint8Array> {
    for (const key of this.#db.getKeys({ start, end, snapshot: false })) yield plain(key);
  }

  /** The pair with the greatest key that is not above `key`. */
  floor(key: Uint8Array): Pair | undefined {
    for (const pair of this.#db.getRange({ start: key, reverse: true, limit: 1 })) {
      return { key: plain(pair.key), value: plain(pair.value) };
    }
    return undefined;
  }

  /** The greatest key that is not above `key`. */
  floorKey(key: Uint8Array): Uint8Array | undefined {
    for (const found of this.#db.getKeys({ start: key, reverse: true, limit: 1 })) return plain(found);
    return undefined;
  }

  /** Sees what other processes committed since this turn of the event loop began. */
  refresh(): void {
    this.#db.resetReadTxn();
  }

  /**
   * Runs `action` in one transaction; on return it is on disk. What `action` throws undoes it.
   * @param bytes about how much it writes, to see a full disk before LMDB meets it.
   */
  write(bytes: number, action: (put: Put, remove: Remove) => void): void {
    if (this.readOnly) throw new StoreError(`${this.path} is open for reading only`);
    if (this.#broken !== undefined) throw this.#broken;
    this.#checkSpace(bytes);
    let finished = false;
    try {
      this.#db.transactionSync(() => {
        action(this.#put, this.#remove);
        finished = true;
      });
    } catch (error) {
      if (!finished && !('code' in Object(error))) throw error;
      // LMDB answers a transaction after a failed commit with a crash in the worst case.
      this.#broken = new StoreError(
        `${this.path} cannot be written: ${reasonOf(error)}; what was acknowledged is kept, open it again to go on`,
      );
      throw this.#broken;
    }
  }

  /** To be called before many values are removed: LMDB then believes what their pages say. */
  checkThoroughly(): void {
    checkPages(this.path, { thorough: true });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#db.close();
  }

  readonly #put: Put = (key, value) => {
    this.#db.putSync(key, value);
  };

  readonly #remove: Remove = (key) => {
    this.#db.removeSync(key);
  };

  #checkSpace(bytes: number): void {
    const { bavail, bsize } = statfsSync(dirname(this.path));
    if (bavail * bsize < bytes * 2 + SPARE_BYTES)
      throw new StoreError(
        `${this.path} cannot be written: no space left on the disk; what was acknowledged is kept`,
      );
  }
}

export type Put = (key: Uint8Array, value: Uint8Array) => void;
export type Remove = (key: Uint8Array) => void;

/** Buffers print, compare and slice differently: nothing behind this file sees one. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function reasonOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  return (typeof code === 'number' ? SYSTEM_ERRORS[code] : undefined) ?? messageOf(error);
}

/** Whether the file exists; StoreError when it cannot be used as asked. */
function checkAccess(path: string, readOnly: boolean): boolean {
  const folder = dirname(path);
  if (!existsSync(folder) || !statSync(folder).isDirectory())
    throw new StoreError(`${path} cannot be opened: there is no directory ${folder}`);
  const exists = existsSync(path);
  if (exists && !statSync(path).isFile()) throw new StoreError(`${path} is not a file`);
  if (!exists && readOnly) throw new StoreError(`${path} does not exist`);
  const allowed = (what: string, mode: number): boolean => {
    try {
      accessSync(what, mode);
      return true;
    } catch {
      return false;
    }
  };
  if (exists && !allowed(path, constants.R_OK)) throw new StoreError(`${path} may not be read`);
  if (exists && !readOnly && !allowed(path, constants.W_OK))
    throw new StoreError(`${path} may not be written; it can be opened for reading only`);
  const lock = `${path}-lock`;
  const needed = existsSync(lock) ? lock : folder;
  if (!allowed(needed, constants.W_OK))
    throw new StoreError(`${path} cannot be opened: its lock ${lock} may not be written`);
  return exists;
}
