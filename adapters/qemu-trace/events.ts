/**
 * Every line the capture can hold: the trace events of the emulator's SMMUv3 (QEMU 7.2,
 * `hw/arm/trace-events`) and the recorder's `cap_*` lines. A row says what stands on the line, and
 * what an importer makes of it.
 */
import { type AnyFieldRow, dec, type FieldsOf, hex, maybe, name, rest, word } from './fields.ts';

/**
 * What a line is part of: `group` the translation of one access, `page` memory that became known,
 * `cpu` a CPU's doing, `round` the consumption of commands, `note` a remark; `unused` says nothing
 * that another line does not say.
 */
export type Part = 'group' | 'page' | 'cpu' | 'round' | 'note' | 'unused';

export interface EventRow {
  readonly part: Part;
  readonly fields: readonly AnyFieldRow[];
  readonly about: string;
}

function row<const L extends readonly AnyFieldRow[]>(part: Part, about: string, ...fields: L) {
  return { part, about, fields } as const;
}

const kind = name('kind', ' kind=');
const level = maybe(dec('level', ' level='));
const granule = maybe(dec('granule', ' granule='));
const ic = maybe(dec('ic', ' ic='));
const mr = name('region', ' ');
const sid = hex('sid', ' sid=');

// biome-ignore format: a table
export const events = {
  // Memory and registers, as the recorder saw them
  cap_range:     row('page', 'a queue\'s memory is known from here on; zero unless pages follow', hex('pa', ' pa='), hex('len', ' len='), kind, ic),
  cap_page:      row('page', 'a page became reachable; its words that are not zero',              hex('pa', ' pa='), kind, level, granule, ic, rest('words', ' words=')),
  cap_drop:      row('page', 'nothing points at the page any more',                               hex('pa', ' pa='), kind),
  cap_rekind:    row('page', 'the page got another meaning; a cap_page follows',                  hex('pa', ' pa='), name('from', ' from='), name('to', ' to=')),
  cap_store:     row('cpu',  'a CPU stored',                                                      hex('pa', ' pa='), dec('size', ' size='), word('val', ' val='), kind, level, granule, word('old', ' old='), dec('cpu', ' cpu='), word('pc', ' pc='), ic),
  cap_unseen:    row('cpu',  'a change found by comparison; as a store',                          hex('pa', ' pa='), dec('size', ' size='), word('val', ' val='), kind, level, granule, word('old', ' old='), name('by', ' by=')),
  cap_devstore:  row('group', 'the SMMU, or a device, wrote',                                     hex('pa', ' pa='), dec('size', ' size='), word('val', ' val='), kind, level, granule, word('old', ' old='), name('by', ' by=')),
  cap_fetch:     row('group', 'the SMMU reads the STE or CD now; a check value',                  hex('pa', ' pa='), kind, rest('words', ' words=')),
  cap_mmio_write: row('cpu', 'a CPU writes a register; printed before its effects',               hex('off', ' off='), word('val', ' val='), dec('size', ' size='), dec('cpu', ' cpu='), ic),
  cap_dev_write: row('note', 'a CPU writes a register of a device',                               hex('addr', ' addr='), word('val', ' val='), dec('size', ' size='), dec('cpu', ' cpu='), ic, name('device', ' name=')),
  cap_console:   row('note', 'a line on the guest\'s console',                                    rest('text', '')),
  cap_end:       row('unused', 'the end of the recording',                                        rest('text', '')),

  // Registers
  smmuv3_read_mmio:    row('cpu',    'a CPU read a register',                  hex('addr', ' addr: '), word('val', ' val:'), hex('size', ' size: '), dec('result', '(')),
  smmuv3_write_mmio:   row('unused', 'a register was written; after its effects', hex('addr', ' addr: '), word('val', ' val:'), hex('size', ' size: '), dec('result', '(')),
  smmuv3_trigger_irq:  row('round',  'an interrupt: 0 event queue, 1 PRI queue, 2 CMD_SYNC, 3 global error', dec('irq', ' irq=')),
  smmuv3_write_gerror: row('round',  'the SMMU toggled GERROR',                hex('toggled', ' toggled='), hex('gerror', ', new GERROR=')),
  smmuv3_write_gerrorn: row('unused', 'a CPU acknowledged errors',             hex('acked', ' acked='), hex('gerrorn', ', new GERRORN=')),

  // Commands
  smmuv3_cmdq_consume:       row('round', 'a command comes up',                dec('prod', ' prod='), dec('cons', ' cons='), dec('prodWrap', ' prod.wrap='), dec('consWrap', ' cons.wrap=')),
  smmuv3_cmdq_opcode:        row('round', 'its name',                          name('opcode', ' <--- ')),
  smmuv3_unhandled_cmd:      row('unused', 'it was taken and does nothing',    dec('opcode', ' Unhandled command type=')),
  smmuv3_cmdq_consume_error: row('round', 'the queue stops',                   name('opcode', ' Error on '), dec('error', ' command execution: ')),
  smmuv3_cmdq_consume_out:   row('round', 'the end of a round',                dec('prod', ' prod:'), dec('cons', ', cons:'), dec('prodWrap', ', prod_wrap:'), dec('consWrap', ', cons_wrap:')),
  smmuv3_cmdq_cfgi_ste:      row('unused', 'effect of CMD_CFGI_STE',           hex('sid', ' streamid= ')),
  smmuv3_cmdq_cfgi_ste_range: row('unused', 'effect of CMD_CFGI_STE_RANGE',    hex('start', ' start='), hex('last', ' - end=')),
  smmuv3_cmdq_cfgi_cd:       row('unused', 'effect of CMD_CFGI_CD',            sid),
  smmuv3_config_cache_inv:   row('round', 'the configuration of a stream is dropped', hex('sid', ' Config cache INV for sid=')),
  smmuv3_cmdq_tlbi_nh:       row('unused', 'effect of CMD_TLBI_NH_ALL and NSNH_ALL'),
  smmuv3_cmdq_tlbi_nh_asid:  row('unused', 'effect of CMD_TLBI_NH_ASID',       dec('asid', ' asid=')),
  smmuv3_s1_range_inval:     row('round', 'a piece of a range is dropped from the TLB', dec('vmid', ' vmid='), dec('asid', ' asid='), hex('addr', ' addr='), dec('tg', ' tg='), hex('numPages', ' num_pages='), dec('ttl', ' ttl='), dec('leaf', ' leaf=')),
  smmu_iotlb_inv_all:        row('round', 'the TLB is emptied, by a command or because it is full', rest('text', '')),
  smmu_iotlb_inv_asid:       row('round', 'an ASID is dropped from the TLB',   dec('asid', ' IOTLB invalidate asid=')),
  smmu_iotlb_inv_iova:       row('unused', 'never printed by 7.2',             rest('text', '')),

  // Translations
  smmu_add_mr:               row('unused', 'a device behind the SMMU',         name('region', ' ')),
  smmuv3_config_cache_hit:   row('group', 'an access begins; its configuration is cached', hex('sid', ' Config cache HIT for sid=')),
  smmuv3_config_cache_miss:  row('group', 'an access begins; its configuration is read',   hex('sid', ' Config cache MISS for sid=')),
  smmuv3_find_ste:           row('group', 'where the STE is looked for',       sid, hex('features', ' features:'), hex('split', ', sid_split:')),
  smmuv3_find_ste_2lvl:      row('group', 'two levels of stream table',        word('strtabBase', ' strtab_base:'), hex('l1ptr', ' l1ptr:'), hex('l1index', ' l1_off:'), hex('l2ptr', ', l2ptr:'), hex('l2index', ' l2_off:'), dec('l2max', ' max_l2_ste:')),
  smmuv3_get_ste:            row('group', 'the STE is read',                   hex('pa', ' STE addr: ')),
  smmuv3_get_cd:             row('group', 'the CD is read',                    hex('pa', ' CD addr: ')),
  smmuv3_decode_cd:          row('group', 'the CD has no fault so far',        dec('oas', ' oas=')),
  smmuv3_decode_cd_tt:       row('group', 'one table of the CD',               dec('tt', ' TT['), dec('tsz', ']:tsz:'), hex('ttb', ' ttb:'), dec('granuleLog2', ' granule_sz:'), dec('had', ' had:')),
  smmu_iotlb_lookup_hit:     row('group', 'served by the TLB',                 dec('asid', ' IOTLB cache HIT asid='), hex('addr', ' addr='), dec('hits', ' hit='), dec('misses', ' miss=')),
  smmu_iotlb_lookup_miss:    row('group', 'not in the TLB',                    dec('asid', ' IOTLB cache MISS asid='), hex('addr', ' addr='), dec('hits', ' hit='), dec('misses', ' miss=')),
  smmu_get_pte:              row('group', 'a descriptor is read',              hex('base', ' baseaddr='), hex('index', ' index='), hex('pa', ', pteaddr='), word('pte', ', pte=')),
  smmu_ptw_level:            row('group', 'the level it was read for',         dec('level', ' level='), hex('iova', ' iova='), hex('span', ' subpage_sz='), hex('base', ' baseaddr='), dec('index', ' offset='), word('pte', ' => pte=')),
  smmu_ptw_invalid_pte:      row('group', 'no translation',                    dec('stage', ' stage='), dec('level', ' level='), hex('base', ' base@='), hex('pa', ' pte@='), dec('index', ' offset='), word('pte', ' pte=')),
  smmu_ptw_page_pte:         row('group', 'a page',                            dec('stage', ' stage='), dec('level', ' level='), hex('iova', ' iova='), hex('base', ' base@='), hex('pa', ' pte@='), word('pte', ' pte='), hex('output', ' page address = ')),
  smmu_ptw_block_pte:        row('group', 'a block',                           dec('stage', ' stage='), dec('level', ' level='), hex('base', ' base@='), hex('pa', ' pte@='), word('pte', ' pte='), hex('iova', ' iova='), hex('output', ' block address = '), dec('mebibytes', ' block size = ')),
  smmu_iotlb_insert:         row('group', 'the TLB takes it',                  dec('asid', ' IOTLB ++ asid='), hex('addr', ' addr='), dec('tg', ' tg='), dec('level', ' level=')),
  smmuv3_translate_success:  row('group', 'translated',                        mr, sid, hex('iova', ' iova='), hex('pa', ' translated='), hex('perm', ' perm=')),
  smmuv3_translate_bypass:   row('group', 'the STE lets it pass',              mr, sid, hex('iova', ' STE bypass iova:'), dec('write', ' is_write=')),
  smmuv3_translate_disable:  row('group', 'the SMMU is off',                   mr, sid, hex('iova', ' bypass (smmu disabled) iova:'), dec('write', ' is_write=')),
  smmuv3_translate_abort:    row('group', 'the STE aborts it',                 mr, sid, hex('iova', ' abort on iova:'), dec('write', ' is_write=')),
  smmuv3_record_event:       row('group', 'a fault is recorded',               name('record', ' '), sid),

  // Listeners of other devices (vhost, vfio)
  smmu_inv_notifiers_mr:     row('unused', 'a listener is told',               rest('text', '')),
  smmuv3_inv_notifiers_iova: row('unused', 'a listener is told of a range',    rest('text', '')),
  smmuv3_notify_flag_add:    row('unused', 'a listener comes',                 rest('text', '')),
  smmuv3_notify_flag_del:    row('unused', 'a listener goes',                  rest('text', '')),
} as const satisfies Readonly<Record<string, EventRow>>;

export type EventName = keyof typeof events;

/** A line that was understood. */
export type TraceLine = {
  [N in EventName]: LineOf<N>;
}[EventName];
/** The line of one name, or of one of several. */
export type LineOf<N extends EventName> = N extends EventName
  ? {
      readonly name: N;
      /** 1 is the first line of the file. */
      readonly line: number;
      /** Host thread; 0 where the line has no prefix. */
      readonly thread: number;
    } & FieldsOf<(typeof events)[N]['fields']>
  : never;
