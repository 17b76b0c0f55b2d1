/** Ioctls that succeed, each with what it needs: to be run again with something failing in them. */
import { add, named, nestedWorld, twoSmmus, type World } from './nesting.ts';

const BYPASS = '09'.padEnd(32, '0');
const NH_ALL = '10'.padEnd(32, '0');
const MMAP = `data_len=16 data_uptr=hex:${'00'.repeat(16)}`;
const ATTACH = 'VFIO_DEVICE_ATTACH_IOMMUFD_PT';
const MIB2 = 0x20_0000;

/** Two SMMUs with CMDQVs. */
export const machine = {
  ...twoSmmus,
  smmus: twoSmmus.smmus.map((smmu) => ({ ...smmu, choices: { tegra241Param: 0x1121 } })),
};

export interface Story {
  readonly name: string;
  readonly call: string;
  readonly arg: string;
  /** File that it is asked of; the iommufd when left out. */
  readonly fd?: string;
  given?(of: World): void;
  /** The kernel allocates nothing in it. */
  readonly allocatesNothing?: true;
}

const with2M = (of: World, kind: string, bytes = MIB2): string =>
  String(of.line({ op: 'mem.alloc', bytes, kind })['va']);

/** The IOAS has a domain that a device uses. */
function attached(of: World): void {
  of.attach('dev0', of.ioas);
}

/** In that domain an empty table stands where a block could: two areas were mapped and unmapped one by one. */
function withLeftTable(of: World): void {
  attached(of);
  const va = with2M(of, 'scattered');
  const half = MIB2 / 2;
  const places = [2 * MIB2, 2 * MIB2 + half];
  for (const iova of places)
    of.ioctl('IOMMU_IOAS_MAP', { ioas_id: of.ioas, flags: 7, user_va: va, length: half, iova });
  for (const iova of places) of.ioctl('IOMMU_IOAS_UNMAP', { ioas_id: of.ioas, iova, length: half });
  of.names['va'] = Number(with2M(of, 'contiguous', 2 * MIB2));
}

/** Memory of every kind, by names. */
function withMemory(of: World): void {
  attached(of);
  of.names['va'] = Number(with2M(of, 'scattered', 0x8000));
  of.names['memfd'] = Number(of.line({ op: 'mem.memfd', bytes: 0x8000 })['fd']);
}

