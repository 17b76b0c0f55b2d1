/** `search`: entries by what they are about, from the indexes, in either direction. */
import type { Entry } from '../../core/event.ts';
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
      const terms = termsOf(options, range);
      const count = countOf(options);
      const found = neverTogether(terms) ? 0 : await search(context, opened, range, terms, count, options);
      if (found === 0 && !context.json) context.io.out(`${showPosition(range.to)}  nothing matches`);
      return context.io.interrupted ? exitCodes.interrupted : exitCodes.clean;
    });
  },
};

function termsOf(options: Options, { to }: Range): readonly Term[] {
  const terms = termRows.flatMap((row) =>
    listOption(options, row.option).map((text) => row.term(text, to.branch.machine)),
  );
  if (terms.length > 0) return terms;
  const names = termRows.map(({ option }) => `--${option}`).join(', ');
  throw new InputError(`search: expected at least one of ${names}`);
}

function countOf(options: Options): number {
  const text = textOption(options, 'lines');
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (!/^\d+$/.test(text)) throw new InputError(`-n: expected a count, found "${text}"`);
  return Number(text);
}

/** Prints what matches as it is found, a window of the range at a time. */
async function search(
  { io, json }: VerbContext,
  { session }: Opened,
  { from, to }: Range,
  terms: readonly Term[],
  count: number,
  options: Options,
): Promise<number> {
  const order = options['back'] === true ? 'newest' : 'oldest';
  const groups = terms.map(({ keys }) => keys);
  const wanted = (entry: Entry): boolean => terms.every(({ test }) => test?.(entry) !== false);
  const progress = startProgress(io, 'search', to.seq - from.seq);
  let found = 0;
  for (const window of windows(from.seq, to.seq, order)) {
    if (found >= count || io.interrupted || io.outClosed) break;
    for (const entry of session.index.matching(to.branch.id, groups, window, order)) {
      if (found >= count) break;
      if (!wanted(entry)) continue;
      io.out(json ? JSON.stringify(entryJson(entry, to.branch.name)) : entryLine(entry, to, io.width));
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
