/** Projections as such: several in one pass, only what they ask for, and live as over the log. */
import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../core/event.ts';
import { checkHistory } from '../../projections/check.ts';
import { invalidations } from '../../projections/invalidations.ts';
import { liveProjections } from '../../projections/live.ts';
import { projection, runProjections } from '../../projections/projection.ts';
import { at, dma, map, unmap } from '../support/build.ts';
import { given } from '../support/entries.ts';

const countOf = (type: 'dma' | 'tlb.filled') =>
  projection<{ count: number }, number>({
    name: `count ${type}`,
    initial: () => ({ count: 0 }),
    handlers: {
      [type]: (state: { count: number }) => {
        state.count += 1;
      },
    },
    answer: ({ count }) => count,
  });

const log = given(map(0x5000, at.data), dma(0x5000), unmap(0x5000), dma(0x5000), dma(0x5000));

describe('projections', () => {
  it('answer in the order they are given, each from one pass', () => {
    const [dmas, fills, findings] = runProjections(log.entries, [
      countOf('dma'),
      countOf('tlb.filled'),
      invalidations(log.machine, 'main'),
    ]);
    expect(dmas).toBe(3);
    expect(fills).toBe(4);
    expect(findings).toHaveLength(2);
  });

  it('begin anew with each run', () => {
    const count = countOf('dma');
    expect(runProjections(log.entries, [count])).toEqual([3]);
    expect(runProjections(log.entries, [count])).toEqual([3]);
  });

  it('say live, step by step, what they say of the whole log', () => {
    const entries$ = new Subject<readonly Entry[]>();
    const counts: number[] = [];
    let last: unknown;
    liveProjections(entries$, [invalidations(log.machine, 'main')]).subscribe(([findings]) => {
      counts.push(findings.length);
      last = findings;
    });
    for (const entry of log.entries) entries$.next([entry]);
    expect(last).toEqual(checkHistory(log.entries, log.machine, 'main'));
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
  });
});
