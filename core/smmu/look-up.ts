/**
 * The look-up of the TLB and of the walk cache: by translation context and page (IHI 0070 3.17, 16.2). Parts with an
 * erratum leave a part of the tag out (`erratumTagIgnored`), and find entries that others have filled.
 */
import type { SmmuConfig } from '../config.ts';
import { below, pow2 } from '../pow2.ts';
import { differOnlyIn, pageKey, type TagPart } from './keys.ts';
import type { SmmuState, TlbEntry } from './state.ts';

/** The entry of the context and of span `sizeLog2` that holds `page`. */
export function findEntry(
  { caches, config }: SmmuState,
  name: 'tlb' | 'walk',
  primary: number,
  page: number,
  sizeLog2: number,
): TlbEntry | undefined {
  const cache = caches[name];
  return (
    cache.find(primary, pageKey(page, sizeLog2)) ?? ofAnother(config, cache, name, primary, page, sizeLog2)
  );
}

const PARTS: readonly TagPart[] = ['ASID', 'VMID', 'StreamWorld'];

/** What a part finds that does not compare all of the tag. */
function ofAnother(
  { choices }: SmmuConfig,
  cache: SmmuState['caches']['tlb'],
  name: 'tlb' | 'walk',
  primary: number,
  page: number,
  sizeLog2: number,
): TlbEntry | undefined {
  const ignored = choices['erratumTagIgnored'];
  if (ignored === undefined || ignored === 'none') return undefined;
  if (ignored === 'address') {
    if (name === 'tlb') return undefined;
    return aliases(page).flatMap((alias) => cache.find(primary, pageKey(alias, sizeLog2)) ?? [])[0];
  }
  const part = PARTS.find((each) => each === ignored);
  if (part === undefined) return undefined;
  const within = pageKey(page, sizeLog2);
  for (const [key, inner] of cache.index.range()) {
    const id = differOnlyIn(part, key, primary) ? inner.get(within) : undefined;
    if (id !== undefined) return cache.fills.get(id);
  }
  return undefined;
}

/** log2 of the pages below address bit 48. */
const COMPARED = 36;

/** The pages with the same address bits [47:12]: of the lower and of the upper half. */
function aliases(page: number): readonly number[] {
  const low = below(page, pow2(COMPARED));
  return [low, low + 0xff * pow2(COMPARED)];
}
