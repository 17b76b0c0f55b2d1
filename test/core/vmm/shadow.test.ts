/**
 * The design of August 2017: what a mapping and its end cost, against the formulas n + 1 writes of PROD and 2n
 * calls for n pages (n + 1 and n to unmap), or one command and 1 + n calls with the command that the RFC invented;
 * and that the device sees what the guest has mapped, no more and no less.
 */
import { describe, expect, it } from 'vitest';
import { bootHost, type Host, vmConfig } from '../../support/vm.ts';

const GPA = 0x4100_0000;

function guest(mode: 'page' | 'mask', devices: Readonly<Record<string, number>> = { nic0: 8 }): Host {
  const host = bootHost(devices);
  host.ask({ type: 'vm.create', vm: 'vm0', config: vmConfig('tlbi-on-map') });
  for (const [endpoint, streamId] of Object.entries(devices))
    host.ask({ type: 'vm.plug', vm: 'vm0', endpoint, device: { streamId: streamId * 2 } });
  host.ask({ type: 'guest.boot', vm: 'vm0', platform: { tlbiOnMap: mode } });
  return host;
}

const exitsTo = (host: Host, what: string): number =>
  host.all('exit.taken').filter((exit) => exit.what === what).length;

function map(host: Host, pages: number): bigint {
  const answer = host.ask({
    type: 'guest.map',
    vm: 'vm0',
    endpoint: 'nic0',
    pa: GPA,
    bytes: pages * 4096,
  });
  return answer['iova'] as bigint;
}

describe('tlbi-on-map', () => {
  it.each([1, 2, 5, 17])('costs n + 1 writes of PROD and 2n calls to map %i pages, by page', (pages) => {
    const host = guest('page');
    const iova = map(host, pages);
    expect(exitsTo(host, 'CMDQ_PROD')).toBe(pages + 1);
    expect(host.ioctls().filter((name) => name === 'IOMMU_IOAS_MAP')).toHaveLength(pages);
    expect(host.ioctls()).toHaveLength(2 * pages);
    host.ask({ type: 'guest.unmap', vm: 'vm0', endpoint: 'nic0', iova, bytes: pages * 4096 });
    expect(exitsTo(host, 'CMDQ_PROD')).toBe(pages + 1);
    expect(host.ioctls()).toEqual(Array.from({ length: pages }, () => 'IOMMU_IOAS_UNMAP'));
  });

  it.each([1, 2, 5, 17])('costs two writes of PROD and 1 + n calls to map %i pages, by mask', (pages) => {
    const host = guest('mask');
    const iova = map(host, pages);
    expect(exitsTo(host, 'CMDQ_PROD')).toBe(2);
    expect(host.ioctls()).toEqual([
      'IOMMU_IOAS_UNMAP',
      ...Array.from({ length: pages }, () => 'IOMMU_IOAS_MAP'),
    ]);
    host.ask({ type: 'guest.unmap', vm: 'vm0', endpoint: 'nic0', iova, bytes: pages * 4096 });
    expect(host.ioctls()).toEqual(['IOMMU_IOAS_UNMAP']);
  });

  it('pays for every device behind the SMMU, for it does not look at ASIDs', () => {
    const host = guest('page', { nic0: 8, nvme0: 9 });
    map(host, 4);
    expect(host.ioctls().filter((name) => name === 'IOMMU_IOAS_UNMAP')).toHaveLength(8);
    // Only one of them has the mapping in its tables.
    expect(host.ioctls().filter((name) => name === 'IOMMU_IOAS_MAP')).toHaveLength(4);
  });

  it('leaves the shadow empty where the driver does not know of it, and DMA faults', () => {
    const host = bootHost({ nic0: 8 });
    const plain = vmConfig('tlbi-on-map');
    host.ask({ type: 'vm.create', vm: 'vm0', config: plain });
    host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
    host.ask({ type: 'guest.boot', vm: 'vm0', platform: { tlbiOnMap: undefined } as never });
    const iova = map(host, 1);
    expect(host.ioctls()).toEqual([]);
    const read = host.ask({ type: 'dma', endpoint: 'nic0', iova, size: 8, access: 'read' });
    expect(read).toMatchObject({ result: 'abort', event: 'F_TRANSLATION' });
  });
});
