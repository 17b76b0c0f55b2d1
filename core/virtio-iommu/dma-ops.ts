/** The operations of the DMA API for a guest's virtio-iommu: requests in the place of tables and commands. */
import type { IommuOps } from '../dma-api/iommu.ts';
import type { Frame } from '../tasks/task.ts';
import { returnGuestPages, takeGuestPages } from '../vm/memory.ts';
import { lowestFree } from './guest-attach.ts';
import { flushFrames, mapFrames, unmapFrames } from './guest-driver.ts';
import type { VirtioDriver } from './guest-state.ts';
import { virtioIn } from './virtio.ts';

/** Addresses are numbers in the DMA API: exact as far as this. */
const BITS_MAX = 52;

export const virtioOps: IommuOps<VirtioDriver> = {
  reserved: () => [],
  pageBytes: ({ pageSizes }) => Number(pageSizes & -pageSizes),
  attached: ({ endpoints, domains }, endpoint) => {
    const id = endpoints[endpoint]?.domain;
    if (id === undefined) return 'blocked';
    return domains[id]?.bypass === true ? 'identity' : id;
  },
  inputBits: (state, { setup, domains }, domain) => {
    const known = domains[domain] ?? virtioIn(state, setup.owner).driver?.domains[domain];
    const { last } = virtioIn(state, setup.owner).device.config.inputRange;
    return known === undefined || known.bypass ? undefined : Math.min(last.toString(2).length, BITS_MAX);
  },
  take: (context, { setup }, bytes) => {
    const align = Math.min(2 ** Math.ceil(Math.log2(bytes)), 2 ** 30);
    return takeGuestPages(context, setup.owner, bytes, align, 'buffer');
  },
  giveBack: (context, { setup, name }, pa, bytes) => returnGuestPages(context, setup.owner, pa, bytes, name),
  map: (_, { setup }, { endpoint, iova }, runs, { read, write, device = false }, after) => {
    const access = !read ? 'write' : write ? 'both' : 'read';
    let at = iova;
    for (const [index, { pa, size }] of runs.entries()) {
      const range = { vm: setup.owner, endpoint, iova: BigInt(at), pa, bytes: size, access } as const;
      const [frame, ...rest] = mapFrames({ ...range, ...(device ? { mmio: true } : {}) });
      const more = index + 1 < runs.length;
      if (frame !== undefined) after.push(more ? { ...frame, more } : frame, ...rest);
      at += size;
    }
    return undefined;
  },
  unmap: (_, { setup }, { endpoint, iova }, bytes, lazy) =>
    unmapFrames({ vm: setup.owner, endpoint, iova: BigInt(iova), bytes }, lazy),
  flush: ({ setup }) => flushFrames(setup.owner),
  attach: (context, { setup }, endpoint, to) => {
    const vm = setup.owner;
    if (to === 'blocked') return { frames: [{ do: 'vdriver.detach', vm, endpoint }] };
    const domain = lowestFree(context.state, vm);
    const bypass = to === 'identity';
    context.emit(setup.actor, { type: 'vdriver.domained', vm, domain, bypass });
    const frames: readonly Frame[] = [{ do: 'vdriver.attach', vm, endpoint, to: domain }];
    return bypass ? { frames } : { frames, domain };
  },
  // It has no domains for PASIDs.
  attachSubstream: () => ({ errno: 'EOPNOTSUPP' }),
  hasSubstreams: () => false,
  free: (_, { setup }, domain) => [{ do: 'vdriver.close', vm: setup.owner, domain }],
};
