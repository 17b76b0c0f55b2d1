/** The first record of a log: that it is one, which versions wrote it, and which of all logs it is. */
import { randomBytes } from 'node:crypto';
import { FORMAT, MODEL } from '../core/history/store.ts';
import { type Environment, storeKey } from './lmdb.ts';
import { readRecord, sealRecord, TAG } from './records.ts';
import { StoreError } from './store-error.ts';

const MAGIC = 'backwalk log';
const KEY = storeKey(TAG.header, 0, 0);

export interface Header {
  readonly magic: string;
  readonly format: number;
  /** Model version that made the log. */
  readonly model: number;
  /** Random, so that a cache beside the file knows its log again. */
  readonly id: string;
}

/**
 * Reads the header, or writes one into an environment without any records.
 * StoreError when the file is something else or a newer Backwalk wrote it.
 */
export function openHeader(environment: Environment): Header {
  const { path, readOnly } = environment;
  const found = readRecord(environment, KEY);
  if (found !== undefined) return checkHeader(path, found);
  const isNew = environment.floorKey(new Uint8Array(13).fill(0xff)) === undefined;
  if (!isNew || readOnly) throw new StoreError(`${path} is not a Backwalk store (it has no header)`);
  const header: Header = { magic: MAGIC, format: FORMAT, model: MODEL, id: randomBytes(16).toString('hex') };
  environment.write(1024, (put) => put(KEY, sealRecord(KEY, header)));
  return header;
}

function checkHeader(path: string, found: unknown): Header {
  const header = found as Partial<Header> | null;
  if (header?.magic !== MAGIC || typeof header.format !== 'number' || typeof header.id !== 'string')
    throw new StoreError(`${path} is not a Backwalk store (its header says something else)`);
  if (header.format > FORMAT)
    throw new StoreError(
      `${path} was written by a newer Backwalk (format ${header.format}, this one reads up to ${FORMAT})`,
    );
  return header as Header;
}
