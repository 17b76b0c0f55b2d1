/** Each view on one small story, letter for letter: these texts are what people paste into mails. */
import { beforeAll, describe, expect, it } from 'vitest';
import { jsonl, story } from '../story.ts';
import { openShell } from './backwalk.ts';

const shell = openShell();
const lines = async (...args: string[]): Promise<readonly string[]> => (await shell.backwalk(...args)).out;

beforeAll(async () => {
  await shell.backwalk('run', shell.file('story.jsonl', jsonl(story())));
});

describe('log', () => {
  it('prints entries one a line, cut at 80 columns', async () => {
    expect(await lines('log', '-n', '8')).toEqual([
      'main@59    outside   dma               read 64B iova=0x1000',
      'main@60    smmu0     descriptor.fetched S1 L3 [0x40052008] is 0x0',
      'main@61    smmu0     record.raised     F_TRANSLATION { StreamID=8 RnW=1 CLASS...',
      'main@62    nvme0     access.terminated read 64B iova=0x1000 abort F_TRANSLATI...',
      'main@63    scheduler turn              smmu0.evtq',
      'main@64    smmu0     memory.loaded     [0x40040000] = 10000000080000000000000...',
      'main@65    smmu0     record.written    evtq[0] F_TRANSLATION',
      'main@66    smmu0     register.updated  EVENTQ_PROD 0x0 -> 0x1 (WR 0 -> 1)',
    ]);
  });

  it('takes the first entries with --from', async () => {
    expect(await lines('log', '--from', '@43', '-n', '2')).toEqual([
      'main@43    outside   mmio.write        smmu0.CMDQ_PROD = 0x2',
      'main@44    smmu0     register.written  CMDQ_PROD 0x0 -> 0x2 (WR 0 -> 2)',
    ]);
  });

  it('filters by actor, type and what was touched', async () => {
    expect(await lines('log', '--type', 'command.*', '--actor', 'smmu0', '..main@50')).toEqual([
      'main@46    smmu0     command.fetched   cmdq[0] CMD_TLBI_NH_VA { ASID=7 Leaf=1...',
      'main@48    smmu0     command.consumed  cmdq[0] CMD_TLBI_NH_VA',
    ]);
    expect(
      (await lines('log', '--touching', 'mem[0x40052008]')).map((line) => line.slice(0, 39).trim()),
    ).toEqual([
      'main@21    outside   mem.write',
      'main@22    outside   memory.written',
      'main@32    smmu0     descriptor.fetched',
      'main@33    smmu0     tlb.filled',
      'main@35    outside   mem.write',
      'main@36    outside   memory.written',
      'main@60    smmu0     descriptor.fetched',
    ]);
    expect((await lines('log', '--touching', 'asid:7')).length).toBe(3);
    expect((await lines('log', '--touching', 'command:CMD_SYNC')).length).toBe(2);
  });

  it('has all fields in JSON', async () => {
    const [line = ''] = await lines('log', '--json', '--from', '@36', '-n', '1');
    expect(JSON.parse(line)).toEqual({
      position: 'main@36',
      seq: 36,
      tick: 13,
      cause: 35,
      actor: 'outside',
      type: 'memory.written',
      pa: '0x40052008',
      value: '0x0',
      old: '0x60000040100f43',
    });
  });
});

describe('show', () => {
  it('decodes what stands at paths, each line with its position', async () => {
    expect(await lines('show', '@34', 'smmu0.regs.CR0', 'smmu0.cmdq', 'smmu0.ste[8]', 'smmu0.tlb')).toEqual([
      'main@34  smmu0.regs.CR0  0x0000000d  { SMMUEN=1 EVENTQEN=1 CMDQEN=1 }',
      'main@34  smmu0.cmdq.base  0x40030000',
      'main@34  smmu0.cmdq.capacity  16',
      'main@34  smmu0.cmdq.prod  0',
      'main@34  smmu0.cmdq.cons  0',
      'main@34  smmu0.cmdq.size  0',
      'main@34  smmu0.cmdq.err  CERROR_NONE',
      'main@34  smmu0.ste[8]  STE at 0x40010200  { V=1 Config=S1',
      'main@34    S1ContextPtr=0x40020000 SHCFG=USE_INCOMING }',
      expect.stringMatching(/^main@34 {2}smmu0\.tlb\[33\] {2}regime=EL1 stage=1 vmid=0x0 asid=0x7/),
      'main@34    va=0x1000 sizeLog2=12 granuleLog2=12 level=3 leaf=true pa=0x40100000',
      'main@34    attributes=0x1800d descriptorPa=0x40052008',
      'main@34    descriptor=0x60000040100f43 parent=31 aset=true',
    ]);
  });

  it('gives values in JSON', async () => {
    const said = await lines(
      'show',
      '--json',
      '@{mapped}',
      'smmu0.regs.CR0',
      'smmu0.cmdq.size',
      'mem[0x40052008]',
    );
    expect(said.map((line) => JSON.parse(line))).toEqual([
      { position: 'main@22', path: 'smmu0.regs.CR0', value: '0xd' },
      { position: 'main@22', path: 'smmu0.cmdq.size', value: 0 },
      { position: 'main@22', path: 'mem[0x40052008]', value: '0x60000040100f43' },
    ]);
  });

  it('shows the whole machine without a path', async () => {
    const said = await lines('show');
    expect(said).toContain('main@66  smmu0.tlb  0 entries');
    expect(said).toContain('main@66  smmu0.cmdq  0 of 16 at 0x40030000  PROD=2 CONS=2');
    expect(said.every((line) => line.startsWith('main@66  ') && line.length <= 80)).toBe(true);
  });
});

