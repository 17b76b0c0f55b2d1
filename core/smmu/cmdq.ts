/**
 * The Command queue: IHI 0070 3.5, 4.1, 7.1. A command is fetched, consumed (CONS passes it) and
 * performed in turns of their own; a CMD_SYNC is consumed only when all before it is performed.
 */

import type { Words } from '../layout/field.ts';
import { own } from '../lookup.ts';
import type { Context, Decider } from '../machine.ts';
import { applyScope } from './apply-scope.ts';
import { cerrors, queues } from './codes.ts';
import { commandName, illegalReason, type ScopeEnv, scopesOf } from './command.ts';
import { commandLayouts } from './command-layout.ts';
import { takeEffect } from './effects.ts';
import { isActive, raiseError } from './gerror.ts';
import { advance, entryAddress, isConsistent, isEmpty, pointer, type Queue, queueOf } from './queue.ts';
import { enabled, isE2h, reg, regHigh, regValue, vmidWildcard } from './regs.ts';
import { retryUntold } from './stalls.ts';
import { type InFlight, limits, type SmmuState } from './state.ts';

export function commandQueue(smmu: SmmuState): Queue {
  return queueOf(
    reg(smmu, 'CMDQ_BASE'),
    regHigh(smmu, 'CMDQ_BASE'),
    queues.CMDQ.entryBytes,
    smmu.features.cmdqsLog2,
  );
}

export function fetchReady(smmu: SmmuState): boolean {
  if (!enabled.cmdq(smmu) || isActive(smmu, 'CMDQ_ERR')) return false;
  if (smmu.inFlight.length >= limits.inFlight || smmu.inFlight.some((command) => !command.consumed))
    return false;
  const queue = commandQueue(smmu);
  const prod = reg(smmu, 'CMDQ_PROD');
  const cons = reg(smmu, 'CMDQ_CONS');
  return !isEmpty(queue, prod, cons) && isConsistent(queue, prod, cons);
}

/** A what-if's command joins those in flight without passing through the queue. */
export const issueCommand: Decider<'command.issue'> = ({ state, emit }, { smmu: name, lo, hi }) => {
  if (own(state.smmus, name) === undefined) return;
  const command = commandName([Number(lo & 0xffff_ffffn)]);
  emit(name, { type: 'command.fetched', smmu: name, index: 0, command, lo, hi, beside: true });
};

/** Reads the command at CONS. An abort is CERROR_ABT and CONS does not move (7.1). */
export function fetch(context: Context, smmu: SmmuState): void {
  const queue = commandQueue(smmu);
  const index = pointer(queue, reg(smmu, 'CMDQ_CONS'));
  const pa = entryAddress(queue, index);
  const { memory } = context.state;
  const name = smmu.config.name;
  if (!memory.isRam(pa, queue.entryBytes)) {
    const error = 'CERROR_ABT';
    const why = 'the read of the queue aborted';
    context.emit(name, { type: 'command.rejected', smmu: name, index, command: '-', fetched: 0, error, why });
    stopQueue(context, smmu, error);
    return;
  }
  const command = commandName([memory.read32(pa)]);
  context.emit(name, {
    type: 'command.fetched',
    smmu: name,
    index,
    command,
    lo: memory.read64(pa),
    hi: memory.read64(pa + 8),
  });
}

export function consumeReady(smmu: SmmuState): boolean {
  const next = smmu.inFlight.find((command) => !command.consumed);
  if (next === undefined) return false;
  if (next.command !== 'CMD_SYNC') return true;
  // Records of terminated accesses are visible or gone before it completes (4.7.3).
  return smmu.inFlight[0] === next && smmu.records.every((record) => record.stag !== undefined);
}

/** Decides on the fetched command: CONS passes it, or the queue stops at it. */
export function consume(context: Context, smmu: SmmuState): void {
  const next = smmu.inFlight.find((command) => !command.consumed);
  if (next === undefined) return;
  const words = wordsOf(next);
  const why = illegalReason(words, smmu.features);
  const name = smmu.config.name;
  const { index, command, fetched } = next;
  if (why !== undefined) {
    const error = 'CERROR_ILL';
    context.emit(name, { type: 'command.rejected', smmu: name, index, command, fetched, error, why });
    if (!next.beside) stopQueue(context, smmu, error);
    return;
  }
  context.emit(name, { type: 'command.consumed', smmu: name, index, command, fetched });
  if (!next.beside) putCons(context, smmu, advance(commandQueue(smmu), reg(smmu, 'CMDQ_CONS') & 0x80ff_ffff));
  if (command !== 'CMD_SYNC') return;
  retryUntold(context, smmu);
  context.emit(name, { type: 'sync.completed', smmu: name, index, fetched });
  // The wired interrupt has no enable in IRQ_CTRL; its signal comes last (4.7.3, 3.18).
  if (commandLayouts.CMD_SYNC.layout.fields.CS.read(words) === 'SIG_IRQ')
    context.emit(name, { type: 'interrupt.raised', smmu: name, source: 'CMD_SYNC' });
}

/** What the scopes of commands depend on: CR2.E2H, CR0.VMW. */
function scopeEnv(smmu: SmmuState): ScopeEnv {
  return { features: smmu.features, e2h: isE2h(smmu), wildcard: vmidWildcard(smmu) };
}

export function performReady(smmu: SmmuState): boolean {
  return smmu.inFlight.some((command) => command.consumed);
}

/** Completes the effect of the oldest consumed command. */
export function perform(context: Context, smmu: SmmuState): void {
  const command = smmu.inFlight.find((each) => each.consumed);
  if (command === undefined) return;
  const env = scopeEnv(smmu);
  const words = wordsOf(command);
  for (const scope of scopesOf(words, env)) applyScope(context, smmu, scope, command.fetched);
  takeEffect(context, smmu, command, words);
  const { index, fetched } = command;
  context.emit(smmu.config.name, {
    type: 'command.performed',
    smmu: smmu.config.name,
    index,
    command: command.command,
    fetched,
  });
}

/**
 * The order of 7.1: the queue has stopped at the entry; CONS shows it; ERR tells the code; GERROR is
 * toggled after that; the interrupt comes last.
 */
function stopQueue(context: Context, smmu: SmmuState, error: keyof typeof cerrors): void {
  putCons(context, smmu, ((reg(smmu, 'CMDQ_CONS') & 0x80ff_ffff) | (cerrors[error] << 24)) >>> 0);
  raiseError(context, smmu, 'CMDQ_ERR');
}

function putCons({ emit }: Context, smmu: SmmuState, value: number): void {
  const name = smmu.config.name;
  const old = regValue(smmu, 'CMDQ_CONS');
  emit(name, { type: 'register.updated', smmu: name, register: 'CMDQ_CONS', value: BigInt(value), old });
}

function wordsOf({ lo, hi }: InFlight): Words {
  return [Number(lo & 0xffff_ffffn), Number(lo >> 32n), Number(hi & 0xffff_ffffn), Number(hi >> 32n)];
}
