/**
 * The rules over a history: entries a second, by the time of the processor alone, so that what else runs
 * does not count; and at two lengths, for what is kept must follow what is owed and not the log.
 * BACKWALK_BENCH_RULES makes the longer one so many entries (default 600000).
 */
import type { Entry } from '../../core/event.ts';
import { Simulation } from '../../core/simulation.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { checkHistory } from '../../projections/check.ts';
import {
  ASID,
  at,
  bringUp,
  command,
  dma,
  issue,
  machine,
  map,
  reset,
  tables,
  unmap,
} from '../support/build.ts';
import { perSecond, type Row } from './row.ts';

const LONG = Number(process.env['BACKWALK_BENCH_RULES'] ?? 600_000);
const WANTED = 300_000;

export function rows(): Promise<readonly Row[]> {
  const long = history(LONG);
  const short = long.slice(0, LONG / 10);
  rateOf(short); // warm
  const rates = [rateOf(long), rateOf(long), rateOf(long)].sort((a, b) => a.rate - b.rate);
  const middle = rates[1] ?? { rate: 0, kept: 0 };
  const few = rateOf(short);
  return Promise.resolve([
    {
      measure: `rules: ${LONG} entries of map, DMA, unmap, invalidate`,
      ours: perSecond(middle.rate),
      against: '-',
      ratio: '-',
      wanted: `>= ${perSecond(WANTED)}`,
      met: middle.rate >= WANTED,
    },
    {
      measure: `rules: memory kept, ${LONG} entries less ${LONG / 10}`,
      ours: `${middle.kept.toFixed(1)} MiB`,
      against: `${few.kept.toFixed(1)} MiB`,
      ratio: (middle.kept - few.kept).toFixed(1),
      wanted: '<= 8 MiB more',
      met: middle.kept - few.kept <= 8,
    },
  ]);
}

/** A driver that maps, uses, unmaps and invalidates. */
function history(count: number): readonly Entry[] {
  const config = machine();
  const simulation = new Simulation(reset(config));
  const entries: Entry[] = [];
  simulation.entries$.subscribe((step) => {
    for (const entry of step) entries.push(entry);
  });
  const put = (...stimuli: readonly Stimulus[]): void => {
    for (const stimulus of stimuli) simulation.dispatch(stimulus);
  };
  put(...bringUp(), ...tables());
  for (let index = 0, prod = 0; entries.length < count; index += 1) {
    const iova = (index % 500) * 4096;
    put(map(iova, at.data + (index % 4096) * 4096), dma(iova, 'write', 64), dma(iova + 128, 'read', 64));
    const invalidate = command('CMD_TLBI_NH_VA', { ASID, Address: iova, Leaf: true });
    put(unmap(iova), ...issue(prod, invalidate, command('CMD_SYNC')));
    prod = (prod + 2) % 512;
  }
  return entries.slice(0, count);
}

interface Measured {
  /** Entries a second of processor time. */
  readonly rate: number;
  /** What the findings and the fold hold at the end, MiB. */
  readonly kept: number;
}

function rateOf(entries: readonly Entry[]): Measured {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const start = process.cpuUsage();
  let kept = 0;
  const findings = checkHistory(
    counted(entries, () => {
      kept = process.memoryUsage().heapUsed - before;
    }),
    machine(),
    'main',
  );
  const { user } = process.cpuUsage(start);
  if (findings.length > 0) throw new Error(`a correct driver has ${findings.length} findings`);
  return { rate: entries.length / (user / 1e6), kept: kept / 2 ** 20 };
}

/** The entries; `last` is called, after a collection, while the fold is still alive. */
function* counted(entries: readonly Entry[], last: () => void): Generator<Entry> {
  yield* entries;
  globalThis.gc?.();
  last();
}
