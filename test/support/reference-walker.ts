/**
 * A second walker, written from the numbers of the Arm ARM (D8.2 to D8.5) and of IHI 0070 3.4, 3.13 and
 * 7.3.22 without any code of `core`. It is slow and plain on purpose; the walker of `core` is held
 * against it. This file has stage 1 and the nesting of both; stage 2 and the tables of numbers stand
 * beside it. Choices: an update of stage 1 is made once stage 1 permits the access and before stage 2
 * sees the final IPA, access flag and dirty state in one write; no update where the same stage refuses. The
 * access flag of a Table descriptor (HAFT) is set as the walk passes it.
 */
import { type Demand, type Found2, stage2Walk } from './reference-stage2.ts';
import { bit, bits, descriptor, type Granule, INDEX, START1, swapped } from './reference-tables.ts';
import {
  type Access,
  type Context,
  type Fault,
  type Half,
  type Memory,
  type Outcome,
  type Run,
  type Setup,
  update,
} from './reference-types.ts';

export type { Access, Granule, Half, Setup };

export type Answer =
  | { readonly pa: bigint; readonly level: number; readonly global: boolean }
  | { readonly record: string; readonly fetchAddr?: bigint };

/** A stage 1 descriptor's value, or undefined where the read aborts. */
export type Read = (pa: bigint, level: number) => bigint | undefined;

/** Stage 1 alone, tables that nobody writes: an output address, or the record of the first fault. */
export function walk(setup: Setup, access: Access, read: Read): Answer {
  const memory: Memory = {
    read: (pa, purpose) => read(pa, 'level' in purpose ? purpose.level : 0),
    write: (pa) => {
      throw new Error(`a write at ${pa}`);
    },
  };
  const context: Context = { oasBits: setup.oasBits, xnx: false, structures: [] };
  const found = stage1Walk(context, setup, access, { memory, writes: [] });
  if ('ipa' in found && !('record' in found)) {
    return { pa: found.ipa, level: found.level, global: found.global };
  }
  const { record, fetchAddr } = found as Fault;
  return { record, ...(fetchAddr === undefined ? {} : { fetchAddr }) };
}

/** What one access must come to, with the writes of HTTU in their order. */
export function translate(context: Context, access: Access, memory: Memory): Outcome {
  const run: Run = { memory, writes: [] };
  return { ...steps(context, access, run), writes: run.writes };
}

function steps(
  context: Context,
  access: Access,
  run: Run,
): Omit<Extract<Outcome, { pa: bigint }>, 'writes'> | Fault {
  const { stage1, stage2, oasBits } = context;
  for (const { structure, address } of context.structures) {
    const found = through(
      context,
      address,
      { class: 'CD', write: false, exec: false, privileged: false },
      run,
    );
    if ('record' in found) return found;
    if (run.memory.read(found.pa, { structure }) === undefined) {
      return { record: 'F_CD_FETCH', fetchAddr: found.pa };
    }
  }
  // 3.4: an address that bypasses stage 1 has to be one that stage 2 could take at all.
  if (stage1 === undefined && access.iova >> BigInt(oasBits) !== 0n) {
    return { record: 'F_ADDR_SIZE', s2: false, class: 'IN' };
  }
  const first = stage1 === undefined ? undefined : stage1Walk(context, stage1, access, run);
  if (first !== undefined && 'record' in first) return first;
  const ipa = first?.ipa ?? access.iova;
  const seen = { level: first?.level, global: first?.global };
  if (stage2 === undefined) return { pa: ipa, ...seen };
  const exec = access.exec && !access.write;
  const second = through(context, ipa, { ...access, exec, class: 'IN' }, run);
  if ('record' in second) return second;
  return { pa: second.pa, ipa, ...seen, level2: second.level };
}

/** Stage 2 where there is one. */
function through(context: Context, address: bigint, demand: Demand, run: Run): Found2 | Fault {
  if (context.stage2 === undefined) return { pa: address, level: 0 };
  return stage2Walk(context, context.stage2, address, demand, run);
}

const ACCESS_FLAG = 1n << 10n;
const WALK: Demand = { class: 'TT', write: false, exec: false, privileged: false };

/** HTTU of a stage 1 descriptor: a write, which stage 2 has to permit. */
function hardwareUpdate(
  context: Context,
  setup: Setup,
  address: bigint,
  old: bigint,
  value: bigint,
  run: Run,
): Fault | undefined {
  if (value === old) return undefined;
  const at = through(context, address, { ...WALK, write: true }, run);
  if ('record' in at) return at;
  update(run, { pa: at.pa, old, value }, setup.bigEndian ? swapped : undefined);
  return undefined;
}

type Found1 = { readonly ipa: bigint; readonly level: number; readonly global: boolean };

