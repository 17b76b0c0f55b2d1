/**
 * What a translation costs: bare (the translate function alone, nothing logged), and as a DMA through
 * `step`; hot and cold; and that none of it depends on how much is resident or cached.
 */
import { setAutoFreeze } from 'immer';
import type { Capacity } from '../../core/config.ts';
import { type Context, openSession, type Session } from '../../core/machine.ts';
import { runTurns } from '../../core/run.ts';
import type { SmmuState } from '../../core/smmu/state.ts';
import { type Request, translate } from '../../core/smmu/translate.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import {
  ASID,
  at,
  bringUp,
  command,
  dma,
  issue,
  machine,
  map,
  reset,
  SID,
  store,
  tables,
} from '../support/build.ts';
import { guestMap, nestedBringUp, nestedMachine } from '../support/nested.ts';
import { type Pair, paired, perSecond, type Row, timed } from './row.ts';

const ROUNDS = 5;
const PAGES = 256;

export async function rows(): Promise<readonly Row[]> {
  setAutoFreeze(false);
  const { smmu, session } = stage1World('unbounded');
  const hit = await rateOf(200_000, (index) => bare(session, smmu, page(index)));
  return [
    await loggedRow(),
    figure('bare hit, stage 1', hit, 1e6),
    figure('bare hit, nested', await nestedRate('unbounded', 200_000), 1e6),
    figure('bare cold walk, stage 1, 4 levels', await stage1Rate(0, 50_000), 3e5),
    figure('bare cold walk, nested, 4 x 4 levels', await nestedRate(0, 20_000), 3e5),
    ...(await flatRows('DMA that hits, TLB of', tlbRate)),
    ...(await flatRows('DMA that hits, resident pages', residentRate)),
    ...(await flatRows('TLBI by range of 4, TLB of', (size) => invalidationRate(size, 'range'))),
    ...(await flatRows('TLBI by an empty ASID, TLB of', (size) => invalidationRate(size, 'asid'))),
  ];
}

const page = (index: number): bigint => BigInt((index % PAGES) * 4096);

interface World {
  readonly session: Session;
  readonly smmu: SmmuState;
  put(...stimuli: Stimulus[]): void;
}

function open(config: Parameters<typeof reset>[0], stimuli: readonly Stimulus[]): World {
  const session = openSession(reset(config));
  const put = (...more: Stimulus[]): void => {
    for (const stimulus of more) {
      session.step(stimulus);
      runTurns(session, () => {});
    }
  };
  put(...stimuli);
  const smmu = session.state.smmus['smmu0'];
  if (smmu === undefined) throw new Error('the machine has an SMMU');
  return { session, smmu, put };
}

function capacities(all: Capacity) {
  return { ste: 'unbounded', cd: 'unbounded', tlb: all, walk: all } as const;
}

function stage1World(caches: Capacity): World {
  const config = machine({ ram: [{ base: 0, size: 2 ** 40 }] }, { caches: capacities(caches) });
  const maps = Array.from({ length: PAGES }, (_, index) => map(index * 4096, at.data + index * 4096));
  const world = open(config, [...bringUp(), ...tables(), ...maps]);
  for (let index = 0; index < PAGES; index += 1) world.put(dma(page(index)));
  return world;
}

function nestedWorld(caches: Capacity): World {
  const maps = Array.from({ length: PAGES }, (_, index) => guestMap(index * 4096, at.data + index * 4096));
  const world = open(nestedMachine({}, { caches: capacities(caches) }), [...nestedBringUp(), ...maps]);
  for (let index = 0; index < PAGES; index += 1) world.put(dma(page(index)));
  return world;
}

/** The translate function alone: what it would log goes nowhere. */
function bare({ state }: Session, smmu: SmmuState, iova: bigint): void {
  const context: Context = { state, emit: () => 0 };
  const request: Request = {
    streamId: SID,
    substreamId: undefined,
    iova,
    access: 'read',
    exec: false,
    privileged: false,
  };
  if (translate(context, smmu, request).kind !== 'ok') throw new Error(`0x${iova.toString(16)} translates`);
}

/** Calls a second, the best of a few rounds: what disturbs a round only slows it. */
async function rateOf(count: number, work: (index: number) => void): Promise<number> {
  let best = 0;
  for (let round = 0; round <= ROUNDS; round += 1) {
    const ms = await timed(() => {
      for (let index = 0; index < count; index += 1) work(index);
    });
    best = Math.max(best, (count / ms) * 1000);
  }
  return best;
}

