/** SubstreamIDs that share the default domain: one TLB invalidation for both, an ATC invalidation for each. */
import { describe, expect, it } from 'vitest';
import { dmaHost, PAGE, story } from '../../support/dma-api.ts';

const pasidHost = (ats: boolean) =>
  dmaHost({
    smmu: { profile: 'everything' },
    machine: { endpoints: [{ name: 'nvme0', streamId: 16, ssidBits: 4, ats, atc: 'unbounded' }] },
  });

describe('a SubstreamID', () => {
  it('reaches what is mapped in the default domain, until it has none', () => {
    const host = pasidHost(false);
    const iova = host.map();
    const attach = (to: string) => host.line({ op: 'guest.attach', endpoint: 'nvme0', to, ssid: 3 });
    const dma = () =>
      host.line({ op: 'dma', endpoint: 'nvme0', iova, ssid: 3, bytes: 8, access: 'read' })['result'];
    expect(dma()).toBe('abort');
    expect(attach('dma')).toEqual({});
    expect(dma()).toBe('ok');
    // The default domain cannot go while it is used so.
    host.unmap(iova);
    expect(host.line({ op: 'guest.attach', endpoint: 'nvme0', to: 'identity' })).toEqual({ errno: 'EBUSY' });
    host.look();
    expect(attach('blocked')).toEqual({});
    expect(story(host.look())).toBe('CFGI_CD SYNC CFGI_CD SYNC');
    expect(dma()).toBe('abort');
    expect(host.line({ op: 'guest.attach', endpoint: 'nvme0', to: 'identity' })).toEqual({});
  });

  it('has an ATC invalidation of its own', () => {
    const host = pasidHost(true);
    const iova = host.map();
    host.line({ op: 'guest.attach', endpoint: 'nvme0', to: 'dma', ssid: 3 });
    host.look();
    host.unmap(iova, PAGE);
    expect(story(host.look())).toBe('TLBI_EL2_VA SYNC ATC_INV ATC_INV SYNC');
  });

  it.each([
    ['identity', 'EINVAL'],
    ['dma-fq', 'EINVAL'],
  ])('cannot have %s', (to, errno) => {
    const host = pasidHost(false);
    host.map();
    expect(host.line({ op: 'guest.attach', endpoint: 'nvme0', to, ssid: 3 })).toEqual({ errno });
    expect(host.line({ op: 'guest.attach', endpoint: 'nvme0', to: 'dma', ssid: 16 })).toEqual({
      errno: 'EINVAL',
    });
  });
});
