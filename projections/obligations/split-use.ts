/**
 * Split-stage ATS (STE.EATS, IHI 0070 3.9.1, 5.2): a Translated transaction has an IPA, and the SMMU takes it through
 * stage 2. What stage 2 serves it from is of the TLB, whatever the ATC holds.
 */
import type { Request } from '../../core/smmu/translate.ts';
import { type AccessEntry, isSameAnswer, showAnswer } from './answers.ts';
import { cleanedBy, culpritsOf, isQueued } from './nested-use.ts';
import { isOver } from './obligation.ts';
import { freshAnswer, type Shadow } from './shadow.ts';
import type { Stale } from './use.ts';

/** The finding's facts; undefined: stage 2 gave what its tables say, or what takes the entry is under way. */
export function judgeSplitUse(shadow: Shadow, access: AccessEntry, request: Request): Stale | undefined {
  const fill = access.tlb === 0 ? undefined : shadow.fills.tlb.get(access.tlb);
  if (fill === undefined || fill.entry.stage !== 2) return undefined;
  const culprit = culpritsOf(shadow, fill)
    .filter(({ obligation }) => isOver(obligation) || !isQueued(shadow, obligation))
    .find((each) => cleanedBy(shadow, each) === undefined);
  if (culprit === undefined) return undefined;
  const fresh = freshAnswer(shadow, request);
  if (isSameAnswer(shadow, access, fresh)) return undefined;
  const { obligation, readAt } = culprit;
  const ste = shadow.fills.config.get(access.ste);
  const now = showAnswer(fresh);
  return {
    ste,
    cd: undefined,
    tlb: fill,
    stale: 'tlb',
    now,
    guilty: [obligation],
    readAt,
    survived: undefined,
  };
}
