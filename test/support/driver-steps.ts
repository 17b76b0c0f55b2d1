/**
 * What a driver did, as lines that two machines can share: register accesses, commands, and the stores into
 * tables that the SMMU can reach, in their order, with the addresses of tables and queues named by where they
 * were first seen. It follows pointers as hardware does (STRTAB_BASE, level 1 descriptors, STEs, CDs, table
 * descriptors), so nothing is told but what was stored.
 */
import { commandByOpcode } from '../../core/smmu/command-layout.ts';

type Page =
  | { readonly kind: 'strtab' }
  | { readonly kind: 'stes'; readonly first: number }
  | { readonly kind: 'table'; readonly of: string; readonly level: number; readonly iova: number };

export interface Follower {
  write(register: string, value: bigint): void;
  read(register: string, value: bigint): void;
  /** Eight bytes. */
  store(pa: number, value: bigint): void;
  readonly steps: readonly string[];
}

const ADDRESS = 0x000f_ffff_ffff_f000n;
const POINTERS: readonly string[] = ['STRTAB_BASE', 'CMDQ_BASE', 'EVENTQ_BASE'];
const PAGE = 0x1000;
const LEAF_BYTES = 256 * 64;
const QUEUE_BYTES = 2 ** 20;
const text = (value: bigint | number): string => `0x${value.toString(16)}`;

/** @param load what stands in memory that has just come into reach */
export function followDriver(load: (pa: number) => bigint): Follower {
  const steps: string[] = [];
  const names = new Map<bigint, string>();
  const pages = new Map<number, Page>();
  const commands = openQueue(steps);
  let strtab = 0;

  const named = (value: bigint, as: string): string => {
    const pa = value & ADDRESS;
    if (!names.has(pa)) names.set(pa, `${as}${names.size}`);
    return `@${names.get(pa)}+${text(value & ~ADDRESS)}`;
  };
  const reach = (pa: number, bytes: number, page: (offset: number) => Page): void => {
    for (let at = 0; at < bytes; at += PAGE) pages.set(pa + at, page(at));
  };
  const baseOf = (value: bigint): number => Number(value & ADDRESS);

  const storeSte = (first: number, pa: number, value: bigint): void => {
    const sid = first + Math.floor((pa % PAGE) / 64);
    const at = (pa % 64) / 8;
    const cd = at === 0 && ((value >> 1n) & 1n) === 1n ? baseOf(value) : undefined;
    const shown = cd === undefined ? text(value) : named(value, 'cd');
    steps.push(`ste sid=${text(sid)}[${at}] ${shown}`);
    if (cd === undefined) return;
    const [w0 = 0n, w1 = 0n, w2 = 0n, w3 = 0n] = [0, 8, 16, 24].map((offset) => load(cd + offset));
    steps.push(`  cd ${text(w0)} ${named(w1, 'root')} ${text(w2)} ${text(w3)}`);
    pages.set(baseOf(w1), { kind: 'table', of: names.get(w1 & ADDRESS) ?? '', level: 0, iova: 0 });
  };
  const storeTable = (page: Extract<Page, { kind: 'table' }>, pa: number, value: bigint): void => {
    const { of, level } = page;
    const iova = page.iova + ((pa % PAGE) / 8) * 2 ** (39 - 9 * level);
    const isTable = level < 3 && (value & 3n) === 3n;
    const shown = isTable ? named(value, 'table') : text(value);
    steps.push(`pte ${of} level=${level} ${text(iova)} ${shown}`);
    if (isTable) pages.set(baseOf(value), { kind: 'table', of, level: level + 1, iova });
  };

  return {
    steps,
    write: (register, value) => {
      const pointer = POINTERS.includes(register);
      steps.push(`w ${register}=${pointer ? named(value, register) : text(value)}`);
      if (register === 'CMDQ_BASE') commands.place(baseOf(value));
      if (register !== 'STRTAB_BASE') return;
      strtab = baseOf(value);
      reach(strtab, PAGE, () => ({ kind: 'strtab' }));
    },
    read: (register, value) => {
      steps.push(`r ${register}=${text(value)}`);
    },
    store: (pa, value) => {
      if (commands.take(pa, value)) return;
      const page = pages.get(pa - (pa % PAGE));
      if (page === undefined) return;
      if (page.kind === 'stes') return storeSte(page.first, pa, value);
      if (page.kind === 'table') return storeTable(page, pa, value);
      const window = (pa - strtab) / 8;
      steps.push(`l1std ${named(value, 'stes')}`);
      steps.push(`  fresh ste ${text(load(baseOf(value)))} ${text(load(baseOf(value) + 8))}`);
      reach(baseOf(value), LEAF_BYTES, (at) => ({ kind: 'stes', first: window * 256 + at / 64 }));
    },
  };
}

/** Two stores of eight bytes into the Command queue are a command. */
function openQueue(steps: string[]): { place(pa: number): void; take(pa: number, value: bigint): boolean } {
  let base = -1;
  let half: { readonly pa: number; readonly lo: bigint } | undefined;
  return {
    place: (pa) => {
      base = pa;
    },
    take: (pa, value) => {
      if (base < 0 || pa < base || pa >= base + QUEUE_BYTES) return false;
      if (pa % 16 === 0) half = { pa, lo: value };
      else if (half?.pa === pa - 8) {
        const name = commandByOpcode(Number(half.lo & 0xffn))?.name ?? 'unknown command';
        steps.push(`cmd #${(half.pa - base) / 16} ${name} ${text(half.lo)} ${text(value)}`);
      }
      return true;
    },
  };
}

/** Where two runs part, readable; undefined where they are equal. */
export function firstDifference(expected: readonly string[], actual: readonly string[]): string | undefined {
  const count = Math.max(expected.length, actual.length);
  for (let at = 0; at < count; at += 1) {
    if (expected[at] === actual[at]) continue;
    const around = (lines: readonly string[]): string[] => lines.slice(Math.max(0, at - 6), at + 6);
    return [
      `step ${at} of ${expected.length} captured, ${actual.length} ours:`,
      '  captured:',
      ...around(expected).map((line, index) => `  ${index === Math.min(at, 6) ? '>' : ' '} ${line}`),
      '  ours:',
      ...around(actual).map((line, index) => `  ${index === Math.min(at, 6) ? '>' : ' '} ${line}`),
    ].join('\n');
  }
  return undefined;
}
