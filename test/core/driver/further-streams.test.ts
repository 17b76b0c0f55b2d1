/**
 * A device with two StreamIDs: one to the kernel, two to the SMMU. The host's driver writes an STE for each, switches ATS
 * for both, and sends CMD_ATC_INV for both; only the device itself can be opened.
 */
import { describe, expect, it } from 'vitest';
import { checkHistory } from '../../../projections/check.ts';
import { type DmaHost, dmaHost, PAGE } from '../../support/dma-api.ts';

const endpoints = [
  { name: 'nvme0', streamId: 16, ats: true, atc: 8 },
  { name: 'nvme0_1', streamId: 90, of: 'nvme0', ats: true, atc: 8 },
];
const device = (): DmaHost => dmaHost({ smmu: { profile: 'everything' }, machine: { endpoints } });
const use = (of: DmaHost, endpoint: string, iova: string): unknown =>
  of.line({ op: 'dma', endpoint, iova, bytes: 8, access: 'read' })['result'];
const ask = (of: DmaHost, endpoint: string, iova: string): unknown =>
  of.line({ op: 'ats.translate', endpoint, iova, bytes: PAGE, access: 'read' })['result'];
const both = (each: (endpoint: string) => unknown): unknown[] => ['nvme0', 'nvme0_1'].map(each);

describe('a device with two StreamIDs', () => {
  it('is one master with both', () => {
    expect(device().state.drivers['smmu0']?.masters).toMatchObject({ nvme0: { streams: [16, 90] } });
    expect(Object.keys(device().state.drivers['smmu0']?.masters ?? {})).toEqual(['nvme0']);
  });

  it('reaches what is mapped for it with both, and nothing any more after the unmap', () => {
    const of = device();
    const entries = [...of.look()];
    const iova = of.map();
    expect(both((endpoint) => use(of, endpoint, iova))).toEqual(['ok', 'ok']);
    expect(both((endpoint) => ask(of, endpoint, iova))).toEqual(['ok', 'ok']);
    entries.push(...of.look());
    of.unmap(iova);
    const unmapped = of.look();
    const asked = unmapped.flatMap((entry) => (entry.type === 'atc.invalidated' ? [entry.streamId] : []));
    expect(asked).toEqual([16, 90]);
    expect(both((endpoint) => use(of, endpoint, iova))).toEqual(['abort', 'abort']);
    expect(checkHistory([...entries, ...unmapped, ...of.look()], of.machine, 'main')).toEqual([]);
  });

  it('is reset as a whole, and its ATCs with it', () => {
    const of = device();
    const iova = of.map();
    both((endpoint) => ask(of, endpoint, iova));
    of.line({ op: 'endpoint.set', endpoint: 'nvme0', reset: true });
    expect(both((endpoint) => of.state.endpoints[endpoint]?.atc.size)).toEqual([0, 0]);
    expect(both((endpoint) => of.state.endpoints[endpoint]?.ats)).toEqual([false, false]);
  });

  it('is opened by its own name', () => {
    expect(device().line({ op: 'open', fd: 'vfio:nvme0_1' })['errno']).toBe('ENOENT');
    expect(device().line({ op: 'open', fd: 'vfio:nvme0' })['errno']).toBeUndefined();
  });
});
