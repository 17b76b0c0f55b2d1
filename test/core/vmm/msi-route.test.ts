/** Where KVM sends messages of an assigned device in the guest: what a VMM makes of the address that the guest writes. */
import { describe, expect, it } from 'vitest';
import type { VmmPolicies, VmmProfileName } from '../../../core/vmm/profiles.ts';
import { bootGuestVm, mapped, unmap } from '../../support/guest.ts';
import type { Host } from '../../support/vm.ts';

const PAGE = 0xffff_0000n;
/** The doorbell's offset in its page. */
const AT = PAGE + 0x40n;
const FRAMES = [0x808_0000, 0x809_0000] as const;
/** GITS_TRANSLATER of QEMU's board. */
const BOARD = 0x809_0040;

function boot(
  doorbell?: VmmPolicies['doorbell'],
  profile: VmmProfileName = 'qemu-accel',
  param?: number,
): Host {
  const policies = doorbell === undefined ? {} : { doorbell };
  const more = param === undefined ? {} : { param };
  return bootGuestVm({ profile, vm: { policies }, machine: { doorbell: 0x809_0040 }, ...more });
}

/** The guest maps a frame of its interrupt controller at the address that it always uses. */
function place(host: Host, pa: number): void {
  const what = { pa, bytes: 0x1000, access: 'write', device: true, iova: PAGE } as const;
  host.ask({ type: 'guest.map', vm: 'vm0', endpoint: 'nic0', ...what });
}

function program(host: Host, on = true): unknown {
  return host.ask({ type: 'guest.irq', vm: 'vm0', endpoint: 'nic0', on, iova: AT });
}

/** Where the first route leads, and the one after the frame has moved. */
function moved(host: Host): readonly unknown[] {
  place(host, FRAMES[0]);
  const first = program(host);
  unmap(host, PAGE);
  place(host, FRAMES[1]);
  return [first, program(host)].map((answer) => (answer as { readonly gpa?: number }).gpa);
}

describe('the route of messages', () => {
  it.each`
    doorbell    | routes
    ${'board'}  | ${[BOARD, BOARD]}
    ${'walked'} | ${[FRAMES[0] + 0x40, FRAMES[1] + 0x40]}
    ${'kept'}   | ${[FRAMES[0] + 0x40, FRAMES[0] + 0x40]}
  `('leads where the policy says: $doorbell', ({ doorbell, routes }) => {
    expect(moved(boot(doorbell))).toEqual(routes);
  });

  it('is walked for where the VMM sees no invalidation of the guest', () => {
    const host = boot('walked', 'qemu-cmdqv', 0x4231);
    expect(host.state.drivers['vm0.smmu']?.second).toHaveLength(2);
    expect(moved(host)).toEqual([FRAMES[0] + 0x40, FRAMES[1] + 0x40]);
  });

  it.each`
    profile               | via
    ${'qemu-accel'}       | ${'board'}
    ${'openvmm'}          | ${'walk'}
    ${'cloud-hypervisor'} | ${'board'}
  `('is that of $profile, and msi.routed says so', ({ profile, via }) => {
    const host = boot(undefined, profile);
    place(host, FRAMES[1]);
    expect(program(host)).toEqual({ gpa: BOARD });
    const about = { vm: 'vm0', endpoint: 'nic0', iova: AT, gpa: BOARD, via };
    expect(host.all('msi.routed')).toMatchObject([about]);
    const order = host.entries.map(({ type }) => type);
    expect(order.indexOf('msi.routed')).toBeLessThan(order.indexOf('ioctl.begun'));
    expect(host.ioctls()).toEqual(['VFIO_DEVICE_SET_IRQS']);
  });

  it('is none where the guest has mapped nothing: its SMMU records the fault, and VFIO is asked all the same', () => {
    const host = boot('walked');
    expect(program(host)).toEqual({});
    expect(host.all('msi.routed')).toEqual([]);
    expect(host.all('record.raised').map(({ smmu, record }) => [smmu, record])).toEqual([
      ['vm0.smmu', 'F_TRANSLATION'],
    ]);
    expect(host.all('vmm.told').map(({ what }) => what)).toEqual(['no route for messages of nic0']);
    expect(host.all('msi.programmed')).toHaveLength(1);
  });

  it('is not made when messages are turned off, or without an address', () => {
    const host = boot('walked');
    place(host, FRAMES[0]);
    expect(program(host, false)).toEqual({});
    expect(host.ask({ type: 'guest.irq', vm: 'vm0', endpoint: 'nic0', on: true })).toEqual({});
    expect(host.all('msi.routed')).toEqual([]);
  });

  it('of a stream that bypasses is the address itself', () => {
    const host = boot('walked');
    host.ask({ type: 'guest.attach', vm: 'vm0', endpoint: 'nic0', to: 'identity' });
    expect(program(host)).toEqual({ gpa: Number(AT) });
    expect(host.all('msi.routed')).toMatchObject([{ via: 'bypass' }]);
  });

  it('takes nothing from the DMA of the device: no cache of the VMM answers that', () => {
    const host = boot('kept');
    place(host, FRAMES[0]);
    program(host);
    const iova = mapped(host);
    expect(host.state.smmus['vm0.smmu']?.caches.tlb.size).toBe(1);
    unmap(host, iova);
    expect(host.state.smmus['vm0.smmu']?.caches.tlb.size).toBe(1);
  });
});
