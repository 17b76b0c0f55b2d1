/**
 * The environment beside a log that holds what is derived from it: snapshots and indexes. It belongs
 * to one log and one version of model and format; anything else found there, or damage, is deleted and
 * begun anew. Where it cannot be written, Backwalk goes on without.
 */
import { existsSync, rmSync, statSync } from 'node:fs';
import { FORMAT, MODEL } from '../core/history/store.ts';
import { Environment, type Put, type Remove, storeKey } from './lmdb.ts';
import type { DiskLog } from './log-store.ts';
import { openRecord, sealRecord } from './records.ts';
import { messageOf, StoreError } from './store-error.ts';

/** What stands under a key of the cache: its first byte. 5 were indexes with fewer keys. */
export const CACHE_TAG = {
  header: 1,
  counter: 2,
  snapshot: 3,
  chunk: 4,
  index: 6,
  tail: 7,
  ledger: 8,
  findings: 9,
} as const;

const HEADER_KEY = storeKey(CACHE_TAG.header, 0, 0);

interface Bound {
  readonly log: string;
  readonly format: number;
  readonly model: number;
}

export class CacheFile {
  readonly log: DiskLog;
  #environment: Environment | undefined;
  #problem: string | undefined;

  /** Opens `NAME.bw.cache` of a log at `NAME.bw`; never throws for what is or is not there. */
  constructor(log: DiskLog) {
    this.log = log;
    try {
      this.#environment = openBound(`${log.path}.cache`, log);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#problem = error.message;
    }
  }

  /** Why nothing is kept, if so. */
  get problem(): string | undefined {
    return this.#problem;
  }

  get environment(): Environment | undefined {
    return this.#environment;
  }

  get writable(): boolean {
    return this.#environment?.readOnly === false;
  }

  /** One transaction. A failure ends the writing, not the program: the cache can be made again. */
  write(bytes: number, action: (put: Put, remove: Remove) => void): boolean {
    if (!this.writable) return false;
    try {
      this.#environment?.write(bytes, action);
      return true;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#problem = error.message;
      return false;
    }
  }

  /**
   * Damage was met: the next one to open it begins anew. Until then it is still read, for states
   * that have parts to load.
   */
  condemn(what: string): StoreError {
    if (this.#problem === undefined)
      this.write(1024, (put) =>
        put(HEADER_KEY, sealRecord(HEADER_KEY, { log: 'damaged', format: 0, model: 0 })),
      );
    this.#problem = `${this.log.path}.cache is damaged: ${what}`;
    return new StoreError(`${this.#problem}; it is made again, nothing is lost: try again`);
  }

  /** A record that `sealRecord` made; undefined when it is missing or damaged. */
  record(key: Uint8Array): unknown {
    const sealed = this.#environment?.get(key);
    if (sealed === undefined) return undefined;
    try {
      return openRecord(key, sealed);
    } catch (error) {
      this.#problem = messageOf(error);
      return undefined;
    }
  }

  async close(): Promise<void> {
    const environment = this.#environment;
    this.#environment = undefined;
    await environment?.close();
  }
}

function openBound(path: string, log: DiskLog): Environment | undefined {
  const { readOnly } = log.environment;
  if (readOnly && !existsSync(path)) return undefined;
  const bound: Bound = { log: log.header.id, format: FORMAT, model: MODEL };
  for (const attempt of [1, 2]) {
    const found = openChecked(path, readOnly, bound);
    if (found !== undefined || readOnly) return found;
    if (attempt === 1) removeFile(path);
  }
  throw new StoreError(`${path} cannot be made`);
}

/** The environment if it is sound and bound to this log, or new; undefined when it must go. */
function openChecked(path: string, readOnly: boolean, bound: Bound): Environment | undefined {
  let environment: Environment;
  try {
    environment = new Environment(path, { readOnly, compression: true });
  } catch (error) {
    if (existsSync(path) && !readOnly) return undefined;
    throw error;
  }
  try {
    const sealed = environment.get(HEADER_KEY);
    if (
      sealed === undefined &&
      environment.floorKey(new Uint8Array(13).fill(0xff)) === undefined &&
      !readOnly
    ) {
      environment.write(1024, (put) => put(HEADER_KEY, sealRecord(HEADER_KEY, bound)));
      return environment;
    }
    const header = sealed === undefined ? {} : (openRecord(HEADER_KEY, sealed) as Partial<Bound>);
    if (header.log === bound.log && header.format === bound.format && header.model === bound.model)
      return environment;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
  void environment.close();
  return undefined;
}

function removeFile(path: string): void {
  // Somebody's folder is not ours to delete.
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
    throw new StoreError(`${path} is a folder`);
  rmSync(path, { force: true });
  rmSync(`${path}-lock`, { force: true });
}
