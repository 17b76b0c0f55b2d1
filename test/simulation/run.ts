/**
 * Long seeded runs: `npm run simulate -- [--seed N] [--runs N] [--actions N] [--actors N] [--first N]`. Without a
 * seed, those of `seeds.ts` and then 1000, 1001, ... (`--first` begins elsewhere); `--actors N` runs so many seeds of
 * many actors too (`--actor SEED` one of them), half of them with faults. A run that fails prints the line that runs it again.
 */
import { parseArgs } from 'node:util';
import { runActors } from './actors.ts';
import { seeds } from './seeds.ts';
import { simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    runs: { type: 'string', default: '20' },
    actions: { type: 'string', default: '400' },
    actors: { type: 'string', default: '0' },
    actor: { type: 'string' },
    first: { type: 'string', default: '1000' },
  },
});

const actions = Number(values.actions);
const runs = Number(values.runs);
const first = Number(values.first);
const named = seeds.map(({ seed }) => seed);
const counted = Array.from({ length: runs }, (_, index) => first + index);
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
const ofActors =
  values.actor === undefined
    ? Array.from({ length: Number(values.actors) }, (_, index) => first + index)
    : [Number(values.actor)];
for (const seed of ofActors) {
  try {
    entries += runActors(seed, 40, seed % 2 === 1).entries;
  } catch (error) {
    failed += 1;
    process.stdout.write(`actors ${seed}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.stdout.write(`again: npx tsx test/simulation/run.ts --runs 0 --actor ${seed}\n`);
  }
}
process.stdout.write(
  `simulation: ${list.length + ofActors.length - failed} seeds passed, ${failed} failed, ${entries} entries\n`,
);
process.exitCode = failed === 0 ? 0 : 1;
