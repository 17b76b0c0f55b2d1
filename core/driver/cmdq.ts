/**
 * Putting commands into the Command queue (linux: arm_smmu_cmdq_issue_cmdlist): batches of 64, space first,
 * the stores, then one write of PROD; with a CMD_SYNC, a wait until it is consumed. Several CPUs at once share
 * writes of PROD: see `cmdq-runs.ts`. The wait ends with a
 * time-out when the SMMU can do nothing more and no handler of its interrupts has anything to do.
 */

import { present } from '../assert.ts';
import { changed } from '../changed.ts';
import type { Context } from '../machine.ts';
import { pow2 } from '../pow2.ts';
import type { State } from '../state.ts';
import { isCpuUnit, pause } from '../tasks/cpu.ts';
import type { Frame, FrameRow, Task } from '../tasks/task.ts';
import { type FillFrame, reserve } from './cmdq-runs.ts';
import { bytesOfCmds, type Cmd, cmdOf } from './commands.ts';
import { driverOf, portOf, tell } from './port.ts';
import { spoiled } from './quirks.ts';
import { secondFor } from './second-queue.ts';
import type { DriverQueue, DriverState } from './state.ts';

const ENTRY_BYTES = 16;
/** Commands that go out with one write of PROD. */
export const BATCH = 64;

/** Commands to be issued, and whether the last batch ends in a CMD_SYNC that is waited for. */
export interface IssueFrame extends Frame {
  readonly do: 'cmdq.issue';
  readonly driver: string;
  readonly commands: readonly Cmd[];
  readonly sync: boolean;
  /** That there is no room was said already. */
  readonly told?: boolean;
}

export interface WaitFrame extends Frame {
  readonly do: 'cmdq.wait';
  readonly driver: string;
  /** Pointer of the CMD_SYNC. */
  readonly index: number;
}

/** Issues commands and waits for them. */
export function issueAndSync(driver: string, commands: readonly Cmd[]): IssueFrame {
  return { do: 'cmdq.issue', driver, commands, sync: true };
}

/** Issues commands and goes on. */
export function issue(driver: string, commands: readonly Cmd[]): IssueFrame {
  return { do: 'cmdq.issue', driver, commands, sync: false };
}

/** The SMMU of the driver can do nothing by itself, and no handler of its interrupts has work. */
export function isStuck(state: State, driver: DriverState): boolean {
  if (driver.interrupts.length > 0 || portOf(driver).isBusy(state, driver)) return false;
  // Who has slots will tell PROD of them.
  if ((driver.runs?.length ?? 0) > 0) return false;
  return !state.tasks.some(({ unit }) => unit.startsWith(`${driver.name}.`) && unit.endsWith('-irq'));
}

function batchOf(
  driver: DriverState,
  { commands, sync }: IssueFrame,
): { now: readonly Cmd[]; left: readonly Cmd[]; sync: boolean; more?: boolean } {
  if (driver.setup.platform.tlbiOnMap !== undefined && commands.length > 0 && sync)
    return single(driver, commands);
  const forced = driver.features?.forceSync === true;
  const size = forced ? BATCH - 1 : BATCH;
  const last = commands.length <= size;
  const now = spoiled(commands.slice(0, size), driver.quirks);
  return {
    now,
    left: commands.slice(size),
    sync: (last ? sync : forced) && driver.quirks['skip-sync'] !== true,
  };
}

/** One command for each write of PROD, the CMD_SYNC last and alone: as drivers were in 2017. */
function single(
  driver: DriverState,
  [first, ...left]: readonly Cmd[],
): { now: readonly Cmd[]; left: readonly Cmd[]; sync: boolean; more: boolean } {
  const now = first === undefined ? [] : spoiled([first], driver.quirks);
  return { now, left, sync: false, more: true };
}

