/** `bisect` on small stories: what it finds, what it cannot judge, what it refuses; and over kernels. */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { dma, jsonl, map, story, unmap } from '../story.ts';
import { openShell } from './backwalk.ts';

const shell = openShell();

beforeAll(async () => {
  await shell.backwalk('run', shell.file('story.jsonl', jsonl([...story(), map, dma, unmap])));
}, 60_000);

const bisect = (...args: readonly string[]) => shell.backwalk('bisect', ...args);

describe('bisect', () => {
  it('finds the first finding, with the entry', async () => {
    expect(await bisect('--when', 'finding(I3)')).toEqual({
      code: 0,
      out: [
        'main@38  first:  finding(I3)  (38 moments looked at)',
        'main@38    nvme0     access.completed  read 64B iova=0x1000 -> 0x40100000 via...',
      ],
      err: [],
    });
  });

  it.each([
    ['smmu0.regs.CR0.SMMUEN == 1', 'main@18'],
    ['smmu0.cmdq.cons >= 2', 'main@57'],
    ['smmu0.ste[8].Config == S1 and not smmu0.evtq.size == 0', 'main@66'],
    ['count(access.*) > 1', 'main@38'],
    ['finding(*) or count(record.raised) >= 1', 'main@38'],
    ['finding(coverage)', 'main@38'],
    ['not (smmu0.cmdq.prod < 2)', 'main@44'],
  ])('finds %s', async (when, position) => {
    const { code, out } = await bisect('--when', when, '--json', '..main@66');
    expect(code).toBe(0);
    expect(JSON.parse(out[0] ?? '')).toMatchObject({ position, when });
  });

  it('looks at few moments', async () => {
    const { out } = await bisect('--when', 'smmu0.cmdq.cons >= 2', '--json');
    expect(JSON.parse(out[0] ?? '').looked).toBeLessThan(2 + 7 + 2 * 16);
  });

  it('says where it holds at the start already', async () => {
    const { code, out } = await bisect('@30..@60', '--when', 'smmu0.regs.CR0.SMMUEN');
    expect({ code, out }).toEqual({
      code: 0,
      out: ['main@30  smmu0.regs.CR0.SMMUEN holds at the start already'],
    });
  });

  it('cannot judge what does not hold at the end, or does not go on holding (125)', async () => {
    const never = await bisect('--when', 'smmu0.cmdq.cons > 9');
    expect(never.code).toBe(125);
    expect(never.out.join(' ')).toContain('does not hold at the end of the main@74');
    // The entry of the TLB is there, is gone, and is there again.
    const again = await bisect('..@{100%}', '--when', 'smmu0.tlb.size > 0');
    expect(again.code).toBe(125);
    expect(again.out.join(' ')).toContain('use --every');
  });

  it('finds the first of several with --every', async () => {
    const { code, out } = await bisect('--when', 'smmu0.tlb.size > 0', '--every', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out[0] ?? '').position).toBe('main@33');
    const none = await bisect('--when', 'smmu0.tlb.size > 5', '--every');
    expect(none).toMatchObject({ code: 125 });
    expect(none.out.join(' ')).toContain('holds nowhere in the range');
  });

  it.each([
    ['', '--when: expected a path or a value at column 1, found the end'],
    ['smmu0.cmdq.cons >', '--when: expected a path or a value at column 18, found the end'],
    ['smmu0.cmdq.cons > 1 smmu0', '--when: expected and, or, or the end at column 21, found "smmu0"'],
    ['(smmu0.cmdq.cons > 1', '--when: expected ) at column 21, found the end'],
    ['smmu0.cmdq.cons ? 1', '--when: expected a path, a value or a comparison at column 16, found "? 1"'],
    ['smmu0.cmdq.conz > 1', '--when: path smmu0.cmdq.conz: expected one of'],
    ['smmu0.ste[8].Config > 1', '--when: expected numbers on both sides of >, found "S1" and "1"'],
    ['finding(B30)', '--when: finding: expected a rule of help rules, or *, found "B30"'],
    ['count(dmas)', '--when: count: expected a type such as tlb.filled, found "dmas"'],
  ])('refuses "%s"', async (when, expected) => {
    const { code, out, err } = await bisect('--when', when);
    expect({ code, out }).toEqual({ code: 2, out: [] });
    expect(err.join('\n')).toContain(expected);
  });

  it('leaves everything as it was when Ctrl-C is pressed', async () => {
    const before = await shell.backwalk('branch', '--json');
    const { code, out } = await shell.stopped(3, 'bisect', '--when', 'smmu0.cmdq.cons >= 2');
    expect({ code, out }).toEqual({ code: 130, out: [] });
    expect(await shell.backwalk('branch', '--json')).toEqual(before);
  });
});

describe('bisect --kernels', () => {
  const other = openShell();
  const scenario = fileURLToPath(
    new URL('../../scenario/bad-iommufd-batch-per-block.jsonl', import.meta.url),
  );

  beforeAll(async () => {
    await other.backwalk('run', scenario);
  }, 60_000);

  it('finds the first release whose rerun of the scenario has the finding', async () => {
    const { code, out } = await other.backwalk(
      'bisect',
      '--json',
      '--kernels',
      'linux-6.12..linux-6.15',
      '--when',
      'finding(I3)',
    );
    expect(code).toBe(0);
    expect(JSON.parse(out[0] ?? '')).toMatchObject({
      first: 'linux-6.13',
      scenario: true,
      looked: [
        { kernel: 'linux-6.12', holds: false },
        { kernel: 'linux-6.13', holds: true },
        { kernel: 'linux-6.14', holds: true },
        { kernel: 'linux-6.15', holds: true },
      ],
    });
  });

  it('cannot judge where the newest does not have it', async () => {
    const { code, out } = await other.backwalk(
      'bisect',
      '--kernels',
      'linux-7.2..linux-7.3-validate-first',
      '--when',
      'count(commands.unissued)',
    );
    expect(code).toBe(125);
    expect(out.join(' ')).toContain('cannot judge');
  });

  it.each([
    ['linux-6.12..linux-9.9', 'expected A..B of the profiles in help kernels, found "linux-9.9"'],
    ['linux-6.15..linux-6.13', 'expected an older kernel before a newer one'],
    ['linux-6.12', 'expected A..B of the profiles in help kernels, found ""'],
  ])('refuses %s', async (kernels, expected) => {
    const { code, err } = await other.backwalk('bisect', '--kernels', kernels, '--when', 'finding(I3)');
    expect(code).toBe(2);
    expect(err.join('\n')).toContain(expected);
  });

  it('refuses a history without a kernel', async () => {
    const { code, err } = await bisect('--kernels', 'linux-6.12..linux-6.15', '--when', 'finding(I3)');
    expect(code).toBe(2);
    expect(err.join('\n')).toContain('expected a history with a kernel, found none');
  });
});
