/** Why something did not happen, letter for letter at 80 columns: a text for each condition that stands in the way. */
import { describe, expect, it } from 'vitest';
import type { ScenarioLine } from '../../../adapters/scenario/scenario.ts';
import { at, boot, dma, invalidate, machine, map, register, story, unmap } from '../story.ts';
import { command, history, turn, why } from './explained.ts';

describe('why not removed', () => {
  const shell = history([
    machine,
    ...boot(),
    map,
    dma,
    command(0, 'CMD_TLBI_NH_VA', { ASID: 8, Address: at.iova, Leaf: true }),
    command(1, 'CMD_TLBI_NH_VA', { ASID: 7, Address: 0x9000, Leaf: true }),
    command(2, 'CMD_CFGI_STE', { StreamID: 9, Leaf: true }),
    register('CMDQ_PROD', 3),
    unmap,
    dma,
  ]);

  it('tells the field by which each command missed, nearest entry first', async () => {
    const { out } = await shell.backwalk('log', '--type', 'command.performed', '--json');
    const [asid = '', address = '', stream = ''] = out.map((line) => JSON.parse(line).position);
    expect(await why(shell, 'not', 'removed', asid, '--depth', '1')).toMatchInlineSnapshot(`
      "
      main@49  why not removed
      main@49  ├─ removed nothing: entry @33 stays: ASID differs: 0x8, the entry has
      main@49  │  │   0x7 [IHI 0070 4.4.2.4]
      main@49  │  └─ 1 more: backwalk why main@33
      main@49  ├─ removed nothing: entry @31 stays: ASID differs: 0x8, the entry has
      main@49  │  │   0x7; Leaf=1 leaves table entries alone, Leaf=0 is needed
      main@49  │  └─ 1 more: backwalk why main@31
      main@49  └─ removed nothing: entry @29 stays: ASID differs: 0x8, the entry has
      main@49     │   0x7; Leaf=1 leaves table entries alone, Leaf=0 is needed
      main@49     └─ 1 more: backwalk why main@29
      "
    `);
    expect(await why(shell, 'not', 'removed', address, '--depth', '1')).toMatchInlineSnapshot(`
      "
      main@56  why not removed
      main@56  ├─ removed nothing: entry @33 stays: range 0x9000-0x9fff does not hold
      main@56  │  │   0x1000 [IHI 0070 4.4.2.4]
      main@56  │  └─ 1 more: backwalk why main@33
      main@56  ├─ removed nothing: entry @31 stays: Leaf=1 leaves table entries alone,
      main@56  │  │   Leaf=0 is needed
      main@56  │  └─ 1 more: backwalk why main@31
      main@56  └─ removed nothing: entry @29 stays: Leaf=1 leaves table entries alone,
      main@56     │   Leaf=0 is needed
      main@56     └─ 1 more: backwalk why main@29
      "
    `);
    expect(await why(shell, stream, '--depth', '1')).toMatchInlineSnapshot(`
      "
      main@63  smmu0 cmdq[2] CMD_CFGI_STE [IHI 0070 4.1.2]
      main@63  ├─ removed nothing: entry @27 stays: StreamID differs: 0x9, the entry
      main@63  │  │   has 0x8 [IHI 0070 4.3.1]
      main@63  │  └─ 1 more: backwalk why main@27
      main@63  ├─ removed nothing: entry @25 stays: StreamID differs: 0x9, the entry
      main@63  │  │   has 0x8
      main@63  │  └─ 1 more: backwalk why main@25
      main@58  └─ fetched: smmu0 cmdq[2] CMD_CFGI_STE { StreamID=9 Leaf=1 } [IHI 0070
      main@58     │   3.5.1]
      main@58     └─ 2 more: backwalk why main@58
      "
    `);
  });

  it('tells of an entry which commands came near, and that none came after the change', async () => {
    expect(await why(shell, 'not', 'removed', '@33', '--depth', '1')).toMatchInlineSnapshot(`
      "
      main@33  why not removed
      main@65  ├─ changed since entry @33 was filled: outside [0x40052008]
      main@65  │      0x60000040100f43 -> 0x0 (line 17)
      main@67  └─ not removed: smmu0 performed no CMD_TLBI_* after @65 up to @67 [IHI
      main@67         0070 3.21]
      "
    `);
  });

  it('tells of an entry that is still right', async () => {
    expect(await why(shell, 'not', 'removed', '@31', '--depth', '1')).toMatchInlineSnapshot(`
      "
      main@31  why not removed
      main@67  └─ still right: memory holds what it was filled from
      "
    `);
  });
});

