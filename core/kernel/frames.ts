/** Kinds of work that the kernel does in tasks, besides its drivers'. */
import type { Context as Machine } from '../machine.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { completeIoctl, finishIoctl, startIoctl } from './dispatch.ts';
import { closeFile } from './files.ts';
import { type EndFrame, runEnd } from './iommufd/context.ts';
import { type CheckFrame, type EmptyFrame, runCheck, runEmpty, runUnpin } from './iommufd/filling.ts';
import { removeAreas, runUnmap, type UnmapFrame } from './iommufd/ioas-unmap.ts';
import { endObject } from './iommufd/kinds.ts';
import { runUnlink, type UnlinkFrame } from './iommufd/linking.ts';
import { remove } from './iommufd/object.ts';
import type { AreaPlace } from './iommufd/pins.ts';
import { objectFrames } from './iommufd/rows.ts';
import type { Span } from './iommufd/state.ts';
import { dropMaps } from './mmap.ts';
import { isAlone, mayBegin, nobodyMaps } from './threads.ts';
import { endProcess, type ReturnFrame, runExit, runReturn, runWrite, type WriteFrame } from './work.ts';

interface OfIoctl extends Frame {
  readonly ioctl: number;
}
interface OfObject extends Frame {
  readonly context: number;
  readonly object: number;
  readonly tombstone?: boolean;
}

interface OfProcess extends Frame {
  readonly process: string;
}

const row = <F extends Frame>(
  run: (machine: Machine, frame: F) => ReturnType<FrameRow<F>['run']>,
  ready?: NonNullable<FrameRow<F>['ready']>,
): FrameRow<F> => (ready === undefined ? { run } : { ready, run });

// biome-ignore format: a table
export const kernelFrames = {
  'ioctl.run':      row((machine, { ioctl }: OfIoctl) => startIoctl(machine, ioctl), (state, { ioctl }, { unit }) => mayBegin(state, ioctl, unit)),
  'ioctl.end':      row((machine, { ioctl }: OfIoctl) => finishIoctl(machine, ioctl)),
  'ioctl.complete': row((machine, { ioctl }: OfIoctl) => completeIoctl(machine, ioctl)),

  'object.end':     row((machine, { context, object }: OfObject) => endObject(machine, context, object)),
  'object.remove':  row((machine, { context, object, tombstone }: OfObject) => remove(machine, context, object, tombstone)),
  'context.end':    row((machine, frame: EndFrame) => runEnd(machine, frame, (id) => endObject(machine, frame.context, id))),

  'ioas.unmap':     row((machine, frame: UnmapFrame) => runUnmap(machine, frame), nobodyMaps),
  'ioas.unlink':    row((machine, frame: UnlinkFrame) => runUnlink(machine, frame)),
  'area.unpin':     row((machine, frame: Frame & AreaPlace & { readonly iova: bigint }) => runUnpin(machine, frame)),
  'area.empty':     row((machine, frame: EmptyFrame) => runEmpty(machine, frame)),
  'areas.check':    row((machine, frame: CheckFrame) => runCheck(machine, frame)),
  'areas.remove':   row((machine, frame: Frame & AreaPlace & Span) => removeAreas(machine, frame, frame)),

  'file.close':     row((machine, { fd }: Frame & { readonly fd: number }) => closeFile(machine, fd), isAlone),
  'file.write':     row((machine, frame: WriteFrame) => runWrite(machine, frame), isAlone),
  'maps.drop':      row((machine, { process }: OfProcess) => dropMaps(machine, process)),
  'process.exit':   row((machine, { process }: OfProcess) => runExit(machine, process), isAlone),
  'process.end':    row((machine, { process }: OfProcess) => endProcess(machine, process)),
  'syscall.end':    row((machine, frame: ReturnFrame) => runReturn(machine, frame)),
  'kernel.booted':  row((machine) => {
    machine.emit('kernel', { type: 'kernel.booted', profile: machine.state.kernel?.profile ?? '' });
  }),

  ...objectFrames,
} as const;
