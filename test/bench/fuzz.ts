/**
 * `npm run fuzz [WORDS] [SEED]`: random words in all that a guest can write (10^7 unless told). It prints how
 * far it is; what breaks prints the line that runs it again.
 */
import { fuzz } from '../support/fuzz.ts';

const words = Number(process.argv[2] ?? 10_000_000);
const seed = Number(process.argv[3] ?? 1);
const start = performance.now();
let shown = start;
try {
  const stimuli = fuzz(seed, words, (done) => {
    if (performance.now() - shown < 2_000) return;
    shown = performance.now();
    process.stderr.write(`${done} of ${words} words, ${Math.round((done / (shown - start)) * 1000)}/s\n`);
  });
  process.stdout.write(`${words} words in ${stimuli} stimuli, no invariant broken (seed ${seed})\n`);
} catch (error) {
  process.stderr.write(`run again: npm run fuzz -- ${words} ${seed}\n`);
  throw error;
}
