/**
 * Wants to show: what of the kernel's work the log tells, call by call, and that it is enough: folding it gives
 * the state. How: the events of each call in a table, in their order.
 */
import { describe, expect, it } from 'vitest';
import { machineConfig } from '../../../adapters/scenario/machine.ts';
import { openSession, step } from '../../../core/machine.ts';
import { Simulation } from '../../../core/simulation.ts';
import { resetRegisters } from '../../../core/smmu/regs.ts';
import { assemble, dismantle, initialState } from '../../../core/state.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { machine, reset } from '../../support/build.ts';
import { stateText } from '../../support/content.ts';
import { digestOf } from '../../support/digest.ts';
import { areas, fields, type Host, host, hostWithIoas, memory } from '../../support/kernel.ts';

/** Types of what follows a line; stores of arguments and answers are left out. */
function logged(of: Host, line: Line): string {
  of.look();
  of.line(line);
  const types = of.look().map(({ type }) => type);
  return types.filter((type) => !type.startsWith('memory.') && !type.startsWith('turn')).join(' ');
}

type Line = { readonly op: string; readonly [field: string]: unknown };

// biome-ignore format: a table
const calls: readonly (readonly [line: Line, events: readonly string[]])[] = [
  [{ op: 'mem.alloc', bytes: 4096 }, ['mem.alloc', 'backing.made', 'mapping.added', 'syscall.returned']],
  [{ op: 'mem.alloc', bytes: 4096, process: 'proc1' }, ['mem.alloc', 'process.made', 'backing.made', 'mapping.added', 'syscall.returned']],
  [{ op: 'mem.free', va: '$va' }, ['mem.free', 'mapping.removed', 'backing.held', 'syscall.returned']],
  [{ op: 'mem.memfd', bytes: 4096 }, ['mem.memfd', 'backing.made', 'mapping.added', 'backing.held', 'file.opened', 'syscall.returned']],
  [{ op: 'mem.write', va: '$va', hex: '11' }, ['user.write', 'syscall.returned']],
  [{ op: 'mem.read', va: '$va', bytes: 1 }, ['user.read', 'syscall.returned']],
  [{ op: 'open', fd: 'iommu1' }, ['open', 'context.opened', 'file.opened', 'syscall.returned']],
  [{ op: 'close', fd: 'iommu0' }, ['close', 'task.begun', 'file.closed', 'context.changed', 'object.changed', 'areas.removed', 'object.removed', 'context.closed', 'syscall.returned', 'task.ended']],
  [{ op: 'process.exit' }, ['process.exit', 'task.begun', 'file.closed', 'context.changed', 'object.changed', 'areas.removed', 'object.removed', 'context.closed', 'mapping.removed', 'backing.held', 'mapping.removed', 'backing.held', 'process.exited', 'syscall.returned', 'task.ended']],
  [{ op: 'ioctl', name: 'IOMMU_IOAS_ALLOC', arg: {} }, ['ioctl', 'ioctl.begun', 'object.reserved', 'object.finalized', 'ioctl.completed']],
  [{ op: 'ioctl', process: 'proc1', name: 'IOMMU_IOAS_ALLOC', arg: {} }, ['ioctl', 'process.made', 'backing.made', 'mapping.added', 'scratch.moved', 'ioctl.begun', 'object.reserved', 'object.finalized', 'ioctl.completed']],
  [{ op: 'ioctl', name: 'IOMMU_IOAS_ALLOC', arg: { flags: 1 } }, ['ioctl', 'ioctl.begun', 'ioctl.completed']],
  [{ op: 'ioctl', name: 'IOMMU_IOAS_MAP', arg: { ioas_id: 1, flags: 6, user_va: '$va', length: 4096 } }, ['ioctl', 'ioctl.begun', 'area.added', 'ioctl.completed']],
  [{ op: 'ioctl', name: 'IOMMU_IOAS_UNMAP', arg: { ioas_id: 1, length: '0xffffffffffffffff' } }, ['ioctl', 'ioctl.begun', 'areas.removed', 'ioctl.completed']],
  [{ op: 'ioctl', name: 'IOMMU_VFIO_IOAS', arg: { op: 1, ioas_id: 1 } }, ['ioctl', 'ioctl.begun', 'context.changed', 'ioctl.completed']],
  [{ op: 'ioctl', name: 'IOMMU_DESTROY', arg: { id: 1 } }, ['ioctl', 'ioctl.begun', 'object.changed', 'areas.removed', 'object.removed', 'ioctl.completed']],
];

