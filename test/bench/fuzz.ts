/**
 * `npm run fuzz [WORDS] [SEED]`: random words in all that a guest can write (10^7 unless told).
 * `npm run fuzz ioctl [STRUCTS] [SEED]`: random bytes as ioctl structs (10^6 unless told). Both print how far they
 * are; what breaks prints the line that runs it again.
 */
import { fuzz } from '../support/fuzz.ts';
import { fuzzIoctls } from '../support/fuzz-ioctl.ts';

interface Mode {
  readonly what: string;
  readonly count: number;
  /** Runs, and says what came of it. */
  run(seed: number, count: number, onStory: (done: number) => void): string;
}

const modes: Readonly<Record<'words' | 'ioctl', Mode>> = {
  words: {
    what: 'words',
    count: 10_000_000,
    run: (seed, count, onStory) => `${fuzz(seed, count, onStory)} stimuli, no invariant broken`,
  },
  ioctl: {
    what: 'structs',
    count: 1_000_000,
    run: (seed, count, onStory) => {
      const { answers, compared } = fuzzIoctls(seed, count, onStory);
      const shown = Object.entries(answers).map(([errno, times]) => `${errno} ${times}`);
      return `${shown.join(', ')}; no failure changed anything (${compared} times the whole state)`;
    },
  },
};

const given = process.argv.slice(2);
const isIoctl = given[0] === 'ioctl';
const { what, count, run } = modes[isIoctl ? 'ioctl' : 'words'];
const [total = count, seed = 1] = given.slice(isIoctl ? 1 : 0).map(Number);
const start = performance.now();
let shown = start;
try {
  const found = run(seed, total, (done) => {
    if (performance.now() - shown < 2_000) return;
    shown = performance.now();
    process.stderr.write(`${done} of ${total} ${what}, ${Math.round((done / (shown - start)) * 1000)}/s\n`);
  });
  process.stdout.write(`${total} ${what}: ${found} (seed ${seed})\n`);
} catch (error) {
  process.stderr.write(`run again: npm run fuzz -- ${isIoctl ? 'ioctl ' : ''}${total} ${seed}\n`);
  throw error;
}
