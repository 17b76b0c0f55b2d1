/** `diff`: two moments by field name; or, written A...B, two histories since they parted. */
import { commonAncestor } from '../../core/history/branch.ts';
import { type Difference, differenceOf } from '../../core/history/rerun.ts';
import type { Branch, LogStore } from '../../core/history/store.ts';
import { InputError } from '../input-error.ts';
import { type Step, stepDifferences } from './diff-steps.ts';
import { entryJson } from './entry-text.ts';
import { clip, type ExitCode, exitCodes, printAll, wrap } from './io.ts';
import { entryLine } from './log.ts';
import { type Opened, withStore } from './open.ts';
import { type Position, parseRange, type Range, showPosition } from './position.ts';
import { stateDiff } from './state-diff.ts';
import { showLeaf } from './value-diff.ts';
import type { Verb, VerbContext } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('<a>', 'a position, or A..B for two of them, or A...B for two histories')
      .argument('[b]', 'another position')
      .argument('[path]', 'only what stands there')
      .option('--steps', 'with A...B: stimulus by stimulus, what followed in one and not in the other');
  },
  run(context, args, options) {
    return withStore(context, async (opened) => {
      const [first = '', second, third] = args;
      const range = parseRange(first, opened.source);
      if (options['steps'] === true) {
        if (range?.symmetric !== true) throw new InputError(`--steps: expected A...B, found "${first}"`);
        return diffSteps(context, opened, range);
      }
      if (range?.symmetric === true) return diffHistories(context, opened, range);
      if (range !== undefined) return diffMoments(context, opened, range.from, range.to, second);
      if (second === undefined) throw new InputError('diff: expected two positions, found one');
      return diffMoments(context, opened, opened.position(first), opened.position(second), third);
    });
  },
};

async function diffMoments(
  { io, json }: VerbContext,
  { session }: Opened,
  a: Position,
  b: Position,
  path: string | undefined,
): Promise<ExitCode> {
  const [before, after] = [session.seek(a.branch, a.seq), session.seek(b.branch, b.seq)];
  const [from, to] = [showPosition(a), showPosition(b)];
  let rows = 0;
  await printAll(
    io,
    (function* () {
      for (const row of stateDiff(before, after, path)) {
        rows += 1;
        if (json)
          yield JSON.stringify({
            a: from,
            b: to,
            path: row.path,
            before: row.before ?? null,
            after: row.after ?? null,
          });
        else yield* wrap(to, row.path, `${showLeaf(row.before)} -> ${showLeaf(row.after)}`, io.width);
      }
    })(),
  );
  return rows === 0 ? exitCodes.clean : exitCodes.found;
}

async function diffHistories(
  { io, json }: VerbContext,
  { session: { log } }: Opened,
  { from, to }: Range,
): Promise<ExitCode> {
  const seq = sharedSeq(log, from, to);
  const difference = firstDifference(log, from, to, seq);
  const counts = countsOf(log, from, to, seq);
  const [a, b] = [showPosition(from), showPosition(to)];
  if (json) {
    io.out(
      JSON.stringify({
        a,
        b,
        shared: seq,
        difference: differenceJson(difference, from.branch, to.branch),
        counts: Object.fromEntries(counts.map(({ type, a: left, b: right }) => [type, [left, right]])),
      }),
    );
  } else {
    io.out(
      clip(
        `${showPosition({ branch: from.branch, seq })}  the last entry that ${a} and ${b} share`,
        io.width,
      ),
    );
    for (const line of differenceLines(difference, from.branch, to.branch, io.width)) io.out(line);
    for (const { type, a: left, b: right } of counts)
      io.out(clip(`${b}  ${type.padEnd(18)} ${left} | ${right}`, io.width));
  }
  return difference === undefined ? exitCodes.clean : exitCodes.found;
}

