/**
 * Mappings of a domain against a plain array of pages, by random MAPs and UNMAPs: statuses, every translation,
 * and what the host is told, which must come to the same mappings by itself.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeRequest, statusOf } from '../../../core/virtio-iommu/codec.ts';
import { alignedPiece, type HostStep } from '../../../core/virtio-iommu/host.ts';
import type { DeviceProfile } from '../../../core/virtio-iommu/profiles.ts';
import type { IommuDevice } from '../../../core/virtio-iommu/state.ts';
import type { StatusName } from '../../../core/virtio-iommu/structs.ts';
import { showFault, translateAccess } from '../../../core/virtio-iommu/translate.ts';
import { deviceOf, serveRequest, showStep } from '../../support/virtio.ts';

const PAGES = 48;
const PAGE = 0x1000n;
const SEED = 20261121;

/** A page: number of the MAP it is of, and the guest's page. */
interface Page {
  readonly mapping: number;
  readonly gpa: bigint;
}

const addressOf = (page: number): bigint => BigInt(page) * PAGE;
const range = fc.tuple(fc.nat(PAGES - 1), fc.integer({ min: 1, max: 12 })).map(([first, count]) => ({
  first,
  last: Math.min(first + count, PAGES) - 1,
}));
const action = fc.record({
  do: fc.constantFrom('map', 'map', 'unmap'),
  range,
  gpa: fc.nat(1000),
});

function modelOf(profile: DeviceProfile) {
  const pages: (Page | undefined)[] = new Array(PAGES).fill(undefined);
  let mappings = 0;
  return {
    pages,
    map(first: number, last: number, gpa: bigint): StatusName {
      if (pages.slice(first, last + 1).some((each) => each !== undefined)) return 'INVAL';
      mappings += 1;
      for (let at = first; at <= last; at += 1)
        pages[at] = { mapping: mappings, gpa: gpa + BigInt(at - first) };
      return 'OK';
    },
    unmap(first: number, last: number): StatusName {
      for (let at = first; at <= last; at += 1) {
        const page = pages[at];
        if (page === undefined) continue;
        const all = pages.flatMap((each, index) => (each?.mapping === page.mapping ? [index] : []));
        if (all[0]! >= first && all.at(-1)! <= last) continue;
        if (profile === 'qemu-9.2') for (let done = first; done < at; done += 1) pages[done] = undefined;
        return 'RANGE';
      }
      for (let at = first; at <= last; at += 1) pages[at] = undefined;
      return 'OK';
    },
  };
}

/** Does a step in the host: pages by address. What is wrong with it, if anything. */
function applied(host: Map<bigint, bigint>, step: HostStep): readonly string[] {
  if (step.do === 'switch') return [];
  const { iova, size } = step;
  const wrong = iova % size === 0n && (size & (size - 1n)) === 0n ? [] : [`${showStep(step)} is not aligned`];
  for (let at = 0n; at < size; at += PAGE) {
    if (host.has(iova + at) !== (step.do === 'unmap')) wrong.push(`${showStep(step)} at ${iova + at}`);
    if (step.do === 'map') host.set(iova + at, step.gpa + at);
    else host.delete(iova + at);
  }
  return wrong;
}

/** The guest-physical page behind an address, where device and host agree. */
function reached(device: IommuDevice, host: ReadonlyMap<bigint, bigint>, iova: bigint): string {
  const found = translateAccess(device, { endpoint: 9, iova: iova + 0x123n, access: 'read' });
  const here = found.kind === 'gpa' ? `${found.gpa - 0x123n}` : 'none';
  const there = `${host.get(iova) ?? 'none'}`;
  return here === there ? here : `${here}, in the host ${there}`;
}

