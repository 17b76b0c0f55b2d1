/**
 * A capture as the real driver's steps, and as what it was asked to do: which endpoint came, which pages were
 * mapped and unmapped, which accesses faulted. The steps are compared; only what was asked is given to ours.
 */
import type { TraceLine } from '../../adapters/qemu-trace/events.ts';
import { eachLine, noLines } from '../../adapters/qemu-trace/lines.ts';
import { registers } from '../../core/smmu/registers.ts';
import { followDriver } from './driver-steps.ts';
import { type captures, captureText } from './import-trace.ts';

export type Asked =
  | { readonly ask: 'probe'; readonly sid: number }
  | { readonly ask: 'map'; readonly sid: number; readonly iova: number; readonly leaf: Leaf }
  /** `lost`: its invalidation was suppressed from outside, as the console of the capture says. */
  | {
      readonly ask: 'unmap';
      readonly sid: number;
      readonly iova: number;
      size: number;
      readonly lost: boolean;
    }
  | { readonly ask: 'faults'; readonly accesses: Fault[] }
  | { readonly ask: 'shutdown' };

/** What a leaf descriptor says. */
export interface Leaf {
  readonly pa: number;
  readonly write: boolean;
  readonly device: boolean;
}

/** An access of four bytes that ended in an event record: the emulator reports longer ones in such pieces. */
export interface Fault {
  readonly sid: number;
  iova: number;
  write: boolean;
}

export interface Captured {
  readonly steps: readonly string[];
  readonly asked: readonly Asked[];
}

const nameAt = (offset: number): string | undefined =>
  registers.list.find((each) => each.offset === offset)?.name;
/** Reads are told with page 1 folded onto page 0. */
const folded = (offset: number): string =>
  nameAt(offset) ?? nameAt(offset + 0x1_0000) ?? `0x${offset.toString(16)}`;

/** The capture, in its order. */
export function capturedDriver(name: keyof typeof captures): Captured {
  const lines: TraceLine[] = [];
  eachLine(captureText(name), noLines(), (line) => lines.push(line));
  let position = 0;
  const follower = followDriver((pa) => contentAfter(lines, position, pa));
  const reader = openReader();
  for (; position < lines.length; position += 1) {
    const line = lines[position]!;
    const before = follower.steps.length;
    if (line.name === 'cap_mmio_write')
      follower.write(folded(line.off), accepted(folded(line.off), line.val));
    else if (line.name === 'smmuv3_read_mmio') follower.read(folded(line.addr), line.val);
    else if (line.name === 'cap_store') follower.store(line.pa, line.val);
    else reader.line(line);
    for (const step of follower.steps.slice(before)) reader.step(step);
  }
  return { steps: follower.steps, asked: reader.asked };
}

/** The capture has what was written, a log what the register took: CR2.PTM is RES0 without IDR0.BTM (6.3.12). */
function accepted(register: string, value: bigint): bigint {
  return register === 'CR2' ? value & ~4n : value;
}

/** What stands at `pa`, by the first line behind `from` that shows its page. */
function contentAfter(lines: readonly TraceLine[], from: number, pa: number): bigint {
  const page = pa - (pa % 0x1000);
  for (let at = from; at < lines.length; at += 1) {
    const line = lines[at];
    if (line?.name !== 'cap_page' || line.pa !== page) continue;
    const words = line.words.split(',').map((pair) => pair.split(':'));
    const found = words.find(([offset]) => Number(offset) === pa - page);
    return BigInt(found?.[1] ?? 0);
  }
  throw new Error(`no page shows 0x${pa.toString(16)}`);
}

interface Reader {
  step(step: string): void;
  line(line: TraceLine): void;
  readonly asked: readonly Asked[];
}

function openReader(): Reader {
  const asked: Asked[] = [];
  const roots = new Map<string, number>();
  let sid = -1;
  let lost = false;
  const stored = (root: string, iova: number, value: bigint): void => {
    const of = roots.get(root) ?? -1;
    const last = asked.at(-1);
    if (value !== 0n) asked.push({ ask: 'map', sid: of, iova, leaf: leafOf(value) });
    else if (last?.ask === 'unmap' && last.sid === of && last.iova + last.size === iova && !closed)
      last.size += 0x1000;
    else asked.push({ ask: 'unmap', sid: of, iova, size: 0x1000, lost });
    closed = false;
  };
  let closed = false;
  /** The driver has taken the records so far. */
  let taken = false;
  return {
    asked,
    step: (step) => {
      const ste = /^ste sid=(0x[0-9a-f]+)\[(\d)\]/.exec(step);
      if (ste !== null) sid = Number(ste[1]);
      if (ste?.[2] === '1') asked.push({ ask: 'probe', sid });
      const cd = /^ {2}cd \S+ @(\w+)/.exec(step);
      if (cd !== null) roots.set(cd[1]!, sid);
      const pte = /^pte (\w+) level=3 (\S+) (\S+)$/.exec(step);
      if (pte !== null) stored(pte[1]!, Number(pte[2]), BigInt(pte[3]!));
      else closed = true;
      if (step.startsWith('w EVENTQ_CONS')) taken = true;
      if (step === 'w CR0=0x0' && asked.length > 0) asked.push({ ask: 'shutdown' });
    },
    line: (line) => {
      if (line.name === 'cap_console' && line.text.includes('@@STEP kprobe on')) lost = true;
      if (line.name === 'cap_console' && line.text.includes('@@STEP kprobe off')) lost = false;
      if (line.name !== 'cap_devstore' || line.kind !== 'evtq') return;
      if (taken || asked.at(-1)?.ask !== 'faults') asked.push({ ask: 'faults', accesses: [] });
      taken = false;
      recorded(asked, line.pa % 32, line.val);
    },
  };
}

function leafOf(value: bigint): Leaf {
  const pa = Number(value & 0xffff_ffff_f000n);
  return { pa, write: (value & 0x80n) === 0n, device: ((value >> 2n) & 7n) === 2n };
}

/** A doubleword of an event record: 0 has type and StreamID, 1 RnW, 2 the address. */
function recorded(asked: Asked[], offset: number, value: bigint): void {
  const last = asked.at(-1);
  if (last?.ask !== 'faults') return;
  if (offset === 0) last.accesses.push({ sid: Number(value >> 32n), iova: 0, write: true });
  const access = last.accesses.at(-1);
  if (access === undefined) return;
  if (offset === 8) access.write = ((value >> 35n) & 1n) === 0n;
  if (offset === 16) access.iova = Number(value);
}
