/**
 * Measures what the rules find and whom they blame: `npm run mutants -- [--runs N] [--seed S]`. Each seed is the
 * story of a correct driver with one mistake (`mutants.ts`); seeds go up from S. A seed that shows a miss, a false
 * alarm or a wrong blame prints the line that runs it again. Exit 1 on a miss, on a false alarm, or when
 * less than 95 of 100 findings blame the step with the mistake.
 */
import { parseArgs } from 'node:util';
import { type MutationKind, mutationKinds } from '../support/mutations.ts';
import { type Measured, measure, mutantOf } from './mutants.ts';

const BLAME_MIN = 0.95;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
  },
});

const counts = { differ: 0, excused: 0, named: 0, findings: 0, inStep: 0, falseAlarms: 0, extra: 0 };
const byKind = new Map<MutationKind, { runs: number; differ: number; found: number }>(
  mutationKinds.map((kind) => [kind, { runs: 0, differ: 0, found: 0 }]),
);

function tell(seed: number, what: string, which: readonly (number | string)[]): void {
  if (which.length === 0) return;
  process.stdout.write(`seed ${seed}: ${what}: ${which.slice(0, 3).join('; ')}\n`);
  process.stdout.write(`again: npm run mutants -- --runs 1 --seed ${seed}\n`);
}

function add(seed: number, measured: Measured): void {
  const { mutant, differ, excused, missed, extra, findings, astray, falseAlarms } = measured;
  counts.differ += differ.length > 0 ? 1 : 0;
  counts.excused += differ.length === 0 && excused.length > 0 ? 1 : 0;
  counts.named += differ.length > 0 && missed.length === 0 ? 1 : 0;
  counts.findings += findings;
  counts.inStep += findings - astray.length;
  counts.falseAlarms += falseAlarms.length;
  counts.extra += extra.length;
  const row = byKind.get(mutant.mutation.kind);
  if (row !== undefined) {
    row.runs += 1;
    row.differ += differ.length > 0 ? 1 : 0;
    row.found += findings > 0 ? 1 : 0;
  }
  tell(seed, 'missed, accesses at', missed);
  tell(seed, 'named, and the twin answers the same', extra);
  tell(seed, 'found without the mistake', falseAlarms);
  tell(seed, `blamed besides the ${mutant.mutation.kind} one`, astray);
}

const first = Number(values.seed);
const runs = Number(values.runs);
const started = performance.now();
for (let seed = first; seed < first + runs; seed += 1) add(seed, measure(mutantOf(seed)));
const seconds = (performance.now() - started) / 1000;

const share = counts.findings === 0 ? 1 : counts.inStep / counts.findings;
process.stdout.write('mutation       runs  twin differs  found\n');
for (const [kind, row] of byKind) {
  const columns = [
    String(row.runs).padStart(6),
    String(row.differ).padStart(12),
    String(row.found).padStart(5),
  ];
  process.stdout.write(`${kind.padEnd(11)}  ${columns.join('  ')}\n`);
}
process.stdout.write(`runs in which the twin differs: ${counts.differ} of ${runs}\n`);
process.stdout.write(`  each differing access named by used-stale: ${counts.named}\n`);
process.stdout.write(`  and only before a CMD_SYNC (N1, allowed): ${counts.excused} more runs\n`);
process.stdout.write(
  `findings: ${counts.findings}, ${(100 * share).toFixed(1)} % blame the step with the mistake\n`,
);
process.stdout.write(`named where the twin answers the same: ${counts.extra}\n`);
process.stdout.write(`findings without a mistake: ${counts.falseAlarms}\n`);
process.stdout.write(`${seconds.toFixed(1)} s, ${(runs / seconds).toFixed(0)} seeds a second\n`);
const good =
  counts.named === counts.differ && counts.extra === 0 && counts.falseAlarms === 0 && share >= BLAME_MIN;
process.exitCode = good ? 0 : 1;
