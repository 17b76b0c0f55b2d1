/**
 * Every entry of every story can be explained: the tree has positions that are there, none after the entry but
 * where something followed from it, it ends, and its lines keep to 80 columns.
 */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openEvidence } from '../../adapters/cli/why/evidence.ts';
import { rows } from '../../adapters/cli/why/rows.ts';
import { treeLines } from '../../adapters/cli/why/text.ts';
import { type Told, unfold } from '../../adapters/cli/why/tree.ts';
import { sessionOf } from '../support/memory-session.ts';
import { runScenario } from '../support/run-scenario.ts';

const folder = fileURLToPath(new URL('../scenario/', import.meta.url));
const stories = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
/** Of long stories every so many entries are asked: an index in memory looks at all of them. */
const ASKED_MAX = 60;

function seqsOf({ seq, below }: Told): number[] {
  return [seq, ...below.flatMap(seqsOf)];
}

describe('why', () => {
  it.each(stories)('explains the entries of %s', (name) => {
    const { machine, entries } = runScenario(name);
    const { session, branch } = sessionOf(machine, entries);
    const evidence = openEvidence(session, branch, entries.length, rows);
    const step = Math.max(1, Math.floor(entries.length / ASKED_MAX));
    let told = 0;
    for (let seq = 1 + (name.length % step); seq <= entries.length; seq += step) {
      const [root] = evidence.because('', seq);
      if (root === undefined) throw new Error(`${seq} is an entry`);
      const tree = unfold(root, { depth: 3, breadth: 6 });
      for (const each of seqsOf(tree)) expect(each >= 0 && each <= entries.length).toBe(true);
      const lines = treeLines(tree, branch, 80);
      for (const line of lines) expect(line).toMatch(/^main@\d+ {2,}\S/);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
      told += lines.length;
    }
    expect(told).toBeGreaterThan(entries.length / step);
  });
});
