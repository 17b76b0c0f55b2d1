/**
 * Wants to show: what an internal access pins is locked until it lets go, and its pages stay. How: the functions
 * of an access are called as a HW queue does, on a machine whose IOAS scenario lines have filled.
 */
import { describe, expect, it } from 'vitest';
import type { Event } from '../../../core/event.ts';
import { handlers } from '../../../core/handlers.ts';
import { endAccess, makeAccess, pinRange, unpinRange } from '../../../core/kernel/iommufd/access.ts';
import { removeAreas } from '../../../core/kernel/iommufd/ioas-unmap.ts';
import type { Context } from '../../../core/machine.ts';
import { workingCopy } from '../../../core/working.ts';
import { areas, type Host, hostWithIoas, memory } from '../../support/kernel.ts';

/** A machine that goes on from the host's state, beside it. */
function machineOf({ state: from }: Host): Context {
  const state = workingCopy(from);
  const evolve = handlers as unknown as Readonly<Record<string, (state: unknown, entry: object) => void>>;
  return {
    state,
    emit: (actor, event: Event) => {
      state.seq += 1;
      evolve[event.type]?.(state, { seq: state.seq, actor, ...event });
      return state.seq;
    },
  };
}

/** Two neighbouring areas at 0x10000, three pages and one, and a hole behind; the second is read-only. */
function filled(): { readonly of: Host; readonly va: string } {
  const of = hostWithIoas();
  const va = memory(of, 0x4000, { kind: 'scattered' });
  of.ioctl('IOMMU_IOAS_MAP', { ioas_id: 1, flags: 7, user_va: va, length: 0x3000, iova: 0x10000 });
  of.ioctl('IOMMU_IOAS_MAP', { ioas_id: 1, flags: 5, user_va: va, length: 0x1000, iova: 0x13000 });
  return { of, va };
}

const span = (start: number, bytes: number) => ({ start: BigInt(start), last: BigInt(start + bytes) - 1n });

function access(machine: Context): number {
  const made = makeAccess(machine, 1, 1, true);
  if ('errno' in made) throw new Error(made.errno);
  return made.id;
}

const areaAt = (machine: Context, iova: number) =>
  machine.state.kernel?.contexts[1]?.areas.get(1)?.get(iova / 0x1000)?.[0];

describe('an internal access', () => {
  it('pins a range, which is then locked, and tells where it lies', () => {
    const { of } = filled();
    const machine = machineOf(of);
    const id = access(machine);
    const pinned = pinRange(machine, 1, id, span(0x10800, 0x1000), true);
    // Both pages whole; the second lies before the first.
    expect(pinned).toMatchObject({ runs: [{ size: 0x1000 }, { size: 0x1000 }] });
    expect(areaAt(machine, 0x10000)).toMatchObject({ accesses: 1, locks: 1 });
    unpinRange(machine, 1, id, span(0x10800, 0x1000));
    expect(areaAt(machine, 0x10000)).toMatchObject({ accesses: 0, locks: 0 });
    expect(areaAt(machine, 0x10000)).not.toHaveProperty('pins');
  });

  it.each([
    ['a hole', span(0x13800, 0x1000), false, 'ENOENT'],
    ['nothing', span(0x20000, 0x1000), false, 'ENOENT'],
    ['a read-only area, to write', span(0x12000, 0x2000), true, 'EPERM'],
  ])('does not pin %s', (_, range, write, errno) => {
    const machine = machineOf(filled().of);
    expect(pinRange(machine, 1, access(machine), range, write)).toEqual({ errno });
  });

  it('pins nothing where a part of the memory is not there', () => {
    const { of, va } = filled();
    of.line({ op: 'mem.free', va });
    const machine = machineOf(of);
    expect(pinRange(machine, 1, access(machine), span(0x10000, 0x4000), false)).toEqual({ errno: 'EFAULT' });
    expect(areaAt(machine, 0x10000)).toMatchObject({ accesses: 0, locks: 0 });
  });

  it('asks for whole pages and keeps the IOAS for as long as it is there', () => {
    const { of } = filled();
    const machine = machineOf(of);
    const id = access(machine);
    const ioas = () => machine.state.kernel?.contexts[1]?.objects.get(1);
    expect(ioas()).toMatchObject({ users: 2, alignment: 0x1000, accesses: [id] });
    endAccess(machine, 1, id);
    expect(ioas()).toMatchObject({ users: 1, alignment: 1, accesses: [] });
    of.ioctl('IOMMU_IOAS_MAP', 'ioas_id=1 flags=7 user_va=0x1000 length=0x10 iova=0x50000');
    const other = machineOf(of);
    expect(makeAccess(other, 1, 1, true)).toEqual({ errno: 'EADDRINUSE' });
    expect(other.state.kernel?.contexts[1]?.nextId).toBe(3);
    expect(other.state.kernel?.contexts[1]?.free.size).toBe(1);
  });

  it('is told by events that name the area', () => {
    const { of } = filled();
    const machine = machineOf(of);
    const told: string[] = [];
    const emit: Context['emit'] = (actor, event) => {
      told.push(event.type);
      return machine.emit(actor, event);
    };
    const id = access(machine);
    pinRange({ ...machine, emit }, 1, id, span(0x13000, 0x1000), false);
    unpinRange({ ...machine, emit }, 1, id, span(0x13000, 0x1000));
    expect(told).toEqual([
      'backing.held',
      'area.pinned',
      'area.used',
      'area.used',
      'area.unpinned',
      'backing.held',
    ]);
  });

  it('leaves the host beside it as it was', () => {
    const { of } = filled();
    const machine = machineOf(of);
    removeAreas(machine, { context: 1, ioas: 1 }, span(0, 0x100_0000));
    expect([areas(of).length, machine.state.kernel?.contexts[1]?.areas.get(1)?.size]).toEqual([2, 0]);
  });
});
