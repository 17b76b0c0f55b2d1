/**
 * A VM with a virtio-iommu on a host with assigned devices, driven through scenario lines and through tasks of
 * its vCPUs, and what is counted of it: exits, calls of the VMM, requests.
 */
import type { Entry } from '../../core/event.ts';
import { areasOf } from '../../core/kernel/iommufd/areas.ts';
import { hexOf } from '../../core/schema.ts';
import type { Frame } from '../../core/tasks/task.ts';
import { decodeRequest } from '../../core/virtio-iommu/codec.ts';
import { mapFrames, unmapFrames } from '../../core/virtio-iommu/guest-driver.ts';
import type { VirtioIommu } from '../../core/virtio-iommu/guest-state.ts';
import { type Host, host } from './kernel.ts';

export const VM = 'vm0';
/** Where the guest's memory begins, and how much there is. */
export const RAM = 0x4000_0000;
export const RAM_BYTES = 0x400_0000;

export interface VirtioVm extends Host {
  readonly virtio: VirtioIommu;
  /** Gives a vCPU work, and runs until all is quiet. */
  task(frames: readonly Frame[], cpu?: number): readonly Entry[];
  /** Gives it work only. */
  begin(frames: readonly Frame[], cpu?: number): void;
}

export interface VmOptions {
  /** How it was made is told too. */
  readonly loud?: true;
  readonly ram?: object;
}

/** A VM that is made and not booted, with devices `nvme0`, `nvme1`, ... plugged. */
export function virtioVm(
  policies: Readonly<Record<string, unknown>> = {},
  devices = 1,
  machine: object = {},
  { loud, ram }: VmOptions = {},
): VirtioVm {
  const endpoints = Array.from({ length: devices }, (_, at) => ({
    name: `nvme${at}`,
    smmu: 'smmu0',
    streamId: 8 + at,
  }));
  const made = host({ profile: 'linux-7.0' }, { endpoints, ...machine });
  made.line({ op: 'vm.create', vm: VM, profile: 'virtio-iommu', policies, cpus: 2, ...(ram && { ram }) });
  for (const { name } of endpoints) made.line({ op: 'vm.plug', vm: VM, endpoint: name });
  made.line({ op: 'run' });
  if (loud !== true) made.look();
  const begin = (frames: readonly Frame[], cpu = 0): void => {
    const unit = `${VM}.cpu${cpu}`;
    const event = { actor: unit, type: 'task.begun', unit, what: 'DMA', frames };
    made.simulation.dispatch({ type: 'observe', events: [event] });
  };
  const self = Object.create(made, {
    virtio: { get: () => made.state.vms[VM]!.virtio! },
    begin: { value: begin },
    task: {
      value: (frames: readonly Frame[], cpu = 0) => {
        made.look();
        begin(frames, cpu);
        made.line({ op: 'run' });
        return made.look();
      },
    },
  });
  return self as VirtioVm;
}

/** The same, and its guest runs: its devices are attached to a domain each. */
export function bootedVm(
  policies: Readonly<Record<string, unknown>> = {},
  devices = 1,
  machine: object = {},
  platform: object = {},
): VirtioVm {
  const vm = virtioVm(policies, devices, machine);
  vm.line({ op: 'guest.boot', vm: VM, platform });
  vm.line({ op: 'run' });
  vm.look();
  return vm;
}

export interface Cost {
  readonly exits: number;
  readonly maps: number;
  readonly unmaps: number;
  readonly requests: number;
  readonly syncs: number;
}

/** Exits of vCPUs, calls that map and unmap, requests taken, CMD_SYNCs that the host waited for. */
export function costOf(entries: readonly Entry[]): Cost {
  const calls = (name: string): number =>
    entries.filter((entry) => entry.type === 'ioctl.begun' && entry.name === name).length;
  const count = (type: Entry['type']): number => entries.filter((entry) => entry.type === type).length;
  return {
    exits: count('exit.taken'),
    maps: calls('IOMMU_IOAS_MAP'),
    unmaps: calls('IOMMU_IOAS_UNMAP'),
    requests: count('virtio.request'),
    syncs: count('sync.completed'),
  };
}

/** `ATTACH OK`: requests with their answers, in order. */
export function talk(entries: readonly Entry[]): readonly string[] {
  const said: string[] = [];
  let asked = '';
  for (const entry of entries) {
    if (entry.type === 'virtio.request') asked = decodeRequest(entry.bytes)?.name ?? hexOf(entry.bytes);
    if (entry.type === 'virtio.answered') said.push(`${asked} ${entry.decoded}`);
  }
  return said;
}

/** Pages that the host maps for a device: guest page by page of the IOVA. */
export function hostPages(vm: VirtioVm, endpoint: string): ReadonlyMap<bigint, bigint> {
  const { virtio, state } = vm;
  const ioas = Object.values(virtio.hosts).find((each) => each.endpoint === endpoint)?.ioas ?? 0;
  const [context] = Object.values(state.kernel!.contexts);
  const slot = state.vms[VM]!.slots[0]!;
  const pages = new Map<bigint, bigint>();
  for (const [, list] of areasOf(context!, { id: ioas } as never)?.range() ?? []) {
    for (const { iova, last, address } of list) {
      for (let at = iova; at <= last; at += 0x1000n) {
        const gpa = address + (at - iova) - BigInt(slot.va) + BigInt(slot.gpa);
        pages.set(at, gpa);
      }
    }
  }
  return pages;
}

export const PAGE = 0x1000;

/** Frames that map pages for a device, to guest memory at the same place when left out. */
export const map = (iova: number, pages: number, pa = RAM + (iova % RAM_BYTES), endpoint = 'nvme0') =>
  mapFrames({ vm: VM, endpoint, iova: BigInt(iova), pa, bytes: pages * PAGE, access: 'both' });

/** Frames that unmap them. */
export const unmap = (iova: number, pages: number, lazy = false, endpoint = 'nvme0') =>
  unmapFrames({ vm: VM, endpoint, iova: BigInt(iova), bytes: pages * PAGE }, lazy);

/** The entries of a type. */
export const of = <T extends Entry['type']>(entries: readonly Entry[], type: T) =>
  entries.filter((entry): entry is Extract<Entry, { type: T }> => entry.type === type);
