/** Each row of the table reads a line as the emulator prints it; other lines are told from broken ones. */
import { describe, expect, it } from 'vitest';
import { events } from '../../../adapters/qemu-trace/events.ts';
import { parseLine } from '../../../adapters/qemu-trace/parse.ts';
import { captureText } from '../../support/import-trace.ts';

const read = (text: string) => parseLine(text, 0, text.length, 1);

// name, line, some fields
const lines: readonly (readonly [string, Record<string, unknown>])[] = [
  ['cap_range pa=0x5b700000 len=0x100000 kind=cmdq ic=5', { pa: 0x5b70_0000, len: 0x10_0000, kind: 'cmdq' }],
  [
    'cap_page pa=0x4816c000 kind=cd ic=1 words=0x0:0x1e2,0x8:0x48',
    { kind: 'cd', words: '0x0:0x1e2,0x8:0x48' },
  ],
  ['cap_page pa=0x48168000 kind=pt level=0 granule=4096 ic=1 words=', { level: 0, granule: 4096, words: '' }],
  ['cap_drop pa=0x48168000 kind=pt', { kind: 'pt' }],
  ['cap_rekind pa=0x48168000 from=pt to=cd', { from: 'pt', to: 'cd' }],
  [
    'cap_store pa=0x10 size=8 val=0xfffffffff404ff44 kind=pt level=3 old=0x0 cpu=3 pc=0xffff8000088b3cfc ic=9',
    { val: 0xffff_ffff_f404_ff44n, cpu: 3, level: 3 },
  ],
  ['cap_unseen pa=0x10 size=8 val=0x1 kind=st old=0x0 by=dczva', { by: 'dczva' }],
  [
    'cap_devstore pa=0x5b800080 size=8 val=0x2000000013 kind=evtq old=0x0 by=smmu',
    { val: 0x20_0000_0013n, by: 'smmu' },
  ],
  [
    'cap_fetch pa=0x4816c000 kind=cd words=0x1,0x2,0x0,0x0,0x0,0x0,0x0,0x0',
    { kind: 'cd', words: '0x1,0x2,0x0,0x0,0x0,0x0,0x0,0x0' },
  ],
  ['cap_mmio_write off=0x100a8 val=0x8 size=4 cpu=0 ic=3', { off: 0x100a8, val: 8n, size: 4 }],
  [
    'cap_dev_write addr=0x10000098 val=0x3 size=8 cpu=0 ic=1 name=edu-mmio',
    { addr: 0x1000_0098, device: 'edu-mmio' },
  ],
  ['cap_console @@MARK nvme-read', { text: '@@MARK nvme-read' }],
  ['cap_end stores=1', {}],
  ['smmuv3_read_mmio addr: 0x0 val:0xd40101a size: 0x4(0)', { addr: 0, val: 0xd40_101an, size: 4 }],
  ['smmuv3_write_mmio addr: 0x98 val:0x2 size: 0x4(0)', { addr: 0x98 }],
  ['smmuv3_trigger_irq irq=0', { irq: 0 }],
  ['smmuv3_write_gerror toggled=0x1, new GERROR=0x1', { toggled: 1, gerror: 1 }],
  ['smmuv3_write_gerrorn acked=0x1, new GERRORN=0x1', { gerrorn: 1 }],
  [
    'smmuv3_cmdq_consume prod=8 cons=6 prod.wrap=0 cons.wrap=1',
    { prod: 8, cons: 6, prodWrap: 0, consWrap: 1 },
  ],
  ['smmuv3_cmdq_opcode <--- SMMU_CMD_CFGI_STE', { opcode: 'SMMU_CMD_CFGI_STE' }],
  ['smmuv3_unhandled_cmd Unhandled command type=64', { opcode: 64 }],
  ['smmuv3_cmdq_consume_error Error on INVALID command execution: 1', { opcode: 'INVALID', error: 1 }],
  ['smmuv3_cmdq_consume_out prod:8, cons:8, prod_wrap:0, cons_wrap:0 ', { prod: 8, cons: 8 }],
  ['smmuv3_cmdq_cfgi_ste streamid= 0x10', { sid: 16 }],
  ['smmuv3_cmdq_cfgi_ste_range start=0x0 - end=0xffffffff', { start: 0, last: 0xffff_ffff }],
  ['smmuv3_cmdq_cfgi_cd sid=0x10', { sid: 16 }],
  ['smmuv3_config_cache_inv Config cache INV for sid=0x10', { sid: 16 }],
  ['smmuv3_cmdq_tlbi_nh ', {}],
  ['smmuv3_cmdq_tlbi_nh_asid asid=1', { asid: 1 }],
  [
    'smmuv3_s1_range_inval vmid=0 asid=-1 addr=0xffffc000 tg=1 num_pages=0x4 ttl=3 leaf=1',
    { asid: -1, numPages: 4, ttl: 3 },
  ],
  ['smmu_iotlb_inv_all IOTLB invalidate all', {}],
  ['smmu_iotlb_inv_asid IOTLB invalidate asid=2', { asid: 2 }],
  ['smmu_iotlb_inv_iova x', {}],
  ['smmu_add_mr smmuv3-iommu-memory-region-16-1', { region: 'smmuv3-iommu-memory-region-16-1' }],
  ['smmuv3_config_cache_hit Config cache HIT for sid=0x10 (hits=1, misses=1, hit rate=50)', { sid: 16 }],
  ['smmuv3_config_cache_miss Config cache MISS for sid=0x10 (hits=0, misses=1, hit rate=0)', { sid: 16 }],
  ['smmuv3_find_ste sid=0x20 features:0x1, sid_split:0x8', { sid: 32, split: 8 }],
  [
    'smmuv3_find_ste_2lvl strtab_base:0x400000004308a000 l1ptr:0x4308a000 l1_off:0x0, l2ptr:0x5b660000 l2_off:0x20 max_l2_ste:511',
    { strtabBase: 0x4000_0000_4308_a000n, l2max: 511 },
  ],
  ['smmuv3_get_ste STE addr: 0x5b660800', { pa: 0x5b66_0800 }],
  ['smmuv3_get_cd CD addr: 0x48117000', { pa: 0x4811_7000 }],
  ['smmuv3_decode_cd oas=44', { oas: 44 }],
  [
    'smmuv3_decode_cd_tt TT[0]:tsz:16 ttb:0x48172000 granule_sz:12 had:0',
    { tt: 0, tsz: 16, granuleLog2: 12 },
  ],
  [
    'smmu_iotlb_lookup_hit IOTLB cache HIT asid=1 addr=0xfffff000 hit=1 miss=2 hit rate=33',
    { asid: 1, addr: 0xffff_f000 },
  ],
  ['smmu_iotlb_lookup_miss IOTLB cache MISS asid=1 addr=0xfffff000 hit=0 miss=2 hit rate=0', { misses: 2 }],
  [
    'smmu_get_pte baseaddr=0x48172000 index=0x0, pteaddr=0x48172000, pte=0x60000008090e4b',
    { pte: 0x60_0000_0809_0e4bn },
  ],
  [
    'smmu_ptw_level level=0 iova=0xfffff000 subpage_sz=0x8000000000 baseaddr=0x48172000 offset=0 => pte=0x48207003',
    { level: 0, pte: 0x4820_7003n },
  ],
  ['smmu_ptw_invalid_pte stage=1 level=2 base@=0x48120000 pte@=0x48120000 offset=0 pte=0x0', { level: 2 }],
  [
    'smmu_ptw_page_pte stage=1 level=3 iova=0xfffff000 base@=0x1 pte@=0x8 pte=0x485e2fc7 page address = 0x485e2000',
    { output: 0x485e_2000 },
  ],
  [
    'smmu_ptw_block_pte stage=1 level=2 base@=0x48120000 pte@=0x48120000 pte=0x43200f45 iova=0x40000000 block address = 0x43200000 block size = 2 MiB',
    { output: 0x4320_0000, mebibytes: 2 },
  ],
  ['smmu_iotlb_insert IOTLB ++ asid=1 addr=0xfffff000 tg=1 level=3', { tg: 1, level: 3 }],
  [
    'smmuv3_translate_success smmuv3-iommu-memory-region-32-1 sid=0x20 iova=0xfffff000 translated=0x485e2000 perm=0x1',
    { pa: 0x485e_2000, perm: 1 },
  ],
  [
    'smmuv3_translate_bypass smmuv3-iommu-memory-region-16-1 sid=0x10 STE bypass iova:0x5b665002 is_write=1',
    { iova: 0x5b66_5002 },
  ],
  [
    'smmuv3_translate_disable smmuv3-iommu-memory-region-16-1 sid=0x10 bypass (smmu disabled) iova:0x5b665002 is_write=1',
    { iova: 0x5b66_5002 },
  ],
  [
    'smmuv3_translate_abort smmuv3-iommu-memory-region-16-1 sid=0x10 abort on iova:0x1000 is_write=0',
    { iova: 0x1000 },
  ],
  ['smmuv3_record_event SMMU_EVT_F_TRANSLATION sid=0x20', { record: 'SMMU_EVT_F_TRANSLATION' }],
  ['smmu_inv_notifiers_mr iommu mr=x', {}],
  ['smmuv3_inv_notifiers_iova iommu mr=x asid=1', {}],
  ['smmuv3_notify_flag_add ADD SMMUNotifier node for iommu mr=x', {}],
  ['smmuv3_notify_flag_del DEL SMMUNotifier node for iommu mr=x', {}],
];

