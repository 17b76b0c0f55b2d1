/**
 * A small story for the tests of the adapters: an SMMU is brought up, a page is mapped and used,
 * unmapped without an invalidation and used again (from the TLB), then invalidated and used once more.
 */
import type { ScenarioLine } from '../../adapters/scenario/scenario.ts';
import { encode } from '../../core/layout/layout.ts';
import { CD } from '../../core/smmu/cd.ts';
import { encodeCommand } from '../../core/smmu/command-layout.ts';
import { STE } from '../../core/smmu/ste.ts';

export const at = {
  streamTable: 0x4001_0000,
  context: 0x4002_0000,
  cmdq: 0x4003_0000,
  evtq: 0x4004_0000,
  /** Level 1 to 3 of 39-bit tables. */
  tables: [0x4005_0000, 0x4005_1000, 0x4005_2000],
  page: 0x4010_0000,
  iova: 0x1000,
  /** The level 3 descriptor of `iova`. */
  leaf: 0x4005_2008,
} as const;

export const LEAF = 0x0060_0000_0000_0f43n | BigInt(at.page);

/** Words as 64-bit values, for `mem.write`. */
export function u64s(words: Uint32Array): string[] {
  return Array.from({ length: words.length / 2 }, (_, index) => {
    const value = (BigInt(words[index * 2 + 1] ?? 0) << 32n) | BigInt(words[index * 2] ?? 0);
    return `0x${value.toString(16)}`;
  });
}

export const machine: ScenarioLine = {
  op: 'machine',
  ram: [{ base: '0x40000000', size: '0x1000000' }],
  smmus: [{ name: 'smmu0', profile: 'everything' }],
  endpoints: [{ name: 'nvme0', smmu: 'smmu0', streamId: 8 }],
};

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

export function store(pa: number, words: Uint32Array): ScenarioLine {
  return { op: 'mem.write', pa: hex(pa), u64: u64s(words) };
}

export function register(reg: string, value: number | bigint): ScenarioLine {
  return { op: 'mmio.write', smmu: 'smmu0', reg, value: hex(value) };
}

/** Tables in memory and registers: ready to translate. */
export function boot(): ScenarioLine[] {
  const [level1 = 0, level2 = 0, level3 = 0] = at.tables;
  const ste = encode(STE, { V: true, Config: 'S1', S1ContextPtr: at.context, SHCFG: 'USE_INCOMING' });
  const cd = encode(CD, {
    V: true,
    AA64: true,
    T0SZ: 25,
    TG0: '4KB',
    EPD1: true,
    IPS: 5,
    ASID: 7,
    ASET: true,
    R: true,
    A: true,
    TTB0: level1,
    MAIR0: 0xff,
  });
  return [
    store(at.streamTable + 64 * 8, ste),
    store(at.context, cd),
    { op: 'mem.write', pa: hex(level1), u64: [hex(level2 + 3)] },
    { op: 'mem.write', pa: hex(level2), u64: [hex(level3 + 3)] },
    register('STRTAB_BASE', at.streamTable),
    register('STRTAB_BASE_CFG', 6),
    register('CMDQ_BASE', at.cmdq + 4),
    register('EVENTQ_BASE', at.evtq + 3),
    register('CR0', 0xd),
  ];
}

export const map: ScenarioLine = { op: 'mem.write', pa: hex(at.leaf), u64: [hex(LEAF)] };
export const unmap: ScenarioLine = { op: 'mem.write', pa: hex(at.leaf), u64: [0] };
export const dma: ScenarioLine = {
  op: 'dma',
  endpoint: 'nvme0',
  iova: hex(at.iova),
  bytes: 64,
  access: 'read',
};

/** Commands 0 and 1 of the queue, and PROD. */
export function invalidate(): ScenarioLine[] {
  const tlbi = encodeCommand('CMD_TLBI_NH_VA', { ASID: 7, Address: at.iova, Leaf: true });
  const sync = encodeCommand('CMD_SYNC', { CS: 'SIG_NONE' });
  return [store(at.cmdq, tlbi), store(at.cmdq + 16, sync), register('CMDQ_PROD', 2)];
}

export function story(): ScenarioLine[] {
  return [
    machine,
    ...boot(),
    map,
    { op: 'label', name: 'mapped' },
    { ...dma, expect: { result: 'ok', pa: hex(at.page) } },
    unmap,
    { ...dma, expect: { result: 'ok' } },
    ...invalidate(),
    { ...dma, expect: { result: 'abort', event: 'F_TRANSLATION' } },
    { op: 'check', path: 'smmu0.evtq.size', equals: 1 },
  ];
}

/** The lines as a scenario file. */
export function jsonl(lines: readonly object[]): string {
  return `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`;
}
