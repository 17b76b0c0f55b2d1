/** A guest's queues of hardware: no trap from the publishing to the poll, what they put in and refuse, their ends. */
import { describe, expect, it } from 'vitest';
import { PARAM } from '../../../core/cmdqv/param.ts';
import { CMDQ_ALLOC, CMDQ_BASE, SID_MATCH, VINTF_CONFIG } from '../../../core/cmdqv/unit.ts';
import { decode } from '../../../core/layout/layout.ts';
import { resolvePath } from '../../../core/path.ts';
import { bootGuestVm, costOf, dma, type GuestOptions, mapped, unmap } from '../../support/guest.ts';
import type { Host } from '../../support/vm.ts';

const DRIVER = 'vm0.smmu';
/** VER 1, 8 queues, 4 interfaces of 2 queues each, 16 pairs of StreamIDs. */
const UNIT = 0x4231;
const ATS = { idr: { IDR0: 0x0d44141a, IDR3: 0x1004 } };

function boot(options: GuestOptions = {}): Host {
  return bootGuestVm({ profile: 'qemu-cmdqv', kernel: 'linux-7.3', param: UNIT, ...options });
}

const physical = (host: Host, register: string): number => host.state.smmus['smmu0']?.regs[register] ?? 0;

describe('a guest with queues of hardware', () => {
  it('boots in the order of QEMU: information, vIOMMU and its page, events, queues', () => {
    const host = boot();
    expect(host.ioctls()).toContain('IOMMU_HW_QUEUE_ALLOC');
    const [vintf] = [physical(host, 'VINTF1_CONFIG')];
    expect(decode(VINTF_CONFIG, [vintf])).toEqual({ EN: true, VMID: 1, HYP_OWN: false });
    expect(decode(SID_MATCH, [physical(host, 'VINTF1_SID_MATCH0')])).toEqual({ ENABLE: true, VSID: 16 });
    expect(physical(host, 'VINTF1_SID_REPLACE0')).toBe(8);
    expect(decode(CMDQ_ALLOC, [physical(host, 'VCMDQ3_ALLOC')])).toEqual({
      ALLOCATED: true,
      VINTF: 1,
      LVCMDQ: 1,
    });
    const base = [physical(host, 'VCMDQ2_BASE'), physical(host, 'VCMDQ2_BASE_HI')];
    expect(decode(CMDQ_BASE, base)).toMatchObject({ LOG2SIZE: 8 });
    expect(decode(PARAM, [UNIT])).toEqual({ VER: 1, VCMDQ_LOG2: 3, VINTF_LOG2: 2, SID_PER_VM_LOG2: 4 });
    expect([0, 1, 2, 3].map((queue) => physical(host, `VCMDQ${queue}_STATUS`))).toEqual([0, 0, 1, 1]);
    expect(resolvePath(host.state, 'vm0.iommufd.smmu.secondVintf')).toMatchObject({ value: 1 });
  });

  it.each`
    pages | ats      | cost
    ${1}  | ${false} | ${{ exits: 0, light: 0, ioctls: 0, commands: 1, syncs: 1 }}
    ${64} | ${false} | ${{ exits: 0, light: 0, ioctls: 0, commands: 64, syncs: 1 }}
    ${1}  | ${true}  | ${{ exits: 0, light: 0, ioctls: 0, commands: 2, syncs: 2 }}
  `('unmaps $pages pages without exit or ioctl, ATS $ats', ({ pages, ats, cost }) => {
    const host = boot({ ats, vm: ATS });
    const iova = mapped(host, pages * 0x1000);
    expect(dma(host, iova)).toBe('ok');
    unmap(host, iova, pages * 0x1000);
    expect(costOf(host)).toEqual(cost);
    expect(dma(host, iova)).toBe('abort');
  });

  it('has the VMID and the StreamID put in by hardware', () => {
    const host = boot({ ats: true, vm: ATS });
    const iova = mapped(host);
    dma(host, iova);
    unmap(host, iova);
    const fetched = host
      .all('command.fetched')
      .map(({ queue, command, lo }) => [queue, command, Number((lo >> 32n) & 0xffffn)]);
    expect(fetched.filter(([, command]) => command !== 'CMD_SYNC')).toEqual([
      ['VCMDQ2', 'CMD_TLBI_NH_VA', 1],
      ['VCMDQ2', 'CMD_ATC_INV', 8],
    ]);
  });

  it('uses the queue of its CPU, and queues do not wait for each other', () => {
    const host = boot();
    const iovas = [0, 1, 2, 3].map((cpu) => mapped(host, 0x1000, { cpu }));
    const used = iovas.map((iova, cpu) => {
      unmap(host, iova, 0x1000, { cpu });
      return host.all('command.fetched')[0]?.queue;
    });
    expect(used).toEqual(['VCMDQ2', 'VCMDQ3', 'VCMDQ2', 'VCMDQ3']);
  });

  it('is invalidated whatever the schedule, from several CPUs at once', () => {
    for (let seed = 1; seed <= 6; seed += 1) {
      const host = boot({ machine: { schedule: 'seeded', seed } });
      const iovas = [0, 1, 2, 3].map((cpu) => mapped(host, 0x1000, { cpu }));
      for (const iova of iovas) expect(dma(host, iova)).toBe('ok');
      for (const [cpu, iova] of iovas.entries()) unmap(host, iova, 0x1000, { cpu });
      for (const iova of iovas) expect(dma(host, iova)).toBe('abort');
      expect(host.state.tasks).toEqual([]);
    }
  });

  it('goes over the wrap of its queue', () => {
    const host = boot();
    for (let round = 0; round < 260; round += 1) unmap(host, mapped(host));
    expect([physical(host, 'VCMDQ2_PROD'), physical(host, 'VCMDQ2_CONS')]).toEqual([520 % 512, 520 % 512]);
  });
});

