/**
 * Binding a VFIO device to an iommufd, and the way back: the group is taken from the host's drivers, and blocks
 * all DMA until something is attached. linux: iommufd/device.c, iommufd_device_bind; vfio/device_cdev.c.
 */
import { attach } from '../../driver/ops.ts';
import type { Attachment } from '../../driver/state.ts';
import { programMessages } from '../../endpoint/msi.ts';
import type { Context as Machine } from '../../machine.ts';
import type { Frame, FrameRow } from '../../tasks/task.ts';
import type { Errno } from '../errno.ts';
import type { FileKindRow } from '../files.ts';
import type { FileOf } from '../state.ts';
import { keepContext, leaveContext } from './context.ts';
import { hardwareOf } from './device.ts';
import { boundIn, deviceAt, endpointsOf } from './group.ts';
import { change, finalize, reserve } from './object.ts';

/** Makes the device object of an endpoint in a context, and takes its group. */
export function bindDevice(
  machine: Machine,
  context: number,
  file: FileOf<'vfio'>,
): { readonly id: number; readonly frames: readonly Frame[] } | { readonly errno: Errno } {
  const { state, emit } = machine;
  const { endpoint, fd } = file;
  const hardware = hardwareOf(state, endpoint);
  if (hardware === undefined) return { errno: 'ENODEV' };
  if (!hardware.features.coherent) return { errno: 'EINVAL' };
  const others = boundIn(state, endpoint);
  if (others.some((each) => each.context !== context)) return { errno: 'EPERM' };
  const first = others[0];
  const defaults = first === undefined ? attachedNow(machine, endpoint) : deviceAt(state, first).defaults;
  const made = { kind: 'device', endpoint, attached: {}, vdevice: 0, viommu: 0, defaults } as const;
  const id = reserve(machine, context, made);
  if (id === undefined) return { errno: 'ENOMEM' };
  const frames = first === undefined ? moveTo(machine, blocked(defaults)) : [];
  finalize(machine, context, id);
  change(machine, context, deviceAt(state, { context, device: id }), { users: 2 });
  keepContext(machine, context);
  emit('kernel', { type: 'file.changed', fd, set: { context, device: id } });
  return { id, frames };
}

/** What the endpoints of a group are attached to. */
function attachedNow({ state }: Machine, endpoint: string): Readonly<Record<string, Attachment>> {
  const targets = endpointsOf(state, endpoint).map((each) => {
    const master = hardwareOf(state, each)?.master;
    return [each, master?.attached[0] ?? 'blocked'] as const;
  });
  return Object.fromEntries(targets);
}

function blocked(defaults: Readonly<Record<string, Attachment>>): Readonly<Record<string, Attachment>> {
  return Object.fromEntries(Object.keys(defaults).map((endpoint) => [endpoint, 'blocked']));
}

function moveTo(machine: Machine, targets: Readonly<Record<string, Attachment>>): readonly Frame[] {
  return Object.entries(targets).flatMap(([endpoint, to]) => {
    const done = attach(machine, endpoint, typeof to === 'string' ? to : { domain: to });
    return 'errno' in done ? [] : done;
  });
}

/** Unbinds what a closed file was bound to. */
export function unbindDevice(
  machine: Machine,
  { context, device, endpoint }: Pick<FileOf<'vfio'>, 'context' | 'device' | 'endpoint'>,
): readonly Frame[] {
  if (device === 0) return [];
  const object = deviceAt(machine.state, { context, device });
  const hardware = machine.state.endpoints[endpoint];
  if (hardware !== undefined) programMessages(machine, hardware);
  change(machine, context, object, { users: object.users - 1 });
  const released = { do: 'device.released', context, endpoint, defaults: object.defaults };
  return [{ do: 'object.end', context, object: device }, released];
}

interface ReleasedFrame extends Frame {
  readonly do: 'device.released';
  readonly context: number;
  readonly endpoint: string;
  readonly defaults: Readonly<Record<string, Attachment>>;
}

/** The group goes back to the host with its last device. */
export const releasedRow: FrameRow<ReleasedFrame> = {
  run: (machine, { context, endpoint, defaults }) => {
    const last = boundIn(machine.state, endpoint).length === 0;
    const frames = last ? moveTo(machine, defaults) : [];
    return [...frames, { do: 'context.left', context }];
  },
};

interface LeftFrame extends Frame {
  readonly do: 'context.left';
  readonly context: number;
}

/** One that kept the context has gone. */
export const leftRow: FrameRow<LeftFrame> = {
  run: (machine, { context }) => leaveContext(machine, context),
};

export const vfioFile: FileKindRow<'vfio'> = {
  close: (machine, file) => unbindDevice(machine, file),
};
