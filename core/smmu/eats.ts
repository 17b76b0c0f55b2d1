/**
 * What STE.EATS means once the SMMU, the rest of the STE and CR0.ATSCHK have had their say: IHI 0070 5.2
 * EATS. The STE is valid and not ILLEGAL.
 */
import type { Features } from './features.ts';
import { type Ste, steConfig } from './ste.ts';

export type Eats = Exclude<Ste['EATS'], 'RESERVED'>;

/**
 * The effective EATS. A disabled stream (Config 0b0xx) does not consult it: its requests are refused in
 * silence, which is not what OFF does.
 */
export function effectiveEats(ste: Pick<Ste, 'Config' | 'EATS'>, features: Features, atschk: boolean): Eats {
  const config = steConfig(ste);
  if (!features.ats || config === 'ABORT' || config === 'BYPASS') return 'OFF';
  if (ste.EATS === 'SPLIT' && !atschk) return 'OFF';
  if (ste.EATS === 'FULL_DPT' && (!features.dpt || !atschk)) return 'OFF';
  return ste.EATS === 'RESERVED' ? 'OFF' : ste.EATS;
}