describe('a command that a queue of a guest does not take', () => {
  const wrong = (): Host => {
    const host = boot();
    host.ask({ type: 'set', path: `${DRIVER}.quirks.second-takes-all`, value: true });
    host.ask({ type: 'guest.attach', vm: 'vm0', endpoint: 'nic0', to: 'identity' });
    return host;
  };

  it('stops it with CERROR_ILL; interrupt, vEVENT and the guest follow, without a trap of the guest', () => {
    const host = wrong();
    const rejected = host.all('command.rejected').filter(({ queue }) => queue === 'VCMDQ2');
    expect(rejected.length).toBeGreaterThan(0);
    expect(rejected[0]).toMatchObject({
      error: 'CERROR_ILL',
      why: 'a queue of a guest does not take CMD_CFGI_STE',
    });
    expect(host.all('interrupt.raised').map(({ source }) => source)).toEqual(
      expect.arrayContaining(['CMDQV', 'VCMDQ']),
    );
    expect(host.all('vevent.queued')[0]?.words).toEqual([1n, 0n]);
    expect(physical(host, 'VCMDQ2_GERROR')).toBe(physical(host, 'VCMDQ2_GERRORN'));
    expect(physical(host, 'VCMDQ2_CONS')).toBe(physical(host, 'VCMDQ2_PROD'));
    expect(host.all('exit.taken').filter(({ what }) => what.includes('GERROR'))).toEqual([]);
    expect(host.state.tasks).toEqual([]);
  });

  it('does nothing: the STE is as it was', () => {
    expect(wrong().state.vms['vm0']?.devices['nic0']?.attached).toBe('nested');
  });

  it('does not concern another queue of the unit, or the main one', () => {
    const host = boot();
    for (const quirk of ['second-takes-all', 'ignore-errors'])
      host.ask({ type: 'set', path: `${DRIVER}.quirks.${quirk}`, value: true });
    host.ask({ type: 'guest.attach', vm: 'vm0', endpoint: 'nic0', to: 'identity' });
    expect(physical(host, 'VCMDQ2_GERROR')).not.toBe(physical(host, 'VCMDQ2_GERRORN'));
    expect(host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nvme0', device: { streamId: 17 } })).toEqual({});
  });

  it('is a CMD_ATC_INV of a StreamID without a pair', () => {
    const host = boot({ ats: true, vm: ATS });
    const iova = mapped(host);
    host.ask({ type: 'set', path: 'schedule', value: 'manual' });
    host.ask({ type: 'set', path: 'schedule', value: 'eager' });
    const vdevice = host.state.vms['vm0']?.devices['nic0']?.vdevice ?? 0;
    const fd = host.state.vms['vm0']?.iommufd ?? '';
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setUint32(0, 8, true);
    new DataView(bytes.buffer).setUint32(4, vdevice, true);
    host.ask({ type: 'ioctl', fd, process: 'vm0', code: 0x3b80, bytes });
    expect(physical(host, 'VINTF1_SID_MATCH0')).toBe(0);
    unmap(host, iova);
    expect(host.all('command.rejected')[0]?.why).toBe('no SID_MATCH of VINTF 1 has StreamID 0x10');
  });
});

describe('what the unit must have', () => {
  it.each`
    param     | refused
    ${0}      | ${'IOMMU_GET_HW_INFO of a CMDQV: EOPNOTSUPP'}
    ${0x4121} | ${'CMDQV: log2vcmdqs 0, at least 1 is needed'}
    ${0x2231} | ${'CMDQV: log2vsids 2, at least 4 is needed'}
  `('is compared when a device is plugged: PARAM $param', ({ param, refused }) => {
    const host = boot({ param: param === 0x4121 ? 0x4221 : param });
    expect(host.state.vms['vm0']?.devices).toEqual({});
    host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
    expect(host.all('vm.answered').map((answer) => answer.refused)).toEqual([refused]);
  });
});

describe('a queue that the kernel had no memory for', () => {
  it('is asked for again with the next write; the guest uses those alone that are enabled', () => {
    const refusals = [5, 6, 7, 8].map((failNth) => {
      const host = boot({ failNth });
      const refused = host.all('vmm.told').map(({ what }) => what);
      for (const { index } of host.state.drivers[DRIVER]?.second ?? [])
        expect(physical(host, `VCMDQ${index + 2}_STATUS`)).toBe(1);
      for (const cpu of [0, 1]) {
        const iova = mapped(host, 0x1000, { cpu });
        expect(dma(host, iova)).toBe('ok');
        unmap(host, iova, 0x1000, { cpu });
        expect(dma(host, iova)).toBe('abort');
      }
      return refused;
    });
    expect(refusals).toEqual(Array.from({ length: 4 }, () => ['IOMMU_HW_QUEUE_ALLOC: ENOMEM']));
  });
});

describe('the end of the queues', () => {
  it('comes in descending order, before the page and the vIOMMU; the main queue drains them', () => {
    const host = boot();
    expect(host.ask({ type: 'vm.unplug', vm: 'vm0', endpoint: 'nic0' })).toEqual({});
    expect(host.all('vmm.told')).toEqual([]);
    const off = host
      .all('register.written')
      .filter(({ register, value }) => /^V.*_CONFIG$/.test(register) && value === 0n);
    expect(off.map(({ register }) => register)).toEqual(['VCMDQ3_CONFIG', 'VCMDQ2_CONFIG', 'VINTF1_CONFIG']);
    const kinds = host.all('object.removed').map(({ kind }) => kind);
    expect(kinds.lastIndexOf('hw_queue')).toBeLessThan(kinds.indexOf('viommu'));
    expect(physical(host, 'VCMDQ2_BASE')).toBe(0);
  });

  it('leaves a guest that goes on by its main queue, and takes the next device', () => {
    const host = boot();
    host.ask({ type: 'vm.unplug', vm: 'vm0', endpoint: 'nic0' });
    expect(host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } })).toEqual({});
    const iova = mapped(host);
    expect(dma(host, iova)).toBe('ok');
    unmap(host, iova);
    expect(costOf(host)).toMatchObject({ exits: 2, ioctls: 1 });
    expect(dma(host, iova)).toBe('abort');
  });

  it.each([true, false])('of a VM with a dead device is not seen by the next VM: drained %s', (drained) => {
    const host = boot({ ats: true, vm: ATS });
    const iova = mapped(host);
    dma(host, iova);
    host.ask({ type: 'set', path: 'kernel.switches.drainsQueues', value: drained });
    host.ask({ type: 'set', path: 'nic0.silent', value: true });
    host.ask({ type: 'set', path: `${DRIVER}.quirks.skip-sync`, value: true });
    unmap(host, iova);
    expect(host.all('atc.timedout')).toHaveLength(1);
    host.ask({ type: 'vm.end', vm: 'vm0' });
    expect(host.all('atc.flushed').map(({ queue }) => queue)).toEqual(drained ? ['VCMDQ2'] : []);
    host.ask({ type: 'set', path: 'nic0.silent', value: false });
    host.ask({
      type: 'vm.create',
      vm: 'vm0',
      config: {
        profile: 'qemu-cmdqv',
        policies: {},
        cpus: 1,
        ram: [{ base: 0x4000_0000, size: 0x400_0000 }],
        smmus: [DRIVER],
      },
    });
    host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nvme0', device: { streamId: 17 } });
    host.ask({ type: 'guest.boot', vm: 'vm0' });
    const answer = host.ask({ type: 'guest.map', vm: 'vm0', endpoint: 'nvme0', bytes: 0x1000 });
    host.ask({
      type: 'guest.unmap',
      vm: 'vm0',
      endpoint: 'nvme0',
      iova: answer['iova'] as bigint,
      bytes: 0x1000,
    });
    const errors = host.all('command.rejected').map(({ error }) => error);
    expect(errors).toEqual(drained ? [] : ['CERROR_ATC_INV_SYNC']);
  });
});
