/**
 * Requests by their bytes. Each line of the story is what the driver wrote, how it decodes, and what a device of
 * the specification and QEMU's answer and have the host do; all lines act on one device each, in order.
 */
import { describe, expect, it } from 'vitest';
import { encodeStruct } from '../../../core/kernel/uapi/struct.ts';
import { hexOf } from '../../../core/schema.ts';
import { decodeProperties, showAnswer, showRequest } from '../../../core/virtio-iommu/codec.ts';
import { configOf } from '../../../core/virtio-iommu/config-space.ts';
import type { DeviceProfile } from '../../../core/virtio-iommu/profiles.ts';
import { spaceOf } from '../../../core/virtio-iommu/space.ts';
import type { IommuDevice } from '../../../core/virtio-iommu/state.ts';
import { CONFIG, type FeatureName, names } from '../../../core/virtio-iommu/structs.ts';
import { bytesOfHex, deviceOf, msiWindow, serveRequest, showStep } from '../../support/virtio.ts';

interface Line {
  readonly hex: string;
  /** Room for the answer; 4 when absent. */
  readonly writable?: number;
  readonly shown: string;
  readonly spec: string;
  readonly qemu: string;
  readonly specSteps?: readonly string[];
  readonly qemuSteps?: readonly string[];
}

const zeros = (count: number): string => '00'.repeat(count);
const u64 = (value: bigint): string =>
  Array.from({ length: 8 }, (_, at) =>
    Number((value >> BigInt(at * 8)) & 0xffn)
      .toString(16)
      .padStart(2, '0'),
  ).join('');
const u32 = (value: number): string => u64(BigInt(value)).slice(0, 8);
const range = (start: bigint, last: bigint): string => u64(start) + u64(last);
const map = (domain: number, start: bigint, last: bigint, gpa: bigint, flags: number): string =>
  `03000000${u32(domain)}${range(start, last)}${u64(gpa)}${u32(flags)}`;
const unmap = (domain: number, start: bigint, last: bigint): string =>
  `04000000${u32(domain)}${range(start, last)}${zeros(4)}`;
const attach = (domain: number, endpoint: number, flags = 0): string =>
  `01000000${u32(domain)}${u32(endpoint)}${u32(flags)}${zeros(4)}`;
const both = (steps: readonly string[]): Pick<Line, 'specSteps' | 'qemuSteps'> => ({
  specSteps: steps,
  qemuSteps: steps,
});

