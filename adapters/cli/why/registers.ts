/** Registers, interrupts, event records and Page Requests: what moved them. IHI 0070 3.5, 3.18, 6, 7, 8. */
import type { Entry, EntryOf } from '../../../core/event.ts';
import { storedBy } from './fills.ts';
import { noInterrupt } from './interrupts.ts';
import { outsideOf } from './origin.ts';
import { type Evidence, fact, type Reason, type Rows } from './reason.ts';

const CAUSES = /^(command|record|page|cache|atc|sync|stall|access|misuse|interrupt|endpoint|ats)\./;

export const registerRows: Rows = {
  'mmio.write': { cite: 'IHI 0070 6.3', below: (e, evidence) => firstOf(e, evidence) },
  'mmio.read': { cite: 'IHI 0070 6.3', below: (e, evidence) => firstOf(e, evidence) },
  'register.written': { cite: 'IHI 0070 6.3', below: (e, evidence) => asked(e, evidence) },
  'register.updated': { cite: 'IHI 0070 6.3', below: updated },
  'register.read': {
    cite: 'IHI 0070 6.3',
    below: (e, evidence) => evidence.setTo('it was set by', e.smmu, e.register, e.seq),
  },
  'write.ignored': { cite: 'IHI 0070 6.2', below: (e) => [fact(e.seq, 'because', e.why)] },
  'interrupt.raised': { cite: 'IHI 0070 3.18', below: interrupted },
  'msi.sent': { cite: 'IHI 0070 3.18.2', below: messaged },
  'event.sent': { cite: 'IHI 0070 4.7.3', below: (e, evidence) => before(e, evidence) },
  'record.raised': { cite: 'IHI 0070 7.3', below: raised },
  'record.written': {
    cite: 'IHI 0070 7.2',
    below: (e, evidence) => [...evidence.because('raised', e.raised ?? 0), ...quiet(e, 'EVENTQ', evidence)],
  },
  'record.dropped': {
    cite: 'IHI 0070 7.4',
    below: (e, evidence) => [
      fact(e.seq, 'because', e.why),
      ...['EVENTQ_PROD', 'EVENTQ_CONS'].flatMap((name) => evidence.setTo(name, e.smmu, name, e.seq)),
      ...evidence.because('raised', e.raised ?? 0),
    ],
  },
  'record.merged': { cite: 'IHI 0070 7.3.1', below: (e, evidence) => evidence.because('into', e.into) },
  'record.withdrawn': {
    cite: 'IHI 0070 3.12.2',
    below: (e, evidence) => evidence.because('raised', e.raised),
  },
  'page.requested': { cite: 'IHI 0070 8.1', below: (e, evidence) => asked(e, evidence) },
  'page.queued': {
    cite: 'IHI 0070 8.1',
    below: (e, evidence) => [...evidence.because('requested', e.requested), ...quiet(e, 'PRIQ', evidence)],
  },
  'page.dropped': {
    cite: 'IHI 0070 8.2',
    below: (e, evidence) => [fact(e.seq, 'because', e.why), ...evidence.because('requested', e.requested)],
  },
  'page.responded': {
    cite: 'IHI 0070 4.5.2',
    below: (e, evidence) => (e.fetched === 0 ? before(e, evidence) : evidence.because('by', e.fetched)),
  },
};

/** A write or read of the outside is explained by what came of it first. */
function firstOf(e: Entry, evidence: Evidence): readonly Reason[] {
  const [, first] = evidence.step(e);
  return first === undefined ? [] : evidence.because('gave', first.seq);
}

/** Who asked for it, where it was not the stimulus right before. */
export function asked(e: Entry, evidence: Evidence): readonly Reason[] {
  const cause = e.cause === 0 ? undefined : evidence.entry(e.cause);
  if (cause === undefined || cause.type !== 'turn') return [];
  const outside = outsideOf(e, evidence);
  return outside === undefined ? [] : evidence.because('in the course of', outside.seq);
}

