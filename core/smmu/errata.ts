/**
 * What parts with errata make of the invalidations that a command obliges them to, and of the records of
 * faults. The rules of the architecture are not asked here: what a driver may rely on stays what the command
 * says. The exact conditions of most errata are not public; each choice says what is taken instead.
 */
import type { SmmuConfig } from '../config.ts';
import type { Fault } from './fault.ts';
import type { ConfigScope, Scope, TlbScope } from './invalidate.ts';

/** log2 of a range's granule where it names none. */
const SMALLEST = 12;
/** The level of pages. */
const LAST_LEVEL = 3;
/** The entries that both stages made. */
const COMBINED = 12;

/**
 * The scopes that are carried out.
 * @param command the name of the command that asks for them.
 * @param before the invalidation consumed before it with no CMD_SYNC between, if any.
 */
export function carriedOut(
  scopes: readonly Scope[],
  choices: SmmuConfig['choices'],
  command: string,
  before: string | undefined,
): readonly Scope[] {
  if (choices['erratumMixedRuns'] === true && before !== undefined && before !== command) return [];
  const out: Scope[] = [];
  for (const scope of scopes) {
    if (scope.kind === 'config') out.push(...configCarriedOut(scope, choices, command));
    else {
      const left = tlbCarriedOut(scope, choices, command);
      if (left !== undefined) out.push(left);
    }
  }
  return out;
}

/** Streams other than those asked for, or none. */
function configCarriedOut(
  scope: ConfigScope,
  choices: SmmuConfig['choices'],
  command: string,
): readonly ConfigScope[] {
  const ranged = command === 'CMD_CFGI_STE_RANGE';
  if (choices['erratumStreamRange'] === true && ranged && scope.last === 0xffff_ffff) return [];
  if (choices['erratumStreamNumber'] !== true || ranged) return [scope];
  const streamId = (scope.first & ~0xf8) >>> 0;
  return [{ ...scope, first: streamId, last: streamId }];
}

/** Undefined: nothing is dropped. */
function tlbCarriedOut(
  scope: TlbScope,
  choices: SmmuConfig['choices'],
  command: string,
): TlbScope | undefined {
  const { range, granuleLog2 = SMALLEST } = scope;
  if (choices['erratumAsidOfVmid'] === true && command === 'CMD_TLBI_NH_ASID') return { ...scope, vmid: 0 };
  if (range === undefined) return scope;
  if (choices['erratumLeafInvalidation'] === true && scope.leafOnly) return undefined;
  // Blocks are of smaller levels: the entry stands for the pieces that were not named.
  if (choices['erratumBlockPieces'] === true && granuleLog2 === SMALLEST && scope.level === undefined)
    return { ...scope, level: LAST_LEVEL };
  const hinted = command === 'CMD_TLBI_NH_VAA' && scope.level !== undefined;
  if (choices['erratumAnyAsidHint'] === true && hinted) return undefined;
  const nested = choices['erratumNestedInvalidation'] === true ? withoutCombined(scope) : scope;
  if (choices['erratumRangeInvalidation'] === true) return firstWhenCrooked(nested);
  if (choices['erratumRangePages'] !== true) return nested;
  const bits = BigInt(granuleLog2);
  const end = range.start + (BigInt.asUintN(32, (range.end - range.start) >> bits) << bits);
  return end === range.start ? undefined : { ...nested, range: { start: range.start, end } };
}

function withoutCombined(scope: TlbScope): TlbScope {
  return { ...scope, stages: scope.stages.filter((stage) => stage !== COMBINED) };
}

/** A range form (those have a granule) whose start is not aligned to its size, rounded up to a power of two. */
function firstWhenCrooked(scope: TlbScope): TlbScope {
  const { range, granuleLog2 } = scope;
  if (range === undefined || granuleLog2 === undefined) return scope;
  let size = 1n << BigInt(granuleLog2);
  const granule = size;
  while (size < range.end - range.start) size *= 2n;
  if (range.start % size === 0n) return scope;
  return { ...scope, range: { start: range.start, end: range.start + granule } };
}

/** A record as it comes to memory. */
export function asStored(words: Uint8Array, choices: SmmuConfig['choices']): Uint8Array {
  if (choices['erratumEventBlank'] !== true) return words;
  const blank = words.slice();
  blank[0] = 0; // EventID
  return blank;
}

/** What a record tells of a fault. */
export function asTold(fault: Fault, choices: SmmuConfig['choices']): Fault {
  if (choices['erratumEventStage2'] !== true || fault.s2 !== true) return fault;
  const { ipa: _lost, ...rest } = fault;
  return { ...rest, class: 'CD' };
}
