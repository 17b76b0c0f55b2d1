/** The recorded stale DMA of a real driver, explained down to the store with its program counter. */
import { beforeAll, describe, expect, it } from 'vitest';
import { captures } from '../../support/import-trace.ts';
import { openShell } from './backwalk.ts';

const shell = openShell();

beforeAll(async () => {
  await shell.backwalk('import', 'qemu-trace', captures.stale);
}, 60_000);

describe('why of a captured stale DMA', () => {
  it('names the store that was not followed by an invalidation, with CPU and program counter', async () => {
    const { out, code } = await shell.backwalk('why', '@{first finding}');
    expect(code).toBe(0);
    expect(out.every((line) => /^main@\d+ /.test(line) && line.length <= 80)).toBe(true);
    expect(`\n${out.join('\n')}\n`).toMatchInlineSnapshot(`
      "
      main@579  edu write 64B iova=0xfffff000 -> 0x48174000 via hit sid=0x20 (line
      main@579  │   481) [IHI 0070 3.4]
      main@579  ├─ finding I3: used-stale: stale-translation-used in DMA write by edu
      main@579  │  │   (SID 0x20)
      main@571  │  ├─ blame: cpu0 [0x48193ff8] 0x48174f47 -> 0x0 (pc
      main@571  │  │      0xffff8000088b3f00, cpu 0, line 474)
      main@579  │  ├─ needed: CMD_TLBI_NH_VA VMID=0 ASID=1 Address=0xfffff000 Leaf=1;
      main@579  │  │      CMD_SYNC
      main@543  │  └─ nearest: CMD_TLBI_NH_VA ASID=1 Leaf=1 TTL=3 TG=4KB
      main@543  │     │   Address=0xfffff000 too early: performed before the change
      main@543  │     └─ entry: smmu0 cmdq[13] CMD_TLBI_NH_VA [IHI 0070 4.1.2]
      main@542  │        ├─ removed: smmu0 tlb 1 removed: 521 [IHI 0070 4.4]
      main@537  │        │  ├─ by: smmu0 cmdq[13] CMD_TLBI_NH_VA { ASID=1 Leaf=1 TTL=3
      main@537  │        │  │  │   TG=4KB Address=0xfffff000 } [IHI 0070 3.5.1]
      main@537  │        │  │  └─ 3 more: backwalk why main@537
      main@521  │        │  └─ removed: smmu0 tlb 0xfffff000/4K -> 0x48111000 asid=0x1
      main@521  │        │     │   vmid=0x0 S1 L3
      main@521  │        │     └─ 4 more: backwalk why main@521
      main@537  │        └─ fetched: smmu0 cmdq[13] CMD_TLBI_NH_VA { ASID=1 Leaf=1
      main@537  │               TTL=3 TG=4KB Address=0xfffff000 } (told above)
      main@571  ├─ changed since entry @565 was filled: cpu0 [0x48193ff8] 0x48174f47
      main@571  │      -> 0x0 (pc 0xffff8000088b3f00, cpu 0, line 474) (told above)
      main@578  ├─ not removed: smmu0 performed no CMD_TLBI_* after @571 up to @578
      main@578  │      [IHI 0070 3.21]
      main@543  ├─ nearest: CMD_TLBI_NH_VA ASID=1 Leaf=1 TTL=3 TG=4KB
      main@543  │  │   Address=0xfffff000: too early: performed before the change [IHI
      main@543  │  │   0070 4.4.2.4]
      main@537  │  └─ fetched: smmu0 cmdq[13] CMD_TLBI_NH_VA { ASID=1 Leaf=1 TTL=3
      main@537  │         TG=4KB Address=0xfffff000 } (told above)
      main@579  ├─ permitted: a write: the entry @565 holds RW [IHI 0070 13.4]
      main@565  ├─ served by: smmu0 tlb 0xfffff000/4K -> 0x48174000 asid=0x1 vmid=0x0
      main@565  │  │   S1 L3
      main@564  │  ├─ S1 L3: [0x48193ff8] is 0x48174f47
      main@553  │  │  └─ stored by: cpu0 [0x48193ff8] 0x0 -> 0x48174f47 (pc
      main@553  │  │         0xffff8000088b4734, cpu 0, line 451)
      main@563  │  ├─ S1 L2: [0x48171ff8] is 0x48193003
      main@507  │  │  └─ stored by: cpu0 [0x48171ff8] 0x0 -> 0x48193003 (pc
      main@507  │  │         0xffff8000088b3cfc, cpu 0, line 406)
      main@562  │  ├─ S1 L1: [0x48207018] is 0x48171003
      main@505  │  │  └─ stored by: cpu0 [0x48207018] 0x0 -> 0x48171003 (pc
      main@505  │  │         0xffff8000088b3cfc, cpu 0, line 404)
      main@561  │  └─ S1 L0: [0x48172000] is 0x48207003
      main@503  │     └─ stored by: cpu0 [0x48172000] 0x0 -> 0x48207003 (pc
      main@503  │            0xffff8000088b3cfc, cpu 0, line 402)
      main@473  ├─ CD: smmu0 cd sid=0x20 ssid=0x0 from [0x48117000] [IHI 0070 3.3]
      main@428  │  ├─ stored by: outside [0x48117000] =
      main@428  │  │      103500c004e201000020174800000000... 32B (line 363)
      main@471  │  └─ placed by STE: smmu0 ste sid=0x20 ssid=0x0 from [0x5b660800]
      main@430  │     ├─ stored by: cpu0 [0x5b660800] 0x1 -> 0x4811700b (pc
      main@430  │     │      0xffff8000088a8210, cpu 0, line 362)
      main@401  │     ├─ stored by: cpu0 [0x5b660808] 0x100000000000 -> 0xd6 (pc
      main@401  │     │      0xffff8000088a8140, cpu 0, line 347)
      main@362  │     ├─ stored by: outside [0x5b660000] =
      main@362  │     │      01000000000000000000000000100000... 4048B (line 326)
      main@469  │     └─ placed by L1STD: smmu0 l1std sid=0x0 ssid=0x0 from
      main@469  │        │   [0x4308a000]
      main@370  │        ├─ stored by: cpu0 [0x4308a000] 0x0 -> 0x5b660009 (pc
      main@370  │        │      0xffff8000088a4700, cpu 0, line 325)
      main@224  │        └─ placed by: smmu0 STRTAB_BASE 0x0 -> 0x400000004308a000
      main@224  │               (ADDR 0x0 -> 0x4308a000, RA 0 -> 1) (cpu 0, line 217)
      main@224  │               [IHI 0070 6.3]
      main@471  └─ STE: smmu0 ste sid=0x20 ssid=0x0 from [0x5b660800] (told above)
      "
    `);
  });

  it('needs no rules for that: the entry, its walk and the stores are facts of the log', async () => {
    const { out } = await shell.backwalk('why', 'main@579', '--json', '--depth', '4');
    const { below } = JSON.parse(out[0] ?? '{}');
    const [changed, missing, nearest] = below;
    expect(changed).toMatchObject({ position: 'main@571', role: 'changed since entry @565 was filled' });
    expect(changed.what).toContain('pc 0xffff8000088b3f00, cpu 0');
    expect(missing.what).toBe('smmu0 performed no CMD_TLBI_* after @571 up to @578');
    expect(nearest.what).toContain('too early: performed before the change');
    const served = below.find(({ role }: { role: string }) => role === 'served by');
    expect(served.below[0].below[0]).toMatchObject({ position: 'main@553', role: 'stored by' });
  });
});
