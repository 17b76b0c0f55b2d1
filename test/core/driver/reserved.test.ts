/**
 * Firmware's reserved region for MSIs in a guest: streams bypass before their devices have a domain, each default
 * domain maps the region to itself, and the allocator keeps away. Sources: linux, arm_smmu_rmr_install_bypass_ste,
 * iommu_create_device_direct_mappings, iova_reserve_iommu_regions.
 */
import { describe, expect, it } from 'vitest';
import { physicalOf } from '../../../core/driver/dirty.ts';
import { loadDoublewords } from '../../../core/driver/port.ts';
import { stePa } from '../../../core/driver/stream-table.ts';
import { bootHost, type Host, vmConfig } from '../../support/vm.ts';

const WINDOW = 0x800_0000;
const PAGES = 256;

function booted(rmr: boolean, more: object = {}): Host {
  const host = bootHost({ nic0: 8 }, { doorbell: 0x809_0040 });
  host.ask({ type: 'vm.create', vm: 'vm0', config: vmConfig('qemu-accel') });
  host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
  host.ask({ type: 'guest.boot', vm: 'vm0', platform: { rmr, ...more } });
  return host;
}

const domainOf = ({ state }: Host): number => Number(state.drivers['vm0.smmu']?.masters['nic0']?.attached[0]);

/** Where the default domain leads for the first and the last page of the window. */
function ends(host: Host): readonly (number | undefined)[] {
  const last = WINDOW + (PAGES - 1) * 0x1000;
  return [WINDOW, last].map((iova) => physicalOf(host.state, domainOf(host), iova));
}

describe('a reserved region', () => {
  it('is mapped to itself in the default domain, and only where it counts', () => {
    expect(ends(booted(true))).toEqual([WINDOW, WINDOW + 0xff000]);
    expect(ends(booted(false))).toEqual([undefined, undefined]);
  });

  it('is mapped in a domain that comes later, too', () => {
    const host = booted(true);
    const first = domainOf(host);
    for (const to of ['identity', 'dma'] as const)
      host.ask({ type: 'guest.attach', vm: 'vm0', endpoint: 'nic0', to });
    expect(domainOf(host)).not.toBe(first);
    expect(ends(host)).toEqual([WINDOW, WINDOW + 0xff000]);
  });

  it('has its streams bypass, until their devices have a domain', () => {
    const configOf = (rmr: boolean): bigint | undefined => {
      const host = booted(rmr, { lateProbe: true });
      const driver = host.state.drivers['vm0.smmu'];
      if (driver?.strtab?.leaves[0] === undefined) return undefined;
      const [first = 0n] = loadDoublewords(host.state, driver, stePa(driver, 16), 1);
      return (first >> 1n) & 7n;
    };
    // IHI 0070 5.2, STE.Config: 0b100 bypasses. Without a region nobody has made the leaf.
    expect([configOf(true), configOf(false)]).toEqual([4n, undefined]);
  });

  it("is not the allocator's: nothing else is mapped there", () => {
    const host = booted(true);
    host.ask({ type: 'guest.map', vm: 'vm0', endpoint: 'nic0', bytes: 4096 });
    const at = { type: 'guest.map', vm: 'vm0', endpoint: 'nic0', bytes: 4096 } as const;
    expect(host.ask({ ...at, iova: BigInt(WINDOW) + 0x5000n })).toMatchObject({ errno: 'EEXIST' });
    expect(host.ask({ ...at, iova: BigInt(WINDOW + PAGES * 0x1000) })).not.toHaveProperty('errno');
  });
});
