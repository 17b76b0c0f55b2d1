/** Exposure windows of lazy domains: how many, how long; and what is a finding all the same. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../core/event.ts';
import { exposure } from '../../projections/exposure.ts';
import { invalidations } from '../../projections/invalidations.ts';
import { openPass } from '../../projections/projection.ts';
import { dmaHost, PAGE } from '../support/dma-api.ts';
import { type Action, action, actionOf, bootedWorld, playDma } from '../support/dma-world.ts';

const exposureOf = (entries: readonly Entry[]) => {
  const pass = openPass([exposure()]);
  for (const entry of entries) pass.take(entry);
  return pass.answers()[0];
};

describe('windows', () => {
  it('are none in strict domains', () => {
    const host = dmaHost();
    host.unmap(host.map());
    expect(exposureOf(host.look())).toEqual({ windows: 0, open: 0, longest: 0 });
  });

  it('last from the unmap to the flush, or to the next owner of the IOVA', () => {
    const host = dmaHost({ driver: { defaultDomain: 'dma-fq' } });
    const all = [host.map(), host.map({ bytes: 2 * PAGE })];
    host.unmap(all[0] ?? '');
    host.unmap(all[1] ?? '', 2 * PAGE);
    const before = host.look();
    expect(exposureOf(before)).toMatchObject({ windows: 2, open: 2, longest: 0 });
    host.line({ op: 'turn', unit: 'smmu0.fq-timer' });
    host.line({ op: 'run' });
    const entries = [...before, ...host.look()];
    const seqOf = (type: Entry['type']): number => entries.find((entry) => entry.type === type)!.seq;
    expect(exposureOf(entries)).toEqual({
      windows: 2,
      open: 0,
      longest: seqOf('fq.released') - seqOf('dma.unmapping'),
    });
  });
});

describe('findings over stories of several CPUs', () => {
  const findings = (kind: 'dma' | 'dma-fq', story: readonly Action[], quirk?: string): number => {
    const world = bootedWorld(kind, true, quirk);
    const pass = openPass([invalidations(world.config, 'main')]);
    for (const entry of world.entries) pass.take(entry);
    for (const entry of playDma(world, story).entries) pass.take(entry);
    return pass.answers()[0].length;
  };

  it.each(['dma', 'dma-fq'] as const)('are none with %s', (kind) => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 20, maxLength: 60 }), (story) => {
        expect(findings(kind, story)).toBe(0);
      }),
      { numRuns: 10, seed: 1 },
    );
  });

  it('are there with fq-no-flush only where a device met the wrong page', () => {
    const dense = fc.array(actionOf(1, { min: 1, max: 1 }), { minLength: 60, maxLength: 100 });
    const all = fc.sample(dense, { numRuns: 16, seed: 5 });
    const verdicts = all.map((story) => {
      const { met, meant } = playDma(bootedWorld('dma-fq', true, 'fq-no-flush'), story);
      const wrong = met.filter((each, at) => each !== meant[at]).length;
      return { wrong, found: findings('dma-fq', story, 'fq-no-flush') };
    });
    // An access that comes while a flush is on its way is nobody's fault (N1).
    for (const { wrong, found } of verdicts) if (found > 0) expect(wrong).toBeGreaterThan(0);
    expect(verdicts.some(({ found }) => found > 0)).toBe(true);
  });
});
