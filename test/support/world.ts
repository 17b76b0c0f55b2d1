/**
 * Where the little drivers of `drivers.ts` put their structures. Two endpoints, three address spaces:
 * `dev0` (SID 8), `dev1` (SID 9), and SubstreamID 1 of `dev1`. Each space has lower tables of its own;
 * the upper half, like a kernel's, is the same for all of them, and only there are pages global.
 */
import type { MachineConfig, SmmuConfig } from '../../core/config.ts';
import { encode } from '../../core/layout/layout.ts';
import { CD, type Cd } from '../../core/smmu/cd.ts';
import { profiles } from '../../core/smmu/profiles.ts';
import { L1STD, STE, type Ste } from '../../core/smmu/ste.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { at, machine, store, storeWords, write } from './build.ts';

export const SPACES = 3;
export const FRAMES = 32;
/** The pages that stories use, of the eight in each of two 2 MiB regions of a half. */
export const PAGES = [0, 1, 9] as const;
export const CMDQ_LOG2 = 3;
export const EVTQ_LOG2 = 2;

/** A page of an address space; `upper` pages belong to all spaces. */
export interface Page {
  readonly space: number;
  readonly upper: boolean;
  readonly page: number;
}

export interface Setup {
  readonly caches: SmmuConfig['caches'];
  readonly invalidation: SmmuConfig['invalidation'];
  readonly replacement: SmmuConfig['replacement'];
  readonly schedule: MachineConfig['schedule'];
  readonly seed: number;
  readonly twoLevel: boolean;
}

export function worldConfig(setup: Setup): MachineConfig {
  const { caches, invalidation, replacement, schedule, seed } = setup;
  const endpoint = { smmu: 'smmu0', ats: false, pri: false, atc: 0 } as const;
  return machine(
    {
      schedule,
      seed,
      endpoints: [
        { ...endpoint, name: 'dev0', streamId: 8, ssidBits: 0 },
        { ...endpoint, name: 'dev1', streamId: 9, ssidBits: 1 },
      ],
    },
    { idr: profiles.everything.idr, caches: { ...caches }, invalidation, replacement },
  );
}

export const sidOf = (space: number): number => (space === 0 ? 8 : 9);
export const asidOf = (space: number, turn: number): number => 5 + space + 16 * turn;
export const cdPa = (space: number): number => at.cd + (space === 0 ? 0 : 0x1000 + (space - 1) * 64);
const l2Streams = at.strtab + 0x1000;
export const stePa = (sid: number, twoLevel: boolean): number =>
  (twoLevel ? l2Streams : at.strtab) + sid * 64;
export const framePa = (frame: number): number => at.data + frame * 0x1000;

/** Level 0 of a half; levels 1 and 2 follow, then the two level 3 tables. */
function rootPa({ space, upper }: Page): number {
  return 0x20_0000 + (upper ? SPACES : space) * 0x1_0000;
}

/** Lower addresses begin at 1 GiB, where a bypassed write hurts nothing. */
export function iovaOf({ upper, page }: Page): bigint {
  const base = upper ? 0xffff_0000_4000_0000n : 0x4000_0000n;
  return base + BigInt(regionOf(page) * 0x20_0000 + (page % 8) * 0x1000);
}

export const regionOf = (page: number): number => page >> 3;

/** Where the level 3 descriptor of a page stands. */
export function leafPaOf(page: Page): number {
  return rootPa(page) + 0x3000 + regionOf(page.page) * 0x1000 + (page.page % 8) * 8;
}

/** Where the level 2 descriptor of a page's region stands, and what it says when it is a table. */
export function regionPaOf(page: Page): number {
  return rootPa(page) + 0x2000 + regionOf(page.page) * 8;
}
export function regionTable(page: Page): bigint {
  const region = regionOf(page.page);
  // Region 1 is read-only by its table (APTable), whatever its pages say.
  return BigInt(rootPa(page) + 0x3000 + region * 0x1000) | 3n | (region === 1 ? 2n << 61n : 0n);
}

export function steOf(sid: number, config: Ste['Config']): Uint32Array {
  const substreams = sid === 9 ? ({ S1CDMax: 1, S1DSS: 'SUBSTREAM0' } as const) : {};
  const S1ContextPtr = cdPa(sid === 8 ? 0 : 1);
  return encode(STE, { V: true, Config: config, S1ContextPtr, SHCFG: 'USE_INCOMING', ...substreams });
}

export function cdOf(space: number, fields: Partial<Cd>): Uint32Array {
  const page = { space, upper: false, page: 0 };
  return encode(CD, {
    V: true,
    AA64: true,
    IPS: 5,
    ASID: asidOf(space, 0),
    A: true,
    R: true,
    ASET: true,
    T0SZ: 16,
    TG0: '4KB',
    TTB0: rootPa(page),
    T1SZ: 16,
    TG1: '4KB',
    TTB1: rootPa({ ...page, upper: true }),
    ...fields,
  });
}

export function l1stdOf(span: number): bigint {
  const words = encode(L1STD, { Span: span, L2Ptr: l2Streams });
  return (BigInt(words[1] ?? 0) << 32n) | BigInt(words[0] ?? 0);
}

/** Tables in memory, queues small enough to wrap, and everything enabled. */
export function boot({ twoLevel }: Setup): Stimulus[] {
  const halves = [0, 1, 2].map((space) => ({ space, upper: false, page: 0 }));
  const upper = { space: 0, upper: true, page: 0 };
  const tables = [...halves, upper].flatMap((half) => [
    store(rootPa(half), BigInt(rootPa(half) + 0x1000) | 3n),
    store(rootPa(half) + 0x1000 + 8, BigInt(rootPa(half) + 0x2000) | 3n),
    store(regionPaOf(half), regionTable(half), regionTable({ ...half, page: 8 })),
  ]);
  const size = twoLevel ? 8 | (6 << 6) | (1 << 16) : 8;
  return [
    ...tables,
    ...halves.map(({ space }) => storeWords(cdPa(space), cdOf(space, {}))),
    ...[8, 9].map((sid) => storeWords(stePa(sid, twoLevel), steOf(sid, 'S1'))),
    ...(twoLevel ? [store(at.strtab, l1stdOf(7))] : []),
    write('CR1', 0xd75),
    write('CR2', 2),
    write('STRTAB_BASE', at.strtab),
    write('STRTAB_BASE_CFG', size),
    write('CMDQ_BASE', BigInt(at.cmdq + CMDQ_LOG2)),
    write('EVENTQ_BASE', BigInt(at.evtq + EVTQ_LOG2)),
    write('CR0', 0x8),
    write('CR0', 0xc),
    write('IRQ_CTRL', 5),
    write('CR0', 0xd),
  ];
}
