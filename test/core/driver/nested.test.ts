/**
 * A guest's stage 1 over the host's stage 2: a DMA goes through both, the VM's records reach it, and what the
 * host invalidates for the guest leaves nothing stale. And dirty state of stage 1 domains.
 */
import { describe, expect, it } from 'vitest';
import { cmdOf } from '../../../core/driver/commands.ts';
import {
  allocNested,
  allocPaging,
  attach,
  canNest,
  canTrackDirty,
  clearDirty,
  dirtyBitmap,
  hwInfo,
  mapPages,
  tracksDirty,
  unmapPages,
  viommuInvalidate,
  vmidOf,
} from '../../../core/driver/ops.ts';
import type { Entry } from '../../../core/event.ts';
import { cd, PAGE_RW, store, storeWords } from '../../support/build.ts';
import { bootedHost, commandsOf, type Host, type HostOptions, of } from '../../support/smmu-driver.ts';

const RW = { read: true, write: true } as const;
/** Where the guest's memory begins in the host's. */
const GUEST = 0x1000_0000;
/** IPAs of the guest's CD and tables; what it maps. */
const ipa = { cd: 0x1000, table: 0x10_0000, data: 0x4_0000, other: 0x5_0000 } as const;
const VSTE = [0xbn | BigInt(ipa.cd), 0n] as const;
const ASID = 3;

function pagingOf(host: Host, flags: Parameters<typeof allocPaging>[2]): number {
  const made = allocPaging(host.context, 'smmu0', flags);
  if ('errno' in made) throw new Error(made.errno);
  return made.domain;
}

/** A guest of 2 MiB whose one page of IOVA 0x7000 leads to its data. */
function guest(options: HostOptions = {}): { host: Host; parent: number } {
  const host = bootedHost(options);
  host.context.emit('kernel', { type: 'context.opened', context: 1, accounting: 'user' });
  const parent = pagingOf(host, { nestParent: true });
  mapPages(host.context, parent, 0n, [{ pa: GUEST, size: 0x20_0000 }], RW);
  const at = (address: number): number => GUEST + address;
  host.put(
    storeWords(at(ipa.cd), cd({ TTB0: ipa.table, ASID })),
    ...[0, 1, 2].map((level) =>
      store(at(ipa.table + level * 0x1000), BigInt(ipa.table + (level + 1) * 0x1000) | 3n),
    ),
    store(at(ipa.table + 0x3000 + 7 * 8), BigInt(ipa.data) | PAGE_RW),
  );
  const nested = allocNested(host.context, 'smmu0', { parentDomain: parent }, VSTE);
  if ('errno' in nested) throw new Error(nested.errno);
  const vmaster = { viommu: 4, context: 1, vsid: '7' };
  const plan = attach(host.context, 'dev0', { domain: nested.domain }, { vmaster });
  if ('errno' in plan) throw new Error(plan.errno);
  host.run(plan);
  return { host, parent };
}
const dma = (host: Host, iova = 0x7000n, access: 'read' | 'write' = 'read'): readonly Entry[] =>
  host.put({ type: 'dma', endpoint: 'dev0', iova, size: 8, access });
const pa = (entries: readonly Entry[]): number | undefined => of(entries, 'access.completed')[0]?.pa;

