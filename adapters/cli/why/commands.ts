/** Commands: who queued one, what it did, what it waits for. IHI 0070 3.5, 4, 7.1. */
import type { Entry, EntryOf } from '../../../core/event.ts';
import { commandQueueNamed, held, ringOf } from '../../../core/smmu/command-queues.ts';
import { entryAddress, isConsistent, isEmpty, pointer, type Queue } from '../../../core/smmu/queue.ts';
import { activeErrors } from '../../../core/smmu/regs.ts';
import { type InFlight, limits, type SmmuState } from '../../../core/smmu/state.ts';
import { storedBy } from './fills.ts';
import { type Evidence, fact, hex, type Reason, type Rows } from './reason.ts';
import { citeOf, removedBy } from './removal.ts';

export const commandRows: Rows = {
  'command.issue': { cite: 'IHI 0070 4.1', below: issued },
  'command.fetched': { cite: 'IHI 0070 3.5.1', below: fetched },
  'command.consumed': {
    cite: 'IHI 0070 4.1.2',
    below: (e, evidence) => evidence.because('fetched', e.fetched),
  },
  'command.performed': {
    cite: 'IHI 0070 4.1.2',
    below: (e, evidence) => [...removedBy(e, evidence), ...evidence.because('fetched', e.fetched)],
  },
  'command.rejected': {
    cite: 'IHI 0070 7.1',
    below: (e, evidence) => [
      fact(
        e.seq,
        'because',
        `${e.error}: ${e.why}`,
        e.error === 'CERROR_ILL' ? citeOf(e.command) : 'IHI 0070 7.1',
      ),
      ...evidence.because('fetched', e.fetched),
    ],
  },
  'sync.completed': {
    cite: 'IHI 0070 4.7.3',
    below: (e, evidence) => [...evidence.because('fetched', e.fetched), ...waitedFor(e, evidence)],
  },
  'cache.invalidated': {
    cite: 'IHI 0070 4.4',
    below: (e, evidence) => [
      ...evidence.because('by', e.fetched),
      ...e.removed.flatMap((seq) => evidence.because('removed', seq)),
    ],
  },
  'cache.evicted': {
    cite: 'IHI 0070 3.21',
    below: (e, evidence) => [
      fact(e.seq, 'because', e.why),
      ...e.removed.flatMap((seq) => evidence.because('removed', seq)),
    ],
  },
  'atc.invalidated': {
    cite: 'IHI 0070 4.5.1',
    below: (e, evidence) => [
      ...evidence.because('by', e.fetched),
      ...e.removed.flatMap((seq) => evidence.because('removed', seq)),
    ],
  },
  'atc.timedout': { cite: 'IHI 0070 3.9.1.4', below: (e, evidence) => evidence.because('by', e.fetched) },
};

function issued(e: Entry, evidence: Evidence): readonly Reason[] {
  const [, first] = evidence.step(e);
  return first === undefined ? [] : [{ seq: first.seq, role: 'joined', what: 'the commands in flight' }];
}

/** The slot's contents and the write of PROD that passed it. */
function fetched(e: EntryOf<'command.fetched'>, evidence: Evidence): readonly Reason[] {
  if (e.beside === true) return evidence.because('issued by', e.cause);
  const queue = commandQueueNamed(e.queue ?? 'CMDQ');
  const smmu = evidence.state(e.seq - 1).smmus[e.smmu];
  if (queue === undefined || smmu === undefined) return [];
  const pa = evidence.place(e.smmu, entryAddress(ringOf(smmu, queue), e.index), e.seq);
  return [...storedBy(evidence, pa, 16, e.seq), ...evidence.setTo('published by', e.smmu, queue.prod, e.seq)];
}

/** The commands that were performed since the last CMD_SYNC of the queue: what its completion stands for. */
function waitedFor(e: EntryOf<'sync.completed'>, evidence: Evidence): readonly Reason[] {
  const found: Reason[] = [];
  for (const each of evidence.newest('type:command.performed', e.seq, lastSync(e, evidence))) {
    if (each.type !== 'command.performed' || each.smmu !== e.smmu || each.queue !== e.queue) continue;
    found.push(...evidence.because('completes', each.seq));
    if (found.length === limits.inFlight) break;
  }
  return found;
}

function lastSync(e: EntryOf<'sync.completed'>, evidence: Evidence): number {
  for (const each of evidence.newest('type:sync.completed', e.seq - 1)) {
    if (each.type === 'sync.completed' && each.smmu === e.smmu && each.queue === e.queue) return each.seq;
  }
  return 0;
}

/**
 * Why the commands of a queue do not go on at `at`: the queue stands still, the SMMU has not looked, or the
 * oldest waits for others.
 */
