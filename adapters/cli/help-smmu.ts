/** `help profiles` and `help choices`, made from the tables of the model. */
import { choices } from '../../core/smmu/choices.ts';
import type { Profile } from '../../core/smmu/profiles/profile.ts';
import { profiles } from '../../core/smmu/profiles.ts';

/** Hardware profiles: identification registers, caches, source. */
export function profilesHelp(): string[] {
  const rows: readonly (readonly [string, Profile])[] = Object.entries(profiles);
  return rows.flatMap(([name, { source, doubts, idr, caches, invalidation, replacement, choices: own }]) => [
    name,
    `  ${source}`,
    ...(doubts === undefined ? [] : [`  Chosen or uncertain: ${doubts}`]),
    `  ${Object.entries(idr)
      .map(([register, value]) => `${register}=0x${value.toString(16)}`)
      .join(' ')}`,
    `  caches ste=${caches.ste} cd=${caches.cd} tlb=${caches.tlb} walk=${caches.walk}`,
    `  ${invalidation} invalidation; when full: ${replacement}`,
    ...Object.entries(own).map(([choice, value]) => `  ${choice} = ${value}`),
    '',
  ]);
}

/** Where the architecture leaves freedom, and what is taken. */
export function choicesHelp(): string[] {
  const rows = Object.entries(choices).flatMap(([name, { default: usual, spec, meaning }]) => [
    `${name} = ${usual}   IHI 0070 ${spec}`,
    `  ${meaning}`,
  ]);
  return ['A scenario sets them in machine.smmus[].choices, or from a moment on with set.', '', ...rows];
}
