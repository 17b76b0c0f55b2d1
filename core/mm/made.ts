/** Address spaces come with their first use and go with their last; what asks of them is answered. */
import { driverOf, portOf } from '../driver/port.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Context } from '../machine.ts';
import type { Frame } from '../tasks/task.ts';
import { findMm, type Mm, mmsOf, shapeOfProcess } from './state.ts';
import { handNamed, handOf } from './tables.ts';

/** A call of an operating system about a process. */
export interface Asked extends Frame {
  /** Driver that the call is answered by, and through which memory is reached. */
  readonly driver: string;
  readonly owner: string;
  readonly name: string;
  /** Key of the address space. */
  readonly mm: string;
  readonly call: number;
  readonly what: string;
}

/** Ends the call. */
export function answerFrame(
  { driver, call, what }: Asked,
  told: { readonly errno?: Errno; readonly value?: Readonly<Record<string, number>> },
): Frame {
  return { do: 'guest.answer', driver, call, what, ...told };
}

/** A new address space, empty; undefined (ENOMEM) without memory for its root. */
export function makeMm(context: Context, { driver: name, owner, name: process, mm }: Asked): Mm | undefined {
  const driver = driverOf(context.state, name);
  const shape = shapeOfProcess(driver.setup.platform);
  const hand = handNamed(driver, owner, process);
  const root = portOf(driver).take(context, hand, 2 ** shape.rootLog2, 'root table of a process');
  if (root === undefined) return undefined;
  const taken = new Set(mmsOf(context.state, owner).map(({ asid }) => asid));
  let asid = 1;
  while (taken.has(asid)) asid += 1;
  const table = { ...shape, root };
  context.emit(`${owner}.mm`, { type: 'mm.made', mm, name: process, owner, driver: name, asid, table });
  return findMm(context.state, mm);
}

/** The root goes when the process has gone and no driver has a domain over it (linux: mmdrop). */
export function dropMm(context: Context, key: string): void {
  const mm = findMm(context.state, key);
  if (mm === undefined || !mm.exited || mm.notifiers.length > 0) return;
  const hand = handOf(context.state, mm);
  portOf(hand).giveBack(context, hand, mm.table.root, 2 ** mm.table.rootLog2);
  context.emit(`${mm.owner}.mm`, { type: 'mm.gone', mm: key });
}
