/**
 * Command queues of a guest beside the main one (linux: arm_smmu_get_cmdq, tegra241_cmdqv_get_cmdq): the guest
 * publishes and polls without the VMM. They take TLBI_NH_ASID, TLBI_NH_VA and ATC_INV, and a CMD_SYNC that tells of
 * itself by CONS; a CPU uses the queue of its number modulo theirs. All else goes to the main queue.
 */
import { present } from '../assert.ts';
import { baseOf, CMDQ_ERR, ERR_SHIFT, POINTER, type QueueRegister } from '../cmdqv/registers.ts';
import type { Context } from '../machine.ts';
import { cerrors } from '../smmu/codes.ts';
import { type CommandName, commandByOpcode } from '../smmu/command-layout.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { bytesOfCmds, type Cmd, cmdOf } from './commands.ts';
import { driverOf, loadDoublewords, portOf, storeDoublewords, tell } from './port.ts';
import type { DriverState } from './state.ts';

const ENTRY_BYTES = 16;
const PAGE = 0x1000;
const BATCH = 64;

export type SecondKind = 'software' | 'hardware';

/** What a platform has of them. */
export interface SecondOffer {
  readonly kind: SecondKind;
  readonly count: number;
  readonly sizeLog2: number;
}

/** A queue, and the driver's copy of its pointers. */
export interface SecondQueue {
  readonly index: number;
  readonly kind: SecondKind;
  /** Of its page 0, in the guest's memory; 0 where that page is hardware's. */
  readonly page: number;
  readonly pa: number;
  readonly sizeLog2: number;
  readonly prod: number;
  readonly cons: number;
}

/** How a driver reaches them. */
export interface SecondPort {
  offer(state: State, driver: DriverState): SecondOffer | undefined;
  /** What a register holds, without an access that is logged. */
  peek(state: State, driver: DriverState, queue: SecondPlace, register: QueueRegister): number;
  write(
    context: Context,
    driver: DriverState,
    queue: SecondPlace,
    register: QueueRegister | 'BASE' | 'ALLOC' | 'CMDQV_CONFIG' | 'VINTF_CONFIG',
    value: bigint,
  ): void;
  /** Whether anybody still works on what was published. */
  isBusy(state: State, driver: DriverState): boolean;
}
export type SecondPlace = Pick<SecondQueue, 'index' | 'kind' | 'page'>;

const takes: ReadonlySet<CommandName> = new Set(['CMD_TLBI_NH_ASID', 'CMD_TLBI_NH_VA', 'CMD_ATC_INV']);

/** The queue for commands that a unit issues; undefined: the main one. */
export function secondFor(
  state: State,
  driver: DriverState,
  commands: readonly Cmd[],
  unit: string,
): SecondQueue | undefined {
  const { second = [], quirks } = driver;
  if (second.length === 0 || commands.length === 0) return undefined;
  if (quirks['second-takes-all'] !== true && !commands.every(isTaken)) return undefined;
  const cpu = Number(/\.cpu([0-9]+)$/.exec(unit)?.[1] ?? 0);
  const queue = second[cpu % second.length];
  // Its vIOMMU may have gone with the last device.
  const on = queue !== undefined && (secondPort(driver).peek(state, driver, queue, 'STATUS') & 1) !== 0;
  return on ? queue : undefined;
}

function isTaken([lo]: Cmd): boolean {
  const name = commandByOpcode(Number(lo & 0xffn))?.name;
  return name !== undefined && takes.has(name);
}

function secondPort(driver: DriverState): SecondPort {
  return present(portOf(driver).second, 'port of second queues');
}

interface OpenFrame extends Frame {
  readonly driver: string;
  readonly place: Omit<SecondQueue, 'prod' | 'cons'>;
}

/** Memory for each queue that is offered, and its enabling. */
export function openSecond(context: Context, driver: DriverState): readonly Frame[] {
  const port = portOf(driver);
  const offer = port.second?.offer(context.state, driver);
  if (offer === undefined) return [];
  const frames: Frame[] = [];
  for (let index = 0; index < offer.count; index += 1) {
    const bytes = 2 ** offer.sizeLog2 * ENTRY_BYTES;
    const software = offer.kind === 'software';
    const taken = port.take(context, driver, software ? bytes + PAGE : bytes, `VCMDQ${index}`);
    if (taken === undefined) return frames;
    const at = software ? { page: taken, pa: taken + PAGE } : { page: 0, pa: taken };
    const place = { index, kind: offer.kind, sizeLog2: offer.sizeLog2, ...at };
    frames.push({ do: 'second.open', driver: driver.name, place });
  }
  return frames;
}

