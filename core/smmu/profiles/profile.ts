/** What a hardware profile is made of, and the words of its identification registers from field names. */
import type { CacheCapacities, SmmuConfig } from '../../config.ts';
import { type AnyField, type Decoded, encode, type Layout } from '../../layout/layout.ts';

export interface Profile {
  /** Where the values come from. */
  readonly source: string;
  /** Which values are chosen, or taken from a near relative, and what the part has and the model lacks. */
  readonly doubts?: string;
  readonly idr: SmmuConfig['idr'];
  readonly caches: CacheCapacities;
  readonly invalidation: SmmuConfig['invalidation'];
  readonly replacement: SmmuConfig['replacement'];
  /** Choices that differ from their defaults: errata, and what the part does where it is free. */
  readonly choices: SmmuConfig['choices'];
}

export const UNBOUNDED: CacheCapacities = {
  ste: 'unbounded',
  cd: 'unbounded',
  tlb: 'unbounded',
  walk: 'unbounded',
};
export const NONE: CacheCapacities = { ste: 0, cd: 0, tlb: 0, walk: 0 };

/** The first word of a register with these fields. */
export function word<F extends Record<string, AnyField>>(
  of: Layout<F>,
  fields: Partial<Decoded<Layout<F>>>,
): number {
  return encode(of, fields)[0] ?? 0;
}
