#!/usr/bin/env node
/** The program: standard streams, signals and the exit code. All else is in `cli.ts`. */
import { setAutoFreeze } from 'immer';
import { runCli } from './cli.ts';
import { exitCodes, type Io } from './io.ts';

const WIDTH_PIPED = 80;
/** Characters gathered before they are written. */
const GATHER = 16_384;

let outClosed = false;
let interrupted = false;
let gathered = '';

function flush(): boolean {
  const text = gathered;
  gathered = '';
  return text === '' || outClosed || process.stdout.write(text);
}

// Freezing finds writers of published states; the tests look for them, a run has none.
setAutoFreeze(false);

const io: Io = {
  stdin: process.stdin,
  env: process.env,
  out(line) {
    gathered += `${line}\n`;
    if (gathered.length > GATHER) flush();
  },
  err: (line) => {
    process.stderr.write(`${line}\n`);
  },
  drain: async () => {
    if (!flush())
      await new Promise<void>((resolve) => process.stdout.once('drain', resolve).once('close', resolve));
    // A closed pipe and a signal are heard between two turns of the loop only.
    await new Promise<void>((resolve) => setImmediate(resolve));
  },
  get outClosed() {
    return outClosed;
  },
  get interrupted() {
    return interrupted;
  },
  width: process.stdout.isTTY ? process.stdout.columns : WIDTH_PIPED,
  showsProgress: process.stderr.isTTY === true,
};

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  outClosed = true;
});
process.stderr.on('error', () => {});
process.on('SIGINT', () => {
  if (interrupted) process.exit(exitCodes.interrupted);
  interrupted = true;
  // Waiting for a line that may never come is no work to finish.
  process.stdin.destroy();
});

const exit = await runCli(process.argv.slice(2), io);
await io.drain();
process.exitCode = interrupted && exit === exitCodes.clean ? exitCodes.interrupted : exit;
