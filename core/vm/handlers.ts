/** How the facts about virtual machines evolve the state. */
import { present } from '../assert.ts';
import { initialEndpoint } from '../endpoint/state.ts';
import { addFree, removeFree } from '../kernel/process/pool.ts';
import { PAGE_BYTES } from '../kernel/process/state.ts';
import type { Handlers } from '../machine.ts';
import type { Radix } from '../memory/radix.ts';
import { openMap, sealedMap } from '../parts.ts';
import type { State } from '../state.ts';
import type { vmEvents } from './events.ts';
import { type Slot, type VirtualSmmu, type VmDevice, type VmState, workerUnit } from './state.ts';

const nothing = (): void => {};

export const vmHandlers: Pick<Handlers, keyof typeof vmEvents> = {
  'vm.made': (state, { vm, config }) => {
    const smmus = Object.fromEntries(config.smmus.map((name) => [name, newVirtualSmmu(name)]));
    state.vms[vm] = {
      name: vm,
      config,
      slots: [],
      pool: { free: sealedMap() },
      devices: {},
      smmus,
      iommufd: '',
      ioas: 0,
      mapped: false,
      held: {},
      quirks: {},
      booted: false,
    };
  },
  'vm.backed': (state, { vm: name, slots, windows }) => {
    const vm = of(state, name);
    const before = new Map(vm.slots.map((slot) => [slot.gpa, slot]));
    if (!vm.pool.free.open) vm.pool = { free: vm.pool.free.fork() as Radix<number> };
    for (const slot of slots)
      if (!before.has(slot.gpa)) addFree(vm.pool.free, { pa: slot.gpa, size: slot.bytes });
    for (const slot of vm.slots)
      if (!slots.some(({ gpa, bytes }) => gpa === slot.gpa && bytes === slot.bytes)) takeAway(vm, slot);
    vm.slots = slots;
    state.spaces[name] = windows;
  },
  'vm.changed': (state, { vm, set }) => {
    Object.assign(of(state, vm), set);
  },
  'vm.ended': (state, { vm: name }) => {
    const vm = of(state, name);
    for (const smmu in vm.smmus) delete state.smmus[smmu];
    for (const driver in state.drivers)
      if (state.drivers[driver]?.setup.owner === name) delete state.drivers[driver];
    for (const mm in state.mms) if (state.mms[mm]?.owner === name) delete state.mms[mm];
    // What the kernel does for it goes on.
    const worker = workerUnit(name);
    state.tasks = state.tasks.filter(({ unit }) => unit === worker || !unit.startsWith(`${name}.`));
    delete state.spaces[name];
    delete state.vms[name];
  },
  'kvm.vmid': (state, { vm, vmid, pinned }) => {
    of(state, vm).kvm = { vmid, pinned };
  },
  'vm.answered': nothing,

  'page.allocated': (state, { vm, gpa, bytes }) =>
    removeFree(openMap(of(state, vm).pool, 'free'), { pa: gpa, size: bytes }),
  'page.freed': (state, { vm, gpa, bytes }) =>
    addFree(openMap(of(state, vm).pool, 'free'), { pa: gpa, size: bytes }),

  'exit.taken': (state, { vm, unit, held }) => {
    if (held === undefined) return;
    const owner = of(state, vm);
    owner.held[unit] = (owner.held[unit] ?? 0) + 1;
  },
  'exit.ended': (state, { vm, unit }) => {
    const owner = of(state, vm);
    const left = (owner.held[unit] ?? 1) - 1;
    if (left === 0) delete owner.held[unit];
    else owner.held[unit] = left;
  },

  'endpoint.made': (state, { endpoint, config }) => {
    state.endpoints[endpoint] = initialEndpoint(config);
  },
  'endpoint.removed': (state, { endpoint }) => {
    delete state.endpoints[endpoint];
  },
  'device.plugged': (state, { vm, endpoint, device }) => {
    of(state, vm).devices[endpoint] = device;
  },
  'device.changed': (state, { vm, endpoint, set }) => {
    const { devices } = of(state, vm);
    devices[endpoint] = { ...present(devices[endpoint], `device ${endpoint}`), ...set } as VmDevice;
  },
  'device.unplugged': (state, { vm, endpoint }) => {
    delete of(state, vm).devices[endpoint];
  },
  'msi.routed': nothing,
  'vsmmu.changed': (state, { vm, smmu, set }) => {
    const { smmus } = of(state, vm);
    smmus[smmu] = { ...present(smmus[smmu], `emulated SMMU ${smmu}`), ...set } as VirtualSmmu;
  },
  'vmm.told': nothing,
};

/** Nobody gets pages of a slot that is gone; those in use are their owner's trouble. */
function takeAway({ pool }: VmState, { gpa, bytes }: Slot): void {
  const free = openMap(pool, 'free');
  const [first, end] = [gpa / PAGE_BYTES, (gpa + bytes) / PAGE_BYTES];
  for (const [at, count] of [...free.range(0, end)]) {
    const from = Math.max(at, first);
    const size = Math.min(at + count, end) - from;
    if (size > 0) removeFree(free, { pa: from * PAGE_BYTES, size: size * PAGE_BYTES });
  }
}

function newVirtualSmmu(name: string): VirtualSmmu {
  const none = { parent: 0, viommu: 0, abortHwpt: 0, bypassHwpt: 0, veventq: 0 };
  return { name, physical: '', ...none, veventFd: -1, veventSeen: -1 };
}

function of({ vms }: State, name: string): VmState {
  return present(vms[name], `VM ${name}`);
}
