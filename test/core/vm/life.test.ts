/** The life of a VM: made, a device plugged, the guest started, the device taken away, the VMM killed. */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../core/event.ts';
import { nextUnit, readyUnits } from '../../../core/run.ts';
import { bootHost, type Host, vmConfig } from '../../support/vm.ts';

function withDevice(profile: Parameters<typeof vmConfig>[0]): Host {
  const host = bootHost({ nic0: 8, nvme0: 9 });
  host.ask({ type: 'vm.create', vm: 'vm0', config: vmConfig(profile) });
  return host;
}

describe('a VM of qemu-accel', () => {
  it('is made with memory and an emulated SMMU', () => {
    const host = withDevice('qemu-accel');
    expect(host.entries.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['vm.made', 'vm.backed', 'smmu.made', 'vm.answered']),
    );
    expect(host.state.smmus['vm0.smmu']?.config).toMatchObject({ space: 'vm0', profile: 'qemu-11' });
  });

  it('plugs the first device in the order of QEMU', () => {
    const host = withDevice('qemu-accel');
    expect(host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } })).toEqual({});
    expect(host.ioctls()).toEqual([
      'VFIO_DEVICE_BIND_IOMMUFD',
      'IOMMU_IOAS_ALLOC',
      'IOMMU_HWPT_ALLOC', // the nesting parent
      'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
      'IOMMU_IOAS_MAP',
      'IOMMU_GET_HW_INFO',
      'IOMMU_VIOMMU_ALLOC',
      'IOMMU_HWPT_ALLOC', // abort
      'IOMMU_HWPT_ALLOC', // bypass
      'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
    ]);
    expect(host.all('device.plugged')).toHaveLength(1);
    expect(host.all('vm.changed').map(({ set }) => set)).toEqual([
      { iommufd: 'iommu:vm0' },
      { ioas: 2 },
      { mapped: true },
    ]);
    expect(host.all('device.changed').map(({ set }) => Object.keys(set))).toEqual([
      ['deviceId'],
      ['attached', 'hwpt'],
      ['attached', 'hwpt'],
      ['ready'],
    ]);
    expect(host.all('vsmmu.changed').map(({ set }) => Object.keys(set))).toEqual([
      ['parent', 'physical'],
      ['viommu'],
      ['abortHwpt'],
      ['bypassHwpt'],
    ]);
    expect(host.state.vms['vm0']?.devices['nic0']?.attached).toBe('bypass');
  });

  it('plugs a second device without the objects that all share', () => {
    const host = withDevice('qemu-accel');
    host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
    host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nvme0', device: { streamId: 24 } });
    expect(host.ioctls()).toEqual([
      'VFIO_DEVICE_BIND_IOMMUFD',
      'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
      'IOMMU_GET_HW_INFO',
    ]);
    expect(host.state.vms['vm0']?.devices['nvme0']?.attached).toBe('s2');
  });

  it('holds a vCPU while its trapped write is worked on', () => {
    const host = withDevice('qemu-accel');
    host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
    host.ask({ type: 'guest.boot', vm: 'vm0' });
    const held = host.all('exit.taken').filter((each) => each.held !== undefined);
    expect(held.length).toBeGreaterThan(5);
    expect(host.all('exit.ended')).toHaveLength(held.length);
    // Between the two nothing of the vCPU happens.
    for (const { seq, unit } of held) {
      const end = host.all('exit.ended').find((each) => each.seq > seq && each.unit === unit);
      const turns = host.all('turn').filter((turn) => turn.seq > seq && turn.seq < (end?.seq ?? 0));
      expect(turns.map((turn) => turn.unit)).not.toContain(unit);
    }
    expect(host.state.drivers['vm0.smmu']?.running).toBe(true);
    expect(host.all('page.allocated').map(({ what }) => what)).toContain('CMDQ');
  });

  it('frees the nested HWPT and the vDEVICE with the device, and with the last one all', () => {
    const host = withDevice('qemu-accel');
    host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
    host.ask({ type: 'guest.boot', vm: 'vm0' });
    expect(host.ask({ type: 'vm.unplug', vm: 'vm0', endpoint: 'nic0' })).toEqual({});
    expect(host.all('device.unplugged')).toHaveLength(1);
    expect(host.all('vmm.told')).toEqual([]);
    expect(host.ioctls().slice(-6)).toEqual(Array.from({ length: 6 }, () => 'IOMMU_DESTROY'));
    expect(host.state.vms['vm0']?.smmus['vm0.smmu']).toMatchObject({ viommu: 0, parent: 0, veventFd: -1 });
    expect(host.state.tasks).toEqual([]);
  });

  it('leaves nothing behind when its VMM is killed in the middle of a boot', { timeout: 60_000 }, () => {
    for (let turns = 0; turns < 200; turns += 7) {
      const { host, go } = byTurns();
      host.ask({ type: 'vm.create', vm: 'vm0', config: vmConfig('qemu-accel') });
      host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
      go(turns);
      host.ask({ type: 'vm.end', vm: 'vm0' });
      expect(host.all('vm.ended')).toHaveLength(1);
      go();
      expect(host.state.tasks).toEqual([]);
      expect(host.state.vms).toEqual({});
      expect(Object.keys(host.state.kernel?.processes ?? {})).toEqual([]);
      expect(Object.keys(host.state.kernel?.contexts ?? {})).toEqual([]);
    }
  });
});

