/**
 * Wants to show: whatever calls are made in whatever order, references are counted right, nothing refers to what is
 * gone, the driver has attached what the objects say, VMIDs and ASIDs are unique, and when all files are closed
 * nothing is left. How: random calls with random ids; counts are made anew from who holds what.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contextIn } from '../../core/kernel/iommufd/object-handlers.ts';
import type { AnyObject } from '../../core/kernel/iommufd/state.ts';
import { wrongIn } from '../support/iommufd-rules.ts';
import type { Outcome } from '../support/kernel.ts';
import { named, nestedWorld, twoSmmus, type World } from '../support/nesting.ts';

const cmdqv = {
  ...twoSmmus,
  smmus: twoSmmus.smmus.map((smmu) => ({ ...smmu, choices: { tegra241Param: 0x1221 } })),
};
const VSTES = ['00', '01', '09', '0b001000', '0d'].map((start) => start.padEnd(32, '0'));
const MMAP = `data_len=16 data_uptr=hex:${'00'.repeat(16)}`;

type Step = (of: World) => unknown;

interface Drawn {
  readonly a: number;
  readonly b: number;
  readonly dev: string;
  readonly vste: string;
  readonly n: number;
}

const drawn = fc.record({
  a: fc.nat(1000),
  b: fc.nat(1000),
  dev: fc.constantFrom('dev0', 'dev1', 'dev2'),
  vste: fc.constantFrom(...VSTES),
  n: fc.nat(3),
});

/** An object of one of these kinds, and now and then any id. */
function pick(of: World, draw: number, ...kinds: readonly AnyObject['kind'][]): number {
  const ids = [...contextIn(of.state, 1).objects.range()]
    .filter(([, { kind }]) => kinds.includes(kind))
    .map(([each]) => each);
  return ids.length === 0 || draw % 8 === 0 ? (draw % 14) + 1 : ids[draw % ids.length]!;
}

const vfio = (of: World, endpoint: string, name: string, cell: string): Outcome =>
  of.line({ op: 'ioctl', fd: `vfio:${endpoint}`, name, arg: named(cell, of.names) });
const ATTACH = 'VFIO_DEVICE_ATTACH_IOMMUFD_PT';
const anything = [
  ...(['ioas', 'hwpt_paging', 'hwpt_nested', 'fault', 'viommu', 'vdevice', 'veventq', 'hw_queue'] as const),
  ...(['device', 'access'] as const),
];