describe('why not removed where nothing is cached', () => {
  const shell = history([machine, ...boot(), ...invalidate()]);

  it('says that nothing was', async () => {
    const { out } = await shell.backwalk('log', '--type', 'command.performed', '--json');
    const [tlbi = ''] = out.map((line) => JSON.parse(line).position);
    expect(await why(shell, 'not', 'removed', tlbi)).toMatchInlineSnapshot(`
      "
      main@33  why not removed
      main@33  └─ removed nothing: the TLB and the walk cache held nothing [IHI 0070
      main@33         4.4.2.4]
      "
    `);
  });
});

describe('why not fault', () => {
  const shell = history([
    machine,
    register('GBPA', 0x8000_0000),
    { ...dma, iova: '0x40100000' },
    ...boot(),
    map,
    dma,
  ]);

  it('names the bits that let an access through untranslated', async () => {
    expect(await why(shell, 'not', 'fault', '@6')).toMatchInlineSnapshot(`
      "
      main@6  why not fault
      main@5  ├─ allowed: SMMUEN=0 and GBPA.ABORT=0: it passes untranslated [IHI 0070
      main@5  │      3.11]
      main@0  ├─ CR0: smmu0.CR0 was not changed since reset [IHI 0070 6.3]
      main@4  └─ GBPA: smmu0 GBPA 0x80000000 -> 0x0 (Update 1 -> 0)
      main@1     └─ in the course of: outside smmu0.GBPA = 0x80000000 (line 2)
      main@2        └─ gave: smmu0 GBPA 0x0 -> 0x80000000 (Update 0 -> 1) (line 2)
      "
    `);
  });

  it('names what permitted a translated one', async () => {
    expect(await why(shell, 'not', 'fault', '@{100%}', '--depth', '1')).toMatchInlineSnapshot(`
      "
      main@40  why not fault
      main@40  ├─ permitted: a read: the entry @39 holds RW PXN UXN [IHI 0070 13.4]
      main@39  ├─ walked, and filled: smmu0 tlb 0x1000/4K -> 0x40100000 asid=0x7
      main@39  │  │   vmid=0x0 S1 L3 [IHI 0070 3.4]
      main@39  │  └─ 4 more: backwalk why main@39
      main@33  ├─ CD: smmu0 cd sid=0x8 ssid=0x0 from [0x40020000] [IHI 0070 3.3]
      main@33  │  └─ 2 more: backwalk why main@33
      main@31  └─ STE: smmu0 ste sid=0x8 ssid=0x0 from [0x40010200]
      main@31     └─ 2 more: backwalk why main@31
      "
    `);
  });
});

