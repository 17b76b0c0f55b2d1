/** A guest's queue that the kernel works off: what an unmap costs, the order of its ends, what it refuses. */
import { describe, expect, it } from 'vitest';
import { offsetOf, queuePage } from '../../../core/cmdqv/registers.ts';
import { inSpace } from '../../../core/memory/space.ts';
import { nextUnit } from '../../../core/run.ts';
import { bootGuestVm, costOf, dma, mapped, unmap } from '../../support/guest.ts';
import type { Host } from '../../support/vm.ts';

const DRIVER = 'vm0.smmu';
/** No range invalidation: a command for each page. */
const PLAIN = { idr: { IDR0: 0x0d44141a, IDR3: 0x1004 } };

function queueOf(host: Host) {
  const [queue] = host.state.drivers[DRIVER]?.second ?? [];
  if (queue === undefined) throw new Error('the guest has a second queue');
  return queue;
}

/** A register of the shared page, as the guest reads it. */
function shared(host: Host, register: keyof typeof queuePage.byName): number {
  const { page } = queueOf(host);
  return host.state.memory.read32(inSpace(host.state, 'vm0', page + offsetOf(register)));
}

describe('an unmap of the guest', () => {
  it.each`
    profile         | pages | ats      | cost
    ${'sw-vcmdq'}   | ${1}  | ${false} | ${{ exits: 0, light: 1, ioctls: 0, commands: 1, syncs: 1 }}
    ${'sw-vcmdq'}   | ${63} | ${false} | ${{ exits: 0, light: 1, ioctls: 0, commands: 63, syncs: 1 }}
    ${'sw-vcmdq'}   | ${64} | ${false} | ${{ exits: 0, light: 1, ioctls: 0, commands: 64, syncs: 2 }}
    ${'sw-vcmdq'}   | ${1}  | ${true}  | ${{ exits: 0, light: 2, ioctls: 0, commands: 2, syncs: 2 }}
    ${'qemu-accel'} | ${1}  | ${false} | ${{ exits: 2, light: 0, ioctls: 1, commands: 1, syncs: 1 }}
    ${'qemu-accel'} | ${63} | ${false} | ${{ exits: 2, light: 0, ioctls: 63, commands: 63, syncs: 63 }}
    ${'qemu-accel'} | ${1}  | ${true}  | ${{ exits: 4, light: 0, ioctls: 2, commands: 2, syncs: 2 }}
  `('of $pages pages costs what it has to with $profile, ATS $ats', ({ profile, pages, ats, cost }) => {
    const host = bootGuestVm({ profile, ats, vm: PLAIN });
    const iova = mapped(host, pages * 0x1000);
    expect(dma(host, iova)).toBe('ok');
    unmap(host, iova, pages * 0x1000);
    expect(costOf(host)).toEqual(cost);
    expect(dma(host, iova)).toBe('abort');
  });

  it('is told by second.placed once, at the boot', () => {
    const host = bootGuestVm();
    expect(host.all('second.placed').map(({ queue }) => queue)).toMatchObject([
      { index: 0, kind: 'software', sizeLog2: 8 },
    ]);
  });

  it('goes through the shared page: PROD, the physical CMD_SYNC, CONS, and only then the IOVA is free', () => {
    const host = bootGuestVm();
    const iova = mapped(host);
    unmap(host, iova);
    const at = (type: string, and: (entry: never) => boolean = () => true): number =>
      host.entries.find((entry) => entry.type === type && and(entry as never))?.seq ?? Number.NaN;
    const order = [
      at('second.moved'),
      at('exit.taken'),
      at('command.fetched'),
      at('sync.completed'),
      at(
        'memory.written',
        ({ old, value }: { old: bigint; value: bigint }) => old === 2n << 32n && value !== old,
      ),
      at('iova.freed'),
    ];
    expect(order).toEqual([...order].sort((one, other) => one - other));
    expect(order.some(Number.isNaN)).toBe(false);
    expect([shared(host, 'PROD'), shared(host, 'CONS'), queueOf(host).cons]).toEqual([2, 2, 2]);
  });

  it('puts the VMID of the vIOMMU and the StreamID of the vDEVICE in', () => {
    const host = bootGuestVm({ ats: true, vm: PLAIN });
    const iova = mapped(host);
    dma(host, iova);
    unmap(host, iova);
    const [tlbi, atc] = host
      .all('command.fetched')
      .filter(({ command }) => command !== 'CMD_SYNC')
      .map(({ command, lo }) => ({ command, tag: Number((lo >> 32n) & 0xffffn) }));
    expect(tlbi).toEqual({ command: 'CMD_TLBI_NH_VA', tag: 1 });
    expect(atc).toEqual({ command: 'CMD_ATC_INV', tag: 8 });
  });

  it('goes on over the end of the queue, and over its wrap', () => {
    const host = bootGuestVm();
    for (let round = 0; round < 300; round += 1) {
      const iova = mapped(host);
      unmap(host, iova);
    }
    expect(queueOf(host)).toMatchObject({ prod: 600 % 512, cons: 600 % 512 });
    expect(shared(host, 'CONS')).toBe(600 % 512);
    expect(host.state.tasks).toEqual([]);
  });

  it('of several CPUs at once is done for each, whatever the schedule', () => {
    for (let seed = 1; seed <= 6; seed += 1) {
      const host = bootGuestVm({ machine: { schedule: 'seeded', seed } });
      const iovas = [0, 1, 2, 3].map((cpu) => mapped(host, 0x1000, { cpu }));
      for (const iova of iovas) expect(dma(host, iova)).toBe('ok');
      for (const [cpu, iova] of iovas.entries()) unmap(host, iova, 0x1000, { cpu });
      for (const iova of iovas) expect(dma(host, iova)).toBe('abort');
      expect(host.state.tasks).toEqual([]);
    }
  });
});

