/**
 * Importing made captures: lines a second, and peak memory at two lengths. The memory of the process
 * itself is counted (RssAnon): pages of the store's file that the system maps are not the importer's.
 * BACKWALK_BENCH_LONG=1 makes the longer one 10^7 lines instead of 2 x 10^6.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeBigTrace } from '../support/big-trace.ts';
import { perSecond, type Row } from './row.ts';

const SHORT = 200_000;
const LONG = process.env['BACKWALK_BENCH_LONG'] === '1' ? 10_000_000 : 2_000_000;
const SAMPLE_MS = 40;

interface Imported {
  readonly ms: number;
  /** Peak of anonymous memory, MiB. */
  readonly peak: number;
}

export async function rows(): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'backwalk-bench-'));
  const short = await importOf(folder, Math.max(LONG / 10, SHORT));
  const long = await importOf(folder, LONG);
  rmSync(folder, { recursive: true, force: true });
  const ratio = long.peak / short.peak;
  return [
    {
      measure: `import: ${LONG} lines, re-enacted and stored`,
      ours: `${perSecond((LONG / long.ms) * 1000)} lines`,
      against: `${(long.ms / 1000).toFixed(0)} s`,
      ratio: '-',
      wanted: '-',
      met: true,
    },
    {
      measure: `import: peak memory, ${LONG} lines over ${LONG / 10}`,
      ours: `${long.peak.toFixed(0)} MiB`,
      against: `${short.peak.toFixed(0)} MiB`,
      ratio: ratio.toFixed(2),
      wanted: '<= 1.2',
      met: ratio <= 1.2,
    },
  ];
}

async function importOf(folder: string, lines: number): Promise<Imported> {
  const trace = join(folder, `${lines}.trace`);
  await writeBigTrace(trace, { lines, seed: 7, devices: 4, cpus: 2 });
  const cli = fileURLToPath(new URL('../../adapters/cli/main.js', import.meta.url));
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [cli, 'import', 'qemu-trace', trace, '-s', join(folder, `${lines}.bw`)],
    { stdio: 'ignore' },
  );
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, anonymous(child.pid ?? 0));
  }, SAMPLE_MS);
  await new Promise((resolve) => child.on('close', resolve));
  clearInterval(timer);
  rmSync(trace);
  return { ms: performance.now() - started, peak };
}

/** Anonymous memory of a process, MiB; 0 where the system does not tell. */
function anonymous(pid: number): number {
  try {
    const found = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(found?.[1] ?? 0) / 1024;
  } catch {
    return 0; // it has ended
  }
}
