/** Arm's own: the parts MMU-600 and MMU-700, and the Base RevC model (FVP) as Linux is booted on it. */
import { registers } from '../registers.ts';
import { type Profile, UNBOUNDED, word } from './profile.ts';

const { IDR0, IDR1, IDR3, IDR5, IIDR, AIDR } = registers.byName;

// What both parts have. TTF is 3 on them: VMSAv8-32 LPAE tables are not modelled.
// biome-ignore format: a table
const PART_IDR0 = {
  S2P: true, S1P: true, TTF: 2, COHACC: true, BTM: true, Hyp: true, ATS: true, ASID16: true, MSI: true, SEV: true,
  PRI: true, VMW: true, VMID16: true, CD2L: true, ST_LEVEL: 1,
} as const;
// biome-ignore format: a table
const PART_IDR1 = {
  SSIDSIZE: 20, PRIQS: 19, EVENTQS: 19, CMDQS: 19, ATTR_PERMS_OVR: true, ATTR_TYPES_OVR: true,
} as const;
const PART_IDR3 = { HAD: true, PBHA: true, XNX: true, PPS: true } as const;
const PART_IDR5 = { OAS: 5, GRAN4K: true, GRAN16K: true, GRAN64K: true, STALL_MAX: 64 } as const;
const ARM = 0x43b;

const CHOSEN =
  'sup_cohacc, sup_btm and sup_sev tied high, sup_oas 48 bits, STALL_MAX (TCUCFG_XLATE_SLOTS) 64 and unbounded caches are chosen, the integrator sets them; TTF is 3 on the part';

// biome-ignore format: a table
export const armProfiles = {
  'mmu-600': {
    source: 'MMU-600 r0p2. Arm 100310, table of SMMUv3 ID register options (IDR0, StreamID and SubstreamID sizes); IIDR and errata 1076982 (r0p0 to r0p2), 1209401 (before r2): Linux arm-smmu-v3.c arm_smmu_device_iidr_probe',
    doubts: `queue sizes, IDR3, IDR5 and AIDR are those of the MMU-600AE r1p0 (Arm 101412, table 2-16), whose IDR0 is the same; ${CHOSEN}`,
    idr: {
      IDR0: word(IDR0, { ...PART_IDR0, NS1ATS: true }),
      IDR1: word(IDR1, { ...PART_IDR1, SIDSIZE: 24 }),
      IDR2: 0,
      IDR3: word(IDR3, PART_IDR3),
      IDR4: 0,
      IDR5: word(IDR5, PART_IDR5),
      IIDR: word(IIDR, { Implementer: ARM, Revision: 2, Variant: 0, ProductID: 0x483 }),
      AIDR: word(AIDR, { ArchMinorRev: 1 }),
    },
    caches: UNBOUNDED, invalidation: 'literal', replacement: 'oldest',
    choices: { ptmAtReset: true, erratumFullQueueSev: true, erratumNestedInvalidation: true },
  },
  'mmu-700': {
    source: 'MMU-700 r1p0. Arm 101542 (r1p2), table 2-19 of SMMUv3 ID register options; IIDR and errata 2812531 and, before r1p1, 2268618: Linux arm-smmu-v3.c arm_smmu_device_iidr_probe',
    doubts: `the table is of r1p2; IDR3.MPAM is 1 on the part, MPAM is out of scope; sup_httu tied high; ${CHOSEN}`,
    idr: {
      IDR0: word(IDR0, { ...PART_IDR0, HTTU: 2 }),
      IDR1: word(IDR1, { ...PART_IDR1, SIDSIZE: 32 }),
      IDR2: 0,
      IDR3: word(IDR3, { ...PART_IDR3, FWB: true, STT: true, RIL: true, BBML: 2 }),
      IDR4: 0,
      IDR5: word(IDR5, { ...PART_IDR5, VAX: 1 }),
      IIDR: word(IIDR, { Implementer: ARM, Revision: 0, Variant: 1, ProductID: 0x487 }),
      AIDR: word(AIDR, { ArchMinorRev: 2 }),
    },
    caches: UNBOUNDED, invalidation: 'literal', replacement: 'oldest',
    choices: { ptmAtReset: true, erratumMixedRuns: true, erratumNestedInvalidation: true },
  },
  'fvp-rich': {
    source: 'FVP_Base_RevC-2xAEMvA as kernelci/tuxlava boots Linux on it (templates/jobs/fvp-aemva.yaml.jinja2): pci.pci_smmuv3.mmu.SMMU_IDR0=135263935 IDR1=216481056 IDR3=5908 IDR5=4294902901 AIDR=2',
    doubts: 'IDR0.TTF is 3 there, VMSAv8-32 LPAE tables are not modelled; IIDR is not on the command line, 0 is chosen, as are unbounded caches',
    // 0x080ff6bf with TTF=2.
    idr: { IDR0: 0x080ff6bb, IDR1: 0x0ce73d20, IDR2: 0, IDR3: 0x1714, IDR4: 0, IDR5: 0xffff0475, IIDR: 0, AIDR: 2 },
    caches: UNBOUNDED, invalidation: 'literal', replacement: 'oldest', choices: {},
  },
} as const satisfies Readonly<Record<string, Profile>>;
