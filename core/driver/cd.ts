/**
 * CDs and CD tables (linux: arm_smmu_make_s1_cd, arm_smmu_alloc_cd_tables, arm_smmu_alloc_cd_ptr,
 * arm_smmu_write_cd_entry): one table an endpoint, linear up to 1024 contexts or without IDR0.CD2L, else
 * two levels with leaves of 1024 CDs that are made when needed.
 */
import { present } from '../assert.ts';
import { encode, mask } from '../layout/layout.ts';
import type { Context } from '../machine.ts';
import { CD, L1CD } from '../smmu/cd.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { issueAndSync } from './cmdq.ts';
import { cmdOf, doublewords } from './commands.ts';
import { carelessSteps, type Entry, type UsedBits, writeSteps } from './entry-writer.ts';
import { driverOf, loadDoublewords, portOf, storeDoublewords } from './port.ts';
import type { Behaviours } from './releases.ts';
import { granuleName, sizeCode } from './stage2-fields.ts';
import type { DriverState, Master, Stage1Domain } from './state.ts';
import { storeFrame } from './stream-table.ts';

export const CD_BYTES = 64;
const LEAF_LOG2 = 10;

const VALID = doublewords(mask(CD, ['V']));
const IGNORED_WITH_EPD0 = doublewords(mask(CD, ['T0SZ', 'TG0', 'IR0', 'OR0', 'SH0', 'TTB0']));
const EPD0 = 1n << 14n;
const V = 1n << 31n;
const WIDE = 0xffff_ffff_ffff_ffffn;

/** What hardware looks at in a CD: all of a valid one, but what EPD0 lets it ignore. */
export const usedOfCd: UsedBits = (entry) => {
  const first = entry[0] ?? 0n;
  if ((first & V) === 0n) return VALID;
  if ((first & EPD0) === 0n) return entry.map(() => WIDE);
  return entry.map((_, at) => WIDE & ~(IGNORED_WITH_EPD0[at] ?? 0n));
};

/** Memory attributes of page tables: non-cacheable, write-back, device, incoming with write-back outside. */
const MAIR0 = 0xf404_ff44;
const MAIR_SIGN = 0xffff_ffff_0000_0000n;

/** No context. */
export const emptyCd: Entry = new Array<bigint>(8).fill(0n);

/** What CDs of all stage 1 domains have in common, over whosever tables: TTB0 alone, walks that are coherent. */
export function walkFields({ stallEnabled }: Master, { asid, table, shared }: Stage1Domain) {
  return {
    T0SZ: 64 - table.ias,
    TG0: granuleName(table.granuleLog2),
    IR0: 'WB_RA_WA',
    OR0: 'WB_RA_WA',
    SH0: 'ISH',
    EPD1: true,
    V: true,
    IPS: sizeCode(table.oas),
    AA64: true,
    S: stallEnabled,
    R: true,
    A: true,
    // What broadcasts name by an ASID leaves an address space of its own alone (3.17.5).
    ASET: shared !== true,
    ASID: asid,
    TTB0: table.root,
  } as const;
}

/** The CD of a stage 1 domain. */
export function stage1Cd(master: Master, domain: Stage1Domain, mair: Behaviours['mair'] = 'plain'): Entry {
  const { dirty } = domain.table;
  const cd = doublewords(encode(CD, { ...walkFields(master, domain), HA: dirty, HD: dirty, MAIR0 }));
  // linux: its attributes are put together as a signed 32-bit number.
  return mair === 'plain' ? cd : cd.map((value, at) => (at === 3 ? value | MAIR_SIGN : value));
}

/** Makes the endpoint's CD table and the leaf for a SubstreamID. Returns frames, or undefined without memory. */
export function extendCdTable(
  context: Context,
  driver: DriverState,
  endpoint: string,
  ssid: number,
): readonly Frame[] | undefined {
  if (!makeCdTable(context, driver, endpoint)) return undefined;
  const master = masterOf(driver, endpoint);
  const table = present(master.cdTable, 'CD table');
  const window = Math.floor(ssid / 2 ** LEAF_LOG2);
  if (!table.twoLevel || table.leaves[window] !== undefined) return [];
  const pa = portOf(driver).take(context, driver, CD_BYTES * 2 ** LEAF_LOG2, 'CD table leaf');
  if (pa === undefined) return undefined;
  const descriptor = doublewords(encode(L1CD, { V: true, L2Ptr: pa }));
  storeDoublewords(context, driver, table.pa + window * 8, descriptor);
  context.emit(driver.setup.actor, { type: 'cdtab.extended', driver: driver.name, endpoint, window, pa });
  // An invalid level 1 descriptor may be cached.
  return [issueAndSync(driver.name, invalidations(master, ssid, false))];
}

function makeCdTable(context: Context, driver: DriverState, endpoint: string): boolean {
  const master = masterOf(driver, endpoint);
  if (master.cdTable !== undefined) return true;
  const maxLog2 = master.ssidBits;
  const twoLevel = driver.features?.twoLevelCd === true && maxLog2 > LEAF_LOG2;
  const bytes = twoLevel ? 2 ** (maxLog2 - LEAF_LOG2) * 8 : 2 ** maxLog2 * CD_BYTES;
  const pa = portOf(driver).take(context, driver, bytes, 'CD table');
  if (pa === undefined) return false;
  const table = { pa, twoLevel, bytes, maxLog2, leaves: {} };
  context.emit(driver.setup.actor, { type: 'cdtab.placed', driver: driver.name, endpoint, table });
  return true;
}

/** Where the CD of a SubstreamID stands; undefined where there is no table or no leaf for it. */
export function cdPa({ cdTable }: Master, ssid: number): number | undefined {
  if (cdTable === undefined) return undefined;
  if (!cdTable.twoLevel) return cdTable.pa + ssid * CD_BYTES;
  const leaf = cdTable.leaves[Math.floor(ssid / 2 ** LEAF_LOG2)];
  return leaf === undefined ? undefined : leaf + (ssid % 2 ** LEAF_LOG2) * CD_BYTES;
}

export interface CdFrame extends Frame {
  readonly do: 'cd.write';
  readonly driver: string;
  readonly endpoint: string;
  readonly ssid: number;
  readonly target: Entry;
}

/** Writes a CD, where it has a place. */
export const cdRow: FrameRow<CdFrame> = {
  run: ({ state }, { driver: name, endpoint, ssid, target }) => {
    const driver = driverOf(state, name);
    const master = masterOf(driver, endpoint);
    const pa = cdPa(master, ssid);
    if (pa === undefined) return;
    const current = loadDoublewords(state, driver, pa, 8);
    const steps =
      driver.quirks['no-break'] === true
        ? carelessSteps(current, target)
        : writeSteps(current, target, usedOfCd);
    const sync = invalidations(master, ssid, true);
    return steps.flatMap((step) => [storeFrame(name, pa, step), issueAndSync(name, sync)]);
  },
};

function invalidations({ streams }: Master, ssid: number, leaf: boolean): ReturnType<typeof cmdOf>[] {
  return streams.map((sid) => cmdOf('CMD_CFGI_CD', { StreamID: sid, SubstreamID: ssid, Leaf: leaf }));
}

/** The endpoint as the driver knows it. */
export function masterOf({ masters }: DriverState, endpoint: string): Master {
  return present(masters[endpoint], `master ${endpoint}`);
}
