/**
 * Flush queues (linux: queue_iova, fq_flush_iotlb, fq_flush_timeout): what is unmapped waits in a ring of its CPU,
 * until all of the domain is flushed: because the ring is full, or because a timer ran. Only then its IOVA is free.
 * A ring is locked while its CPU waits for a flush.
 */

import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import { cpuUnit } from '../tasks/cpu.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { type DmaDriver, dmaDomainOf, dmaDriverOf } from './drivers.ts';

import { RING_SLOTS } from './handlers.ts';
import { opsOf } from './iommu.ts';
import { free, type Place } from './iova.ts';
import { PAGE_BYTES, type Ring } from './state.ts';

/** A range on its way into the ring of its CPU. */
export interface QueueFrame extends Frame {
  readonly do: 'fq.queue';
  readonly driver: string;
  readonly domain: number;
  readonly cpu: number;
  readonly pfn: number;
  readonly bytes: number;
  /** At an address that was asked for: not for the CPU's cache. */
  readonly fixed: boolean;
}

export const queueRow: FrameRow<QueueFrame> = {
  run: (context, frame) => {
    const { driver: name, domain, cpu, pfn, bytes, fixed } = frame;
    const driver = dmaDriverOf(context.state, name);
    const place: Place = { driver: name, domain, cpu };
    release(context, driver, place, cpu);
    if (isFull(dmaDomainOf(context.state, place).rings[cpu]))
      return [{ do: 'fq.flush', driver: name, domain }, frame];
    const early = driver.quirks['iova-early-free'] === true;
    if (early) free(context, driver, place, pfn, bytes, fixed);
    context.emit(driver.setup.actor, {
      type: 'fq.queued',
      ...place,
      iova: BigInt(pfn * PAGE_BYTES),
      pages: bytes / PAGE_BYTES,
      counter: dmaDomainOf(context.state, place).flushesBegun,
      released: early,
      ...(fixed && !early ? { fixed } : {}),
    });
    if (dmaDomainOf(context.state, place).timer === undefined)
      context.emit(driver.setup.actor, { type: 'fq.timer', ...place, on: true });
    return [];
  },
};

/** Whether what is unmapped next has to wait for a flush. */
export function isFull(ring: Ring | undefined): boolean {
  return ring !== undefined && (ring.tail + 1) % RING_SLOTS === ring.head;
}

/** Frees what of a ring was flushed since it came. @param ring the CPU whose ring it is; `place` says who frees */
function release(context: Context, driver: DmaDriver, place: Place, ring: number): void {
  const of = dmaDomainOf(context.state, place);
  const { head, tail, entries } = of.rings[ring] ?? { head: 0, tail: 0, entries: undefined };
  let count = 0;
  for (let at = head; at !== tail; at = (at + 1) % RING_SLOTS) {
    const queued = entries?.get(at);
    if (queued === undefined || queued.counter >= of.flushesEnded) break;
    const { pfn, pages, released, fixed = false } = queued;
    if (!released) free(context, driver, place, pfn, pages * PAGE_BYTES, fixed);
    count += 1;
  }
  if (count > 0) context.emit(driver.setup.actor, { type: 'fq.released', ...place, cpu: ring, count });
}

export interface FlushFrame extends Frame {
  readonly do: 'fq.flush' | 'fq.flushed';
  readonly driver: string;
  readonly domain: number;
}

/** Flushes all of the domain. */
export const flushRow: FrameRow<FlushFrame> = {
  run: (context, { driver: name, domain }) => {
    const driver = dmaDriverOf(context.state, name);
    const flush = dmaDomainOf(context.state, { driver: name, domain }).flushesBegun + 1;
    context.emit(driver.setup.actor, { type: 'fq.flushing', driver: name, domain, flush });
    const done = { do: 'fq.flushed', driver: name, domain };
    return driver.quirks['fq-no-flush'] === true ? [done] : [...opsOf(driver).flush(driver, domain), done];
  },
};

export const flushedRow: FrameRow<FlushFrame> = {
  run: (context, { driver: name, domain }) => {
    const driver = dmaDriverOf(context.state, name);
    const flush = dmaDomainOf(context.state, { driver: name, domain }).flushesEnded + 1;
    context.emit(driver.setup.actor, { type: 'fq.flushed', driver: name, domain, flush });
    return [];
  },
};

interface DrainFrame extends Frame {
  readonly do: 'fq.drain';
  readonly driver: string;
  readonly domain: number;
  readonly cpu: number;
}

/** After the timer's flush: all rings, by the CPU whose timer it was. */
export const drainRow: FrameRow<DrainFrame> = {
  ready: (state, frame) => !isLocked(state, frame),
  run: (context, { driver: name, domain, cpu }) => {
    const driver = dmaDriverOf(context.state, name);
    const place: Place = { driver: name, domain, cpu };
    for (const ring of Object.keys(dmaDomainOf(context.state, place).rings))
      release(context, driver, place, Number(ring));
    return [];
  },
};

/** Whether a CPU waits for a flush with its ring in hand. */
function isLocked(state: State, { driver: name, domain }: DrainFrame): boolean {
  const { owner } = dmaDriverOf(state, name).setup;
  const cpus = Object.keys(dmaDomainOf(state, { driver: name, domain }).rings);
  const units = new Set(cpus.map((cpu) => cpuUnit(owner, Number(cpu))));
  return state.tasks.some(
    ({ unit, frames }) =>
      units.has(unit) &&
      frames.some(({ do: what, domain: of }) => what === 'fq.flushed' && of === domain) &&
      frames.some(({ do: what }) => what === 'fq.queue'),
  );
}
