/**
 * Answers as text, for scenarios that are written from IHI 0070: event records by the bit numbers of 7.3, and
 * how accesses ended.
 */
import type { Entry } from '../../core/event.ts';

export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

// biome-ignore format: a table
const names: Readonly<Record<number, string>> = {
  2: 'C_BAD_STREAMID', 3: 'F_STE_FETCH', 4: 'C_BAD_STE', 5: 'F_BAD_ATS_TREQ', 6: 'F_STREAM_DISABLED',
  7: 'F_TRANSL_FORBIDDEN', 8: 'C_BAD_SUBSTREAMID', 9: 'F_CD_FETCH', 10: 'C_BAD_CD', 11: 'F_WALK_EABT',
  16: 'F_TRANSLATION', 17: 'F_ADDR_SIZE', 18: 'F_ACCESS', 19: 'F_PERMISSION',
};

/** A record as text, by the bit numbers of IHI 0070 7.3. */
export function recordText(hex: string): string {
  const value = BigInt(`0x${hex.replaceAll(' ', '')}`);
  const at = (hi: number, lo = hi): bigint => (value >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
  const number = Number(at(7, 0));
  const name = names[number] ?? `0x${number.toString(16)}`;
  if (number < 0x0b && number !== 0x03 && number !== 0x09) return name;
  if (number < 0x0b) return `${name} @0x${(at(247, 195) << 3n).toString(16)}`;
  const attributes = `${at(99) === 1n ? 'r' : 'w'}${at(98) === 1n ? 'x' : ''}${at(97) === 1n ? 'p' : ''}`;
  const stage = `s${at(103) === 1n ? 2 : 1}.${['CD', 'TT', 'IN', '?'][Number(at(105, 104))]}`;
  const fetched = number === 0x0b ? ` @0x${(at(247, 195) << 3n).toString(16)}` : '';
  const ipa = number !== 0x0b && at(103) === 1n ? ` ipa=0x${(at(247, 204) << 12n).toString(16)}` : '';
  const ttRead = number === 0x13 && at(105, 104) === 1n ? (at(108) === 1n ? ' ttr' : ' ttw') : '';
  const stall = at(95) === 1n ? ' stall' : '';
  return `${name}/${attributes} ${stage}${ipa}${fetched}${ttRead}${stall}`;
}

export function shownPiece(result: string, pa: unknown): string {
  return typeof pa === 'number' ? `${result} ${hex(pa)}` : result;
}

/** How accesses ended, or that they stalled. */
export function ends(entries: readonly Entry[]): string[] {
  return entries.flatMap((each) => {
    if (each.type === 'access.completed') return [shownPiece('ok', each.pa)];
    if (each.type === 'access.terminated') return [each.result];
    return each.type === 'access.stalled' ? ['stall'] : [];
  });
}
