/** A shrunk scenario as a file: what it shows, how to see it, and a word above the lines that matter. */
import { seqOf } from '../../projections/check.ts';
import { summaryOf } from '../../projections/summary.ts';
import type { Shown } from './trial.ts';

export interface About {
  /** What was shrunk, for people. */
  readonly source: string;
  /** Lines it had. */
  readonly from: number;
  /** It was stopped before nothing more could go. */
  readonly stopped: boolean;
}

/** The lines of the file. */
export function fileLines(
  { lines, ends, finding }: Shown,
  { source, from, stopped }: About,
): readonly string[] {
  const words = new Map<number, string>();
  const say = (seq: number, text: string): void => {
    const at = ends.findIndex((end) => end >= seq);
    if (at > 0 && !words.has(at)) words.set(at, text);
  };
  say(
    seqOf(finding),
    finding.access === undefined ? 'Here the rule is broken.' : 'What should be gone is used.',
  );
  say(seqOf(finding.blame), 'This is to blame.');
  if (finding.entry !== undefined)
    say(seqOf({ position: finding.entry.filled }), 'Here the entry is filled that is used below.');
  return [
    `// ${lines.length} lines of ${from}, shrunk from ${source}${stopped ? '; stopped before the end' : ''}.`,
    `// SUMMARY: ${summaryOf(finding)}`,
    '// backwalk run THIS_FILE -s shrunk.bw; backwalk check -s shrunk.bw',
    ...lines.flatMap((line, at) => {
      const word = words.get(at);
      return [...(word === undefined ? [] : [`// ${word}`]), JSON.stringify(line)];
    }),
  ];
}
