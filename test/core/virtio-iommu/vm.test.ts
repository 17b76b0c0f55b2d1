/**
 * A virtio-iommu from the guest's driver to the host: the runs of the driver, what becomes of statuses, of the
 * lock, of faults, and of a device that breaks.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Entry, isStimulus } from '../../../core/event.ts';
import { fold } from '../../../core/fold.ts';
import { openSession } from '../../../core/machine.ts';
import { assemble, dismantle } from '../../../core/state.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { attachFrames, flushFrames, mapFrames } from '../../../core/virtio-iommu/guest-driver.ts';
import { digestOf } from '../../support/digest.ts';
import {
  bootedVm,
  costOf,
  hostPages,
  map,
  of,
  PAGE,
  RAM,
  RAM_BYTES,
  talk,
  unmap,
  VM,
  virtioVm,
} from '../../support/virtio-vm.ts';

const SEED = 20261121;
const nvme0 = { vm: VM, endpoint: 'nvme0' };

/** The largest power of two that an address is aligned to and that is not larger than a size. */
function largest(address: bigint, size: bigint): bigint {
  let found = 1n;
  while (found * 2n <= size && address % (found * 2n) === 0n) found *= 2n;
  return found;
}

describe('runs of the driver', () => {
  it('cover the range exactly, in pages that both addresses are aligned to', () => {
    const ranges = fc.tuple(fc.nat(2000), fc.nat(2000), fc.integer({ min: 1, max: 700 }));
    fc.assert(
      fc.property(ranges, ([page, gpaPage, pages]) => {
        const vm = bootedVm();
        const iova = 0x1000_0000 + page * PAGE;
        const pa = RAM + gpaPage * PAGE;
        const end = BigInt(iova + pages * PAGE);
        let at = BigInt(iova);
        for (const { iova: start, last, pa: from } of of(vm.task(map(iova, pages, pa)), 'vdriver.mapped')) {
          expect([start, from]).toEqual([at, pa + Number(at - BigInt(iova))]);
          const size = largest(start | BigInt(from), end - start);
          expect([start % size, BigInt(from) % size, (last - start + 1n) % size]).toEqual([0n, 0n, 0n]);
          at = last + 1n;
        }
        expect(at).toBe(end);
        expect(hostPages(vm, 'nvme0').size).toBe(pages);
        expect(of(vm.task(unmap(iova, pages)), 'vdriver.unmapped').at(-1)?.last).toBe(end - 1n);
        expect(hostPages(vm, 'nvme0').size).toBe(0);
      }),
      { seed: SEED, numRuns: 12 },
    );
  }, 60_000);

  it('an address twice, a device without a domain, and one that bypasses', () => {
    const vm = bootedVm();
    vm.task(map(0x10_0000, 4));
    const told = (entries: readonly Entry[]) => of(entries, 'vdriver.failed').map(({ why }) => why);
    expect(told(vm.task(map(0x10_2000, 4)))).toEqual(['EEXIST']);
    expect(told(vm.task(map(0x10_2000, 4, RAM, 'nvme7')))).toEqual(['ENODEV']);
    vm.task(attachFrames(nvme0, 'identity'));
    expect(told(vm.task(map(0x20_0000, 4)))).toEqual(['ENODEV']);
    expect(told(vm.task(unmap(0x20_0000, 4)))).toEqual(['ENODEV']);
    // A part of a mapping is not unmapped, and the device is not asked.
    vm.task(attachFrames(nvme0, 0));
    expect(costOf(vm.task(unmap(0x10_1000, 1)))).toMatchObject({ requests: 0 });
    expect(hostPages(vm, 'nvme0').size).toBe(4);
  });
});

describe('an unmap with a hole in it', () => {
  it('is forgotten by the driver and not told to the device, which then refuses the address: as in Linux', () => {
    const vm = bootedVm();
    vm.task(map(0x10_0000, 1));
    expect(costOf(vm.task(unmap(0x10_0000, 2)))).toMatchObject({ requests: 0 });
    expect(vm.virtio.driver!.domains[0]!.mappings.size).toBe(0);
    expect(hostPages(vm, 'nvme0').size).toBe(1);
    expect(talk(vm.task(map(0x10_0000, 2, RAM + 0x8000)))).toEqual(['MAP INVAL']);
    expect([...hostPages(vm, 'nvme0').values()]).toEqual([BigInt(RAM + 0x10_0000)]);
  });
});

