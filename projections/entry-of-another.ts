/**
 * I4: a look-up finds entries of its own context alone (IHI 0070 3.17, 16.2). Told at the access whose answer is
 * another for it. Software has no part in it: the SMMU is to blame, where its look-up took the wrong entry.
 */

import type { Request } from '../core/smmu/translate.ts';
import { type AccessEntry, positions, restsOn, type Teller, tellAccess } from './explain.ts';
import type { Finding, Step } from './finding.ts';
import { isSameAnswer, showAnswer } from './obligations/answers.ts';
import { strayOf } from './obligations/hit-context.ts';
import { type Fresh, freshAnswer, type Shadow } from './obligations/shadow.ts';
import type { Stray } from './obligations/stray.ts';
import { hex, showTlbEntry } from './obligations/tell.ts';

/** The finding, where an entry of another context gave the access, or its ATC, an answer that is not its own. */
export function judgeContext(
  shadow: Shadow,
  teller: Teller,
  access: AccessEntry,
  request: Request,
  line: number | undefined,
): Finding | undefined {
  const stray = access.atc === undefined ? strayOf(shadow, access) : shadow.atcs.held.get(access.atc)?.stray;
  if (stray === undefined) return undefined;
  const fresh = freshAnswer(shadow, request);
  if (isSameAnswer(shadow, access, fresh)) return undefined;
  return explain(shadow, teller, { access, stray, fresh, line });
}

interface Told {
  readonly access: AccessEntry;
  readonly stray: Stray;
  readonly fresh: Fresh;
  readonly line: number | undefined;
}

/** The finding of an access that such an entry served. */
function explain(shadow: Shadow, teller: Teller, { access, stray, fresh, line }: Told): Finding {
  const at = positions(teller);
  const { entry } = stray.fill;
  const tlb = shadow.fills.tlb.get(access.tlb) ?? stray.fill;
  return {
    rule: 'I4',
    verdict: 'used-stale',
    position: at(access.seq),
    title: `entry-of-another-used in DMA ${access.access} by ${access.endpoint} (SID ${hex(access.streamId)})`,
    actor: access.endpoint,
    consequence: access.type === 'access.terminated' ? 'availability' : 'isolation',
    access: tellAccess(at, { access, now: showAnswer(fresh), line }),
    entry: {
      filled: at(entry.seq),
      cache: entry.cache,
      what: showTlbEntry(entry),
      rests: restsOn(at, { shadow, tlb, ste: undefined, cd: undefined }),
    },
    blame: tellLookUp(at(stray.through === 0 ? access.seq : stray.through), shadow, stray),
    after: [],
    missing: {
      needed: `nothing: a look-up compares all of the tag, and this entry is ${stray.why}`,
      commands: [],
      nearest: { position: null, why: '' },
    },
    obligations: [],
    dirtyEvents: access.seq - entry.seq,
    notes: ['no software is at fault: no change and no command came between, and none would help'],
    next: [`backwalk show ${at(access.seq - 1)} ${access.smmu}.${entry.cache}`],
    reproduce: `backwalk check ${at(1)}..${at(access.seq)} --explain`,
  };
}

function tellLookUp(position: string, { name }: Shadow, { fill: { entry }, why }: Stray): Step {
  const cache = entry.cache === 'walk' ? 'walk cache' : 'TLB';
  return { position, actor: name, what: `look-up of the ${cache} took an entry that is ${why}` };
}
