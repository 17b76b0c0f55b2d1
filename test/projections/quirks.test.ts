/**
 * Quirks of the host's driver, each put into one story of the DMA API: a page is mapped, used, unmapped, its range
 * taken again. Without a quirk the story is clean, strict or lazy (N2); with one the rules name what went wrong.
 */
import { describe, expect, it } from 'vitest';
import { checkHistory } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { dmaHost, PAGE } from '../support/dma-api.ts';

const PA = 0x10_0000;

function play(defaultDomain: 'dma' | 'dma-fq', quirk?: string): readonly Finding[] {
  const of = dmaHost({ driver: { defaultDomain } });
  const entries = [...of.look()];
  if (quirk !== undefined) of.line({ op: 'set', path: `smmu0.quirks.${quirk}`, value: true });
  const use = (iova: string): object =>
    of.line({ op: 'dma', endpoint: 'nvme0', iova, bytes: 8, access: 'read' });
  const iova = of.map({ pa: PA });
  use(iova);
  of.unmap(iova);
  const again = of.map({ pa: PA + PAGE });
  use(again);
  of.unmap(again);
  of.line({ op: 'run' });
  entries.push(...of.look());
  return checkHistory(entries, of.machine, 'main');
}

const told = (findings: readonly Finding[]): readonly string[] => [
  ...new Set(findings.map(({ rule, verdict, title }) => `${rule} ${verdict} ${title.split(/[ :]/, 1)[0]}`)),
];

describe.each(['dma', 'dma-fq'] as const)('the DMA API with default domains of kind %s', (kind) => {
  it('is clean without a quirk', () => {
    expect(play(kind)).toEqual([]);
  });

  it('gives ranges back dirty with iova-early-free (N2: the reuse is the defect, not the delay)', () => {
    const findings = play(kind, 'iova-early-free');
    expect(told(findings)).toContain('I2 could-be-used iova-released-dirty');
    expect(findings[0]?.after[0]?.what).toContain('given back');
  });
});

describe('a flush queue that is full', () => {
  const fill = (quirk?: string): readonly Finding[] => {
    const of = dmaHost({ driver: { defaultDomain: 'dma-fq' } });
    if (quirk !== undefined) of.line({ op: 'set', path: `smmu0.quirks.${quirk}`, value: true });
    // Held, so that ranges are not taken again before they are given back.
    const held = Array.from({ length: 300 }, (_, page) => of.map({ pa: PA + page * PAGE }));
    for (const iova of held) of.unmap(iova);
    return checkHistory(of.look(), of.machine, 'main');
  };

  it('is flushed before its ranges are given back', () => {
    expect(fill()).toEqual([]);
  });

  it('gives them back dirty when it is emptied without a flush', () => {
    expect(told(fill('fq-no-flush'))).toEqual(['I2 could-be-used iova-released-dirty']);
  });
});
