/** The emulator QEMU, `hw/arm/smmuv3.c`, as the SMMU of its `virt` board. */
import { registers } from '../registers.ts';
import { type Profile, word } from './profile.ts';

const { IDR0, IDR1, IDR3, IDR5, AIDR } = registers.byName;

// Both stages, 16-bit VMIDs. MSIs, SEV, ATS, PRI, HTTU, BTM, Hyp, ATOS and CD2L are 0.
// biome-ignore format: a table
const NESTED_IDR = {
  IDR0: word(IDR0, {
    S2P: true, S1P: true, TTF: 2, COHACC: true, ASID16: true, VMID16: true, TTENDIAN: 2, STALL_MODEL: 1,
    TERM_MODEL: true, ST_LEVEL: 1,
  }),
  IDR1: word(IDR1, { SIDSIZE: 16, EVENTQS: 19, CMDQS: 19 }),
  IDR2: 0,
  IDR3: word(IDR3, { HAD: true, XNX: true, RIL: true, BBML: 2 }),
  IDR4: 0,
  IDR5: word(IDR5, { OAS: 4, GRAN4K: true, GRAN16K: true, GRAN64K: true }),
  IIDR: 0,
  AIDR: word(AIDR, { ArchMinorRev: 1 }),
};

/** Configurations by device without bound, an IOTLB of SMMU_IOTLB_MAX_SIZE entries, no walk cache. */
const CACHES = { ste: 'unbounded', cd: 'unbounded', tlb: 256, walk: 0 } as const;

// biome-ignore format: a table
export const qemuProfiles = {
  'qemu-7.2': {
    source: 'QEMU 7.2 hw/arm/smmuv3.c smmuv3_init_regs: registers as its guests read them, IOTLB of 256 entries emptied when full',
    idr: { IDR0: 0x0d40101a, IDR1: 0x02730010, IDR3: 0x1404, IDR5: 0x74, IIDR: 0, AIDR: 1 },
    caches: CACHES, invalidation: 'literal', replacement: 'flush-all', choices: { cacheRefusedLeaf: false },
  },
  'qemu-9': {
    source: 'QEMU 9.2 hw/arm/smmuv3.c smmuv3_init_regs with stage=nested, which hw/arm/virt.c create_smmu sets for virt-9.2 and later; SMMU_GBPA_RESET_VAL 0x1000; SMMU_IOTLB_MAX_SIZE 256, emptied when full',
    doubts: 'read in a development tree that calls itself 9.2.0; without "stage" the device has stage 1 only: IDR0 0x0d44101a, IDR3 0x1404',
    idr: NESTED_IDR,
    caches: CACHES, invalidation: 'literal', replacement: 'flush-all',
    choices: { cacheRefusedLeaf: false, gbpaIncomingAtReset: true },
  },
  'qemu-11': {
    source: 'QEMU master of 2026 hw/arm/smmuv3.c smmuv3_init_id_regs with stage=nested: the values of qemu-9; only smmuv3_accel_idr_override changes them, with accel=on',
    doubts: 'read in the patches that made the function, the release was not at hand; accel=on has stage 1 only (IDR0 0x0d44101a, IDR3 0x1404) and may change IDR0.ATS (ats), IDR1.SSIDSIZE (ssidsize), IDR3.RIL (ril), IDR5.OAS to 48 bits (oas)',
    idr: NESTED_IDR,
    caches: CACHES, invalidation: 'literal', replacement: 'flush-all',
    choices: { cacheRefusedLeaf: false, gbpaIncomingAtReset: true },
  },
} as const satisfies Readonly<Record<string, Profile>>;
