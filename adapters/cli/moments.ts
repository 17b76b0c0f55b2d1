/** What the operands of an expression are at a moment of a history, and where they change. */
import type { MachineConfig } from '../../core/config.ts';
import { type Entry, schemas } from '../../core/event.ts';
import { meant } from '../../core/path/near.ts';
import { isPathProblem, resolvePath } from '../../core/path.ts';
import type { State } from '../../core/state.ts';
import { seqOf } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { type Rule, rules, rulesNamed } from '../../projections/rules.ts';
import { changesBack } from '../changes.ts';
import { InputError } from '../input-error.ts';
import type { Session } from '../session.ts';
import type { Position } from './position.ts';
import { type Lookup, type Operand, operandsOf, type Predicate } from './predicate.ts';
import { typesOf } from './search-terms.ts';

/** Ascending seqs at which entries of some types stand, or findings of a rule were made. */
type Marks = ReadonlyMap<string, readonly number[]>;

/** Throws InputError where an expression asks for types or rules that there are none of. */
export function checkOperands(predicate: Predicate): void {
  for (const operand of operandsOf(predicate)) {
    if (operand.kind === 'count') typesOf('--when: count', operand.types);
    if (operand.kind === 'finding' && rulesFor(operand.rule).length === 0) {
      const known = rules.flatMap(({ id, name }) => [id, name]);
      throw new InputError(
        `--when: finding: expected a rule of help rules, or *, found "${operand.rule}"${meant(operand.rule, known)}`,
      );
    }
  }
}

/** The same for paths, which have to be there at one of the moments. */
export function checkPaths(predicate: Predicate, states: readonly State[]): void {
  for (const operand of operandsOf(predicate)) {
    if (operand.kind !== 'path') continue;
    const found = states.map((state) => resolvePath(state, operand.path));
    const [first] = found;
    if (first === undefined || !found.every(isPathProblem)) continue;
    throw new InputError(`--when: path ${operand.path}: ${isPathProblem(first) ? first.problem : ''}`);
  }
}

/** What a path leads to in a state; null where nothing is there. */
export function valueIn(state: State, path: string): unknown {
  const found = resolvePath(state, path);
  return isPathProblem(found) ? null : found.value;
}

export type FindFindings = (
  entries: Iterable<Entry>,
  machine: MachineConfig,
  branch: string,
) => readonly Finding[];

/** The marks that an expression counts, up to `to`. Findings take a pass over the history. */
export function marksOf(predicate: Predicate, session: Session, to: Position, find: FindFindings): Marks {
  const { branch, seq } = to;
  const marks = new Map<string, readonly number[]>();
  let findings: readonly Finding[] | undefined;
  for (const operand of operandsOf(predicate)) {
    if (operand.kind === 'count') {
      const keys = typesOf('--when: count', operand.types).map((type) => `type:${type}`);
      const all = session.index.matching(branch.id, [keys], { from: 0, to: seq }, 'oldest');
      marks.set(
        nameOf(operand),
        Array.from(all, (entry) => entry.seq),
      );
    }
    if (operand.kind === 'finding') {
      findings ??= find(session.log.read(branch.id, 1, seq), branch.machine, branch.name);
      marks.set(nameOf(operand), madeAt(findings, operand.rule));
    }
  }
  return marks;
}

/** Seqs of the findings of a rule, ascending. */
export function madeAt(findings: readonly Finding[], rule: string): readonly number[] {
  const ids = rulesFor(rule).map(({ id }) => id);
  return findings.filter((each) => ids.includes(each.rule)).map(seqOf);
}

/** The rules that a name means; `*` is all of them. */
export function rulesFor(name: string): readonly Rule[] {
  return name === '*' ? rules : rulesNamed(name);
}

function nameOf(operand: Operand): string {
  return operand.kind === 'count'
    ? `count ${operand.types}`
    : operand.kind === 'finding'
      ? `finding ${operand.rule}`
      : '';
}

/** The operands at one moment: the state is asked for only when a path is. */
export function lookupAt(session: Session, { branch, seq }: Position, marks: Marks): Lookup {
  let state: State | undefined;
  return (operand) => {
    if (operand.kind === 'path') {
      state ??= session.seek(branch, seq);
      return valueIn(state, operand.path);
    }
    const count = countUpTo(marks.get(nameOf(operand)) ?? [], seq);
    return operand.kind === 'finding' ? count > 0 : count;
  };
}

/** How many of ascending seqs are `seq` at most. */
function countUpTo(seqs: readonly number[], seq: number): number {
  let [low, high] = [0, seqs.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((seqs[middle] ?? 0) <= seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Every seq with `from < seq <= to` at which an operand may have become another, ascending. */
export function changesOf(
  predicate: Predicate,
  session: Session,
  to: Position,
  from: number,
  marks: Marks,
): readonly number[] {
  const found = new Set<number>();
  for (const operand of operandsOf(predicate)) {
    if (operand.kind === 'path') {
      if (isPathProblem(resolvePath(session.seek(to.branch, to.seq), operand.path)))
        throw new InputError(`--every: expected paths that are there at the end, found ${operand.path}`);
      for (const { entry } of changesBack(session, to.branch, operand.path, from, to.seq))
        found.add(entry.seq);
    } else
      for (const seq of marks.get(nameOf(operand)) ?? []) if (seq > from && seq <= to.seq) found.add(seq);
  }
  return [...found].sort((a, b) => a - b);
}

/** How many entries of a list there are of the types that `count` names. */
export function counted(entries: readonly Entry[], types: string): number {
  const wanted = typesOf('--when: count', types);
  return entries.filter(({ type }) => type in schemas && wanted.includes(type)).length;
}
