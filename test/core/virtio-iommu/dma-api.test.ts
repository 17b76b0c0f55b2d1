/**
 * The DMA API over a virtio-iommu, by the lines that a scenario has: the same IOVAs and flush queues as over an
 * SMMU, with requests in the place of tables and commands. What of it costs an exit, and what does not.
 */
import { describe, expect, it } from 'vitest';
import {
  bootedVm,
  costOf,
  hostPages,
  of,
  PAGE,
  RAM,
  RAM_BYTES,
  talk,
  type VirtioVm,
  VM,
} from '../../support/virtio-vm.ts';

const lineOf = (vm: VirtioVm, op: string, more: object) =>
  vm.line({ op, vm: VM, endpoint: 'nvme0', ...more });
const map = (vm: VirtioVm, bytes: number, more: object = {}) => lineOf(vm, 'guest.map', { bytes, ...more });
const unmap = (vm: VirtioVm, iova: unknown, bytes: number) => lineOf(vm, 'guest.unmap', { iova, bytes });
const attach = (vm: VirtioVm, to: string) => lineOf(vm, 'guest.attach', { to });

describe('guest.map and guest.unmap', () => {
  it('strict: one exit each, and an IOVA is free when the page cannot be reached', () => {
    const vm = bootedVm();
    const { iova } = map(vm, PAGE);
    expect(costOf(vm.look())).toMatchObject({ exits: 1, maps: 1, requests: 1 });
    expect(hostPages(vm, 'nvme0').size).toBe(1);
    unmap(vm, iova, PAGE);
    const entries = vm.look();
    expect(costOf(entries)).toMatchObject({ exits: 1, unmaps: 1, requests: 1 });
    const types = entries.map(({ type }) => type);
    expect(types.indexOf('iova.freed')).toBeGreaterThan(types.lastIndexOf('virtio.answered'));
    expect(map(vm, PAGE)['iova']).toEqual(iova);
  });

  it('a scatter list is a request for each piece, and one exit', () => {
    const vm = bootedVm();
    const sg = [2, 8, 5].map((page) => ({ pa: RAM + page * PAGE, bytes: PAGE }));
    expect(map(vm, 3 * PAGE, { sg })['errno']).toBeUndefined();
    const entries = vm.look();
    expect(costOf(entries)).toMatchObject({ exits: 1, maps: 3, requests: 3 });
    expect([...hostPages(vm, 'nvme0').values()]).toEqual(sg.map(({ pa }) => BigInt(pa)));
  });

  it('access and kind go along: read, write, registers of a device', () => {
    const vm = bootedVm();
    map(vm, PAGE, { access: 'read' });
    map(vm, PAGE, { pa: 0x809_0000, iova: 0x1000_0000, device: true });
    const flags = of(vm.look(), 'vdriver.mapped').map((each) => each.flags);
    expect(flags).toEqual([1, 7]);
  });

  it('a vCPU that did not come first waits for the request lock, and both end', () => {
    const vm = bootedVm({}, 1, { schedule: 'manual' });
    map(vm, PAGE, { cpu: 0 });
    map(vm, PAGE, { cpu: 1 });
    vm.line({ op: 'run' });
    expect(of(vm.look(), 'dma.mapped').map(({ cpu, errno }) => [cpu, errno])).toEqual([
      [0, undefined],
      [1, undefined],
    ]);
    expect(hostPages(vm, 'nvme0').size).toBe(2);
  });
});

describe('a workload', () => {
  it('loses and mixes up nothing, assigned or emulated, and each unmap is an exit', () => {
    const vm = bootedVm();
    vm.line({ op: 'vm.plug', vm: VM, endpoint: 'net0', kind: 'emulated', streamId: 32 });
    vm.line({ op: 'run' });
    for (const endpoint of ['nvme0', 'net0']) {
      vm.look();
      const outcome = vm.line({ op: 'guest.work', vm: VM, endpoint, kind: 'nvme', count: 12 });
      expect(outcome).toMatchObject({ done: 24, refused: 0, failed: 0, corrupt: 0 });
      const entries = vm.look();
      const { exits, maps, unmaps } = costOf(entries);
      expect([exits, of(entries, 'dma.unmapped').length]).toEqual([24, 12]);
      expect(maps > 0 && maps === unmaps).toBe(endpoint === 'nvme0');
    }
  });
});

