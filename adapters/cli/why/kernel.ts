/**
 * Calls of the host's kernel: what an ioctl was given, what happened on its way, and which check refused it as
 * far as the state tells. linux: iommufd/main.c for the checks that all ioctls share.
 */
import type { Entry, EntryOf } from '../../../core/event.ts';
import type { Errno } from '../../../core/kernel/errno.ts';
import { areasOf, firstAreaIn } from '../../../core/kernel/iommufd/areas.ts';
import type { AnyObject, Context } from '../../../core/kernel/iommufd/state.ts';
import { readUser } from '../../../core/kernel/process/memory.ts';
import { type Call, ioctlAt } from '../../../core/kernel/profiles.ts';
import type { KernelState, OpenFile } from '../../../core/kernel/state.ts';
import { ioctlCode, ioctls } from '../../../core/kernel/uapi/ioctls.ts';
import { decodeStruct, showStruct } from '../../../core/kernel/uapi/struct.ts';
import { outsideOf } from './origin.ts';
import { type Evidence, fact, hex, type Reason, type Rows } from './reason.ts';
import { asked } from './registers.ts';

const MAIN = 'linux: iommufd/main.c';

export const kernelRows: Rows = {
  ioctl: { cite: MAIN, below: endOf },
  'ioctl.begun': { cite: MAIN, below: endOf },
  'ioctl.completed': { cite: MAIN, below: completed },
  'ioctl.answered': { cite: MAIN, below: (e, evidence) => evidence.because('of', e.ioctl) },
  'syscall.returned': { below: (e, evidence) => evidence.because('of', e.call) },
  'commands.unissued': {
    cite: 'linux: arm-smmu-v3-iommufd.c',
    below: (e, evidence) => evidence.because('counted by', e.ioctl),
  },
  'object.reserved': { below: (e, evidence) => asked(e, evidence) },
  'object.finalized': { below: (e, evidence) => asked(e, evidence) },
  'object.changed': { below: (e, evidence) => asked(e, evidence) },
  'object.removed': { below: (e, evidence) => asked(e, evidence) },
};

/** The end of a call that this begins. */
function endOf(e: Entry, evidence: Evidence): readonly Reason[] {
  const begun = e.type === 'ioctl.begun' ? e : evidence.step(e).find(({ type }) => type === 'ioctl.begun');
  if (begun === undefined) return [];
  const end = evidence
    .between(begun.seq, evidence.moment)
    .find((each) => each.type === 'ioctl.completed' && each.ioctl === begun.seq);
  if (end === undefined) return [fact(evidence.moment, 'not ended', 'the call is under way')];
  return evidence.because('ended', end.seq);
}

