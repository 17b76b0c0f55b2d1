/**
 * What an operating system is asked to do for its devices: `guest.*` stimuli, for a VM's or, without `vm`, for the
 * host itself. The work is a task of a CPU; what it comes to is an event that names the stimulus.
 */

import { inGroup } from '../driver/group.ts';
import { portOf } from '../driver/port.ts';
import { shutdownFrames } from '../driver/probe.ts';
import type { DriverState } from '../driver/state.ts';
import { own } from '../lookup.ts';
import type { Context, Decider } from '../machine.ts';
import type { State } from '../state.ts';
import { beginTask } from '../tasks/begin.ts';
import { cpuUnit } from '../tasks/cpu.ts';
import type { Frame } from '../tasks/task.ts';
import { driverFor } from './drivers.ts';
import type { DefaultKind } from './iommu.ts';

const HOST = 'host';

/** Gives a CPU of an owner work; adapters have made sure that there is a driver. */
function work(context: Context, owner: string, cpu: number, what: string, frames: readonly Frame[]): void {
  beginTask(context, cpuUnit(owner, cpu), what, frames);
}

interface About {
  readonly driver: string;
  readonly endpoint: string;
  readonly call: number;
}

/** What all frames of a stimulus have; undefined where nobody serves the endpoint. */
function about({ state }: Context, owner: string, endpoint: string): About | undefined {
  const driver = driverFor(state, owner, endpoint);
  // The call is named by the seq of its stimulus.
  return driver === undefined ? undefined : { driver: driver.name, endpoint, call: state.outside };
}

export const askMap: Decider<'guest.map'> = (
  context,
  { vm = HOST, endpoint, cpu = 0, pa, sg, bytes, access = 'read-write', device, iova },
) => {
  const of = about(context, vm, endpoint);
  if (of === undefined) return;
  const where = {
    ...(pa === undefined ? {} : { pa }),
    ...(sg?.[0] === undefined ? {} : { sg, pa: sg[0].pa }),
    ...(device === true ? { device } : {}),
    ...(iova === undefined ? {} : { iova: Number(iova) }),
  };
  work(context, vm, cpu, 'map', [{ do: 'dma.map', ...of, cpu, bytes, access, ...where, pause: true }]);
};

export const askUnmap: Decider<'guest.unmap'> = (context, { vm = HOST, endpoint, cpu = 0, iova, bytes }) => {
  const of = about(context, vm, endpoint);
  if (of !== undefined) work(context, vm, cpu, 'unmap', [{ do: 'dma.unmap', ...of, cpu, iova, bytes }]);
};

/** The default domain is changed. */
function changeOf(of: About, to: DefaultKind, ssid: number, what: string): Frame {
  return inGroup(of.driver, of.endpoint, [{ do: 'dma.attach', ...of, to, ssid, what }]);
}

export const askAttach: Decider<'guest.attach'> = (
  context,
  { vm = HOST, endpoint, cpu = 0, to, ssid = 0 },
) => {
  const of = about(context, vm, endpoint);
  if (of !== undefined) work(context, vm, cpu, 'attach', [changeOf(of, to, ssid, 'attach')]);
};

export const askDetach: Decider<'guest.detach'> = (context, { vm = HOST, endpoint, cpu = 0 }) => {
  const of = about(context, vm, endpoint);
  if (of !== undefined) work(context, vm, cpu, 'detach', [changeOf(of, 'blocked', 0, 'detach')]);
};

export const askProbe: Decider<'guest.probe'> = (context, { vm = HOST, endpoint, cpu = 0 }) => {
  const driver = driverBehind(context.state, vm, endpoint);
  if (driver === undefined) return;
  const answer = { do: 'guest.answer', driver: driver.name, call: context.state.outside, what: 'probe' };
  const known = driver.masters[endpoint] !== undefined;
  const probe = known ? [] : [{ do: 'endpoint.probe', driver: driver.name, endpoint }];
  work(context, vm, cpu, 'probe', [...probe, answer]);
};

/** The owner's driver of the SMMU that an endpoint stands behind, whether it knows the endpoint or not. */
export function driverBehind(state: State, owner: string, endpoint: string): DriverState | undefined {
  const drivers = Object.values(state.drivers).filter(({ setup }) => setup.owner === owner);
  return (
    drivers.find(({ masters }) => own(masters, endpoint) !== undefined) ??
    drivers.find(
      (driver) =>
        driver.running &&
        portOf(driver)
          .endpoints(state, driver)
          .some(({ name }) => name === endpoint),
    )
  );
}

export const askWork: Decider<'guest.work'> = (
  context,
  { vm = HOST, endpoint, cpu = 0, kind, seed, count },
) => {
  const of = about(context, vm, endpoint);
  if (of === undefined) return;
  const nothing = { held: [], done: 0, refused: 0, failed: 0, corrupt: 0 };
  const step = { do: 'work.step', ...of, cpu, kind, left: count, random: seed, ...nothing };
  work(context, vm, cpu, 'work', [step]);
};

export const askShutdown: Decider<'guest.shutdown'> = (context, { vm = HOST }) => {
  const all = Object.values(context.state.drivers).filter(({ setup }) => setup.owner === vm);
  const call = context.state.outside;
  const frames = all.flatMap(({ name }) => [
    ...shutdownFrames(name),
    { do: 'guest.answer', driver: name, call, what: 'shutdown' },
  ]);
  if (frames.length > 0) work(context, vm, 0, 'shutdown', frames);
};