/** A second IOAS, whose domain is of the other SMMU, and one without a domain. */
function withOthers(of: World): void {
  attached(of);
  add(of, 'other', 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id');
  of.attach('dev2', of.names['other']!);
  add(of, 'spare', 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id');
}

const faultQueue = (of: World): unknown => add(of, 'fault', 'IOMMU_FAULT_QUEUE_ALLOC', '', 'out_fault_id');
const cmdqv = (of: World): unknown =>
  add(of, 'vcmdqv', 'IOMMU_VIOMMU_ALLOC', `type=2 dev_id=dev0 hwpt_id=parent ${MMAP}`, 'out_viommu_id');

// biome-ignore format: a table
export const stories: readonly Story[] = [
  { name: 'an IOAS', call: 'IOMMU_IOAS_ALLOC', arg: '' },
  { name: 'a mapping without a domain', call: 'IOMMU_IOAS_MAP', arg: 'ioas_id=spare flags=6 user_va=va length=0x8000', given: (of) => { withMemory(of); add(of, 'spare', 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id'); } },
  { name: 'a mapping', call: 'IOMMU_IOAS_MAP', arg: 'ioas_id=ioas flags=6 user_va=va length=0x8000', given: withMemory },
  { name: 'a mapping over four tables', call: 'IOMMU_IOAS_MAP', arg: 'ioas_id=ioas flags=7 user_va=va length=0x8000 iova=0x7ffffffc000', given: withMemory },
  { name: 'a mapping where a table is left', call: 'IOMMU_IOAS_MAP', arg: 'ioas_id=ioas flags=7 user_va=va length=0x201000 iova=0x400000', given: withLeftTable },
  { name: 'a mapping of a file', call: 'IOMMU_IOAS_MAP_FILE', arg: 'ioas_id=ioas flags=7 fd=memfd start=0x1000 length=0x4000 iova=0x40000000', given: withMemory },
  { name: 'a copy', call: 'IOMMU_IOAS_COPY', arg: 'flags=7 src_ioas_id=ioas dst_ioas_id=other length=0x4000 src_iova=0x102000 dst_iova=0x40000000', given: withOthers },
  { name: 'a copy of two areas', call: 'IOMMU_IOAS_COPY', arg: 'flags=7 src_ioas_id=ioas dst_ioas_id=other length=0x12000 src_iova=0x100000 dst_iova=0x3fff0000',
    given: (of) => { withOthers(of); withMemory(of); of.ioctl('IOMMU_IOAS_MAP', { ioas_id: of.ioas, flags: 7, user_va: of.names['va'], length: 0x2000, iova: 0x11_0000 }); } },
  { name: 'a copy where a table is left', call: 'IOMMU_IOAS_COPY', arg: 'flags=7 src_ioas_id=spare dst_ioas_id=ioas length=0x202000 src_iova=0x400000 dst_iova=0x400000',
    given: (of) => {
      withLeftTable(of);
      add(of, 'spare', 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id');
      of.ioctl('IOMMU_IOAS_MAP', { ioas_id: of.names['spare'], flags: 7, user_va: of.names['va'], length: 0x201000, iova: 0x40_0000 });
      of.ioctl('IOMMU_IOAS_MAP', { ioas_id: of.names['spare'], flags: 7, user_va: of.va, length: 0x1000, iova: 0x60_1000 });
    } },
  { name: 'a mapping by the container', call: 'VFIO_IOMMU_MAP_DMA', arg: 'argsz=32 flags=3 vaddr=va iova=0x40000000 size=0x4000',
    given: (of) => { withMemory(of); of.ioctl('IOMMU_VFIO_IOAS', { op: 1, ioas_id: of.ioas }); } },
  { name: 'an unmapping', call: 'IOMMU_IOAS_UNMAP', arg: 'ioas_id=ioas iova=0x100000 length=0x10000', given: attached, allocatesNothing: true },
  { name: 'an unmapping of all', call: 'IOMMU_IOAS_UNMAP', arg: 'ioas_id=ioas iova=0 length=0xffffffffffffffff', given: withOthers, allocatesNothing: true },
  { name: 'an unmapping under a guest', call: 'IOMMU_IOAS_UNMAP', arg: 'ioas_id=ioas iova=0x100000 length=0x10000', given: (of) => of.attach('dev0', of.names['bypass']!), allocatesNothing: true },
  { name: 'a paging HWPT', call: 'IOMMU_HWPT_ALLOC', arg: 'dev_id=dev0 pt_id=ioas' },
  { name: 'a nesting parent', call: 'IOMMU_HWPT_ALLOC', arg: 'dev_id=dev0 pt_id=ioas flags=1' },
  { name: 'a HWPT with dirty tracking', call: 'IOMMU_HWPT_ALLOC', arg: 'dev_id=dev0 pt_id=ioas flags=2' },
  { name: 'dirty tracking', call: 'IOMMU_HWPT_SET_DIRTY_TRACKING', arg: 'hwpt_id=d flags=1', given: (of) => add(of, 'd', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=2', 'out_hwpt_id'), allocatesNothing: true },
  { name: 'a dirty bitmap', call: 'IOMMU_HWPT_GET_DIRTY_BITMAP', arg: 'hwpt_id=d iova=0x100000 length=0x10000 page_size=0x1000 data=hex:0000000000000000', given: (of) => add(of, 'd', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=2', 'out_hwpt_id'), allocatesNothing: true },
  { name: 'a nested HWPT', call: 'IOMMU_HWPT_ALLOC', arg: `dev_id=dev0 pt_id=viommu data_type=2 data_len=16 data_uptr=hex:${BYPASS}` },
  { name: 'a HWPT with faults', call: 'IOMMU_HWPT_ALLOC', arg: 'dev_id=dev0 pt_id=ioas flags=4 fault_id=fault', given: faultQueue },
  { name: 'a fault queue', call: 'IOMMU_FAULT_QUEUE_ALLOC', arg: '' },
  { name: 'a vIOMMU', call: 'IOMMU_VIOMMU_ALLOC', arg: 'type=1 dev_id=dev0 hwpt_id=parent' },
  { name: 'a vIOMMU with a CMDQV', call: 'IOMMU_VIOMMU_ALLOC', arg: `type=2 dev_id=dev0 hwpt_id=parent ${MMAP}` },
  { name: 'a vDEVICE', call: 'IOMMU_VDEVICE_ALLOC', arg: 'viommu_id=viommu dev_id=dev1 virt_id=7' },
  { name: 'a vEVENTQ', call: 'IOMMU_VEVENTQ_ALLOC', arg: 'viommu_id=viommu type=1 veventq_depth=4' },
  { name: 'a HW queue', call: 'IOMMU_HW_QUEUE_ALLOC', arg: 'type=1 viommu_id=vcmdqv length=0x1000 nesting_parent_iova=0x100000', given: cmdqv },
  { name: 'an invalidation', call: 'IOMMU_HWPT_INVALIDATE', arg: `hwpt_id=viommu data_type=1 entry_len=16 entry_num=1 data_uptr=hex:${NH_ALL}` },
  { name: 'an attach to an IOAS', call: ATTACH, arg: 'pt_id=ioas', fd: 'vfio:dev0' },
  { name: 'an attach beside another SMMU', call: ATTACH, arg: 'pt_id=ioas', fd: 'vfio:dev2', given: attached },
  { name: 'an attach to a HWPT', call: ATTACH, arg: 'pt_id=parent', fd: 'vfio:dev0' },
  { name: 'an attach to a nested HWPT', call: ATTACH, arg: 'pt_id=bypass', fd: 'vfio:dev0' },
  { name: 'a replace by an IOAS', call: ATTACH, arg: 'pt_id=ioas', fd: 'vfio:dev0', given: (of) => of.attach('dev0', of.names['bypass']!) },
  { name: 'a replace by another IOAS', call: ATTACH, arg: 'pt_id=other', fd: 'vfio:dev0', given: withOthers },
  { name: 'an attach of a PASID', call: ATTACH, arg: 'flags=1 pasid=3 pt_id=p', fd: 'vfio:dev0', given: (of) => add(of, 'p', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=8', 'out_hwpt_id') },
  { name: 'a detach', call: 'VFIO_DEVICE_DETACH_IOMMUFD_PT', arg: '', fd: 'vfio:dev0', given: attached, allocatesNothing: true },
  { name: 'a destroy of a HWPT', call: 'IOMMU_DESTROY', arg: 'id=p', given: (of) => add(of, 'p', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas', 'out_hwpt_id'), allocatesNothing: true },
  { name: 'a bind', call: 'VFIO_DEVICE_BIND_IOMMUFD', arg: 'iommufd=fd', fd: 'vfio:dev1', given: (of) => { of.line({ op: 'close', fd: 'vfio:dev1' }); of.line({ op: 'open', fd: 'vfio:dev1' }); } },
];

/** A world in which the story's call is about to be made. */
export function prepared({ given }: Story): World {
  const made = nestedWorld({}, machine);
  given?.(made);
  return made;
}

/** Makes the call; its errno, `ok` without one. */
export function ask(of: World, { call, arg, fd = 'iommu0' }: Story): string {
  return String(of.line({ op: 'ioctl', fd, name: call, arg: named(arg, of.names) })['errno'] ?? 'ok');
}

/** Closes all files and ends the process. */
export function endAll(of: World): void {
  const { names, files } = of.state.kernel!;
  for (const name of Object.keys(names)) of.line({ op: 'close', fd: name });
  for (const fd of Object.keys(files)) if (of.state.kernel!.files[Number(fd)]) of.line({ op: 'close', fd });
  of.line({ op: 'process.exit' });
}
