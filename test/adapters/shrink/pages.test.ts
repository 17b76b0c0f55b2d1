/** Pages moved down: what points to them follows, and nothing else changes. */
import { describe, expect, it } from 'vitest';
import type { ScenarioLine } from '../../../adapters/scenario/scenario.ts';
import { lowerPages } from '../../../adapters/shrink/pages.ts';

const machine: ScenarioLine = { op: 'machine', ram: [{ base: '0x0', size: '0x100000' }] };
const other: ScenarioLine = { op: 'dma', endpoint: 'nic0', iova: '0x20000', bytes: 1, access: 'read' };

describe('a page in a lower place', () => {
  it('takes its stores, pointers and registers with it, their other bits and offsets as they were', () => {
    const lines: readonly ScenarioLine[] = [
      machine,
      { op: 'mem.write', pa: '0x20040', u64: ['0x8000000000020043', '0x21003', '0x1'] },
      { op: 'mmio.write', smmu: 'smmu0', reg: 'STRTAB_BASE', value: '0x4000000000020000' },
      { op: 'mem.write', vm: 'vm0', gpa: '0x20000', u64: ['0x20000'] },
      other,
    ];
    expect([...lowerPages(lines)]).toEqual([
      [
        machine,
        { op: 'mem.write', pa: '0x1040', u64: ['0x8000000000001043', '0x21003', '0x1'] },
        { op: 'mmio.write', smmu: 'smmu0', reg: 'STRTAB_BASE', value: '0x4000000000001000' },
        lines[3],
        other,
      ],
    ]);
  });

  it('is one that nobody has, and lower than where it was', () => {
    const at = (pa: string): ScenarioLine => ({ op: 'mem.write', pa, u64: ['0x1'] });
    const list = [machine, at('0x1000'), at('0x3000'), at('0x2000'), at('0x9000')];
    expect([...lowerPages(list)].map((lines) => lines.map(({ pa }) => pa))).toEqual([
      [undefined, '0x1000', '0x3000', '0x2000', '0x4000'],
    ]);
    expect([...lowerPages([{ op: 'machine' }, at('0x40001008')])]).toEqual([]);
  });
});
