/**
 * The kinds of command queue as data: where base and pointers stand, when commands are taken, and how an
 * error is told. The Command queue is one kind, the enhanced queues (ECMDQ) another; a vendor's queue would
 * be one more row. IHI 0070 3.5.1, 3.5.6, 6.3.26 to 6.3.28, 6.3.107 to 6.3.109, 7.1.
 */
import { queueCount } from '../cmdqv/param.ts';
import {
  isQueueOn,
  isQueueStopped,
  queueRegister,
  raiseQueueError,
  type Taken,
  takeCommand,
} from '../cmdqv/unit.ts';
import type { Context } from '../machine.ts';
import { ENHANCED_QUEUES_MAX, enhancedCount, enhancedName } from './ecmdq-registers.ts';
import type { Features } from './features.ts';
import { type GerrorName, isActive } from './gerror.ts';
import type { Queue } from './queue.ts';
import { enabled } from './regs.ts';
import { type BaseNames, baseNames, ring } from './rings.ts';
import type { SmmuState } from './state.ts';

/** One command queue: the registers that hold it, by name. */
export interface CommandQueue {
  /** CMDQ, ECMDQ0, ...: the `queue` of a command in flight. */
  readonly name: string;
  readonly base: BaseNames;
  readonly prod: string;
  readonly cons: string;
  readonly kind: CommandQueueKind;
}

export interface CommandQueueKind {
  readonly spec: string;
  /** How many of them there can be at all, and how many an SMMU with these features has. */
  readonly most: number;
  count(features: Features, choices: SmmuState['config']['choices']): number;
  /** The names of queue `index` and of its registers. */
  names(index: number): Pick<CommandQueue, 'name' | 'base' | 'prod' | 'cons'>;
  /** Enabled, and the enable acknowledged. */
  isOn(smmu: SmmuState, queue: CommandQueue): boolean;
  /** An error is active that stops this queue. */
  isStopped(smmu: SmmuState, queue: CommandQueue): boolean;
  /** CONS bits that stay when the queue moves on. */
  readonly consKept: number;
  /** CONS with the error told. */
  withError(cons: number, code: number): number;
  /** The global error that is activated after it, where it is one of the SMMU's. */
  readonly gerror?: GerrorName;
  /** Else: what tells of it. */
  raise?(context: Context, smmu: SmmuState, queue: CommandQueue): void;
  /** A command as the queue hands it on, or why it does not; as it is when absent. */
  take?(smmu: SmmuState, queue: CommandQueue, lo: bigint, hi: bigint): Taken;
}

/** VCMDQ_LOG2 of the real unit is 7. */
const VIRTUAL_QUEUES_MAX = 128;
const EN = 2 ** 31;
/** ERRACK of PROD and ERR of CONS; ERR_REASON stands above. */
const ERR = 1 << 23;
const REASON = 7 << 24;

const commandQueueKind: CommandQueueKind = {
  spec: '6.3.26',
  most: 1,
  count: () => 1,
  names: () => ({ name: 'CMDQ', base: baseNames('CMDQ'), prod: 'CMDQ_PROD', cons: 'CMDQ_CONS' }),
  isOn: (smmu) => enabled.cmdq(smmu),
  isStopped: (smmu) => isActive(smmu, 'CMDQ_ERR'),
  // ERR is UNKNOWN when no error is active; 0 then.
  consKept: 0x80ff_ffff,
  withError: (cons, code) => ((cons & 0x80ff_ffff) | (code << 24)) >>> 0,
  gerror: 'CMDQ_ERR',
};

const enhancedKind: CommandQueueKind = {
  spec: '3.5.6',
  most: ENHANCED_QUEUES_MAX,
  count: enhancedCount,
  names: (index) => ({
    name: `ECMDQ${index}`,
    base: baseNames(`ECMDQ${index}`),
    prod: enhancedName(index, 'ECMDQ_PROD'),
    cons: enhancedName(index, 'ECMDQ_CONS'),
  }),
  isOn: (smmu, { prod, cons }) => held(smmu, prod) >= EN && held(smmu, cons) >= EN,
  isStopped: (smmu, { prod, cons }) => ((held(smmu, prod) ^ held(smmu, cons)) & ERR) !== 0,
  consKept: ~REASON >>> 0,
  withError: (cons, code) => (((cons & ~REASON) ^ ERR) | (code << 24)) >>> 0,
  gerror: 'CMDQP_ERR',
};

/** Queues of a Tegra241 CMDQV. */
const virtualKind: CommandQueueKind = {
  spec: 'tegra241-cmdqv.c',
  most: VIRTUAL_QUEUES_MAX,
  count: (_, choices) => Math.min(VIRTUAL_QUEUES_MAX, queueCount(choices)),
  names: (index) => ({
    name: `VCMDQ${index}`,
    base: baseNames(`VCMDQ${index}`),
    prod: queueRegister(index, 'PROD'),
    cons: queueRegister(index, 'CONS'),
  }),
  isOn: (smmu, { name }) => isQueueOn(smmu, name),
  isStopped: (smmu, { name }) => isQueueStopped(smmu, name),
  consKept: 0x80ff_ffff,
  withError: (cons, code) => ((cons & 0x80ff_ffff) | (code << 24)) >>> 0,
  raise: (context, smmu, { name }) => raiseQueueError(context, smmu, name),
  take: (smmu, { name }, lo, hi) => takeCommand(smmu, Number(name.slice('VCMDQ'.length)), lo, hi),
};

export const commandQueueKinds: readonly CommandQueueKind[] = [commandQueueKind, enhancedKind, virtualKind];

const allQueues: readonly (readonly CommandQueue[])[] = commandQueueKinds.map((kind) =>
  Array.from({ length: kind.most }, (_, index) => ({ ...kind.names(index), kind })),
);
const byName: ReadonlyMap<string, CommandQueue> = new Map(
  allQueues.flat().map((queue) => [queue.name, queue]),
);

/** The queue CMDQ, which every SMMU has. */
export const mainQueue: CommandQueue = { ...commandQueueKind.names(0), kind: commandQueueKind };

/** The queues besides CMDQ that an SMMU could have, in order. */
export const furtherQueues: readonly CommandQueue[] = allQueues.slice(1).flat();

/** The queues of an SMMU with these features, CMDQ first. */
export function commandQueuesOf(
  features: Features,
  choices: SmmuState['config']['choices'] = {},
): readonly CommandQueue[] {
  return allQueues.flatMap((queues, kind) =>
    queues.slice(0, commandQueueKinds[kind]?.count(features, choices)),
  );
}

/** The queue of that name, as a command in flight has it. */
export function commandQueueNamed(name: string): CommandQueue | undefined {
  return byName.get(name);
}

/** A register by its name; one that was never written is 0. */
export function held(smmu: Pick<SmmuState, 'regs'>, name: string): number {
  return smmu.regs[name] ?? 0;
}

/** The ring that a queue's BASE register describes. */
export function ringOf(smmu: SmmuState, { base }: CommandQueue): Queue {
  return ring(smmu, 'CMDQ', base);
}

/** The ring of CMDQ. */
export function commandQueue(smmu: SmmuState): Queue {
  return ringOf(smmu, mainQueue);
}
