/**
 * Measures what the rules find and whom they blame: `npm run mutants -- [--runs N] [--host N] [--seed S]`. Each seed
 * is the story of a correct driver with one mistake (`mutants.ts`), or a host whose driver has a quirk
 * (`host-mutants.ts`); seeds go up from S. A seed that shows a miss, a false alarm or a wrong blame prints the line
 * that runs it again. Exit 1 on a miss, on a false alarm, or when less than 95 of 100 findings blame the step with the
 * mistake.
 */
import { parseArgs } from 'node:util';
import { type MutationKind, mutationKinds } from '../support/mutations.ts';
import { hostMutantOf, hostQuirks, measureHost } from './host-mutants.ts';
import { type Measured, measure, mutantOf } from './mutants.ts';

const BLAME_MIN = 0.95;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000' },
    host: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
  },
});

const counts = { differ: 0, excused: 0, named: 0, findings: 0, inStep: 0, falseAlarms: 0, extra: 0 };
const byKind = new Map<MutationKind, { runs: number; differ: number; found: number }>(
  mutationKinds.map((kind) => [kind, { runs: 0, differ: 0, found: 0 }]),
);

function tell(seed: number, what: string, which: readonly (number | string)[], again = '--runs 1'): void {
  if (which.length === 0) return;
  process.stdout.write(`seed ${seed}: ${what}: ${which.slice(0, 3).join('; ')}\n`);
  process.stdout.write(`again: npm run mutants -- ${again} --seed ${seed}\n`);
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
  const counted = byKind.get(mutant.mutation.kind);
  if (counted !== undefined) {
    counted.runs += 1;
    counted.differ += differ.length > 0 ? 1 : 0;
    counted.found += findings > 0 ? 1 : 0;
  }
  tell(seed, 'missed, accesses at', missed);
  tell(seed, 'named, and the twin answers the same', extra);
  tell(seed, 'found without the mistake', falseAlarms);
  tell(seed, `blamed besides the ${mutant.mutation.kind} one`, astray);
}

function bare(first: number, runs: number): boolean {
  for (let seed = first; seed < first + runs; seed += 1) add(seed, measure(mutantOf(seed)));
  const share = counts.findings === 0 ? 1 : counts.inStep / counts.findings;
  process.stdout.write('mutation         runs  twin differs  found\n');
  for (const [kind, { runs: of, differ, found }] of byKind) row(kind, of, differ, found);
  process.stdout.write(`runs in which the twin differs: ${counts.differ} of ${runs}\n`);
  process.stdout.write(`  each differing access named by used-stale: ${counts.named}\n`);
  process.stdout.write(`  and only before a CMD_SYNC (N1, allowed): ${counts.excused} more runs\n`);
  const percent = (100 * share).toFixed(1);
  process.stdout.write(`findings: ${counts.findings}, ${percent} % blame the step with the mistake\n`);
  process.stdout.write(`named where the twin answers the same: ${counts.extra}\n`);
  process.stdout.write(`findings without a mistake: ${counts.falseAlarms}\n`);
  const exact = counts.named === counts.differ && counts.extra === 0 && counts.falseAlarms === 0;
  return exact && share >= BLAME_MIN;
}

function host(first: number, runs: number): boolean {
  const rows = new Map(hostQuirks.map((quirk) => [quirk, { runs: 0, differ: 0, found: 0 }]));
  let wrong = 0;
  for (let seed = first; seed < first + runs; seed += 1) {
    const { mutant, differ, missed, extra, falseAlarms, findings } = measureHost(hostMutantOf(seed));
    const counted = rows.get(mutant.quirk);
    if (counted === undefined) continue;
    counted.runs += 1;
    counted.differ += differ.length > 0 ? 1 : 0;
    counted.found += findings > 0 ? 1 : 0;
    wrong += missed.length + extra.length + falseAlarms.length;
    tell(seed, 'missed, accesses at', missed, '--runs 0 --host 1');
    tell(seed, 'named, and the twin answers the same', extra, '--runs 0 --host 1');
    tell(seed, 'found without the quirk', falseAlarms, '--runs 0 --host 1');
  }
  process.stdout.write('quirk of a host  runs  twin differs  found\n');
  for (const [quirk, { runs: of, differ, found }] of rows) row(quirk, of, differ, found);
  process.stdout.write(`missed, named wrongly, or found without the quirk: ${wrong}\n`);
  return wrong === 0;
}

function row(name: string, runs: number, differ: number, found: number): void {
  const columns = [String(runs).padStart(4), String(differ).padStart(12), String(found).padStart(5)];
  process.stdout.write(`${name.padEnd(15)}  ${columns.join('  ')}\n`);
}

const started = performance.now();
const [runs, hosts, first] = [Number(values.runs), Number(values.host), Number(values.seed)];
const good = [runs > 0 ? bare(first, runs) : true, hosts > 0 ? host(first, hosts) : true];
const seconds = (performance.now() - started) / 1000;
const rate = ((runs + hosts) / seconds).toFixed(0);
process.stdout.write(`${seconds.toFixed(1)} s, ${rate} seeds a second\n`);
process.exitCode = good.every(Boolean) ? 0 : 1;
