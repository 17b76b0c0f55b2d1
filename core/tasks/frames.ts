/** Joins the tables of frames of the parts. */
import { dmaApiFrames } from '../dma-api/frames.ts';
import { driverFrames } from '../driver/frames.ts';
import { kernelFrames } from '../kernel/frames.ts';
import { mmFrames } from '../mm/frames.ts';
import { virtioFrames } from '../virtio-iommu/frames.ts';
import { vmFrames } from '../vm/frames.ts';
import { pauseRow } from './cpu.ts';
import { releaseRow, takeRow } from './lock.ts';
import type { Frame, FrameRow } from './task.ts';

// biome-ignore format: a table
const taskFrames = {
  'cpu.pause':    pauseRow,
  'lock.take':    takeRow,
  'lock.release': releaseRow,
} as const;

export const frameRows: Readonly<Record<string, FrameRow<Frame>>> = {
  ...(taskFrames as unknown as Readonly<Record<string, FrameRow<Frame>>>),
  ...(dmaApiFrames as unknown as Readonly<Record<string, FrameRow<Frame>>>),
  ...(mmFrames as unknown as Readonly<Record<string, FrameRow<Frame>>>),
  ...(driverFrames as unknown as Readonly<Record<string, FrameRow<Frame>>>),
  ...(kernelFrames as unknown as Readonly<Record<string, FrameRow<Frame>>>),
  ...(vmFrames as unknown as Readonly<Record<string, FrameRow<Frame>>>),
  ...(virtioFrames as unknown as Readonly<Record<string, FrameRow<Frame>>>),
};
