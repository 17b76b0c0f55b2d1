/** Paths over a state: values for JSON, texts, problems, and the keys under which changes are found. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ScenarioRunner } from '../../../adapters/scenario/runner.ts';
import { memoryKeys } from '../../../core/history/touch.ts';
import { encode } from '../../../core/layout/layout.ts';
import { nearNames } from '../../../core/path/near.ts';
import { structureAt } from '../../../core/path/where.ts';
import { isPathProblem, resolvePath } from '../../../core/path.ts';
import { Simulation } from '../../../core/simulation.ts';
import { CD, L1CD } from '../../../core/smmu/cd.ts';
import { resetRegisters } from '../../../core/smmu/regs.ts';
import { L1STD, STE } from '../../../core/smmu/ste.ts';
import { initialState, type State } from '../../../core/state.ts';
import { at, boot, dma, invalidate, machine, map, register, store } from '../../adapters/story.ts';

function stateAfter(...lines: readonly object[]): State {
  const runner = new ScenarioRunner({
    begin: (config) => new Simulation(initialState(config, resetRegisters)),
    label: () => ({ position: '' }),
  });
  for (const line of lines) runner.run(line, { file: 'test' });
  return runner.simulation?.state as State;
}

let state: State;
beforeAll(() => {
  state = stateAfter(machine, ...boot(), map, dma, ...invalidate(), map, dma, { ...dma, iova: 0x5000 });
});

const value = (path: string, of = state): unknown => {
  const found = resolvePath(of, path);
  return isPathProblem(found) ? found.problem : found.value;
};
const text = (path: string): string[] => {
  const found = resolvePath(state, path);
  return isPathProblem(found)
    ? [found.problem]
    : found.lines.map((line) => `${line.below} ${line.text}`.trim());
};

describe('values', () => {
  const rows: readonly (readonly [path: string, value: unknown])[] = [
    ['smmu0.regs.CR0', '0xd'],
    ['smmu0.regs.CR0.SMMUEN', 1],
    ['smmu0.regs.CR0.ATSCHK', 0],
    ['smmu0.regs.STRTAB_BASE', '0x40010000'],
    ['smmu0.regs.STRTAB_BASE.ADDR', '0x40010000'],
    ['smmu0.regs.STRTAB_BASE_CFG.FMT', 'LINEAR'],
    ['smmu0.cmdq.base', '0x40030000'],
    ['smmu0.cmdq.prod', 2],
    ['smmu0.cmdq.cons', 2],
    ['smmu0.cmdq.size', 0],
    ['smmu0.cmdq.capacity', 16],
    ['smmu0.cmdq.err', 'CERROR_NONE'],
    ['smmu0.cmdq[1].command', 'CMD_SYNC'],
    ['smmu0.cmdq[0].Address', '0x1000'],
    ['smmu0.cmdq[2].command', 'RESERVED'],
    ['smmu0.cmdq[16]', null],
    ['smmu0.evtq.size', 1],
    ['smmu0.evtq[0].record', 'F_TRANSLATION'],
    ['smmu0.evtq[0].InputAddr', '0x5000'],
    ['smmu0.evtq[0].StreamID', 8],
    ['smmu0.tlb.size', 1],
    ['smmu0.ste.size', 1],
    ['smmu0.ste[8].Config', 'S1'],
    ['smmu0.ste[8].S1ContextPtr', '0x40020000'],
    ['smmu0.ste[8].pa', '0x40010200'],
    ['smmu0.ste[64]', null],
    ['smmu0.ste[64].Config', null],
    ['smmu0.cd[8].ASID', 7],
    ['smmu0.cd[8][0].ASID', 7],
    ['smmu0.cd[8][1]', null],
    ['smmu0.cd[9]', null],
    ['smmu0.gerror', []],
    ['smmu0.caches.tlb', 'unbounded'],
    ['smmu0.invalidation', 'literal'],
    ['smmu0.profile', 'everything'],
    ['smmu0.inFlight', []],
    ['nvme0.ats', false],
    ['nvme0.streamId', 8],
    ['nvme0.atc', []],
    ['schedule', 'eager'],
    ['mem', [{ base: '0x40000000', size: '0x1000000' }]],
    [`mem[${at.leaf}]`, '0x60000040100f43'],
    ['mem[0x40052008]', '0x60000040100f43'],
    ['mem[0x0]', null],
  ];
  it.each(rows)('%s', (path, expected) => {
    expect(value(path)).toEqual(expected);
  });

  it('of a whole part have all of it', () => {
    expect(value('smmu0.regs')).toMatchObject({ CR0: '0xd', GERROR: '0x0' });
    expect(value('smmu0.tlb')).toMatchObject([{ asid: '0x7', va: '0x1000', leaf: true }]);
    expect(Object.keys(value('') as object)).toEqual(['smmu0', 'nvme0', 'mem', 'schedule']);
    expect(value('smmu0.evtq')).toMatchObject({ size: 1, entries: [{ record: 'F_TRANSLATION' }] });
    expect(() => JSON.stringify(value(''))).not.toThrow();
  });
});

describe('texts', () => {
  it('stand raw beside decoded', () => {
    expect(text('smmu0.regs.CR0')).toEqual(['0x0000000d  { SMMUEN=1 EVENTQEN=1 CMDQEN=1 }']);
    expect(text('smmu0.ste[8]')).toEqual([
      'STE at 0x40010200  { V=1 Config=S1 S1ContextPtr=0x40020000 SHCFG=USE_INCOMING }',
    ]);
    expect(text('smmu0.cmdq[1]')).toEqual([
      'CMD_SYNC 0x0000000000000046 0x0000000000000000  { Opcode=0x46 }',
    ]);
    expect(text('smmu0.ste[64]')).toEqual(['- (C_BAD_STREAMID: the table holds 2^6 StreamIDs)']);
    expect(text('mem[0x0]')).toEqual(['- (not RAM)']);
  });

  it('of a large part are brief about what is below', () => {
    expect(text('smmu0')).toContain('.tlb 1 entry');
    expect(text('smmu0')).toContain('.cmdq 0 of 16 at 0x40030000  PROD=2 CONS=2');
    expect(text('smmu0.regs').some((line) => line.startsWith('.GERROR'))).toBe(false);
  });
});

describe('a path that leads nowhere', () => {
  const rows: readonly (readonly [path: string, problem: string])[] = [
    ['smmu1', 'expected one of smmu0, nvme0, mem, schedule, found smmu1 (did you mean smmu0?)'],
    [
      'smmu0.cmdq.prd',
      'expected one of base, capacity, prod, cons, size, err, entries, or [slot of the queue] after smmu0.cmdq, found prd (did you mean prod?)',
    ],
    [
      'smmu0.regs.CR0[1]',
      'expected one of SMMUEN, PRIQEN, EVENTQEN, CMDQEN, ATSCHK, VMW, DPT_WALK_EN after smmu0.regs.CR0, found [1]',
    ],
    ['smmu0.regs.CR0.SMMUEN.x', 'expected nothing more after smmu0.regs.CR0.SMMUEN, found x'],
    ['mem[3]', 'expected [address, a multiple of 8] after mem, found [3]'],
    ['mem[x]', 'expected NAME.NAME or NAME[INDEX] at "[x]"'],
    ['.smmu0', 'expected NAME.NAME or NAME[INDEX] at ".smmu0"'],
    ['smmu0 ', 'expected NAME.NAME or NAME[INDEX] at " "'],
    [
      'smmu0.constructor',
      'expected one of regs, cmdq, evtq, priq, gerror, tlb, walk, ste, cd, l1std, l1cd, inFlight, ... after smmu0, found constructor',
    ],
  ];
  it.each(rows)('%s', (path, problem) => {
    const found = resolvePath(state, path);
    expect(isPathProblem(found) && found.problem).toBe(problem);
  });

  it('is told what may have been meant', () => {
    expect(nearNames('CMDQ_PRD', ['CMDQ_PROD', 'CMDQ_CONS', 'GERROR'])).toEqual(['CMDQ_PROD']);
    expect(nearNames('x', ['a', 'b'])).toEqual([]);
  });
});

describe('two-level tables', () => {
  const stream = 0x105;
  const substream = 0x43;
  const l2 = 0x4006_0000;
  const cds = 0x4007_0000;
  const leaf = 0x4008_0000;
  const lines = [
    machine,
    store(at.streamTable + 8, encode(L1STD, { Span: 9, L2Ptr: l2 })),
    store(
      l2 + 64 * 5,
      encode(STE, { V: true, Config: 'S1', S1Fmt: 'TWO_LEVEL_4K', S1CDMax: 8, S1ContextPtr: cds }),
    ),
    store(cds + 8, encode(L1CD, { V: true, L2Ptr: leaf })),
    store(leaf + 64 * 3, encode(CD, { V: true, ASID: 0x21 })),
    register('STRTAB_BASE', at.streamTable),
    register('STRTAB_BASE_CFG', 0x10000 + (8 << 6) + 12),
  ];

  it('are walked in memory', () => {
    const walked = stateAfter(...lines);
    expect(value(`smmu0.ste[${stream}].S1CDMax`, walked)).toBe(8);
    expect(value(`smmu0.ste[${stream}].pa`, walked)).toBe('0x40060140');
    expect(value(`smmu0.cd[${stream}][${substream}].ASID`, walked)).toBe(0x21);
    expect(value(`smmu0.cd[${stream}][3]`, walked)).toBeNull();
    expect(value('smmu0.ste[5]', walked)).toBeNull();
  });

  it('name every table their value was read from', () => {
    const found = resolvePath(stateAfter(...lines), `smmu0.cd[${stream}][${substream}]`);
    if (isPathProblem(found)) throw new Error(found.problem);
    const spans = [
      [at.streamTable + 8, 8],
      [l2 + 320, 64],
      [cds + 8, 8],
      [leaf + 192, 64],
    ] as const;
    expect(found.touchKeys).toEqual([
      'changed:smmu0.STRTAB_BASE',
      'changed:smmu0.STRTAB_BASE_CFG',
      ...spans.flatMap(([pa, size]) => memoryKeys(pa, size)),
    ]);
    expect(memoryKeys(at.streamTable + 8, 8)).toEqual(['block:0x40010', 'word:0x40010008']);
    expect(found.spans.map(({ pa, size }) => [pa, size])).toEqual(spans);
  });

  it('are known by their addresses', () => {
    const walked = stateAfter(
      { ...machine, endpoints: [{ name: 'nvme0', streamId: stream }] },
      ...lines.slice(1),
    );
    expect(structureAt(walked, l2 + 64 * 5 + 8)?.path).toBe('smmu0.ste[261]');
    expect(structureAt(walked, at.streamTable + 8)?.path).toBe('smmu0 L1STD 1');
    expect(structureAt(walked, leaf + 64 * 3)?.path).toBe(`smmu0.cd[261][${substream}]`);
    expect(structureAt(walked, 0x4009_0000)).toBeUndefined();
    expect(structureAt(state, at.cmdq + 16)?.path).toBe('smmu0.cmdq[1]');
    expect(structureAt(state, at.context)?.path).toBe('smmu0.cd[8][0]');
  });
});
