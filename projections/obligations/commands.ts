/**
 * The Command queue as the log shows it: which invalidations were produced (PROD passed them), which
 * were performed, and which a completed CMD_SYNC stands behind (IHI 0070 3.5, 4.7.3, 8). A bounded
 * number of past ones is kept, to tell the nearest miss.
 */

import type { EntryOf } from '../../core/event.ts';
import { quad } from '../../core/layout/words.ts';
import type { Memory } from '../../core/memory/memory.ts';
import { queues } from '../../core/smmu/codes.ts';
import { commandName, type ScopeEnv, scopesOf } from '../../core/smmu/command.ts';
import type { Scope } from '../../core/smmu/invalidate.ts';
import { entryAddress, pointer, type Queue, queueOf, used } from '../../core/smmu/queue.ts';
import { atcScopeOf } from './atc-scope.ts';
import { cover, discharge, type Ledger } from './ledger.ts';
import { discharges, type Invalidation, type Obligation } from './obligation.ts';

export interface Commands {
  /** Produced in the Command queue and not yet fetched, by queue pointer; other queues are known from the fetch on. */
  readonly pending: Map<number, Invalidation>;
  /** Fetched and not yet performed, by the seq of the fetch. */
  readonly inFlight: Map<number, Invalidation>;
  /** Performed, and covering something; a CMD_SYNC is still to come. */
  readonly awaiting: Set<Invalidation>;
  /** The latest invalidations, a ring. */
  readonly recent: Invalidation[];
  next: number;
}

const RECENT_MAX = 2048;
/** More produced at once than any queue holds is a wrong PROD. */
const PRODUCED_MAX = 2 ** 19;

/** An empty queue with no past. */
export function newCommands(): Commands {
  return { pending: new Map(), inFlight: new Map(), awaiting: new Set(), recent: [], next: 0 };
}

/** CMDQ_BASE as a queue. */
export function commandQueueOf(base: bigint, sizeLog2Max: number): Queue {
  const lo = Number(base & 0xffff_ffffn);
  return queueOf(lo, Number(base >> 32n), queues.CMDQ.entryBytes, sizeLog2Max);
}

/** Software moved PROD: the commands it passed are published, as they stand in memory now. */
export function produce(
  commands: Commands,
  memory: Memory,
  queue: Queue,
  env: ScopeEnv,
  move: { readonly from: number; readonly to: number; readonly seq: number; readonly actor: string },
): void {
  const count = used(queue, move.to, move.from);
  if (count > PRODUCED_MAX || count > 2 ** queue.sizeLog2) return;
  for (let step = 0; step < count; step += 1) {
    const index = pointer(queue, move.from + step);
    const pa = entryAddress(queue, index);
    const words = Array.from(memory.readWords(pa, 4));
    const command = newInvalidation(index, words, env, move.actor);
    command.produced = move.seq;
    commands.pending.set(index, command);
  }
}

function newInvalidation(
  index: number,
  words: readonly number[],
  env: ScopeEnv,
  actor: string,
  queue = 'CMDQ',
): Invalidation {
  return {
    queue,
    index,
    command: commandName(words),
    words,
    scopes: scopesOf(words, env),
    atc: atcScopeOf(words, env.features),
    answered: 0,
    actor,
    produced: 0,
    fetched: 0,
    consumed: 0,
    performed: 0,
    synced: 0,
    rejected: 0,
    error: '',
    owed: [],
  };
}

/** The SMMU read the command; what it read counts from here on. */
export function fetched(commands: Commands, env: ScopeEnv, entry: EntryOf<'command.fetched'>): void {
  const words = quad(entry.lo, entry.hi);
  const aside = entry.beside === true || entry.queue !== undefined;
  const known = aside ? undefined : commands.pending.get(entry.index);
  if (known !== undefined) commands.pending.delete(entry.index);
  const same = known?.words.every((word, at) => word === words[at]) === true;
  const command =
    known !== undefined && same ? known : newInvalidation(entry.index, words, env, entry.actor, entry.queue);
  command.produced = known?.produced ?? entry.seq;
  command.fetched = entry.seq;
  commands.inFlight.set(entry.seq, command);
}

/** CONS passed the command of that fetch; its effect may still be to come. */
export function consumed(commands: Commands, fetch: number, seq: number): void {
  const command = commands.inFlight.get(fetch);
  if (command !== undefined) command.consumed = seq;
}

/** Its effect is complete: what it covers is what was owed before now. Returns it, if it invalidates. */
export function performed(
  commands: Commands,
  ledger: Ledger,
  fetch: number,
  seq: number,
): Invalidation | undefined {
  const command = commands.inFlight.get(fetch);
  if (command === undefined) return undefined;
  commands.inFlight.delete(fetch);
  command.performed = seq;
  if (!invalidates(command)) return undefined;
  cover(ledger, command);
  if (command.owed.length > 0) commands.awaiting.add(command);
  remember(commands, command);
  return command;
}

