/**
 * A process maps, unmaps and protects its memory (linux: vm_mmap with MAP_FIXED_NOREPLACE and MAP_POPULATE,
 * __vm_munmap, do_mprotect_pkey), with its mmap lock held. What was valid and changes is told to who else walks
 * the tables, before pages and tables are given back (mmu_gather).
 */
import { portOf } from '../driver/port.ts';
import type { PhysicalRun } from '../driver/table-map.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Context } from '../machine.ts';
import { pause } from '../tasks/cpu.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { type Asked, answerFrame, makeMm } from './made.ts';
import { hasQuirk, type NotifyFrame } from './notify.ts';
import { findMm, type Mm, mmOf, pageBytes } from './state.ts';
import {
  type Cleared,
  clearRange,
  handOf,
  isPresent,
  mapRun,
  type PageAccess,
  protectRange,
} from './tables.ts';

export interface ChangeFrame extends Asked {
  readonly do: 'mm.map' | 'mm.unmap' | 'mm.protect';
  readonly va: number;
  readonly bytes: number;
  readonly access: PageAccess;
}

/** Whole pages of user space; undefined where the range is none. */
function wholePages(mm: Mm, va: number, bytes: number): number | undefined {
  const page = pageBytes(mm);
  const end = va + Math.ceil(bytes / page) * page;
  return va % page !== 0 || end > 2 ** mm.table.ias ? undefined : end;
}

/** New memory, zeroed, at once present (`MAP_POPULATE`). Nobody has to be told of what was not there. */
export const mapRow: FrameRow<ChangeFrame> = {
  run: (context, frame) => {
    const { mm: key, va, bytes, access } = frame;
    const fail = (errno: Errno): readonly Frame[] => [answerFrame(frame, { errno })];
    const mm = findMm(context.state, key) ?? makeMm(context, frame);
    if (mm === undefined) return fail('ENOMEM');
    const end = wholePages(mm, va, bytes);
    if (end === undefined || mm.exited) return fail('EINVAL');
    if (isPresent(context.state, mm, va, end)) return fail('EEXIST');
    const hand = handOf(context.state, mm);
    const pa = portOf(hand).take(context, hand, end - va, 'page of a process');
    if (pa === undefined) return fail('ENOMEM');
    const { bytes: done, errno } = mapRun(context, mm, va, { pa, size: end - va }, access);
    if (errno === undefined) return [answerFrame(frame, { value: { va, pa } })];
    portOf(hand).giveBack(context, hand, pa + done, end - va - done);
    return [...takeAway(context, key, va, va + done), ...fail(errno)];
  },
};

export const unmapRow: FrameRow<ChangeFrame> = {
  run: (context, frame) => {
    const { mm: key, va, bytes } = frame;
    const mm = findMm(context.state, key);
    const end = mm === undefined || mm.exited ? undefined : wholePages(mm, va, bytes);
    if (end === undefined) return [answerFrame(frame, { errno: 'EINVAL' })];
    return [...takeAway(context, key, va, end), answerFrame(frame, {})];
  },
};

export const protectRow: FrameRow<ChangeFrame> = {
  run: (context, frame) => {
    const { mm: key, va, bytes, access } = frame;
    const mm = findMm(context.state, key);
    const end = mm === undefined || mm.exited ? undefined : wholePages(mm, va, bytes);
    if (mm === undefined || end === undefined) return [answerFrame(frame, { errno: 'EINVAL' })];
    begin(context, mm, key, va, end);
    const touched = protectRange(context, mm, va, end, access);
    return [...settle(context, key, { touched, pages: [], tables: [] }), answerFrame(frame, {})];
  },
};

/** Clears a range; then the notification, and only then the pages and tables go. */
function takeAway(context: Context, key: string, va: number, end: number): readonly Frame[] {
  const mm = mmOf(context.state, key);
  begin(context, mm, key, va, end);
  return settle(context, key, clearRange(context, mm, va, end));
}

function begin({ emit }: Context, { owner }: Mm, mm: string, va: number, end: number): void {
  emit(`${owner}.mm`, { type: 'mm.changing', mm, va: BigInt(va), bytes: end - va });
}

/** What follows on the stores, where there were any. */
function settle({ state }: Context, key: string, cleared: Cleared): readonly Frame[] {
  const free: FreeFrame = { ...freeFrame(key, cleared), do: 'mm.settle' };
  if (cleared.touched === undefined) return [free];
  const notify = notifyFrame(key, cleared);
  return hasQuirk(state, mmOf(state, key), 'notifier-late') ? [pause, free, notify] : [pause, notify, free];
}

function notifyFrame(mm: string, { touched, tables }: Cleared): NotifyFrame {
  const { va = 0, end = 0 } = touched ?? {};
  return { do: 'mm.notify', mm, va, bytes: end - va, tables: tables.length > 0 };
}

interface FreeFrame extends Frame {
  readonly do: 'mm.free' | 'mm.settle';
  readonly mm: string;
  readonly runs: readonly PhysicalRun[];
}

/** Pages, then tables. */
export function freeFrame(mm: string, { pages, tables }: Cleared): FreeFrame {
  return { do: 'mm.free', mm, runs: [...pages, ...tables] };
}

export const settleRow: FrameRow<FreeFrame> = {
  run: (context, { mm, runs }) => {
    context.emit(`${mmOf(context.state, mm).owner}.mm`, { type: 'mm.settled', mm });
    giveBack(context, mm, runs);
  },
};

export const freeRow: FrameRow<FreeFrame> = {
  run: (context, { mm, runs }) => giveBack(context, mm, runs),
};

function giveBack(context: Context, mm: string, runs: readonly PhysicalRun[]): void {
  const hand = handOf(context.state, mmOf(context.state, mm));
  for (const { pa, size } of runs) portOf(hand).giveBack(context, hand, pa, size);
}
