/**
 * Small records of the log: a hash of 16 bytes over key and content, then the content as msgpack. A
 * flipped byte, or a record under another's key, is found when it is read.
 */
import { createHash } from 'node:crypto';
import { Packr } from 'msgpackr';
import { type Environment, keyParts } from './lmdb.ts';
import { HASH_BYTES, sameBytes } from './segment.ts';
import { messageOf, StoreError } from './store-error.ts';

/** What stands under a key: its first byte. */
export const TAG = { header: 1, schema: 2, branch: 3, head: 4, segment: 5, notes: 6 } as const;

const packr = new Packr({ useRecords: false, useBigIntExtension: true, moreTypes: true });

function hashOf(key: Uint8Array, content: Uint8Array): Uint8Array {
  const digest = createHash('sha256').update(key).update(content).digest();
  return Uint8Array.from(digest.subarray(0, HASH_BYTES));
}

export function sealRecord(key: Uint8Array, value: unknown): Uint8Array {
  const content = packr.pack(value);
  const out = new Uint8Array(HASH_BYTES + content.length);
  out.set(hashOf(key, content));
  out.set(content, HASH_BYTES);
  return out;
}

/** The content of a sealed record; StoreError when it is not what was sealed. */
export function openRecord(key: Uint8Array, sealed: Uint8Array): unknown {
  const content = sealed.slice(HASH_BYTES);
  if (!sameBytes(hashOf(key, content), sealed.subarray(0, HASH_BYTES))) {
    const { tag, branch, number } = keyParts(key);
    const name = Object.entries(TAG).find(([, value]) => value === tag)?.[0] ?? `tag ${tag}`;
    throw new StoreError(`the ${name} record (branch ${branch}, number ${number}) is damaged`);
  }
  try {
    return packr.unpack(content);
  } catch (error) {
    throw new StoreError(`a record does not decode: ${messageOf(error)}`);
  }
}

/** The content under a key, if there is any. */
export function readRecord(environment: Environment, key: Uint8Array): unknown {
  const sealed = environment.get(key);
  if (sealed === undefined) return undefined;
  try {
    return openRecord(key, sealed);
  } catch (error) {
    throw new StoreError(`${environment.path}: ${messageOf(error)}`);
  }
}