describe.each(['virtio-1.3', 'qemu-9.2'] satisfies DeviceProfile[])('mappings of %s', (profile) => {
  it('are those of an array of pages, in the device and in the host', () => {
    const met = new Set<string>();
    fc.assert(
      fc.property(fc.array(action, { minLength: 5, maxLength: 60 }), (actions) => {
        const device = deviceOf({ profile });
        const model = modelOf(profile);
        const host = new Map<bigint, bigint>();
        serveRequest(device, encodeRequest('ATTACH', { domain: 1, endpoint: 9 }), 4);
        for (const {
          do: name,
          range: { first, last },
          gpa,
        } of actions) {
          const where = { domain: 1, virt_start: addressOf(first), virt_end: addressOf(last + 1) - 1n };
          const bytes =
            name === 'map'
              ? encodeRequest('MAP', { ...where, phys_start: addressOf(gpa), flags: 1 })
              : encodeRequest('UNMAP', where);
          const expected = name === 'map' ? model.map(first, last, BigInt(gpa)) : model.unmap(first, last);
          const { written, steps } = serveRequest(device, bytes, 4);
          expect(statusOf(written)).toBe(expected);
          met.add(`${name} ${expected}`);
          expect(steps.flatMap((step) => applied(host, step))).toEqual([]);
          const found = model.pages.map((_, at) => reached(device, host, addressOf(at)));
          expect(found).toEqual(
            model.pages.map((page) => (page === undefined ? 'none' : `${page.gpa * PAGE}`)),
          );
        }
        expect(device.domains[1]?.count).toBe(
          new Set(model.pages.flatMap((each) => each?.mapping ?? [])).size,
        );
      }),
      { seed: SEED, numRuns: 80 },
    );
    expect([...met].sort()).toEqual(['map INVAL', 'map OK', 'unmap OK', 'unmap RANGE']);
  });
});

describe('pieces for the host', () => {
  it('are aligned powers of two that cover the range, at both ends of the address space', () => {
    const end = 2n ** 64n;
    const bounds = fc.tuple(fc.bigInt({ min: 0n, max: end - 1n }), fc.bigInt({ min: 0n, max: end - 1n }));
    fc.assert(
      fc.property(bounds, ([one, other]) => {
        const [start, last] = one < other ? [one, other] : [other, one];
        let at = start;
        let pieces = 0;
        const odd: bigint[] = [];
        while (at <= last) {
          const size = alignedPiece(at, last);
          if (at % size !== 0n || (size & (size - 1n)) !== 0n) odd.push(at);
          at += size;
          pieces += 1;
        }
        expect(odd).toEqual([]);
        expect(at).toBe(last + 1n);
        expect(pieces).toBeLessThanOrEqual(2 * (last - start + 1n).toString(2).length);
      }),
      { seed: SEED, numRuns: 500 },
    );
    expect(alignedPiece(0n, end - 1n)).toBe(2n ** 63n);
  });
});

describe('accesses of an emulated endpoint', () => {
  const faultOf = (
    profile: DeviceProfile,
    endpoint: number,
    iova: bigint,
    access: 'read' | 'write',
  ): string => {
    const device = deviceOf({ profile, bootBypass: false });
    serveRequest(device, encodeRequest('ATTACH', { domain: 1, endpoint: 8 }), 4);
    serveRequest(
      device,
      encodeRequest('MAP', { domain: 1, virt_start: 0x1000n, virt_end: 0x1fffn, flags: 1 }),
      4,
    );
    const found = translateAccess(device, { endpoint, iova, access });
    return found.kind === 'fault' ? showFault(found.report) : found.kind;
  };
  // biome-ignore format: a table
  const cases: readonly (readonly [number, bigint, 'read' | 'write', string, string])[] = [
    [8,  0x1008n,       'read',  'gpa', 'gpa'],
    [8,  0x800_0040n,   'write', 'msi', 'msi'],
    [8,  0x1008n,       'write', 'virtio_iommu_fault { reason=MAPPING flags=WRITE|ADDRESS endpoint=8 address=0x1008 }',
                                 'virtio_iommu_fault { reason=MAPPING flags=WRITE|ADDRESS endpoint=8 address=0x1008 }'],
    [8,  0x2000n,       'read',  'virtio_iommu_fault { reason=MAPPING flags=READ|ADDRESS endpoint=8 address=0x2000 }',
                                 'virtio_iommu_fault { reason=MAPPING flags=ADDRESS endpoint=8 address=0x2000 }'],
    [9,  0x2000n,       'write', 'virtio_iommu_fault { reason=DOMAIN flags=WRITE|ADDRESS endpoint=9 address=0x2000 }',
                                 'virtio_iommu_fault { reason=DOMAIN flags=ADDRESS endpoint=9 address=0x2000 }'],
    [99, 0x2000n,       'write', 'virtio_iommu_fault { flags=ADDRESS endpoint=0x63 address=0x2000 }',
                                 'virtio_iommu_fault { flags=ADDRESS endpoint=0x63 address=0x2000 }'],
  ];
  it.each(cases)('of endpoint %i to 0x%x, %s', (endpoint, iova, access, spec, qemu) => {
    expect(faultOf('virtio-1.3', endpoint, iova, access)).toBe(spec);
    expect(faultOf('qemu-9.2', endpoint, iova, access)).toBe(qemu);
  });
});
