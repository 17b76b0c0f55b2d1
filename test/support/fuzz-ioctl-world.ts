/** The hosts that random ioctls are put to. */
import { kernelProfiles, type ProfileName } from '../../core/kernel/profiles.ts';
import { type Request, requestsOf } from '../../core/kernel/requests.ts';
import type { Luck } from './fuzz.ts';
import { type Host, host, memory } from './kernel.ts';

export const PAGE = 0x1000n;
export const BUFFER_BYTES = 0x1_0000;

/** What a host was made of, and what is known of its processes' memory. */
export interface World {
  readonly of: Host;
  readonly profile: ProfileName;
  readonly requests: readonly Request[];
  readonly files: readonly string[];
  /** Where structs are put: the last page before a hole. */
  readonly page: bigint;
  /** Where pointers lead: buffers of the process. */
  readonly buffers: readonly bigint[];
}

export const machine = {
  smmus: [
    { name: 'smmu0', base: 0x1000_0000, choices: { tegra241Param: 0x1221 } },
    { name: 'smmu1', base: 0x1100_0000 },
  ],
  endpoints: [
    { name: 'dev0', streamId: 0x108, ssidBits: 5, ats: true },
    { name: 'dev1', streamId: 0x109, ssidBits: 0 },
    { name: 'dev2', smmu: 'smmu1', streamId: 0x208, ssidBits: 11 },
  ],
};
export const devices = machine.endpoints.map(({ name }) => `vfio:${name}`);
const profiles = Object.keys(kernelProfiles) as ProfileName[];

/** A host with all files open, its devices bound, and mostly a vIOMMU. */
export function fresh(luck: Luck): World {
  const profile = luck.below(2) === 0 ? 'linux-7.3' : (profiles[luck.below(profiles.length)] ?? 'linux-7.3');
  const of = host({ profile }, { ...machine, schedule: luck.below(4) === 0 ? 'seeded' : 'eager' });
  for (const fd of ['iommu0', 'iommu1', 'container0', ...devices]) of.line({ op: 'open', fd });
  const page = BigInt(memory(of, Number(PAGE)));
  const kinds = ['anon-shared', 'scattered', 'contiguous'];
  const buffers = kinds.map((kind) => BigInt(memory(of, BUFFER_BYTES, { kind })));
  of.line({ op: 'mem.memfd', bytes: BUFFER_BYTES });
  const files = Object.keys(of.state.kernel?.files ?? {});
  for (const fd of devices)
    of.line({
      op: 'ioctl',
      fd,
      name: 'VFIO_DEVICE_BIND_IOMMUFD',
      arg: { iommufd: of.state.kernel?.names['iommu0'] ?? -1 },
    });
  const va = String(buffers[0]);
  if (luck.below(8) > 0) {
    // Ids follow from the order: devices 1 to 3, IOAS 4, parent 5, vIOMMU 6.
    of.ioctl('IOMMU_IOAS_ALLOC', {});
    of.ioctl('IOMMU_IOAS_MAP', { ioas_id: 4, flags: 7, user_va: va, length: 0x8000, iova: 0x10_0000 });
    of.ioctl('IOMMU_HWPT_ALLOC', { dev_id: 1, pt_id: 4, flags: 1 });
    of.ioctl('IOMMU_VIOMMU_ALLOC', { type: 1 + luck.below(2), dev_id: 1, hwpt_id: 5 });
  }
  return { of, profile, requests: [...requestsOf(profile).values()], files, page, buffers };
}

/** One of them. */
export function pick<T>(luck: Luck, from: readonly T[]): T {
  return from[luck.below(from.length)] as T;
}