describe('why not interrupt', () => {
  const fault = { ...dma, iova: '0x5000' };
  const illegal: ScenarioLine = { op: 'mem.write', pa: '0x40030000', u64: ['0xff', '0x0'] };
  const shell = history([
    machine,
    ...boot(),
    fault,
    register('IRQ_CTRL', 7),
    fault,
    illegal,
    register('CMDQ_PROD', 1),
  ]);

  it('names the enable that was 0, and the queue that was not empty', async () => {
    const { out } = await shell.backwalk('log', '--type', 'record.written', '--json');
    const [first = '', second = ''] = out.map((line) => JSON.parse(line).position);
    expect(await why(shell, 'not', 'interrupt', first)).toMatchInlineSnapshot(`
      "
      main@35  why not interrupt
      main@35  └─ no interrupt: IRQ_CTRL.EVENTQ_IRQEN=0 [IHI 0070 6.3.16]
      main@0      └─ IRQ_CTRL: smmu0.IRQ_CTRL was not changed since reset [IHI 0070
      main@0             6.3]
      "
    `);
    expect(await why(shell, 'not', 'interrupt', second)).toMatchInlineSnapshot(`
      "
      main@47  why not interrupt
      main@47  └─ no interrupt: the queue held entries already (CONS=0x0): only empty
      main@47     │   to non-empty raises one [IHI 0070 3.5.3]
      main@0      └─ EVENTQ_CONS: smmu0.EVENTQ_CONS was not changed since reset [IHI
      main@0             0070 6.3]
      "
    `);
  });

  it('points to the one that came', async () => {
    expect(await why(shell, 'not', 'interrupt', 'main', 'GERROR')).toMatchInlineSnapshot(`
      "
      main@59  why not interrupt
      main@59  └─ GERROR: there was one: smmu0 GERROR [IHI 0070 3.18]
      main@56     ├─ after: smmu0 cmdq[0] UNKNOWN CERROR_ILL: opcode 0xff is reserved
      main@56     │  │   [IHI 0070 7.1]
      main@56     │  ├─ because: CERROR_ILL: opcode 0xff is reserved
      main@54     │  └─ fetched: smmu0 cmdq[0] UNKNOWN 0xff 0x0 [IHI 0070 3.5.1]
      main@50     │     ├─ stored by: outside [0x40030000] =
      main@50     │     │      ff000000000000000000000000000000 (line 14)
      main@52     │     └─ published by: smmu0 CMDQ_PROD 0x0 -> 0x1 (WR 0 -> 1) (line
      main@52     │            15) [IHI 0070 6.3]
      main@38     └─ enabled by: smmu0 IRQ_CTRL 0x0 -> 0x7 (GERROR_IRQEN 0 -> 1,
      main@38            PRIQ_IRQEN 0 -> 1, EVENTQ_IRQEN 0 -> 1) (line 12)
      "
    `);
  });

  it('says what never happened', async () => {
    expect(await why(shell, 'not', 'interrupt', 'main', 'CMD_SYNC')).toMatchInlineSnapshot(`
      "
      main@59  why not interrupt
      main@59  └─ CMD_SYNC: no interrupt: no CMD_SYNC completed [IHI 0070 3.18]
      "
    `);
  });

  it('names the error that stops the queue', async () => {
    expect(await why(shell, 'not', 'done', '--depth', '2')).toMatchInlineSnapshot(`
      "
      main@59  why not done
      main@59  ├─ stands still: GERROR.CMDQ_ERR is active (0x1): no command is taken
      main@59  │      until it is acknowledged [IHI 0070 7.1]
      main@56  └─ stopped at: smmu0 cmdq[0] UNKNOWN CERROR_ILL: opcode 0xff is
      main@56     │   reserved
      main@56     ├─ because: CERROR_ILL: opcode 0xff is reserved
      main@54     └─ fetched: smmu0 cmdq[0] UNKNOWN 0xff 0x0 [IHI 0070 3.5.1]
      main@54        └─ 2 more: backwalk why main@54
      "
    `);
  });
});

