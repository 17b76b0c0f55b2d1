/** `caps`: the history of capabilities: who has an identification field, who let it through, who relied on it. */
import { existsSync, writeFileSync } from 'node:fs';
import { meant } from '../../core/path/near.ts';
import { cellChanges, changesOf, keyOf } from '../../projections/caps/changes.ts';
import { fieldNames } from '../../projections/caps/fields.ts';
import { spellsOf } from '../../projections/caps/history.ts';
import { findingsOfRow } from '../../projections/caps/links.ts';
import { isPolicyName, namedPolicies } from '../../projections/caps/policies.ts';
import type { LedgerRow } from '../../projections/caps/row.ts';
import { isUnknown } from '../../projections/caps/unknown.ts';
import { judge } from '../../projections/caps/verdict.ts';
import { messageOf } from '../../snapshots/store-error.ts';
import { findingsAt, rowsAt } from '../caps-links.ts';
import { allowing, breachesOf, breachesOfNamed, readPolicy } from '../caps-policy.ts';
import { InputError } from '../input-error.ts';
import {
  auditLines,
  breachJson,
  breachLines,
  type CapsDifference,
  cellLines,
  changeLines,
  countsText,
  csvOf,
  differenceJson,
  differenceLine,
  explainLines,
  type JudgedRow,
  judgedRows,
  rowJson,
  rowLine,
  type Shown,
  spellJson,
  spellLines,
  spellsText,
} from './caps-text.ts';
import { type ExitCode, exitCodes, printAll } from './io.ts';
import { type Opened, withStore } from './open.ts';
import { type Position, showPosition } from './position.ts';
import { type Options, textOption, type Verb, type VerbContext } from './verb.ts';

type Action = (context: VerbContext, args: readonly string[], options: Options) => Promise<ExitCode>;

const actions: Readonly<Record<string, Action>> = {
  audit: (context, [text], options) =>
    withStore(context, (opened) =>
      options['history'] === true || options['branches'] === true
        ? auditAll(context, opened, text, options)
        : audit(context, opened, opened.position(text), options),
    ),
  explain: (context, [name, text]) =>
    withStore(context, (opened) => explain(context, opened, fieldOf(name), opened.position(text))),
  log: (context, [name, text]) =>
    withStore(context, (opened) => changes(context, opened, fieldOf(name), opened.position(text))),
  at: (context, [text, ...names]) =>
    withStore(context, (opened) => at(context, opened, opened.position(text), names.map(fieldOf))),
  diff: async (context, [a, b]) => {
    if (a === undefined) throw new InputError('caps diff: expected two positions or profiles, found none');
    const { diffProfiles, isProfile } = await import('./caps-profiles.ts');
    if (isProfile(a)) return diffProfiles(context.io, context.json, a, b);
    return withStore(context, (opened) => diff(context, opened, opened.position(a), opened.position(b)));
  },
  matrix: async ({ io, json }, [part]) => (await import('./caps-matrix.ts')).tellMatrix(io, json, part),
};

export const verb: Verb = {
  define(command) {
    command
      .argument('<action>', `${Object.keys(actions).join(', ')}`)
      .argument(
        '[args...]',
        'audit [POSITION]; explain FIELD; log FIELD; at POSITION [FIELD...]; diff A B; matrix [features|leaks|profiles]',
      )
      .option('--history', 'audit: whenever a promise was not kept, not only at the position')
      .option('--branches', 'audit: every branch, whatever forks it has')
      .option('--all', 'audit: fields that are ok or unused too')
      .option(
        '--policy <file>',
        `audit: lines {"rule": "allow|forbid|require", "field", "value"?, "reason"}; or ${Object.keys(namedPolicies).join(', ')}`,
      )
      .option('--csv <file>', 'audit: writes every row there');
  },
  run(context, [action = '', ...args], options) {
    const known = Object.keys(actions);
    const found = Object.hasOwn(actions, action) ? actions[action] : undefined;
    if (found === undefined)
      throw new InputError(`caps: expected ${known.join(', ')}, found "${action}"${meant(action, known)}`);
    return found(context, args, options);
  },
};