describe('diff', () => {
  it('names what differs by field, and exits 1', async () => {
    const said = await shell.backwalk('diff', '@34', '@66');
    expect(said.code).toBe(1);
    expect(said.out).toEqual(
      expect.arrayContaining([
        'main@66  smmu0.regs.CMDQ_CONS.RD  0 -> 2',
        'main@66  smmu0.evtq.size  0 -> 1',
        'main@66  smmu0.cmdq[0].Address  0x0 -> 0x1000',
        'main@66  smmu0.evtq[0].StreamID  0 -> 8',
        'main@66  mem[0x40052008]  0x60000040100f43 -> 0x0',
      ]),
    );
  });

  it('exits 0 where nothing differs', async () => {
    expect(await shell.backwalk('diff', '@34..@66', 'smmu0.regs.CR0')).toEqual({ code: 0, out: [], err: [] });
  });
});

describe('last and watch', () => {
  it('tell the old value, the new one, and the entry', async () => {
    expect(await lines('last', 'smmu0.cmdq.cons')).toEqual([
      'main@57  smmu0.cmdq.cons  1 -> 2',
      'main@57    by  smmu0  register.updated CMDQ_CONS 0x1 -> 0x2 (RD 1 -> 2)',
    ]);
    expect(await lines('last', 'mem[0x40052008]', '@35')).toEqual([
      'main@22  mem[0x40052008]  0x0 -> 0x60000040100f43',
      'main@22    by  outside  memory.written [0x40052008] 0x0 -> 0x60000040100f43',
    ]);
    expect(await lines('last', 'smmu0.regs.GERROR')).toEqual([
      'main@0  smmu0.regs.GERROR  has not changed up to main@66',
    ]);
  });

  it('find every change of a range, through tables that were moved', async () => {
    const watched = (await lines('watch', '--json', 'smmu0.ste[8].Config')).map((line) => JSON.parse(line));
    expect(watched.map(({ position, before, after }) => [position, before, after])).toEqual([
      ['main@12', null, 'S1'],
    ]);
    const changes = (await lines('watch', '--json', 'smmu0.tlb', '@30..@60')).map((line) => JSON.parse(line));
    expect(changes.map(({ position, before, after }) => [position, before.length, after.length])).toEqual([
      ['main@33', 0, 1],
      ['main@51', 1, 0],
    ]);
  });
});

describe('check', () => {
  it('tells findings in two lines each, or with a report, and exits 1', async () => {
    const report = await shell.backwalk('check');
    expect(report.code).toBe(1);
    expect(report.out).toContain('BUG: backwalk: stale-translation-used in DMA read by nvme0 (SID 0x8)');
    expect(report.out.at(-1)).toBe('main@66  1 finding');
    expect(await shell.backwalk('check', '--brief')).toEqual({
      code: 1,
      out: [
        'main@38  I3 used-stale  stale-translation-used in DMA read by nvme0 (SID 0x8);',
        'main@38    blame main@36 store [0x40052008] 0x60000040100f43 -> 0x0',
        'main@66  1 finding',
      ],
      err: [],
    });
    expect(await shell.backwalk('check', '@37')).toEqual({ code: 0, out: ['main@37  0 findings'], err: [] });
  });

  it('tells no command that reads a pipe again', async () => {
    await shell.piped(jsonl(story()), 'run', '-', '--as', 'piped');
    const [first] = await lines('check', 'piped', '--json');
    await shell.backwalk('branch', 'main');
    expect(first).toContain('"reproduce":"backwalk check piped@1');
  });

  it('gives a position that other views take', async () => {
    expect(await lines('log', '@{first finding}', '-n', '1')).toEqual([
      'main@38    nvme0     access.completed  read 64B iova=0x1000 -> 0x40100000 via...',
    ]);
  });
});