describe('in the middle of a boot', { timeout: 60_000 }, () => {
  const nested = ['qemu-accel', 'openvmm', 'cloud-hypervisor'] as const;

  it.each(nested)(
    'a first device of %s leaves the registers that the guest has read as they are',
    (profile) => {
      for (let turns = 0; turns < 25; turns += 4) {
        const { host, go } = byTurns();
        host.ask({ type: 'vm.create', vm: 'vm0', config: vmConfig(profile) });
        host.ask({ type: 'guest.boot', vm: 'vm0' });
        go(turns);
        const before = host.state.drivers['vm0.smmu'] && host.state.smmus['vm0.smmu']?.config;
        host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
        const timeouts = go().filter(({ type }) => type === 'sync.timedout');
        expect([turns, timeouts]).toEqual([turns, []]);
        if (before !== undefined) expect(host.state.smmus['vm0.smmu']?.config).toEqual(before);
        // It has its default domain, or the VMM has said why there is no device.
        const { masters } = host.state.drivers['vm0.smmu'] ?? {};
        const there = host.state.vms['vm0']?.devices['nic0'] !== undefined;
        expect([turns, typeof masters?.['nic0']?.attached[0]]).toEqual([
          turns,
          there ? 'number' : 'undefined',
        ]);
      }
    },
  );

  it.each(nested)('a device that %s is about to take is taken all the same', (profile) => {
    for (let turns = 0; turns < 160; turns += 5) {
      const { host, go } = byTurns();
      host.ask({ type: 'vm.create', vm: 'vm0', config: vmConfig(profile) });
      host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
      go();
      host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nvme0', device: { streamId: 24 } });
      go(turns);
      host.ask({ type: 'guest.boot', vm: 'vm0' });
      // The reset of a boot and the plug are calls of one process: each has its own answer.
      const told = go(undefined, true).flatMap((each) => (each.type === 'vmm.told' ? each.what : []));
      expect([turns, told]).toEqual([turns, []]);
      const { masters } = host.state.drivers['vm0.smmu'] ?? {};
      expect([turns, typeof masters?.['nvme0']?.attached[0]]).toEqual([turns, 'number']);
    }
  });

  it.each(nested)('a device of %s that goes is let go of by the driver that knows it', (profile) => {
    for (let turns = 0; turns < 120; turns += 25) {
      const { host, go } = byTurns();
      host.ask({ type: 'vm.create', vm: 'vm0', config: vmConfig(profile) });
      host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
      go();
      host.ask({ type: 'guest.boot', vm: 'vm0' });
      go(turns);
      host.ask({ type: 'vm.unplug', vm: 'vm0', endpoint: 'nic0' });
      go();
      expect(host.state.vms['vm0']?.devices).toEqual({});
      const { masters } = host.state.drivers['vm0.smmu'] ?? {};
      expect([turns, masters?.['nic0']?.attached[0] ?? 'blocked']).toEqual([turns, 'blocked']);
    }
  });
});

