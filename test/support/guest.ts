/** A guest that is up, with devices of the host, as tests of its invalidations drive it. */
import type { MachineConfig } from '../../core/config.ts';
import type { Platform } from '../../core/driver/features.ts';
import { smmuConfig } from '../../core/smmu/profiles.ts';
import type { VmConfig } from '../../core/vm/state.ts';
import { bootHost, type Host, vmConfig } from './vm.ts';

export interface GuestOptions {
  readonly profile?: VmConfig['profile'];
  readonly kernel?: string;
  readonly vm?: Partial<VmConfig>;
  readonly machine?: Partial<MachineConfig>;
  readonly platform?: Partial<Platform>;
  readonly ats?: boolean;
  /** PARAM of a Tegra241 CMDQV beside the SMMU of the host. */
  readonly param?: number;
  /** This allocation of the kernel fails, counted from the guest's boot. */
  readonly failNth?: number;
}

/** VER 1, 8 queues, 4 VINTFs (2 logical queues each), 4 SID pairs. */
export const PARAM = 0x2231;

/** VM `vm0` with `nic0`, whose StreamID is 16 in the guest and 8 outside, booted. */
export function bootGuestVm(options: GuestOptions = {}): Host {
  const { profile = 'sw-vcmdq', kernel = 'linux-7.3-software-queue', ats = false, param } = options;
  const endpoint = { smmu: 'smmu0', pri: false, ssidBits: 0 } as const;
  const smmu = smmuConfig('everything', {
    name: 'smmu0',
    base: 0x0905_0000,
    ...(param === undefined ? {} : { choices: { tegra241Param: param } }),
  });
  const host = bootHost(
    {},
    {
      smmus: [smmu],
      endpoints: [
        { ...endpoint, name: 'nic0', streamId: 8, ats, atc: ats ? 64 : 0 },
        { ...endpoint, name: 'nvme0', streamId: 9, ats: false, atc: 0 },
      ],
      kernel: { profile: kernel } as never,
      ...options.machine,
    },
  );
  host.ask({ type: 'vm.create', vm: 'vm0', config: vmConfig(profile, { cpus: 4, ...options.vm }) });
  host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16, ats } });
  const { platform, failNth } = options;
  if (failNth !== undefined) host.ask({ type: 'set', path: 'kernel.failNth', value: failNth });
  host.ask({ type: 'guest.boot', vm: 'vm0', ...(platform === undefined ? {} : { platform }) });
  return host;
}

/** Maps some pages for nic0, and gives the IOVA. */
export function mapped(host: Host, bytes = 0x1000, more: { readonly cpu?: number } = {}): bigint {
  const answer = host.ask({ type: 'guest.map', vm: 'vm0', endpoint: 'nic0', bytes, ...more } as never);
  return answer['iova'] as bigint;
}

/** Takes them away again. */
export function unmap(host: Host, iova: bigint, bytes = 0x1000, more: { readonly cpu?: number } = {}) {
  return host.ask({ type: 'guest.unmap', vm: 'vm0', endpoint: 'nic0', iova, bytes, ...more } as never);
}

/** What an access of nic0 comes to. */
export function dma(host: Host, iova: bigint): unknown {
  return host.ask({ type: 'dma', endpoint: 'nic0', iova, size: 8, access: 'read' })['result'];
}

export interface Cost {
  /** Exits to the VMM, and light ones, which KVM takes itself. */
  readonly exits: number;
  readonly light: number;
  readonly ioctls: number;
  /** Commands that the physical SMMU was given, CMD_SYNCs apart. */
  readonly commands: number;
  readonly syncs: number;
}

/** What the last stimulus cost. */
export function costOf(host: Host): Cost {
  const exits = host.all('exit.taken');
  const physical = host.all('command.fetched').filter(({ smmu }) => smmu === 'smmu0');
  const syncs = physical.filter(({ command }) => command === 'CMD_SYNC').length;
  return {
    exits: exits.filter(({ why }) => why !== 'doorbell').length,
    light: exits.filter(({ why }) => why === 'doorbell').length,
    ioctls: host.all('ioctl.begun').length,
    commands: physical.length - syncs,
    syncs,
  };
}