describe('lazy', () => {
  it('255 unmaps wait in the flush queue, and their requests in the ring; the next flushes', () => {
    const vm = bootedVm();
    attach(vm, 'dma-fq');
    const iovas = Array.from({ length: 256 }, () => map(vm, PAGE)['iova']);
    vm.look();
    for (const iova of iovas.slice(0, 255)) unmap(vm, iova, PAGE);
    expect(costOf(vm.look())).toMatchObject({ exits: 0, requests: 0, unmaps: 0 });
    expect(hostPages(vm, 'nvme0').size).toBe(256);
    unmap(vm, iovas[255], PAGE);
    const entries = vm.look();
    expect(of(entries, 'fq.flushed')).toHaveLength(1);
    expect(costOf(entries)).toMatchObject({ exits: 1, requests: 256, unmaps: 256 });
    expect(of(entries, 'fq.released').map(({ count }) => count)).toEqual([255]);
  }, 60_000);

  it('a map waits for the unmaps before it, for its doorbell is theirs', () => {
    const vm = bootedVm();
    attach(vm, 'dma-fq');
    const { iova } = map(vm, PAGE);
    unmap(vm, iova, PAGE);
    vm.look();
    map(vm, PAGE);
    const entries = vm.look();
    expect(talk(entries)).toEqual(['UNMAP OK', 'MAP OK']);
    expect(costOf(entries)).toMatchObject({ exits: 1, maps: 1, unmaps: 1 });
  });

  it('the timer ends the window', () => {
    const vm = bootedVm();
    attach(vm, 'dma-fq');
    unmap(vm, map(vm, PAGE)['iova'], PAGE);
    vm.look();
    expect(vm.line({ op: 'turn', unit: `${VM}.virtio-iommu.fq-timer` })).toEqual({ moved: true });
    vm.line({ op: 'run' });
    const entries = vm.look();
    expect(costOf(entries)).toMatchObject({ exits: 1, unmaps: 1 });
    expect(of(entries, 'iova.freed')).toHaveLength(1);
    expect(hostPages(vm, 'nvme0').size).toBe(0);
  });
});

describe('guest.attach', () => {
  it('to identity and back: the old domain is closed, the new one is empty', () => {
    const vm = bootedVm();
    const { iova } = map(vm, PAGE);
    expect(attach(vm, 'identity')).toEqual({ errno: 'EBUSY' });
    unmap(vm, iova, PAGE);
    vm.look();
    expect(attach(vm, 'identity')).toEqual({});
    const entries = vm.look();
    expect(talk(entries)).toEqual(['ATTACH OK']);
    expect(of(entries, 'vdriver.closed').map(({ domain }) => domain)).toEqual([0]);
    expect(hostPages(vm, 'nvme0').size).toBe(RAM_BYTES / PAGE);
    const hex = `0x${RAM.toString(16)}`;
    expect(map(vm, PAGE, { pa: RAM })).toEqual({ iova: hex, pa: hex });
    expect(attach(vm, 'dma')).toEqual({});
    expect(hostPages(vm, 'nvme0').size).toBe(0);
    vm.look();
    lineOf(vm, 'guest.detach', {});
    expect(talk(vm.look())).toEqual(['DETACH OK']);
    expect(map(vm, PAGE)).toEqual({ errno: 'ENODEV' });
  });

  it('at boot goes by the platform: identity, lazy, or nothing', () => {
    const booted = (defaultDomain: string): VirtioVm => bootedVm({}, 1, {}, { defaultDomain });
    expect(hostPages(booted('identity'), 'nvme0').size).toBe(RAM_BYTES / PAGE);
    expect(map(booted('blocked'), PAGE)).toEqual({ errno: 'ENODEV' });
    const lazy = booted('dma-fq');
    unmap(lazy, map(lazy, PAGE)['iova'], PAGE);
    expect(of(lazy.look(), 'dma.unmapped')).toMatchObject([{ lazy: true }]);
  });
});
