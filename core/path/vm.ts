/** Virtual machines in paths: `vm0.smmu.regs.IDR0`, `vm0.devices.nic0`, `vm0.mem[0x40001000]`. */
import type { EndpointState } from '../endpoint/state.ts';
import { viewOf } from '../memory/space.ts';
import type { SmmuState } from '../smmu/state.ts';
import type { State } from '../state.ts';
import type { VirtioIommu } from '../virtio-iommu/guest-state.ts';
import type { VmDevice, VmState } from '../vm/state.ts';
import { policiesOf } from '../vmm/profiles.ts';
import { absent, type Children, group, hex, leaf, NOTHING, type PathNode, type Watched } from './node.ts';
import { memoryRead } from './structures.ts';
import { virtioNode } from './virtio.ts';

const types = (...names: readonly string[]): Watched => ({
  keys: names.map((name) => `type:${name}`),
  spans: [],
});
const DEVICES = types('device.plugged', 'device.changed', 'device.unplugged');

/** How the things that hosts and VMs both have are shown. */
export interface Shown {
  smmuNode(state: State, smmu: SmmuState): PathNode;
  endpointNode(endpoint: EndpointState): PathNode;
}

/** A VM: what its guest sees, and what its VMM holds. */
export function vmNode(state: State, vm: VmState, { smmuNode, endpointNode }: Shown): PathNode {
  const smmus = ownedBy(vm.name, state.smmus).map(
    ([name, smmu]) => [name, () => smmuNode(state, smmu)] as const,
  );
  const endpoints = ownedBy(vm.name, state.endpoints).map(
    ([name, endpoint]) => [name, () => endpointNode(endpoint)] as const,
  );
  return group({
    ...Object.fromEntries(endpoints),
    ...Object.fromEntries(smmus),
    ...(vm.virtio === undefined ? {} : { 'virtio-iommu': virtioOf(vm.virtio) }),
    profile: () => leaf(vm.config.profile, types('vm.made')),
    policies: () => valuesNode(policiesOf(vm.config), types('vm.made')),
    quirks: () => valuesNode(vm.quirks, types('vm.changed')),
    slots: () =>
      leaf(
        vm.slots.map(({ gpa, bytes }) => ({ gpa: hex(gpa), bytes: hex(bytes) })),
        types('vm.backed'),
        vm.slots.map(({ gpa, bytes }) => `${hex(gpa)} + ${hex(bytes)}`).join(', '),
      ),
    devices: () =>
      group(
        Object.fromEntries(Object.values(vm.devices).map((each) => [each.endpoint, () => deviceNode(each)])),
      ),
    iommufd: () =>
      group(
        Object.fromEntries(
          Object.values(vm.smmus).map((each) => [
            last(each.name),
            () => valuesNode(each, types('vsmmu.changed')),
          ]),
        ),
      ),
    exits: () =>
      leaf(
        Object.keys(vm.held),
        types('exit.taken', 'exit.ended'),
        Object.keys(vm.held).join(', ') || 'none',
      ),
    booted: () => leaf(vm.booted, types('vm.changed')),
    mem: () => memoryNode(state, vm.name),
  });
}

const virtioOf = (virtio: VirtioIommu) => (): PathNode => virtioNode(virtio);

function ownedBy<T>(vm: string, all: Readonly<Record<string, T>>): readonly (readonly [string, T])[] {
  return Object.entries(all).flatMap(([name, each]) =>
    name.startsWith(`${vm}.`) ? [[last(name), each] as const] : [],
  );
}

function last(name: string): string {
  return name.slice(name.indexOf('.') + 1);
}

function deviceNode(device: VmDevice): PathNode {
  const { kind, attached, streamId } = device;
  return valuesNode(device, DEVICES, `${kind} StreamID=${hex(streamId)} attached=${attached}`);
}

function valuesNode(values: object, watched: Watched, brief?: string): PathNode {
  const rows: Children = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, () => leaf(value, watched)]),
  );
  return brief === undefined ? group(rows) : group(rows, { brief: () => brief });
}

/** The guest's memory by its own addresses. */
function memoryNode(state: State, vm: string): PathNode {
  const view = viewOf(state, vm);
  return {
    ...leaf('guest memory', NOTHING),
    index: 'guest physical address, a multiple of 8',
    item: (gpa) => {
      if (gpa % 8 !== 0) return undefined;
      if (!view.isRam(gpa, 8)) return absent('no memory of the guest', types('vm.backed'));
      return leaf(hex(view.read64(gpa)), memoryRead(view.place(gpa), 8));
    },
  };
}
