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
import type { Frame } from '../../core/tasks/task.ts';
import type { Asked } from './captured-driver.ts';
import { followDriver } from './driver-steps.ts';

/** The board of the captures: QEMU 7.2 virt, 512 MiB, a kernel without EL2 whose endpoints come as modules load. */
function board(asked: readonly Asked[]): Simulation {
  const sids = [...new Set(asked.flatMap((each) => (each.ask === 'probe' ? [each.sid] : [])))];
  const plain = { smmu: 'smmu0', ats: false, pri: false, ssidBits: 0, atc: 0 };
  const machine = {
    ram: [{ base: 0x4000_0000, size: 0x2000_0000 }],
    smmus: [smmuConfig('qemu-7.2', { name: 'smmu0', base: 0x0905_0000 })],
    endpoints: sids.map((streamId) => ({ name: endpointOf(streamId), streamId, ...plain })),
    kernel: { profile: 'linux-7.3' },
    schedule: 'manual',
    seed: 0,
  } as const;
  return new Simulation(initialState(machine, resetRegisters));
}

const endpointOf = (sid: number): string => `dev${sid.toString(16)}`;

/** What our driver does when it is asked the same. */
export function ourDriver(asked: readonly Asked[], release: ReleaseName): readonly string[] {
  const simulation = board(asked);
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
  run(bootFrames('smmu0', { release, platform: { vhe: false, lateProbe: true } }));
  for (const each of asked) {
    if (each.ask === 'probe')
      run([{ do: 'endpoint.probe', driver: 'smmu0', endpoint: endpointOf(each.sid) }]);
    else if (each.ask === 'map') {
      const { pa, write, device } = each.leaf;
      const prot = { read: true, write, ...(device ? { device, noExecute: true } : {}) };
      mapPages(context, domainOf(simulation, each.sid), BigInt(each.iova), [{ pa, size: 0x1000 }], prot);
    } else if (each.ask === 'unmap') {
      for (const quirk of each.lost ? ['skip-tlbi', 'skip-sync'] : [])
        simulation.dispatch({ type: 'set', path: `smmu0.quirks.${quirk}`, value: true });
      run(unmapPages(context, domainOf(simulation, each.sid), BigInt(each.iova), each.size));
      for (const quirk of each.lost ? ['skip-tlbi', 'skip-sync'] : [])
        simulation.dispatch({ type: 'set', path: `smmu0.quirks.${quirk}`, value: false });
    } else if (each.ask === 'faults') {
      for (const { sid, iova, write } of each.accesses) {
        const access = write ? 'write' : 'read';
        simulation.dispatch({ type: 'dma', endpoint: endpointOf(sid), iova: BigInt(iova), size: 4, access });
      }
      simulation.run();
    } else run(shutdownFrames('smmu0'));
  }
  return follower.steps;
}

function domainOf(simulation: Simulation, sid: number): number {
  const attached = simulation.glance.drivers['smmu0']?.masters[endpointOf(sid)]?.attached[0];
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