/** A call as its begin found things. */
interface Asked {
  readonly begun: EntryOf<'ioctl.begun'>;
  readonly kernel: KernelState;
  readonly file: OpenFile | undefined;
  readonly call: Call | undefined;
  readonly context: Context | undefined;
  /** The user's struct as far as the kernel knows it; undefined where it cannot be read. */
  readonly bytes: Uint8Array | undefined;
  /** Its size field. */
  readonly size: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

function completed(e: EntryOf<'ioctl.completed'>, evidence: Evidence): readonly Reason[] {
  const call = askedOf(e, evidence);
  if (call === undefined) return [];
  const { begun, bytes } = call;
  const shown = bytes === undefined || call.call === undefined ? '' : showStruct(call.call.struct, bytes);
  const from = outsideOf(begun, evidence);
  return [
    ...(e.errno === undefined ? made(e, evidence) : refusedBy(e, e.errno, call, evidence)),
    fact(begun.seq, 'asked', `${begun.name}${shown === '' ? '' : ` ${shown}`}`, MAIN),
    ...(from === undefined ? [] : evidence.because('by', from.seq)),
  ];
}

function askedOf({ ioctl }: EntryOf<'ioctl.completed'>, evidence: Evidence): Asked | undefined {
  const begun = evidence.entry(ioctl);
  const state = evidence.state(ioctl);
  const { kernel } = state;
  if (begun.type !== 'ioctl.begun' || kernel === undefined) return undefined;
  const file = kernel.files[begun.fd];
  const kind = file?.kind === 'vfio' ? 'vfio-device' : 'iommufd';
  const found = ioctlAt(kernel.profile, kind, begun.code & 0xff);
  const call = found?.code === begun.code ? found : undefined;
  const head = readUser(state, begun.process, begun.argument, 4);
  const size = head === undefined ? 0 : new DataView(head.buffer, head.byteOffset).getUint32(0, true);
  const bytes =
    call === undefined
      ? undefined
      : readUser(state, begun.process, begun.argument, Math.min(size, call.bytes));
  const context = file !== undefined && 'context' in file ? kernel.contexts[file.context] : undefined;
  const fields =
    call === undefined || bytes === undefined
      ? {}
      : (decodeStruct(call.struct, bytes) as Record<string, unknown>);
  return { begun, kernel, file, call, context, bytes, size, fields };
}

/** What a call that succeeded made or changed. */
function made(e: EntryOf<'ioctl.completed'>, evidence: Evidence): readonly Reason[] {
  return evidence
    .between(e.ioctl, e.seq)
    .filter(({ type }) => MADE.test(type))
    .flatMap(({ seq }) => evidence.because('it did', seq));
}

const MADE =
  /^(object\.(finalized|removed)|area\.added|areas\.removed|master\.attached|commands\.unissued|hwinfo\.)/;
const WENT_WRONG =
  /^(command\.rejected|driver\.failed|driver\.told|sync\.timedout|commands\.unissued|memory\.aborted)$/;

interface Diagnosis {
  readonly errnos: readonly Errno[];
  /** Why, where the state shows that this check refused. */
  why(call: Asked, evidence: Evidence): string | Reason | undefined;
}

/** The checks that the state can show, in the kernel's order. */
// biome-ignore format: a table
const diagnoses: readonly Diagnosis[] = [
  { errnos: ['EBADF'],  why: ({ begun, file }) => file === undefined ? `no file is open as fd ${begun.fd}` : undefined },
  { errnos: ['ENOTTY'], why: unknownCall },
  { errnos: ['EFAULT'], why: ({ begun, bytes }) => bytes === undefined ? `nothing of the process is mapped at ${hex(begun.argument)}` : undefined },
  { errnos: ['EINVAL'], why: ({ call, size }) => call !== undefined && size < call.min ? `size=${size} is below the ${call.min} bytes that the call takes at least` : undefined },
  { errnos: ['E2BIG'],  why: ({ call, size }) => call !== undefined && size > call.bytes ? `size=${size} is beyond the ${call.bytes} bytes this kernel knows, and what is beyond is not zero` : undefined },
  { errnos: ['ENOENT'], why: missingObject },
  { errnos: ['EINVAL', 'ENOENT'], why: wrongKind },
  { errnos: ['EBUSY'],  why: heldObject },
  { errnos: ['EEXIST'], why: overlapped },
];

function unknownCall({ begun, kernel, call, file }: Asked): string | undefined {
  if (call !== undefined) return undefined;
  const kind = file?.kind === 'vfio' ? 'vfio-device' : 'iommufd';
  const known = Object.entries(ioctls).find(
    ([, row]) => ioctlCode(row.nr) === begun.code && row.file === kind,
  );
  const since = known === undefined ? 'no release has it' : `${known[0]} came with Linux ${known[1].since}`;
  return `${kernel.profile} has no call ${hex(begun.code)} on a file of kind ${file?.kind ?? '-'}: ${since}`;
}

/** Fields that name objects, with what they name. */
function* named({
  fields,
  context,
}: Asked): Generator<{ field: string; id: number; object: AnyObject | undefined }> {
  if (context === undefined) return;
  for (const [field, value] of Object.entries(fields)) {
    if (!/(^|_)id$/.test(field) || /^(out_|virt_)/.test(field) || typeof value !== 'number') continue;
    const object = context.objects.get(value);
    yield { field, id: value, object: object?.ready === true ? object : undefined };
  }
}

function missingObject(call: Asked, evidence: Evidence): string | Reason | undefined {
  for (const { field, id, object } of named(call)) {
    if (object !== undefined || id === 0) continue;
    const removed = removalOf(call, id, evidence);
    const what = `${field}=${id} names no object`;
    if (removed === undefined) return `${what}; none of that id was removed before`;
    const below = (): readonly Reason[] => evidence.because('removed by', removed.seq);
    return { seq: call.begun.seq, role: 'refused', what, cite: MAIN, below };
  }
  return undefined;
}

function removalOf({ file, begun }: Asked, id: number, evidence: Evidence): Entry | undefined {
  const number = file !== undefined && 'context' in file ? file.context : 0;
  for (const each of evidence.newest('type:object.removed', begun.seq)) {
    if (each.type === 'object.removed' && each.object === id && each.context === number) return each;
  }
  return undefined;
}

/** Kinds that a field takes, where its name says so. */
const kindsOf: Readonly<Record<string, readonly string[]>> = {
  ioas_id: ['ioas'],
  dev_id: ['device'],
  viommu_id: ['viommu'],
  pt_id: ['ioas', 'hwpt_paging', 'hwpt_nested', 'viommu'],
};

function wrongKind(call: Asked): string | undefined {
  for (const { field, id, object } of named(call)) {
    const kinds = Object.hasOwn(kindsOf, field) ? kindsOf[field] : undefined;
    if (object === undefined || kinds === undefined || kinds.includes(object.kind)) continue;
    return `${field}=${id} is of kind ${object.kind}, expected ${kinds.join(' or ')}`;
  }
  return undefined;
}

/** An object that others hold; the last reference taken and the number of users. */
function heldObject(call: Asked, evidence: Evidence): string | Reason | undefined {
  for (const { field, id, object } of named(call)) {
    if (object === undefined || object.users <= 1) continue;
    const what = `${field}=${id}: the ${object.kind} has ${object.users - 1} user(s) besides its id`;
    const below = (): readonly Reason[] => lastReference(call, id, evidence);
    return { seq: call.begun.seq, role: 'refused', what, cite: MAIN, below };
  }
  return undefined;
}

function lastReference({ begun }: Asked, id: number, evidence: Evidence): readonly Reason[] {
  for (const each of evidence.newest('type:object.changed', begun.seq)) {
    if (each.type !== 'object.changed' || each.object !== id || !('users' in each.set)) continue;
    return evidence.because('users changed last by', each.seq);
  }
  return [];
}

/** IOAS_MAP at an IOVA that is mapped (linux: iommufd/io_pagetable.c). */
function overlapped(call: Asked, evidence: Evidence): string | Reason | undefined {
  const { fields, begun, context } = call;
  const { iova, length } = fields;
  const ioas = [...named(call)].find(({ object }) => object?.kind === 'ioas')?.object;
  if (typeof iova !== 'bigint' || typeof length !== 'bigint' || length === 0n) return undefined;
  if (ioas?.kind !== 'ioas' || context === undefined) return undefined;
  const there = firstAreaIn(areasOf(context, ioas), { start: iova, last: iova + length - 1n });
  if (there === undefined) return undefined;
  const what = `${hex(there.iova)} to ${hex(there.last)} are mapped already`;
  const below = (): readonly Reason[] => addedBy(there.iova, context.id, ioas.id, begun.seq, evidence);
  return { seq: begun.seq, role: 'refused', what, cite: 'linux: iommufd/io_pagetable.c', below };
}

function addedBy(
  iova: bigint,
  context: number,
  ioas: number,
  until: number,
  evidence: Evidence,
): readonly Reason[] {
  for (const each of evidence.newest('type:area.added', until)) {
    if (each.type !== 'area.added' || each.context !== context || each.ioas !== ioas) continue;
    if (each.iova <= iova && iova <= each.last) return evidence.because('mapped by', each.seq);
  }
  return [];
}

function refusedBy(
  e: EntryOf<'ioctl.completed'>,
  errno: Errno,
  call: Asked,
  evidence: Evidence,
): readonly Reason[] {
  const during = evidence.between(e.ioctl, e.seq);
  const failed = during.filter(
    (each) => WENT_WRONG.test(each.type) || (each.type === 'allocation.counted' && each.left === 0),
  );
  const way = failed.flatMap(({ seq }) => evidence.because('on its way', seq));
  for (const row of diagnoses) {
    const found = row.errnos.includes(errno) ? row.why(call, evidence) : undefined;
    if (found === undefined) continue;
    return [typeof found === 'string' ? fact(e.ioctl, 'refused', `${errno}: ${found}`, MAIN) : found, ...way];
  }
  if (way.length > 0) return way;
  return [
    fact(e.ioctl, 'refused', `${errno} by a check of ${e.name} itself; its fields and objects are below`),
  ];
}
