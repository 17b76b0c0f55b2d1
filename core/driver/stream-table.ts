/**
 * The stream table (linux: arm_smmu_init_strtab, arm_smmu_init_l2_strtab, arm_smmu_write_ste): 2-level with
 * leaves of 256 STEs that are made when an endpoint needs them, or linear. Every fresh STE is valid and aborts.
 */
import { present } from '../assert.ts';
import { encode } from '../layout/layout.ts';
import type { Context } from '../machine.ts';
import { L1STD } from '../smmu/ste.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { issue, issueAndSync } from './cmdq.ts';
import { cmdOf, doublewords } from './commands.ts';
import { carelessSteps, type Entry, orderedSteps, type Step, writeSteps } from './entry-writer.ts';
import { driverOf, loadDoublewords, portOf, storeDoublewords } from './port.ts';
import { behavioursOf } from './releases.ts';
import type { DriverState, StreamTable } from './state.ts';
import { abortSteOf, isTranslating, safeOfSte, usedOfSte } from './ste.ts';

const STE_BYTES = 64;
export const SPLIT = 8;
const L1_LOG2_MAX = 17;

/** Takes and fills the top of the stream table. Returns whether there was memory. */
export function makeStreamTable(context: Context, driver: DriverState): boolean {
  const { twoLevelStrtab: twoLevel, sidBits } = present(driver.features, 'features');
  const sizeLog2 = twoLevel ? Math.min(sidBits - SPLIT, L1_LOG2_MAX) : sidBits;
  const bytes = 2 ** sizeLog2 * (twoLevel ? 8 : STE_BYTES);
  const pa = portOf(driver).take(context, driver, bytes, 'stream table');
  if (pa === undefined) return false;
  if (!twoLevel) storeDoublewords(context, driver, pa, abortEntries(driver, 2 ** sizeLog2));
  context.emit(driver.setup.actor, { type: 'strtab.placed', driver: driver.name, pa, sizeLog2, twoLevel });
  return true;
}

/** Makes the leaf of a StreamID, where there is none. No command tells of it. Returns whether there was memory. */
export function extendStreamTable(context: Context, driver: DriverState, sid: number): boolean {
  const table = tableOf(driver);
  const window = Math.floor(sid / 2 ** SPLIT);
  if (!table.twoLevel || table.leaves[window] !== undefined) return true;
  const count = 2 ** SPLIT;
  const pa = portOf(driver).take(context, driver, count * STE_BYTES, 'stream table leaf');
  if (pa === undefined) return false;
  storeDoublewords(context, driver, pa, abortEntries(driver, count));
  const descriptor = doublewords(encode(L1STD, { Span: SPLIT + 1, L2Ptr: pa }));
  storeDoublewords(context, driver, table.pa + window * 8, descriptor);
  context.emit(driver.setup.actor, { type: 'strtab.extended', driver: driver.name, window, pa });
  return true;
}

/** Whether the table has a place for the StreamID. */
export function hasStream(driver: DriverState, sid: number): boolean {
  const { twoLevel, sizeLog2 } = tableOf(driver);
  return sid < 2 ** (sizeLog2 + (twoLevel ? SPLIT : 0));
}

/** Where the STE of a StreamID stands. */
export function stePa(driver: DriverState, sid: number): number {
  const table = tableOf(driver);
  if (!table.twoLevel) return table.pa + sid * STE_BYTES;
  const leaf = present(table.leaves[Math.floor(sid / 2 ** SPLIT)], `leaf of StreamID ${sid}`);
  return leaf + (sid % 2 ** SPLIT) * STE_BYTES;
}

const HISILICON = 1;

export interface SteFrame extends Frame {
  readonly do: 'ste.write';
  readonly driver: string;
  readonly sid: number;
  readonly target: Entry;
}

/** Writes an STE; a prefetch of it follows, that nobody waits for, even where nothing changed. */
export const steRow: FrameRow<SteFrame> = {
  run: ({ state }, { driver: name, sid, target }) => {
    const driver = driverOf(state, name);
    const pa = stePa(driver, sid);
    const current = loadDoublewords(state, driver, pa, 8);
    const inOrder = behavioursOf(driver).entries === 'in-order';
    const steps = stepsOf(driver, current, target);
    const sync = [cmdOf('CMD_CFGI_STE', { StreamID: sid, Leaf: true })];
    const prefetch =
      skipsPrefetch(driver) || (inOrder && !isTranslating(target))
        ? []
        : [issue(name, [cmdOf('CMD_PREFETCH_CONFIG', { StreamID: sid })])];
    return [...steps.flatMap((step) => [storeFrame(name, pa, step), issueAndSync(name, sync)]), ...prefetch];
  },
};

/** linux: arm-smmu-v3.c, acpi_smmu_get_options: the model id of the node says it, or a device tree. */
function skipsPrefetch({ setup }: DriverState): boolean {
  return setup.platform.skipPrefetch || setup.platform.model === HISILICON;
}

function stepsOf(driver: DriverState, current: Entry, target: Entry): readonly Step[] {
  if (driver.quirks['no-break'] === true) return carelessSteps(current, target);
  if (behavioursOf(driver).entries === 'hitless') return writeSteps(current, target, usedOfSte, safeOfSte);
  return isTranslating(target)
    ? orderedSteps(current, target)
    : [[0, 1, 2].map((at) => [at, target[at] ?? 0n])];
}

export interface StoreFrame extends Frame {
  readonly do: 'entry.store';
  readonly driver: string;
  readonly pa: number;
  readonly step: Step;
}

/** Stores of a step of the entry writer. */
export function storeFrame(driver: string, pa: number, step: Step): StoreFrame {
  return { do: 'entry.store', driver, pa, step };
}

export const storeRow: FrameRow<StoreFrame> = {
  run: (context, { driver: name, pa, step }) => {
    const driver = driverOf(context.state, name);
    for (const [at, value] of step) storeDoublewords(context, driver, pa + at * 8, [value]);
  },
};

function tableOf({ strtab }: DriverState): StreamTable {
  return present(strtab, 'stream table');
}

function abortEntries(driver: DriverState, count: number): readonly bigint[] {
  return Array.from({ length: count }, () => abortSteOf(driver)).flat();
}