export const openRow: FrameRow<OpenFrame> = {
  run: (context, { driver: name, place }) => {
    const driver = driverOf(context.state, name);
    const port = secondPort(driver);
    const address = place.kind === 'software' ? place.page : place.pa;
    if (place.kind === 'hardware' && place.index === 0) {
      port.write(context, driver, place, 'CMDQV_CONFIG', 1n);
      port.write(context, driver, place, 'VINTF_CONFIG', 1n);
    }
    if (place.kind === 'hardware') port.write(context, driver, place, 'ALLOC', 1n);
    port.write(context, driver, place, 'BASE', baseOf(address, place.sizeLog2));
    return [{ do: 'second.enable', driver: name, place }];
  },
};

/** Its memory is known to who serves it: now it is enabled. */
export const enableRow: FrameRow<OpenFrame> = {
  run: (context, { driver: name, place }) => {
    const driver = driverOf(context.state, name);
    secondPort(driver).write(context, driver, place, 'CONFIG', 1n);
    return [{ do: 'second.opened', driver: name, place }];
  },
};

/** One that is not enabled is left alone. Linux gives its SMMU up then, where the platform has queues of hardware. */
export const openedRow: FrameRow<OpenFrame> = {
  run: (context, { driver: name, place }) => {
    const driver = driverOf(context.state, name);
    const ready = (secondPort(driver).peek(context.state, driver, place, 'STATUS') & 1) !== 0;
    if (ready) context.emit(driver.setup.actor, { type: 'second.placed', driver: name, queue: place });
    else tell(context, driver, 'failed to enable a second queue', `VCMDQ${place.index}`);
  },
};

export interface SecondIssueFrame extends Frame {
  readonly do: 'second.issue';
  readonly driver: string;
  readonly index: number;
  readonly commands: readonly Cmd[];
  readonly sync: boolean;
}

const span = ({ sizeLog2 }: SecondQueue): number => 2 ** (sizeLog2 + 1);

function heldAt(driver: DriverState, index: number): SecondQueue {
  const found = driver.second?.find((queue) => queue.index === index);
  return present(found, `second queue ${index}`);
}

function consOf(state: State, driver: DriverState, queue: SecondQueue): number {
  return (secondPort(driver).peek(state, driver, queue, 'CONS') & POINTER) % span(queue);
}

function hasRoom(state: State, driver: DriverState, queue: SecondQueue, count: number): boolean {
  const used = (queue.prod - consOf(state, driver, queue) + span(queue)) % span(queue);
  return 2 ** queue.sizeLog2 - used >= count;
}

function isStuck(state: State, driver: DriverState): boolean {
  if (driver.interrupts.length > 0 || secondPort(driver).isBusy(state, driver)) return false;
  return !state.tasks.some(({ unit }) => unit.startsWith(`${driver.name}.`) && unit.endsWith('-irq'));
}

const sizeOf = (queue: SecondQueue): number => Math.min(BATCH, 2 ** queue.sizeLog2 - 1);

export const secondIssueRow: FrameRow<SecondIssueFrame> = {
  ready: (state, { driver: name, index, commands }) => {
    const driver = driverOf(state, name);
    const queue = heldAt(driver, index);
    const count = Math.min(sizeOf(queue), commands.length) + 1;
    return hasRoom(state, driver, queue, count) || isStuck(state, driver);
  },
  run: (context, frame) => {
    const driver = driverOf(context.state, frame.driver);
    const queue = heldAt(driver, frame.index);
    const now = frame.commands.slice(0, sizeOf(queue));
    const left = frame.commands.slice(now.length);
    const sync = frame.sync && left.length === 0;
    if (!hasRoom(context.state, driver, queue, now.length + 1)) {
      tell(context, driver, 'VCMDQ timeout', `VCMDQ${queue.index}`);
      return undefined;
    }
    const all = sync ? [...now, cmdOf('CMD_SYNC', { CS: 'SIG_NONE' })] : now;
    publish(context, driver, queue, all);
    const at = (queue.prod + now.length) % span(queue);
    const wait = sync ? [{ do: 'second.wait', driver: driver.name, queue: queue.index, index: at }] : [];
    return left.length === 0 ? wait : [{ ...frame, commands: left }];
  },
};