export function unfinished(
  name: string,
  queueName: string,
  at: number,
  evidence: Evidence,
): readonly Reason[] {
  const smmu = evidence.state(at).smmus[name];
  const queue = commandQueueNamed(queueName);
  if (smmu === undefined || queue === undefined) return [];
  const ring = ringOf(smmu, queue);
  const [prod, cons] = [held(smmu, queue.prod), held(smmu, queue.cons)];
  const flight = smmu.inFlight.filter((each) => each.queue === queueName);
  const stopped = standsStill(smmu, queueName, at, evidence);
  if (stopped.length > 0) return stopped;
  if (flight.length > 0) return [...flight.flatMap((each) => waitsFor(each, flight, at, evidence))];
  if (isEmpty(ring, prod, cons)) return emptyQueue(name, queue.prod, ring, cons, at, evidence);
  if (!isConsistent(ring, prod, cons)) {
    const what = `PROD=${hex(prod)} and CONS=${hex(cons)} are inconsistent: no command is taken`;
    return [
      fact(at, 'stands still', what, 'IHI 0070 3.5.1'),
      ...evidence.setTo('PROD', name, queue.prod, at),
    ];
  }
  return [noTurn(at, evidence), ...evidence.setTo('published by', name, queue.prod, at)];
}

function noTurn(at: number, evidence: Evidence): Reason {
  const { schedule } = evidence.state(at);
  const what = `the SMMU could take it and had no turn yet (schedule ${schedule})`;
  return fact(at, 'waits', what);
}

function standsStill(smmu: SmmuState, queueName: string, at: number, evidence: Evidence): readonly Reason[] {
  const queue = commandQueueNamed(queueName);
  const { name } = smmu.config;
  if (queue === undefined) return [];
  if (!queue.kind.isOn(smmu, queue)) {
    const [what, register] =
      queueName === 'CMDQ'
        ? [`CMDQEN is ${enabledIn(smmu, 'CR0')} in CR0 and ${enabledIn(smmu, 'CR0ACK')} in CR0ACK`, 'CR0']
        : ['its enable or the acknowledge of it is 0', queue.prod];
    const below = (): readonly Reason[] => evidence.setTo(register, name, register, at);
    return [
      {
        seq: at,
        role: 'stands still',
        what,
        cite: `IHI 0070 ${queueName === 'CMDQ' ? '6.3.9' : '3.5.6'}`,
        below,
      },
    ];
  }
  if (!queue.kind.isStopped(smmu, queue)) return [];
  const errors =
    queueName === 'CMDQ' ? `GERROR.CMDQ_ERR is active (${hex(activeErrors(smmu))})` : 'its error is active';
  const rejected = newestRejected(name, at, evidence);
  return [
    fact(at, 'stands still', `${errors}: no command is taken until it is acknowledged`, 'IHI 0070 7.1'),
    ...(rejected === undefined ? [] : evidence.because('stopped at', rejected.seq)),
  ];
}

/** CR0.CMDQEN, or its acknowledge copy. */
function enabledIn({ regs }: SmmuState, register: 'CR0' | 'CR0ACK'): number {
  return ((regs[register] ?? 0) >>> 3) & 1;
}

function newestRejected(smmu: string, at: number, evidence: Evidence): Entry | undefined {
  for (const each of evidence.newest('type:command.rejected', at)) {
    if (each.type === 'command.rejected' && each.smmu === smmu) return each;
  }
  return undefined;
}

function waitsFor(
  each: InFlight,
  flight: readonly InFlight[],
  at: number,
  evidence: Evidence,
): readonly Reason[] {
  const before = flight.filter(({ fetched: seq }) => seq < each.fetched);
  const position = each.consumed ? 'consumed, not performed' : 'fetched, not consumed';
  const what = `${each.command} is ${position}`;
  if (each.command === 'CMD_SYNC' && before.length > 0) {
    const below = (): readonly Reason[] =>
      before.flatMap(({ fetched: seq }) => evidence.because('waits for', seq));
    return [
      {
        seq: each.fetched,
        role: 'waits',
        what: `${what}: ${before.length} before it are not performed`,
        cite: 'IHI 0070 4.7.3',
        below,
      },
    ];
  }
  return [
    {
      seq: each.fetched,
      role: 'waits',
      what,
      cite: 'IHI 0070 4.1.2',
      below: () => [noTurn(at, evidence), ...evidence.because('fetched', each.fetched)],
    },
  ];
}

/** Nothing is published: a command that stands in the next slot was written and PROD not moved. */
function emptyQueue(
  smmu: string,
  prod: string,
  ring: Queue,
  cons: number,
  at: number,
  evidence: Evidence,
): readonly Reason[] {
  const pa = evidence.place(smmu, entryAddress(ring, pointer(ring, cons)), at);
  const [store] = evidence.stores(pa, ring.entryBytes, at);
  const moved = evidence.register(smmu, prod, at);
  const what = `the queue is empty: PROD has passed no command that CONS has not (slot at ${hex(pa)})`;
  const unpublished = store !== undefined && store.seq > (moved?.seq ?? 0);
  return [
    fact(at, 'nothing waits', what, 'IHI 0070 3.5.1'),
    ...(unpublished ? evidence.because('stored and not published', store.seq) : []),
    ...evidence.setTo('PROD', smmu, prod, at),
  ];
}
