/**
 * The CD that a TLB entry was made under, whose MAIR it holds: the entry does not name it, but the access that it was
 * made for does, or the CD was read in the same step.
 */
import type { Fills, ReadCd } from './fills.ts';

/** The CD that an access went by: of the cache, or read for it. */
export function cdOf(
  fills: Fills,
  access: { readonly cause: number; readonly cd: number },
): ReadCd | undefined {
  const fetched = fills.fetchedCd?.cause === access.cause ? fills.fetchedCd : undefined;
  return fills.config.get(access.cd) ?? fetched;
}

/** What was made for an access was made under its CD. */
export function walkedBy(fills: Fills, access: { readonly cause: number; readonly cd: number }): void {
  const cd = fills.made.length === 0 ? undefined : cdOf(fills, access);
  if (cd !== undefined) for (const fill of fills.made) if (fill.entry.cause === access.cause) fill.cd = cd;
}
