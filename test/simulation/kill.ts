/**
 * Kills an import with SIGKILL at random moments and looks at what is left: the log is a prefix of the
 * whole, contiguous, hash-clean, holds all that was acknowledged, and the import goes on to the end.
 *
 *     node dist/test/simulation/kill.js [--times 200] [--lines 20000] [--seed 1]
 *
 * On a failure the seed and the try are printed; `--times 1 --seed N` runs that try again.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeBigTrace } from '../support/big-trace.ts';

const cli = fileURLToPath(new URL('../../adapters/cli/main.js', import.meta.url));
const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '200' },
    lines: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
  },
});

interface Whole {
  readonly head: number;
  readonly entries: readonly string[];
}

const folder = mkdtempSync(join(tmpdir(), 'backwalk-kill-'));
const trace = join(folder, 'big.trace');

/** Runs a verb to its end. */
function backwalk(...args: string[]): { exit: number | null; out: string; err: string } {
  const ran = spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8', maxBuffer: 2 ** 30 });
  return { exit: ran.status, out: ran.stdout, err: ran.stderr };
}

function headOf(out: string): number {
  const summary = out.split('\n').find((line) => line.startsWith('{"summary"'));
  return Number((JSON.parse(summary ?? '{}') as { summary: { head: string } }).summary.head.split('@')[1]);
}

/** Imports until killed; returns the last acknowledged seq, and whether it was still at work. */
function killed(store: string, afterMs: number): Promise<{ acknowledged: number; midway: boolean }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [cli, 'import', 'qemu-trace', trace, '--json', '-s', store], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text: string) => {
      said += text;
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), afterMs);
    child.on('close', (_code, signal) => {
      clearTimeout(timer);
      const marks = [...said.matchAll(/"acknowledged":"main@(\d+)"/g)].map(([, seq]) => Number(seq));
      resolve({ acknowledged: marks.at(-1) ?? 0, midway: signal === 'SIGKILL' });
    });
  });
}

function fail(what: string, attempt: number): never {
  process.stdout.write(
    `FAILED at try ${attempt}: ${what}\nrun again: node dist/test/simulation/kill.js --times 1 --seed ${Number(values.seed) + attempt}\n`,
  );
  process.exit(1);
}

function logLines(store: string): readonly string[] {
  const { exit, out, err } = backwalk('log', '--json', '-s', store);
  // Killed between the making of the store and the first commit.
  if (exit === 2 && err.includes('empty store')) return [];
  if (exit !== 0) throw new Error(`log: exit ${exit}: ${err}`);
  return out.split('\n').filter((line) => line !== '');
}

function look(store: string, acknowledged: number, whole: Whole, attempt: number): number {
  const verified = backwalk('verify', '-s', store);
  if (verified.exit !== 0) fail(`verify: ${verified.out}${verified.err}`, attempt);
  const entries = logLines(store);
  if (entries.length < acknowledged)
    fail(`${acknowledged} entries were acknowledged, ${entries.length} are there`, attempt);
  const differing = entries.findIndex((line, index) => line !== whole.entries[index]);
  if (differing >= 0) fail(`entry ${differing + 1} is not that of the whole import`, attempt);
  const resumed = backwalk('import', 'qemu-trace', trace, '--json', '-s', store);
  if (resumed.exit !== 0) fail(`going on: exit ${resumed.exit}: ${resumed.err}`, attempt);
  if (headOf(resumed.out) !== whole.head)
    fail(`going on ended at ${headOf(resumed.out)}, not ${whole.head}`, attempt);
  return entries.length;
}

await writeBigTrace(trace, { lines: Number(values.lines), seed: Number(values.seed) });
const reference = join(folder, 'whole.bw');
const started = performance.now();
const imported = backwalk('import', 'qemu-trace', trace, '--json', '-s', reference);
const wholeMs = performance.now() - started;
const whole: Whole = { head: headOf(imported.out), entries: logLines(reference) };
let midway = 0;
let random = Number(values.seed) >>> 0;
for (let attempt = 0; attempt < Number(values.times); attempt += 1) {
  random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
  const store = join(folder, `${attempt}.bw`);
  const result = await killed(store, 150 + (random / 2 ** 32) * wholeMs * 0.8);
  if (!result.midway) continue;
  const opened = backwalk('branch', '-s', store);
  // Killed before the store was made: nothing was acknowledged, and there is nothing to lose.
  if (opened.exit === 2 && result.acknowledged === 0 && /no store|expected|empty/.test(opened.err)) continue;
  midway += 1;
  look(store, result.acknowledged, whole, attempt);
  for (const suffix of ['', '-lock', '.cache', '.cache-lock']) rmSync(`${store}${suffix}`, { force: true });
}
rmSync(folder, { recursive: true, force: true });
process.stdout.write(
  `${values.times} imports killed, ${midway} of them in mid-work: all prefixes, clean, complete to the acknowledged entry, and resumed to main@${whole.head}\n`,
);