/** A broadcast of the PEs acted: complete at once, as after its DSB (IHI 0070 3.17, 8.6). Returns what it discharged. */
export function broadcast(
  commands: Commands,
  ledger: Ledger,
  scope: Scope,
  { operation, seq, actor }: EntryOf<'broadcast.received'>,
): readonly Obligation[] {
  const command: Invalidation = {
    queue: 'DVM',
    index: 0,
    command: `TLBI ${operation}`,
    words: [],
    scopes: [scope],
    atc: undefined,
    answered: 0,
    actor,
    produced: seq,
    fetched: seq,
    consumed: seq,
    performed: seq,
    synced: seq,
    rejected: 0,
    error: '',
    owed: [],
  };
  cover(ledger, command);
  const discharged = [...command.owed];
  for (const obligation of discharged) discharge(ledger, obligation);
  command.owed.length = 0;
  remember(commands, command);
  return discharged;
}

/** A CMD_SYNC completed: everything performed before it in its queue is done. Returns what it discharged. */
export function synced(
  commands: Commands,
  ledger: Ledger,
  { queue = 'CMDQ', fetched: fetch, seq }: EntryOf<'sync.completed'>,
): readonly Obligation[] {
  commands.inFlight.delete(fetch);
  const discharged: Obligation[] = [];
  for (const command of commands.awaiting) {
    if (command.queue !== queue) continue;
    commands.awaiting.delete(command);
    for (const obligation of command.owed) {
      // A later change may have made it owed again.
      if (obligation.covered !== command) continue;
      discharge(ledger, obligation);
      discharged.push(obligation);
    }
    command.owed.length = 0;
  }
  markSynced(commands, queue, seq);
  return discharged;
}

/** Newest first, down to those that an earlier CMD_SYNC completed. */
function markSynced({ recent, next }: Commands, queue: string, seq: number): void {
  for (let back = 1; back <= recent.length; back += 1) {
    const command = recent[(next - back + RECENT_MAX) % RECENT_MAX];
    if (command === undefined) return;
    if (command.queue !== queue) continue;
    if (command.synced !== 0) return;
    if (command.performed !== 0) command.synced = seq;
  }
}

/** CERROR: the queue stands still at the command, which has no effect (7.1). */
export function rejected(commands: Commands, fetch: number, error: string, seq: number): void {
  const command = commands.inFlight.get(fetch);
  if (command === undefined) return;
  commands.inFlight.delete(fetch);
  command.rejected = seq;
  command.error = error;
  if (invalidates(command)) remember(commands, command);
}

/** The endpoint did what the CMD_ATC_INV of that fetch asks, and answered. */
export function answered({ inFlight }: Commands, fetch: number, seq: number): Invalidation | undefined {
  const command = inFlight.get(fetch);
  if (command !== undefined) command.answered = seq;
  return command;
}

/** The endpoint did not answer the CMD_ATC_INV of that fetch in time: it is over, with no effect (3.9.1.4). */
export function timedOut(commands: Commands, fetch: number, seq: number): Invalidation | undefined {
  const command = commands.inFlight.get(fetch);
  rejected(commands, fetch, 'a time-out of the endpoint', seq);
  return command;
}

function invalidates({ scopes, atc }: Invalidation): boolean {
  return scopes.length > 0 || atc !== undefined;
}

/** An ioctl counted commands of a guest as handled that no queue ever saw: they may have been meant for what is owed. */
export function unissued(
  commands: Commands,
  env: ScopeEnv,
  entry: Pick<EntryOf<'commands.unissued'>, 'seq' | 'actor' | 'name' | 'commands'>,
): void {
  for (const [index, [lo, hi]] of entry.commands.entries()) {
    const command = newInvalidation(index, quad(lo, hi), env, entry.actor, entry.name);
    command.produced = entry.seq;
    if (invalidates(command)) remember(commands, { ...command, unissued: entry.name });
  }
}

function remember(commands: Commands, command: Invalidation): void {
  commands.recent[commands.next] = command;
  commands.next = (commands.next + 1) % RECENT_MAX;
}

/**
 * Whether software has already queued what will discharge the obligation, so that until its CMD_SYNC
 * completes a stale use is nobody's fault (N1 of the catalogue).
 */
export function isUnderWay(commands: Commands, obligation: Obligation): boolean {
  if (obligation.covered !== undefined) return true;
  for (const list of [commands.inFlight, commands.pending]) {
    for (const { scopes } of list.values()) {
      if (scopes.length > 0 && discharges(scopes, obligation)) return true;
    }
  }
  return false;
}

/** A completed command that covers the scopes' test and was performed after `seq`. */
export function completedAfter(
  commands: Commands,
  seq: number,
  test: (scopes: readonly Scope[]) => boolean,
): Invalidation | undefined {
  let found: Invalidation | undefined;
  for (const command of commands.recent) {
    if (command.synced === 0 || command.performed <= seq || !test(command.scopes)) continue;
    if (found === undefined || command.performed < found.performed) found = command;
  }
  return found;
}
