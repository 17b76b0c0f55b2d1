/**
 * What system calls answer on a scenario's line: `{ret, errno?, out, buffers, hex}` of an ioctl, where `out` are
 * the fields of its struct as they stand in the process's memory after the call; `{va}`, `{fd}`, `{hex}` of others.
 * A call that has not ended answers `{pending: true}`.
 */
import type { Entry, EntryOf } from '../event.ts';
import { hexOf } from '../schema.ts';
import type { State } from '../state.ts';
import { kernelOf } from './kernel.ts';
import { readUser } from './process/memory.ts';
import { requestOf } from './requests.ts';
import { decodeStruct, type Struct } from './uapi/struct.ts';

type Outcome = Readonly<Record<string, unknown>>;

// biome-ignore format: a table
const syscalls: Readonly<Record<string, readonly string[]>> = {
  'mem.alloc':    ['va'],
  'mem.free':     [],
  'mem.memfd':    ['fd', 'va'],
  'user.write':   [],
  'user.read':    ['hex'],
  open:           ['fd'],
  close:          [],
  read:           ['hex'],
  write:          ['count'],
  mmap:           [],
  munmap:         [],
  'process.exit': [],
};

/** Whether a stimulus is a system call other than an ioctl. */
export function isSyscall(type: string): boolean {
  return Object.hasOwn(syscalls, type);
}

/** Whether an entry says how a call ended. */
export function isAnswer({ type }: Entry): boolean {
  return type === 'ioctl.completed' || type === 'syscall.returned' || type === 'vm.answered';
}

/** @param entries the stimulus first. */
export function syscallOutcome(type: string, entries: readonly Entry[]): Outcome {
  const returned = find(entries, 'syscall.returned', ({ call }) => call === entries[0]?.seq);
  if (returned === undefined) return { pending: true };
  const { errno, data, ...values } = returned;
  if (errno !== undefined) return { errno };
  const known: Outcome = { ...values, hex: hexOf(data ?? new Uint8Array()) };
  return Object.fromEntries((syscalls[type] ?? []).map((field) => [field, known[field]]));
}

/** What an ioctl answers. @param entries the stimulus first */
export function ioctlOutcome(state: State, entries: readonly Entry[]): Outcome {
  const begun = find(entries, 'ioctl.begun', () => true);
  if (begun === undefined) return {};
  const completed = find(entries, 'ioctl.completed', ({ ioctl }) => ioctl === begun.seq);
  const { errno } = completed ?? {};
  const ended = completed === undefined ? { pending: true } : { ret: completed.ret ?? -1 };
  return { ...ended, ...(errno && { errno }), ...memoryOf(state, begun) };
}

/** The struct and the buffers as they stand in memory now. */
function memoryOf(state: State, { process, argument, size, code, buffers }: EntryOf<'ioctl.begun'>): Outcome {
  const request = requestOf(kernelOf(state).profile, code);
  const bytes = readUser(state, process, argument, size > 0 ? size : (request?.bytes ?? 0));
  if (bytes === undefined) return {};
  const struct = request?.struct;
  const held = buffers.map(({ field, va, bytes: length }) => {
    const content = readUser(state, process, BigInt(va), length);
    return [field, hexOf(content ?? new Uint8Array())];
  });
  return {
    ...(struct && { out: fieldsIn(struct, bytes) }),
    ...(held.length > 0 ? { buffers: Object.fromEntries(held) } : {}),
    hex: hexOf(bytes),
  };
}

/** The fields that lie in the bytes as a whole. */
function fieldsIn(struct: Struct, bytes: Uint8Array): Outcome {
  const values = Object.entries(decodeStruct(struct, bytes));
  return Object.fromEntries(
    values.filter(([name]) => {
      const field = struct.fields[name];
      return field !== undefined && field.offset + field.bytes <= bytes.length;
    }),
  );
}

function find<T extends Entry['type']>(
  entries: readonly Entry[],
  type: T,
  fits: (entry: EntryOf<T>) => boolean,
): EntryOf<T> | undefined {
  for (const entry of entries) {
    if (entry.type === type && fits(entry as unknown as EntryOf<T>)) return entry as unknown as EntryOf<T>;
  }
  return undefined;
}
