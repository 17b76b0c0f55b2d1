/** What lines answer, and what is compared with what. */
import { describe, expect, it } from 'vitest';
import { contains, same } from '../../../adapters/scenario/compare.ts';
import { type LineResult, ScenarioRunner } from '../../../adapters/scenario/runner.ts';
import { type Op, type OpRow, vocabulary } from '../../../adapters/scenario/vocabulary.ts';
import { Simulation } from '../../../core/simulation.ts';
import { resetRegisters } from '../../../core/smmu/regs.ts';
import { initialState } from '../../../core/state.ts';
import { at, boot, dma, invalidate, machine, map, unmap } from '../story.ts';

function runner(): ScenarioRunner {
  return new ScenarioRunner({
    begin: (config) => new Simulation(initialState(config, resetRegisters)),
    label: (name) => ({ position: `main@{${name}}` }),
  });
}

/** The results of the lines, run on one machine. */
function run(...lines: readonly object[]): LineResult[] {
  const one = runner();
  return lines.map((line, index) => one.run(line, { file: 'test', line: index + 1 }));
}

const outcome = (results: readonly LineResult[]) => results.at(-1)?.outcome;
const failed = (results: readonly LineResult[]) => results.at(-1)?.failed;

describe('ops', () => {
  it('write and read registers by name and offset, 4 and 8 bytes', () => {
    const write = { op: 'mmio.write', smmu: 'smmu0', reg: 'STRTAB_BASE', value: '0x40010000' };
    const read = (more: object) => outcome(run(machine, write, { op: 'mmio.read', smmu: 'smmu0', ...more }));
    expect(read({ reg: 'STRTAB_BASE' })).toEqual({ value: '0x40010000' });
    expect(read({ offset: '0x80', size: 8 })).toEqual({ value: '0x40010000' });
    expect(read({ offset: 0x84 })).toEqual({ value: '0x0' });
    expect(read({ reg: 'IDR5' })).toEqual({ value: '0x400075' });
  });

  it('write memory as bytes, doublewords and words, and read it back', () => {
    const read = { op: 'mem.read', pa: at.page, bytes: 8 };
    const hex = (...writes: object[]) =>
      outcome(run(machine, ...writes.map((each) => ({ op: 'mem.write', pa: at.page, ...each })), read));
    expect(hex({ hex: '00112233445566FF' })).toEqual({ hex: '00112233445566ff' });
    expect(hex({ u64: ['0x1122334455667788'] })).toEqual({ hex: '8877665544332211' });
    expect(hex({ u32: [1, '0x2'] })).toEqual({ hex: '0100000002000000' });
    expect(hex({ hex: 'ff' })).toEqual({ hex: 'ff00000000000000' });
    expect(outcome(run(machine, { op: 'mem.read', pa: 0x1000, bytes: 8 }))).toEqual({ result: 'bus-error' });
    expect(outcome(run(machine, { op: 'mem.write', pa: 0x1000, u64: [1] }))).toEqual({ result: 'bus-error' });
  });

  it('issue a command that is done at once, as the eager schedule does all', () => {
    const issue = { op: 'command.issue', smmu: 'smmu0', command: 'CMD_TLBI_NSNH_ALL' };
    const results = run(machine, ...boot(), map, dma, issue, { op: 'run' });
    expect(outcome(results)).toEqual({ turns: 0, quiet: true });
    expect(
      outcome(run(machine, ...boot(), map, dma, issue, { op: 'check', path: 'smmu0.tlb', size: 0 })),
    ).toMatchObject({ pass: true });
  });

  it('transfer data, and name the event record of a fault', () => {
    const write = { ...dma, bytes: 4, access: 'write', hex: 'deadbeef' };
    expect(outcome(run(machine, ...boot(), map, write))).toEqual({ result: 'ok', pa: '0x40100000' });
    expect(outcome(run(machine, ...boot(), map, write, { ...dma, bytes: 4 }))).toEqual({
      result: 'ok',
      pa: '0x40100000',
      hex: 'deadbeef',
    });
    expect(outcome(run(machine, ...boot(), dma))).toEqual({ result: 'abort', event: 'F_TRANSLATION' });
    const pieces = outcome(run(machine, ...boot(), map, { ...dma, iova: 0x1ff8, bytes: 16 }));
    expect(pieces).toMatchObject({
      result: 'abort',
      pieces: [
        { result: 'ok', iova: '0x1ff8', size: 8, pa: '0x40100ff8' },
        { result: 'abort', iova: '0x2000' },
      ],
    });
  });

  it('give turns one by one where nobody else does', () => {
    const results = run(
      { ...machine, schedule: 'manual' },
      ...boot(),
      { op: 'turn', unit: 'smmu0.cmdq' },
      { op: 'run', turnsMax: 1 },
      { op: 'run' },
    );
    expect(results.slice(-3).map((each) => each.outcome)).toEqual([
      { moved: false },
      { turns: 1, quiet: true },
      { turns: 0, quiet: true },
    ]);
  });

  it('change settings and switches', () => {
    const uncached = [{ op: 'set', path: 'smmu0.caches.tlb', value: 0 }, map, dma, unmap];
    expect(outcome(run(machine, ...boot(), ...uncached, dma))).toEqual({
      result: 'abort',
      event: 'F_TRANSLATION',
    });
    const ats = { op: 'check', path: 'nvme0.ats', equals: true };
    expect(failed(run(machine, { op: 'endpoint.set', endpoint: 'nvme0', ats: true }, ats))).toEqual([]);
    const reset = { op: 'endpoint.set', endpoint: 'nvme0', reset: true };
    expect(
      failed(run(machine, { op: 'endpoint.set', endpoint: 'nvme0', ats: true }, reset, ats)),
    ).toHaveLength(1);
  });

  it('save fields of outcomes for later lines', () => {
    const saved = { op: 'mmio.read', smmu: 'smmu0', reg: 'STRTAB_BASE', save: { base: 'value' } };
    const results = run(machine, ...boot(), saved, {
      op: 'mem.read',
      pa: '$base',
      bytes: 4,
      expect: { hex: '00000000' },
    });
    expect(failed(results)).toEqual([]);
    expect(failed(run(machine, { ...saved, save: { base: 'valeu' } }))).toEqual([
      { field: 'save.base', expected: 'valeu', actual: ['value'] },
    ]);
  });

  it('compare outcomes with what is expected', () => {
    expect(failed(run(machine, ...boot(), map, { ...dma, expect: { result: 'ok', pa: at.page } }))).toEqual(
      [],
    );
    expect(failed(run(machine, ...boot(), { ...dma, expect: { result: 'ok' } }))).toEqual([
      { field: 'result', expected: 'ok', actual: 'abort' },
    ]);
  });

  it('invalidate by commands from the queue', () => {
    const cached = { op: 'check', path: 'smmu0.tlb', size: 1 };
    expect(failed(run(machine, ...boot(), map, dma, cached))).toEqual([]);
    expect(failed(run(machine, ...boot(), map, dma, ...invalidate(), { ...cached, size: 0 }))).toEqual([]);
  });
});

