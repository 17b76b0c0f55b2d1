/** What `run` prints of its lines: as JSON with stable fields, or in words. */
import { clip, wrap } from './io.ts';
import type { RanLine, RunSummary } from './scenario-run.ts';

/** `{line, op, position, outcome}`, and `failed` when something was not as expected. */
export function resultJson(
  { line, op, outcome, failed }: RanLine,
  position: string,
): Record<string, unknown> {
  return { line: line ?? null, op, position, outcome, ...(failed.length === 0 ? {} : { failed }) };
}

/** `main@34  line 13 dma  result=ok pa=0x40100000`. */
export function resultLine(
  { line, op, outcome }: RanLine,
  position: string,
  width: number | undefined,
): string {
  const fields = Object.entries(outcome).map(([name, value]) => `${name}=${shown(value)}`);
  return clip(
    `${position}  ${line === undefined ? '' : `line ${line} `}${op}  ${fields.join(' ')}`.trimEnd(),
    width,
  );
}

/** Each field that was not as expected, with the place of its line. */
export function failureLines(
  { line, op, failed }: RanLine,
  position: string,
  file: string,
  width: number | undefined,
): string[] {
  return failed.flatMap(({ field, expected, actual }) =>
    wrap(
      position,
      `${file}:${line ?? '-'}: ${op}`,
      `failed: ${field}: expected ${shown(expected)}, found ${shown(actual)}`,
      width,
    ),
  );
}

/** The summary in words, beginning with the head. */
export function summaryLines(
  file: string,
  lines: number,
  summary: RunSummary,
  width: number | undefined,
): string[] {
  const { entries, turns, findings, checksFailed, head } = summary;
  const counts = [
    counted(lines, 'line'),
    `${entries} entries`,
    counted(turns, 'turn'),
    counted(findings, 'finding'),
    `${counted(checksFailed, 'failed check')}`,
  ];
  return wrap(head, file, counts.join(', '), width);
}

/** `1 line`, `2 lines`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