describe('statuses', () => {
  it("of MAP are lost, whatever they are: beyond the guest's memory", () => {
    for (const [virtioDevice, answer] of [
      ['qemu-9.2', 'OK'],
      ['virtio-1.3', 'DEVERR'],
    ] as const) {
      const vm = bootedVm({ virtioDevice });
      const entries = vm.task(map(0x10_0000, 1, RAM + RAM_BYTES));
      expect(talk(entries)).toEqual([`MAP ${answer}`]);
      expect(of(entries, 'virtio.refused')).toHaveLength(1);
      expect(of(entries, 'vdriver.polled')).toMatchObject([{ status: answer, lost: true }]);
      expect(of(entries, 'vdriver.failed')).toEqual([]);
      expect(hostPages(vm, 'nvme0').size).toBe(0);
      expect(vm.virtio.driver!.domains[0]!.mappings.size).toBe(1);
    }
  });

  it('of a refused MAP in the middle of many leave the others alone', () => {
    const vm = bootedVm({ virtioDevice: 'virtio-1.3' });
    const entries = vm.task([
      ...map(0x10_0000, 1),
      ...map(0x20_0000, 1, RAM + RAM_BYTES),
      ...map(0x30_0000, 1),
    ]);
    expect(talk(entries)).toEqual(['MAP OK', 'MAP DEVERR', 'MAP OK']);
    expect([...hostPages(vm, 'nvme0').keys()]).toEqual([0x10_0000n, 0x30_0000n]);
  });

  it('of an ATTACH are told, and used length 0 is IOERR', () => {
    for (const [virtioDevice, why] of [
      ['qemu-9.2', 'UNSUPP'],
      ['virtio-1.3', 'IOERR'],
    ] as const) {
      const vm = bootedVm({ virtioDevice });
      const bytes = Uint8Array.of(42, 0, 0, 0);
      const then = { do: 'vdriver.attached', ...nvme0, domain: 0 };
      const told = vm.task([{ do: 'virtio.send', vm: VM, name: 'ATTACH', bytes, then }]);
      expect(of(told, 'vdriver.failed')).toMatchObject([{ what: 'nvme0: ATTACH', why }]);
    }
  });
});

describe('the request lock', () => {
  it('is held while one spins, and the other waits for it', () => {
    const vm = bootedVm({}, 1, { schedule: 'manual' });
    vm.begin(map(0x10_0000, 1), 0);
    vm.begin(map(0x20_0000, 1), 1);
    vm.line({ op: 'turn', unit: 'vm0.cpu0' });
    expect(vm.virtio.driver!.lock).toBe('vm0.cpu0');
    expect(vm.line({ op: 'turn', unit: 'vm0.cpu1' })).toEqual({ moved: false });
    expect(vm.line({ op: 'turn', unit: 'vm0.cpu0' })).toEqual({ moved: false });
    vm.line({ op: 'run' });
    const entries = vm.look();
    expect(of(entries, 'vdriver.locked').map(({ by }) => by)).toEqual(['vm0.cpu0', '', 'vm0.cpu1', '']);
    expect(costOf(entries)).toMatchObject({ exits: 2, maps: 2 });
  });

  it('with two vCPUs in any order, driver, device and host end up with the same mappings', () => {
    const step = fc.record({
      do: fc.constantFrom('map', 'map', 'unmap', 'flush'),
      cpu: fc.nat(1),
      at: fc.nat(5),
      lazy: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 25 }), fc.nat(1000), (steps, seed) => {
        const vm = bootedVm({}, 1, { schedule: 'seeded', seed });
        for (const { do: name, cpu, at, lazy } of steps) {
          const pages = at + 1;
          const iova = 0x10_0000 + at * 8 * PAGE;
          const frames =
            name === 'map' ? map(iova, pages) : name === 'flush' ? flushFrames(VM) : unmap(iova, pages, lazy);
          vm.begin(frames, cpu);
        }
        vm.line({ op: 'run' });
        vm.task(flushFrames(VM));
        expect(vm.state.tasks).toEqual([]);
        const pagesOf = (areas: Iterable<readonly [number, readonly { iova: bigint; last: bigint }[]]>) =>
          [...areas].flatMap(([, list]) =>
            list.flatMap(({ iova, last }) =>
              Array.from(
                { length: Number((last - iova + 1n) / 0x1000n) },
                (_, page) => iova + BigInt(page) * 0x1000n,
              ),
            ),
          );
        const driver = pagesOf(vm.virtio.driver!.domains[0]!.mappings.range());
        expect(pagesOf(vm.virtio.device.domains[0]!.mappings.range())).toEqual(driver);
        expect([...hostPages(vm, 'nvme0').keys()]).toEqual(driver);
      }),
      { seed: SEED, numRuns: 10 },
    );
  }, 60_000);
});

