/**
 * Shrinks the bad stories of many seeds and prints what came of them beside the hand-made scenarios:
 * `npm run shrink-seeds -- [--from N] [--seeds N] [--actions N]`. Exits 1 when one is over 1.5 times its
 * hand-made scenario, or took over a minute.
 */
import { parseArgs } from 'node:util';
import { summaryOf } from '../../projections/summary.ts';
import { badStoryOf, handMadeLines, shrunkTo } from '../support/shrinking.ts';

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '1000' },
    seeds: { type: 'string', default: '10' },
    actions: { type: 'string', default: '400' },
  },
});

const RATIO_MAX = 1.5;
const SECONDS_MAX = 60;

let over = 0;
process.stdout.write('  seed  stimuli  lines  by hand  ratio  trials  seconds  SUMMARY\n');
for (let at = 0; at < Number(values.seeds); at += 1) {
  const seed = Number(values.from) + at;
  const story = badStoryOf(seed, Number(values.actions));
  for (const finding of story.findings) {
    const started = performance.now();
    const { from, shown, trials } = shrunkTo(story, finding);
    const seconds = (performance.now() - started) / 1000;
    const lines = shown.lines.length;
    const hand = handMadeLines(summaryOf(finding));
    const bad = lines > RATIO_MAX * hand || seconds > SECONDS_MAX;
    if (bad) over += 1;
    const columns = [
      String(seed).padStart(6),
      String(from).padStart(7),
      String(lines).padStart(5),
      String(hand).padStart(7),
      (lines / hand).toFixed(2).padStart(5),
      String(trials).padStart(6),
      seconds.toFixed(1).padStart(7),
    ];
    process.stdout.write(`${columns.join('  ')}  ${summaryOf(finding)}${bad ? '  OVER' : ''}\n`);
  }
}
process.exitCode = over === 0 ? 0 : 1;