export const issueRow: FrameRow<IssueFrame> = {
  ready: (state, frame) => {
    const driver = driverOf(state, frame.driver);
    if (secondFor(state, driver, frame.commands, '') !== undefined) return true;
    const { now, sync } = batchOf(driver, frame);
    if (roomFor(state, driver, now.length + (sync ? 1 : 0))) return true;
    return frame.told !== true && isStuck(state, driver);
  },
  run: (context, frame, task) => {
    const driver = driverOf(context.state, frame.driver);
    const trusted = byInstruction(context, driver, frame);
    if (trusted !== undefined) return trusted;
    const other = secondFor(context.state, driver, frame.commands, task.unit);
    if (other !== undefined) return issueThere(driver, frame, other.index);
    const { now, left, sync, more } = batchOf(driver, frame);
    const count = now.length + (sync ? 1 : 0);
    if (count > 0 && !hasRoom(cmdqOf(driver), count)) {
      refreshCons(context, driver);
      if (!hasRoom(cmdqOf(driver), count)) {
        // It is tried for ever, as the real driver does.
        tell(context, driver, 'CMDQ timeout');
        return [changed(frame, { told: true })];
      }
    }
    const shared = count > 0 && (isCpuUnit(task.unit) || (driver.runs?.length ?? 0) > 0);
    const rest = left.length === 0 && more !== true ? [] : [changed(frame, { commands: left })];
    if (shared) return [...share(context, driver, { now, sync }, task), ...rest];
    const index = count > 0 ? insert(context, driver, now, sync) : 0;
    return [...waitFor(driver, sync, index), ...rest];
  },
};

/** With broadcasts the CPU's own instructions do the work of TLB commands; what is left still goes to a queue. */
function byInstruction(
  context: Context,
  driver: DriverState,
  frame: IssueFrame,
): readonly Frame[] | undefined {
  const port = portOf(driver);
  if (driver.features?.broadcast !== true || port.tlbi === undefined) return undefined;
  const left = frame.commands.filter((command) => {
    const [real] = spoiled([command], driver.quirks);
    return real === undefined || port.tlbi?.(context, driver, real) !== true;
  });
  if (left.length === frame.commands.length) return undefined;
  return left.length === 0 ? [] : [changed(frame, { commands: left })];
}

/** The same through a queue beside the main one. */
function issueThere(
  { name, quirks }: DriverState,
  { commands, sync }: IssueFrame,
  index: number,
): readonly Frame[] {
  const synced = sync && quirks['skip-sync'] !== true;
  return [{ do: 'second.issue', driver: name, index, commands: spoiled(commands, quirks), sync: synced }];
}

/** Stores what slots were reserved for. */
export const fillRow: FrameRow<FillFrame> = {
  run: (context, { driver: name, task, index, commands }) => {
    const driver = driverOf(context.state, name);
    storeCommands(context, driver, index, commands);
    context.emit(driver.setup.actor, { type: 'cmdq.filled', driver: name, task, index });
  },
};

export const waitRow: FrameRow<WaitFrame> = {
  ready: (state, { driver: name, index }) => {
    const driver = driverOf(state, name);
    return isDone(state, driver, index) || isStuck(state, driver);
  },
  run: (context, { driver: name, index }, task) => {
    const driver = driverOf(context.state, name);
    if (!isDone(context.state, driver, index)) {
      tell(context, driver, 'CMD_SYNC timeout', `at 0x${index.toString(16)}`);
      context.emit(driver.setup.actor, { type: 'sync.timedout', driver: name, index, task: task.id });
      return;
    }
    if (driver.features?.msiPolling === true)
      moved(context, driver, cmdqOf(driver).prod, next(cmdqOf(driver), index, 1));
    else refreshCons(context, driver);
  },
};

/** Stores the commands, and a CMD_SYNC behind them, and tells PROD. Returns the pointer of the CMD_SYNC. */
function insert(context: Context, driver: DriverState, commands: readonly Cmd[], sync: boolean): number {
  const queue = cmdqOf(driver);
  const index = next(queue, queue.prod, commands.length);
  const all = sync ? [...commands, syncAt(driver, queue, index)] : commands;
  storeCommands(context, driver, queue.prod, all);
  const prod = next(queue, queue.prod, all.length);
  moved(context, driver, prod, queue.cons);
  portOf(driver).write(context, driver, 'CMDQ_PROD', BigInt(prod));
  return index;
}

