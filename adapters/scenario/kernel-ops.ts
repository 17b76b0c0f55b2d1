/** The ops that ask the host's kernel for something: memory of processes, files, ioctls. */
import { fdOf } from '../../core/kernel/files.ts';
import { DEFAULT_PROCESS } from '../../core/kernel/process/process.ts';
import { findRequest, type Request, requestNames, requestOf } from '../../core/kernel/requests.ts';
import type { KernelState } from '../../core/kernel/state.ts';
import type { Struct } from '../../core/kernel/uapi/struct.ts';
import { meant } from '../../core/path/near.ts';
import { showFound } from '../input-error.ts';
import { encodeArgument, namedNumber } from './ioctl-argument.ts';
import { type Act, type Answer, defined, dispatch, type OpContext } from './op.ts';
import { refuse } from './parse.ts';
import { wholeNumber } from './values.ts';
import type { LineOf } from './vocabulary.ts';

type KernelOp =
  | 'mem.alloc'
  | 'mem.free'
  | 'mem.memfd'
  | 'open'
  | 'close'
  | 'read'
  | 'write'
  | 'mmap'
  | 'munmap'
  | 'process.exit'
  | 'ioctl';

export const kernelOps: { readonly [O in KernelOp]: Act<O> } = {
  'mem.alloc': ({ op: type, process, bytes, kind = 'anon-shared' }, context) => {
    kernelIn(context, type);
    return dispatch(context, { type, ...defined({ process }), bytes, kind });
  },
  'mem.free': ({ op: type, process, va }, context) => {
    kernelIn(context, type);
    return dispatch(context, { type, ...defined({ process }), va: Number(va) });
  },
  'mem.memfd': ({ op: type, process, bytes }, context) => {
    kernelIn(context, type);
    return dispatch(context, { type, ...defined({ process }), bytes });
  },
  open: ({ op: type, process, fd }, context) => {
    kernelIn(context, type);
    return dispatch(context, { type, ...defined({ process }), fd });
  },
  close: ({ op: type, fd }, context) => {
    kernelIn(context, type);
    return dispatch(context, { type, fd });
  },
  read: ({ op: type, fd, bytes }, context) => {
    kernelIn(context, type);
    return dispatch(context, { type, fd, bytes });
  },
  write: ({ op: type, fd, hex }, context) => {
    kernelIn(context, type);
    return dispatch(context, { type, fd, bytes: hex });
  },
  mmap: ({ op: type, fd, offset, length, private: own, exec }, context) => {
    kernelIn(context, type);
    return dispatch(context, { type, fd, at: offset, length, ...defined({ private: own, exec }) });
  },
  munmap: ({ op: type, fd, offset }, context) => {
    kernelIn(context, type);
    return dispatch(context, { type, fd, at: offset });
  },
  'process.exit': ({ op: type, process = DEFAULT_PROCESS }, context) => {
    kernelIn(context, type);
    return dispatch(context, { type, process });
  },
  ioctl: (line, context) => {
    const request = requestFor(line, context);
    const about = {
      type: 'ioctl' as const,
      fd: line.fd,
      ...defined({ process: line.process, thread: line.thread }),
      code: request.code,
    };
    if (line.hex !== undefined) {
      if (line.arg !== undefined) throw refuse(context.place, line.op, '', 'expected arg or hex, found both');
      return dispatch(context, { ...about, bytes: line.hex });
    }
    // By its name alone, a call has a struct of zeros with its size.
    const zeros = line.name !== undefined && request.struct !== undefined ? {} : undefined;
    const raw = line.arg?.value ?? zeros;
    const number = raw === undefined ? 0n : (wholeNumber(raw) ?? namedNumber(raw));
    if (number !== undefined && number < 2n ** 64n) return dispatch(context, { ...about, arg: number });
    return dispatch(context, { ...about, ...argumentOf(line, request, raw, context) });
  },
};

/** The kernel, without which there is nobody to ask. */
export function kernelIn({ simulation, place }: OpContext, op: string): KernelState {
  const { kernel } = simulation.glance;
  if (kernel === undefined) {
    throw refuse(
      place,
      op,
      '',
      'expected a machine with a kernel ({"op":"machine","kernel":{}}), found one without',
    );
  }
  return kernel;
}

function requestFor(line: LineOf<'ioctl'>, context: OpContext): Request {
  const { profile } = kernelIn(context, line.op);
  if (line.code !== undefined) {
    return (
      requestOf(profile, line.code) ?? { name: `0x${line.code.toString(16)}`, code: line.code, bytes: 0 }
    );
  }
  const name = line.name ?? '';
  const found = findRequest(profile, name);
  if (found !== undefined) return found;
  const message = `expected the name of an ioctl of iommufd or VFIO${meant(name, requestNames())}, found "${name}"`;
  throw refuse(context.place, line.op, 'name', message);
}

function argumentOf(line: LineOf<'ioctl'>, request: Request, raw: unknown, context: OpContext): Answer {
  const { place, simulation } = context;
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    throw refuse(
      place,
      line.op,
      'arg',
      `expected a number or the fields of the struct, found ${showFound(raw)}`,
    );
  if (request.struct === undefined)
    throw refuse(place, line.op, 'arg', `expected a number: ${request.name} has no struct`);
  const withStruct = request as Request & { readonly struct: Struct };
  const known = (name: string): number | undefined => fdOf(simulation.glance, name);
  const encoded = encodeArgument(withStruct, raw as Readonly<Record<string, unknown>>, known);
  if ('problem' in encoded) throw refuse(place, line.op, encoded.field, encoded.problem);
  const { bytes, buffers } = encoded;
  return { bytes, ...(buffers.length > 0 ? { buffers } : {}) };
}
