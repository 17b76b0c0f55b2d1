/** Binds and unbinds: what the driver sends at each step, the CDs it writes, and the errnos. Sources: linux, iommu-sva.c, arm-smmu-v3-sva.c. */
import { describe, expect, it } from 'vitest';
import { smmuConfig } from '../../../core/smmu/profiles.ts';
import { story } from '../../support/dma-api.ts';
import { host } from '../../support/kernel.ts';
import { of } from '../../support/smmu-driver.ts';
import { ASID, bind, bonds, booted, cdOf, dma, map, unbind, VA } from '../../support/sva.ts';

const IDR = smmuConfig('everything', { name: 'smmu0', base: 0 }).idr;

describe('a bind', () => {
  it('writes a CD over the tables of the process, and tells the driver of changes before that', () => {
    const on = booted();
    map(on);
    expect(of(on.look(), 'mm.made').map(({ name, owner }) => [name, owner])).toEqual([['app', 'host']]);
    expect(bind(on)).toEqual({ ssid: 1 });
    expect(story(on.look(), 'notifier.added', 'master.attached', 'sva.bound')).toBe(
      'notifier.added CFGI_CD SYNC CFGI_CD SYNC master.attached ATC_INV SYNC sva.bound',
    );
    const { table } = Object.values(on.state.mms ?? {})[0]!;
    expect(cdOf(on, 'acc0', 1)).toMatchObject({
      V: true,
      T0SZ: 16,
      TG0: '4KB',
      IPS: 4,
      EPD0: false,
      EPD1: true,
      ASET: true,
      ASID,
      TTB0: table.root,
      HA: true,
      HD: true,
      A: true,
      R: true,
      S: false,
      MAIR0: 0x0044_ffff,
      MAIR1: 0x04,
    });
  });

  it('is counted, and is one domain and one ASID for all devices of the process', () => {
    const on = booted();
    map(on);
    bind(on);
    expect(bind(on)).toEqual({ ssid: 1 });
    expect(bind(on, { endpoint: 'acc1' })).toEqual({ ssid: 1 });
    expect(bonds(on)).toEqual([
      ['acc0', 2],
      ['acc1', 1],
    ]);
    expect(cdOf(on, 'acc1', 1).ASID).toBe(ASID);
    on.look();
    on.line({ op: 'mm.unmap', mm: 'app', va: VA, bytes: 4096 });
    expect(story(on.look())).toBe('TLBI_EL2_VA SYNC ATC_INV SYNC');
    expect(unbind(on)).toEqual({});
    expect(dma(on, { iova: '0x401000' })).toMatchObject({ result: 'ok' });
    expect(of(on.look(), 'sva.unbound').map(({ users }) => users)).toEqual([1]);
  });

  it.each([
    ['another SubstreamID than the process has', { ssid: 2 }, 'EINVAL'],
    ['more than the endpoint has', { mm: 'db', ssid: 16 }, 'EINVAL'],
    ['one of another process', { mm: 'db', ssid: 1 }, 'EBUSY'],
    ['an endpoint without any', { mm: 'db', endpoint: 'old0' }, 'ENOSPC'],
    ['an endpoint with fewer than the process has', { endpoint: 'old0' }, 'EOVERFLOW'],
  ])('is refused for %s', (_, more, errno) => {
    const on = booted();
    map(on);
    bind(on);
    expect(bind(on, more)).toEqual({ errno });
  });

  it('is refused where the SubstreamID is used otherwise, and when the process has gone', () => {
    const on = booted();
    map(on);
    on.line({ op: 'guest.map', endpoint: 'acc0', bytes: 4096 });
    expect(on.line({ op: 'guest.attach', endpoint: 'acc0', to: 'dma', ssid: 3 })).toEqual({});
    expect(bind(on, { ssid: 3 })).toEqual({ errno: 'EBUSY' });
    bind(on, { endpoint: 'acc1', ssid: 4 });
    expect(on.line({ op: 'mm.exit', mm: 'app' })).toEqual({});
    expect(bind(on)).toEqual({ errno: 'EINVAL' });
    expect(map(on)).toEqual({ errno: 'EINVAL' });
    expect(on.line({ op: 'mm.exit', mm: 'app' })).toEqual({ errno: 'EINVAL' });
    expect(unbind(on)).toEqual({ errno: 'EINVAL' });
  });

  it.each([
    ['walks that are not coherent', { idr: { IDR0: IDR['IDR0']! & ~(1 << 4) } }],
    ['no pages of 4 KiB', { idr: { IDR5: IDR['IDR5']! & ~(1 << 4) } }],
    ['40-bit output addresses', { idr: { IDR5: (IDR['IDR5']! & ~7) | 2 } }],
    ['8-bit ASIDs', { idr: { IDR0: IDR['IDR0']! & ~(1 << 12) } }],
  ])('is not offered with %s', (_, smmu) => {
    const on = booted(smmu);
    map(on);
    expect(bind(on)).toEqual({ errno: 'EOPNOTSUPP' });
    expect(of(on.look(), 'driver.told').map(({ what }) => what)).toEqual([
      'SVA is not offered, the SMMU lacks',
    ]);
  });

  it('is not offered by a driver of 6.1, whose substreams are not modelled', () => {
    const on = host(
      { driver: { release: 'linux-6.1' } },
      {
        smmus: [{ name: 'smmu0', profile: 'everything' }],
        endpoints: [{ name: 'acc0', streamId: 16, ssidBits: 4 }],
      },
    );
    map(on);
    expect(bind(on)).toEqual({ errno: 'EOPNOTSUPP' });
  });
});

