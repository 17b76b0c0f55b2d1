/** `why not`: what did not happen, and the condition that stood in its way. A row for each question. */

import type { Entry } from '../../../core/event.ts';
import { commandQueuesOf } from '../../../core/smmu/command-queues.ts';
import { InputError } from '../../input-error.ts';
import { allowedBy, staleSince } from './access.ts';
import { unfinished } from './commands.ts';
import { type IrqSource, irqSources, noInterrupt } from './interrupts.ts';
import { type Evidence, fact, type Reason } from './reason.ts';
import { isFill, removedNothing } from './removal.ts';

interface Question {
  readonly name: string;
  readonly usage: string;
  /** The reasons; InputError where the position is not of a thing that can be asked so. */
  ask(seq: number, evidence: Evidence, more: string | undefined): readonly Reason[];
}

export const questions: readonly Question[] = [
  { name: 'fault', usage: '`not fault POSITION` of an access', ask: notFaulted },
  { name: 'removed', usage: '`not removed POSITION` of a command or a fill', ask: notRemoved },
  { name: 'done', usage: '`not done [POSITION]` of commands', ask: notDone },
  {
    name: 'interrupt',
    usage: '`not interrupt [POSITION [EVENTQ|GERROR|PRIQ|CMD_SYNC]]`',
    ask: notInterrupted,
  },
];

/** Whether a word is one of the questions. */
export function isQuestion(name: string | undefined): name is string {
  return questions.some((each) => each.name === name);
}

/** The answer as a tree: the question on top. */
export function whyNot(name: string, seq: number, evidence: Evidence, more: string | undefined): Reason {
  const question = questions.find((each) => each.name === name);
  const below = question?.ask(seq, evidence, more) ?? [];
  return { seq, role: '', what: `why not ${name}`, below: () => below };
}

function found(seq: number, evidence: Evidence): ReturnType<Evidence['entry']> | undefined {
  return seq === 0 ? undefined : evidence.entry(seq);
}

function refuse(name: string, expected: string, seq: number, evidence: Evidence): never {
  throw new InputError(
    `why not ${name}: expected the position of ${expected}, found ${found(seq, evidence)?.type ?? 'nothing'} at ${evidence.branch.name}@${seq}`,
  );
}

/** An access that went through: what served it or let it pass, and what has changed since. */
function notFaulted(seq: number, evidence: Evidence): readonly Reason[] {
  const entry = found(seq, evidence);
  const access =
    entry?.type === 'dma' ? evidence.step(entry).find(({ type }) => type.startsWith('access.')) : entry;
  if (access?.type !== 'access.completed') return refuse('fault', 'an access that completed', seq, evidence);
  return allowedBy(access, evidence);
}

/** A command that removed nothing, or an entry that was not removed up to the head. */
function notRemoved(seq: number, evidence: Evidence): readonly Reason[] {
  const entry = found(seq, evidence);
  if (entry?.type === 'command.performed') return removedNothing(entry, evidence);
  if (entry?.type === 'command.fetched' || entry?.type === 'command.consumed') {
    const fetch = entry.type === 'command.fetched' ? entry.seq : entry.fetched;
    const end = evidence
      .between(seq, evidence.moment)
      .find((each) => each.type === 'command.performed' && each.fetched === fetch);
    return end?.type === 'command.performed' ? removedNothing(end, evidence) : notDone(seq, evidence);
  }
  if (entry === undefined || !isFill(entry))
    return refuse('removed', 'a command or of the fill of a cached entry', seq, evidence);
  const gone = goneAt(entry.seq, evidence);
  if (gone !== undefined) return evidence.because('it was removed', gone);
  const stale = staleSince(entry, evidence.moment, evidence);
  return stale.length > 0
    ? stale
    : [fact(evidence.moment, 'still right', 'memory holds what it was filled from')];
}

function goneAt(fill: number, evidence: Evidence): number | undefined {
  for (const type of ['cache.invalidated', 'cache.evicted']) {
    for (const each of evidence.newest(`type:${type}`, evidence.moment, fill)) {
      if ('removed' in each && each.removed.includes(fill)) return each.seq;
    }
  }
  return undefined;
}

/** What each command queue waits for at the moment. A command's own position asks at the head. */
function notDone(seq: number, evidence: Evidence): readonly Reason[] {
  const entry = found(seq, evidence);
  const own = entry !== undefined && /^command\.(fetched|consumed)$/.test(entry.type);
  const at = own ? evidence.moment : seq;
  if (own && entry !== undefined) {
    const end = endOf(entry.seq, evidence);
    if (end !== undefined) return evidence.because('it is done', end);
  }
  return Object.values(evidence.state(at).smmus).flatMap(({ config, features }) =>
    commandQueuesOf(features).flatMap(({ name }) => unfinished(config.name, name, at, evidence)),
  );
}

function endOf(seq: number, evidence: Evidence): number | undefined {
  const entry = evidence.entry(seq);
  const fetch = entry.type === 'command.consumed' ? entry.fetched : seq;
  return evidence
    .between(seq, evidence.moment)
    .find(
      (each) =>
        (each.type === 'command.performed' ||
          each.type === 'sync.completed' ||
          each.type === 'command.rejected') &&
        each.fetched === fetch,
    )?.seq;
}

/** The source that an entry could have raised. */
function sourceOf(entry: Entry): IrqSource | undefined {
  if (entry.type === 'record.written') return 'EVENTQ';
  if (entry.type === 'page.queued') return 'PRIQ';
  if (entry.type === 'sync.completed') return 'CMD_SYNC';
  return entry.type === 'register.updated' && entry.register === 'GERROR' ? 'GERROR' : undefined;
}

function notInterrupted(seq: number, evidence: Evidence, more: string | undefined): readonly Reason[] {
  if (more !== undefined && !irqSources.includes(more as IrqSource))
    throw new InputError(`why not interrupt: expected ${irqSources.join(', ')}, found "${more}"`);
  const entry = found(seq, evidence);
  const own = entry === undefined ? undefined : sourceOf(entry);
  if (own !== undefined && more === undefined && entry !== undefined && 'smmu' in entry)
    return noInterrupt(entry.smmu ?? '', own, entry, evidence);
  const asked = more === undefined ? irqSources : [more as IrqSource];
  const names = Object.keys(evidence.state(seq).smmus);
  const until = { ...evidence, moment: seq };
  return names.flatMap((name) =>
    asked.flatMap((source) =>
      noInterrupt(name, source, undefined, until).map((each) => ({
        ...each,
        role: `${source}: ${each.role}`,
      })),
    ),
  );
}
