/**
 * A host whose process has an iommufd, an IOAS with memory, and a bound device, and names for what comes on top
 * of that: a nesting parent, a vIOMMU, vDEVICEs, nested HWPTs. Objects are named by their ids.
 */
import { fields, type Host, host, memory, type Outcome } from './kernel.ts';

export interface Vm extends Host {
  readonly ioas: number;
  /** Ids of the devices, by endpoint. */
  readonly device: Readonly<Record<string, number>>;
  /** Address of the memory behind the IOAS's first 64 KiB. */
  readonly va: string;
  /** What an ioctl put into a field of its struct. */
  made(name: string, arg: string | object, field: string): number;
  vfio(endpoint: string, name: string, arg: string): Outcome;
  attach(endpoint: string, pt_id: number): Outcome;
}

export const endpoints = [
  { name: 'dev0', streamId: 0x108, ssidBits: 5 },
  { name: 'dev1', streamId: 0x109, ssidBits: 0 },
];

/** @param kernel of the machine line; @param machine its other fields */
export function vm(kernel: object = {}, machine: object = {}): Vm {
  const made = host(kernel, { endpoints, ...machine });
  made.line({ op: 'open', fd: 'iommu0' });
  const id = (name: string, arg: string | object, field: string): number => {
    const answer = made.ioctl(name, arg as string);
    const out = answer['out'] as Readonly<Record<string, unknown>>;
    if (answer['errno'] !== undefined) throw new Error(`${name}: ${String(answer['errno'])}`);
    return Number(out[field]);
  };
  const ioas = id('IOMMU_IOAS_ALLOC', {}, 'out_ioas_id');
  const va = memory(made, 0x10000);
  made.ioctl('IOMMU_IOAS_MAP', { ioas_id: ioas, flags: 7, user_va: va, length: 0x10000, iova: 0x10_0000 });
  const vfio = (endpoint: string, name: string, arg: string): Outcome =>
    made.line({ op: 'ioctl', fd: `vfio:${endpoint}`, name, arg: fields(arg) });
  const device: Record<string, number> = {};
  for (const { name } of (machine as { endpoints?: typeof endpoints }).endpoints ?? endpoints) {
    made.line({ op: 'open', fd: `vfio:${name}` });
    const answer = vfio(name, 'VFIO_DEVICE_BIND_IOMMUFD', `iommufd=${fdOf(made)}`);
    if (answer['errno'] !== undefined) throw new Error(`bind ${name}: ${String(answer['errno'])}`);
    device[name] = Number((answer['out'] as Readonly<Record<string, unknown>>)['out_devid']);
  }
  return Object.assign(made, {
    ioas,
    device,
    va,
    made: id,
    vfio,
    attach: (endpoint: string, pt_id: number) =>
      vfio(endpoint, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', `pt_id=${pt_id}`),
  });
}

function fdOf({ state }: Host): number {
  return state.kernel?.names['iommu0'] ?? -1;
}

/** An address without memory. */
export const NOWHERE = '0xdead000';

/** Two SMMUs: `dev0` and `dev1` behind the first, `dev2` behind the second, `dev3` without a second stage. */
export const twoSmmus = {
  smmus: [
    { name: 'smmu0', base: 0x1000_0000 },
    { name: 'smmu1', base: 0x1100_0000 },
  ],
  endpoints: [...endpoints, { name: 'dev2', smmu: 'smmu1', streamId: 0x208, ssidBits: 0 }],
};

export interface World extends Vm {
  /** Ids and other numbers by the name that cells use. */
  readonly names: Record<string, number>;
  /** Runs an ioctl whose fields are text with such names; `X=hex:00ff` is a pointer to those bytes. */
  ask(name: string, cell: string): Outcome;
  /** Its errno, `ok` without one. */
  says(name: string, cell: string): string;
}

const BYPASS = '09'.padEnd(32, '0');
/** A stage 1 vSTE: V=1, Config=S1, one CD at an address of the guest. */
export const STAGE1 = '0b0020000000000000'.slice(0, 16).padEnd(32, '0');

/** The VM with one of each: objects by the names `ioas parent paging auto viommu vdev bypass fault`, and `gone`. */
export function world(kernel: object = {}, machine: object = twoSmmus): World {
  const made = vm(kernel, machine);
  const names: Record<string, number> = { ioas: made.ioas, gone: 999, fd: fdOf(made), ...made.device };
  const self = Object.assign(made, {
    names,
    ask: (name: string, cell: string): Outcome => made.ioctl(name, named(cell, names)),
    says: (name: string, cell: string): string => String(self.ask(name, cell)['errno'] ?? 'ok'),
  });
  return self;
}

/** Adds an object that an ioctl makes, under a name. */
export function add(to: World, name: string, ioctl: string, cell: string, field: string): number {
  const id = to.made(ioctl, named(cell, to.names), field);
  to.names[name] = id;
  return id;
}

/** A world with a nesting parent, a vIOMMU on it, a vDEVICE of dev0 and a bypass HWPT. */
export function nestedWorld(kernel: object = {}, machine: object = twoSmmus): World {
  const made = world(kernel, machine);
  add(made, 'parent', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=1', 'out_hwpt_id');
  add(made, 'viommu', 'IOMMU_VIOMMU_ALLOC', 'type=1 dev_id=dev0 hwpt_id=parent', 'out_viommu_id');
  add(made, 'vdev', 'IOMMU_VDEVICE_ALLOC', 'viommu_id=viommu dev_id=dev0 virt_id=0x42', 'out_vdevice_id');
  const bypass = `dev_id=dev0 pt_id=viommu data_type=2 data_len=16 data_uptr=hex:${BYPASS}`;
  add(made, 'bypass', 'IOMMU_HWPT_ALLOC', bypass, 'out_hwpt_id');
  return made;
}

/** Fields of a cell with names and pointers in place. */
export function named(cell: string, names: Readonly<Record<string, number>>): Record<string, unknown> {
  const given = Object.entries(fields(cell));
  return Object.fromEntries(
    given.map(([field, value]) => {
      const text = String(value);
      if (text === 'nowhere') return [field, NOWHERE];
      if (text.startsWith('hex:')) return [field, { bytes: text.slice(4) }];
      return [field, names[text] ?? value];
    }),
  );
}