describe('the log of a kernel', () => {
  it.each(calls)('%j', (line, events) => {
    const of = hostWithIoas();
    const va = memory(of, 0x1000);
    of.ioctl('IOMMU_IOAS_MAP', { ioas_id: 1, flags: 7, user_va: va, length: 0x1000, iova: 0x5000 });
    const asked = JSON.parse(JSON.stringify(line).replace('$va', va)) as { op: string };
    expect(logged(of, asked.op === 'ioctl' ? { fd: 'iommu0', ...asked } : asked)).toBe(events.join(' '));
  });

  it('tells where the memory for arguments moves when it gets too small', () => {
    const of = hostWithIoas();
    const before = of.state.kernel?.backings.size;
    const allowed_iovas = { bytes: '00'.repeat(0x2_0000) };
    const line = {
      op: 'ioctl',
      fd: 'iommu0',
      name: 'IOMMU_IOAS_ALLOW_IOVAS',
      arg: { ioas_id: 1, allowed_iovas },
    };
    expect(logged(of, line)).toMatch(
      /backing.made mapping.added scratch.moved mapping.removed backing.held ioctl.begun/,
    );
    expect(of.state.kernel?.backings.size).toBe(before);
  });

  it('begins with the boot, in which drivers take pages', () => {
    const of = host();
    const types = new Set(of.look().map(({ type }) => type));
    for (const type of ['kernel.boot', 'driver.probed', 'pages.taken', 'kernel.booted'] as const)
      expect(types).toContain(type);
  });

  it('tells of pins and of files when a device comes and goes', () => {
    const of = hostWithIoas({}, { endpoints: [{ name: 'dev0', streamId: 8 }] });
    const fd = 'vfio:dev0';
    of.line({ op: 'open', fd });
    const bound = logged(of, {
      op: 'ioctl',
      fd,
      name: 'VFIO_DEVICE_BIND_IOMMUFD',
      arg: { iommufd: 'iommu0' },
    });
    expect(bound).toContain('file.changed');
    of.ioctl('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: 1 }, { fd });
    const va = memory(of, 0x2000);
    const ask = (name: string, arg: string): string =>
      logged(of, {
        op: 'ioctl',
        fd: 'iommu0',
        name,
        arg: { ...fields(arg), ...(name === 'IOMMU_IOAS_MAP' ? { user_va: va } : {}) },
      });
    expect(ask('IOMMU_IOAS_MAP', 'ioas_id=1 flags=7 length=0x2000 iova=0x5000')).toMatch(
      new RegExp(
        `^ioctl ioctl.begun ${['area.added', 'backing.held', 'area.pinned'].join(' ')} .*ioctl.completed$`,
      ),
    );
    expect(ask('IOMMU_IOAS_UNMAP', 'ioas_id=1 iova=0x5000 length=0x2000')).toMatch(
      new RegExp(
        `task.begun .*${['area.unpinned', 'backing.held', 'areas.removed', 'ioctl.answered'].join(' ')} ioctl.completed task.ended$`,
      ),
    );
  });
});

describe('the stimuli of a kernel', () => {
  it('are answered by a simulation as by a scenario', () => {
    const machine = machineConfig({ kernel: {} } as Parameters<typeof machineConfig>[0]);
    if ('message' in machine) throw new Error(machine.message);
    const simulation = new Simulation(initialState(machine, resetRegisters));
    const ask = (stimulus: Stimulus): unknown => simulation.dispatch(stimulus).outcome;
    ask({ type: 'kernel.boot' });
    const { va } = ask({ type: 'mem.alloc', bytes: 8, kind: 'contiguous' }) as { va: number };
    const at = { process: 'proc0', va: BigInt(va) };
    expect(ask({ type: 'user.write', ...at, bytes: Uint8Array.of(1, 2) })).toEqual({});
    expect(ask({ type: 'user.read', ...at, size: 3 })).toEqual({ hex: '010200' });
  });

  it('are nothing to a machine without one', () => {
    const state = reset(machine());
    expect(step(state, { type: 'kernel.boot' }).entries).toHaveLength(1);
  });
});

describe('the state of a kernel', () => {
  /** A host with much in it. */
  function full(): Host {
    const of = hostWithIoas({}, { endpoints: [{ name: 'dev0', streamId: 8 }] });
    const va = memory(of, 0x10_0000, { kind: 'scattered' });
    memory(of, 0x1000, { process: 'proc1' });
    for (const iova of [0x1000, 0x9000, 2 ** 40])
      of.ioctl('IOMMU_IOAS_MAP', { ioas_id: 1, flags: 7, user_va: va, length: 0x1000, iova });
    return of;
  }

  it('is parted into plain data and its maps, and put together again', () => {
    const of = full();
    const { control, parts } = dismantle(of.state);
    expect(Object.keys(parts)).toEqual(
      expect.arrayContaining([
        '/kernel/contexts/1/areas',
        '/kernel/processes/proc1/mappings',
        '/drivers/smmu0/domains',
      ]),
    );
    const again = assemble({ control: structuredClone(control), parts });
    expect(stateText(again)).toBe(stateText(of.state));
    expect(digestOf(again)).toBe(digestOf(of.state));
  });

  it('goes on from what was put together, and leaves that as it was', () => {
    const of = full();
    const { control, parts } = dismantle(of.state);
    const start = assemble({ control: structuredClone(control), parts });
    const [before, digest] = [stateText(start), digestOf(start)];
    const session = openSession(start);
    session.step({ type: 'mem.alloc', bytes: 0x1000, kind: 'contiguous' });
    const next = session.publish();
    expect(next.kernel?.backings.size).toBe((start.kernel?.backings.size ?? 0) + 1);
    expect([stateText(start), digestOf(start)]).toEqual([before, digest]);
    expect(digestOf(next)).not.toBe(digest);
  });

  it('has another digest for one changed area', () => {
    const [one, other] = [full(), full()];
    expect(digestOf(one.state)).toBe(digestOf(other.state));
    other.ioctl('IOMMU_IOAS_UNMAP', 'ioas_id=1 iova=0x9000 length=0x1000');
    one.ioctl('IOMMU_IOAS_UNMAP', 'ioas_id=1 iova=0x1000 length=0x1000');
    expect(areas(one).length).toBe(areas(other).length);
    expect(digestOf(one.state)).not.toBe(digestOf(other.state));
  });
});
