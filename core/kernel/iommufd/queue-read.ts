/** What the files of fault queues and of vEVENTQs have in common. They stand at position 0 for ever. */

import type { State } from '../../state.ts';
import type { FileReply } from '../files.ts';
import { kernelOf, switchOf } from '../kernel.ts';

/** A buffer that is too short for the first record. */
export function tooShort(state: State): FileReply {
  return switchOf(kernelOf(state), 'shortEventRead') === 'EINVAL'
    ? { errno: 'EINVAL' }
    : { data: new Uint8Array() };
}

/** The items from the first on whose records fit in a buffer, and those records one behind the other. */
export function fitting<T>(
  items: readonly T[],
  recordOf: (item: T, index: number) => Uint8Array,
  bytes: number,
): { readonly count: number; readonly data: Uint8Array } {
  const records: Uint8Array[] = [];
  let left = bytes;
  for (const [index, item] of items.entries()) {
    const record = recordOf(item, index);
    if (record.length > left) break;
    records.push(record);
    left -= record.length;
  }
  return { count: records.length, data: joined(records) };
}

/** Records one behind the other. */
export function joined(records: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(records.reduce((bytes, { length }) => bytes + length, 0));
  let at = 0;
  for (const record of records) {
    out.set(record, at);
    at += record.length;
  }
  return out;
}
