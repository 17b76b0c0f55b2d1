/** Facts about virtual machines: their memory, pages of the guest, exits, devices, and the VMM's own log. */
import type { EndpointConfig } from '../config.ts';
import type { Window } from '../memory/space.ts';
import { flag, id, int, iova, json, optional, seq, text } from '../schema.ts';
import type { Slot, VirtualSmmu, VmConfig, VmDevice, VmState } from './state.ts';

const vm = text();

export const vmEvents = {
  'vm.made': { vm, config: json<VmConfig>() },
  /** Memory of the guest: what backs it, and where that lies in the machine. */
  'vm.backed': { vm, slots: json<readonly Slot[]>(), windows: json<readonly Window[]>() },
  'vm.changed': {
    vm,
    set: json<Partial<Pick<VmState, 'iommufd' | 'ioas' | 'mapped' | 'booted' | 'quirks'>>>(),
  },
  'vm.ended': { vm },
  /** KVM gives the VM a VMID, or pins the one it has. */
  'kvm.vmid': { vm, vmid: id(), pinned: flag() },
  /** What a stimulus about the VM came to; `refused` is the VMM's reason. */
  'vm.answered': {
    vm,
    about: seq(),
    errno: optional(text()),
    refused: optional(text()),
    value: optional(json<Readonly<Record<string, unknown>>>()),
  },

  /** The guest's kernel takes pages, and gives them back. */
  'page.allocated': { vm, gpa: id(), bytes: int(), what: text() },
  'page.freed': { vm, gpa: id(), bytes: int(), what: text() },

  /** A vCPU leaves the guest. `held`: it goes on when the VMM is done. */
  'exit.taken': { vm, unit: text(), why: text(), what: text(), held: optional(text<'yes'>()) },
  'exit.ended': { vm, unit: text() },

  'endpoint.made': { endpoint: text('endpoint'), config: json<EndpointConfig>() },
  'endpoint.removed': { endpoint: text('endpoint') },
  'device.plugged': { vm, endpoint: text('endpoint'), device: json<VmDevice>() },
  'device.changed': { vm, endpoint: text('endpoint'), set: json<Partial<VmDevice>>() },
  'device.unplugged': { vm, endpoint: text('endpoint') },
  /** KVM sends messages of a device there: `via` the translation, or the `board`, which the VMM takes for it. */
  'msi.routed': { vm, endpoint: text('endpoint'), iova: iova(), gpa: id(), via: text() },
  'vsmmu.changed': { vm, smmu: text(), set: json<Partial<VirtualSmmu>>() },
  /** A line of the VMM's log. */
  'vmm.told': { vm, what: text(), detail: text() },
} as const;