/** The same where several CPUs issue: slots first, then what `cmdq-runs.ts` does with them, and the wait. */
function share(
  context: Context,
  driver: DriverState,
  { now, sync }: Pick<ReturnType<typeof batchOf>, 'now' | 'sync'>,
  task: Task,
): readonly Frame[] {
  const queue = cmdqOf(driver);
  const index = next(queue, queue.prod, now.length);
  const commands = sync ? [...now, syncAt(driver, queue, index)] : now;
  const end = next(queue, queue.prod, commands.length);
  const steps = reserve(context, driver, { index: queue.prod, end, commands }, task.id);
  moved(context, driver, end, queue.cons);
  return [pause, ...steps, ...waitFor(driver, sync, index)];
}

function waitFor({ name }: DriverState, sync: boolean, index: number): readonly WaitFrame[] {
  return sync ? [{ do: 'cmdq.wait', driver: name, index }] : [];
}

/** Stores commands into slots from a pointer on. */
function storeCommands(context: Context, driver: DriverState, index: number, all: readonly Cmd[]): void {
  const queue = cmdqOf(driver);
  const size = pow2(queue.sizeLog2);
  const first = index % size;
  const before = all.slice(0, size - first);
  const port = portOf(driver);
  port.store(context, driver, queue.pa + first * ENTRY_BYTES, bytesOfCmds(before));
  if (before.length < all.length)
    port.store(context, driver, queue.pa, bytesOfCmds(all.slice(before.length)));
}

/** A CMD_SYNC that tells of itself by a store of 0 into its own slot, or by an event. */
function syncAt(driver: DriverState, queue: DriverQueue, index: number): Cmd {
  const attributes = { MSH: 'ISH', MSIAttr: 0xf } as const;
  if (driver.features?.msiPolling !== true) return cmdOf('CMD_SYNC', { CS: 'SIG_SEV', ...attributes });
  const MSIAddress = BigInt(slotOf(queue, index));
  return cmdOf('CMD_SYNC', { CS: 'SIG_IRQ', ...attributes, MSIData: 0, MSIAddress });
}

function isDone(state: State, driver: DriverState, index: number): boolean {
  const queue = cmdqOf(driver);
  const port = portOf(driver);
  if (driver.features?.msiPolling === true)
    return (port.load64(state, slotOf(queue, index), driver) & 0xffff_ffffn) === 0n;
  const span = pow2(queue.sizeLog2 + 1);
  const cons = Number(port.peek(state, driver, 'CMDQ_CONS') & 0xf_ffffn) % span;
  const passed = (cons - index + span) % span;
  return passed > 0 && passed <= span / 2;
}

/** Room by the driver's copy of CONS, or by the register. */
function roomFor(state: State, driver: DriverState, count: number): boolean {
  const queue = cmdqOf(driver);
  if (hasRoom(queue, count)) return true;
  const cons = Number(portOf(driver).peek(state, driver, 'CMDQ_CONS') & 0xf_ffffn);
  return hasRoom({ ...queue, cons }, count);
}

function hasRoom({ sizeLog2, prod, cons }: DriverQueue, count: number): boolean {
  const span = pow2(sizeLog2 + 1);
  return pow2(sizeLog2) - ((prod - cons + span) % span) >= count;
}

function refreshCons(context: Context, driver: DriverState): void {
  const cons = Number(portOf(driver).read(context, driver, 'CMDQ_CONS') & 0xf_ffffn);
  moved(context, driver, cmdqOf(driver).prod, cons % pow2(cmdqOf(driver).sizeLog2 + 1));
}

function moved({ emit }: Context, { name, setup }: DriverState, prod: number, cons: number): void {
  emit(setup.actor, { type: 'queue.moved', driver: name, queue: 'CMDQ', prod, cons });
}

function cmdqOf({ queues }: DriverState): DriverQueue {
  return present(queues.CMDQ, 'Command queue');
}

function slotOf({ pa, sizeLog2 }: DriverQueue, index: number): number {
  return pa + (index % pow2(sizeLog2)) * ENTRY_BYTES;
}

/** The pointer moved on by `count`. */
function next({ sizeLog2 }: DriverQueue, index: number, count: number): number {
  return (index + count) % pow2(sizeLog2 + 1);
}
