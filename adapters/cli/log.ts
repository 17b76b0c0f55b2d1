/** `log`: entries, one a line. */

import { Option } from 'commander';
import type { Entry } from '../../core/event.ts';
import { touchKey } from '../../core/history/touch.ts';
import { resolveAt, touchingBack } from '../changes.ts';
import { InputError } from '../input-error.ts';
import { entryJson, entryText } from './entry-text.ts';
import { clip, exitCodes, printAll } from './io.ts';
import { type Opened, withStore } from './open.ts';
import { type Position, type Range, showPosition } from './position.ts';
import { typesOf } from './search-terms.ts';
import { type Options, textOption, type Verb, type VerbContext } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('[range]', 'positions A..B, or one position for all up to it')
      .option('--actor <name>', 'only what this actor did')
      .option('--type <types>', 'only these types, with commas; tlb.* for all that begin so')
      .option(
        '--touching <path>',
        'only entries that touched a path, or sid:8, asid:7, iova:0x1000, command:CMD_SYNC',
      )
      .option('--from <position>', 'from this position on')
      .option('--to <position>', 'up to this position')
      .addOption(new Option('-n, --lines <count>', 'the last so many; with --from the first so many'));
  },
  async run(context, [text], options) {
    const count = countOf(options);
    const named = textOption(options, 'type');
    const types = named === undefined ? undefined : typesOf('--type', named);
    await withStore(context, async (opened) => {
      const range = rangeOf(opened, text, options);
      const actor = textOption(options, 'actor');
      const wanted = (entry: Entry): boolean =>
        (actor === undefined || entry.actor === actor) && (types === undefined || types.includes(entry.type));
      const first = textOption(options, 'from') !== undefined;
      const touching = textOption(options, 'touching');
      const entries =
        touching === undefined
          ? scanned(opened, range, wanted, count, first)
          : touched(opened, range, touching, wanted, count, first);
      await printAll(context.io, linesOf(context, range.to, entries));
    });
    return exitCodes.clean;
  },
};

/** An entry as a line of the log. */
export function entryLine(entry: Entry, at: Pick<Position, 'branch'>, width: number | undefined): string {
  const position = showPosition({ branch: at.branch, seq: entry.seq });
  return clip(
    `${position.padEnd(at.branch.name.length + 6)} ${entry.actor.padEnd(9)} ${entry.type.padEnd(17)} ${entryText(entry)}`,
    width,
  );
}

function* linesOf({ io, json }: VerbContext, at: Position, entries: Iterable<Entry>): Generator<string> {
  for (const entry of entries) {
    yield json ? JSON.stringify(entryJson(entry, at.branch.name)) : entryLine(entry, at, io.width);
  }
}

function rangeOf(opened: Opened, text: string | undefined, options: Options): Range {
  const whole = opened.range(text);
  const from = textOption(options, 'from');
  const to = textOption(options, 'to');
  const end =
    to === undefined
      ? from === undefined || text !== undefined
        ? whole.to
        : headOf(opened, from)
      : opened.position(to);
  // A position names the moment after its entry; `--from` is meant with its entry.
  const start = from === undefined ? whole.from.seq : opened.position(from).seq - 1;
  return { from: { branch: end.branch, seq: Math.max(0, start) }, to: end, symmetric: whole.symmetric };
}

function headOf(opened: Opened, from: string): Position {
  const { branch } = opened.position(from);
  return { branch, seq: opened.session.log.head(branch.id) };
}

/** Entries of the range in order; `count` of them from its start or its end. */
function* scanned(
  { session }: Opened,
  { from, to }: Range,
  wanted: (entry: Entry) => boolean,
  count: number,
  first: boolean,
): Generator<Entry> {
  const { log } = session;
  if (count === Number.POSITIVE_INFINITY || first) {
    yield* taken(filtered(log.read(to.branch.id, from.seq + 1, to.seq), wanted), count);
  } else {
    yield* [...taken(filtered(log.readBack(to.branch.id, from.seq + 1, to.seq), wanted), count)].reverse();
  }
}

/** The same for entries that touched a path, found by the index. */
function touched(
  opened: Opened,
  { from, to }: Range,
  path: string,
  wanted: (entry: Entry) => boolean,
  count: number,
  first: boolean,
): readonly Entry[] {
  const back = /^[a-z]+:/.test(path) ? keyed(opened, path, from, to) : touchingPath(opened, path, from, to);
  const all = filtered(back, wanted);
  const list = [...taken(all, first ? Number.POSITIVE_INFINITY : count)].reverse();
  return first ? list.slice(0, count) : list;
}

function touchingPath({ session }: Opened, path: string, from: Position, to: Position): Iterable<Entry> {
  const { touchKeys, spans } = resolveAt(session.seek(to.branch, to.seq), path);
  // Whoever asks what touched memory means reads, too: those are found by page.
  // Whoever asks what touched a register means its reads, too.
  const keys = touchKeys.map((key) => key.replace(/^changed:([^/]*).*$/, 'register:$1'));
  const pages = spans.flatMap(({ pa, size }) => [touchKey('page', pa), touchKey('page', pa + size - 1)]);
  return touchingBack(session, to.branch, [...new Set([...keys, ...pages])], spans, from.seq, to.seq);
}

/** Entries under a key of the index itself, as in `asid:0x7`. */
function* keyed({ session }: Opened, text: string, from: Position, to: Position): Generator<Entry> {
  const [index = '', value = ''] = [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)];
  if (!KEYS.includes(index))
    throw new InputError(
      `--touching: expected a path or one of ${KEYS.map((key) => `${key}:`).join(', ')}, found "${text}"`,
    );
  const number = /^(0[xX][0-9a-fA-F]+|\d+)$/.test(value) ? BigInt(value) : undefined;
  const shifted = index === 'page' || index === 'iova' ? number && number >> 12n : number;
  const key = number === undefined ? text : `${index}:0x${(shifted ?? 0n).toString(16)}`;
  yield* session.index.matching(to.branch.id, [[key]], { from: from.seq, to: to.seq }, 'newest');
}

const KEYS: readonly string[] = [
  'page',
  'iova',
  'sid',
  'asid',
  'vmid',
  'register',
  'command',
  'endpoint',
  'path',
  'type',
  'actor',
  'cache',
  'record',
  'errno',
  'object',
  'rule',
];

function* filtered(entries: Iterable<Entry>, wanted: (entry: Entry) => boolean): Generator<Entry> {
  for (const entry of entries) if (wanted(entry)) yield entry;
}

function* taken(entries: Iterable<Entry>, count: number): Generator<Entry> {
  let left = count;
  if (left <= 0) return;
  for (const entry of entries) {
    yield entry;
    left -= 1;
    if (left <= 0) return;
  }
}

function countOf(options: Options): number {
  const text = textOption(options, 'lines');
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (!/^\d+$/.test(text)) throw new InputError(`-n: expected a count, found "${text}"`);
  return Number(text);
}
