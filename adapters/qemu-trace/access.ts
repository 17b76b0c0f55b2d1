/**
 * What the lines of one translation say together. An access begins with a look into the configuration
 * cache (or the SMMU is off) and ends with its result; the end of a fault is told by the next line that
 * is not its own.
 */
import type { LineOf, TraceLine } from './events.ts';

export interface TracedAccess {
  /** The first of its lines. */
  readonly line: number;
  readonly sid: number;
  readonly configMiss: boolean;
  /** A two-level stream table was used, and where the STE was read. */
  twoLevel: boolean;
  stePa?: number;
  cdPa?: number;
  /** The CD passed the first checks. */
  decoded: boolean;
  lookup?: 'hit' | 'miss';
  asid?: number;
  /** What was looked up; down to the granule, or the full address where a table is disabled. */
  lookupAddress?: number;
  readonly walk: { readonly pa: number; readonly pte: bigint }[];
  leaf?: { readonly level: number; readonly pa: number; readonly pte: bigint; readonly output: number };
  invalidLevel?: number;
  insert?: LineOf<'smmu_iotlb_insert'>;
  /** The TLB was full and emptied itself. */
  flushed: boolean;
  end?: 'success' | 'bypass' | 'disabled' | 'abort';
  iova?: number;
  translated?: number;
  perm?: number;
  /** Name of the event record, without `SMMU_EVT_`. */
  record?: string;
  irq: boolean;
  /** GERROR after the record could not be written. */
  gerror?: number;
  /** The words of the record that changed. */
  readonly stores: LineOf<'cap_devstore'>[];
  /** The trace breaks off here: words of the record may be missing. */
  cut?: true;
  /** A check value that memory does not bear out. */
  mismatch?: string;
}

/** Opens an access, or undefined when the line begins none. */
export function beginAccess(line: TraceLine): TracedAccess | undefined {
  if (line.name === 'smmuv3_translate_disable') {
    return { ...empty(line.line, line.sid, false), end: 'disabled', iova: line.iova };
  }
  if (line.name === 'smmuv3_config_cache_hit') return empty(line.line, line.sid, false);
  if (line.name === 'smmuv3_config_cache_miss') return empty(line.line, line.sid, true);
  return undefined;
}

function empty(line: number, sid: number, configMiss: boolean): TracedAccess {
  return {
    line,
    sid,
    configMiss,
    twoLevel: false,
    decoded: false,
    walk: [],
    flushed: false,
    irq: false,
    stores: [],
  };
}

/** Whether the line continues the access. */
export function belongs(access: TracedAccess, line: TraceLine): boolean {
  switch (line.name) {
    case 'smmuv3_trigger_irq':
    case 'smmuv3_write_gerror':
      return access.record !== undefined;
    case 'cap_devstore':
      return access.record !== undefined && line.by === 'smmu';
    case 'smmu_iotlb_inv_all':
      return access.leaf !== undefined && access.insert === undefined;
    case 'smmuv3_config_cache_hit':
    case 'smmuv3_config_cache_miss':
    case 'smmuv3_translate_disable':
      return false;
    case 'smmuv3_record_event':
    case 'smmuv3_translate_success':
    case 'smmuv3_translate_bypass':
    case 'smmuv3_translate_abort':
      return access.record === undefined && line.sid === access.sid;
    case 'smmuv3_find_ste':
    case 'smmuv3_find_ste_2lvl':
    case 'smmuv3_get_ste':
    case 'smmuv3_get_cd':
    case 'smmuv3_decode_cd':
    case 'smmuv3_decode_cd_tt':
    case 'cap_fetch':
    case 'smmu_iotlb_lookup_hit':
    case 'smmu_iotlb_lookup_miss':
    case 'smmu_get_pte':
    case 'smmu_ptw_level':
    case 'smmu_ptw_invalid_pte':
    case 'smmu_ptw_page_pte':
    case 'smmu_ptw_block_pte':
    case 'smmu_iotlb_insert':
      return access.record === undefined;
    default:
      return false;
  }
}

/** Whether what was printed before the line was there when the line was printed: memory, or the TLB. */
export function readsState(line: TraceLine): boolean {
  return (
    line.name === 'smmu_get_pte' ||
    line.name === 'cap_fetch' ||
    line.name === 'smmuv3_get_ste' ||
    line.name === 'smmuv3_get_cd' ||
    line.name === 'smmuv3_find_ste_2lvl' ||
    line.name === 'smmu_iotlb_lookup_hit' ||
    line.name === 'smmu_iotlb_lookup_miss'
  );
}

/** Adds a line that belongs to the access. Returns whether that ends it. */
export function extendAccess(access: TracedAccess, line: TraceLine): boolean {
  switch (line.name) {
    case 'smmuv3_find_ste_2lvl':
      access.twoLevel = true;
      return false;
    case 'smmuv3_get_ste':
      access.stePa = line.pa;
      return false;
    case 'smmuv3_get_cd':
      access.cdPa = line.pa;
      return false;
    case 'smmuv3_decode_cd':
      access.decoded = true;
      return false;
    case 'smmu_iotlb_lookup_hit':
    case 'smmu_iotlb_lookup_miss':
      access.lookup = line.name === 'smmu_iotlb_lookup_hit' ? 'hit' : 'miss';
      access.asid = line.asid;
      access.lookupAddress = line.addr;
      return false;
    case 'smmu_get_pte':
      access.walk.push({ pa: line.pa, pte: line.pte });
      return false;
    case 'smmu_ptw_page_pte':
    case 'smmu_ptw_block_pte':
      access.leaf = { level: line.level, pa: line.pa, pte: line.pte, output: line.output };
      return false;
    case 'smmu_ptw_invalid_pte':
      access.invalidLevel = line.level;
      return false;
    case 'smmu_iotlb_inv_all':
      access.flushed = true;
      return false;
    case 'smmu_iotlb_insert':
      access.insert = line;
      return false;
    case 'smmuv3_record_event':
      access.record = line.record.replace(/^SMMU_EVT_/, '');
      return false;
    case 'smmuv3_trigger_irq':
      if (line.irq === 0) access.irq = true;
      return false;
    case 'smmuv3_write_gerror':
      access.gerror = line.gerror;
      return false;
    case 'cap_devstore':
      access.stores.push(line);
      return false;
    case 'smmuv3_translate_success':
      Object.assign(access, { end: 'success', iova: line.iova, translated: line.pa, perm: line.perm });
      return true;
    case 'smmuv3_translate_bypass':
      Object.assign(access, { end: 'bypass', iova: line.iova, translated: line.iova });
      return true;
    case 'smmuv3_translate_abort':
      Object.assign(access, { end: 'abort', iova: line.iova });
      return true;
    default:
      return false;
  }
}
