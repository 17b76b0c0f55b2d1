/** Giving back page tables with all below them (linux: __arm_lpae_free_pgtable). */
import type { Context } from '../machine.ts';
import { addressOf, isLeaf, LAST_LEVEL } from './descriptors.ts';
import { loadDoublewords, portOf } from './port.ts';
import type { DriverState } from './state.ts';
import { type TableShape, tableBytes } from './table-shape.ts';

interface Piece {
  readonly level: number;
  readonly pa: number;
}

/** Gives back a table of a level, lowest tables first. */
export function freeTable(
  context: Context,
  driver: DriverState,
  shape: TableShape,
  level: number,
  pa: number,
): void {
  const found: Piece[] = [{ level, pa }];
  for (let at = 0; at < found.length; at += 1) {
    const table = found[at];
    if (table === undefined || table.level === LAST_LEVEL) continue;
    const count = tableBytes(shape, table.level) / 8;
    for (const descriptor of loadDoublewords(context.state, driver, table.pa, count)) {
      if (descriptor === 0n || isLeaf(descriptor, table.level)) continue;
      found.push({ level: table.level + 1, pa: addressOf(descriptor, shape) });
    }
  }
  for (const table of found.reverse())
    portOf(driver).giveBack(context, driver, table.pa, tableBytes(shape, table.level));
}
