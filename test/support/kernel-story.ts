/** A process maps memory for a device, unmaps it with a driver that forgets the TLB, and gives the memory back. */
import type { ScenarioLine } from '../../adapters/scenario/scenario.ts';

const IOVA = '0x10000';
const dma: ScenarioLine = { op: 'dma', endpoint: 'nic0', iova: IOVA, bytes: 8, access: 'read' };

/** Lines of the story; the quirk is what makes it bad. */
export const unmapWithQuirk: readonly ScenarioLine[] = [
  {
    op: 'machine',
    ram: [{ base: '0x0', size: '0x80000000' }],
    endpoints: [{ name: 'nic0', streamId: 8 }],
    kernel: {},
  },
  { op: 'open', fd: 'iommu0', save: { iommu: 'fd' } },
  { op: 'ioctl', fd: 'iommu0', name: 'IOMMU_IOAS_ALLOC', save: { ioas: 'out.out_ioas_id' } },
  { op: 'mem.alloc', bytes: '0x4000', save: { ram: 'va' } },
  {
    op: 'ioctl',
    fd: 'iommu0',
    name: 'IOMMU_IOAS_MAP',
    arg: { flags: 7, ioas_id: '$ioas', user_va: '$ram', length: '0x4000', iova: IOVA },
  },
  { op: 'open', fd: 'vfio:nic0' },
  { op: 'ioctl', fd: 'vfio:nic0', name: 'VFIO_DEVICE_BIND_IOMMUFD', arg: { iommufd: '$iommu' } },
  { op: 'ioctl', fd: 'vfio:nic0', name: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', arg: { pt_id: '$ioas' } },
  dma,
  { op: 'set', path: 'smmu0.quirks.skip-tlbi', value: true },
  {
    op: 'ioctl',
    fd: 'iommu0',
    name: 'IOMMU_IOAS_UNMAP',
    arg: { ioas_id: '$ioas', iova: IOVA, length: '0x4000' },
  },
  { op: 'mem.free', va: '$ram' },
  dma,
];
