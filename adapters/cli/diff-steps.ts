/**
 * Two histories of one story, stimulus by stimulus: what followed from each in one and not in the other. So two VMMs
 * (or two kernels) that were asked the same are told apart at every place, not only at the first.
 */
import type { Entry } from '../../core/event.ts';
import { isStimulus } from '../../core/event.ts';
import { beginStimulus, openAttribution } from '../../projections/cost/attribution.ts';

/** A stimulus from outside, and what followed, each thing with how often. */
export interface Step {
  readonly seq: number;
  readonly what: string;
  readonly facts: ReadonlyMap<string, number>;
}

export interface StepDifference {
  readonly a: Step | undefined;
  readonly b: Step | undefined;
  readonly onlyA: readonly string[];
  readonly onlyB: readonly string[];
}

/** What an entry says that does not go by where it stands in its log; undefined for the small print. */
function factOf(entry: Entry): string | undefined {
  switch (entry.type) {
    case 'ioctl.completed':
      return `${entry.process} ${entry.name}${entry.errno === undefined ? '' : ` ${entry.errno}`}`;
    case 'exit.taken':
      return `${entry.vm} exit ${entry.why} ${entry.what}`;
    case 'command.consumed':
      return `${entry.smmu} ${entry.command}`;
    case 'command.rejected':
      return `${entry.smmu} ${entry.command} ${entry.error}`;
    case 'device.changed':
      return entry.set.attached && `${entry.endpoint} attached ${entry.set.attached}`;
    case 'msi.sent':
      return `${entry.smmu} MSI of ${entry.source}`;
    case 'interrupt.raised':
      return `${entry.smmu} interrupt ${entry.source}`;
    case 'record.written':
      return `${entry.smmu} ${entry.record}`;
    case 'record.dropped':
      return `${entry.smmu} ${entry.record} lost`;
    case 'vmm.told':
      return `${entry.vm} says ${entry.what}`;
    case 'vm.answered':
      return entry.refused === undefined ? undefined : `${entry.vm} refused ${entry.refused}`;
    case 'access.completed':
      return `${entry.endpoint} ${entry.access} ok`;
    case 'access.terminated':
      return `${entry.endpoint} ${entry.access} ${entry.result} ${entry.reason}`;
    default:
      return undefined;
  }
}

/** The steps of a history. A turn belongs to the stimulus before it. */
export function* stepsOf(entries: Iterable<Entry>): Generator<Step> {
  const at = openAttribution();
  let step: { seq: number; what: string; facts: Map<string, number> } | undefined;
  const registers = new Map<string, bigint>();
  const closed = (): Step | undefined => {
    for (const [name, value] of registers) step?.facts.set(`${name} is 0x${value.toString(16)}`, 1);
    registers.clear();
    return step;
  };
  for (const entry of entries) {
    if (isStimulus(entry) && beginStimulus(at, entry) !== undefined) {
      const done = closed();
      if (done !== undefined) yield done;
      step = { seq: entry.seq, what: `${entry.type} ${at.last.about}`.trimEnd(), facts: new Map() };
      continue;
    }
    // A register counts by what it holds at the end of the step.
    if (entry.type === 'register.updated' || entry.type === 'register.written')
      registers.set(`${entry.smmu}.${entry.register}`, entry.value);
    const fact = factOf(entry);
    if (fact !== undefined && step !== undefined) step.facts.set(fact, (step.facts.get(fact) ?? 0) + 1);
  }
  const done = closed();
  if (done !== undefined) yield done;
}

/** The steps in which two histories differ; the n-th stimulus of one goes with the n-th of the other. */
export function* stepDifferences(a: Iterable<Entry>, b: Iterable<Entry>): Generator<StepDifference> {
  const [left, right] = [stepsOf(a), stepsOf(b)];
  for (;;) {
    const [one, other] = [left.next(), right.next()];
    if (one.done === true && other.done === true) return;
    const pair = {
      a: one.done === true ? undefined : one.value,
      b: other.done === true ? undefined : other.value,
    };
    const [onlyA, onlyB] = [missing(pair.a, pair.b), missing(pair.b, pair.a)];
    const named = pair.a?.what !== pair.b?.what;
    if (named || onlyA.length > 0 || onlyB.length > 0) yield { ...pair, onlyA, onlyB };
  }
}

/** What one has and the other has not, or has less often. */
function missing(of: Step | undefined, than: Step | undefined): readonly string[] {
  return [...(of?.facts ?? [])].flatMap(([fact, count]) => {
    const more = count - (than?.facts.get(fact) ?? 0);
    return more <= 0 ? [] : [more === 1 ? fact : `${fact} x${more}`];
  });
}
