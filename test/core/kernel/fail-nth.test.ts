/**
 * Wants to show: whatever allocation of a call fails, the call says ENOMEM and nothing of it stays: objects,
 * references, domains, pages, files; and the same call succeeds afterwards. How: each call that succeeds is
 * tried with its first allocation failing, then with its second, until none is left to fail.
 */
import { describe, expect, it } from 'vitest';
import type { State } from '../../../core/state.ts';
import { add, named, nestedWorld, twoSmmus, type World } from '../../support/nesting.ts';

const BYPASS = '09'.padEnd(32, '0');
const NH_ALL = '10'.padEnd(32, '0');
const cmdqv = {
  ...twoSmmus,
  smmus: twoSmmus.smmus.map((smmu) => ({ ...smmu, choices: { tegra241Param: 0x1121 } })),
};

interface Story {
  readonly name: string;
  readonly call: string;
  readonly arg: string;
  /** File that it is asked of; the iommufd when left out. */
  readonly fd?: string;
  given?(of: World): void;
}

const ATTACH = 'VFIO_DEVICE_ATTACH_IOMMUFD_PT';
const stories: readonly Story[] = [
  { name: 'a paging HWPT', call: 'IOMMU_HWPT_ALLOC', arg: 'dev_id=dev0 pt_id=ioas' },
  { name: 'a nesting parent', call: 'IOMMU_HWPT_ALLOC', arg: 'dev_id=dev0 pt_id=ioas flags=1' },
  {
    name: 'a nested HWPT',
    call: 'IOMMU_HWPT_ALLOC',
    arg: `dev_id=dev0 pt_id=viommu data_type=2 data_len=16 data_uptr=hex:${BYPASS}`,
  },
  {
    name: 'a HWPT with faults',
    call: 'IOMMU_HWPT_ALLOC',
    arg: 'dev_id=dev0 pt_id=ioas flags=4 fault_id=fault',
    given: (of) => add(of, 'fault', 'IOMMU_FAULT_QUEUE_ALLOC', '', 'out_fault_id'),
  },
  { name: 'a fault queue', call: 'IOMMU_FAULT_QUEUE_ALLOC', arg: '' },
  { name: 'a vIOMMU', call: 'IOMMU_VIOMMU_ALLOC', arg: 'type=1 dev_id=dev0 hwpt_id=parent' },
  {
    name: 'a vIOMMU with a CMDQV',
    call: 'IOMMU_VIOMMU_ALLOC',
    arg: `type=2 dev_id=dev0 hwpt_id=parent data_len=16 data_uptr=hex:${'00'.repeat(16)}`,
  },
  { name: 'a vDEVICE', call: 'IOMMU_VDEVICE_ALLOC', arg: 'viommu_id=viommu dev_id=dev1 virt_id=7' },
  { name: 'a vEVENTQ', call: 'IOMMU_VEVENTQ_ALLOC', arg: 'viommu_id=viommu type=1 veventq_depth=4' },
  {
    name: 'a HW queue',
    call: 'IOMMU_HW_QUEUE_ALLOC',
    arg: 'type=1 viommu_id=vcmdqv length=0x1000 nesting_parent_iova=0x100000',
    given: (of) =>
      add(
        of,
        'vcmdqv',
        'IOMMU_VIOMMU_ALLOC',
        `type=2 dev_id=dev0 hwpt_id=parent data_len=16 data_uptr=hex:${'00'.repeat(16)}`,
        'out_viommu_id',
      ),
  },
  {
    name: 'an invalidation',
    call: 'IOMMU_HWPT_INVALIDATE',
    arg: `hwpt_id=viommu data_type=1 entry_len=16 entry_num=1 data_uptr=hex:${NH_ALL}`,
  },
  { name: 'an attach to an IOAS', call: ATTACH, arg: 'pt_id=ioas', fd: 'vfio:dev0' },
  { name: 'an attach to a nested HWPT', call: ATTACH, arg: 'pt_id=bypass', fd: 'vfio:dev0' },
  {
    name: 'a replace by an IOAS',
    call: ATTACH,
    arg: 'pt_id=ioas',
    fd: 'vfio:dev0',
    given: (of) => of.attach('dev0', of.names['bypass']!),
  },
  {
    name: 'an attach of a PASID',
    call: ATTACH,
    arg: 'flags=1 pasid=3 pt_id=p',
    fd: 'vfio:dev0',
    given: (of) => add(of, 'p', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=8', 'out_hwpt_id'),
  },
  {
    name: 'a bind',
    call: 'VFIO_DEVICE_BIND_IOMMUFD',
    arg: 'iommufd=fd',
    fd: 'vfio:dev1',
    given: (of) => {
      of.line({ op: 'close', fd: 'vfio:dev1' });
      of.line({ op: 'open', fd: 'vfio:dev1' });
    },
  },
];

/** What may not change when a call fails: all but the free ids, and CD tables, which endpoints keep. */
function holdings({ kernel, drivers, tasks }: State): unknown {
  const contexts = Object.values(kernel!.contexts);
  return {
    objects: contexts.map(({ objects, users }) => [users, [...objects.range()]]),
    areas: contexts.map(({ areas }) => [...areas.range()].map(([id, each]) => [id, [...each.range()]])),
    files: kernel!.files,
    domains: Object.values(drivers).map(({ domains }) => [...domains.range()].map(([id]) => id)),
    attached: Object.values(drivers).map(({ masters }) =>
      Object.values(masters).map(({ attached }) => attached),
    ),
    tasks: tasks.length,
  };
}

function prepared({ given }: Story): World {
  const made = nestedWorld({}, cmdqv);
  given?.(made);
  return made;
}

function run(of: World, { call, arg, fd = 'iommu0' }: Story): string {
  return String(of.line({ op: 'ioctl', fd, name: call, arg: named(arg, of.names) })['errno'] ?? 'ok');
}

describe('an allocation that fails', () => {
  it.each(stories)('in $name leaves nothing behind', (story) => {
    let failures = 0;
    for (let nth = 1; nth < 100; nth += 1) {
      const made = prepared(story);
      made.line({ op: 'set', path: 'kernel.failNth', value: nth });
      const before = holdings(made.state);
      const errno = run(made, story);
      const left = made.state.kernel!.failNth;
      made.line({ op: 'set', path: 'kernel.failNth', value: 0 });
      if (left > 0) {
        expect(errno).toBe('ok');
        break;
      }
      failures += 1;
      expect(errno, `allocation ${nth}`).toBe('ENOMEM');
      expect(holdings(made.state), `allocation ${nth}`).toEqual(before);
      expect(run(made, story), `after allocation ${nth}`).toBe('ok');
    }
    expect(failures).toBeGreaterThan(0);
  });

  it('in none of them keeps a context from its end, nor a page', () => {
    for (const story of stories) {
      const [failed, clean] = [prepared(story), prepared(story)];
      failed.line({ op: 'set', path: 'kernel.failNth', value: 1 });
      expect(run(failed, story)).toBe('ENOMEM');
      failed.line({ op: 'set', path: 'kernel.failNth', value: 0 });
      for (const made of [failed, clean]) {
        const { names, files } = made.state.kernel!;
        for (const name of Object.keys(names)) made.line({ op: 'close', fd: name });
        for (const fd of Object.keys(files))
          if (made.state.kernel!.files[Number(fd)]) made.line({ op: 'close', fd });
        made.line({ op: 'process.exit' });
        expect(made.state.kernel!.contexts, story.name).toEqual({});
      }
      expect(freePages(failed), story.name).toBe(freePages(clean));
    }
  });
});

function freePages({ state }: World): number {
  return [...state.kernel!.pool.free.range()].reduce((sum, [, count]) => sum + count, 0);
}
