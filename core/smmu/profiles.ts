/**
 * Hardware profiles: what one implementation is, as data with a name and a source. A scenario names
 * one and may override any value of it.
 */
import type { CacheCapacities, SmmuConfig } from '../config.ts';
import { type AnyField, type Decoded, encode, type Layout } from '../layout/layout.ts';
import { defaultChoices } from './choices.ts';
import { registers } from './registers.ts';

export interface Profile {
  /** Where the values come from. */
  readonly source: string;
  readonly idr: Readonly<Record<string, number>>;
  readonly caches: CacheCapacities;
  readonly invalidation: SmmuConfig['invalidation'];
  readonly replacement: SmmuConfig['replacement'];
  readonly choices: SmmuConfig['choices'];
}

const { IDR0, IDR1, IDR3, IDR5, AIDR } = registers.byName;

const UNBOUNDED: CacheCapacities = { ste: 'unbounded', cd: 'unbounded', tlb: 'unbounded', walk: 'unbounded' };
const NONE: CacheCapacities = { ste: 0, cd: 0, tlb: 0, walk: 0 };

/** The first word of a register with these fields. */
function word<F extends Record<string, AnyField>>(
  of: Layout<F>,
  fields: Partial<Decoded<Layout<F>>>,
): number {
  return encode(of, fields)[0] ?? 0;
}

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
const EVERYTHING_IDR: Readonly<Record<string, number>> = {
  IDR0: word(IDR0, { ...STAGE_1, SEV: true, CD2L: true, ST_LEVEL: 1 }),
  IDR1: word(IDR1, { SIDSIZE: 16, SSIDSIZE: 20, EVENTQS: 19, CMDQS: 19, ATTR_PERMS_OVR: true, ATTR_TYPES_OVR: true }),
  IDR3: word(IDR3, { HAD: true, STT: true, RIL: true, BBML: 2, E0PD: true }),
  IDR5: word(IDR5, { OAS: 5, GRAN4K: true, GRAN16K: true, GRAN64K: true }),
  AIDR: word(AIDR, { ArchMinorRev: 3 }),
};

// biome-ignore format: a table
export const profiles = {
  everything: {
    source: 'IHI 0070 G.b, v3.3: all that this version of Backwalk models',
    idr: EVERYTHING_IDR,
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
  'qemu-7.2': {
    source: 'QEMU 7.2 hw/arm/smmuv3.c: registers as its guests read them, IOTLB of 256 entries emptied when full',
    idr: { IDR0: 0x0d40101a, IDR1: 0x02730010, IDR3: 0x1404, IDR5: 0x74, IIDR: 0, AIDR: 1 },
    caches: { ste: 'unbounded', cd: 'unbounded', tlb: 256, walk: 0 },
    invalidation: 'literal', replacement: 'flush-all', choices: { cacheRefusedLeaf: false },
  },
} as const satisfies Readonly<Record<string, Profile>>;

export type ProfileName = keyof typeof profiles;
export const defaultProfile: ProfileName = 'everything';

/** Whether there is such a profile. */
export function isProfileName(name: string): name is ProfileName {
  return Object.hasOwn(profiles, name);
}

/** What a scenario says of an SMMU besides its profile. */
export interface SmmuOverrides {
  readonly name: string;
  readonly base: number;
  readonly idr?: SmmuConfig['idr'] | undefined;
  readonly caches?: Partial<CacheCapacities> | undefined;
  readonly invalidation?: SmmuConfig['invalidation'] | undefined;
  readonly replacement?: SmmuConfig['replacement'] | undefined;
  readonly choices?: SmmuConfig['choices'] | undefined;
}

/** An SMMU as its profile describes it, with the overrides in place. */
export function smmuConfig(profile: ProfileName, overrides: SmmuOverrides): SmmuConfig {
  const base: Profile = profiles[profile];
  return {
    name: overrides.name,
    base: overrides.base,
    profile,
    idr: { ...base.idr, ...overrides.idr },
    caches: { ...base.caches, ...overrides.caches },
    invalidation: overrides.invalidation ?? base.invalidation,
    replacement: overrides.replacement ?? base.replacement,
    choices: { ...defaultChoices(), ...base.choices, ...overrides.choices },
  };
}