describe('DMA', () => {
  it('of an assigned device goes as the requests say, in hardware', () => {
    const vm = bootedVm();
    const dma = (iova: number) =>
      vm.line({
        op: 'guest.dma',
        vm: VM,
        endpoint: 'nvme0',
        iova,
        bytes: 4,
        access: 'write',
        hex: '01020304',
      });
    expect(dma(0x10_0000)['result']).toBe('abort');
    vm.task(map(0x10_0000, 1, RAM + 0x5000));
    expect(dma(0x10_0010)['result']).toBe('ok');
    expect(vm.line({ op: 'mem.read', vm: VM, gpa: RAM + 0x5010, bytes: 4 })).toEqual({ hex: '01020304' });
    vm.task(unmap(0x10_0000, 1));
    expect(dma(0x10_0000)['result']).toBe('abort');
    expect(of(vm.look(), 'virtio.faulted')).toEqual([]);
  });

  it('of an emulated device goes through the device, and faults come to the guest', () => {
    const vm = bootedVm();
    vm.line({ op: 'vm.plug', vm: VM, endpoint: 'net0', kind: 'emulated', streamId: 32 });
    vm.line({ op: 'run' });
    expect(of(vm.look(), 'vdriver.attached').map(({ endpoint, domain }) => [endpoint, domain])).toEqual([
      ['net0', 1],
    ]);
    const dma = (iova: number, bytes: number, more: object) =>
      vm.line({ op: 'guest.dma', vm: VM, endpoint: 'net0', iova, bytes, ...more });
    const fault = 'virtio_iommu_fault { reason=MAPPING flags=ADDRESS endpoint=0x20 address=0x300000 }';
    expect(dma(0x30_0000, 4, { access: 'read' })).toEqual({ result: 'abort', event: fault });
    expect(of(vm.look(), 'vdriver.reported')).toMatchObject([{ decoded: fault }]);
    const mapped = vm.task(map(0x30_0000, 2, RAM + 0x8000, 'net0'));
    expect(costOf(mapped)).toMatchObject({ exits: 1, requests: 1, maps: 0 });
    dma(0x30_0ffe, 4, { access: 'write', hex: 'aabbccdd' });
    expect(of(vm.look(), 'virtio.accessed').map(({ gpa, size }) => [gpa, size])).toEqual([
      [RAM + 0x8ffe, 2],
      [RAM + 0x9000, 2],
    ]);
    expect(dma(0x30_0ffe, 4, { access: 'read' })).toMatchObject({ result: 'ok', hex: 'aabbccdd' });
    expect(dma(0x809_0040, 4, { access: 'write' })).toEqual({ result: 'ok' });
    vm.task(
      mapFrames({
        vm: VM,
        endpoint: 'net0',
        iova: 0x40_0000n,
        pa: 0x900_0000,
        bytes: PAGE,
        access: 'both',
        mmio: true,
      }),
    );
    expect(dma(0x40_0000, 4, { access: 'read' })).toEqual({ result: 'bus-error' });
    vm.line({ op: 'vm.unplug', vm: VM, endpoint: 'net0' });
    vm.line({ op: 'run' });
    const gone = vm.look();
    expect(talk(gone)).toEqual(['DETACH OK']);
    expect([of(gone, 'vdriver.removed').length, of(gone, 'virtio.unplugged').length]).toEqual([1, 1]);
  });

  it('faults beyond the buffers of the event queue are lost', () => {
    const vm = bootedVm({}, 1, { schedule: 'manual' });
    vm.line({ op: 'vm.plug', vm: VM, endpoint: 'net0', kind: 'emulated', streamId: 32 });
    vm.line({ op: 'run' });
    vm.look();
    for (let count = 0; count < 258; count += 1)
      vm.line({ op: 'guest.dma', vm: VM, endpoint: 'net0', iova: 0x30_0000, bytes: 4, access: 'read' });
    const faults = of(vm.look(), 'virtio.faulted').map(({ reported }) => reported);
    expect([faults.filter(Boolean).length, faults.length]).toEqual([256, 258]);
    vm.line({ op: 'run' });
    expect(of(vm.look(), 'vdriver.reported')).toHaveLength(256);
  });

  it('without a boot bypass nothing is reached before the attach', () => {
    const vm = virtioVm({ bootBypass: false });
    expect(hostPages(vm, 'nvme0').size).toBe(0);
    vm.line({ op: 'guest.boot', vm: VM });
    expect(costOf(vm.look())).toMatchObject({ maps: 0, unmaps: 0 });
  });
});

