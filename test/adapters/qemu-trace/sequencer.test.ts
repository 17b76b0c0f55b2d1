/** Lines of several host threads are enacted in the order in which things must have happened. */
import { describe, expect, it } from 'vitest';
import type { TracedAccess } from '../../../adapters/qemu-trace/access.ts';
import type { TraceLine } from '../../../adapters/qemu-trace/events.ts';
import { isUnread, parseLine } from '../../../adapters/qemu-trace/parse.ts';
import { Sequencer } from '../../../adapters/qemu-trace/sequencer.ts';

// Thread 1 is the device's, 2 and 3 are CPUs.
const line = {
  begin: '1@0.0:smmuv3_config_cache_hit Config cache HIT for sid=0x10 (hits=1, misses=1, hit rate=50)',
  miss: '1@0.0:smmu_iotlb_lookup_miss IOTLB cache MISS asid=1 addr=0x1000 hit=0 miss=1 hit rate=0',
  hit: '1@0.0:smmu_iotlb_lookup_hit IOTLB cache HIT asid=1 addr=0x1000 hit=0 miss=1 hit rate=0',
  pte: '1@0.0:smmu_get_pte baseaddr=0x0 index=0x1, pteaddr=0x8, pte=0x1',
  leaf: '1@0.0:smmu_ptw_page_pte stage=1 level=3 iova=0x1000 base@=0x0 pte@=0x8 pte=0x7 page address = 0x5000',
  insert: '1@0.0:smmu_iotlb_insert IOTLB ++ asid=1 addr=0x1000 tg=1 level=3',
  success: '1@0.0:smmuv3_translate_success r sid=0x10 iova=0x1000 translated=0x5000 perm=0x3',
  invalid: '1@0.0:smmu_ptw_invalid_pte stage=1 level=3 base@=0x0 pte@=0x8 offset=1 pte=0x0',
  record: '1@0.0:smmuv3_record_event SMMU_EVT_F_TRANSLATION sid=0x10',
  irq: '1@0.0:smmuv3_trigger_irq irq=0',
  words: '1@0.0:cap_devstore pa=0x100 size=8 val=0x10 kind=evtq old=0x0 by=smmu',
  storeA: '2@0.0:cap_store pa=0x8 size=8 val=0xa kind=pt old=0x0 cpu=0 pc=0x1 ic=1',
  storeB: '3@0.0:cap_store pa=0x8 size=8 val=0xb kind=pt old=0x0 cpu=1 pc=0x1 ic=1',
  // A word that the walk reads second.
  storeC: '2@0.0:cap_store pa=0x10 size=8 val=0xc kind=pt old=0x0 cpu=0 pc=0x1 ic=1',
  pte2: '1@0.0:smmu_get_pte baseaddr=0x0 index=0x2, pteaddr=0x10, pte=0xc',
  pageA: '2@0.0:cap_page pa=0x1000 kind=pt level=3 granule=4096 ic=1 words=',
  prod: '2@0.0:cap_mmio_write off=0x98 val=0x2 size=4 cpu=0 ic=1',
  echo: '2@0.0:smmuv3_write_mmio addr: 0x98 val:0x2 size: 0x4(0)',
  consume: '2@0.0:smmuv3_cmdq_consume prod=2 cons=1 prod.wrap=0 cons.wrap=0',
  beginC: '4@0.0:smmuv3_config_cache_hit Config cache HIT for sid=0x18 (hits=1, misses=1, hit rate=50)',
  hitC: '4@0.0:smmu_iotlb_lookup_hit IOTLB cache HIT asid=1 addr=0x1000 hit=0 miss=1 hit rate=0',
  successC: '4@0.0:smmuv3_translate_success r sid=0x18 iova=0x1000 translated=0x5000 perm=0x3',
  readA: '2@0.0:smmuv3_read_mmio addr: 0xa8 val:0x1 size: 0x4(0)',
} as const;