describe('check', () => {
  const checked = (path: string, what: object) =>
    outcome(run(machine, ...boot(), map, dma, { op: 'check', path, ...what }));
  const passing: readonly (readonly [path: string, what: object])[] = [
    ['smmu0.regs.CR0', { equals: 13 }],
    ['smmu0.regs.CR0', { equals: '0xD' }],
    ['smmu0.regs.CR0.SMMUEN', { equals: 1 }],
    ['smmu0.regs.CR0.SMMUEN', { equals: true }],
    ['smmu0.regs.CR0', { notEquals: 12 }],
    ['smmu0.ste[8].Config', { equals: 'S1' }],
    ['smmu0.ste[8]', { contains: { Config: 'S1', S1ContextPtr: '0x40020000' } }],
    ['smmu0.ste[9].V', { equals: 0 }],
    ['smmu0.ste[64]', { present: false }],
    ['smmu0.cd[8][0].ASID', { equals: 7 }],
    ['smmu0.tlb', { contains: { asid: 7, va: '0x1000' } }],
    ['smmu0.tlb', { size: 1 }],
    ['smmu0.walk', { size: 2 }],
    ['smmu0.cmdq', { size: 0 }],
    ['smmu0.evtq', { present: false }],
    ['smmu0.gerror', { equals: [] }],
    ['smmu0.profile', { contains: 'every' }],
    ['mem[0x40052008]', { equals: '0x60000040100f43' }],
  ];
  it.each(passing)('%s %j passes', (path, what) => {
    expect(checked(path, what)).toMatchObject({ pass: true });
  });

  it('tells the actual value when it fails', () => {
    expect(checked('smmu0.regs.CR0', { equals: 12 })).toEqual({ pass: false, actual: '0xd' });
    expect(checked('smmu0.tlb', { size: 3 })).toMatchObject({ pass: false, actual: [{ asid: '0x7' }] });
    expect(checked('smmu0.cmdq.size', { present: false })).toEqual({ pass: false, actual: 0 });
  });
});

describe('comparison', () => {
  it('takes numbers by their value, and nothing else for a number', () => {
    expect(same('0x10', 16)).toBe(true);
    expect(same(true, 1)).toBe(true);
    expect(same('16', '0x10')).toBe(true);
    expect(same('ok', 'OK')).toBe(false);
    expect(same({ a: 1, b: 2 }, { a: 1 })).toBe(false);
    expect(same({ a: 1, b: 2 }, { a: 1 }, true)).toBe(true);
    expect(same([1, 2], [1])).toBe(false);
    expect(same(null, 0)).toBe(false);
    expect(contains('abc', 'b')).toBe(true);
  });
});

describe('the vocabulary', () => {
  it('says for every op what it does and what it answers', () => {
    for (const [op, row] of Object.entries(vocabulary as Readonly<Record<Op, OpRow>>)) {
      expect(row.summary, op).not.toBe('');
      expect(row.outcome, op).toMatch(/^\{/);
      for (const field of row.oneOf ?? []) expect(Object.keys(row.fields), op).toContain(field);
    }
  });
});
