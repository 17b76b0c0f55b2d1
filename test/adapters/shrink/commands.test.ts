/** Commands taken out of their queue and put back: the same ones in the same order, whatever went between. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ScenarioLine } from '../../../adapters/scenario/scenario.ts';
import { apart, type Item, itemsOf, linesOf, together } from '../../../adapters/shrink/commands.ts';

const BASE = 0x4003_0000;
const LOG2 = 2;
const base: ScenarioLine = {
  op: 'mmio.write',
  smmu: 'smmu0',
  reg: 'CMDQ_BASE',
  value: `0x${(BASE + LOG2).toString(16)}`,
};

/** A driver that stores its commands one by one and moves PROD after each batch. */
function issued(batches: readonly (readonly number[])[]): readonly ScenarioLine[] {
  let prod = 0;
  return batches.flatMap((batch): ScenarioLine[] => {
    const stores = batch.map((each): ScenarioLine => {
      const pa = `0x${(BASE + (prod % 4) * 16).toString(16)}`;
      prod = (prod + 1) % 8;
      return { op: 'mem.write', pa, u64: [`0x${each.toString(16)}`, '0x0'] };
    });
    return [
      ...stores,
      { op: 'mmio.write', smmu: 'smmu0', reg: 'CMDQ_PROD', value: `0x${prod.toString(16)}` },
    ];
  });
}

const commandsOf = (items: readonly Item[]): readonly string[] =>
  items.flatMap((item) => ('commands' in item ? item.commands.map(([lo]) => lo) : []));

const batches = fc.array(fc.array(fc.nat(255), { minLength: 1, maxLength: 4 }), { maxLength: 12 });

describe('commands', () => {
  it('go through their queue unchanged, wrapping with it', () => {
    fc.assert(
      fc.property(batches, (list) => {
        const items = itemsOf([base, ...issued(list)]);
        const told = list.flat().map((each) => `0x${each.toString(16)}`);
        expect(commandsOf(items)).toEqual(told);
        expect(commandsOf(itemsOf(linesOf(items)))).toEqual(told);
        expect(commandsOf(itemsOf(linesOf(apart(items))))).toEqual(told);
      }),
      { seed: 2 },
    );
  });

  it('close the gap that a lost one leaves', () => {
    const items = apart(itemsOf([base, ...issued([[1, 2], [3]])]));
    const left = items.filter((item) => !('commands' in item) || item.commands[0]?.[0] !== '0x2');
    expect(linesOf(together(left))).toEqual([
      base,
      { op: 'mem.write', pa: '0x40030000', u64: ['0x1', '0x0', '0x3', '0x0'] },
      { op: 'mmio.write', smmu: 'smmu0', reg: 'CMDQ_PROD', value: '0x2' },
    ]);
  });

  it('leave alone what is no queue, and moves over slots that nobody wrote', () => {
    const lines: readonly ScenarioLine[] = [
      { op: 'mem.write', pa: '0x40030000', u64: ['0x1', '0x0'] },
      base,
      { op: 'mem.write', pa: '0x40030008', u64: ['0x1'] },
      { op: 'mmio.write', smmu: 'smmu0', reg: 'CMDQ_PROD', value: '0x1' },
      { op: 'mmio.write', smmu: 'smmu1', reg: 'CMDQ_PROD', value: '0x1' },
    ];
    expect(linesOf(itemsOf(lines))).toEqual(lines);
  });
});
