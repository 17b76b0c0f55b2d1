/** `check`: rules over a history; findings with their explanation. */

import { checkHistory } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { report } from '../../projections/report.ts';
import { type ExitCode, exitCodes, printAll, wrap } from './io.ts';
import { withStore } from './open.ts';
import { showPosition } from './position.ts';
import { counted } from './run-text.ts';
import { textOption, type Verb, type VerbContext } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('[range]', 'findings at positions A..B, or up to one position; all of the current branch')
      .option('--rule <name>', 'only this rule, as in I3')
      .option('--explain', 'the whole report of each finding');
  },
  run(context, [text], options) {
    return withStore(context, async ({ session: { log }, range }) => {
      const { from, to } = range(text);
      const rule = textOption(options, 'rule');
      // What a finding rests on may lie before the range: the rules see all of the history.
      const all = checkHistory(log.read(to.branch.id, 1, to.seq), to.branch.machine, to.branch.name);
      const found = all.filter(
        (each) => seqOf(each) > from.seq && (rule === undefined || each.rule === rule),
      );
      await printAll(context.io, linesOf(context, found, options['explain'] === true));
      const worst: ExitCode = found.some(({ verdict }) => verdict !== 'excess')
        ? exitCodes.found
        : exitCodes.clean;
      if (!context.json) context.io.out(`${showPosition(to)}  ${counted(found.length, 'finding')}`);
      return worst;
    });
  },
};

function seqOf({ position }: Finding): number {
  return Number(position.slice(position.lastIndexOf('@') + 1));
}

function linesOf({ io, json }: VerbContext, found: readonly Finding[], explain: boolean): string[] {
  return found.flatMap((each) => {
    if (json) return [JSON.stringify(each)];
    if (explain) return report(each).trimEnd().split('\n');
    return wrap(
      each.position,
      `${each.rule} ${each.verdict}`,
      `${each.title}; blame ${each.blame.position} ${each.blame.what}`,
      io.width,
    );
  });
}
