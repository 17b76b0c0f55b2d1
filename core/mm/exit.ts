/**
 * A process goes (linux: exit_mmap): first the drivers let go of its tables (mmu_notifier_release,
 * arm_smmu_mm_release), so that no device reaches what is taken down after it without a word to anybody.
 */

import { masterOf } from '../driver/cd.ts';
import { findPaging } from '../driver/domains.ts';
import { releasedCd } from '../driver/sva.ts';
import type { Context } from '../machine.ts';
import { pause } from '../tasks/cpu.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { freeFrame } from './change.ts';
import { type Asked, answerFrame, dropMm } from './made.ts';
import { findMm, type Mm, mmKey, mmOf } from './state.ts';
import { clearRange, populated } from './tables.ts';

export const exitRow: FrameRow<Asked> = {
  run: (context, frame) => {
    const mm = findMm(context.state, frame.mm);
    if (mm === undefined || mm.exited) return [answerFrame(frame, { errno: 'EINVAL' })];
    const release = mm.notifiers.flatMap((domain) => releaseFrames(context, mm, domain));
    context.emit(`${mm.owner}.mm`, { type: 'mm.exited', mm: frame.mm });
    return [...release, pause, { do: 'mm.teardown', mm: frame.mm }, answerFrame(frame, {})];
  },
};

/** The CDs of a domain lead nowhere from now on, and nothing of the tables is left in TLBs and ATCs. */
function releaseFrames(context: Context, mm: Mm, id: number): readonly Frame[] {
  const { driver, domain } = findPaging(context.state, id);
  if (domain.kind !== 's1' || driver.quirks['release-silent'] === true) return [];
  const bonds = mm.bonds.filter((bond) => bond.domain === id);
  const cds = bonds.map(({ endpoint }) => {
    const target = releasedCd(driver, masterOf(driver, endpoint), domain);
    return { do: 'cd.write', driver: driver.name, endpoint, ssid: mm.pasid, target };
  });
  const key = mmKey(mm.owner, mm.name);
  const told = cds.flatMap((cd) => [{ do: 'mm.begin', mm: key }, cd]);
  return [...told, { do: 'invs.range', domain: id, iova: 0, size: 0, granule: 0, leaf: false }];
}

interface TeardownFrame extends Frame {
  readonly do: 'mm.begin' | 'mm.teardown' | 'mm.drop';
  readonly mm: string;
}

/** A CD is about to change: nobody relies on it before the teardown. */
export const beginRow: FrameRow<TeardownFrame> = {
  run: ({ state, emit }, { mm: key }) => {
    emit(`${mmOf(state, key).owner}.mm`, { type: 'mm.changing', mm: key, va: 0n, bytes: 0 });
  },
};

/** Pages and tables are cleared and given back; the root stays for as long as a CD may name it. */
export const teardownRow: FrameRow<TeardownFrame> = {
  run: (context, { mm: key }) => {
    context.emit(`${mmOf(context.state, key).owner}.mm`, { type: 'mm.settled', mm: key });
    const all = populated(context.state, mmOf(context.state, key)).map(({ va, end }) =>
      clearRange(context, mmOf(context.state, key), va, end),
    );
    return [...all.map((cleared) => freeFrame(key, cleared)), { do: 'mm.drop', mm: key }];
  },
};

export const dropRow: FrameRow<TeardownFrame> = {
  run: (context, { mm }) => dropMm(context, mm),
};
