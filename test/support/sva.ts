/** A host whose processes devices are bound to, and lines about them with the usual names in place. */
import { decode } from '../../core/layout/layout.ts';
import { CD } from '../../core/smmu/cd.ts';
import { type Host, host } from './kernel.ts';

export function booted(smmu: object = {}, machine: object = {}): Host {
  const made = host(
    {},
    {
      ram: [{ base: '0x0', size: '0x40000000' }],
      smmus: [{ name: 'smmu0', profile: 'everything', ...smmu }],
      endpoints: [
        { name: 'acc0', smmu: 'smmu0', streamId: 16, ssidBits: 4, ats: true, atc: 'unbounded' },
        { name: 'acc1', smmu: 'smmu0', streamId: 17, ssidBits: 4 },
        { name: 'old0', smmu: 'smmu0', streamId: 18 },
      ],
      ...machine,
    },
  );
  made.look();
  return made;
}
export const VA = '0x400000';
/** The first behind those of the three default domains. */
export const ASID = 4;

export const map = (on: Host, more: object = {}) =>
  on.line({ op: 'mm.map', mm: 'app', va: VA, bytes: 8192, ...more });
export const bind = (on: Host, more: object = {}) =>
  on.line({ op: 'sva.bind', endpoint: 'acc0', mm: 'app', ...more });
export const unbind = (on: Host, more: object = {}) =>
  on.line({ op: 'sva.unbind', endpoint: 'acc0', mm: 'app', ...more });
export const dma = (on: Host, more: object = {}) =>
  on.line({ op: 'dma', endpoint: 'acc0', ssid: 1, iova: VA, bytes: 8, access: 'read', ...more });
export const bonds = (on: Host) =>
  Object.values(on.state.mms ?? {})[0]?.bonds.map(({ endpoint, users }) => [endpoint, users]);

/** The CD of a SubstreamID as it stands in memory. */
export function cdOf({ state }: Host, endpoint: string, ssid: number) {
  const table = state.drivers['smmu0']?.masters[endpoint]?.cdTable;
  return decode(CD, state.memory.readWords((table?.pa ?? 0) + ssid * 64, 16));
}
