/**
 * Invalidation for a guest (linux: arm-smmu-v3-iommufd.c, arm_vsmmu_cache_invalidate): the commands are
 * converted and put into the real Command queue in blocks of 63, each with a CMD_SYNC. What is counted as
 * handled when one fails goes by the rule.
 */

import { present } from '../assert.ts';
import { changed } from '../changed.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { BATCH, issueAndSync } from './cmdq.ts';
import type { Cmd } from './commands.ts';
import { convertCommand, type GuestView } from './guest-commands.ts';
import { driverOf } from './port.ts';

export interface InvalidateRules {
  /**
   * `per-block`: a bad command leaves the block before it converted, counted and not issued;
   * `validate-first`: a block is converted before any of it is issued, and counted when it is done.
   */
  readonly batchRule: 'per-block' | 'validate-first';
  /** Fields are checked, beyond what the conversion needs. */
  readonly strict: boolean;
  /** No commands at all: a probe that succeeds, or EINVAL. */
  readonly zeroLength: 'EINVAL' | 'accepted';
}

/** How it ended, for the frame row `invalidate.done` of the caller. */
export interface DoneFrame extends Frame {
  readonly do: 'invalidate.done';
  /** What entry_num becomes. */
  readonly handled: number;
  readonly errno?: Errno;
  /** Commands among those handled that never went out, because one after them was refused. */
  readonly unissued?: { readonly smmu: string; readonly commands: readonly Cmd[] };
}

export interface InvalidateFrame extends Frame {
  readonly do: 'viommu.invalidate';
  readonly driver: string;
  readonly view: GuestView;
  readonly commands: readonly Cmd[];
  readonly rules: InvalidateRules;
  /** The next command. */
  readonly at: number;
  /** First command of the block that is waited for; `at` for none. */
  readonly issued: number;
  /** What the caller wants to find in the frame of the end. */
  readonly about: Readonly<Record<string, unknown>>;
}

/** A room for the CMD_SYNC is left in a batch. */
const BLOCK = BATCH - 1;

export const invalidateRow: FrameRow<InvalidateFrame> = {
  run: ({ state }, frame, task) => {
    const { driver: name, view, commands, rules, at, issued, about } = frame;
    const driver = driverOf(state, name);
    const features = present(driver.features, 'features');
    const exact = rules.batchRule === 'validate-first';
    const done = (
      handled: number,
      errno?: Errno,
      more: Pick<DoneFrame, 'unissued'> = {},
    ): readonly DoneFrame[] => [
      { do: 'invalidate.done', ...about, handled, ...(errno === undefined ? {} : { errno }), ...more },
    ];
    // The count of a block that timed out is the index of its last command, or of its first.
    if (issued < at && driver.timedOut === task.id) return done(exact ? issued : at - 1, 'ETIMEDOUT');
    if (commands.length === 0 && rules.zeroLength === 'EINVAL') return done(0, 'EINVAL');
    if (at >= commands.length) return done(commands.length);
    const end = Math.min(at + BLOCK, commands.length);
    const block: Cmd[] = [];
    for (const [offset, command] of commands.slice(at, end).entries()) {
      const converted = convertCommand(command, view, features, rules.strict);
      if (converted === undefined) {
        if (exact || block.length === 0) return done(at, 'EIO');
        const unissued = { smmu: driver.setup.port.smmu, commands: block };
        return done(at + offset, 'EIO', { unissued });
      }
      block.push(converted);
    }
    return [issueAndSync(name, block), changed(frame, { at: end, issued: at })];
  },
};
