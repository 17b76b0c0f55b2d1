/** Runs of many actors, by fixed seeds; `npm run simulate -- --actors N` takes more. */
import { describe, expect, it } from 'vitest';
import { runActors } from '../simulation/actors.ts';

describe('many actors', () => {
  it.each([1, 2, 3, 4, 5, 6])('work correctly side by side: seed %i', { timeout: 120_000 }, (seed) => {
    const ran = runActors(seed, 25, false);
    expect(ran.refused).toBe(0);
  });

  it.each([11, 12, 58, 95, 102, 106])(
    'drain to quiet when devices go, guests are killed and the kernel fails: seed %i',
    { timeout: 120_000 },
    (seed) => {
      expect(runActors(seed, 30, true).entries).toBeGreaterThan(0);
    },
  );

  it('reach memory, and see guests killed', { timeout: 120_000 }, () => {
    const all = [22, 24, 45, 57].map((seed) => runActors(seed, 60, seed % 2 === 1));
    const sum = (of: (ran: (typeof all)[number]) => number): number => all.reduce((n, ran) => n + of(ran), 0);
    expect(sum(({ accesses }) => accesses)).toBeGreaterThan(300);
    expect(sum(({ killed }) => killed)).toBeGreaterThan(3);
  });
});
