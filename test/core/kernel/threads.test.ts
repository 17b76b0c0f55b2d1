/**
 * Wants to show: calls of several threads take turns at the kernel, but for a mapping, which may come between the
 * turns of an unmapping; and an unmapping leaves alone what was mapped behind it. How: an unmapping of two areas that
 * waits for its CMD_SYNC, with calls of another thread beside it; and random calls of three threads.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkHistory } from '../../../projections/check.ts';
import { areas, type Host, hostWithIoas, memory, type Outcome } from '../../support/kernel.ts';

const MACHINE = {
  ram: [{ base: 0x4000_0000, size: 0x1000_0000 }],
  endpoints: [{ name: 'dev0', streamId: 8 }],
};
const SIZE = 0x4000;
const OTHER = { thread: 1 };

/** dev0 on IOAS 1. From then on it moves when it is told to. */
function attached(kernel: object = {}): Host {
  const of = hostWithIoas(kernel, MACHINE);
  of.line({ op: 'open', fd: 'vfio:dev0' });
  of.ioctl('VFIO_DEVICE_BIND_IOMMUFD', { iommufd: 'iommu0' }, { fd: 'vfio:dev0' });
  of.ioctl('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: 1 }, { fd: 'vfio:dev0' });
  of.line({ op: 'set', path: 'schedule', value: 'manual' });
  return of;
}

const map = (of: Host, user_va: string, iova: number, more: object = {}): Outcome =>
  of.ioctl('IOMMU_IOAS_MAP', { ioas_id: 1, flags: 7, user_va, length: SIZE, iova }, more);

const unmap = (of: Host, iova: number, length: number, more: object = {}): Outcome =>
  of.ioctl('IOMMU_IOAS_UNMAP', { ioas_id: 1, iova, length }, more);

/** Two areas side by side, of which an unmapping has removed the first and waits for the second. */
function halfWay(kernel: object = {}): { readonly of: Host; readonly va: string } {
  const of = attached(kernel);
  const va = memory(of, SIZE, { kind: 'contiguous' });
  for (const iova of [0, SIZE]) expect(map(of, va, iova)).toMatchObject({ ret: 0 });
  expect(unmap(of, 0, 2 * SIZE)).toMatchObject({ pending: true });
  while (areas(of).length === 2) of.line({ op: 'run', turnsMax: 1 });
  return { of, va };
}

const starts = (of: Host): readonly number[] => areas(of).map(({ iova }) => Number(iova));

describe('a thread beside an unmapping', () => {
  it('maps where the first area was, and keeps it', () => {
    const { of, va } = halfWay();
    expect(map(of, va, 0, OTHER)).toMatchObject({ ret: 0 });
    expect(starts(of)).toEqual([0, SIZE]);
    of.line({ op: 'run' });
    expect(starts(of)).toEqual([0]);
  });

  it('loses it to a kernel that searches from the start again', () => {
    const { of, va } = halfWay({ switches: { unmapSearch: 'again' } });
    map(of, va, 0, OTHER);
    of.line({ op: 'run' });
    expect(starts(of)).toEqual([]);
  });

  it('does not map over what is still there', () => {
    const { of, va } = halfWay();
    expect(map(of, va, SIZE, OTHER)).toMatchObject({ errno: 'EEXIST' });
  });

  it('waits with every other call until the unmapping has ended', () => {
    const { of } = halfWay();
    of.look();
    expect(of.ioctl('IOMMU_IOAS_ALLOC', {}, OTHER)).toMatchObject({ pending: true });
    of.line({ op: 'run' });
    const ended = of.look().flatMap((entry) => (entry.type === 'ioctl.completed' ? [entry.name] : []));
    expect(ended).toEqual(['IOMMU_IOAS_UNMAP', 'IOMMU_IOAS_ALLOC']);
  });

  it('is waited for by all calls when it unmaps itself, and by the end of the file', () => {
    const of = attached();
    const va = memory(of, SIZE, { kind: 'contiguous' });
    map(of, va, 0);
    expect(unmap(of, 0, SIZE, OTHER)).toMatchObject({ pending: true });
    expect(of.ioctl('IOMMU_IOAS_ALLOC', {})).toMatchObject({ pending: true });
    expect(of.line({ op: 'close', fd: 'iommu0' })).toMatchObject({ pending: true });
    of.look();
    of.line({ op: 'run' });
    const ended = of.look().filter(({ type }) => type === 'ioctl.completed' || type === 'syscall.returned');
    expect(ended.map((entry) => ('name' in entry ? entry.name : entry.type))).toEqual([
      'IOMMU_IOAS_UNMAP',
      'IOMMU_IOAS_ALLOC',
      'syscall.returned',
    ]);
  });
});

const call = fc.record({
  thread: fc.constantFrom(undefined, 1, 2),
  maps: fc.boolean(),
  slot: fc.integer({ min: 0, max: 5 }),
  slots: fc.integer({ min: 1, max: 6 }),
  turns: fc.integer({ min: 1, max: 12 }),
});

describe('random calls of three threads', () => {
  it('all end, break no rule, and leave domains as the areas say', () => {
    fc.assert(
      fc.property(fc.array(call, { minLength: 5, maxLength: 25 }), (calls) => {
        const of = attached();
        const entries = [...of.look()];
        const va = memory(of, SIZE, { kind: 'contiguous' });
        for (const { thread, maps, slot, slots, turns } of calls) {
          const more = thread === undefined ? {} : { thread };
          if (maps) map(of, va, slot * SIZE, more);
          else unmap(of, slot * SIZE, slots * SIZE, more);
          of.line({ op: 'run', turnsMax: turns });
        }
        expect(of.line({ op: 'run' })).toMatchObject({ quiet: true });
        expect(of.state.tasks).toEqual([]);
        for (let slot = 0; slot < 12; slot += 1) {
          const { result } = of.line({
            op: 'dma',
            endpoint: 'dev0',
            iova: slot * SIZE,
            bytes: 1,
            access: 'read',
          });
          expect([slot, result]).toEqual([slot, starts(of).includes(slot * SIZE) ? 'ok' : 'abort']);
        }
        entries.push(...of.look());
        expect(checkHistory(entries, of.machine, 'main').map(({ title }) => title)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
