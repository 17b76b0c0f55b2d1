/**
 * What a map, an unmap and an attach cost with a virtio-iommu, from the guest's driver to the host, counted in
 * events, against the formulas: one doorbell, and a call for each aligned power of two and each device.
 */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../core/event.ts';
import { attachFrames, detachFrames, flushFrames } from '../../../core/virtio-iommu/guest-driver.ts';
import { alignedPiece } from '../../../core/virtio-iommu/host.ts';
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

const nvme0 = { vm: VM, endpoint: 'nvme0' };

/** Aligned powers of two in a range. */
function chunks(iova: number, pages: number): number {
  let count = 0;
  for (let at = BigInt(iova), last = BigInt(iova + pages * PAGE) - 1n; at <= last; count += 1)
    at += alignedPiece(at, last);
  return count;
}

describe('power-on', () => {
  it('tells of the device, of its queues, and of each endpoint', () => {
    const vm = virtioVm({}, 1, {}, { loud: true });
    const facts = (entries: readonly Entry[]) =>
      entries.map(({ type }) => type).filter((type) => /^(virtio|virtqueue|vdriver)\./.test(type));
    expect(facts(vm.look())).toEqual(['virtio.made', 'virtio.plugged', 'virtio.hosted']);
    vm.line({ op: 'guest.boot', vm: VM });
    const booted = vm.look();
    const request = ['vdriver.moved', 'vdriver.locked', 'vdriver.moved', 'virtqueue.moved', 'virtio.request'];
    const answer = [
      'virtio.answered',
      'virtqueue.moved',
      'vdriver.moved',
      'vdriver.polled',
      'vdriver.locked',
    ];
    expect(facts(booted)).toEqual([
      ...['virtio.changed', 'virtio.changed', 'virtqueue.placed', 'virtqueue.placed', 'vdriver.made'],
      ...[...request, ...answer, 'vdriver.probed', 'vdriver.domained'],
      ...[...request, ...answer, 'vdriver.attached'],
    ]);
    const exits = of(booted, 'exit.taken').map(({ why, what }) => `${why} ${what}`);
    expect(exits.filter((each) => each.startsWith('notify'))).toEqual([
      'notify virtio-iommu event queue',
      'notify virtio-iommu request queue',
      'notify virtio-iommu request queue',
    ]);
    expect(exits).toContain('mmio.write virtio-iommu device_status=DRIVER_OK');
    expect(of(booted, 'exit.taken').every(({ held }) => held === undefined)).toBe(true);
  });

  it('fails where the guest has no memory for the queues', () => {
    const vm = virtioVm({}, 0, {}, { ram: [{ base: RAM, size: 0x4000 }] });
    vm.line({ op: 'guest.boot', vm: VM });
    expect(of(vm.look(), 'vdriver.failed')).toMatchObject([{ what: 'probe', why: 'ENOMEM' }]);
    expect(vm.virtio.driver).toBeUndefined();
  });
});

