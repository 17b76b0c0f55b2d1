/**
 * The Command queue of an emulated SMMU, worked off by the VMM from CONS to PROD. Before a command is consumed
 * the strategy looks at it and at those behind it: it may have work that comes first (calls of iommufd), for one
 * command or for a run of them; then they are consumed, or the queue stops at the one that failed.
 */
import type { Context } from '../machine.ts';
import { inSpace } from '../memory/space.ts';
import {
  consume,
  consumeReady,
  failNext,
  fetch,
  fetchReady,
  passOverNext,
  perform,
  performReady,
} from '../smmu/cmdq.ts';
import type { CerrorName } from '../smmu/codes.ts';
import { illegalReason } from '../smmu/command.ts';
import { commandByOpcode } from '../smmu/command-layout.ts';
import { held, mainQueue, ringOf } from '../smmu/command-queues.ts';
import { entryAddress, isEmpty, pointer } from '../smmu/queue.ts';
import type { SmmuState } from '../smmu/state.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { emulatedSmmu, findVm, vmOf } from '../vm/vm.ts';
import type { GuestCommand } from './guest-command.ts';
import { policiesOf } from './profiles.ts';
import { strategyOf } from './strategies.ts';

interface ConsumeFrame extends Frame {
  readonly do: 'vsmmu.consume';
  readonly vm: string;
  readonly smmu: string;
}

/** Commands that an emulator without them passes over, where its policy says so. */
const UNHANDLED = /^CMD_(TLBI_EL[23]_|PRI_RESP|RESUME|STALL_TERM|ATC_INV)/;

export const consumeRow: FrameRow<ConsumeFrame> = {
  run: (context, frame) => {
    const { vm, smmu: name } = frame;
    if (findVm(context.state, vm) === undefined) return;
    const smmu = emulatedSmmu(context.state, name);
    finishOne(context, smmu);
    const ahead = commandsAhead(context.state, smmu);
    const [first] = ahead;
    if (first === undefined) {
      // What cannot be read stops the queue with CERROR_ABT.
      if (fetchReady(smmu, mainQueue)) fetch(context, smmu, mainQueue);
      return;
    }
    const policies = policiesOf(vmOf(context.state, vm).config);
    const before = strategyOf(policies.strategy).before?.(context.state, vm, smmu, ahead);
    const legal = illegalReason(first.words, smmu.features, false) === undefined;
    if (!legal && before?.passOver !== true) {
      const ignored = policies.unhandled === 'consumed' && UNHANDLED.test(first.name ?? '');
      if (ignored) passOverNext(context, smmu, mainQueue);
      else takeOne(context, smmu);
      return [frame];
    }
    if (before === undefined) {
      takeOne(context, smmu);
      return [frame];
    }
    const { count, passOver = false } = before;
    return [...before.work, { do: 'vsmmu.taken', vm, smmu: name, count, passOver }, frame];
  },
};

interface TakenFrame extends Frame {
  readonly do: 'vsmmu.taken';
  readonly vm: string;
  readonly smmu: string;
  readonly count: number;
  readonly passOver: boolean;
}

/** The work for so many commands is done: they are consumed. */
export const takenRow: FrameRow<TakenFrame> = {
  run: (context, { vm, smmu, count, passOver }) => {
    if (findVm(context.state, vm) === undefined) return;
    for (let taken = 0; taken < count; taken += 1) {
      if (passOver) passOverNext(context, emulatedSmmu(context.state, smmu), mainQueue);
      else takeOne(context, emulatedSmmu(context.state, smmu));
    }
  },
};

interface FailedFrame extends Frame {
  readonly do: 'vsmmu.failed';
  readonly vm: string;
  readonly smmu: string;
  /** Commands before it that are consumed. */
  readonly good: number;
  readonly error: CerrorName;
  readonly why: string;
}

/** The work failed: the queue stops at a command, and the vCPU goes on. */
export const failedRow: FrameRow<FailedFrame> = {
  run: (context, { vm, smmu: name, good, error, why }, task) => {
    const end = task.frames.filter((each) => each.do === 'exit.end');
    if (findVm(context.state, vm) === undefined) return { instead: end };
    const smmu = emulatedSmmu(context.state, name);
    for (let taken = 0; taken < good; taken += 1) takeOne(context, smmu);
    failNext(context, smmu, mainQueue, error, why);
    return { instead: end };
  },
};

/** One command from the queue to its effect. */
function takeOne(context: Context, smmu: SmmuState): void {
  if (fetchReady(smmu, mainQueue)) fetch(context, smmu, mainQueue);
  finishOne(context, smmu);
}

function finishOne(context: Context, smmu: SmmuState): void {
  if (consumeReady(smmu, mainQueue)) consume(context, smmu, mainQueue);
  if (performReady(smmu, mainQueue)) perform(context, smmu, mainQueue);
}

/** Commands that one look takes in: what a batch of a call can hold. */
const LOOK_AHEAD = 256;

/** The commands between CONS and PROD, as far as they can be read. */
function commandsAhead(state: State, smmu: SmmuState): readonly GuestCommand[] {
  if (!fetchReady(smmu, mainQueue)) return [];
  const ring = ringOf(smmu, mainQueue);
  const prod = held(smmu, mainQueue.prod);
  const found: GuestCommand[] = [];
  const span = 2 ** (ring.sizeLog2 + 1);
  for (let at = held(smmu, mainQueue.cons) % span; found.length < LOOK_AHEAD; at = (at + 1) % span) {
    if (isEmpty(ring, prod, at)) break;
    const pa = inSpace(state, smmu.config.space, entryAddress(ring, pointer(ring, at)));
    if (!state.memory.isRam(pa, ring.entryBytes)) break;
    const words = state.memory.readWords(pa, 4);
    found.push({ name: commandByOpcode((words[0] ?? 0) & 0xff)?.name, words });
  }
  return found;
}