describe('a nested endpoint', () => {
  it('goes through both stages', () => {
    const { host } = guest();
    expect(pa(dma(host))).toBe(GUEST + ipa.data);
  });

  it("keeps a stale page until the guest has it invalidated; the VMID is the host's", () => {
    const { host, parent } = guest();
    dma(host);
    host.put(store(GUEST + ipa.table + 0x3000 + 7 * 8, BigInt(ipa.other) | PAGE_RW));
    expect(pa(dma(host))).toBe(GUEST + ipa.data);
    const view = { vmid: vmidOf(host.state, parent), streams: {} };
    const command = cmdOf('CMD_TLBI_NH_VA', { VMID: 0x33, ASID, Address: 0x7000 });
    const rules = { batchRule: 'per-block', strict: true, zeroLength: 'EINVAL' } as const;
    const about = { do: 'driver.tell', driver: 'smmu0', what: 'done' };
    host.run(viommuInvalidate(host.context, 'smmu0', view, [command], rules, about));
    expect(pa(dma(host))).toBe(GUEST + ipa.other);
  });

  it('tells its VM of a fault of its own, and the host of a fault of stage 2', () => {
    const { host } = guest();
    const told = (entries: readonly Entry[]): string[] => of(entries, 'driver.told').map(({ what }) => what);
    // IOVA 0x8000 is not mapped by the guest; IPA 2 MiB is not mapped by the host.
    expect(told(dma(host, 0x8000n))).toEqual(['event without a vEVENTQ']);
    host.put(store(GUEST + ipa.table + 0x3000 + 9 * 8, 0x20_0000n | PAGE_RW));
    expect(told(dma(host, 0x9000n))).toEqual(['event']);
  });

  it('reaches nothing of memory that the host took away', () => {
    const { host, parent } = guest({ endpoints: [{ ats: true }] });
    dma(host);
    const entries = host.run(unmapPages(host.context, parent, 0n, 0x20_0000n));
    expect(commandsOf(entries).slice(0, 4)).toEqual(['TLBI_S2_IPA', 'SYNC', 'TLBI_NH_ALL', 'SYNC']);
    expect(of(dma(host), 'access.completed')).toEqual([]);
  });

  it('needs an SMMU that can, and tells what the SMMU is', () => {
    const { host } = guest();
    expect(canNest(host.state, 'smmu0')).toBe(true);
    const far = bootedHost({ profile: 'qemu-9', boot: { platform: { canwbs: false } } });
    expect(canNest(far.state, 'smmu0')).toBe(false);
    const info = hwInfo(host.state, 'smmu0', 2);
    const words = 'bytes' in info ? new Uint32Array(info.bytes.buffer) : [];
    const { idr } = host.state.smmus['smmu0']!.config;
    expect([...words].slice(2, 4)).toEqual([idr['IDR0'], idr['IDR1']]);
    expect(words).toHaveLength(10);
    expect(hwInfo(host.state, 'smmu0', 3)).toEqual({ errno: 'EOPNOTSUPP' });
  });
});

describe('dirty state', () => {
  it('is what hardware wrote through, once', () => {
    const host = bootedHost();
    expect(canTrackDirty(host.state, 'smmu0')).toBe(true);
    const domain = pagingOf(host, { dirtyTracking: true });
    expect(tracksDirty(host.state, domain)).toBe(true);
    const plan = attach(host.context, 'dev0', { domain });
    if ('errno' in plan) throw new Error(plan.errno);
    host.run(plan);
    mapPages(host.context, domain, 0x1_0000n, [{ pa: 0x300_0000, size: 0x8000 }], RW);
    mapPages(host.context, domain, 0x20_0000n, [{ pa: 0x400_0000, size: 0x20_0000 }], RW);
    const range = { iova: 0x1_0000n, size: 0x8000n, pageSize: 0x1000n };
    // A leaf is writable as it is made, and counts as written until it was made clean.
    expect(clearDirty(host.context, domain, range)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(dirtyBitmap(host.context, domain, range)).toEqual([]);
    dma(host, 0x1_2000n, 'write');
    dma(host, 0x1_3000n, 'read');
    expect(dirtyBitmap(host.context, domain, range)).toEqual([2]);
    expect(dirtyBitmap(host.context, domain, { ...range, pageSize: 0x2000n })).toEqual([1]);
    // A block is all of its pages.
    const block = { iova: 0x20_0000n, size: 0x4000n, pageSize: 0x1000n };
    expect(dirtyBitmap(host.context, domain, block)).toEqual([0, 1, 2, 3]);
    expect(dirtyBitmap(host.context, domain, { ...block, iova: 0x80_0000n })).toEqual([]);
  });
});