/** The field that a word names, in any case. */
function fieldOf(name: string | undefined): string {
  const found = fieldNames.find((each) => each.toLowerCase() === name?.toLowerCase());
  if (found !== undefined) return found;
  if (name !== undefined && isUnknown(name)) return name;
  const near = meant(name ?? '', fieldNames);
  throw new InputError(
    `expected a field, as IDR0.BTM or hw_info.DIRTY_TRACKING, found "${name ?? ''}"${near}`,
  );
}

const shownAt = ({ io }: VerbContext, { branch }: Position): Shown => ({
  position: (seq) => showPosition({ branch, seq }),
  width: io.width,
});

/** The ledger at a position; undefined where there is no guest yet. */
function ledgerAt({ io }: VerbContext, { session }: Opened, at: Position): readonly LedgerRow[] | undefined {
  const rows = rowsAt(session, at);
  if (rows.length > 0) return rows;
  io.err(`backwalk: ${showPosition(at)}: no guest has an SMMU there: nothing was offered to one`);
  return undefined;
}

/** Rows with their verdicts, and what the rules have found about each. */
function judgedAt({ session }: Opened, at: Position, rows: readonly LedgerRow[]): readonly JudgedRow[] {
  const findings = findingsAt(session, at);
  return judgedRows(rows).map((each) => ({ ...each, findings: findingsOfRow(findings, each.row) }));
}

/** Verdicts that are told without being asked. */
const QUIET: readonly string[] = ['ok', 'unused'];

async function audit(
  context: VerbContext,
  opened: Opened,
  to: Position,
  options: Options,
): Promise<ExitCode> {
  const name = textOption(options, 'policy');
  // A bad file is told before a long history is read.
  const named = name !== undefined && isPolicyName(name) ? name : undefined;
  const policy = name === undefined || named !== undefined ? [] : policyFile(name);
  const rows = ledgerAt(context, opened, to);
  if (rows === undefined) return exitCodes.cannotJudge;
  const { io, json } = context;
  const shown = shownAt(context, to);
  const all = judgedAt(opened, to, rows);
  const breaches = named === undefined ? breachesOf(rows, policy) : breachesOfNamed(rows, named);
  const file = textOption(options, 'csv');
  if (file !== undefined) writeCsv(file, csvOf(all, shown.position));
  const told = options['all'] === true ? all : all.filter(({ judged }) => !QUIET.includes(judged.verdict));
  if (json)
    await printAll(io, [
      ...all.map((row) => JSON.stringify(rowJson(row, shown.position))),
      ...breaches.map((each) => JSON.stringify(breachJson(each, shown.position))),
    ]);
  else {
    await printAll(io, [
      ...breaches.flatMap((each) => breachLines(each, name ?? '', shown)),
      ...told.flatMap((row) => auditLines(row, shown)),
    ]);
    io.out(`${showPosition(to)}  ${countsText(all)}`);
  }
  const bad = all.filter(({ row, judged: { verdict } }) => {
    const line = allowing(row, verdict, policy);
    if (line !== undefined)
      io.err(`backwalk: ${name}:${line.line}: ${verdict} of ${row.field} allowed: ${line.reason}`);
    return line === undefined && (verdict === 'leak' || verdict === 'mismatch');
  });
  return bad.length + breaches.length > 0 ? exitCodes.found : exitCodes.clean;
}

/** The lines of a file; one that is not there may be a policy whose name was mistyped. */
function policyFile(name: string): ReturnType<typeof readPolicy> {
  if (existsSync(name)) return readPolicy(name);
  const names = Object.keys(namedPolicies);
  throw new InputError(
    `--policy: expected a file, or one of ${names.join(', ')}, found "${name}"${meant(name, names)}`,
  );
}

