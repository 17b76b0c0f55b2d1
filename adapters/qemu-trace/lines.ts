/**
 * The lines of a trace, parsed and counted. What is not understood is never fatal: it is counted, and
 * the first few of it are kept to be shown.
 */
import { InputError } from '../input-error.ts';
import type { TraceLine } from './events.ts';
import { isUnread, parseLine } from './parse.ts';
import { readText, type SourceEnd } from './source.ts';

/** A line that could not be used, for people. */
export interface Problem {
  readonly line: number;
  readonly text: string;
  readonly why: string;
}

export interface LineCounts {
  lines: number;
  /** Of a name and a form that the table knows. */
  read: number;
  blank: number;
  /** Of another name. */
  unknown: number;
  /** Of a known name, in another form. */
  broken: number;
  readonly problems: Problem[];
}

/** Problems that are kept of each sort. */
const PROBLEMS_MAX = 5;
const SHOWN_MAX = 120;

/** The counts before the first line. */
export function noLines(): LineCounts {
  return { lines: 0, read: 0, blank: 0, unknown: 0, broken: 0, problems: [] };
}

/** Passes every understood line of one block of text to `take`. */
export function eachLine(text: string, counts: LineCounts, take: (line: TraceLine) => void): void {
  let from = 0;
  while (from < text.length) {
    const newline = text.indexOf('\n', from);
    const end = newline < 0 ? text.length : newline;
    counts.lines += 1;
    const parsed = parseLine(text, from, end, counts.lines);
    if (isUnread(parsed)) {
      counts[parsed.unread] += 1;
      if (parsed.unread !== 'blank' && counts[parsed.unread] <= PROBLEMS_MAX) {
        counts.problems.push({ line: counts.lines, text: printable(text.slice(from, end)), why: parsed.why });
      }
    } else {
      counts.read += 1;
      take(parsed);
    }
    from = end + 1;
  }
}

/** A whole file, for those who need no pauses. Throws InputError when not one line is understood. */
export async function eachLineOf(
  file: string,
  take: (line: TraceLine) => void,
  onBlock?: (counts: LineCounts, bytes: number) => void,
): Promise<{ readonly counts: LineCounts; readonly end: SourceEnd }> {
  const counts = noLines();
  const end: SourceEnd = {};
  for await (const { text, bytes } of readText(file, end)) {
    eachLine(text, counts, take);
    onBlock?.(counts, bytes);
  }
  if (counts.read === 0) throw new InputError(nothingRead(counts, end), { file });
  return { counts, end };
}

function nothingRead(counts: LineCounts, end: SourceEnd): string {
  if (end.damage !== undefined) return `not a trace: ${end.damage}, and nothing before that is understood`;
  const first = counts.problems[0];
  if (first === undefined) return 'not a trace: no lines';
  return `not a trace: none of ${counts.lines} lines is understood; line ${first.line}: ${first.text}`;
}

/** A line fit for a terminal: cut, control characters shown as dots. */
function printable(text: string): string {
  const cut = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text;
  return cut.replace(/[^\x20-\x7e]/g, '.');
}
