/**
 * Explanations on small histories, letter for letter at 80 columns: one text for each kind of question. Each
 * line begins with a position, and none is wider than 80.
 */
import { describe, expect, it } from 'vitest';
import { story } from '../story.ts';
import { history, why } from './explained.ts';

describe('why of an access', () => {
  const shell = history(story());

  it('names the entry that served it, what changed since, and what did not remove it', async () => {
    expect(await why(shell, '@{first finding}', '--depth', '2')).toMatchInlineSnapshot(`
      "
      main@38  nvme0 read 64B iova=0x1000 -> 0x40100000 via hit sid=0x8 (line 15) [IHI
      main@38  │   0070 3.4]
      main@38  ├─ finding I3: used-stale: stale-translation-used in DMA read by nvme0
      main@38  │  │   (SID 0x8)
      main@36  │  ├─ blame: outside [0x40052008] 0x60000040100f43 -> 0x0 (line 14)
      main@38  │  ├─ needed: CMD_TLBI_NH_VA VMID=0 ASID=7 Address=0x1000 Leaf=1;
      main@38  │  │      CMD_SYNC
      main@38  │  └─ nearest: no invalidation like it was queued
      main@36  ├─ changed since entry @33 was filled: outside [0x40052008]
      main@36  │      0x60000040100f43 -> 0x0 (line 14) (told above)
      main@37  ├─ not removed: smmu0 performed no CMD_TLBI_* after @36 up to @37 [IHI
      main@37  │      0070 3.21]
      main@38  ├─ permitted: a read: the entry @33 holds RW PXN UXN [IHI 0070 13.4]
      main@33  ├─ served by: smmu0 tlb 0x1000/4K -> 0x40100000 asid=0x7 vmid=0x0 S1 L3
      main@32  │  ├─ S1 L3: [0x40052008] is 0x60000040100f43
      main@32  │  │  └─ 1 more: backwalk why main@32
      main@30  │  ├─ S1 L2: [0x40051000] is 0x40052003
      main@30  │  │  └─ 1 more: backwalk why main@30
      main@28  │  ├─ S1 L1: [0x40050000] is 0x40051003
      main@28  │  │  └─ 1 more: backwalk why main@28
      main@31  │  └─ walk began from: smmu0 walk 0x0/2M -> 0x40052000 asid=0x7
      main@31  │     │   vmid=0x0 S1 L2
      main@31  │     └─ 2 more: backwalk why main@31
      main@27  ├─ CD: smmu0 cd sid=0x8 ssid=0x0 from [0x40020000] [IHI 0070 3.3]
      main@4   │  ├─ stored by: outside [0x40020000] =
      main@4   │  │      190000c005e207000000054000000000... 64B (line 3)
      main@25  │  └─ placed by STE: smmu0 ste sid=0x8 ssid=0x0 from [0x40010200]
      main@25  │     └─ 2 more: backwalk why main@25
      main@25  └─ STE: smmu0 ste sid=0x8 ssid=0x0 from [0x40010200] (told above)
      "
    `);
  });

  it('names the descriptor that refused it, and who stored it', async () => {
    expect(await why(shell, '@{last fault}', '--depth', '2')).toMatchInlineSnapshot(`
      "
      main@62  nvme0 read 64B iova=0x1000 abort F_TRANSLATION: level 3 descriptor is
      main@62  │   invalid sid=0x8 (line 19) [IHI 0070 3.12]
      main@62  ├─ because: F_TRANSLATION: level 3 descriptor is invalid [IHI 0070
      main@62  │      7.3.13]
      main@60  ├─ read: smmu0 S1 L3 [0x40052008] is 0x0 [IHI 0070 3.4]
      main@36  │  └─ stored by: outside [0x40052008] 0x60000040100f43 -> 0x0 (line 14)
      main@27  ├─ CD: smmu0 cd sid=0x8 ssid=0x0 from [0x40020000] [IHI 0070 3.3]
      main@4   │  ├─ stored by: outside [0x40020000] =
      main@4   │  │      190000c005e207000000054000000000... 64B (line 3)
      main@25  │  └─ placed by STE: smmu0 ste sid=0x8 ssid=0x0 from [0x40010200]
      main@25  │     └─ 2 more: backwalk why main@25
      main@25  └─ STE: smmu0 ste sid=0x8 ssid=0x0 from [0x40010200] (told above)
      "
    `);
  });

  it('is silent about changes where there was none', async () => {
    expect(await why(shell, '@34', '--depth', '1')).toMatchInlineSnapshot(`
      "
      main@34  nvme0 read 64B iova=0x1000 -> 0x40100000 via walk sid=0x8 (line 13)
      main@34  │   [IHI 0070 3.4]
      main@34  ├─ permitted: a read: the entry @33 holds RW PXN UXN [IHI 0070 13.4]
      main@33  ├─ walked, and filled: smmu0 tlb 0x1000/4K -> 0x40100000 asid=0x7
      main@33  │  │   vmid=0x0 S1 L3
      main@33  │  └─ 4 more: backwalk why main@33
      main@27  ├─ CD: smmu0 cd sid=0x8 ssid=0x0 from [0x40020000] [IHI 0070 3.3]
      main@27  │  └─ 2 more: backwalk why main@27
      main@25  └─ STE: smmu0 ste sid=0x8 ssid=0x0 from [0x40010200]
      main@25     └─ 2 more: backwalk why main@25
      "
    `);
  });

  it('goes on where it was cut off', async () => {
    const cut = await why(shell, '@34', '--depth', '1');
    expect(cut).toContain('backwalk why main@33');
    expect(await why(shell, '@33', '--depth', '0')).toMatchInlineSnapshot(`
      "
      main@33  smmu0 tlb 0x1000/4K -> 0x40100000 asid=0x7 vmid=0x0 S1 L3 [IHI 0070
      main@33  │   3.4]
      main@33  └─ 4 more: backwalk why main@33
      "
    `);
  });

  it('has the same tree in JSON', async () => {
    const { out } = await shell.backwalk('why', '@{last fault}', '--json', '--depth', '2');
    const [first = ''] = out;
    const told = JSON.parse(first);
    expect(out).toHaveLength(1);
    expect(told.position).toBe('main@62');
    expect(told.below.map(({ role }: { role: string }) => role)).toEqual(['because', 'read', 'CD', 'STE']);
    expect(told.below[1].below).toEqual([
      { position: 'main@36', role: 'stored by', what: expect.stringContaining('outside'), below: [] },
    ]);
  });
});