/** The audit of all that was, of one history or of every branch. */
async function auditAll(
  context: VerbContext,
  opened: Opened,
  text: string | undefined,
  options: Options,
): Promise<ExitCode> {
  const given = ['policy', 'csv', 'all'].find(
    (each) => options[each] !== undefined && options[each] !== false,
  );
  if (given !== undefined)
    throw new InputError(`--${given}: expected without --history and --branches, found beside one of them`);
  const { log } = opened.session;
  const whole = options['branches'] === true;
  if (whole && text !== undefined)
    throw new InputError(
      `--branches: expected no position, found "${text}": each branch is read to its head`,
    );
  const ends = whole
    ? log.branches().map((branch) => ({ branch, seq: log.head(branch.id) }))
    : [opened.position(text)];
  let bad = 0;
  for (const end of ends) {
    const shown = shownAt(context, end);
    const spells = spellsOf(end.branch.machine, log.read(end.branch.id, 1, end.seq)).filter(
      ({ until }) => options['history'] === true || until === undefined,
    );
    bad += spells.filter(({ judged }) => judged.verdict !== 'refused').length;
    const lines = context.json
      ? spells.map((spell) => JSON.stringify(spellJson(spell, shown.position)))
      : [...spells.flatMap((spell) => spellLines(spell, shown)), spellsText(spells, showPosition(end))];
    await printAll(context.io, lines);
  }
  return bad > 0 ? exitCodes.found : exitCodes.clean;
}

function writeCsv(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new InputError(`--csv: cannot write ${file}: ${messageOf(error)}`);
  }
}

async function explain(context: VerbContext, opened: Opened, field: string, to: Position): Promise<ExitCode> {
  const found = ledgerAt(context, opened, to)?.filter((row) => row.field === field);
  if (found === undefined) return exitCodes.cannotJudge;
  const shown = shownAt(context, to);
  const rows = judgedAt(opened, to, found);
  const lines = context.json
    ? rows.map((row) => JSON.stringify(rowJson(row, shown.position)))
    : explainLines(field, rows, to.seq, shown);
  await printAll(context.io, lines);
  return exitCodes.clean;
}

async function changes(
  context: VerbContext,
  { session: { log } }: Opened,
  field: string,
  to: Position,
): Promise<ExitCode> {
  const shown = shownAt(context, to);
  const { branch, seq } = to;
  await printAll(
    context.io,
    (function* () {
      for (const change of changesOf(branch.machine, log.read(branch.id, 1, seq), field)) {
        const { seq: at, cause, ...rest } = change;
        if (!context.json) yield* changeLines(change, shown);
        else
          yield JSON.stringify({
            position: shown.position(at),
            cause: cause === 0 ? null : shown.position(cause),
            field,
            ...rest,
          });
      }
    })(),
  );
  return exitCodes.clean;
}

async function at(
  context: VerbContext,
  opened: Opened,
  to: Position,
  names: readonly string[],
): Promise<ExitCode> {
  const rows = ledgerAt(context, opened, to);
  if (rows === undefined) return exitCodes.cannotJudge;
  const shown = shownAt(context, to);
  const wanted = names.length === 0 ? rows : rows.filter(({ field }) => names.includes(field));
  await printAll(
    context.io,
    wanted.flatMap((row) => {
      if (context.json)
        return [JSON.stringify(rowJson({ row, judged: judge(row), findings: [] }, shown.position))];
      return names.length === 0 ? [rowLine(row, shown)] : [rowLine(row, shown), ...cellLines(row, shown)];
    }),
  );
  return exitCodes.clean;
}

async function diff(context: VerbContext, opened: Opened, a: Position, b: Position): Promise<ExitCode> {
  const rowsOf = (to: Position): ReadonlyMap<string, LedgerRow> =>
    new Map((ledgerAt(context, opened, to) ?? []).map((row) => [keyOf(row), row]));
  const [before, after] = [rowsOf(a), rowsOf(b)];
  const differences = [...new Set([...before.keys(), ...after.keys()])].flatMap((key): CapsDifference[] => {
    const [from, to] = [before.get(key), after.get(key)];
    const row = to ?? from;
    if (row === undefined) return [];
    return cellChanges(from, to).map((change) => {
      const shown = shownAt(context, change.to === undefined ? a : b);
      return { row, change, position: shown.position((change.to ?? change.from)?.seq ?? 0) };
    });
  });
  const { io, json } = context;
  await printAll(
    io,
    differences.map((each) => (json ? JSON.stringify(differenceJson(each)) : differenceLine(each, io.width))),
  );
  return differences.length > 0 ? exitCodes.found : exitCodes.clean;
}
