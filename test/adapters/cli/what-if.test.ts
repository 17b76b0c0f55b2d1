/** What-ifs: edits of a rerun, the divergence that is named, two branches compared, and a rerun that was stopped. */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { jsonl, story } from '../story.ts';
import { openShell } from './backwalk.ts';

const scenario = (name: string): string =>
  fileURLToPath(new URL(`../../scenario/${name}.jsonl`, import.meta.url));

describe('rerun --quirk', () => {
  const shell = openShell();

  beforeAll(async () => {
    await shell.backwalk('run', scenario('good-iommufd-guest-unmap'));
    await shell.backwalk('rerun', '@600', '--quirk', 'skip-tlbi', '--as', 'broken');
  }, 60_000);

  it('names the first entry that differs in more than its number', async () => {
    const { code, out } = await shell.backwalk('rerun', '@600', '--quirk', 'smmu0.skip-tlbi', '--json');
    expect(code).toBe(1);
    const { difference, edits, dropped, inserted } = JSON.parse(out[0] ?? '');
    expect({ edits, dropped, inserted }).toEqual({ edits: undefined, dropped: 0, inserted: 1 });
    // The command is not put into the queue: what stands in its slot is the CMD_SYNC behind it.
    expect(difference.recorded.type).toBe('memory.loaded');
    expect(difference.recorded.bytes).toMatch(/^12000000/);
    expect(difference.rerun.bytes).toMatch(/^46/);
  });

  it('is compared by findings, outcomes and work', async () => {
    const { code, out, err } = await shell.backwalk('compare', 'main', 'broken');
    expect({ code, err }).toEqual({ code: 1, err: [] });
    // What the rules find comes first, and there may be more rules one day.
    expect(out.join('\n')).toContain('only here:  I3 used-stale stale-translation-used in DMA read by nic0');
    const own = out.slice(out.findIndex((line) => line.includes('iova='))).join('\n');
    expect(`\n${own}\n`).toMatchInlineSnapshot(`
      "
      main@650  nic0 read 8B iova=0x4000  abort F_TRANSLATION: level 3 descriptor is
      main@650    invalid
      broken@642  nic0 read 8B iova=0x4000  ok 0x7fc00000
      broken@890  entries              314 | 280  *
      broken@890  accesses ok          0 | 1  *
      broken@890  accesses refused     1 | 0  *
      broken@890  walk reads           1 | 0  *
      broken@890  structure reads      3 | 3
      broken@890  cache fills          3 | 3
      broken@890  commands             18 | 16  *
      broken@890  syncs                8 | 8
      broken@890  ioctls               1 | 1
      broken@890  event records        1 | 0  *
      broken@890  interrupts           9 | 8  *
      broken@890  turns                56 | 48  *
      broken@890  CMD_CFGI_CD          2 | 2
      broken@890  CMD_CFGI_STE         4 | 4
      broken@890  CMD_PREFETCH_CONFIG  2 | 2
      broken@890  CMD_SYNC             8 | 8
      broken@890  CMD_TLBI_NH_VA       1 | 0  *
      broken@890  CMD_TLBI_S12_VMALL   1 | 0  *
      "
    `);
  });

  it('is compared in JSON, an object a line', async () => {
    const { out } = await shell.backwalk('compare', 'main', 'broken', '--json');
    const rows = out.map((line) => JSON.parse(line));
    expect(rows[0]).toEqual({ a: 'main@924', b: 'broken@890', shared: 610 });
    expect(rows.find((row) => 'findings' in row)?.findings.b).toBeGreaterThan(0);
    expect(rows.find((row) => 'finding' in row)).toMatchObject({ finding: 'I3', only: 'b' });
    expect(rows.find((row) => 'outcome' in row)).toEqual({
      outcome: 'nic0 read 8B iova=0x4000',
      a: { position: 'main@650', how: 'abort F_TRANSLATION: level 3 descriptor is invalid' },
      b: { position: 'broken@642', how: expect.stringMatching(/^ok 0x/) },
    });
    expect(rows).toContainEqual({ count: 'CMD_TLBI_NH_VA', a: 1, b: 0 });
  });

  it('is compared with itself: nothing differs', async () => {
    const { code, out } = await shell.backwalk('compare', 'broken', 'broken');
    expect(code).toBe(0);
    expect(out).toEqual([
      'broken@890  beside broken@890, which share 890 entries',
      expect.stringMatching(/^broken@890 {2}findings {13}(\d+) \| \1$/),
    ]);
  });

  it.each([
    ['skip-tlbl', '--quirk: expected [DRIVER.]NAME[=off] with one of skip-sync, skip-tlbi'],
    ['smmu9.skip-tlbi', '--quirk: expected a driver (smmu0), found "smmu9.skip-tlbi"'],
  ])('refuses %s, and makes no branch', async (quirk, expected) => {
    const before = await shell.backwalk('branch');
    const { code, err } = await shell.backwalk('rerun', '@600', '--quirk', quirk);
    expect(code).toBe(2);
    expect(err.join('\n')).toContain(expected);
    expect(await shell.backwalk('branch')).toEqual(before);
  });
});

describe('rerun', () => {
  const shell = openShell();

  beforeAll(async () => {
    await shell.backwalk('run', shell.file('story.jsonl', jsonl(story())));
  }, 60_000);

  it('without a driver has no quirks', async () => {
    const { code, err } = await shell.backwalk('rerun', '@20', '--quirk', 'skip-tlbi');
    expect(code).toBe(2);
    expect(err.join('\n')).toContain('expected a driver (there is none here)');
  });

  it('that drops the unmap makes the accesses agree again', async () => {
    const { code } = await shell.backwalk('rerun', '@{mapped}', '--drop', '35', '--as', 'kept');
    expect(code).toBe(1);
    const { out } = await shell.backwalk('compare', 'main', 'kept', '--json');
    const rows = out.map((line) => JSON.parse(line));
    expect(rows).toContainEqual({ findings: { a: 1, b: 0 } });
    const outcomes = rows.filter((row) => 'outcome' in row);
    expect(outcomes.map(({ a, b }) => [a.how, b.how])).toEqual([
      ['abort F_TRANSLATION: level 3 descriptor is invalid', 'ok 0x40100000'],
    ]);
  });

  it('that is stopped leaves no branch', async () => {
    const before = await shell.backwalk('branch');
    const { code, out } = await shell.stopped(0, 'rerun', '@{mapped}', '--drop', '35', '--as', 'half');
    expect({ code, out }).toEqual({ code: 130, out: [] });
    expect(await shell.backwalk('branch')).toEqual(before);
  });
});
