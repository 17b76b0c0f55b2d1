/**
 * Stage 2 of the reference walker: Arm ARM D8.2 to D8.5, IHI 0070 3.4, 3.13, 5.2 and 7.3.22. Where the
 * architecture leaves a choice: no access flag is set when the access is not permitted (3.13.2).
 */
import { bit, bits, descriptor, INDEX, START2, swapped } from './reference-tables.ts';
import {
  type Context,
  type Fault,
  type FaultClass,
  type Run,
  type Stage2,
  update,
} from './reference-types.ts';

/** What is asked of stage 2, and for whom. */
export interface Demand {
  readonly class: FaultClass;
  readonly write: boolean;
  readonly exec: boolean;
  readonly privileged: boolean;
}

const ACCESS_FLAG = 1n << 10n;

export type Found2 = { readonly pa: bigint; readonly level: number };

/** The PA of an IPA, or the first fault on the way. */
export function stage2Walk(
  { oasBits, xnx }: Context,
  s2: Stage2,
  ipa: bigint,
  demand: Demand,
  run: Run,
): Found2 | Fault {
  const n = 64 - s2.tsz;
  const fault = (record: string, level?: number): Fault => ({
    record,
    s2: true,
    class: demand.class,
    ipa,
    ...(level === undefined ? {} : { level }),
    ...(record === 'F_PERMISSION' && demand.class === 'TT' ? { ttrnw: !demand.write } : {}),
  });
  const store = (pa: bigint, old: bigint, value: bigint): void => {
    if (value !== old) update(run, { pa, old, value }, s2.bigEndian ? swapped : undefined);
  };
  if (ipa >> BigInt(n) !== 0n) return fault('F_TRANSLATION');

  const start = START2[s2.granule].find(
    (row) => row.sl0 === s2.sl0 && s2.tsz >= row.first && s2.tsz <= row.last,
  );
  if (start === undefined) throw new Error(`S2SL0 ${s2.sl0} does not go with S2T0SZ ${s2.tsz}`);
  const sizeBits = Math.min(s2.psBits, oasBits);
  let { level } = start;
  const lowest = INDEX[s2.granule][level]?.[1] ?? 0;
  // D8.2.5.2: to the size of all tables side by side; 5.2 S2TTB: 64 bytes at least with 52-bit output.
  let align = 8n * 2n ** BigInt(n - lowest);
  const least = sizeBits === 52 ? 64n : 16n;
  if (align < least) align = least;
  let table = s2.ttb - (s2.ttb % align);
  let top = n - 1;

  for (;;) {
    const lo = INDEX[s2.granule][level]?.[1] ?? 0;
    // The first lookup takes all input bits above `lo`, so that it runs over concatenated tables.
    const at = table + 8n * bits(ipa, top, lo);
    top = lo - 1;
    const raw = run.memory.read(at, { stage: 2, level });
    if (raw === undefined) {
      return { record: 'F_WALK_EABT', s2: true, class: demand.class, fetchAddr: at, level };
    }
    const value = s2.bigEndian ? swapped(raw) : raw;
    const found = descriptor(value, level, { granule: s2.granule, ds: s2.ds, oasBits, sizeBits });
    if (found.kind === 'invalid') return fault('F_TRANSLATION', level);
    if (found.tooLarge) return fault('F_ADDR_SIZE', level);
    if (found.kind === 'table') {
      if (s2.ha && s2.haft) store(at, value, value | ACCESS_FLAG);
      table = found.out;
      level += 1;
      continue;
    }
    if (!bit(value, 10) && !s2.ha && !s2.affd) return fault('F_ACCESS', level);
    if (demand.class !== 'IN' && s2.ptw && isDevice(value, s2.fwb)) return fault('F_PERMISSION', level);
    const dirtied = s2.ha && s2.hd && bit(value, 51);
    if (!permitted(value, demand, dirtied, xnx)) return fault('F_PERMISSION', level);
    let next = value;
    if (s2.ha) next |= ACCESS_FLAG;
    if (demand.write && dirtied) next |= 1n << 7n;
    store(at, value, next);
    return { pa: found.out + bits(ipa, lo - 1, 0), level };
  }
}

// D8.6: MemAttr[3:2] 00 is Device; with forced write-back MemAttr[2] 0.
function isDevice(value: bigint, fwb: boolean): boolean {
  return fwb ? !bit(value, 4) : bits(value, 5, 4) === 0n;
}

// D8-76: S2AP[0] read, S2AP[1] write. D8-77, D8-78: XN.
function permitted(value: bigint, demand: Demand, dirtied: boolean, xnx: boolean): boolean {
  if (demand.write) return bit(value, 7) || dirtied;
  if (!demand.exec) return bit(value, 6);
  if (!xnx) return !bit(value, 54);
  const xn = bits(value, 54, 53);
  return xn === 0n || (demand.privileged ? xn === 3n : xn === 1n);
}