/** Stores commands behind PROD, and moves it. */
function publish(context: Context, driver: DriverState, queue: SecondQueue, all: readonly Cmd[]): void {
  const size = 2 ** queue.sizeLog2;
  const first = queue.prod % size;
  const before = all.slice(0, size - first);
  const port = portOf(driver);
  port.store(context, driver, queue.pa + first * ENTRY_BYTES, bytesOfCmds(before));
  if (before.length < all.length)
    port.store(context, driver, queue.pa, bytesOfCmds(all.slice(before.length)));
  const prod = (queue.prod + all.length) % span(queue);
  moved(context, driver, queue, prod, consOf(context.state, driver, queue));
  secondPort(driver).write(context, driver, queue, 'PROD', BigInt(prod));
}

function moved(
  { emit }: Context,
  { name, setup }: DriverState,
  queue: SecondQueue,
  prod: number,
  cons: number,
): void {
  emit(setup.actor, { type: 'second.moved', driver: name, queue: queue.index, prod, cons });
}

interface WaitFrame extends Frame {
  readonly driver: string;
  readonly queue: number;
  /** Pointer of the CMD_SYNC. */
  readonly index: number;
}

function isDone(state: State, driver: DriverState, queue: SecondQueue, index: number): boolean {
  const passed = (consOf(state, driver, queue) - index + span(queue)) % span(queue);
  return passed > 0 && passed <= span(queue) / 2;
}

export const secondWaitRow: FrameRow<WaitFrame> = {
  ready: (state, { driver: name, queue: at, index }) => {
    const driver = driverOf(state, name);
    return isDone(state, driver, heldAt(driver, at), index) || isStuck(state, driver);
  },
  run: (context, { driver: name, queue: at, index }, task) => {
    const driver = driverOf(context.state, name);
    const queue = heldAt(driver, at);
    if (isDone(context.state, driver, queue, index))
      return moved(context, driver, queue, queue.prod, consOf(context.state, driver, queue));
    tell(context, driver, 'CMD_SYNC timeout', `VCMDQ${at} at 0x${index.toString(16)}`);
    context.emit(driver.setup.actor, { type: 'sync.timedout', driver: name, index, task: task.id });
  },
};

/** The handler of their errors: the guest reads and acknowledges them itself. */
export const secondErrorRow: FrameRow<Frame & { readonly driver: string }> = {
  run: (context, { driver: name }) => {
    const driver = driverOf(context.state, name);
    const port = secondPort(driver);
    for (const queue of driver.second ?? []) {
      const gerror = port.peek(context.state, driver, queue, 'GERROR');
      const active = gerror ^ port.peek(context.state, driver, queue, 'GERRORN');
      if ((active & CMDQ_ERR) === 0) continue;
      mend(context, driver, queue);
      if (driver.quirks['ignore-errors'] !== true)
        port.write(context, driver, queue, 'GERRORN', BigInt(gerror >>> 0));
    }
  },
};

/** What is refused becomes a CMD_SYNC; for all else the acknowledgement is enough. */
function mend(context: Context, driver: DriverState, queue: SecondQueue): void {
  const cons = secondPort(driver).peek(context.state, driver, queue, 'CONS');
  const code = (cons >>> ERR_SHIFT) & 0x7f;
  if (code !== cerrors.CERROR_ILL)
    return tell(context, driver, 'VCMDQ error', `VCMDQ${queue.index} code ${code}`);
  const slot = queue.pa + ((cons & POINTER) % 2 ** queue.sizeLog2) * ENTRY_BYTES;
  const [lo = 0n, hi = 0n] = loadDoublewords(context.state, driver, slot, 2);
  tell(context, driver, 'skipping command in error state', `0x${lo.toString(16)} 0x${hi.toString(16)}`);
  storeDoublewords(context, driver, slot, cmdOf('CMD_SYNC', { CS: 'SIG_NONE' }));
}