describe('all other commands', () => {
  it('go to the main queue, with its exits', () => {
    const host = bootGuestVm();
    const at = inSpace(host.state, 'vm0', queueOf(host).pa);
    host.ask({ type: 'guest.attach', vm: 'vm0', endpoint: 'nic0', to: 'identity' });
    // The ASID that nobody has any more is all that is for it.
    const bytes = host.all('memory.loaded').filter(({ actor, pa }) => actor === 'vm0' && pa === at);
    expect(bytes.map((stored) => stored.bytes[0])).toEqual([0x11]);
    expect(costOf(host)).toMatchObject({ light: 1 });
    expect(costOf(host).exits).toBeGreaterThan(5);
    expect(host.state.vms['vm0']?.devices['nic0']?.attached).toBe('bypass');
  });
});

describe('a queue that is fed what it does not take', () => {
  const wrong = (): Host => {
    const host = bootGuestVm();
    host.ask({ type: 'set', path: `${DRIVER}.quirks.second-takes-all`, value: true });
    host.ask({ type: 'guest.attach', vm: 'vm0', endpoint: 'nic0', to: 'identity' });
    return host;
  };

  it('stops with CERROR_ILL; the guest skips it, acknowledges, and goes on', () => {
    const host = wrong();
    const told = host.all('driver.told').map(({ driver, what }) => `${driver} ${what}`);
    expect(told).toContain('smmu0 guest queue stopped');
    expect(told).toContain(`${DRIVER} skipping command in error state`);
    expect(host.all('vmm.told').map(({ what }) => what)).toContain('second queues stopped');
    expect(host.all('interrupt.raised').map(({ source }) => source)).toContain('VCMDQ');
    expect(shared(host, 'GERROR')).toBe(shared(host, 'GERRORN'));
    expect(shared(host, 'CONS')).toBe(shared(host, 'PROD'));
    expect(host.state.tasks).toEqual([]);
  });

  it('does nothing of it: the VMM never hears of the new STE', () => {
    expect(wrong().state.vms['vm0']?.devices['nic0']?.attached).toBe('nested');
  });

  it('stands still while the guest does not acknowledge, and other queues do not', () => {
    const host = bootGuestVm();
    for (const quirk of ['second-takes-all', 'ignore-errors'])
      host.ask({ type: 'set', path: `${DRIVER}.quirks.${quirk}`, value: true });
    host.ask({ type: 'guest.attach', vm: 'vm0', endpoint: 'nic0', to: 'identity' });
    expect(shared(host, 'GERROR')).not.toBe(shared(host, 'GERRORN'));
    expect(shared(host, 'CONS') >>> 24).toBe(1);
    expect(host.all('sync.timedout').length).toBeGreaterThan(0);
    expect(host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nvme0', device: { streamId: 17 } })).toEqual({});
  });
});

describe('the life of the queue', () => {
  it('ends with the last device, before its vIOMMU', () => {
    const host = bootGuestVm();
    expect(host.ask({ type: 'vm.unplug', vm: 'vm0', endpoint: 'nic0' })).toEqual({});
    const removed = host.all('object.removed').map(({ kind }) => kind);
    expect(removed.indexOf('hw_queue')).toBeLessThan(removed.indexOf('viommu'));
    expect(host.all('vmm.told')).toEqual([]);
  });

  it('is not there in a kernel without it: the guest stays with the main queue', () => {
    const host = bootGuestVm({ kernel: 'linux-7.3' });
    expect(host.state.drivers[DRIVER]?.second).toBeUndefined();
    expect(host.all('driver.told').map(({ what }) => what)).toContain('failed to enable a second queue');
    const iova = mapped(host);
    unmap(host, iova);
    expect(costOf(host)).toMatchObject({ exits: 2, light: 0, ioctls: 1 });
  });

  it('is not used where the kernel had no memory for it: its STATUS says so, and the main queue does the work', () => {
    const lacking = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].filter((failNth) => {
      const host = bootGuestVm({ failNth });
      const refused = host.all('vmm.told').some(({ what }) => what === 'IOMMU_HW_QUEUE_ALLOC: ENOMEM');
      const second = host.state.drivers[DRIVER]?.second ?? [];
      expect(second).toHaveLength(refused ? 0 : 1);
      const iova = mapped(host);
      dma(host, iova);
      unmap(host, iova);
      expect(host.all('driver.told')).toEqual([]);
      expect(dma(host, iova)).toBe('abort');
      return refused;
    });
    expect(lacking).toHaveLength(1);
  });

  it('leaves a host that works when the VMM is killed with commands on their way', () => {
    for (let turns = 1; turns < 24; turns += 3) {
      const host = bootGuestVm();
      const iova = mapped(host);
      host.ask({ type: 'set', path: 'schedule', value: 'manual' });
      unmap(host, iova);
      const go = (count: number): void => {
        for (let left = count; left > 0; left -= 1) {
          const unit = nextUnit({ ...host.state, schedule: 'eager' });
          if (unit === undefined) return;
          host.ask({ type: 'turn', unit });
        }
      };
      go(turns);
      host.ask({ type: 'vm.end', vm: 'vm0' });
      go(10_000);
      expect(host.state.tasks).toEqual([]);
      expect(Object.keys(host.state.kernel?.contexts ?? {})).toEqual([]);
      const driver = host.state.drivers['smmu0'];
      expect(driver?.queues.CMDQ?.prod).toBe(host.state.smmus['smmu0']?.regs['CMDQ_CONS']);
    }
  });
});

