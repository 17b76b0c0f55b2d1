/** What happens to a guest's SMMU later: hot-plug, unplug, reset and migration are columns of the same history. */
import { describe, expect, it } from 'vitest';
import { smmuConfig } from '../../../core/smmu/profiles.ts';
import { judge } from '../../../projections/caps/verdict.ts';
import { vmConfig } from '../../support/vm.ts';
import { tell } from './story.ts';

const RIL = 1 << 10;
const HOST_IDR3 = 0x7714;
const two = {
  smmus: [
    smmuConfig('everything', { name: 'smmu0', base: 0x0905_0000 }),
    smmuConfig('everything', { name: 'smmu1', base: 0x0909_0000, idr: { IDR3: HOST_IDR3 & ~RIL } }),
  ],
  endpoints: [
    { name: 'nvme0', smmu: 'smmu0', streamId: 8, ats: false, pri: false, ssidBits: 0, atc: 0 },
    { name: 'nic0', smmu: 'smmu0', streamId: 9, ats: false, pri: false, ssidBits: 0, atc: 0 },
    { name: 'nic1', smmu: 'smmu1', streamId: 9, ats: false, pri: false, ssidBits: 0, atc: 0 },
  ],
} as const;

const again = [
  { type: 'vm.end', vm: 'vm0' },
  { type: 'vm.create', vm: 'vm0', config: vmConfig('qemu-accel', { properties: { ril: 'auto' } }) },
] as const;
const plug = (endpoint: string) =>
  ({ type: 'vm.plug', vm: 'vm0', endpoint, device: { streamId: 9 } }) as const;
const vm = { properties: { ril: 'auto' } } as const;

describe('the ledger later', () => {
  it('has a hot-plug and an unplug, with what the guest was told then', () => {
    const told = tell({
      vm,
      machine: two,
      after: [plug('nic0'), { type: 'vm.unplug', vm: 'vm0', endpoint: 'nic0' }],
    });
    const { later } = told.row('IDR3.RIL');
    expect(later.map(({ what, value, by }) => `${what} ${by} ${value}`)).toEqual([
      'hot-plug nic0 1',
      'unplug nic0 1',
    ]);
    expect(told.entries.find(({ seq }) => seq === later[0]?.seq)?.type).toBe('device.plugged');
    expect(told.entries.find(({ seq }) => seq === later[1]?.seq)?.type).toBe('device.unplugged');
    // What was composed at the start is frozen.
    expect(told.row('IDR3.RIL').decision).toBe('freeze');
  });

  it('a VM that is made anew on its host is a reset: nothing is read yet, and the guest is told the same', () => {
    const told = tell({ vm, machine: two, after: [...again, plug('nvme0')] });
    const row = told.row('IDR3.RIL');
    expect(row.later.map(({ what, value }) => `${what} ${value}`)).toEqual(['reset 1']);
    expect(row.isRead).toBe(false);
    expect(row.cells.enabled).toBeUndefined();
    expect(told.row('IDR5.GRAN4K').host).toBe('smmu0');
  });

  it('before another SMMU it is a migration: the guest loses what that lacks', () => {
    const told = tell({
      vm,
      machine: two,
      after: [...again, plug('nic1'), { type: 'guest.boot', vm: 'vm0' }],
    });
    const row = told.row('IDR3.RIL');
    expect(row).toMatchObject({
      host: 'smmu1',
      isRead: true,
      cells: { guest: { value: 0 }, hardware: { value: 0 } },
    });
    expect(row.later.map(({ what, value, by }) => `${what} ${by} ${value}`)).toEqual([
      'migration smmu0 to smmu1 0',
    ]);
    expect(judge(row).verdict).toBe('ok');
  });

  it('values that are carried along are refused where they are not backed', () => {
    const kept = { ...again[1], config: vmConfig('qemu-accel') };
    const told = tell({ machine: two, after: [again[0], kept, plug('nic1')] });
    expect(told.verdict('IDR3.RIL')).toMatchObject({ verdict: 'refused' });
    expect(told.row('IDR3.RIL').later.map(({ what }) => what)).toEqual(['migration']);
  });
});
