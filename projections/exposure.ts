/**
 * How long devices could reach what lazy domains had unmapped already (N2 of the catalogue): windows, the longest
 * one in entries of the log, and accesses that were served in one. Facts, not findings.
 */
import type { EntryOf } from '../core/event.ts';
import {
  domainClosed,
  domainKind,
  newWindows,
  queued,
  released,
  taken,
  unmapping,
  type Windows,
} from './obligations/windows.ts';
import { type Projection, type ProjectionHandlers, projection } from './projection.ts';

export interface Exposure {
  /** Windows that were opened. */
  readonly windows: number;
  /** Open at the end. */
  readonly open: number;
  /** Entries between the opening and the end of the longest that is over. */
  readonly longest: number;
}

/** The windows, for whoever wants to count them. */
export const windowHandlers: {
  readonly [T in WindowEvent]: (windows: Windows, entry: EntryOf<T>) => void;
} = {
  'dma.opened': domainKind,
  'dma.kind': domainKind,
  'dma.closed': domainClosed,
  'dma.unmapping': unmapping,
  'fq.queued': queued,
  'fq.released': released,
  'iova.taken': taken,
};
type WindowEvent =
  | 'dma.opened'
  | 'dma.kind'
  | 'dma.closed'
  | 'dma.unmapping'
  | 'fq.queued'
  | 'fq.released'
  | 'iova.taken';

/** The exposure over the log of one branch. */
export function exposure(): Projection<Exposure> {
  return projection<Windows, Exposure>({
    name: 'exposure',
    initial: newWindows,
    handlers: windowHandlers as ProjectionHandlers<Windows>,
    answer: ({ totals, domains }) => {
      const open = [...domains.values()].reduce((sum, { pages }) => sum + new Set(pages.values()).size, 0);
      return { windows: totals.count, open, longest: totals.longest };
    },
  });
}
