/** `search` on one small story: what it prints, from which side, and what it refuses. */
import { beforeAll, describe, expect, it } from 'vitest';
import { jsonl, story } from '../story.ts';
import { openShell } from './backwalk.ts';

const shell = openShell();

beforeAll(async () => {
  await shell.backwalk('run', shell.file('story.jsonl', jsonl(story())));
}, 60_000);

const positions = async (...args: readonly string[]): Promise<readonly string[]> => {
  const { out, code } = await shell.backwalk('search', '--json', ...args);
  expect(code).toBe(0);
  return out.map((line) => JSON.parse(line).position);
};

describe('search', () => {
  it('prints entries as log does, oldest first', async () => {
    expect((await shell.backwalk('search', '--asid', '7')).out).toEqual([
      'main@29    smmu0     tlb.filled        walk 0x0/1G -> 0x40051000 asid=0x7 vmi...',
      'main@31    smmu0     tlb.filled        walk 0x0/2M -> 0x40052000 asid=0x7 vmi...',
      'main@33    smmu0     tlb.filled        tlb 0x1000/4K -> 0x40100000 asid=0x7 v...',
    ]);
  });

  it('begins at either side, and stops after so many', async () => {
    expect(await positions('--type', 'access.*')).toEqual(['main@34', 'main@38', 'main@62']);
    expect(await positions('--type', 'access.*', '--back')).toEqual(['main@62', 'main@38', 'main@34']);
    expect(await positions('--type', 'access.*', '--back', '-n', '1', '@50')).toEqual(['main@38']);
    expect(await positions('--type', 'access.*', '-n', '1', '@34..')).toEqual(['main@38']);
  });

  it('takes several conditions together', async () => {
    expect(await positions('--iova', '0x1000..0x1fff', '--type', 'access.terminated')).toEqual(['main@62']);
    expect(await positions('--register', 'CR0', '--field', 'value=0xd')).toEqual(['main@18']);
    expect(await positions('--command', 'CMD_SYNC', '--type', 'command.fetched')).toEqual(['main@54']);
    expect(await positions('--record', 'F_TRANSLATION', '--actor', 'smmu0')).toEqual(['main@61', 'main@65']);
    expect(await positions('--pa', '0x40052008', '--type', 'memory.written')).toEqual(['main@22', 'main@36']);
    expect(await positions('--cache', 'smmu0.tlb', '--type', 'cache.invalidated')).toEqual(['main@51']);
  });

  it('finds where a rule was broken', async () => {
    expect(await positions('--rule', 'I3')).toEqual(['main@38']);
    expect(await positions('--rule', 'coverage', '--endpoint', 'nvme0', '--back')).toEqual(['main@38']);
    expect(await positions('--rule', 'I3', '--type', 'dma')).toEqual([]);
  });

  it('says so where nothing matches', async () => {
    const none = { code: 0, out: ['main@66  nothing matches'], err: [] };
    expect(await shell.backwalk('search', '--sid', '99')).toEqual(none);
    expect(await shell.backwalk('search', '--errno', 'EINVAL', '--asid', '7')).toEqual(none);
  });

  it.each([
    [[], 'search: expected at least one of --type, --actor,'],
    [['--sid', 'x'], '--sid: expected a number, found "x"'],
    [
      ['--command', 'CMD_SNYC'],
      '--command: expected a name such as CMD_SYNC, found "CMD_SNYC" (did you mean CMD_SYNC?)',
    ],
    [['--record', 'F_FOO'], '--record: expected a name such as F_TRANSLATION, found "F_FOO"'],
    [
      ['--errno', 'EINVALID'],
      '--errno: expected a name such as EINVAL, found "EINVALID" (did you mean EINVAL?)',
    ],
    [['--register', 'CR00'], '--register: expected a register such as CR0 or smmu0.CR0, found "CR00"'],
    [['--register', 'smmu9.CR0'], '--register: expected one of smmu0 before the dot, found "smmu9.CR0"'],
    [['--endpoint', 'nvme1'], '--endpoint: expected one of nvme0, found "nvme1" (did you mean nvme0?)'],
    [['--iova', '0x2..0x1'], '--iova: expected a range whose end is not below its start, found "0x2..0x1"'],
    [['--pa', 'here'], '--pa: expected an address or A..B, found "here"'],
    [
      ['--type', 'tlb.fill'],
      '--type: expected a type such as tlb.filled, found "tlb.fill" (did you mean tlb.filled?)',
    ],
    [['--field', 'colour=red'], '--field: expected NAME=VALUE with the name of a field, found "colour=red"'],
    [['--asid', '7', '-n', 'few'], '-n: expected a count, found "few"'],
  ] as const)('refuses %j', async (args, expected) => {
    const { code, out, err } = await shell.backwalk('search', ...args);
    expect({ code, out }).toEqual({ code: 2, out: [] });
    expect(err.join('\n')).toContain(expected);
  });

  it('stops when Ctrl-C is pressed', async () => {
    const { code } = await shell.stopped(0, 'search', '--type', 'access.*');
    expect(code).toBe(130);
  });
});

describe('log --touching', () => {
  it('takes the same kinds of things', async () => {
    const said = async (what: string): Promise<number> =>
      (await shell.backwalk('log', '--touching', what)).out.length;
    expect(await said('record:F_TRANSLATION')).toBe(2);
    expect(await said('cache:smmu0.tlb')).toBe(2);
    expect(await said('smmu0.regs.CMDQ_PROD.WR')).toBe(1);
  });
});
