/** Memory types and shareability of before: an access goes where it should, and is not what it should be (8.3). */
import type { Basis } from './answers.ts';
import { changeAfter, lastChange, type Obligation } from './obligation.ts';
import type { Shadow } from './shadow.ts';
import { steAddress } from './streams.ts';
import { hasOtherAttributes, structureWords } from './structures.ts';

export const ATTRIBUTES = ', with the memory type and shareability that stand there now';

/** Where stage 1 does not translate, it is the STE that says what the access is like (5.2, MTCFG, SHCFG). */
export function givesOldAttributes({ bare, watch, streams }: Shadow, { ste, cd }: Basis): boolean {
  if (ste?.cache !== 'ste' || cd !== undefined || !bare.features.attrTypesOvr) return false;
  const pa = steAddress(streams, ste.streamId);
  return pa !== undefined && hasOtherAttributes(structureWords(ste.words), watch.memory.readWords(pa, 16));
}

/** What was changed after the read stands there again. */
export function isBack(obligation: Obligation, readAt: number): boolean {
  const first = readAt === 0 ? undefined : changeAfter(obligation, readAt);
  const last = lastChange(obligation);
  return first !== undefined && first.pa === last.pa && first.before === last.after;
}