async function stage1Rate(caches: Capacity, count: number): Promise<number> {
  const { session, smmu } = stage1World(caches);
  return rateOf(count, (index) => bare(session, smmu, page(index)));
}

async function nestedRate(caches: Capacity, count: number): Promise<number> {
  const { session, smmu } = nestedWorld(caches);
  return rateOf(count, (index) => bare(session, smmu, page(index)));
}

/** A DMA that hits through `step`, its entries made, against the bare function. */
async function loggedRow(): Promise<Row> {
  const { session, smmu } = stage1World('unbounded');
  const count = 100_000;
  const rate = (work: (index: number) => void) => async (): Promise<number> => {
    const ms = await timed(() => {
      for (let index = 0; index < count; index += 1) work(index);
    });
    return (count / ms) * 1000;
  };
  const pair: Pair = await paired(
    ROUNDS,
    rate((index) => void session.step(dma(page(index), 'read', 64))),
    rate((index) => bare(session, smmu, page(index))),
  );
  return {
    measure: 'DMA that hits: step and entries over bare translate',
    ours: perSecond(pair.ours),
    against: perSecond(pair.against),
    ratio: pair.ratio.toFixed(3),
    wanted: `>= ${perSecond(1e5)}`,
    met: pair.ours >= 1e5,
  };
}

function figure(measure: string, rate: number, wanted: number): Row {
  return {
    measure,
    ours: perSecond(rate),
    against: '-',
    ratio: '-',
    wanted: `>= ${perSecond(wanted)}`,
    met: rate >= wanted,
  };
}

/** The same work at 10, 10^3 and 10^5: the rate must stay. */
async function flatRows(measure: string, rate: (size: number) => Promise<number>): Promise<readonly Row[]> {
  const small = await rate(10);
  const out: Row[] = [];
  for (const size of [1_000, 100_000]) {
    const big = await rate(size);
    const ratio = big / small;
    out.push({
      measure: `${measure} ${size} over 10`,
      ours: perSecond(big),
      against: perSecond(small),
      ratio: ratio.toFixed(2),
      wanted: '>= 0.7',
      met: ratio >= 0.7,
    });
  }
  return out;
}

/** Input addresses above 1 GiB, through tables of their own, so that `count` pages are mapped. */
function mapMany(count: number): Stimulus[] {
  const base = 0x2000_0000;
  const out: Stimulus[] = [store(at.table + 0x1000 + 8, BigInt(base) | 3n)];
  for (let region = 0; region * 512 < count; region += 1) {
    const table = base + 0x1000 + region * 0x1000;
    out.push(store(base + region * 8, BigInt(table) | 3n));
    const leaves = Array.from(
      { length: 512 },
      (_, index) => BigInt(0x8000_0000 + (region * 512 + index) * 4096) | 0xf43n | (1n << 11n),
    );
    out.push(store(table, ...leaves));
  }
  return out;
}

const manyAt = (index: number): bigint => 0x4000_0000n + BigInt(index) * 4096n;

function filled(size: number): World {
  const world = stage1World('unbounded');
  world.put(...mapMany(size));
  for (let index = 0; index < size; index += 1) world.put(dma(manyAt(index)));
  return world;
}

async function tlbRate(size: number): Promise<number> {
  const { session } = filled(size);
  const used = Math.min(size, PAGES);
  return rateOf(50_000, (index) => void session.step(dma(manyAt(index % used), 'read', 64)));
}

async function residentRate(size: number): Promise<number> {
  const { session, put } = stage1World('unbounded');
  for (let index = 0; index < size; index += 1) put(store(0x8_0000_0000 + index * 4096, 1n));
  return rateOf(50_000, (index) => void session.step(dma(page(index), 'read', 64)));
}

/** Invalidations a second, each of at most four entries that are filled again. */
async function invalidationRate(size: number, by: 'range' | 'asid'): Promise<number> {
  const { put } = filled(size);
  const words =
    by === 'range'
      ? command('CMD_TLBI_NH_VA', {
          ASID,
          VMID: 0,
          Address: 0,
          TG: '4KB',
          NUM: 3,
          SCALE: 0,
          TTL: 3,
          Leaf: true,
        })
      : command('CMD_TLBI_NH_ASID', { ASID: ASID + 1, VMID: 0 });
  let prod = 0;
  return rateOf(2_000, () => {
    put(...issue(prod, words, command('CMD_SYNC')));
    prod = (prod + 2) % 512;
  });
}