// biome-ignore format: a table
const story: readonly Line[] = [
  { hex: `010000000100000008000000${zeros(8)}`, shown: 'virtio_iommu_req_attach { type=ATTACH domain=1 endpoint=8 }',
    spec: 'OK', qemu: 'OK', ...both(['switch 8 iommu']) },
  { hex: '0300000001000000' + '0010000000000000' + 'ff1f000000000000' + '00a0000000000000' + '03000000',
    shown: 'virtio_iommu_req_map { type=MAP domain=1 virt_start=0x1000 virt_end=0x1fff phys_start=0xa000 flags=READ|WRITE }',
    spec: 'OK', qemu: 'OK', ...both(['map 8 0x1000+0x1000=0xa000 rw']) },
  // A range of three pages from page 3 on: 1 + 2.
  { hex: map(1, 0x3000n, 0x5fffn, 0x1_3000n, 1), shown: 'virtio_iommu_req_map { type=MAP domain=1 virt_start=0x3000 virt_end=0x5fff phys_start=0x13000 flags=READ }',
    spec: 'OK', qemu: 'OK', ...both(['map 8 0x3000+0x1000=0x13000 r', 'map 8 0x4000+0x2000=0x14000 r']) },
  { hex: map(1, 0x5000n, 0x6fffn, 0n, 1), shown: 'virtio_iommu_req_map { type=MAP domain=1 virt_start=0x5000 virt_end=0x6fff flags=READ }',
    spec: 'INVAL', qemu: 'INVAL' },
  { hex: map(1, 0x7000n, 0x7fffn, 0n, 8), shown: 'virtio_iommu_req_map { type=MAP domain=1 virt_start=0x7000 virt_end=0x7fff flags=0x8 }',
    spec: 'INVAL', qemu: 'INVAL' },
  { hex: map(2, 0n, 0xfffn, 0n, 1), shown: 'virtio_iommu_req_map { type=MAP domain=2 virt_end=0xfff flags=READ }',
    spec: 'NOENT', qemu: 'NOENT' },
  { hex: map(1, 0x8000n, 0x88ffn, 0n, 1), shown: 'virtio_iommu_req_map { type=MAP domain=1 virt_start=0x8000 virt_end=0x88ff flags=READ }',
    spec: 'RANGE', qemu: 'OK', specSteps: [], qemuSteps: ['map 8 0x8000+0x800=0x0 r', 'map 8 0x8800+0x100=0x800 r'] },
  { hex: map(1, 0x800_0000n, 0x800_0fffn, 0n, 1), shown: 'virtio_iommu_req_map { type=MAP domain=1 virt_start=0x8000000 virt_end=0x8000fff flags=READ }',
    spec: 'INVAL', qemu: 'OK', specSteps: [], qemuSteps: ['map 8 0x8000000+0x1000=0x0 r'] },
  { hex: map(1, 0x1_0000n, 0x1_0fffn, 0x10_0000_0000n, 1), shown: 'virtio_iommu_req_map { type=MAP domain=1 virt_start=0x10000 virt_end=0x10fff phys_start=0x1000000000 flags=READ }',
    spec: 'FAULT', qemu: 'OK', specSteps: [], qemuSteps: ['map 8 0x10000+0x1000=0x1000000000 r'] },
  { hex: map(1, 2n ** 48n, 2n ** 48n + 0xfffn, 0n, 1), shown: 'virtio_iommu_req_map { type=MAP domain=1 virt_start=0x1000000000000 virt_end=0x1000000000fff flags=READ }',
    spec: 'RANGE', qemu: 'OK', specSteps: [], qemuSteps: ['map 8 0x1000000000000+0x1000=0x0 r'] },
  // MMIO is not given to the host by QEMU.
  { hex: map(1, 0x2_0000n, 0x2_0fffn, 0x900_0000n, 6), shown: 'virtio_iommu_req_map { type=MAP domain=1 virt_start=0x20000 virt_end=0x20fff phys_start=0x9000000 flags=WRITE|MMIO }',
    spec: 'OK', qemu: 'OK', specSteps: ['map 8 0x20000+0x1000=0x9000000 w'], qemuSteps: [] },
  { hex: map(1, 0x3_0000n, 0x3_0fffn, 0n, 1), shown: 'virtio_iommu_req_map { type=MAP domain=1 virt_start=0x30000 virt_end=0x30fff flags=READ }',
    spec: 'NOMEM', qemu: 'OK', specSteps: [], qemuSteps: ['map 8 0x30000+0x1000=0x0 r'] },
  // Half of the mapping at 0x3000.
  { hex: unmap(1, 0n, 0x3fffn), shown: 'virtio_iommu_req_unmap { type=UNMAP domain=1 virt_end=0x3fff }',
    spec: 'RANGE', qemu: 'RANGE', specSteps: [], qemuSteps: ['unmap 8 0x1000+0x1000'] },
  { hex: unmap(1, 0n, 0x5fffn), shown: 'virtio_iommu_req_unmap { type=UNMAP domain=1 virt_end=0x5fff }',
    spec: 'OK', qemu: 'OK', specSteps: ['unmap 8 0x1000+0x1000', 'unmap 8 0x3000+0x1000', 'unmap 8 0x4000+0x2000'],
    qemuSteps: ['unmap 8 0x3000+0x1000', 'unmap 8 0x4000+0x2000'] },
  { hex: unmap(1, 0n, 0x5fffn), shown: 'virtio_iommu_req_unmap { type=UNMAP domain=1 virt_end=0x5fff }', spec: 'OK', qemu: 'OK' },
  { hex: unmap(7, 0n, 0xfffn), shown: 'virtio_iommu_req_unmap { type=UNMAP domain=7 virt_end=0xfff }', spec: 'NOENT', qemu: 'NOENT' },
  { hex: `${unmap(1, 0n, 0xfffn).slice(0, -2)}01`, shown: 'virtio_iommu_req_unmap { type=UNMAP domain=1 virt_end=0xfff reserved=[0 0 0 1] }',
    spec: 'INVAL', qemu: 'OK' },
  { hex: attach(1, 77), shown: 'virtio_iommu_req_attach { type=ATTACH domain=1 endpoint=0x4d }', spec: 'NOENT', qemu: 'NOENT' },
  { hex: attach(1, 9, 2), shown: 'virtio_iommu_req_attach { type=ATTACH domain=1 endpoint=9 flags=0x2 }', spec: 'INVAL', qemu: 'INVAL' },
  { hex: attach(0x20000, 9), shown: 'virtio_iommu_req_attach { type=ATTACH domain=0x20000 endpoint=9 }',
    spec: 'RANGE', qemu: 'OK', specSteps: [], qemuSteps: ['switch 9 iommu'] },
  { hex: `${attach(1, 9).slice(0, -2)}01`, shown: 'virtio_iommu_req_attach { type=ATTACH domain=1 endpoint=9 reserved=[0 0 0 1] }',
    spec: 'INVAL', qemu: 'OK', specSteps: [],
    qemuSteps: ['switch 9 system', 'switch 9 iommu', 'map 9 0x8000+0x800=0x0 r', 'map 9 0x8800+0x100=0x800 r',
      'map 9 0x10000+0x1000=0x1000000000 r', 'map 9 0x30000+0x1000=0x0 r', 'map 9 0x8000000+0x1000=0x0 r', 'map 9 0x1000000000000+0x1000=0x0 r'] },
  // A bypass domain; the same endpoint into it and out of it.
  { hex: attach(3, 10, 1), shown: 'virtio_iommu_req_attach { type=ATTACH domain=3 endpoint=0xa flags=BYPASS }', spec: 'OK', qemu: 'OK' },
  { hex: map(3, 0n, 0xfffn, 0n, 1), shown: 'virtio_iommu_req_map { type=MAP domain=3 virt_end=0xfff flags=READ }', spec: 'INVAL', qemu: 'INVAL' },
  { hex: unmap(3, 0n, 0xfffn), shown: 'virtio_iommu_req_unmap { type=UNMAP domain=3 virt_end=0xfff }', spec: 'INVAL', qemu: 'INVAL' },
  { hex: attach(1, 10, 1), shown: 'virtio_iommu_req_attach { type=ATTACH domain=1 endpoint=0xa flags=BYPASS }', spec: 'INVAL', qemu: 'INVAL' },
  // QEMU has detached it all the same.
  { hex: `02000000030000000a000000${zeros(8)}`, shown: 'virtio_iommu_req_detach { type=DETACH domain=3 endpoint=0xa }', spec: 'OK', qemu: 'INVAL' },
  { hex: `020000000900000008000000${zeros(8)}`, shown: 'virtio_iommu_req_detach { type=DETACH domain=9 endpoint=8 }', spec: 'INVAL', qemu: 'INVAL' },
  { hex: `020000000900000063000000${zeros(8)}`, shown: 'virtio_iommu_req_detach { type=DETACH domain=9 endpoint=0x63 }', spec: 'NOENT', qemu: 'NOENT' },
  { hex: `0500000008000000${zeros(64)}`, writable: 516, shown: 'virtio_iommu_req_probe { type=PROBE endpoint=8 }',
    spec: 'OK { RESV_MEM MSI 0x8000000-0x80fffff }', qemu: 'OK { RESV_MEM MSI 0x8000000-0x80fffff }' },
  { hex: `0500000009000000${zeros(64)}`, writable: 516, shown: 'virtio_iommu_req_probe { type=PROBE endpoint=9 }', spec: 'OK', qemu: 'OK' },
  { hex: `0500000063000000${zeros(64)}`, writable: 516, shown: 'virtio_iommu_req_probe { type=PROBE endpoint=0x63 }', spec: 'NOENT', qemu: 'NOENT' },
  { hex: '2a000000', shown: 'unknown type 42', spec: 'used length 0', qemu: 'UNSUPP' },
  { hex: '03000000010000', shown: 'MAP, 7 bytes of it', spec: 'used length 0', qemu: 'INVAL' },
  { hex: `0500000008000000${zeros(63)}`, writable: 516, shown: 'PROBE, 71 bytes of it', spec: 'used length 0', qemu: 'INVAL' },
  // The last endpoint of the domain takes its mappings with it, in both; QEMU has endpoint 9 in it still.
  { hex: `020000000100000008000000${zeros(8)}`, shown: 'virtio_iommu_req_detach { type=DETACH domain=1 endpoint=8 }', spec: 'OK', qemu: 'OK',
    specSteps: ['unmap 8 0x20000+0x1000', 'switch 8 system'],
    qemuSteps: ['unmap 8 0x8000+0x800', 'unmap 8 0x8800+0x100', 'unmap 8 0x10000+0x1000', 'unmap 8 0x20000+0x1000',
      'unmap 8 0x30000+0x1000', 'unmap 8 0x8000000+0x1000', 'unmap 8 0x1000000000000+0x1000', 'switch 8 system'] },
  // Nothing works any more where QEMU's device is broken; the specification's goes on.
  { hex: `0500000008000000${zeros(64)}`, writable: 100, shown: 'virtio_iommu_req_probe { type=PROBE endpoint=8 }', spec: 'INVAL', qemu: 'used length 0' },
  { hex: '0100', shown: 'no head: 0100', spec: 'used length 0', qemu: 'used length 0' },
  { hex: attach(1, 8), writable: 3, shown: 'virtio_iommu_req_attach { type=ATTACH domain=1 endpoint=8 }', spec: 'used length 0', qemu: 'used length 0' },
  { hex: attach(1, 8), shown: 'virtio_iommu_req_attach { type=ATTACH domain=1 endpoint=8 }',
    spec: 'OK', qemu: 'used length 0', specSteps: ['switch 8 iommu'], qemuSteps: [] },
];

