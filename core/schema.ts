/**
 * What the payload of an entry is made of. Each stimulus and event declares its fields once, with
 * the kinds below; types, the columns on disk, printing, JSON and the indexes come from that.
 */

export type Column = 'int' | 'u64' | 'flag' | 'text' | 'bytes' | 'json';

/** What an index can be asked for; see `core/history/touch.ts`. */
export type IndexName =
  | 'page'
  | 'iova'
  | 'sid'
  | 'asid'
  | 'vmid'
  | 'register'
  | 'command'
  | 'endpoint'
  | 'path'
  | 'record'
  | 'errno'
  | 'rule'
  | 'object'
  | 'cache';

export interface Kind<T, O extends boolean = false> {
  readonly column: Column;
  readonly optional: O;
  /** In hexadecimal, as addresses and register values are printed. */
  readonly hex: boolean;
  readonly index?: IndexName;
  /** The value is the seq of another entry. */
  readonly refers?: boolean;
  /** Never set: carries the type. */
  readonly type?: T;
}

function kind<T>(column: Column, hex = false, index?: IndexName): Kind<T> {
  return index === undefined ? { column, optional: false, hex } : { column, optional: false, hex, index };
}

/** An integer, 0 to 2^53 - 1: counts, sizes, indices, levels. */
export const int = (index?: IndexName): Kind<number> => kind('int', false, index);
/** An identifier that people write in hexadecimal: StreamID, opcode, offset. */
export const id = (index?: IndexName): Kind<number> => kind('int', true, index);
/** A physical (or intermediate) address. */
export const pa = (): Kind<number> => kind('int', true, 'page');
/** An input address, all 64 bits. */
export const iova = (): Kind<bigint> => kind('u64', true, 'iova');
/** A 64-bit value. */
export const u64 = (): Kind<bigint> => kind('u64', true);
export const flag = (): Kind<boolean> => kind('flag');
/** A short text that repeats much (names): kept once for a segment. */
export const text = <T extends string = string>(index?: IndexName): Kind<T> => kind<T>('text', false, index);
/** Bytes in memory order. */
export const bytes = (): Kind<Uint8Array> => kind('bytes', true);
/** Anything irregular: plain data only. */
export const json = <T>(): Kind<T> => kind('json');
/** The sequence number of another entry of the branch; 0 says none. */
export const seq = (): Kind<number> => ({ ...kind<number>('int'), refers: true });

/** The same, but it may be absent. */
export function optional<T>(of: Kind<T>): Kind<T, true> {
  return { ...of, optional: true } as Kind<T, true>;
}

/** A list of such. */
export const seqs = (): Kind<readonly number[]> => ({ ...kind<readonly number[]>('json'), refers: true });

export type Schema = Readonly<Record<string, Kind<unknown, boolean>>>;

export type Payload<S extends Schema> = {
  readonly [K in keyof S as S[K] extends Kind<unknown, true> ? never : K]: S[K] extends Kind<infer T, boolean>
    ? T
    : never;
} & {
  readonly [K in keyof S as S[K] extends Kind<unknown, true> ? K : never]?: S[K] extends Kind<
    infer T,
    boolean
  >
    ? T
    : never;
};

/** One value as it is printed: hexadecimal in lower case for addresses, plain numbers for counts. */
export function showValue(of: Kind<unknown, boolean>, value: unknown): string {
  if (value instanceof Uint8Array) return hexOf(value);
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (typeof value === 'number') return of.hex ? `0x${value.toString(16)}` : String(value);
  if (typeof value === 'object') return JSON.stringify(jsonSafe(value));
  return String(value);
}

/** The value as JSON says it: `"0x..."` for addresses and register values, numbers for counts. */
export function jsonValue(of: Kind<unknown, boolean>, value: unknown): unknown {
  if (value instanceof Uint8Array) return hexOf(value);
  if (typeof value === 'bigint' || (typeof value === 'number' && of.hex)) return `0x${value.toString(16)}`;
  return jsonSafe(value);
}

/** Plain data with bigints and bytes inside, as JSON can say it. */
function jsonSafe(value: unknown): unknown {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (value instanceof Uint8Array) return hexOf(value);
  if (Array.isArray(value)) return value.map(jsonSafe);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, jsonSafe(each)]));
}

const HEX = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'));

/** Two digits a byte, in memory order. */
export function hexOf(data: Uint8Array): string {
  let out = '';
  for (const value of data) out += HEX[value];
  return out;
}
