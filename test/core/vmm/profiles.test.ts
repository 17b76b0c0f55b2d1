/**
 * VMM profiles against what their sources do: the order of objects when a device comes, the ID registers that a guest
 * reads, what the host is compared with, and each policy in which VMMs differ, seen in what follows. The expected lists
 * are written down from the sources that a profile names, not from the profile.
 */
import { describe, expect, it } from 'vitest';
import { smmuConfig } from '../../../core/smmu/profiles.ts';
import type { VmConfig } from '../../../core/vm/state.ts';
import {
  isVmmProfile,
  policies,
  policiesOf,
  type VmmProfileName,
  vmmProfiles,
} from '../../../core/vmm/profiles.ts';
import { bootHost, type Host, vmConfig } from '../../support/vm.ts';

const SMMU = 'vm0.smmu';

function plugged(
  profile: VmmProfileName,
  more: Partial<VmConfig> = {},
  host = bootHost({ nic0: 8, nic1: 9 }),
): Host {
  host.ask({ type: 'vm.create', vm: 'vm0', config: vmConfig(profile, more) });
  host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
  return host;
}

/** A host whose SMMU has other ID registers. */
function hostWith(idr: Readonly<Record<string, number>>): Host {
  const { idr: all } = smmuConfig('everything', { name: 'smmu0', base: 0 });
  return bootHost(
    { nic0: 8, nic1: 9 },
    { smmus: [smmuConfig('everything', { name: 'smmu0', base: 0x0905_0000, idr: { ...all, ...idr } })] },
  );
}

const idrOf = ({ state }: Host): Readonly<Record<string, number>> => state.smmus[SMMU]?.config.idr ?? {};
const attached = ({ state }: Host, endpoint = 'nic0') => state.vms['vm0']?.devices[endpoint]?.attached;

describe('the order of objects with the first device', () => {
  it.each([
    [
      'qemu-accel',
      [
        'VFIO_DEVICE_BIND_IOMMUFD',
        'IOMMU_IOAS_ALLOC',
        'IOMMU_HWPT_ALLOC',
        'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
        'IOMMU_IOAS_MAP',
        'IOMMU_GET_HW_INFO',
        'IOMMU_VIOMMU_ALLOC',
        'IOMMU_HWPT_ALLOC',
        'IOMMU_HWPT_ALLOC',
        'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
      ],
    ],
    [
      'openvmm',
      [
        'VFIO_DEVICE_BIND_IOMMUFD',
        'IOMMU_IOAS_ALLOC',
        'IOMMU_HWPT_ALLOC',
        'IOMMU_IOAS_MAP',
        'IOMMU_GET_HW_INFO',
        'IOMMU_VIOMMU_ALLOC',
        'IOMMU_HWPT_ALLOC',
        'IOMMU_HWPT_ALLOC',
        'IOMMU_VEVENTQ_ALLOC',
        'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
        'IOMMU_VDEVICE_ALLOC',
        'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
      ],
    ],
    [
      'cloud-hypervisor',
      [
        'VFIO_DEVICE_BIND_IOMMUFD',
        'IOMMU_IOAS_ALLOC',
        'IOMMU_HWPT_ALLOC',
        'IOMMU_IOAS_MAP',
        'IOMMU_GET_HW_INFO',
        'IOMMU_VIOMMU_ALLOC',
        'IOMMU_HWPT_ALLOC',
        'IOMMU_HWPT_ALLOC',
        'IOMMU_VEVENTQ_ALLOC',
        'IOMMU_VDEVICE_ALLOC',
        'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
      ],
    ],
  ] as const)('%s', (profile, calls) => {
    const host = plugged(profile);
    expect(host.ioctls()).toEqual(calls);
    expect(attached(host)).toBe('bypass');
    expect(host.all('ioctl.completed').filter(({ errno }) => errno !== undefined)).toEqual([]);
  });

  it('makes the shared HWPTs in the order of the VMM', () => {
    const order = (profile: VmmProfileName): readonly string[] =>
      plugged(profile)
        .all('vsmmu.changed')
        .flatMap(({ set }) => Object.keys(set))
        .filter((key) => key.endsWith('Hwpt'));
    expect(order('qemu-accel')).toEqual(['abortHwpt', 'bypassHwpt']);
    expect(order('openvmm')).toEqual(['abortHwpt', 'bypassHwpt']);
    expect(order('cloud-hypervisor')).toEqual(['bypassHwpt', 'abortHwpt']);
  });

  it('leaves a second device where the VMM leaves it', () => {
    const second = (profile: VmmProfileName): string | undefined => {
      const host = plugged(profile);
      host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic1', device: { streamId: 17 } });
      return attached(host, 'nic1');
    };
    expect(second('qemu-accel')).toBe('s2');
    expect(second('openvmm')).toBe('bypass');
    expect(second('cloud-hypervisor')).toBe('bypass');
  });

  it.each(['qemu-accel', 'openvmm', 'cloud-hypervisor', 'cloud-hypervisor-staged'] as const)(
    '%s takes it all apart again',
    (profile) => {
      const host = plugged(profile);
      host.ask({ type: 'guest.boot', vm: 'vm0' });
      host.ask({ type: 'vm.unplug', vm: 'vm0', endpoint: 'nic0' });
      expect(host.all('ioctl.completed').filter(({ errno }) => errno !== undefined)).toEqual([]);
      host.ask({ type: 'vm.end', vm: 'vm0' });
      expect(host.state.tasks).toEqual([]);
    },
  );
});

