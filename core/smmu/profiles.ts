/**
 * Hardware profiles: what one implementation is, as data with a name and a source. A scenario names
 * one and may override any value of it.
 */
import type { CacheCapacities, SmmuConfig } from '../config.ts';
import { defaultChoices } from './choices.ts';
import { armProfiles } from './profiles/arm.ts';
import { modelProfiles } from './profiles/model.ts';
import type { Profile } from './profiles/profile.ts';
import { qemuProfiles } from './profiles/qemu.ts';

export const profiles = {
  ...modelProfiles,
  ...qemuProfiles,
  ...armProfiles,
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