describe('CONS that moves too early (softwareQueueCons: early)', () => {
  /** The guest's wait ends while the physical queue still has the command. */
  const early = (value: 'early' | 'synced'): boolean => {
    const host = bootGuestVm();
    const iova = mapped(host);
    dma(host, iova);
    host.ask({ type: 'set', path: 'kernel.switches.softwareQueueCons', value });
    host.ask({ type: 'set', path: 'schedule', value: 'manual' });
    unmap(host, iova);
    // The host's SMMU takes no turn.
    for (let left = 200; left > 0; left -= 1)
      for (const unit of ['vm0.cpu0', 'vm0.vcmdq']) host.ask({ type: 'turn', unit });
    return (
      dma(host, iova) === 'ok' &&
      host.state.drivers[DRIVER]?.dma !== undefined &&
      host.state.tasks.every(({ unit }) => unit !== 'vm0.cpu0')
    );
  };

  it('lets the guest give memory back that a device still reaches; else it waits', () => {
    expect(early('early')).toBe(true);
    expect(early('synced')).toBe(false);
  });
});

describe('the shared page', () => {
  it('stands before the commands, and has the registers of a queue of hardware', () => {
    const host = bootGuestVm();
    const { pa, page } = queueOf(host);
    expect(pa).toBe(page + 0x1000);
    expect(Object.keys(queuePage.byName)).toEqual(['CONS', 'PROD', 'CONFIG', 'STATUS', 'GERROR', 'GERRORN']);
  });
});
