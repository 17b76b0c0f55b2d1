/**
 * Long seeded runs: `npm run simulate -- [--seed N] [--runs N] [--actions N]`. Without a seed, those of
 * `seeds.ts` and then 1000, 1001, ... A run that fails prints the line that runs it again.
 */
import { parseArgs } from 'node:util';
import { seeds } from './seeds.ts';
import { simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    runs: { type: 'string', default: '20' },
    actions: { type: 'string', default: '400' },
  },
});

const actions = Number(values.actions);
const runs = Number(values.runs);
const named = seeds.map(({ seed }) => seed);
const counted = Array.from({ length: runs }, (_, index) => 1000 + index);
const list = values.seed === undefined ? [...named, ...counted] : [Number(values.seed)];

let failed = 0;
let entries = 0;
for (const seed of list) {
  try {
    entries += simulate(seed, actions).entries;
  } catch (error) {
    failed += 1;
    process.stdout.write(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}\n`);
    if (values.seed !== undefined) process.stdout.write(`${error instanceof Error ? error.stack : ''}\n`);
    process.stdout.write(`again: npx tsx test/simulation/run.ts --seed ${seed} --actions ${actions}\n`);
  }
}
process.stdout.write(
  `simulation: ${list.length - failed} seeds passed, ${failed} failed, ${entries} entries\n`,
);
process.exitCode = failed === 0 ? 0 : 1;
