/** Guest memory that goes and comes: what is flushed, in which order, and what a device reaches then. */
import { describe, expect, it } from 'vitest';
import { bootGuestVm, dma, type GuestOptions, mapped } from '../../support/guest.ts';
import type { Host } from '../../support/vm.ts';

const SLOT = { gpa: 0x5000_0000, bytes: 0x20_0000 } as const;
const RAM = [
  { base: 0x4000_0000, size: 0x400_0000 },
  { base: SLOT.gpa, size: SLOT.bytes },
];

function boot(options: GuestOptions = {}): Host {
  return bootGuestVm({
    profile: 'qemu-accel',
    kernel: 'linux-7.3',
    ...options,
    vm: { ram: RAM, ...options.vm },
  });
}

/** Maps a page of the slot for nic0, and lets it be used. */
function used(host: Host): bigint {
  const { iova } = host.ask({ type: 'guest.map', vm: 'vm0', endpoint: 'nic0', pa: SLOT.gpa, bytes: 0x1000 });
  expect(dma(host, iova as bigint)).toBe('ok');
  return iova as bigint;
}

const change = (host: Host, present: boolean) => host.ask({ type: 'vm.slot', vm: 'vm0', ...SLOT, present });

const physical = (host: Host): readonly string[] =>
  host
    .all('command.fetched')
    .filter(({ smmu }) => smmu === 'smmu0')
    .map(({ command }) => command);

describe('a slot that goes', () => {
  it('is unmapped under stage 2, and all that its guest has in TLBs goes with it', () => {
    const host = boot();
    const iova = used(host);
    expect(change(host, false)).toEqual({});
    expect(host.ioctls()).toEqual(['IOMMU_IOAS_UNMAP']);
    expect(physical(host)).toEqual(['CMD_TLBI_S2_IPA', 'CMD_SYNC', 'CMD_TLBI_NH_ALL', 'CMD_SYNC']);
    expect(dma(host, iova)).toBe('abort');
    expect(host.all('record.raised')[0]?.record).toBe('F_TRANSLATION');
  });

  it('takes all of an ATC with it: the host does not know which IOVAs meant it', () => {
    const host = boot({ ats: true, vm: { idr: { IDR0: 0x0d44141a } } });
    used(host);
    change(host, false);
    expect(physical(host).slice(4)).toEqual(['CMD_ATC_INV', 'CMD_SYNC']);
  });

  it('is given back to the host only when that is complete', () => {
    const host = boot();
    used(host);
    change(host, false);
    const last = host.all('sync.completed').at(-1)?.seq ?? 0;
    expect(host.all('mapping.removed')[0]?.seq).toBeGreaterThan(last);
    expect(host.all('vm.backed')[0]?.slots.map(({ gpa }) => gpa)).toEqual([0x4000_0000]);
  });

  it('has no pages for the guest any more, and is not there for its stores', () => {
    const host = boot();
    change(host, false);
    for (let pages = 0; pages < 40; pages += 1)
      expect(host.ask({ type: 'guest.map', vm: 'vm0', endpoint: 'nic0', bytes: 0x1000 })['pa']).toBeLessThan(
        SLOT.gpa,
      );
    expect(host.state.spaces['vm0']).toHaveLength(1);
  });

  it('leaves other mappings alone: they are walked anew', () => {
    const host = boot();
    const other = mapped(host);
    used(host);
    expect(dma(host, other)).toBe('ok');
    change(host, false);
    expect(dma(host, other)).toBe('ok');
    expect(host.all('tlb.filled').length).toBeGreaterThan(0);
  });

  it('that is gone already changes nothing', () => {
    const host = boot();
    change(host, false);
    expect(change(host, false)).toEqual({});
    expect(host.ioctls()).toEqual([]);
  });

  it('cannot go while a queue of hardware is in it', () => {
    const host = boot({ profile: 'qemu-cmdqv', param: 0x4231 });
    const whole = { gpa: 0x4000_0000, bytes: 0x400_0000 };
    // The guest's queues lie in the first slot or in the second: one of them is pinned.
    const answers = [whole, SLOT].map((slot) =>
      host.ask({ type: 'vm.slot', vm: 'vm0', ...slot, present: false }),
    );
    expect(answers).toContainEqual({ errno: 'EBUSY' });
  });
});

describe('a slot that comes', () => {
  it('has new memory, which devices reach', () => {
    const host = boot();
    const iova = used(host);
    const before = host.all('access.completed')[0]?.pa;
    change(host, false);
    expect(change(host, true)).toEqual({});
    expect(host.ioctls()).toEqual(['IOMMU_IOAS_MAP']);
    expect(physical(host)).toEqual([]);
    expect(dma(host, iova)).toBe('ok');
    expect(before).toBeDefined();
  });
});

describe('a VMM that forgets the unmap', () => {
  it('lets devices reach memory that the guest has lost, and cannot map what comes in its place', () => {
    const host = boot();
    const iova = used(host);
    host.ask({ type: 'set', path: 'vm0.quirks.keep-slot-mapped', value: true });
    expect(change(host, false)).toEqual({});
    expect(physical(host)).toEqual([]);
    expect(dma(host, iova)).toBe('ok');
    expect(change(host, true)).toEqual({ errno: 'EEXIST' });
  });
});
