/**
 * What a verb may touch of the outside: lines out, lines in, and whether somebody still listens.
 * `main.ts` makes one of the process; tests make their own.
 */
import type { Readable } from 'node:stream';

export interface Io {
  readonly stdin: Readable;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** One line on standard output. */
  out(line: string): void;
  /** One line on standard error. */
  err(line: string): void;
  /** What was put out has left this program; wait here now and then while much is printed. */
  drain(): Promise<void>;
  /** Nobody reads standard output any more. */
  readonly outClosed: boolean;
  /** Ctrl-C was pressed: finish what was begun, and stop. */
  readonly interrupted: boolean;
  /** Columns of a line of text; undefined: as long as it is. */
  readonly width: number | undefined;
  /** Standard error is a terminal that can show progress. */
  readonly showsProgress: boolean;
}

// biome-ignore format: a table
export const exitCodes = {
  clean:         0,
  /** Findings, a failed check, or a difference. */
  found:         1,
  badInput:      2,
  cannotJudge:   125,
  /** Stopped by Ctrl-C, as shells say it. */
  interrupted:   130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Lines between two looks at whether anybody listens. */
const DRAIN_EVERY = 512;

/** Prints lines until they end or nobody listens. Returns how many were printed. */
export async function printAll(io: Io, lines: Iterable<string>): Promise<number> {
  let printed = 0;
  for (const line of lines) {
    if (io.outClosed || io.interrupted) break;
    io.out(line);
    printed += 1;
    if (printed % DRAIN_EVERY === 0) await io.drain();
  }
  return printed;
}

const CUT = '...';

/** The line in one piece, cut to the width. */
export function clip(line: string, width: number | undefined): string {
  if (width === undefined || line.length <= width) return line;
  return `${line.slice(0, Math.max(0, width - CUT.length))}${CUT}`;
}

/**
 * `head` and then `text`, in as many lines as it takes; each begins with `position`, so that any of
 * them can be given to the next command.
 */
export function wrap(position: string, head: string, text: string, width: number | undefined): string[] {
  const first = `${position}  ${head}${head === '' ? '' : '  '}`;
  if (width === undefined || first.length + text.length <= width) return [`${first}${text}`.trimEnd()];
  const lines: string[] = [];
  const indent = `${position}    `;
  let line = first;
  for (const word of text.split(' ')) {
    if (line.length > indent.length && line.length + word.length > width && line !== first.trimEnd()) {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()];
}