const limits = {
  guestLast: 0xf_ffff_ffffn,
  inputRange: { start: 0n, last: 2n ** 48n - 1n },
  domainRange: { start: 0, last: 0xffff },
};

describe('requests by their bytes', () => {
  const devices: Readonly<Record<'spec' | 'qemu', IommuDevice>> = {
    spec: deviceOf({ profile: 'virtio-1.3', config: { ...limits, mappingsMax: 3 } }),
    qemu: deviceOf({ profile: 'qemu-9.2', config: limits }),
  };
  it.each(story.map((line, at) => [at, line] as const))('%i', (_, line) => {
    const readable = bytesOfHex(line.hex);
    expect(showRequest(readable)).toBe(line.shown);
    for (const which of ['spec', 'qemu'] as const) {
      const { written, steps } = serveRequest(devices[which], readable, line.writable ?? 4);
      expect(`${which}: ${showAnswer(written)}`).toBe(`${which}: ${line[which]}`);
      expect(steps.map(showStep)).toEqual(line[`${which}Steps`] ?? []);
    }
  });

  it('meet every status that a device answers by itself', () => {
    const met = new Set(story.flatMap(({ spec, qemu }) => [spec.split(' ')[0], qemu.split(' ')[0]]));
    const here = Object.keys(names.status.members).filter((name) => met.has(name));
    // IOERR is what a driver makes of used length 0; DEVERR is the host's refusal of a mapping.
    expect(here).toEqual(['OK', 'UNSUPP', 'INVAL', 'RANGE', 'NOENT', 'FAULT', 'NOMEM']);
  });
});

