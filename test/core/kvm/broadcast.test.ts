/** Broadcasts of a guest: whose VMID they carry, who hears them, and what a guest that trusts them comes to. */
import { describe, expect, it } from 'vitest';
import { bootGuestVm, costOf, dma, type GuestOptions, mapped, unmap } from '../../support/guest.ts';
import { bootHost, type Host, vmConfig } from '../../support/vm.ts';

type Btm = 'masked' | 'forwarded' | 'linked';

/** KVM's number is another than the first that an SMMU gives. */
const VMID = 7;

function trusting(btm: Btm, switches: Readonly<Record<string, unknown>>, more: GuestOptions = {}): Host {
  return bootGuestVm({
    profile: 'qemu-accel',
    kernel: 'linux-7.3',
    platform: { broadcast: true },
    vm: { vmid: VMID, policies: { btm } },
    machine: { kernel: { profile: 'linux-7.3', switches } as never },
    ...more,
  });
}

const isTold = (host: Host): boolean => ((host.state.smmus['vm0.smmu']?.regs['IDR0'] ?? 0) & 0x20) !== 0;

describe('IDR0.BTM of a guest, and whether what it promises is so', () => {
  // The cells of the matrix of kernels, ways of reporting, and VMMs.
  it.each`
    vbtm     | hwInfoIdr      | btm            | told     | good
    ${false} | ${'raw'}       | ${'forwarded'} | ${true}  | ${false}
    ${false} | ${'raw'}       | ${'masked'}    | ${false} | ${true}
    ${false} | ${'raw'}       | ${'linked'}    | ${false} | ${true}
    ${false} | ${'sanitised'} | ${'forwarded'} | ${false} | ${true}
    ${false} | ${'sanitised'} | ${'masked'}    | ${false} | ${true}
    ${false} | ${'sanitised'} | ${'linked'}    | ${false} | ${true}
    ${true}  | ${'raw'}       | ${'forwarded'} | ${true}  | ${false}
    ${true}  | ${'raw'}       | ${'masked'}    | ${false} | ${true}
    ${true}  | ${'raw'}       | ${'linked'}    | ${true}  | ${true}
    ${true}  | ${'sanitised'} | ${'forwarded'} | ${true}  | ${false}
    ${true}  | ${'sanitised'} | ${'masked'}    | ${false} | ${true}
    ${true}  | ${'sanitised'} | ${'linked'}    | ${true}  | ${true}
  `('kernel with vbtm $vbtm, $hwInfoIdr, VMM $btm', ({ vbtm, hwInfoIdr, btm, told, good }) => {
    const host = trusting(btm, { vbtm, hwInfoIdr });
    expect(isTold(host)).toBe(told);
    const iova = mapped(host);
    expect(dma(host, iova)).toBe('ok');
    unmap(host, iova);
    expect(dma(host, iova)).toBe(good ? 'abort' : 'ok');
  });
});

describe('a guest that trusts broadcasts', () => {
  it('unmaps without a command, an exit or an ioctl', () => {
    const host = trusting('linked', { vbtm: true });
    const iova = mapped(host, 0x3000);
    dma(host, iova);
    unmap(host, iova, 0x3000);
    expect(costOf(host)).toEqual({ exits: 0, light: 0, ioctls: 0, commands: 0, syncs: 0 });
    expect(host.all('broadcast.received').map(({ operation, vmid, why }) => [operation, vmid, why])).toEqual(
      Array.from({ length: 3 }, () => ['VALE1', VMID, undefined]),
    );
  });

  it('still needs commands where IDR0.BTM=0', () => {
    const host = trusting('masked', {});
    const iova = mapped(host);
    unmap(host, iova);
    expect(costOf(host)).toMatchObject({ exits: 2, ioctls: 1, commands: 1 });
  });

  it('keeps CMD_ATC_INV: instructions do not reach an ATC', () => {
    const host = trusting(
      'linked',
      { vbtm: true },
      {
        ats: true,
        vm: { vmid: VMID, policies: { btm: 'linked' }, idr: { IDR0: 0x0d44143a } },
      },
    );
    const iova = mapped(host);
    dma(host, iova);
    unmap(host, iova);
    const names = host
      .all('command.fetched')
      .filter(({ smmu }) => smmu === 'smmu0')
      .map(({ command }) => command);
    expect(names).toEqual(['CMD_ATC_INV', 'CMD_SYNC']);
  });

  it('is deaf where the host leaves CR2.PTM=1', () => {
    const host = trusting('forwarded', { hwInfoIdr: 'raw' });
    const iova = mapped(host);
    dma(host, iova);
    unmap(host, iova);
    expect(host.all('broadcast.received').map(({ smmu, why }) => [smmu, why])).toEqual([
      ['smmu0', 'CR2.PTM=1'],
    ]);
  });
});

