/** Captures of any shape: granules, several CPUs, small queues that wrap and overflow, no prefixes; and how fast lines are read. */
import { describe, expect, it } from 'vitest';
import { eachLine, noLines } from '../../../adapters/qemu-trace/lines.ts';
import { type BigTraceOptions, bigTrace } from '../../support/big-trace.ts';
import { importText } from '../../support/import-trace.ts';

const text = (options: BigTraceOptions): string => [...bigTrace(options)].join('\n');

describe('made captures', () => {
  // what, options
  it.each<[string, Omit<BigTraceOptions, 'lines'>]>([
    ['16 KiB granule', { granule: 14 }],
    ['64 KiB granule', { granule: 16, devices: 1 }],
    ['four CPUs, queues of 8', { cpus: 4, devices: 4, commandLog2: 3, eventLog2: 3 }],
    ['an Event queue that overflows', { faultEvery: 4, drainEvery: 12, eventLog2: 2, cpus: 2 }],
    ['no prefixes', { prefix: false, cpus: 4, faultEvery: 6, drainEvery: 3, eventLog2: 2 }],
    ['forgotten invalidations', { forgetEvery: 3, seed: 7 }],
  ])('re-enacts %s without a difference', async (_, options) => {
    const { result } = await importText(text({ lines: 8000, ...options }));
    expect(result.examples).toEqual([]);
    expect(result.unknown).toBe(0);
    expect(result.compared.translation).toBeGreaterThan(500);
    expect(result.compared.fault).toBeGreaterThan(0);
  });

  it('is the same for the same seed', () => {
    expect(text({ lines: 500, seed: 3 })).toBe(text({ lines: 500, seed: 3 }));
    expect(text({ lines: 500, seed: 3 })).not.toBe(text({ lines: 500, seed: 4 }));
  });

  it('reads lines at a rate that leaves the time to the machine', () => {
    const all = text({ lines: 60_000 });
    const counts = noLines();
    const start = process.cpuUsage().user;
    eachLine(all, counts, () => {});
    const seconds = (process.cpuUsage().user - start) / 1e6;
    expect(counts.read).toBe(counts.lines);
    // 200k lines a second are asked for; a busy machine may halve what it shows.
    expect(counts.lines / seconds).toBeGreaterThan(100_000);
  });
});