describe('properties', () => {
  const property = (type: number, length: number, rest: string): string =>
    u32(type).slice(0, 4) + u32(length).slice(0, 4) + rest;
  const resv = (subtype: number): string => u32(subtype) + range(0x1000n, 0x1fffn);

  // biome-ignore format: a table
  const lists: readonly (readonly [string, string, readonly string[]])[] = [
    ['up to type 0',                 property(1, 20, resv(0)) + property(0, 0, '') + property(1, 20, resv(1)), ['RESERVED']],
    ['past an unknown type',         property(9, 4, zeros(4)) + property(1, 20, resv(1)), ['MSI']],
    ['an unknown subtype',           property(1, 20, resv(7)), ['RESERVED']],
    ['type with reserved bits set',  property(0x1001, 20, resv(1)) + property(1, 20, resv(0)), ['RESERVED']],
    ['a length that is too short',   property(1, 4, zeros(4)) + property(1, 20, resv(1)), ['MSI']],
    ['a length beyond the end',      property(1, 2000, resv(1)), []],
    ['a range that ends before it begins', property(1, 20, u32(0) + range(0x2000n, 0x1000n)), []],
  ];
  it.each(lists)('%s', (_, hex, expected) => {
    expect(decodeProperties(bytesOfHex(hex)).map(({ subtype }) => subtype)).toEqual(expected);
  });

  it('say what the device said', () => {
    const device = deviceOf({ profile: 'virtio-1.3' });
    const { written } = serveRequest(device, bytesOfHex(`0500000008000000${zeros(64)}`), 516);
    expect(decodeProperties(written)).toEqual([msiWindow]);
  });
});

describe('the configuration space', () => {
  const bytes = (offered: readonly FeatureName[]): string =>
    hexOf(encodeStruct(CONFIG, configOf(deviceOf({ profile: 'virtio-1.3', offered, config: limits }))));
  const pages = u64(BigInt.asUintN(64, -0x1000n));

  it('shows what the device offers, and zeros for the rest', () => {
    expect(bytes(['MAP_UNMAP'])).toBe(pages + zeros(32));
    expect(bytes(['INPUT_RANGE', 'DOMAIN_RANGE', 'PROBE', 'BYPASS_CONFIG'])).toBe(
      `${pages}${range(0n, 2n ** 48n - 1n)}${u32(0)}${u32(0xffff)}${u32(512)}01${zeros(3)}`,
    );
  });
});

describe('bypass', () => {
  it.each(['virtio-1.3', 'qemu-9.2'] satisfies DeviceProfile[])('is where endpoints begin: %s', (profile) => {
    const device = deviceOf({ profile });
    expect([8, 9].map((endpoint) => spaceOf(device, endpoint))).toEqual(['system', 'system']);
    expect(spaceOf(deviceOf({ profile, bootBypass: false }), 8)).toBe('iommu');
  });
});