describe('the VMID of KVM', () => {
  const vmids = (host: Host): unknown =>
    Object.fromEntries(Object.entries(host.state.vms).map(([vm, { kvm }]) => [vm, kvm?.vmid]));

  it('is the lowest free one, or what the scenario says', () => {
    const host = bootHost({});
    for (const [vm, vmid] of [
      ['vm0', undefined],
      ['vm1', 3],
      ['vm2', undefined],
    ] as const)
      host.ask({
        type: 'vm.create',
        vm,
        config: { ...vmConfig('qemu'), smmus: [`${vm}.smmu`], ...(vmid === undefined ? {} : { vmid }) },
      });
    expect(vmids(host)).toEqual({ vm0: 1, vm1: 3, vm2: 2 });
    expect(host.all('kvm.vmid')).toMatchObject([{ vm: 'vm2', vmid: 2, pinned: false }]);
  });

  it('has nothing to do with that of its stage 2, unless it is linked', () => {
    const stage2 = (btm: Btm): unknown => {
      const host = trusting(btm, { vbtm: true });
      const [viommu] = [...(host.state.kernel?.contexts[1]?.objects.range() ?? [])].flatMap(([, each]) =>
        each.kind === 'viommu' ? [each.vmid] : [],
      );
      return viommu;
    };
    expect(stage2('masked')).toBe(1);
    expect(stage2('linked')).toBe(VMID);
  });

  it('changes with the generation, but for one that is pinned', () => {
    for (const [btm, stays] of [
      ['masked', false],
      ['linked', true],
    ] as const) {
      const host = trusting(btm, { vbtm: true });
      expect(host.ask({ type: 'kvm.rollover' })).toEqual({});
      expect((vmids(host) as { vm0: number }).vm0 === VMID).toBe(stays);
      const iova = mapped(host);
      dma(host, iova);
      unmap(host, iova);
      expect(dma(host, iova)).toBe('abort');
    }
  });

  it('that stage 2 of another VM has already is refused: entries of the two would be one', () => {
    const host = trusting('masked', { vbtm: true });
    host.ask({
      type: 'vm.create',
      vm: 'vm1',
      config: { ...vmConfig('qemu-accel', { vmid: 1, policies: { btm: 'linked' } }), smmus: ['vm1.smmu'] },
    });
    host.ask({ type: 'vm.plug', vm: 'vm1', endpoint: 'nvme0', device: { streamId: 17 } });
    expect(host.all('vm.answered').map(({ refused }) => refused)).toEqual(['no nesting parent: ENOSPC']);
  });
});

describe('kvm.tlbi', () => {
  it('carries the VMID of KVM, whatever the guest knows', () => {
    const host = trusting('linked', { vbtm: true });
    const iova = mapped(host);
    dma(host, iova);
    expect(host.ask({ type: 'kvm.tlbi', vm: 'vm0', operation: 'VMALLE1' })).toEqual({});
    expect(host.all('broadcast.received')).toMatchObject([
      { smmu: 'smmu0', operation: 'VMALLE1', vmid: VMID },
    ]);
    expect(host.all('cache.invalidated').length).toBeGreaterThan(0);
    host.ask({
      type: 'kvm.tlbi',
      vm: 'vm0',
      operation: 'RVAE1',
      asid: 1,
      va: iova,
      tg: '4KB',
      num: 0,
      scale: 0,
      ttl: 3,
    });
    expect(host.all('broadcast.received')).toMatchObject([{ operation: 'RVAE1', asid: 1, va: iova }]);
  });
});
