/**
 * What a process asks of its operating system, or what is asked for it: `mm.*` and `sva.*` stimuli, for a VM's or,
 * without `vm`, for the host. The work is a task of a CPU. The mmap lock keeps changes of one address space apart; a
 * process does not go while one of its devices is being bound or unbound (linux: mmget_not_zero).
 */
import { driverOfEndpoint } from '../driver/attach.ts';
import { inGroup } from '../driver/group.ts';
import type { DriverState } from '../driver/state.ts';
import type { Context, Decider } from '../machine.ts';
import type { State } from '../state.ts';
import { beginTask } from '../tasks/begin.ts';
import { cpuUnit } from '../tasks/cpu.ts';
import { locked } from '../tasks/lock.ts';
import type { Frame } from '../tasks/task.ts';
import type { Asked } from './made.ts';
import { findMm, mmKey } from './state.ts';

const HOST = 'host';

const mmapLock = (mm: string): string => `mmap lock of ${mm}`;
const usersLock = (mm: string): string => `users of ${mm}`;
const svaLock = (owner: string): string => `SVA of ${owner}`;

/** The driver through which an owner's memory is reached: the first of its SMMUs. */
export function memoryDriver({ drivers }: State, owner: string): DriverState | undefined {
  return Object.values(drivers).find(({ setup, running }) => setup.owner === owner && running);
}

/** Gives a CPU of the owner the work; adapters have made sure that there is a driver. */
function ask(
  context: Context,
  { vm = HOST, mm: name, cpu = 0 }: { readonly vm?: string; readonly mm: string; readonly cpu?: number },
  what: string,
  framesOf: (asked: Asked) => readonly Frame[],
): void {
  const { state } = context;
  const mm = mmKey(vm, name);
  const driver = findMm(state, mm)?.driver ?? memoryDriver(state, vm)?.name;
  if (driver === undefined) return;
  const asked: Asked = { do: what, driver, owner: vm, name, mm, call: state.outside, what };
  beginTask(context, cpuUnit(vm, cpu), what, framesOf(asked));
}

/** A change of the address space. */
const change = (asked: Asked): readonly Frame[] => [locked(mmapLock(asked.mm), [asked])];

export const askMmMap: Decider<'mm.map'> = (context, stimulus) => {
  const { va, bytes, access = 'read-write' } = stimulus;
  ask(context, stimulus, 'mm.map', (asked) => change({ ...asked, va: Number(va), bytes, access }));
};

export const askMmUnmap: Decider<'mm.unmap'> = (context, stimulus) => {
  const { va, bytes } = stimulus;
  ask(context, stimulus, 'mm.unmap', (asked) => change({ ...asked, va: Number(va), bytes }));
};

export const askMmProtect: Decider<'mm.protect'> = (context, stimulus) => {
  const { va, bytes, access } = stimulus;
  ask(context, stimulus, 'mm.protect', (asked) => change({ ...asked, va: Number(va), bytes, access }));
};

export const askMmExit: Decider<'mm.exit'> = (context, stimulus) =>
  ask(context, stimulus, 'mm.exit', (asked) => [
    locked(mmapLock(asked.mm), [locked(usersLock(asked.mm), [asked])]),
  ]);

/** A bind or an unbind, with the locks of the core and of the endpoint's group. */
function bond({ state }: Context, asked: Asked, endpoint: string, more: object): readonly Frame[] {
  const driver = driverOfEndpoint(state, endpoint, asked.owner)?.name ?? asked.driver;
  const work = locked(usersLock(asked.mm), [{ ...asked, endpoint, ...more }]);
  return [locked(svaLock(asked.owner), [inGroup(driver, endpoint, [work])])];
}

export const askBind: Decider<'sva.bind'> = (context, stimulus) => {
  const { endpoint, ssid } = stimulus;
  const more = ssid === undefined ? {} : { ssid };
  ask(context, stimulus, 'sva.bind', (asked) => bond(context, asked, endpoint, more));
};

export const askUnbind: Decider<'sva.unbind'> = (context, stimulus) =>
  ask(context, stimulus, 'sva.unbind', (asked) => bond(context, asked, stimulus.endpoint, {}));