/** The last entry that both have. */
function sharedSeq(log: LogStore, from: Position, to: Position): number {
  const shared = commonAncestor(
    (id) => log.branches().find((branch) => branch.id === id),
    from.branch.id,
    to.branch.id,
  );
  return Math.min(shared?.seq ?? 0, from.seq, to.seq);
}

/** Every step in which two histories differ, not only the first entry. */
async function diffSteps(
  { io, json }: VerbContext,
  { session: { log } }: Opened,
  { from, to }: Range,
): Promise<ExitCode> {
  const shared = sharedSeq(log, from, to);
  const read = ({ branch, seq }: Position) => log.read(branch.id, shared + 1, seq);
  const at = ({ branch }: Position, step: Step | undefined): string =>
    step === undefined ? '-' : showPosition({ branch, seq: step.seq });
  let differing = 0;
  await printAll(
    io,
    (function* () {
      for (const { a, b, onlyA, onlyB } of stepDifferences(read(from), read(to))) {
        differing += 1;
        const [left, right] = [at(from, a), at(to, b)];
        if (json) {
          yield JSON.stringify({ a: left, b: right, what: a?.what ?? b?.what, onlyA, onlyB });
          continue;
        }
        yield clip(`${b === undefined ? left : right}  ${a?.what ?? '-'} | ${b?.what ?? '-'}`, io.width);
        for (const fact of onlyA) yield* wrap(left, '  only here', fact, io.width);
        for (const fact of onlyB) yield* wrap(right, '  only here', fact, io.width);
      }
    })(),
  );
  return differing === 0 ? exitCodes.clean : exitCodes.found;
}

function firstDifference(log: LogStore, a: Position, b: Position, shared: number): Difference | undefined {
  const left = log.read(a.branch.id, shared + 1, a.seq)[Symbol.iterator]();
  const right = log.read(b.branch.id, shared + 1, b.seq)[Symbol.iterator]();
  for (;;) {
    const [one, other] = [left.next(), right.next()];
    if (one.done === true && other.done === true) return undefined;
    const found = differenceOf(
      one.done === true ? [] : [one.value],
      other.done === true ? [] : [other.value],
      (seq) => seq,
    );
    if (found !== undefined) return found;
  }
}

interface Count {
  readonly type: string;
  readonly a: number;
  readonly b: number;
}

/** How many entries of each type both histories have since they parted, where the numbers differ. */
function countsOf(log: LogStore, a: Position, b: Position, shared: number): Count[] {
  const tally = ({ branch, seq }: Position): Map<string, number> => {
    const counts = new Map<string, number>([['entries', 0]]);
    for (const { type } of log.read(branch.id, shared + 1, seq)) {
      counts.set(type, (counts.get(type) ?? 0) + 1);
      counts.set('entries', (counts.get('entries') ?? 0) + 1);
    }
    return counts;
  };
  const [left, right] = [tally(a), tally(b)];
  const types = [...new Set([...left.keys(), ...right.keys()])];
  const rows = types.map((type) => ({ type, a: left.get(type) ?? 0, b: right.get(type) ?? 0 }));
  return rows.filter((row) => row.type === 'entries' || row.a !== row.b);
}

/** Both sides of the first difference, each as a line of its history. */
export function differenceLines(
  found: Difference | undefined,
  a: Branch,
  b: Branch,
  width: number | undefined,
): string[] {
  if (found === undefined) return [];
  const side = (branch: Branch, entry: Difference['recorded']): string =>
    entry === undefined ? `${branch.name}  has ended` : entryLine(entry, { branch }, width);
  return [side(a, found.recorded), side(b, found.rerun)];
}

/** Both sides of the first difference with all their fields; null when there is none. */
export function differenceJson(found: Difference | undefined, a: Branch, b: Branch): unknown {
  if (found === undefined) return null;
  return {
    recorded: found.recorded === undefined ? null : entryJson(found.recorded, a.name),
    rerun: found.rerun === undefined ? null : entryJson(found.rerun, b.name),
  };
}
