/**
 * Command queues: IHI 0070 3.5, 4.1, 7.1. A command is fetched, consumed (CONS passes it) and performed in
 * turns of their own; a CMD_SYNC is consumed only when all before it in its queue is performed. Queues do
 * not wait for each other (3.5.6.1).
 */

import { changed } from '../changed.ts';
import type { Words } from '../layout/field.ts';
import { quad } from '../layout/words.ts';
import { own } from '../lookup.ts';
import type { Context, Decider } from '../machine.ts';
import { inSpace } from '../memory/space.ts';
import { applyScope } from './apply-scope.ts';
import { type CerrorName, cerrors } from './codes.ts';
import { commandName, illegalReason, type ScopeEnv, scopesOf } from './command.ts';
import { hasNoEffect, notesOf } from './command-notes.ts';
import { type CommandQueue, held, ringOf } from './command-queues.ts';
import { takeEffect, takeEffectAtConsumption } from './effects.ts';
import { carriedOut } from './errata.ts';
import { writeRecords } from './eventq.ts';
import { raiseError } from './gerror.ts';
import { advance, entryAddress, indexOf, isConsistent, isEmpty, isFull, pointer } from './queue.ts';
import { isE2h, vmidWildcard } from './regs.ts';
import { type InFlight, limits, type SmmuState } from './state.ts';
import { completeSync } from './sync.ts';
import { updateRegister } from './update-register.ts';

/** The queue runs, holds a command, and no fetched command waits to be consumed. */
export function fetchReady(smmu: SmmuState, queue: CommandQueue): boolean {
  // Equal pointers are an empty queue whatever its size: where most looks end.
  if (((held(smmu, queue.prod) ^ held(smmu, queue.cons)) & 0xf_ffff) === 0) return false;
  if (!queue.kind.isOn(smmu, queue) || queue.kind.isStopped(smmu, queue)) return false;
  const before = inFlightOf(smmu, queue);
  if (before.length >= limits.inFlight || before.some((command) => !command.consumed)) return false;
  const ring = ringOf(smmu, queue);
  const prod = held(smmu, queue.prod);
  const cons = held(smmu, queue.cons);
  if (smmu.config.choices['erratumQueueWrap'] === true && indexOf(ring, prod) === indexOf(ring, cons))
    return false;
  return !isEmpty(ring, prod, cons) && isConsistent(ring, prod, cons);
}

function inFlightOf(smmu: SmmuState, { name }: CommandQueue): readonly InFlight[] {
  return smmu.inFlight.length === 0 ? smmu.inFlight : smmu.inFlight.filter((each) => each.queue === name);
}

/** A what-if's command joins those in flight without passing through the queue. */
export const issueCommand: Decider<'command.issue'> = ({ state, emit }, { smmu: name, lo, hi }) => {
  if (own(state.smmus, name) === undefined) return;
  const command = commandName([Number(lo & 0xffff_ffffn)]);
  emit(name, { type: 'command.fetched', smmu: name, index: 0, command, lo, hi, beside: true });
};

/** Reads the command at CONS. An abort is CERROR_ABT and CONS does not move (7.1). */
export function fetch(context: Context, smmu: SmmuState, queue: CommandQueue): void {
  const ring = ringOf(smmu, queue);
  const index = pointer(ring, held(smmu, queue.cons));
  const pa = inSpace(context.state, smmu.config.space, entryAddress(ring, index));
  const { memory } = context.state;
  if (!memory.isRam(pa, ring.entryBytes)) {
    const nothing = { index, command: '-', fetched: 0 };
    reject(context, smmu, queue, nothing, 'CERROR_ABT', 'the read of the queue aborted');
    stop(context, smmu, queue, 'CERROR_ABT');
    return;
  }
  const stored = { lo: memory.read64(pa), hi: memory.read64(pa + 8) };
  const taken = queue.kind.take?.(smmu, queue, stored.lo, stored.hi) ?? stored;
  const command = commandName([memory.read32(pa)]);
  if ('why' in taken) {
    reject(context, smmu, queue, { index, command, fetched: 0 }, 'CERROR_ILL', taken.why);
    stop(context, smmu, queue, 'CERROR_ILL');
    return;
  }
  context.emit(smmu.config.name, {
    type: 'command.fetched',
    smmu: smmu.config.name,
    ...told(queue),
    index,
    command,
    ...taken,
  });
}

/** A fetched command can be decided on; a CMD_SYNC only when all before it is done. */
export function consumeReady(smmu: SmmuState, queue: CommandQueue): boolean {
  if (smmu.inFlight.length === 0) return false;
  const all = inFlightOf(smmu, queue);
  const next = all.find((command) => !command.consumed);
  if (next === undefined) return false;
  return next.command !== 'CMD_SYNC' || all[0] === next;
}

/** Decides on the fetched command: CONS passes it, or the queue stops at it. */
export function consume(context: Context, smmu: SmmuState, queue: CommandQueue): void {
  const next = inFlightOf(smmu, queue).find((command) => !command.consumed);
  if (next === undefined) return;
  const words = quad(next.lo, next.hi);
  const wrong = errorOf(smmu, next, words);
  if (wrong !== undefined) {
    reject(context, smmu, queue, next, wrong.error, wrong.why);
    if (!next.beside) stop(context, smmu, queue, wrong.error);
    return;
  }
  const { name } = smmu.config;
  const { index, command, fetched } = next;
  const notes = notesOf(words, smmu.features);
  for (const { note, detail } of notes)
    context.emit(name, { type: 'misuse.noted', smmu: name, rule: note.name, detail });
  if (!notes.some(({ note }) => note.voids === true)) takeEffectAtConsumption(context, smmu, next, words);
  // It forces the records of accesses that ended before it to be visible, or gone (4.7.3).
  if (command === 'CMD_SYNC') writeRecords(context, smmu);
  context.emit(name, { type: 'command.consumed', smmu: name, ...told(queue), index, command, fetched });
  if (!next.beside) moveOn(context, smmu, queue);
  if (command === 'CMD_SYNC') completeSync(context, smmu, changed(told(queue), { index, fetched }), words);
}

