/** `compare`: two branches by findings, by how accesses and ioctls ended, and by the work they took. */
import { commonAncestor } from '../../core/history/branch.ts';
import { checkHistory } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import type { Session } from '../session.ts';
import { countRows, differingOutcomes, type OutcomeRow, tell } from './compare-histories.ts';
import { exitCodes, printAll, wrap } from './io.ts';
import { withStore } from './open.ts';
import { type Position, showPosition } from './position.ts';
import type { Verb, VerbContext } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command.argument('<a>', 'a branch, or a position on one').argument('<b>', 'another');
  },
  run(context, [first = '', second = '']) {
    return withStore(context, async ({ session, position }) => {
      const sides = [position(first), position(second)] as const;
      const shared = sharedBy(session, ...sides);
      const rows = [...findingRows(session, sides), ...workRows(session, sides, shared)];
      const lines = rows.flatMap((row) => (context.json ? [JSON.stringify(row.json)] : row.lines(context)));
      const [a, b] = sides.map(showPosition);
      const head = { a, b, shared };
      await printAll(context.io, [
        ...(context.json ? [JSON.stringify(head)] : [`${b}  beside ${a}, which share ${shared} entries`]),
        ...lines,
      ]);
      return rows.some(({ differs }) => differs) ? exitCodes.found : exitCodes.clean;
    });
  },
};

type Sides = readonly [Position, Position];

interface ComparedRow {
  readonly json: Readonly<Record<string, unknown>>;
  readonly differs: boolean;
  lines(context: VerbContext): readonly string[];
}

function sharedBy({ log }: Session, a: Position, b: Position): number {
  const branches = (id: number) => log.branches().find((branch) => branch.id === id);
  return Math.min(commonAncestor(branches, a.branch.id, b.branch.id)?.seq ?? 0, a.seq, b.seq);
}

/** Findings that only one side has: a rule and what it found, wherever it stands. */
function findingRows({ log }: Session, sides: Sides): readonly ComparedRow[] {
  const [a = [], b = []] = sides.map(({ branch, seq }) =>
    checkHistory(log.read(branch.id, 1, seq), branch.machine, branch.name),
  );
  const only = (mine: readonly Finding[], others: readonly Finding[], side: 'a' | 'b'): ComparedRow[] => {
    const left = others.map(nameOf);
    return mine
      .filter((each) => {
        const at = left.indexOf(nameOf(each));
        if (at >= 0) left.splice(at, 1);
        return at < 0;
      })
      .map((each) => onlyFinding(each, side));
  };
  const row = { findings: { a: a.length, b: b.length } };
  const text = `${a.length} | ${b.length}`;
  return [
    plainRow(sides, 'findings', text, row, a.length !== b.length),
    ...only(a, b, 'a'),
    ...only(b, a, 'b'),
  ];
}

function nameOf({ rule, verdict, title }: Finding): string {
  return `${rule} ${verdict} ${title}`;
}

function onlyFinding(found: Finding, side: 'a' | 'b'): ComparedRow {
  return {
    json: {
      finding: found.rule,
      verdict: found.verdict,
      title: found.title,
      only: side,
      position: found.position,
    },
    differs: true,
    lines: ({ io }) => wrap(found.position, 'only here:', nameOf(found), io.width),
  };
}

function workRows({ log }: Session, sides: Sides, shared: number): readonly ComparedRow[] {
  const [a, b] = sides.map(({ branch, seq }) => tell(log.read(branch.id, shared + 1, seq)));
  if (a === undefined || b === undefined) return [];
  return [
    ...differingOutcomes(a.outcomes, b.outcomes).map((row) => outcomeRow(sides, row)),
    ...countRows(a, b).map(({ name, a: left, b: right }) =>
      plainRow(sides, name, `${left} | ${right}`, { count: name, a: left, b: right }, left !== right),
    ),
  ];
}

/** A count of both sides. What differs only in how many turns and entries it took is no other outcome. */
function plainRow(
  [, b]: Sides,
  name: string,
  text: string,
  json: ComparedRow['json'],
  unequal: boolean,
): ComparedRow {
  const mark = unequal ? '  *' : '';
  return {
    json,
    differs: unequal,
    lines: () => [`${showPosition(b)}  ${name.padEnd(20)} ${text}${mark}`],
  };
}

function outcomeRow([first, second]: Sides, { what, a, b }: OutcomeRow): ComparedRow {
  const at = ({ branch }: Position, seq: number | undefined): string | null =>
    seq === undefined ? null : showPosition({ branch, seq });
  const [left, right] = [at(first, a?.seq), at(second, b?.seq)];
  return {
    json: {
      outcome: what,
      a: a === undefined ? null : { position: left, how: a.how },
      b: b === undefined ? null : { position: right, how: b.how },
    },
    differs: true,
    lines: ({ io }) => [
      ...(a === undefined ? [] : wrap(left ?? '', what, a.how, io.width)),
      ...wrap(right ?? showPosition(second), what, b?.how ?? 'did not happen', io.width),
      ...(a === undefined ? wrap(showPosition(first), what, 'did not happen', io.width) : []),
    ],
  };
}