describe('a device that goes under its driver', () => {
  it('is let go of when the unmap that is under way has ended', () => {
    const { host, go } = byTurns();
    host.ask({ type: 'vm.create', vm: 'vm0', config: vmConfig('qemu-accel', { cpus: 2 }) });
    host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
    host.ask({ type: 'guest.boot', vm: 'vm0' });
    go();
    const about = { vm: 'vm0', endpoint: 'nic0', bytes: 4096, cpu: 1 } as const;
    host.ask({ type: 'guest.map', ...about });
    const mapped = go().find((each) => each.type === 'dma.mapped');
    const iova = mapped?.type === 'dma.mapped' ? (mapped.iova ?? 0n) : 0n;
    host.ask({ type: 'guest.unmap', ...about, iova });
    host.ask({ type: 'turn', unit: 'vm0.cpu1' });
    host.ask({ type: 'vm.unplug', vm: 'vm0', endpoint: 'nic0' });
    // All others come first: the unplug still waits for the CPU that unmaps.
    const entries: Entry[] = [];
    for (let left = 2000; left > 0; left -= 1) {
      const unit = readyUnits(host.state).find((each) => each !== 'vm0.cpu1');
      if (unit === undefined) break;
      host.ask({ type: 'turn', unit });
      entries.push(...host.entries);
    }
    entries.push(...go());
    const ended = entries.findIndex((each) => each.type === 'dma.unmapped' && each.errno === undefined);
    const gone = entries.findIndex(
      (each) => each.type === 'master.attached' && each.driver === 'vm0.smmu' && each.to === 'blocked',
    );
    expect(ended).toBeGreaterThan(0);
    expect(gone).toBeGreaterThan(ended);
  });
});

describe('a VM of plain qemu', () => {
  it('emulates its devices, and refuses those of the host with the reason', () => {
    const host = withDevice('qemu');
    const refused = host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { kind: 'assigned' } });
    expect(refused).toEqual({ refused: expect.stringContaining('MAP notifications') });
    host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'edu0', device: { streamId: 16 } });
    expect(host.all('endpoint.made')).toHaveLength(1);
    expect(host.ioctls()).toEqual([]);
    host.ask({ type: 'guest.boot', vm: 'vm0' });
    host.ask({ type: 'vm.unplug', vm: 'vm0', endpoint: 'edu0' });
    expect(host.all('endpoint.removed')).toHaveLength(1);
    expect(host.state.endpoints['vm0.edu0']).toBeUndefined();
  });
});

/** A host whose turns a test gives; `go` gives so many, or all that there are, and returns their entries. Mixed: all units come on. */
function byTurns(): { readonly host: Host; go(count?: number, mixed?: boolean): readonly Entry[] } {
  const host = bootHost({ nic0: 8, nvme0: 9 }, { schedule: 'manual' });
  const go = (count = 10_000, mixed = false): readonly Entry[] => {
    const seen: Entry[] = [];
    for (let left = count; left > 0 && host.state.tasks.length > 0; left -= 1) {
      const all = mixed ? readyUnits(host.state) : [];
      host.ask({ type: 'turn', unit: all[left % all.length] ?? readyOf(host) });
      seen.push(...host.entries);
    }
    return seen;
  };
  go();
  return { host, go };
}

/** The first unit that can go on, as the eager schedule has it. */
function readyOf(host: Host): string {
  return nextUnit({ ...host.state, schedule: 'eager' }) ?? host.state.tasks[0]?.unit ?? '';
}
