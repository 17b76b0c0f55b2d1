/** What the reads of fault queues and of vEVENTQs have in common. */
import type { Errno } from '../errno.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import type { State } from '../../state.ts';

/** A buffer of user space, and how many of its bytes can be written: all, unless its end is not mapped. */
export interface Buffer {
  readonly bytes: number;
  readonly mapped?: number;
}

/** What a read or a write of a queue's file gives: bytes that were read, or so many that were written. */
export type Transfer = { readonly errno: Errno } | { readonly data: Uint8Array } | { readonly written: number };

/** A buffer that is too short for the first record. */
export function tooShort(state: State): Transfer {
  return switchOf(kernelOf(state), 'shortEventRead') === 'EINVAL' ? { errno: 'EINVAL' } : { data: new Uint8Array() };
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