describe('why not done', () => {
  const manual = history([
    { ...machine, schedule: 'manual' },
    ...boot().slice(0, -1),
    register('CR0', 0x8),
    command(0, 'CMD_TLBI_NH_ALL', {}),
    command(1, 'CMD_SYNC', { CS: 'SIG_NONE' }),
    register('CMDQ_PROD', 2),
    { op: 'label', name: 'disabled' },
    turn('acknowledge'),
    { op: 'label', name: 'published' },
    ...['cmdq', 'consume', 'cmdq'].map((unit) => turn(unit)),
  ]);

  const unpublished = history([machine, ...boot(), command(0, 'CMD_TLBI_NH_ALL', {})]);

  it('says that PROD was not moved', async () => {
    expect(await why(unpublished, 'not', 'done')).toMatchInlineSnapshot(`
      "
      main@22  why not done
      main@22  ├─ nothing waits: the queue is empty: PROD has passed no command that
      main@22  │      CONS has not (slot at 0x40030000) [IHI 0070 3.5.1]
      main@22  ├─ stored and not published: outside [0x40030000] =
      main@22  │      10000000000000000000000000000000 (line 11)
      main@0   └─ PROD: smmu0.CMDQ_PROD was not changed since reset [IHI 0070 6.3]
      "
    `);
  });

  it('says that the queue is not enabled', async () => {
    expect(await why(manual, 'not', 'done', '@{disabled}')).toMatchInlineSnapshot(`
      "
      main@24  why not done
      main@24  └─ stands still: CMDQEN is 1 in CR0 and 0 in CR0ACK [IHI 0070 6.3.9]
      main@18     └─ CR0: smmu0 CR0 0x0 -> 0x8 (CMDQEN 0 -> 1) (line 10) [IHI 0070
      main@18            6.3]
      "
    `);
  });

  it('says that nobody had a turn', async () => {
    expect(await why(manual, 'not', 'done', '@{published}')).toMatchInlineSnapshot(`
      "
      main@26  why not done
      main@26  ├─ waits: the SMMU could take it and had no turn yet (schedule manual)
      main@24  └─ published by: smmu0 CMDQ_PROD 0x0 -> 0x2 (WR 0 -> 2) (line 13) [IHI
      main@24         0070 6.3]
      "
    `);
  });

  it('says what a CMD_SYNC waits for', async () => {
    expect(await why(manual, 'not', 'done', '--depth', '3')).toMatchInlineSnapshot(`
      "
      main@33  why not done
      main@28  ├─ waits: CMD_TLBI_NH_ALL is consumed, not performed [IHI 0070 4.1.2]
      main@33  │  ├─ waits: the SMMU could take it and had no turn yet (schedule
      main@33  │  │      manual)
      main@28  │  └─ fetched: smmu0 cmdq[0] CMD_TLBI_NH_ALL { } [IHI 0070 3.5.1]
      main@20  │     ├─ stored by: outside [0x40030000] =
      main@20  │     │      10000000000000000000000000000000 (line 11)
      main@24  │     └─ published by: smmu0 CMDQ_PROD 0x0 -> 0x2 (WR 0 -> 2) (line 13)
      main@24  │            [IHI 0070 6.3]
      main@33  └─ waits: CMD_SYNC is fetched, not consumed: 1 before it are not
      main@33     │   performed [IHI 0070 4.7.3]
      main@28     └─ waits for: smmu0 cmdq[0] CMD_TLBI_NH_ALL { } (told above)
      "
    `);
  });
});

describe('what cannot be explained', () => {
  const shell = history(story());
  const said = async (...args: readonly string[]): Promise<readonly [number, string]> => {
    const { code, err } = await shell.backwalk('why', ...args);
    return [code, err.join('\n')];
  };

  it('is refused with what was expected', async () => {
    expect(await said('not', 'happy')).toEqual([
      2,
      'backwalk: why not: expected fault, removed, done, interrupt, found "happy"',
    ]);
    expect(await said('not', 'fault', '@62')).toEqual([
      2,
      'backwalk: why not fault: expected the position of an access that completed, found access.terminated at main@62',
    ]);
    expect(await said('not', 'removed', '@1')).toEqual([
      2,
      'backwalk: why not removed: expected the position of a command or of the fill of a cached entry, found mem.write at main@1',
    ]);
    expect(await said('@0')).toEqual([2, 'backwalk: why: expected an entry (1 on), found main@0']);
    expect(await said('@5', '@6')).toEqual([2, 'backwalk: why: expected one position, found "@6" after it']);
    expect(await said('@5', '--depth', 'deep')).toEqual([
      2,
      'backwalk: --depth: expected a count, found "deep"',
    ]);
    expect((await said('smmu0.regs.CR00'))[1]).toContain('path smmu0.regs.CR00: expected');
  });
});
