/** No particular hardware: all that is modelled, and the least that is of use. */
import { registers } from '../registers.ts';
import { NONE, type Profile, UNBOUNDED, word } from './profile.ts';

const { IDR0, IDR1, IDR3, IDR5, AIDR } = registers.byName;

// Stage 1, terminate only; what stage 2, ATS, PRI, stalls, HTTU, MSIs and broadcasts need is 0.
const STAGE_1 = {
  S1P: true,
  TTF: 2,
  COHACC: true,
  ASID16: true,
  TTENDIAN: 2,
  STALL_MODEL: 1,
} as const;

// biome-ignore format: a table
export const modelProfiles = {
  everything: {
    source: 'IHI 0070 G.b, v3.3: all that this version of Backwalk models',
    idr: {
      IDR0: word(IDR0, { ...STAGE_1, SEV: true, CD2L: true, ST_LEVEL: 1 }),
      IDR1: word(IDR1, { SIDSIZE: 16, SSIDSIZE: 20, EVENTQS: 19, CMDQS: 19, ATTR_PERMS_OVR: true, ATTR_TYPES_OVR: true }),
      IDR3: word(IDR3, { HAD: true, STT: true, RIL: true, BBML: 2, E0PD: true }),
      IDR5: word(IDR5, { OAS: 5, GRAN4K: true, GRAN16K: true, GRAN64K: true }),
      AIDR: word(AIDR, { ArchMinorRev: 3 }),
    },
    caches: UNBOUNDED, invalidation: 'literal', replacement: 'oldest', choices: {},
  },
  minimal: {
    source: 'IHI 0070 G.b: stage 1, linear stream table, 4KB granule, one context a stream, no caches',
    idr: {
      IDR0: word(IDR0, STAGE_1),
      IDR1: word(IDR1, { SIDSIZE: 6, EVENTQS: 7, CMDQS: 8 }),
      IDR3: word(IDR3, { HAD: true }),
      IDR5: word(IDR5, { OAS: 4, GRAN4K: true }),
      AIDR: word(AIDR, { ArchMinorRev: 1 }),
    },
    caches: NONE, invalidation: 'literal', replacement: 'oldest', choices: {},
  },
} as const satisfies Readonly<Record<string, Profile>>;