/** The nearest thing that happened before it in its step, but for plain stores and other registers. */
function before(e: Entry, evidence: Evidence): readonly Reason[] {
  const found = evidence
    .step(e)
    .filter(({ seq, type }) => seq < e.seq && CAUSES.test(type))
    .at(-1);
  return found === undefined ? asked(e, evidence) : evidence.because('after', found.seq);
}

/** Acknowledge registers follow what software wrote; all others follow an event of their step. */
function updated(e: EntryOf<'register.updated'>, evidence: Evidence): readonly Reason[] {
  const of = e.register === 'CR0ACK' ? 'CR0' : e.register === 'IRQ_CTRLACK' ? 'IRQ_CTRL' : undefined;
  if (of !== undefined) return evidence.setTo('acknowledges', e.smmu, of, e.seq);
  return before(e, evidence);
}

/** What happened, and the bit that let it be told. */
function interrupted(e: EntryOf<'interrupt.raised'>, evidence: Evidence): readonly Reason[] {
  if (e.source === 'CMD_SYNC') return before(e, evidence);
  return [...before(e, evidence), ...evidence.setTo('enabled by', e.smmu, 'IRQ_CTRL', e.seq)];
}

function messaged(e: EntryOf<'msi.sent'>, evidence: Evidence): readonly Reason[] {
  if (e.source === 'CMD_SYNC') return before(e, evidence);
  const names = [`${e.source}_IRQ_CFG0`, `${e.source}_IRQ_CFG1`];
  return [...before(e, evidence), ...names.flatMap((name) => evidence.setTo(name, e.smmu, name, e.seq))];
}

/** A record tells of an access, a page or a command of its step; it comes right before the access ends. */
function raised(e: EntryOf<'record.raised'>, evidence: Evidence): readonly Reason[] {
  const step = evidence.step(e);
  const ended = step.find(
    ({ seq, type }) => seq > e.seq && /^(access\.(terminated|stalled)|ats\.answered|page\.)/.test(type),
  );
  if (ended !== undefined) return evidence.because('tells of', ended.seq);
  return before(e, evidence);
}

/** Where no interrupt followed: why. */
function quiet(
  e: Entry & { readonly smmu: string },
  source: 'EVENTQ' | 'PRIQ',
  evidence: Evidence,
): readonly Reason[] {
  const told = evidence
    .step(e)
    .some((each) => each.seq > e.seq && each.type === 'interrupt.raised' && each.source === source);
  return told ? [] : noInterrupt(e.smmu, source, e, evidence);
}

/** What a store of the machine itself stands for: a record, a message, a descriptor's flags, data. */
export const memoryRows: Rows = {
  'mem.write': { below: (e, evidence) => overwrote(e, evidence) },
  'memory.written': { below: (e, evidence) => storedFor(e, evidence) },
  'memory.loaded': { below: (e, evidence) => storedFor(e, evidence) },
  'memory.aborted': { cite: 'IHI 0070 3.5.3', below: (e, evidence) => before(e, evidence) },
};

function overwrote(e: EntryOf<'mem.write'>, evidence: Evidence): readonly Reason[] {
  return storedBy(evidence, e.pa, e.bytes.length, e.seq - 1).map((each) => ({
    ...each,
    role: 'before that',
  }));
}

function storedFor(
  e: EntryOf<'memory.written'> | EntryOf<'memory.loaded'>,
  evidence: Evidence,
): readonly Reason[] {
  const cause = e.cause === 0 ? undefined : evidence.entry(e.cause);
  if (cause === undefined || cause.type === 'mem.write') return [];
  const carried = evidence
    .step(e)
    .find(
      (each) =>
        each.seq > e.seq &&
        (each.type === 'record.written' || each.type === 'page.queued') &&
        each.pa === e.pa,
    );
  if (carried !== undefined) return evidence.because('carries', carried.seq);
  const from = before(e, evidence);
  return from.length > 0 ? from : asked(e, evidence);
}
