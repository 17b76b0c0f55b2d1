/**
 * What goes into the reference walker and what comes out of it: plain settings instead of an STE and a
 * CD, memory as a function, and an answer that says what IHI 0070 7.3 puts into a record.
 */
import type { Granule } from './reference-tables.ts';

export type Regime = 'EL1' | 'EL2' | 'EL2_E2H';

/** What a CD says of one of its tables. */
export interface Half {
  readonly epd: boolean;
  readonly tsz: number;
  readonly granule: Granule;
  readonly ttb: bigint;
  readonly tbi: boolean;
  readonly had: boolean;
  readonly e0pd: boolean;
}

/** Stage 1. */
export interface Setup {
  readonly regime: Regime;
  /** For TTB0 and TTB1. */
  readonly halves: readonly [Half, Half];
  readonly ipsBits: number;
  readonly oasBits: number;
  readonly ds: boolean;
  readonly affd: boolean;
  readonly wxn: boolean;
  readonly pan: boolean;
  readonly epan: boolean;
  readonly ha?: boolean;
  readonly hd?: boolean;
  /** CD.HAFT; of no effect without `ha`. */
  readonly haft?: boolean;
  /** CD.ENDI. */
  readonly bigEndian?: boolean;
}

/** Stage 2. */
export interface Stage2 {
  readonly granule: Granule;
  readonly tsz: number;
  /** S2SL0, and S2SL0_2 above it. */
  readonly sl0: number;
  readonly ttb: bigint;
  readonly psBits: number;
  readonly ds: boolean;
  readonly ha: boolean;
  readonly hd: boolean;
  /** STE.S2HAFT; of no effect without `ha`. */
  readonly haft: boolean;
  readonly affd: boolean;
  readonly ptw: boolean;
  readonly fwb: boolean;
  /** STE.S2ENDI. */
  readonly bigEndian: boolean;
}

/** A stream's whole translation. A stage that is left out is bypassed. */
export interface Context {
  readonly stage1?: Setup | undefined;
  readonly stage2?: Stage2 | undefined;
  readonly oasBits: number;
  /** IDR3.XNX. */
  readonly xnx: boolean;
  /** What is fetched before stage 1 translates, in order: IPAs where stage 2 translates. */
  readonly structures: readonly { readonly structure: 'L1CD' | 'CD'; readonly address: bigint }[];
}

export interface Access {
  readonly iova: bigint;
  readonly write: boolean;
  readonly exec: boolean;
  readonly privileged: boolean;
}

/** Why a doubleword is read. */
export type Purpose =
  | { readonly stage: 1 | 2; readonly level: number }
  | { readonly structure: 'L1CD' | 'CD' };

export interface Memory {
  /** The doubleword at `pa` as a little-endian number, or undefined where the read aborts. */
  read(pa: bigint, purpose: Purpose): bigint | undefined;
  write(pa: bigint, value: bigint): void;
}

/** A write of HTTU; values as little-endian numbers. */
export interface Write {
  readonly pa: bigint;
  readonly old: bigint;
  readonly value: bigint;
}

/** One walk that is under way. */
export interface Run {
  readonly memory: Memory;
  readonly writes: Write[];
}

export type FaultClass = 'CD' | 'TT' | 'IN';

/** A record of 7.3 with the fields that the walk decides. `level` is that of the descriptor at fault. */
export interface Fault {
  readonly record: string;
  readonly s2?: boolean;
  readonly class?: FaultClass;
  readonly ipa?: bigint;
  readonly ttrnw?: boolean;
  readonly fetchAddr?: bigint;
  readonly level?: number;
}

export type Outcome = (
  | {
      readonly pa: bigint;
      readonly ipa?: bigint;
      readonly level?: number | undefined;
      readonly level2?: number | undefined;
      readonly global?: boolean | undefined;
    }
  | Fault
) & { readonly writes: readonly Write[] };

/** Stores an updated descriptor, `old` and `value` in the table's byte order. */
export function update(
  { memory, writes }: Run,
  write: Write,
  order: (value: bigint) => bigint = (value) => value,
): void {
  const raw = { pa: write.pa, old: order(write.old), value: order(write.value) };
  memory.write(raw.pa, raw.value);
  writes.push(raw);
}