describe('the end of', () => {
  it('a process: its CD leads nowhere and is quiet, before its memory goes', () => {
    const on = booted();
    map(on);
    bind(on);
    dma(on);
    on.look();
    expect(on.line({ op: 'mm.exit', mm: 'app' })).toEqual({});
    expect(story(on.look(), 'mm.exited', 'pages.returned', 'mm.gone')).toBe(
      'mm.exited CFGI_CD SYNC CFGI_CD SYNC TLBI_EL2_ASID SYNC ATC_INV SYNC pages.returned pages.returned pages.returned pages.returned',
    );
    expect(cdOf(on, 'acc0', 1)).toMatchObject({
      V: true,
      EPD0: true,
      EPD1: true,
      R: false,
      S: false,
      ASID,
      TTB0: 0,
      MAIR0: 0x0044_ffff,
    });
    // No record: the access is ended, and nobody is told.
    expect(dma(on)).toEqual({ result: 'abort' });
  });

  it('a bond: its CD is cleared, its ASID flushed and free; with the last one the root of the process goes', () => {
    const on = booted();
    map(on);
    bind(on);
    on.line({ op: 'mm.exit', mm: 'app' });
    on.look();
    expect(unbind(on)).toEqual({});
    expect(
      story(on.look(), 'sva.unbound', 'notifier.removed', 'pages.returned', 'mm.gone', 'domain.freed'),
    ).toBe(
      'CFGI_CD SYNC CFGI_CD SYNC ATC_INV SYNC TLBI_EL2_ASID SYNC sva.unbound notifier.removed pages.returned mm.gone domain.freed',
    );
    expect(cdOf(on, 'acc0', 1).V).toBe(false);
    expect(on.state.mms).toEqual({});
    expect(dma(on)).toEqual({ result: 'abort', event: 'C_BAD_CD' });
    // Name, SubstreamID and ASID are free for the next.
    map(on);
    expect(bind(on)).toEqual({ ssid: 1 });
    expect(cdOf(on, 'acc0', 1).ASID).toBe(ASID);
  });

  it('a bond of a living process: the process goes on, and is told to nobody', () => {
    const on = booted();
    map(on);
    bind(on);
    unbind(on);
    on.look();
    on.line({ op: 'mm.unmap', mm: 'app', va: VA, bytes: 8192 });
    expect(story(on.look())).toBe('');
    expect(on.line({ op: 'mm.exit', mm: 'app' })).toEqual({});
    expect(of(on.look(), 'mm.gone')).toHaveLength(1);
  });
});
