/** Every kind of frame that the DMA API has. */
import { answerRow, attachRow, closeRow } from './attach.ts';
import { drainRow, flushedRow, flushRow, queueRow } from './flush-queue.ts';
import { fillRow, freeRow, mappedRow, mapRow, unmappedRow, unmapRow } from './map.ts';
import { stepRow, useRow, workMappedRow } from './work.ts';

// biome-ignore format: a table
export const dmaApiFrames = {
  'dma.map':      mapRow,
  'dma.fill':     fillRow,
  'dma.mapped':   mappedRow,
  'dma.unmap':    unmapRow,
  'dma.free':     freeRow,
  'dma.unmapped': unmappedRow,
  'dma.attach':   attachRow,
  'dma.close':    closeRow,
  'guest.answer': answerRow,
  'work.step':    stepRow,
  'work.mapped':  workMappedRow,
  'work.use':     useRow,
  'fq.queue':     queueRow,
  'fq.flush':     flushRow,
  'fq.flushed':   flushedRow,
  'fq.drain':     drainRow,
} as const;
