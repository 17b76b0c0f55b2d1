/**
 * Several CPUs at the Command queue (linux: arm_smmu_cmdq_issue_cmdlist). A CPU reserves slots; who reserves while
 * nobody gathers becomes the owner of a new run, who comes later joins it. Each stores its commands and marks them
 * valid. The owner waits until the runs before are told of, gathers no more, waits until all of its run is valid,
 * and writes PROD once for it. Who has a CMD_SYNC waits for that alone.
 */
import type { Context } from '../machine.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import type { Cmd } from './commands.ts';
import { driverOf, portOf } from './port.ts';
import type { DriverState } from './state.ts';

interface RunFrame extends Frame {
  readonly driver: string;
  readonly task: number;
  /** Pointer of the first slot. */
  readonly index: number;
}

export interface FillFrame extends RunFrame {
  readonly do: 'cmdq.fill';
  readonly commands: readonly Cmd[];
}

/** Reserves slots for a task. What is left to do with them comes back as frames. */
export function reserve(
  { emit }: Context,
  { name: driver, setup, runs = [] }: DriverState,
  {
    index,
    end,
    commands,
  }: { readonly index: number; readonly end: number; readonly commands: readonly Cmd[] },
  task: number,
): readonly Frame[] {
  const owner = runs.at(-1)?.gathered !== false;
  const about = { driver, task, index };
  emit(setup.actor, { type: 'cmdq.reserved', ...about, count: commands.length, end, owner });
  const fill = { do: 'cmdq.fill', ...about, commands, pause: true };
  return owner
    ? [fill, { do: 'cmdq.gather', ...about, pause: true }, { do: 'cmdq.publish', ...about }]
    : [fill];
}

/** The owner of the oldest run gathers no more. */
export const gatherRow: FrameRow<RunFrame> = {
  ready: (state, { driver, index }) => driverOf(state, driver).runs?.[0]?.start === index,
  run: ({ state, emit }, { driver: name, task, index }) => {
    const { runs = [], setup } = driverOf(state, name);
    const end = runs[0]?.end ?? index;
    emit(setup.actor, { type: 'cmdq.gathered', driver: name, task, index, end });
  },
};

/** All of it stands in memory: PROD, once. */
export const publishRow: FrameRow<RunFrame> = {
  ready: (state, { driver }) =>
    driverOf(state, driver).runs?.[0]?.parts.every(({ filled }) => filled) === true,
  run: (context, { driver: name, task, index }) => {
    const driver = driverOf(context.state, name);
    const end = driver.runs?.[0]?.end ?? index;
    portOf(driver).write(context, driver, 'CMDQ_PROD', BigInt(end));
    context.emit(driver.setup.actor, { type: 'cmdq.published', driver: name, task, index, end });
  },
};
