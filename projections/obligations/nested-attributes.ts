/**
 * An access of a nested stream that went where it should with a memory type or shareability of before: the leaf of
 * either stage, or MAIR of the CD, was changed under the entry (IHI 0070 5.4.1, 13.1; Arm ARM D8.16).
 */
import type { Request } from '../../core/smmu/translate.ts';
import { type AccessEntry, showAnswer } from './answers.ts';
import type { PathNode, ReadCd, TlbFill } from './fills.ts';
import { cdOf } from './made-under.ts';
import { type Culprit, cleanedBy, contextCulprit, culpritsOf, isQueued } from './nested-use.ts';
import { isOver } from './obligation.ts';
import { ATTRIBUTES } from './old-attributes.ts';
import { freshAnswer, type Shadow } from './shadow.ts';
import { hasOtherMair, structureWords } from './structures.ts';
import type { Stale } from './use.ts';

// Low words: AttrIndx of stage 1, MemAttr of stage 2, and SH.
const KIND = 3;
const SH = 3 << 8;
const TYPE1 = (7 << 2) | SH;
const TYPE2 = (15 << 2) | SH;
/** Byte offsets of MAIR and AMAIR in a CD. */
const MAIRS = [24, 32] as const;

/** The finding's facts; undefined: the attributes are those that stand there, or what takes the entry is under way. */
export function judgeNestedAttributes(
  shadow: Shadow,
  access: AccessEntry,
  request: Request,
): Stale | undefined {
  if (access.type !== 'access.completed') return undefined;
  const { fills } = shadow;
  const cd = cdOf(fills, access);
  const used = [access.tlb, access.tlb2 ?? 0].flatMap((seq) => fills.tlb.get(seq) ?? []);
  const first = used
    .flatMap((fill) => [...leafCulprits(shadow, fill), ...mairCulprits(shadow, fill, cd)])
    .filter(({ obligation }) => isOver(obligation) || !isQueued(shadow, obligation))
    .find((culprit) => cleanedBy(shadow, culprit) === undefined);
  if (first === undefined) return undefined;
  return {
    ste: fills.config.get(access.ste),
    cd: fills.config.get(access.cd),
    tlb: first.fill as TlbFill,
    stale: 'tlb',
    now: `${showAnswer(freshAnswer(shadow, request))}${ATTRIBUTES}`,
    guilty: [first.obligation],
    readAt: first.readAt,
    survived: undefined,
  };
}

/** Leaves of another memory type or shareability by now. */
function leafCulprits(shadow: Shadow, fill: TlbFill): readonly Culprit[] {
  const { path, others, entry } = fill;
  const { memory } = shadow.watch;
  // A table or nothing in its place is another matter.
  const changed = ({ lo, pa }: PathNode, bits: number): boolean => {
    const difference = lo ^ memory.read32(pa);
    return (difference & KIND) === 0 && (difference & bits) !== 0;
  };
  const own = changed(path, entry.stage === 2 ? TYPE2 : TYPE1) ? [path.pa] : [];
  const under = others.filter((node) => changed(node, TYPE2)).map(({ pa }) => pa);
  if (own.length + under.length === 0) return [];
  const leaves = new Set([...own, ...under]);
  return culpritsOf(shadow, fill).filter(
    ({ obligation: { structure, where } }) => structure === 'leaf' && leaves.has(where),
  );
}

/** The MAIR that it was made under is not the one that stands there now. */
function mairCulprits(shadow: Shadow, fill: TlbFill, cd: ReadCd | undefined): readonly Culprit[] {
  const under = fill.cd;
  if (cd === undefined || under === undefined || fill.entry.stage === 2) return [];
  // The stores first: every access asks, and most CDs have never been stored to since.
  const changes = MAIRS.map((offset) => shadow.stores.get(cd.pa + offset));
  const change = changes.find((each) => each !== undefined && each.seq > under.seq);
  if (change === undefined) return [];
  const now = shadow.watch.memory.readWords(cd.pa, 16);
  return hasOtherMair(structureWords(under.words), now) ? [contextCulprit(fill, 'CD', cd.pa, change)] : [];
}
