/**
 * Our driver of a release on a machine with the emulator's hardware, asked for what a capture says that the real
 * one was asked. Its steps come out as those of `captured-driver.ts` do.
 */
import { mapPages, unmapPages } from '../../core/driver/ops.ts';
import { bootFrames, shutdownFrames } from '../../core/driver/probe.ts';
import type { ReleaseName } from '../../core/driver/releases.ts';
import type { Entry, Event } from '../../core/event.ts';
import type { Context } from '../../core/machine.ts';
import { Simulation } from '../../core/simulation.ts';
import { smmuConfig } from '../../core/smmu/profiles.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { initialState } from '../../core/state.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import type { Frame } from '../../core/tasks/task.ts';
import type { Asked, Fault, Leaf } from './captured-driver.ts';
import { followDriver } from './driver-steps.ts';

const SMMU = 'smmu0';
const endpointOf = (sid: number): string => `dev${sid.toString(16)}`;

/** The board of the captures: QEMU 7.2 virt, 512 MiB, a kernel without EL2 whose endpoints come as modules load. */
function machineFor(asked: readonly Asked[]): Simulation {
  const sids = [...new Set(asked.flatMap((each) => (each.ask === 'probe' ? [each.sid] : [])))];
  const plain = { smmu: SMMU, ats: false, pri: false, ssidBits: 0, atc: 0 };
  const machine = {
    ram: [{ base: 0x4000_0000, size: 0x2000_0000 }],
    smmus: [smmuConfig('qemu-7.2', { name: SMMU, base: 0x0905_0000 })],
    endpoints: sids.map((streamId) => ({ name: endpointOf(streamId), streamId, ...plain })),
    kernel: { profile: 'linux-7.3' },
    schedule: 'manual',
    seed: 0,
  } as const;
  return new Simulation(initialState(machine, resetRegisters));
}

export interface Board {
  readonly steps: readonly string[];
  /** What a capture says that was asked, at the addresses of the capture. */
  do(asked: Asked): void;
  /** A mapping through the DMA API; the IOVA it got. Device memory is an interrupt's doorbell. */
  map(sid: number, pages: readonly Leaf[], like: Leaf): string;
  unmap(sid: number, iova: number, bytes: number): void;
}

/** A board whose driver is up. */
export function openBoard(asked: readonly Asked[], release: ReleaseName): Board {
  const simulation = machineFor(asked);
  const follower = followDriver((pa) => simulation.glance.memory.read64(pa));
  simulation.entries$.subscribe((entries) => {
    for (const entry of entries) follow(follower, entry);
  });
  const context: Context = {
    get state() {
      return simulation.glance;
    },
    emit: (actor: string, event: Event): number =>
      simulation.dispatch({ type: 'observe', events: [{ actor, ...event }] }).entries[1]?.seq ?? 0,
  };
  const run = (frames: readonly Frame[]): void => {
    if (frames.length > 0)
      context.emit('kernel', { type: 'task.begun', unit: 'kernel', what: 'asked', frames });
    simulation.run();
  };
  run(bootFrames(SMMU, { release, platform: { vhe: false, lateProbe: true } }));
  return {
    steps: follower.steps,
    do: (each) => perform(simulation, context, run, each),
    map: (sid, pages, { write, device }) => {
      const sg = pages.map(({ pa }) => ({ pa, size: 0x1000 }));
      const endpoint = endpointOf(sid);
      const bytes = sg.length * 0x1000;
      const access = write ? 'read-write' : 'read';
      const attributes = device ? { device } : {};
      return outcome(simulation, { type: 'guest.map', endpoint, sg, bytes, access, ...attributes });
    },
    unmap: (sid, iova, bytes) => {
      outcome(simulation, { type: 'guest.unmap', endpoint: endpointOf(sid), iova: BigInt(iova), bytes });
    },
  };
}

/** What our driver does when it is asked all of it. */
export function ourDriver(asked: readonly Asked[], release: ReleaseName): readonly string[] {
  const board = openBoard(asked, release);
  for (const each of asked) board.do(each);
  return board.steps;
}

function outcome(simulation: Simulation, stimulus: Stimulus): string {
  let iova = '';
  const sub = simulation.entries$.subscribe((entries) => {
    for (const entry of entries)
      if (entry.type === 'dma.mapped') iova = entry.errno ?? `0x${entry.iova?.toString(16)}`;
  });
  simulation.dispatch(stimulus);
  simulation.run();
  sub.unsubscribe();
  return iova;
}

function perform(
  simulation: Simulation,
  context: Context,
  run: (frames: readonly Frame[]) => void,
  each: Asked,
): void {
  if (each.ask === 'probe') run([{ do: 'endpoint.probe', driver: SMMU, endpoint: endpointOf(each.sid) }]);
  else if (each.ask === 'map') {
    const { pa, write, device } = each.leaf;
    const prot = { read: true, write, ...(device ? { device, noExecute: true } : {}) };
    mapPages(context, domainOf(simulation, each.sid), BigInt(each.iova), [{ pa, size: 0x1000 }], prot);
  } else if (each.ask === 'unmap') {
    const suppress = (value: boolean): void => {
      for (const quirk of each.lost ? ['skip-tlbi', 'skip-sync'] : [])
        simulation.dispatch({ type: 'set', path: `${SMMU}.quirks.${quirk}`, value });
    };
    suppress(true);
    run(unmapPages(context, domainOf(simulation, each.sid), BigInt(each.iova), each.size));
    suppress(false);
  } else if (each.ask === 'faults') fault(simulation, each.accesses);
  else run(shutdownFrames(SMMU));
}

/** Accesses that are over before the driver looks. */
function fault(simulation: Simulation, accesses: readonly Fault[]): void {
  for (const { sid, iova, write } of accesses) {
    const access = write ? 'write' : 'read';
    simulation.dispatch({ type: 'dma', endpoint: endpointOf(sid), iova: BigInt(iova), size: 4, access });
  }
  simulation.run();
}

function domainOf(simulation: Simulation, sid: number): number {
  const attached = simulation.glance.drivers[SMMU]?.masters[endpointOf(sid)]?.attached[0];
  if (typeof attached !== 'number') throw new Error(`StreamID 0x${sid.toString(16)} has no domain`);
  return attached;
}

function follow(follower: ReturnType<typeof followDriver>, entry: Entry): void {
  // Writes that registers of other features ignore are the driver's all the same.
  if (entry.type === 'register.written' || entry.type === 'write.ignored')
    follower.write(entry.register, entry.value);
  if (entry.type === 'register.read') follower.read(entry.register, entry.value);
  if (entry.type === 'memory.written') follower.store(entry.pa, entry.value);
  if (entry.type !== 'memory.loaded') return;
  const view = new DataView(entry.bytes.buffer, entry.bytes.byteOffset, entry.bytes.length);
  for (let at = 0; at < entry.bytes.length; at += 8)
    follower.store(entry.pa + at, view.getBigUint64(at, true));
}
