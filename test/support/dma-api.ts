/** A host whose own devices do DMA, and ways to let its CPUs map and unmap, one after the other or together. */

import type { DmaDomain } from '../../core/dma-api/state.ts';
import type { Entry } from '../../core/event.ts';
import { type Host, host, type Outcome } from './kernel.ts';

export const PAGE = 0x1000;

export interface DmaHost extends Host {
  map(more?: object): string;
  unmap(iova: string, bytes?: number, more?: object): Outcome;
  /** The default domain of `nvme0`. */
  readonly dma: DmaDomain;
}

export interface DmaOptions {
  readonly driver?: object;
  readonly machine?: object;
  readonly smmu?: object;
}

/** Its SMMU is the emulator's, with caches that nothing but invalidations empties. */
export function dmaHost({ driver = {}, machine = {}, smmu = {} }: DmaOptions = {}): DmaHost {
  const caches = { ste: 'unbounded', cd: 'unbounded', tlb: 'unbounded', walk: 'unbounded' };
  const made = host(
    { driver },
    {
      ram: [{ base: '0x0', size: '0x200000000' }],
      smmus: [{ name: 'smmu0', profile: 'qemu-7.2', caches, replacement: 'oldest', ...smmu }],
      endpoints: [
        { name: 'nvme0', streamId: 16 },
        { name: 'nic0', streamId: 17 },
      ],
      ...machine,
    },
  );
  return Object.defineProperties(
    {
      ...made,
      map: (more: object = {}) => {
        const answer = made.line({ op: 'guest.map', endpoint: 'nvme0', bytes: PAGE, ...more });
        return String(answer['iova'] ?? answer['errno'] ?? 'pending');
      },
      unmap: (iova: string, bytes = PAGE, more: object = {}) =>
        made.line({ op: 'guest.unmap', endpoint: 'nvme0', iova, bytes, ...more }),
    } as DmaHost,
    {
      state: { get: () => made.state },
      simulation: { get: () => made.simulation },
      dma: { get: () => dmaOf(made) },
    },
  );
}

function dmaOf(of: Host): DmaDomain {
  const driver = of.state.drivers['smmu0'];
  const found = driver?.dma?.[Number(driver.masters['nvme0']?.attached[0])];
  if (found === undefined) throw new Error('nothing is mapped yet');
  return found;
}

/** Commands that the SMMU took, and other events of the given types, in order, on one line. */
export function story(entries: readonly Entry[], ...types: readonly Entry['type'][]): string {
  return entries
    .flatMap((entry) => {
      if (entry.type === 'command.consumed') return [entry.command.replace('CMD_', '')];
      return types.includes(entry.type) ? [entry.type] : [];
    })
    .join(' ');
}