const steps: readonly ((drawn: Drawn) => Step)[] = [
  () => (of) => of.ask('IOMMU_IOAS_ALLOC', ''),
  ({ a, dev, n }) =>
    (of) =>
      of.ask('IOMMU_HWPT_ALLOC', `dev_id=${dev} pt_id=${pick(of, a, 'ioas')} flags=${[0, 1, 2, 8][n]}`),
  ({ dev }) =>
    (of) =>
      of.ask('IOMMU_HWPT_ALLOC', `dev_id=${dev} pt_id=ioas flags=1`),
  ({ a, b, dev }) =>
    (of) =>
      of.ask(
        'IOMMU_HWPT_ALLOC',
        `dev_id=${dev} pt_id=${pick(of, a, 'ioas')} flags=4 fault_id=${pick(of, b, 'fault')}`,
      ),
  ...Array.from({ length: 3 }, () => ({ a, b, dev, vste, n }: Drawn) => (of: World) => {
    const fault = n === 0 ? `flags=4 fault_id=${pick(of, b, 'fault')}` : '';
    return of.ask(
      'IOMMU_HWPT_ALLOC',
      `dev_id=${dev} pt_id=${pick(of, a, 'viommu')} ${fault} data_type=2 data_len=16 data_uptr=hex:${vste}`,
    );
  }),
  ...Array.from(
    { length: 2 },
    () =>
      ({ a, dev, n }: Drawn) =>
      (of: World) =>
        of.ask(
          'IOMMU_VIOMMU_ALLOC',
          `type=${n === 0 ? 1 : 2} dev_id=${dev} hwpt_id=${pick(of, a, 'hwpt_paging')} ${n === 0 ? '' : MMAP}`,
        ),
  ),
  ...Array.from(
    { length: 2 },
    () =>
      ({ a, dev, n }: Drawn) =>
      (of: World) =>
        of.ask('IOMMU_VDEVICE_ALLOC', `viommu_id=${pick(of, a, 'viommu')} dev_id=${dev} virt_id=${n}`),
  ),
  ({ a, n }) =>
    (of) =>
      of.ask('IOMMU_VEVENTQ_ALLOC', `viommu_id=${pick(of, a, 'viommu')} type=${n} veventq_depth=2`),
  ...Array.from(
    { length: 2 },
    () =>
      ({ a, b }: Drawn) =>
      (of: World) =>
        of.ask(
          'IOMMU_HW_QUEUE_ALLOC',
          `viommu_id=${pick(of, a, 'viommu')} type=1 index=${b % 3} length=0x1000 nesting_parent_iova=0x100000`,
        ),
  ),
  () => (of) => of.ask('IOMMU_FAULT_QUEUE_ALLOC', ''),
  ...Array.from(
    { length: 3 },
    () =>
      ({ a }: Drawn) =>
      (of: World) =>
        of.ask('IOMMU_DESTROY', `id=${pick(of, a, ...anything)}`),
  ),
  ...Array.from(
    { length: 4 },
    () =>
      ({ a, dev }: Drawn) =>
      (of: World) =>
        vfio(of, dev, ATTACH, `pt_id=${pick(of, a, 'ioas', 'hwpt_paging', 'hwpt_nested')}`),
  ),
  ({ a, n, dev }) =>
    (of) =>
      vfio(of, dev, ATTACH, `flags=1 pasid=${n + 1} pt_id=${pick(of, a, 'hwpt_paging')}`),
  ({ dev }) =>
    (of) =>
      vfio(of, dev, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', ''),
  ({ n, dev }) =>
    (of) =>
      vfio(of, dev, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', `flags=1 pasid=${n + 1}`),
  ({ dev }) =>
    (of) => {
      of.line({ op: 'close', fd: `vfio:${dev}` });
      of.line({ op: 'open', fd: `vfio:${dev}` });
      const { out } = vfio(of, dev, 'VFIO_DEVICE_BIND_IOMMUFD', 'iommufd=fd') as {
        out: { out_devid: number };
      };
      of.names[dev] = out.out_devid;
    },
  ({ a }) =>
    (of) => {
      const queues = Object.values(of.state.kernel!.files).filter(
        ({ kind }) => kind === 'fault' || kind === 'veventq',
      );
      const file = queues[a % Math.max(1, queues.length)];
      if (file !== undefined) of.line({ op: 'close', fd: file.fd });
    },
  ({ a }) =>
    (of) =>
      of.ask(
        'IOMMU_HWPT_INVALIDATE',
        `hwpt_id=${pick(of, a, 'viommu')} data_type=1 entry_len=16 entry_num=1 data_uptr=hex:${'10'.padEnd(32, '0')}`,
      ),
  ({ n }) =>
    (of) =>
      of.ask('IOMMU_IOAS_UNMAP', `ioas_id=ioas iova=0x100000 length=${n === 0 ? '0x10000' : '0x1000'}`),
  ({ dev }) =>
    (of) =>
      of.line({ op: 'dma', endpoint: dev, iova: 0x10_0000, bytes: 8, access: 'write' }),
];
const step = fc.tuple(fc.nat(steps.length - 1), drawn).map(([kind, values]) => steps[kind]!(values));

describe('random calls', () => {
  it('keep references, attachments and tags in order, and leave nothing at the end', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), (sequence) => {
        const made = nestedWorld({}, cmdqv);
        const domains = (): number[] => Object.values(made.state.drivers).map((each) => each.domains.size);
        for (const each of sequence) {
          each(made);
          expect(wrongIn(made.state)).toEqual([]);
        }
        for (const name of Object.keys(made.state.kernel!.names)) made.line({ op: 'close', fd: name });
        for (const { fd } of Object.values(made.state.kernel!.files)) made.line({ op: 'close', fd });
        expect(made.state.kernel!.contexts).toEqual({});
        // Those of the host, for its own use of the devices.
        expect(domains()).toEqual([2, 1]);
      }),
      { numRuns: 60, seed: 4 },
    );
  }, 60_000);
});
