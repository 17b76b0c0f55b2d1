/**
 * Timers of flush queues: one for each domain, all of a driver's in one unit, `DRIVER.fq-timer`. Time does not pass
 * by itself under the `eager` schedule, so there a timer waits for a turn that names it; under `seeded` it is drawn
 * like any other unit.
 */

import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import type { Frame } from '../tasks/task.ts';
import { type DmaDriver, findDmaDriver } from './drivers.ts';

import type { DmaDomain } from './state.ts';

const UNIT = 'fq-timer';

/** Units whose timer runs. */
export function runningTimers(state: State): readonly string[] {
  const units: string[] = [];
  const look = (driver: DmaDriver | undefined): void => {
    if (driver !== undefined && firstRunning(driver.dma) !== undefined) units.push(timerUnit(driver.name));
  };
  for (const name in state.drivers) look(state.drivers[name]);
  for (const name in state.vms) look(state.vms[name]?.virtio?.driver);
  return units;
}

/** The unit of a driver's timers. */
export function timerUnit(driver: string): string {
  return `${driver}.${UNIT}`;
}

function firstRunning(dma: Readonly<Record<number, DmaDomain>> | undefined): DmaDomain | undefined {
  if (dma === undefined) return undefined;
  for (const domain of domainsIn(dma)) if (domain.timer !== undefined) return domain;
  return undefined;
}

/** The domains of a record, listed once: every turn asks for them. */
const listed = new WeakMap<Readonly<Record<number, DmaDomain>>, readonly DmaDomain[]>();

/** A record gains and loses no domain: another takes its place (`handlers.ts`). */
function domainsIn(dma: Readonly<Record<number, DmaDomain>>): readonly DmaDomain[] {
  let domains = listed.get(dma);
  if (domains === undefined) {
    domains = Object.values(dma);
    listed.set(dma, domains);
  }
  return domains;
}

/** Lets a timer of the unit run out: what its task does; undefined where none runs. */
export function expireTimer({ state, emit }: Context, unit: string): readonly Frame[] | undefined {
  if (!unit.endsWith(`.${UNIT}`)) return undefined;
  const driver = findDmaDriver(state, unit.slice(0, -UNIT.length - 1));
  const found = firstRunning(driver?.dma);
  if (driver === undefined || found?.timer === undefined) return undefined;
  const { domain, timer: cpu } = found;
  emit(driver.setup.actor, { type: 'fq.timer', driver: driver.name, domain, cpu, on: false });
  return [
    { do: 'fq.flush', driver: driver.name, domain },
    { do: 'fq.drain', driver: driver.name, domain, cpu },
  ];
}
