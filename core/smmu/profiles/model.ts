/** No particular hardware: all that is modelled, and the least that is of use. */
import { registers } from '../registers.ts';
import { NONE, type Profile, UNBOUNDED, word } from './profile.ts';

const { IDR0, IDR1, IDR2, IDR3, IDR5, AIDR } = registers.byName;

// biome-ignore format: a table
const EVERYTHING_IDR = {
  IDR0: word(IDR0, {
    S2P: true, S1P: true, TTF: 2, COHACC: true, BTM: true, HTTU: 2, Hyp: true, ATS: true, ASID16: true, MSI: true,
    SEV: true, ATOS: true, PRI: true, VMW: true, VMID16: true, CD2L: true, VATOS: true, TTENDIAN: 2,
    ATSRECERR: true, STALL_MODEL: 0, TERM_MODEL: false, ST_LEVEL: 1,
  }),
  IDR1: word(IDR1, {
    SIDSIZE: 16, SSIDSIZE: 20, PRIQS: 19, EVENTQS: 19, CMDQS: 19, ATTR_PERMS_OVR: true, ATTR_TYPES_OVR: true,
  }),
  // The VATOS page is the one behind page 1.
  IDR2: word(IDR2, { BA_VATOS: 0 }),
  IDR3: word(IDR3, {
    HAD: true, XNX: true, FWB: true, STT: true, RIL: true, BBML: 2, E0PD: true, PTWNNC: true,
  }),
  IDR4: 0,
  IDR5: word(IDR5, { OAS: 5, GRAN4K: true, GRAN16K: true, GRAN64K: true, STALL_MAX: 64 }),
  IIDR: 0,
  AIDR: word(AIDR, { ArchMinorRev: 3 }),
};

// biome-ignore format: a table
export const modelProfiles = {
  everything: {
    source: 'IHI 0070 G.b, v3.3: a full-featured SMMU, all that this version of Backwalk models but mixed-endian tables and 52-bit addresses (an idr may say so)',
    idr: EVERYTHING_IDR,
    caches: UNBOUNDED, invalidation: 'literal', replacement: 'oldest', choices: {},
  },
  minimal: {
    source: 'IHI 0070 G.b: stage 1, linear stream table, 4KB granule, one context a stream, no caches',
    idr: {
      // Stage 1, terminate only, little-endian.
      IDR0: word(IDR0, { S1P: true, TTF: 2, COHACC: true, ASID16: true, TTENDIAN: 2, STALL_MODEL: 1 }),
      IDR1: word(IDR1, { SIDSIZE: 6, EVENTQS: 7, CMDQS: 8 }),
      IDR3: word(IDR3, { HAD: true }),
      IDR5: word(IDR5, { OAS: 4, GRAN4K: true }),
      AIDR: word(AIDR, { ArchMinorRev: 1 }),
    },
    caches: NONE, invalidation: 'literal', replacement: 'oldest', choices: {},
  },
} as const satisfies Readonly<Record<string, Profile>>;