describe('costs, strict', () => {
  // biome-ignore format: a table
  const ranges: readonly (readonly [number, number])[] = [
    [0x10_0000, 1], [0x10_0000, 2], [0x10_0000, 3], [0x10_0000, 7], [0x10_0000, 64], [0x10_0000, 255],
    [0x10_1000, 3], [0x10_f000, 18], [0x20_0000, 512], [0x1f_f000, 514],
  ];
  it.each(ranges)('map and unmap at %i, %i pages: X = 1, I = r e', (iova, pages) => {
    for (const devices of [1, 2]) {
      const vm = bootedVm({}, devices);
      if (devices === 2) vm.task(attachFrames({ vm: VM, endpoint: 'nvme1' }, 0));
      const r = chunks(iova, pages);
      const mapped = vm.task(map(iova, pages));
      expect(costOf(mapped)).toEqual({ exits: 1, maps: r * devices, unmaps: 0, requests: r, syncs: 0 });
      for (let at = 0; at < devices; at += 1) expect(hostPages(vm, `nvme${at}`).size).toBe(pages);
      const unmapped = vm.task(unmap(iova, pages));
      // Each mapping is a request, and for each device a call and a wait of the host's driver.
      const u = r * devices;
      expect(costOf(unmapped)).toEqual({ exits: 1, maps: 0, unmaps: u, requests: r, syncs: u });
      for (let at = 0; at < devices; at += 1) expect(hostPages(vm, `nvme${at}`).size).toBe(0);
    }
  });

  it('one UNMAP over u mappings is u calls', () => {
    const vm = bootedVm();
    for (const page of [0, 1, 2, 3]) vm.task(map(0x10_0000 + page * PAGE, 1));
    const { exits, unmaps, requests } = costOf(vm.task(unmap(0x10_0000, 4)));
    expect({ exits, unmaps, requests }).toEqual({ exits: 1, unmaps: 4, requests: 1 });
  });

  it("an attach from bypass takes the guest's memory out of the IOAS: X = 1, I = a call for each slot", () => {
    const vm = virtioVm();
    expect(hostPages(vm, 'nvme0').size).toBe(RAM_BYTES / PAGE);
    vm.line({ op: 'guest.boot', vm: VM });
    const entries = vm.look();
    expect(talk(entries)).toEqual(['PROBE OK { RESV_MEM MSI 0x8090000-0x809ffff }', 'ATTACH OK']);
    expect(hostPages(vm, 'nvme0').size).toBe(0);
    const attach = entries.slice(entries.findLastIndex((entry) => entry.type === 'virtio.request') - 20);
    expect(costOf(attach)).toMatchObject({ maps: 0, unmaps: 1, requests: 1 });
    const again = vm.task(attachFrames(nvme0, 'identity'));
    expect(costOf(again)).toMatchObject({ exits: 1, maps: 1, unmaps: 0, requests: 1 });
    expect(hostPages(vm, 'nvme0').size).toBe(RAM_BYTES / PAGE);
  });

  it('a domain that gets an endpoint again has its mappings sent again, each waited for: X = 1 + mappings', () => {
    const vm = bootedVm();
    for (const page of [0, 2, 4]) vm.task(map(0x10_0000 + page * PAGE, 1));
    const left = vm.task(detachFrames(nvme0));
    expect(talk(left)).toEqual(['DETACH OK']);
    expect(hostPages(vm, 'nvme0').size).toBe(RAM_BYTES / PAGE);
    const back = vm.task(attachFrames(nvme0, 0));
    expect(talk(back)).toEqual(['ATTACH OK', 'MAP OK', 'MAP OK', 'MAP OK']);
    expect(costOf(back)).toMatchObject({ exits: 4, maps: 3, unmaps: 1 });
    expect([...hostPages(vm, 'nvme0')]).toEqual(
      [0, 2, 4].map((page) => [BigInt(0x10_0000 + page * PAGE), BigInt(RAM + 0x10_0000 + page * PAGE)]),
    );
  });
});

describe('costs, lazy', () => {
  it('every unmap sends its request, and the flush waits for all with one exit', () => {
    const vm = bootedVm();
    for (let page = 0; page < 8; page += 1) vm.task(map(0x10_0000 + page * 2 * PAGE, 1));
    const sent = Array.from({ length: 8 }, (_, page) => vm.task(unmap(0x10_0000 + page * 2 * PAGE, 1, true)));
    expect(costOf(sent.flat())).toMatchObject({ exits: 0, unmaps: 0, requests: 0 });
    // The window: the driver has let go of pages that the device can still reach.
    expect(vm.virtio.driver!.domains[0]!.mappings.size).toBe(0);
    expect(hostPages(vm, 'nvme0').size).toBe(8);
    expect(costOf(vm.task(flushFrames(VM)))).toMatchObject({ exits: 1, unmaps: 8, requests: 8 });
    expect(hostPages(vm, 'nvme0').size).toBe(0);
    expect(costOf(vm.task(flushFrames(VM)))).toMatchObject({ exits: 0, requests: 0 });
  });

  it('a full ring is waited for: 256 requests with one exit, then the next', () => {
    const vm = bootedVm();
    vm.task([...Array(300).keys()].flatMap((page) => map(0x100_0000 + page * 2 * PAGE, 1)));
    const unmaps = [...Array(300).keys()].flatMap((page) => unmap(0x100_0000 + page * 2 * PAGE, 1, true));
    expect(costOf(vm.task(unmaps))).toMatchObject({ exits: 1, unmaps: 256, requests: 256 });
    expect(costOf(vm.task(flushFrames(VM)))).toMatchObject({ exits: 1, unmaps: 44, requests: 44 });
  }, 60_000);
});
