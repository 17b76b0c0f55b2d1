/** Sets of named values and named flag bits, each with the release that brought it. */
import type { Version } from './versions.ts';

/** The value, and the first release that knows it. */
export type Member = readonly [value: number, since: Version];
export type Members = Readonly<Record<string, Member>>;

export interface NameSet<M extends Members = Members> {
  /** `flags`: members are bits and may be combined. `values`: one of them. */
  readonly kind: 'flags' | 'values';
  readonly members: M;
}

/** Bits that may be combined. */
export function flags<const M extends Members>(members: M): NameSet<M> {
  return { kind: 'flags', members };
}

/** Values of which a field holds one. */
export function values<const M extends Members>(members: M): NameSet<M> {
  return { kind: 'values', members };
}

/** The name of a value, the first that has it. */
export function nameOf(set: NameSet, value: number | bigint): string | undefined {
  return Object.entries(set.members).find(([, [each]]) => BigInt(each) === BigInt(value))?.[0];
}

/** `A|B|0x40` for flags, the name for values; numbers without a name as they are. */
export function showNames(set: NameSet, value: number | bigint): string {
  const whole = BigInt(value);
  if (set.kind === 'values') return nameOf(set, value) ?? `0x${whole.toString(16)}`;
  const held = Object.entries(set.members).filter(([, [bit]]) => (whole & BigInt(bit)) !== 0n);
  const rest = held.reduce((left, [, [bit]]) => left & ~BigInt(bit), whole);
  const names = held.map(([name]) => name);
  return [...names, ...(rest === 0n && names.length > 0 ? [] : [`0x${rest.toString(16)}`])].join('|');
}