function enact(...names: readonly (keyof typeof line)[]): string[] {
  const out: string[] = [];
  const sequencer = new Sequencer({
    page: () => out.push('page'),
    store: ({ val }) => out.push(`store ${val.toString(16)}`),
    writeRegister: () => out.push('write'),
    readRegister: () => out.push('read'),
    round: () => out.push('round'),
    note: () => out.push('note'),
    check: () => out.push('check'),
    access: (access: TracedAccess) =>
      out.push(`access ${access.end ?? access.record ?? 'silent'} ${access.stores.length}`),
    unused: () => out.push('unused'),
  });
  for (const name of names) {
    const parsed = parseLine(line[name], 0, line[name].length, 1);
    expect(isUnread(parsed)).toBe(false);
    sequencer.feed(parsed as TraceLine);
  }
  sequencer.finish(false);
  expect(sequencer.idle).toBe(true);
  return out.filter((each) => each !== 'unused' && each !== 'check');
}

describe('Sequencer', () => {
  it('puts pages before the store by which they are reached', () => {
    expect(enact('storeA', 'pageA', 'pageA', 'storeA')).toEqual(['page', 'page', 'store a', 'store a']);
  });

  it('puts pages before a register write, over its echo; commands end the wait', () => {
    expect(enact('prod', 'echo', 'pageA', 'readA')).toEqual(['page', 'write', 'read']);
    expect(enact('prod', 'consume', 'echo', 'pageA')).toEqual(['write', 'round', 'page']);
  });

  it('keeps another CPU behind a store that waits for its pages', () => {
    expect(enact('storeA', 'storeB', 'pageA', 'readA')).toEqual(['page', 'store a', 'store b', 'read']);
  });

  it('lets a store happen between two reads of a walk', () => {
    expect(enact('begin', 'miss', 'pte', 'storeC', 'readA', 'pte2', 'leaf', 'insert', 'success')).toEqual([
      'store c',
      'read',
      'access success 0',
    ]);
  });

  it('holds back a store to a word that the walk has read, and what its thread does after it', () => {
    const walk = ['begin', 'miss', 'pte', 'storeA', 'readA', 'pte2', 'leaf', 'insert', 'success'] as const;
    expect(enact(...walk)).toEqual(['access success 0', 'store a', 'read']);
    expect(enact('begin', 'miss', 'pte', 'storeB', 'storeC', 'pte2', 'leaf', 'insert', 'success')).toEqual([
      'store c',
      'access success 0',
      'store b',
    ]);
  });

  it('puts a store after the access whose result only is still to be told', () => {
    expect(enact('begin', 'miss', 'pte', 'leaf', 'storeA', 'insert', 'success')).toEqual([
      'access success 0',
      'store a',
    ]);
    expect(enact('begin', 'hit', 'storeA', 'prod', 'consume', 'success')).toEqual([
      'access success 0',
      'store a',
      'write',
      'round',
    ]);
  });

  it('gives a record its words although a CPU comes between', () => {
    expect(
      enact(
        'begin',
        'miss',
        'pte',
        'invalid',
        'record',
        'irq',
        'readA',
        'words',
        'words',
        'begin',
        'hit',
        'success',
      ),
    ).toEqual(['access F_TRANSLATION 2', 'read', 'access success 0']);
  });

  it('takes accesses of two device threads apart, the next one after the words of a record', () => {
    expect(enact('begin', 'beginC', 'hit', 'hitC', 'successC', 'success')).toEqual([
      'access success 0',
      'access success 0',
    ]);
    expect(
      enact(
        'begin',
        'miss',
        'pte',
        'invalid',
        'record',
        'beginC',
        'hitC',
        'irq',
        'words',
        'successC',
        'begin',
        'hit',
        'success',
      ),
    ).toEqual(['access F_TRANSLATION 1', 'access success 0', 'access success 0']);
  });

  it('ends an access that tells no end when the next begins', () => {
    expect(enact('begin', 'miss', 'pte', 'invalid', 'begin', 'hit', 'success', 'readA')).toEqual([
      'access silent 0',
      'access success 0',
      'read',
    ]);
  });

  it('waits no longer than a bounded number of lines', () => {
    const many = Array.from({ length: 300 }, () => 'readA' as const);
    expect(enact('begin', 'hit', ...many)[0]).toBe('access silent 0');
  });
});