describe('parseLine', () => {
  it.each(lines)('reads %s', (text, fields) => {
    expect(read(text)).toMatchObject({ name: text.split(' ')[0], thread: 0, ...fields });
    expect(read(`32350@1795237852.844129:${text}  `)).toMatchObject({ thread: 32350, ...fields });
  });

  it('has a line here for every row', () => {
    const seen = new Set(lines.map(([text]) => text.split(' ')[0]));
    expect(Object.keys(events).filter((name) => !seen.has(name))).toEqual([]);
  });

  it('reads every line of the three captures', () => {
    for (const name of ['clean', 'stale', 'faults'] as const) {
      const text = captureText(name);
      const unread = text.split('\n').filter((line) => line !== '' && 'unread' in read(line));
      expect(unread).toEqual([]);
    }
  });

  it('tells blank, unknown and broken lines apart', () => {
    expect(read('   ')).toMatchObject({ unread: 'blank' });
    expect(read('virtio_queue_notify vdev 0x1')).toMatchObject({ unread: 'unknown' });
    expect(read('smmuv3_cmdq_opcode')).toMatchObject({ unread: 'broken' });
    expect(read('cap_store pa=0x10 size=8 val=0xqq kind=pt')).toMatchObject({ unread: 'broken' });
    expect(read('cap_store pa=0x10 si')).toMatchObject({ unread: 'broken' });
    expect(read('smmuv3_trigger_irq irq=0x')).toMatchObject({ unread: 'broken' });
    expect(read('smmuv3_get_ste STE addr: 0x12345678123456781')).toMatchObject({ unread: 'broken' });
  });
});