describe('ID registers', () => {
  it("are the VMM's own, cut down or raised to the host's", () => {
    expect(idrOf(plugged('qemu-accel'))).toMatchObject({
      IDR0: 0x0d44101a,
      IDR1: 0x02730010,
      IDR3: 0x1404,
      IDR5: 0x74,
    });
    // OAS is the host's (48 bits); 256 commands and events, linear table, SMMUv3.3.
    expect(idrOf(plugged('openvmm'))).toMatchObject({ IDR0: 0x0540101a, IDR1: 0x01080010, IDR3: 0, AIDR: 3 });
    const host = hostWith({ IDR1: 0x0e73_0410, IDR5: 0x14 });
    expect(idrOf(plugged('openvmm', {}, host))['IDR5']).toBe(0x14);
  });

  it('of Cloud Hypervisor lose what the host lacks', () => {
    const { idr } = smmuConfig('everything', { name: 'smmu0', base: 0 });
    const without = (idr['IDR0'] ?? 0) & ~((1 << 19) | (1 << 18));
    const shown = idrOf(plugged('cloud-hypervisor', {}, hostWith({ IDR0: without >>> 0, IDR5: 0x14 })));
    expect(shown['IDR0']).toBe(0x094c_101a & ~((1 << 19) | (1 << 18)));
    expect(shown['IDR5']).toBe(0x14); // 44 bits, 4 KiB only
    expect(((shown['IDR1'] ?? 0) >> 6) & 0x1f).toBe(((idr['IDR1'] ?? 0) >> 6) & 0x1f);
  });

  it.each([
    [{ ril: false }, 'IDR3', 0x1004],
    [{ ats: true }, 'IDR0', 0x0d44_141a],
    [{ ssidsize: 5 }, 'IDR1', 0x0273_0150],
    [{ oas: 48 }, 'IDR5', 0x75],
  ] as const)('take the property %j', (properties, register, value) => {
    expect(idrOf(plugged('qemu-accel', { properties }))[register]).toBe(value);
  });

  it('take what is auto from the host, with the first device and before the guest runs', () => {
    const properties = { ril: 'auto', ats: 'auto', ssidsize: 'auto', oas: 'auto' } as const;
    const { idr } = smmuConfig('everything', { name: 'smmu0', base: 0 });
    const host = plugged('qemu-accel', { properties });
    const shown = idrOf(host);
    expect((shown['IDR1'] ?? 0) & 0x7c0).toBe((idr['IDR1'] ?? 0) & 0x7c0);
    expect((shown['IDR5'] ?? 0) & 7).toBe((idr['IDR5'] ?? 0) & 7);
    expect((shown['IDR0'] ?? 0) & 0x400).toBe((idr['IDR0'] ?? 0) & 0x400);
    expect(host.all('vm.answered').map(({ refused }) => refused)).toEqual([undefined]);
  });

  it.each([
    ['qemu-accel', { IDR5: 0x34 }, 'IDR5.GRAN64K: the host has 0, equal 1 is needed'],
    ['qemu-accel', { IDR3: 0 }, 'IDR3.RIL: the host has 0, at least 1 is needed'],
    ['qemu-accel', { IDR5: 0x73 }, 'IDR5.OAS: the host has 3, at least 4 is needed'],
    ['openvmm', { IDR3: 0 }, undefined],
    ['cloud-hypervisor', { IDR5: 0x34, IDR3: 0 }, undefined],
  ] as const)('%s on a host with %j', (profile, idr, refused) => {
    const host = plugged(profile, {}, hostWith(idr));
    expect(host.all('vm.answered').map((each) => each.refused)).toEqual([refused]);
  });
});

describe('the tables', () => {
  it('have a value of its row for every policy of every profile, and a source', () => {
    for (const [name, { source, about }] of Object.entries(vmmProfiles)) {
      const of = policiesOf({ profile: name as VmmProfileName, policies: {} });
      for (const [policy, { values }] of Object.entries(policies))
        expect(values as readonly unknown[], `${name}.${policy}`).toContain(of[policy as keyof typeof of]);
      expect(`${source}${about}`.length).toBeGreaterThan(20);
    }
    expect(isVmmProfile('toString')).toBe(false);
  });
});
