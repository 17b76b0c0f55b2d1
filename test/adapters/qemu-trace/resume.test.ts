/** An import that was broken off goes on, and gives the history of one that was not. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importQemuTrace } from '../../../adapters/qemu-trace/import.ts';
import { importState, sameFile } from '../../../adapters/qemu-trace/resume.ts';
import { identify } from '../../../adapters/qemu-trace/source.ts';
import type { Entry } from '../../../core/event.ts';
import { fold } from '../../../core/fold.ts';
import { Simulation } from '../../../core/simulation.ts';
import { resetRegisters } from '../../../core/smmu/regs.ts';
import { initialState } from '../../../core/state.ts';
import { writeBigTrace } from '../../support/big-trace.ts';
import { importFile } from '../../support/import-trace.ts';

const folder = mkdtempSync(join(tmpdir(), 'backwalk-'));
const file = join(folder, 'big.trace');
beforeAll(() => writeBigTrace(file, { lines: 40_000, cpus: 4, faultEvery: 8, drainEvery: 6, eventLog2: 3 }));
afterAll(() => rmSync(folder, { recursive: true }));

describe('an import that was broken off', () => {
  it('is recognised by its notes', async () => {
    const { entries } = await importFile(file);
    const cut = entries.slice(0, entries.length - 9000);
    const found = importState([...cut].reverse(), cut[0]);
    expect(found?.begun).toMatchObject({ file: 'big.trace', observe: false });
    expect(found?.done).toBe(false);
    expect(found?.line).toBeGreaterThan(found?.resume?.line ?? Number.POSITIVE_INFINITY - 1);
    expect(sameFile(found!.begun, await identify(file))).toBe(true);
    expect(importState([...entries].reverse(), entries[0])?.done).toBe(true);
    expect(importState([], undefined)).toBeUndefined();
  });

  it.each([{ observe: false }, { observe: true }])(
    'goes on to the same entries and counts ($observe)',
    async ({ observe }) => {
      const whole = await importFile(file, { observe });
      for (const kept of [whole.entries.length - 9000, whole.entries.length - 3]) {
        const history: Entry[] = whole.entries.slice(0, boundary(whole.entries, kept));
        const head = history.length;
        const point = importState([...history].reverse(), history[0])!.resume!;
        expect(point.seq).toBeLessThanOrEqual(head);
        const result = await importQemuTrace({
          file,
          observe,
          begin: (machine) => {
            const from = fold(initialState(machine, resetRegisters), history.slice(0, point.seq));
            const simulation = new Simulation(from);
            simulation.entries$.subscribe((step) => {
              if (live) history.push(...step);
            });
            return simulation;
          },
          resume: { point, head, caughtUp: () => (live = true) },
        });
        expect(history).toEqual(whole.entries);
        expect({ ...result, examples: [] }).toEqual({ ...whole.result, examples: [] });
        live = false;
      }
    },
  );
});

let live = false;

/** The end of the steps that belong to one stimulus from outside: histories are kept in such pieces. */
function boundary(entries: readonly Entry[], near: number): number {
  let at = near;
  while (entries[at]?.cause !== 0) at += 1;
  return at;
}
