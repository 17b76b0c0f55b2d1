/** What a `guest.boot` line may say of the guest's firmware and CPUs; see `core/driver/features.ts`. */
import type { Platform } from '../../core/driver/features.ts';
import { count, type Fields, flag, oneOf } from './values.ts';

// biome-ignore format: a table
export const platformFields = {
  vhe:            { kind: flag, optional: true, doc: 'the CPUs run the kernel at EL2' },
  coherent:       { kind: flag, optional: true, doc: 'firmware: walks and queues are coherent' },
  httu:           { kind: count(0, 2), optional: true, doc: 'firmware\'s HTTU' },
  msiPolling:     { kind: flag, optional: true, doc: 'CMD_SYNC tells of itself by a store into its slot' },
  pageLog2:       { kind: count(12, 16), optional: true, doc: 'log2 of the CPUs\' page' },
  vaBits:         { kind: count(36, 52), optional: true, doc: 'bits of the CPUs\' virtual addresses' },
  contiguousLog2: { kind: count(12, 30), optional: true, doc: 'log2 of the largest piece of contiguous memory' },
  rootAts:        { kind: flag, optional: true, doc: 'firmware: the root complex has ATS' },
  canwbs:         { kind: flag, optional: true, doc: 'firmware: CANWBS' },
  defaultDomain:  { kind: oneOf('dma', 'dma-fq', 'identity', 'blocked'), optional: true, doc: 'of endpoints that no driver has taken' },
  lateProbe:      { kind: flag, optional: true, doc: 'endpoints come when their own drivers do, by guest.probe' },
  skipPrefetch:   { kind: flag, optional: true, doc: 'the PREFETCH_CFG after an STE is left out' },
  tlbiOnMap:      { kind: oneOf('page', 'mask'), optional: true, doc: 'mappings are invalidated too, by page or by mask' },
} as const satisfies Fields & Readonly<Record<keyof Platform, unknown>>;
