/** `check`: rules over a history; findings with their explanation. */

import type { Branch, LogStore } from '../../core/history/store.ts';
import { meant } from '../../core/path/near.ts';
import { checkHistory, seqOf } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { report } from '../../projections/report.ts';
import { type Rule, rules, rulesNamed } from '../../projections/rules.ts';
import { InputError } from '../input-error.ts';
import { type ExitCode, exitCodes, printAll, wrap } from './io.ts';
import { withStore } from './open.ts';
import { showPosition } from './position.ts';
import { counted } from './run-text.ts';
import { textOption, type Verb, type VerbContext } from './verb.ts';

/** Findings that are told in full unless asked otherwise: one cause often has many. */
const EXPLAINED = 3;

export const verb: Verb = {
  define(command) {
    command
      .argument('[range]', 'findings at positions A..B, or up to one position; all of the current branch')
      .option('--rule <names>', 'only these rules: I3, or coverage, or several as in I3,I9; see help rules')
      .option('--explain', `the report of every finding; without it of the first ${EXPLAINED}`)
      .option('--brief', 'no reports: each finding in a line or two');
  },
  run(context, [text], options) {
    return withStore(context, async ({ session: { log }, range }) => {
      const { from, to } = range(text);
      const wanted = wantedRules(textOption(options, 'rule'));
      // What a finding rests on may lie before the range: the rules see all of the history.
      const { id, machine, name } = to.branch;
      const all = checkHistory(log.read(id, 1, to.seq), machine, name, wanted);
      const made = howMade(log, to.branch);
      const found = all
        .filter((each) => seqOf(each) > from.seq)
        .map((each) => ({ ...each, reproduce: [...made, each.reproduce].join(' && ') }));
      const explained =
        options['brief'] === true ? 0 : options['explain'] === true ? found.length : EXPLAINED;
      await printAll(context.io, linesOf(context, found, explained));
      const worst: ExitCode = found.some(({ verdict }) => verdict !== 'excess')
        ? exitCodes.found
        : exitCodes.clean;
      if (!context.json) context.io.out(`${showPosition(to)}  ${counted(found.length, 'finding')}`);
      return worst;
    });
  },
};

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