/** The next command is told to be wrong, and the queue stops at it: what an emulator makes of a failure of its own. */
export function failNext(
  context: Context,
  smmu: SmmuState,
  queue: CommandQueue,
  error: CerrorName,
  why: string,
): void {
  fetch(context, smmu, queue);
  const next = inFlightOf(smmu, queue).find((command) => !command.consumed);
  if (next === undefined) return;
  reject(context, smmu, queue, next, error, why);
  stop(context, smmu, queue, error);
}

/** The next command is consumed without any effect, whatever it is: what an emulator does with those it ignores. */
export function passOverNext(context: Context, smmu: SmmuState, queue: CommandQueue): void {
  fetch(context, smmu, queue);
  const next = inFlightOf(smmu, queue).find((command) => !command.consumed);
  if (next === undefined) return;
  const { name } = smmu.config;
  const about = {
    smmu: name,
    ...told(queue),
    index: next.index,
    command: next.command,
    fetched: next.fetched,
  };
  context.emit(name, { type: 'command.consumed', ...about });
  moveOn(context, smmu, queue);
  context.emit(name, { type: 'command.performed', ...about });
}

/** Why the queue stops at the command (4.1.3, 7.1); what it is counts before what it waits for. */
function errorOf(
  smmu: SmmuState,
  { command, queue }: InFlight,
  words: Words,
): { readonly error: CerrorName; readonly why: string } | undefined {
  const why = illegalReason(words, smmu.features, smmu.config.choices['strictReserved'] === true);
  if (why !== undefined) return { error: 'CERROR_ILL', why };
  const lost = command === 'CMD_SYNC' ? own(smmu.atcLost, queue) : undefined;
  if (lost === undefined) return undefined;
  return { error: 'CERROR_ATC_INV_SYNC', why: `the CMD_ATC_INV of entry ${lost} was not answered` };
}

/** CONS passes the command. A queue that could be seen full wakes the PEs when it is not any more (4.1.2). */
function moveOn(context: Context, smmu: SmmuState, queue: CommandQueue): void {
  const ring = ringOf(smmu, queue);
  const cons = held(smmu, queue.cons);
  const wasFull = isFull(ring, held(smmu, queue.prod), cons);
  updateRegister(context, smmu, queue.cons, advance(ring, cons & queue.kind.consKept));
  if (!wasFull || !smmu.features.sev || smmu.config.choices['erratumFullQueueSev'] === true) return;
  context.emit(smmu.config.name, { type: 'event.sent', smmu: smmu.config.name, source: queue.name });
}

/** What the scopes of commands depend on: CR2.E2H, CR0.VMW. */
export function scopeEnv(smmu: SmmuState): ScopeEnv {
  return { features: smmu.features, e2h: isE2h(smmu), wildcard: vmidWildcard(smmu) };
}

/** A consumed command has not had its effect. */
export function performReady(smmu: SmmuState, { name }: CommandQueue): boolean {
  if (smmu.inFlight.length === 0) return false;
  return smmu.inFlight.some((command) => command.consumed && command.queue === name);
}

/** Completes the effect of the oldest consumed command. */
export function perform(context: Context, smmu: SmmuState, queue: CommandQueue): void {
  const next = inFlightOf(smmu, queue).find((each) => each.consumed);
  if (next === undefined) return;
  const { index, command, fetched } = next;
  const words = quad(next.lo, next.hi);
  const scopes = carriedOut(scopesOf(words, scopeEnv(smmu)), smmu.config.choices, command, next.before);
  for (const scope of scopes) applyScope(context, smmu, scope, fetched);
  if (!hasNoEffect(words, smmu.features)) takeEffect(context, smmu, next, words);
  // An endpoint that did not answer: the time-out was its end (3.9.1.4).
  if (!smmu.inFlight.some((each) => each.fetched === fetched)) return;
  const { name } = smmu.config;
  context.emit(name, { type: 'command.performed', smmu: name, ...told(queue), index, command, fetched });
}

function reject(
  { emit }: Context,
  smmu: SmmuState,
  queue: CommandQueue,
  { index, command, fetched }: Pick<InFlight, 'index' | 'command' | 'fetched'>,
  error: CerrorName,
  why: string,
): void {
  const { name } = smmu.config;
  const about = changed(told(queue), { index, command, fetched });
  emit(name, { type: 'command.rejected', smmu: name, ...about, error, why });
}

/**
 * The order of 7.1: the queue has stopped at the entry, and CONS shows it, for CONS moves with each command;
 * then the code is told, then the global error is activated, and the interrupt comes last.
 */
function stop(context: Context, smmu: SmmuState, queue: CommandQueue, error: CerrorName): void {
  updateRegister(context, smmu, queue.cons, queue.kind.withError(held(smmu, queue.cons), cerrors[error]));
  queue.kind.raise?.(context, smmu, queue);
  if (queue.kind.gerror !== undefined) raiseError(context, smmu, queue.kind.gerror);
}

/** How events name the queue: the Command queue goes without saying. */
function told({ name }: CommandQueue): { readonly queue?: string } {
  return name === 'CMDQ' ? {} : { queue: name };
}
