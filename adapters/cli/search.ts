/** `search`: entries by what they are about, from the indexes, in either direction. */
import type { Entry } from '../../core/event.ts';
import { keyTest } from '../../core/history/touch.ts';
import type { Rule } from '../../projections/rules.ts';
import { InputError } from '../input-error.ts';
import { entryJson } from './entry-text.ts';
import { exitCodes } from './io.ts';
import { entryLine } from './log.ts';
import { type Opened, withStore } from './open.ts';
import { type Range, showPosition } from './position.ts';
import { startProgress } from './progress.ts';
import { neverTogether, type Term, termRows } from './search-terms.ts';
import { gather, listOption, type Options, textOption, type Verb, type VerbContext } from './verb.ts';

/** Entries searched before somebody may stop it. */
const WINDOW = 131_072;

export const verb: Verb = {
  define(command) {
    command.argument('[range]', 'positions A..B, or one position for all up to it');
    for (const { option, value, says } of termRows)
      command.option(
        `--${option} <${value}>`,
        option === 'field' ? `${says}; may be given again` : says,
        gather,
      );
    command
      .option('--back', 'newest first')
      .option('-n, --lines <count>', 'so many at most, from the side where it begins');
  },
  run(context, [text], options) {
    return withStore(context, async (opened) => {
      const range = opened.range(text);
      const { broken, rest } = await brokenRules(options);
      const terms = termsOf(rest, range, broken.length > 0);
      const asked = { range, terms, count: countOf(options), newest: options['back'] === true };
      const found =
        broken.length > 0
          ? await searchFindings(context, opened, asked, broken)
          : neverTogether(terms)
            ? 0
            : await search(context, opened, asked);
      if (found === 0 && !context.json) context.io.out(`${showPosition(range.to)}  nothing matches`);
      return context.io.interrupted ? exitCodes.interrupted : exitCodes.clean;
    });
  },
};

function termsOf(options: Options, { to }: Range, enough: boolean): readonly Term[] {
  const terms = termRows.flatMap((row) =>
    listOption(options, row.option).map((text) => row.term(text, to.branch.machine)),
  );
  if (terms.length > 0 || enough) return terms;
  const names = termRows.map(({ option }) => `--${option}`).join(', ');
  throw new InputError(`search: expected at least one of ${names}`);
}

function countOf(options: Options): number {
  const text = textOption(options, 'lines');
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (!/^\d+$/.test(text)) throw new InputError(`-n: expected a count, found "${text}"`);
  return Number(text);
}

interface Asked {
  readonly range: Range;
  readonly terms: readonly Term[];
  readonly count: number;
  readonly newest: boolean;
}

/** Rules among the names given to `--rule`; the others are misuses, which the index knows. */
async function brokenRules(
  options: Options,
): Promise<{ readonly broken: readonly Rule[]; readonly rest: Options }> {
  const names = listOption(options, 'rule');
  if (names.length === 0) return { broken: [], rest: options };
  const { rulesNamed } = await import('../../projections/rules.ts');
  const misuses = names.filter((name) => rulesNamed(name).length === 0);
  return { broken: names.flatMap(rulesNamed), rest: { ...options, rule: misuses } };
}

/** Entries where rules were broken: the rules see all of the history, and the other conditions are tested. */
async function searchFindings(
  context: VerbContext,
  { session: { log } }: Opened,
  { range, terms, count, newest }: Asked,
  broken: readonly Rule[],
): Promise<number> {
  const { branch, seq } = range.to;
  const { checkHistory, seqOf } = await import('../../projections/check.ts');
  const all = checkHistory(log.read(branch.id, 1, seq), branch.machine, branch.name, broken);
  const seqs = [...new Set(all.map(seqOf))].filter((each) => each > range.from.seq);
  const tests = terms.map(({ keys, test }) => ({ any: keys.map(keyTest), test }));
  let found = 0;
  for (const each of newest ? seqs.reverse() : seqs) {
    const [entry] = log.read(branch.id, each, each);
    if (entry === undefined || found >= count) break;
    if (!tests.every(({ any, test }) => any.some((is) => is(entry)) && test?.(entry) !== false)) continue;
    print(context, range, entry);
    found += 1;
  }
  return found;
}

function print({ io, json }: VerbContext, { to }: Range, entry: Entry): void {
  io.out(json ? JSON.stringify(entryJson(entry, to.branch.name)) : entryLine(entry, to, io.width));
}

/** Prints what matches as it is found, a window of the range at a time. */
async function search(
  context: VerbContext,
  { session }: Opened,
  { range, terms, count, newest }: Asked,
): Promise<number> {
  const { io } = context;
  const { from, to } = range;
  const order = newest ? 'newest' : 'oldest';
  const groups = terms.map(({ keys }) => keys);
  const wanted = (entry: Entry): boolean => terms.every(({ test }) => test?.(entry) !== false);
  const progress = startProgress(io, 'search', to.seq - from.seq);
  let found = 0;
  for (const window of windows(from.seq, to.seq, order)) {
    if (found >= count || io.interrupted || io.outClosed) break;
    for (const entry of session.index.matching(to.branch.id, groups, window, order)) {
      if (found >= count) break;
      if (!wanted(entry)) continue;
      print(context, range, entry);
      found += 1;
    }
    await io.drain();
    progress.at(order === 'oldest' ? window.to - from.seq : to.seq - window.from);
  }
  progress.stop();
  return found;
}

function* windows(
  from: number,
  to: number,
  order: 'oldest' | 'newest',
): Generator<{ readonly from: number; readonly to: number }> {
  for (let done = 0; done < to - from; done += WINDOW) {
    if (order === 'oldest') yield { from: from + done, to: Math.min(to, from + done + WINDOW) };
    else yield { from: Math.max(from, to - done - WINDOW), to: to - done };
  }
}
