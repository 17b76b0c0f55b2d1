/** What a CMD_ATC_INV asks an endpoint to drop (IHI 0070 4.5.1), as the rules look at it. */
import type { AtcScope } from '../../core/endpoint/atc.ts';
import type { Words } from '../../core/layout/field.ts';
import { decode } from '../../core/layout/layout.ts';
import { stuLog2 } from '../../core/smmu/ats.ts';
import { commandName } from '../../core/smmu/command.ts';
import { commandLayouts } from '../../core/smmu/command-layout.ts';
import { hasNoEffect } from '../../core/smmu/command-notes.ts';
import type { Features } from '../../core/smmu/features.ts';

export interface AtcInvalidation extends AtcScope {
  readonly streamId: number;
}

const PAGE_LOG2 = 12;
/** A span of this size or more is all there is. */
const ALL_LOG2 = 64;

/** Undefined: another command, or one without effect. */
export function atcScopeOf(words: Words, features: Features): AtcInvalidation | undefined {
  if (commandName(words) !== 'CMD_ATC_INV' || hasNoEffect(words, features)) return undefined;
  const { StreamID, SSV, SubstreamID, G, Size, Address } = decode(commandLayouts.CMD_ATC_INV.layout, words);
  const sizeLog2 = Math.min(ALL_LOG2, Math.max(Size + PAGE_LOG2, stuLog2(features)));
  const start = (BigInt(Address) >> BigInt(sizeLog2)) << BigInt(sizeLog2);
  return { streamId: StreamID, start, sizeLog2, substreamId: SSV ? (G ? 'pasids' : SubstreamID) : 'any' };
}

/** Whether the span is everything. */
export function isWholeAtc({ sizeLog2 }: AtcInvalidation): boolean {
  return sizeLog2 >= ALL_LOG2;
}

export interface AtcTags {
  readonly streamId: number;
  readonly substreamId?: number | undefined;
  readonly iova: bigint;
  readonly sizeLog2: number;
}

/** The first field by which the scope misses the entry, in words; undefined when it covers it. */
export function atcMismatch(scope: AtcInvalidation, entry: AtcTags): string | undefined {
  const { streamId, substreamId, iova, sizeLog2 } = entry;
  if (scope.streamId !== streamId)
    return `StreamID differs: 0x${scope.streamId.toString(16)}, owed for 0x${streamId.toString(16)}`;
  if (scope.substreamId === 'pasids' && substreamId === undefined)
    return 'Global=1 is for entries with a PASID, this one has none';
  if (typeof scope.substreamId === 'number' && scope.substreamId !== substreamId)
    return `SubstreamID differs: 0x${scope.substreamId.toString(16)}, owed for ${substreamId === undefined ? 'none' : `0x${substreamId.toString(16)}`}`;
  const last = scope.start + (1n << BigInt(scope.sizeLog2)) - 1n;
  if (iova > last || iova + (1n << BigInt(sizeLog2)) <= scope.start)
    return `range 0x${scope.start.toString(16)}-0x${last.toString(16)} does not hold 0x${iova.toString(16)}`;
  return undefined;
}
