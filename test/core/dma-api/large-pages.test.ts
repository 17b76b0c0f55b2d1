/** A guest with pages of 64 KiB: what it maps is whole ones, wherever a buffer lies in them (linux: iova_align). */
import { describe, expect, it } from 'vitest';
import { bootHost, type Host, vmConfig } from '../../support/vm.ts';

const PAGE = 0x1_0000;

function booted(): Host {
  const host = bootHost({ nic0: 8 });
  host.ask({ type: 'vm.create', vm: 'vm0', config: vmConfig('qemu-accel') });
  host.ask({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
  host.ask({ type: 'guest.boot', vm: 'vm0', platform: { pageLog2: 16 } });
  return host;
}

const of = { vm: 'vm0', endpoint: 'nic0' } as const;

describe('pages of 64 KiB', () => {
  it('are mapped whole for a buffer of 4 KiB, and go whole', () => {
    const host = booted();
    const { iova } = host.ask({ type: 'guest.map', ...of, bytes: 4096 });
    const at = BigInt(String(iova));
    expect(at % BigInt(PAGE)).toBe(0n);
    const read = { type: 'dma', endpoint: 'nic0', size: 8, access: 'read' } as const;
    expect(host.ask({ ...read, iova: at + BigInt(PAGE - 8) })).toMatchObject({ result: 'ok' });
    expect(host.ask({ ...read, iova: at + BigInt(PAGE) })).toMatchObject({ result: 'abort' });
    expect(host.ask({ type: 'guest.unmap', ...of, iova: at, bytes: 4096 })).not.toHaveProperty('errno');
    expect(host.ask({ ...read, iova: at })).toMatchObject({ result: 'abort' });
    expect(host.all('misuse.noted')).toEqual([]);
  });

  it('keep the place of a buffer in its page', () => {
    const host = booted();
    const iova = BigInt(PAGE + 0x3000);
    const pa = 0x4010_3000;
    expect(host.ask({ type: 'guest.map', ...of, bytes: 4096, pa, iova })).toMatchObject({ iova: 0x1_3000n });
    expect(host.ask({ type: 'guest.map', ...of, bytes: 4096, pa, iova: 0x2_4000n })).toMatchObject({
      errno: 'EINVAL',
    });
  });

  it('are not made of pieces that are smaller', () => {
    const sg = [
      { pa: 0x4010_3000, size: 4096 },
      { pa: 0x4020_0000, size: 4096 },
    ];
    expect(booted().ask({ type: 'guest.map', ...of, bytes: 8192, sg })).toMatchObject({ errno: 'EINVAL' });
  });
});