function stage1Walk(context: Context, setup: Setup, access: Access, run: Run): Found1 | Fault {
  const { iova } = access;
  const fault = (record: string, level?: number): Fault => ({
    record,
    s2: false,
    class: 'IN',
    ...(level === undefined ? {} : { level }),
  });
  const upper = setup.regime !== 'EL2' && bit(iova, 55);
  const half = setup.halves[upper ? 1 : 0];
  if (half.epd && setup.regime !== 'EL2') return fault('F_TRANSLATION');
  const n = 64 - half.tsz;
  for (let at = n; at <= (half.tbi ? 55 : 63); at += 1) {
    if (bit(iova, at) !== upper) return fault('F_TRANSLATION');
  }
  if (half.e0pd && !access.privileged && setup.regime !== 'EL2') return fault('F_TRANSLATION');

  const sizeBits = Math.min(setup.ipsBits, setup.oasBits);
  const ha = setup.ha ?? false;
  let { level, table } = firstTable(half, n, sizeBits);
  const above: Above = { noUnprivileged: false, noWrite: false, pxn: false, uxn: false };

  for (;;) {
    const [hi, lo] = INDEX[half.granule][level] ?? [0, 0];
    const address = table + 8n * bits(iova, Math.min(hi, n - 1), lo);
    const at = through(context, address, WALK, run);
    if ('record' in at) return at;
    const raw = run.memory.read(at.pa, { stage: 1, level });
    if (raw === undefined) return { record: 'F_WALK_EABT', s2: false, class: 'TT', fetchAddr: at.pa, level };
    const value = setup.bigEndian ? swapped(raw) : raw;
    const format = { granule: half.granule, ds: setup.ds, oasBits: setup.oasBits, sizeBits };
    const found = descriptor(value, level, format);
    if (found.kind === 'invalid') return fault('F_TRANSLATION', level);
    if (found.tooLarge) return fault('F_ADDR_SIZE', level);
    if (found.kind === 'table') {
      if (ha && setup.haft) {
        const refused = hardwareUpdate(context, setup, address, value, value | ACCESS_FLAG, run);
        if (refused !== undefined) return refused;
      }
      table = found.out;
      level += 1;
      if (!half.had) gather(above, value);
      continue;
    }
    if (!bit(value, 10) && !ha && !setup.affd) return fault('F_ACCESS', level);
    // A writable-clean page counts as writable (D8.5.2).
    const clean = ha && (setup.hd ?? false) && bit(value, 51) && bit(value, 7);
    if (!permitted(setup, access, value, above, clean)) return fault('F_PERMISSION', level);
    let next = value;
    if (ha) next |= ACCESS_FLAG;
    if (access.write && clean) next &= ~(1n << 7n);
    const refused = hardwareUpdate(context, setup, address, value, next, run);
    if (refused !== undefined) return refused;
    const global = setup.regime !== 'EL2' && !bit(value, 11);
    return { ipa: found.out + bits(iova, lo - 1, 0), level, global };
  }
}

function firstTable(half: Half, n: number, sizeBits: number): { level: number; table: bigint } {
  const start = START1[half.granule].find(([first, last]) => half.tsz >= first && half.tsz <= last);
  if (start === undefined) throw new Error(`no start level for TxSZ ${half.tsz}`);
  const level = start[2];
  const lowest = INDEX[half.granule][level]?.[1] ?? 0;
  let align = 8n * 2n ** BigInt(n - lowest);
  const least = sizeBits === 52 ? 64n : 16n;
  if (align < least) align = least;
  return { level, table: half.ttb - (half.ttb % align) };
}

/** What the tables above take away. */
interface Above {
  noUnprivileged: boolean;
  noWrite: boolean;
  pxn: boolean;
  uxn: boolean;
}

function gather(above: Above, value: bigint): void {
  if (bit(value, 61)) above.noUnprivileged = true;
  if (bit(value, 62)) above.noWrite = true;
  if (bit(value, 59)) above.pxn = true;
  if (bit(value, 60)) above.uxn = true;
}

/** Whether stage 1 lets the access pass at a leaf, after all that the tables above took away. */
function permitted(setup: Setup, access: Access, value: bigint, above: Above, clean: boolean): boolean {
  const { write, exec, privileged } = access;
  // AP[2:1]: 00 privileged RW; 01 both RW; 10 privileged R; 11 both R.
  const writable = (!bit(value, 7) || clean) && !above.noWrite;
  const low = bit(value, 6) && !above.noUnprivileged;
  const unprivileged = { read: low, write: low && writable };
  const own = privileged || setup.regime === 'EL2' ? { read: true, write: writable } : unprivileged;
  const pxn = bit(value, 53) || above.pxn;
  const uxn = bit(value, 54) || above.uxn;
  if (setup.regime === 'EL2') {
    if (write) return own.write;
    return exec ? !uxn && !(setup.wxn && own.write) : true;
  }
  if (exec && !write) {
    if (setup.wxn && own.write) return false;
    return privileged ? !pxn && !unprivileged.write : !uxn;
  }
  const lowToo = unprivileged.read || unprivileged.write || (setup.epan && !uxn);
  if (privileged && setup.pan && lowToo) return false;
  return write ? own.write : own.read;
}
