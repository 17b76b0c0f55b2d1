/**
 * A second stage 1 walker, written from the numbers of the Arm ARM (D8.2 to D8.4) and of IHI 0070 7.3.22
 * without any code of `core`: bit positions stand here as tables, addresses are bigints. It is slow and
 * plain on purpose; the walker of `core` is held against it.
 */

export type Granule = '4KB' | '16KB' | '64KB';
export type Regime = 'EL1' | 'EL2' | 'EL2_E2H';

export interface Half {
  readonly epd: boolean;
  readonly tsz: number;
  readonly granule: Granule;
  readonly ttb: bigint;
  readonly tbi: boolean;
  readonly had: boolean;
  readonly e0pd: boolean;
}

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
}

export interface Access {
  readonly iova: bigint;
  readonly write: boolean;
  readonly exec: boolean;
  readonly privileged: boolean;
}

export type Answer =
  | { readonly pa: bigint; readonly level: number; readonly global: boolean }
  | { readonly record: string; readonly fetchAddr?: bigint };

/** A descriptor's value, or undefined where the read aborts. */
export type Read = (pa: bigint, level: number) => bigint | undefined;

// First and last TxSZ of each start level.
const START: Record<Granule, readonly (readonly [first: number, last: number, level: number])[]> = {
  '4KB': [
    [12, 15, -1],
    [16, 24, 0],
    [25, 33, 1],
    [34, 42, 2],
    [43, 48, 3],
  ],
  '16KB': [
    [12, 16, 0],
    [17, 27, 1],
    [28, 38, 2],
    [39, 48, 3],
  ],
  '64KB': [
    [12, 21, 1],
    [22, 34, 2],
    [35, 47, 3],
  ],
};

// Input bits that index the table of a level: high and low.
const INDEX: Record<Granule, Record<number, readonly [hi: number, lo: number]>> = {
  '4KB': { [-1]: [51, 48], 0: [47, 39], 1: [38, 30], 2: [29, 21], 3: [20, 12] },
  '16KB': { 0: [51, 47], 1: [46, 36], 2: [35, 25], 3: [24, 14] },
  '64KB': { 1: [51, 42], 2: [41, 29], 3: [28, 16] },
};

// Levels that may hold a block: plainly, and where 52-bit addresses allow one more.
const BLOCK: Record<Granule, readonly [readonly number[], readonly number[]]> = {
  '4KB': [[1, 2], [0]],
  '16KB': [[2], [1]],
  '64KB': [[2], [1]],
};

const PAGE: Record<Granule, number> = { '4KB': 12, '16KB': 14, '64KB': 16 };

const bits = (value: bigint, hi: number, lo: number): bigint =>
  (value >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
const bit = (value: bigint, at: number): boolean => ((value >> BigInt(at)) & 1n) === 1n;
const place = (value: bigint, lo: number): bigint => value << BigInt(lo);

/** What one access must come to: an output address, or the record of the first fault on the way. */
export function walk(setup: Setup, access: Access, read: Read): Answer {
  const { iova } = access;
  const upper = setup.regime !== 'EL2' && bit(iova, 55);
  const half = setup.halves[upper ? 1 : 0];
  if (half.epd && setup.regime !== 'EL2') return { record: 'F_TRANSLATION' };
  const n = 64 - half.tsz;
  for (let at = n; at <= (half.tbi ? 55 : 63); at += 1) {
    if (bit(iova, at) !== upper) return { record: 'F_TRANSLATION' };
  }
  if (half.e0pd && !access.privileged && setup.regime !== 'EL2') return { record: 'F_TRANSLATION' };

  const ips = Math.min(setup.ipsBits, setup.oasBits);
  const small = half.granule !== '64KB';
  const limit = small && !setup.ds ? Math.min(ips, 48) : ips;
  const start = START[half.granule].find(([first, last]) => half.tsz >= first && half.tsz <= last);
  if (start === undefined) throw new Error(`no start level for TxSZ ${half.tsz}`);
  let level = start[2];
  const lowest = INDEX[half.granule][level]?.[1] ?? 0;
  let align = 8n * 2n ** BigInt(n - lowest);
  const least = (small ? setup.ds : limit === 52) ? 64n : 16n;
  if (align < least) align = least;
  let base = half.ttb - (half.ttb % align);
  let noUnprivileged = false;
  let noWrite = false;
  let pxnAbove = false;
  let uxnAbove = false;

  for (;;) {
    const [hi, lo] = INDEX[half.granule][level] ?? [0, 0];
    const pa = base + 8n * bits(iova, Math.min(hi, n - 1), lo);
    const d = read(pa, level);
    if (d === undefined) return { record: 'F_WALK_EABT', fetchAddr: pa };
    const wide = small ? setup.ds : setup.oasBits >= 52;
    const blocks = [...BLOCK[half.granule][0], ...(wide ? BLOCK[half.granule][1] : [])];
    const isTable = level < 3 && bit(d, 1);
    if (!bit(d, 0) || (level === 3 && !bit(d, 1)) || (!isTable && level < 3 && !blocks.includes(level))) {
      return { record: 'F_TRANSLATION' };
    }
    const from = isTable ? PAGE[half.granule] : lo;
    let out = place(bits(d, 47, from), from);
    if (small && setup.ds) out += place(bits(d, 49, 48), 48) + place(bits(d, 9, 8), 50);
    if (!small && setup.oasBits >= 52) out += place(bits(d, 15, 12), 48);
    if (out >> BigInt(limit) !== 0n) return { record: 'F_ADDR_SIZE' };
    if (isTable) {
      base = out;
      level += 1;
      if (half.had) continue;
      if (bit(d, 61)) noUnprivileged = true;
      if (bit(d, 62)) noWrite = true;
      if (bit(d, 59)) pxnAbove = true;
      if (bit(d, 60)) uxnAbove = true;
      continue;
    }
    if (!bit(d, 10) && !setup.affd) return { record: 'F_ACCESS' };
    // AP[2:1]: 00 privileged RW; 01 both RW; 10 privileged R; 11 both R.
    const may = {
      privileged: { read: true, write: !bit(d, 7) && !noWrite },
      unprivileged: {
        read: bit(d, 6) && !noUnprivileged,
        write: bit(d, 6) && !noUnprivileged && !bit(d, 7) && !noWrite,
      },
    };
    const pxn = bit(d, 53) || pxnAbove;
    const uxn = bit(d, 54) || uxnAbove;
    if (!permitted(setup, access, may, pxn, uxn)) return { record: 'F_PERMISSION' };
    return { pa: out + bits(iova, lo - 1, 0), level, global: setup.regime !== 'EL2' && !bit(d, 11) };
  }
}

interface May {
  readonly privileged: { readonly read: boolean; readonly write: boolean };
  readonly unprivileged: { readonly read: boolean; readonly write: boolean };
}

function permitted(
  setup: Setup,
  { write, exec, privileged }: Access,
  may: May,
  pxn: boolean,
  uxn: boolean,
): boolean {
  if (setup.regime === 'EL2') {
    if (write) return may.privileged.write;
    return exec ? !uxn && !(setup.wxn && may.privileged.write) : true;
  }
  const own = privileged ? may.privileged : may.unprivileged;
  if (exec && !write) {
    if (setup.wxn && own.write) return false;
    return privileged ? !pxn && !may.unprivileged.write : !uxn;
  }
  const unprivilegedToo = may.unprivileged.read || may.unprivileged.write || (setup.epan && !uxn);
  if (privileged && setup.pan && unprivilegedToo) return false;
  return write ? own.write : own.read;
}
