/** What a `guest.boot` line may say of the guest's firmware and CPUs; see `core/driver/features.ts`. */
import type { Platform } from '../../core/driver/features.ts';
import type { SmmuProperties } from '../../core/vm/state.ts';
import { count, type Fields, flag, kindOf, oneOf } from './values.ts';

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
  model:          { kind: count(0, 2), optional: true, doc: 'firmware: model id of the IORT node, 1 HiSilicon (no prefetch), 2 Cavium' },
  rmr:            { kind: flag, optional: true, doc: 'firmware: a reserved region for MSIs (IORT RMR) that counts' },
  paBits:         { kind: count(32, 52), optional: true, doc: 'bits of the CPUs\' physical addresses; 44 when left out' },
  asidBits:       { kind: kindOf('8 or 16', (raw): 8 | 16 | undefined => (raw === 8 || raw === 16 ? raw : undefined)), optional: true, doc: 'bits of the CPUs\' ASIDs; 16 when left out' },
  bbml2:          { kind: flag, optional: true, doc: 'the CPUs change the size of mappings without break-before-make' },
  broadcast:      { kind: flag, optional: true, doc: 'with IDR0.BTM=1, TLB maintenance of the CPUs in place of CMD_TLBI_*' },
  tlbiOnMap:      { kind: oneOf('page', 'mask'), optional: true, doc: 'mappings are invalidated too, by page or by mask' },
} as const satisfies Fields & Readonly<Record<keyof Platform, unknown>>;

const orAuto = kindOf('true, false or "auto"', (raw) =>
  typeof raw === 'boolean' || raw === 'auto' ? raw : undefined,
);
const OAS = [32, 36, 40, 42, 44, 48, 52, 'auto'] as const;

/** Properties of an emulated SMMU; `auto` is as the host has it. */
export const smmuProperties = {
  ril: { kind: orAuto, optional: true, doc: 'IDR3.RIL' },
  ats: { kind: orAuto, optional: true, doc: 'IDR0.ATS' },
  ssidsize: {
    kind: kindOf('0 to 20 or "auto"', (raw): number | 'auto' | undefined =>
      raw === 'auto' || (typeof raw === 'number' && Number.isInteger(raw) && raw >= 0 && raw <= 20)
        ? raw
        : undefined,
    ),
    optional: true,
    doc: 'IDR1.SSIDSIZE',
  },
  oas: {
    kind: kindOf('32, 36, 40, 42, 44, 48, 52 or "auto"', (raw) => OAS.find((each) => each === raw)),
    optional: true,
    doc: 'bits of IDR5.OAS',
  },
} as const satisfies Fields & Readonly<Record<keyof SmmuProperties, unknown>>;
