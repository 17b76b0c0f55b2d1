/** Joins the tables of frames of the parts. */
import { dmaApiFrames } from '../dma-api/frames.ts';
import { driverFrames } from '../driver/frames.ts';
import { kernelFrames } from '../kernel/frames.ts';
import { mmFrames } from '../mm/frames.ts';
import { virtioFrames } from '../virtio-iommu/frames.ts';
import { vmFrames } from '../vm/frames.ts';
import { lostRow, pauseRow } from './cpu.ts';
import { releaseRow, takeRow } from './lock.ts';
import type { Frame, FrameRow } from './task.ts';

// biome-ignore format: a table
const taskFrames = {
  'cpu.pause':    pauseRow,
  'task.lost':    lostRow,
  'lock.take':    takeRow,
  'lock.release': releaseRow,
} as const;

type Rows = Readonly<Record<string, FrameRow<Frame>>>;

/** A map and not a record: each turn looks up a name that stands in the state. */
export const frameRows: ReadonlyMap<string, FrameRow<Frame>> = new Map(
  Object.entries({
    ...(taskFrames as unknown as Rows),
    ...(dmaApiFrames as unknown as Rows),
    ...(mmFrames as unknown as Rows),
    ...(driverFrames as unknown as Rows),
    ...(kernelFrames as unknown as Rows),
    ...(vmFrames as unknown as Rows),
    ...(virtioFrames as unknown as Rows),
  }),
);