describe('the log', () => {
  it('tells all: folded it is the state, which a snapshot keeps, and a rerun says the same', () => {
    const vm = bootedVm({}, 2);
    const from = vm.state;
    const entries = [
      ...vm.task([...map(0x10_0000, 7), ...map(0x20_0000, 1)]),
      ...vm.task([...attachFrames({ vm: VM, endpoint: 'nvme1' }, 0), ...unmap(0x10_0000, 7, true)], 1),
    ];
    expect(digestOf(fold(from, entries))).toBe(digestOf(vm.state));
    const session = openSession(from);
    const again = entries
      .filter(isStimulus)
      .flatMap(({ seq: _, tick: __, cause: ___, ...asked }) => [...session.step(asked as Stimulus)]);
    expect(again).toEqual(entries);
    expect(digestOf(assemble(dismantle(vm.state)))).toBe(digestOf(vm.state));
  });
});

describe('what goes wrong', () => {
  it('a device that breaks answers nothing more, and the vCPU spins for ever, with the lock', () => {
    const vm = bootedVm({}, 1, { schedule: 'manual' });
    const { buffers, queues } = vm.virtio.driver!;
    const table = buffers.gpa + queues.request.free * buffers.slotBytes;
    vm.begin(map(0x10_0000, 1));
    vm.line({ op: 'turn', unit: 'vm0.cpu0' });
    vm.line({ op: 'mem.write', vm: VM, gpa: table + 8, hex: '00000000' });
    vm.line({ op: 'run' });
    const entries = vm.look();
    expect(of(entries, 'virtio.changed').map(({ changes }) => changes)).toEqual([
      [{ do: 'break', why: 'descriptor 0 without bytes' }],
    ]);
    expect(of(entries, 'virtio.answered')).toEqual([]);
    expect(vm.virtio.driver!.lock).toBe('vm0.cpu0');
    expect(vm.state.tasks.map(({ unit }) => unit)).toEqual(['vm0.cpu0']);
  });

  it('whatever stands in the queues, nobody asserts', () => {
    const write = fc.record({
      at: fc.nat(0x1ff0),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
      part: fc.constantFrom('queue', 'queue', 'buffers'),
    });
    const broken = new Set<string>();
    fc.assert(
      fc.property(fc.array(fc.tuple(write, fc.boolean()), { minLength: 4, maxLength: 12 }), (writes) => {
        const vm = bootedVm({}, 1, { schedule: 'manual' });
        const { buffers, queues } = vm.virtio.driver!;
        for (const [index, [{ at, bytes, part }, late]] of writes.entries()) {
          vm.begin(map(0x10_0000 + index * PAGE, 1, RAM, 'nvme0'), index % 2);
          if (late) vm.line({ op: 'turn', unit: `vm0.cpu${index % 2}` });
          const base = part === 'queue' ? queues.request.desc : buffers.gpa;
          vm.line({ op: 'mem.write', vm: VM, gpa: base + at, hex: Buffer.from(bytes).toString('hex') });
          vm.line({ op: 'run', turnsMax: 500 });
        }
        broken.add((vm.virtio.device.broken ?? 'no').replaceAll(/[0-9]+/g, 'n'));
      }),
      { seed: SEED, numRuns: 25 },
    );
    expect(broken.size).toBeGreaterThan(2);
  }, 60_000);

  it('an unplugged device takes its IOAS along; the VM that ends takes all', () => {
    const vm = bootedVm({}, 2);
    vm.task(map(0x10_0000, 4));
    vm.line({ op: 'vm.unplug', vm: VM, endpoint: 'nvme0' });
    vm.line({ op: 'run' });
    expect(Object.keys(vm.virtio.hosts)).toEqual(['9']);
    expect(vm.virtio.device.domains[0]).toBeUndefined();
    const [context] = Object.values(vm.state.kernel!.contexts);
    expect([...context!.objects.range()].filter(([, { kind }]) => kind === 'ioas')).toHaveLength(1);
    vm.line({ op: 'vm.end', vm: VM });
    vm.line({ op: 'run' });
    expect(vm.state.vms).toEqual({});
    expect(vm.state.tasks).toEqual([]);
  });
});
