/** `check`: rules over a history; findings with their explanation. */

import type { Branch, LogStore } from '../../core/history/store.ts';
import { meant } from '../../core/path/near.ts';
import { checkHistory, seqOf } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { report } from '../../projections/report.ts';
import { type Rule, rules, rulesNamed } from '../../projections/rules.ts';
import { summaryOf } from '../../projections/summary.ts';
import { tellMore } from '../../projections/told.ts';
import { checkAndKeep } from '../caps-links.ts';
import { readBaseline, writeBaseline } from '../findings/baseline.ts';
import { readSuppressions, type Suppression, suppress } from '../findings/suppressions.ts';
import { InputError } from '../input-error.ts';
import { withFixes } from './check-fix.ts';
import { exitCodes, printAll, wrap } from './io.ts';
import { withStore } from './open.ts';
import { showPosition } from './position.ts';
import { counted } from './run-text.ts';
import { type Options, textOption, type Verb, type VerbContext } from './verb.ts';

/** Findings that are told in full unless asked otherwise: one cause often has many. */
const EXPLAINED = 3;

export const verb: Verb = {
  define(command) {
    command
      .argument('[range]', 'findings at positions A..B, or up to one position; all of the current branch')
      .option('--rule <names>', 'only these rules: I3, or coverage, or several as in I3,I9; see help rules')
      .option('--explain', `the report of every finding; without it of the first ${EXPLAINED}`)
      .option('--brief', 'no reports: each finding in a line or two')
      .option('--fix', 'try repairs of each bug that is told, in memory, and say which make the run clean')
      .option('--suppress <file>', 'leave out findings by rule and place: {"rule", "place", "reason"} a line')
      .option('--baseline <file>', 'fail only on findings that this file does not know')
      .option('--write-baseline <file>', 'write such a file of all that is found; then nothing fails');
  },
  run(context, [text], options) {
    // A bad file is told before a long check begins.
    const filters = filtersOf(options);
    return withStore(context, async ({ session, range }) => {
      const { log } = session;
      const { from, to } = range(text);
      const wanted = wantedRules(textOption(options, 'rule'));
      const { id, machine, name } = to.branch;
      if (log.head(id) === 0) {
        context.io.err(`backwalk: ${name} holds no entry: there is nothing to judge`);
        return exitCodes.cannotJudge;
      }
      const read = (first: number, last: number) => log.read(id, first, last);
      // What a finding rests on may lie before the range: the rules see all of the history.
      // Judged anew each time, by the rules as they are; what other questions need of it is kept.
      const judged =
        wanted === rules ? checkAndKeep(session, to) : checkHistory(read(1, to.seq), machine, name, wanted);
      const all = judged.filter((each) => seqOf(each) > from.seq);
      const { fresh, words } = filtered(filters, all);
      const made = howMade(log, to.branch);
      const found = fresh.map((each) => ({
        ...each,
        next: [...each.next, `backwalk shrink ${each.position}`],
        reproduce: [...made, each.reproduce].join(' && '),
      }));
      const explained =
        options['brief'] === true ? 0 : options['explain'] === true ? found.length : EXPLAINED;
      const told = context.json ? found.length : explained;
      const plain = tellMore(found.slice(0, told), read, Boolean(machine.kernel));
      const more = options['fix'] === true ? await withFixes(context.io, session, to.branch, plain) : plain;
      await printAll(context.io, linesOf(context, [...more, ...found.slice(told)], explained));
      if (context.io.interrupted) return exitCodes.interrupted;
      const position = showPosition(to);
      for (const each of words) context.io.err(`backwalk: ${each}`);
      if (!context.json) context.io.out(`${position}  ${counted(found.length, 'finding')}`);
      const bad = filters.baseline === undefined && found.some(({ verdict }) => verdict !== 'excess');
      return bad ? exitCodes.found : exitCodes.clean;
    });
  },
};

interface Filters {
  readonly suppressions: readonly Suppression[];
  readonly file: string;
  readonly known: ReadonlySet<string>;
  readonly baseline: string | undefined;
}

function filtersOf(options: Options): Filters {
  const [file, known] = [textOption(options, 'suppress'), textOption(options, 'baseline')];
  return {
    suppressions: file === undefined ? [] : readSuppressions(file),
    file: file ?? '',
    known: known === undefined ? new Set() : readBaseline(known),
    baseline: textOption(options, 'writeBaseline'),
  };
}

/** What is left to tell, and what is to be said of the rest. */
function filtered(
  { suppressions, file, known, baseline }: Filters,
  all: readonly Finding[],
): { readonly fresh: readonly Finding[]; readonly words: readonly string[] } {
  const { kept, used, unused } = suppress(all, suppressions);
  const fresh = kept.filter((each) => !known.has(summaryOf(each)));
  const words = [...used].map(
    ([{ line, reason }, times]) => `${file}:${line}: ${counted(times, 'finding')} suppressed: ${reason}`,
  );
  words.push(
    ...unused.map(
      ({ line, rule, place }) => `${file}:${line}: nothing found to suppress: ${rule} at ${place}`,
    ),
  );
  if (known.size > 0) words.push(`${counted(kept.length - fresh.length, 'finding')} known to the baseline`);
  if (baseline !== undefined)
    words.push(`${baseline}: ${counted(writeBaseline(baseline, kept), 'known bug')} written`);
  return { fresh, words };
}

/** The command that made a root history; a fork was made of others, and a pipe is gone. */
function howMade(log: LogStore, branch: Branch): readonly string[] {
  if (branch.parent !== undefined) return [];
  const [first] = log.read(branch.id, 1, 1);
  if (branch.source === '<stdin>') return [];
  const imported = first?.type === 'note' && first.kind === 'import';
  return [`backwalk ${imported ? 'import qemu-trace' : 'run'} ${branch.source}`];
}

function wantedRules(text: string | undefined): readonly Rule[] {
  if (text === undefined) return rules;
  return text.split(',').flatMap((name) => {
    const found = rulesNamed(name);
    const known = rules.flatMap((rule) => [rule.id, rule.name]);
    if (found.length === 0)
      throw new InputError(
        `--rule: expected one of ${known.join(', ')}, found "${name}"${meant(name, known)}`,
      );
    return found;
  });
}

function linesOf({ io, json }: VerbContext, found: readonly Finding[], explained: number): string[] {
  return found.flatMap((each, at) => {
    if (json) return [JSON.stringify(each)];
    if (at < explained) return report(each).trimEnd().split('\n');
    const text = `${each.title}; blame ${each.blame.position} ${each.blame.what}`;
    return wrap(each.position, `${each.rule} ${each.verdict}`, text, io.width);
  });
}
