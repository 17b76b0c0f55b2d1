/** Bad stories of a host's kernel: its own driver forgets the TLB, or a VMM forgets what its guest asked for. */
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

const guest = { vm: 'vm0', endpoint: 'nic0' } as const;
const guestDma: ScenarioLine = { op: 'guest.dma', ...guest, iova: '$iova', bytes: 8, access: 'read' };

/** A guest unmaps, and its VMM does not tell the kernel. */
export const guestUnmap: readonly ScenarioLine[] = [
  { op: 'machine', endpoints: [{ name: 'nic0', streamId: 8 }], kernel: {} },
  { op: 'vm.create', vm: 'vm0', profile: 'qemu-accel' },
  { op: 'vm.plug', ...guest, streamId: 16 },
  { op: 'guest.boot', vm: 'vm0' },
  { op: 'guest.map', ...guest, bytes: 4096, save: { iova: 'iova' } },
  guestDma,
  { op: 'set', path: 'vm0.quirks.swallow-invalidations', value: true },
  { op: 'guest.unmap', ...guest, iova: '$iova', bytes: 4096 },
  guestDma,
];