describe('why of queues, records and registers', () => {
  const shell = history(story());

  it('leads from PROD through the record to the access', async () => {
    expect(await why(shell, '@66', '--depth', '3')).toMatchInlineSnapshot(`
      "
      main@66  smmu0 EVENTQ_PROD 0x0 -> 0x1 (WR 0 -> 1) [IHI 0070 6.3]
      main@65  └─ after: smmu0 evtq[0] F_TRANSLATION [IHI 0070 7.2]
      main@61     ├─ raised: smmu0 F_TRANSLATION { StreamID=8 RnW=1 CLASS=IN
      main@61     │  │   InputAddr=0x1000 } [IHI 0070 7.3]
      main@62     │  └─ tells of: nvme0 read 64B iova=0x1000 abort F_TRANSLATION:
      main@62     │     │   level 3 descriptor is invalid sid=0x8 (line 19) [IHI 0070
      main@62     │     │   3.12]
      main@62     │     └─ 4 more: backwalk why main@62
      main@65     └─ no interrupt: IRQ_CTRL.EVENTQ_IRQEN=0 [IHI 0070 6.3.16]
      main@0         └─ IRQ_CTRL: smmu0.IRQ_CTRL was not changed since reset
      "
    `);
  });

  it('leads from a slot of the Event queue through what only carries the record', async () => {
    expect(await why(shell, 'smmu0.evtq[0].StreamID', '--depth', '4')).toMatchInlineSnapshot(`
      "
      main@66  smmu0.evtq[0].StreamID: 8
      main@64  └─ changed: - -> 8
      main@64     └─ by: smmu0 [0x40040000] = 10000000080000000000000008020000... 32B
      main@65        └─ carries: smmu0 evtq[0] F_TRANSLATION [IHI 0070 7.2]
      main@61           ├─ raised: smmu0 F_TRANSLATION { StreamID=8 RnW=1 CLASS=IN
      main@61           │  │   InputAddr=0x1000 } [IHI 0070 7.3]
      main@61           │  └─ 1 more: backwalk why main@61
      main@65           └─ no interrupt: IRQ_CTRL.EVENTQ_IRQEN=0 [IHI 0070 6.3.16]
      main@65              └─ 1 more: backwalk why main@0
      "
    `);
  });

  it('leads from a register field to the write', async () => {
    expect(await why(shell, 'smmu0.regs.CR0ACK.SMMUEN')).toMatchInlineSnapshot(`
      "
      main@66  smmu0.regs.CR0ACK.SMMUEN: 1
      main@20  └─ changed: 0 -> 1
      main@20     └─ by: smmu0 CR0ACK 0x0 -> 0xd (SMMUEN 0 -> 1, EVENTQEN 0 -> 1,
      main@20        │   CMDQEN 0 -> 1) [IHI 0070 6.3]
      main@18        └─ acknowledges: smmu0 CR0 0x0 -> 0xd (SMMUEN 0 -> 1, EVENTQEN 0
      main@18               -> 1, CMDQEN 0 -> 1) (line 10)
      "
    `);
  });

  it('says so where nothing has changed a value', async () => {
    expect(await why(shell, 'smmu0.regs.GERROR')).toMatchInlineSnapshot(`
      "
      main@66  smmu0.regs.GERROR: 0x00000000  { }
      main@0   └─ unchanged: as the machine was made: nothing has changed it
      "
    `);
  });

  it('leads from a cache entry to the stores behind it', async () => {
    expect(await why(shell, 'smmu0.tlb[33]', '@34', '--depth', '3')).toMatchInlineSnapshot(`
      "
      main@34  smmu0.tlb[33]: regime=EL1 stage=1 vmid=0x0 asid=0x7 global=false
      main@34  │   va=0x1000 sizeLog2=12 granuleLog2=12 level=3 leaf=true
      main@34  │   pa=0x40100000 attributes=0x1800d descriptorPa=0x40052008
      main@34  │   descriptor=0x60000040100f43 parent=31 aset=true
      main@33  └─ filled by: smmu0 tlb 0x1000/4K -> 0x40100000 asid=0x7 vmid=0x0 S1 L3
      main@33     │   [IHI 0070 3.4]
      main@32     ├─ S1 L3: [0x40052008] is 0x60000040100f43
      main@22     │  └─ stored by: outside [0x40052008] 0x0 -> 0x60000040100f43 (line
      main@22     │         11)
      main@30     ├─ S1 L2: [0x40051000] is 0x40052003
      main@8      │  └─ stored by: outside [0x40051000] 0x0 -> 0x40052003 (line 5)
      main@28     ├─ S1 L1: [0x40050000] is 0x40051003
      main@6      │  └─ stored by: outside [0x40050000] 0x0 -> 0x40051003 (line 4)
      main@31     └─ walk began from: smmu0 walk 0x0/2M -> 0x40052000 asid=0x7
      main@31        │   vmid=0x0 S1 L2
      main@30        ├─ S1 L2: [0x40051000] is 0x40052003 (told above)
      main@29        └─ walk began from: smmu0 walk 0x0/1G -> 0x40051000 asid=0x7
      main@29           │   vmid=0x0 S1 L1
      main@29           └─ 1 more: backwalk why main@29
      "
    `);
  });

  it('leads from a descriptor to its store', async () => {
    expect(await why(shell, 'mem[0x40052008]', '@40')).toMatchInlineSnapshot(`
      "
      main@40  mem[0x40052008]: 0x0
      main@36  └─ changed: 0x60000040100f43 -> 0x0
      main@36     └─ by: outside [0x40052008] 0x60000040100f43 -> 0x0 (line 14)
      "
    `);
  });

  it('leads from a CMD_SYNC to what it completes', async () => {
    expect(await why(shell, '@58', '--depth', '2')).toMatchInlineSnapshot(`
      "
      main@58  smmu0 cmdq[1] [IHI 0070 4.7.3]
      main@54  ├─ fetched: smmu0 cmdq[1] CMD_SYNC { } [IHI 0070 3.5.1]
      main@42  │  ├─ stored by: outside [0x40030010] =
      main@42  │  │      46000000000000000000000000000000 (line 17)
      main@44  │  └─ published by: smmu0 CMDQ_PROD 0x0 -> 0x2 (WR 0 -> 2) (line 18)
      main@44  │         [IHI 0070 6.3]
      main@52  └─ completes: smmu0 cmdq[0] CMD_TLBI_NH_VA [IHI 0070 4.1.2]
      main@51     ├─ removed: smmu0 tlb 1 removed: 33 [IHI 0070 4.4]
      main@51     │  └─ 2 more: backwalk why main@51
      main@46     └─ fetched: smmu0 cmdq[0] CMD_TLBI_NH_VA { ASID=7 Leaf=1
      main@46        │   Address=0x1000 }
      main@46        └─ 2 more: backwalk why main@46
      "
    `);
  });
});
