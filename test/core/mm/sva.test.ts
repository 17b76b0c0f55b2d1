/**
 * The address space of a process on devices: what the driver sends at each step, in which order with stores and
 * releases, and which errnos a bind has. Sources: linux, arm-smmu-v3-sva.c, iommu-sva.c.
 */
import { describe, expect, it } from 'vitest';
import { decode } from '../../../core/layout/layout.ts';
import { CD } from '../../../core/smmu/cd.ts';
import { smmuConfig } from '../../../core/smmu/profiles.ts';
import { story } from '../../support/dma-api.ts';
import { type Host, host } from '../../support/kernel.ts';
import { fieldOf, of } from '../../support/smmu-driver.ts';

const IDR = smmuConfig('everything', { name: 'smmu0', base: 0 }).idr;
const RIL = 1 << 10;

function booted(smmu: object = {}, machine: object = {}): Host {
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
const VA = '0x400000';
/** The first behind those of the three default domains. */
const ASID = 4;

const map = (on: Host, more: object = {}) =>
  on.line({ op: 'mm.map', mm: 'app', va: VA, bytes: 8192, ...more });
const bind = (on: Host, more: object = {}) =>
  on.line({ op: 'sva.bind', endpoint: 'acc0', mm: 'app', ...more });
const unbind = (on: Host, more: object = {}) =>
  on.line({ op: 'sva.unbind', endpoint: 'acc0', mm: 'app', ...more });
const dma = (on: Host, more: object = {}) =>
  on.line({ op: 'dma', endpoint: 'acc0', ssid: 1, iova: VA, bytes: 8, access: 'read', ...more });
const bonds = (on: Host) =>
  Object.values(on.state.mms ?? {})[0]?.bonds.map(({ endpoint, users }) => [endpoint, users]);

/** The CD of a SubstreamID as it stands in memory. */
function cdOf({ state }: Host, endpoint: string, ssid: number) {
  const table = state.drivers['smmu0']?.masters[endpoint]?.cdTable;
  return decode(CD, state.memory.readWords((table?.pa ?? 0) + ssid * 64, 16));
}

describe('a bind', () => {
  it('writes a CD over the tables of the process, and tells the driver of changes before that', () => {
    const on = booted();
    map(on);
    on.look();
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

describe('a change of the tables', () => {
  it('is told with Leaf=0 and the SubstreamID before the page is free', () => {
    const on = booted();
    map(on);
    bind(on);
    dma(on);
    on.look();
    expect(on.line({ op: 'mm.unmap', mm: 'app', va: VA, bytes: 4096 })).toEqual({});
    const entries = on.look();
    expect(story(entries, 'mm.changing', 'mm.notified', 'mm.settled', 'pages.returned')).toBe(
      'mm.changing mm.notified TLBI_EL2_VA SYNC ATC_INV SYNC mm.settled pages.returned',
    );
    expect(fieldOf(entries, 'CMD_TLBI_EL2_VA', 'Leaf')).toEqual([false]);
    expect(fieldOf(entries, 'CMD_ATC_INV', 'SubstreamID')).toEqual([1]);
    // CPUs broadcast too; with CR2.PTM=1 the SMMU leaves that alone.
    expect(
      of(entries, 'broadcast.received').map(({ operation, asid, why }) => [operation, asid, why]),
    ).toEqual([['VAE2', 1, 'CR2.PTM=1']]);
  });

  it.each([
    ['511 pages', 511, 'TLBI_EL2_VA '.repeat(511).trim()],
    ['512 pages', 512, 'TLBI_EL2_ASID'],
  ])('of %s is told by page or by ASID where there are no ranges', (_, pages, commands) => {
    const on = booted({ idr: { IDR3: IDR['IDR3']! & ~RIL } });
    map(on, { bytes: pages * 4096 });
    bind(on, { endpoint: 'acc1' });
    on.look();
    on.line({ op: 'mm.unmap', mm: 'app', va: VA, bytes: pages * 4096 });
    expect(story(on.look()).replace(/ SYNC$/, '')).toBe(commands);
  });

  it('has nobody to tell where nothing was mapped, and nothing to tell after a map', () => {
    const on = booted();
    map(on);
    bind(on);
    on.look();
    on.line({ op: 'mm.unmap', mm: 'app', va: '0x800000', bytes: 4096 });
    on.line({ op: 'mm.protect', mm: 'app', va: VA, bytes: 8192, access: 'read-write' });
    map(on, { va: '0x600000' });
    expect(story(on.look())).toBe('');
    expect(map(on, { va: '0x401000' })).toEqual({ errno: 'EEXIST' });
    expect(map(on, { va: '0x400800' })).toEqual({ errno: 'EINVAL' });
    expect(map(on, { va: '0xfffffffff000' })).toEqual({ errno: 'EINVAL' });
    expect(map(on, { va: '0x900000', bytes: 2 ** 31 })).toEqual({ errno: 'ENOMEM' });
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

describe('a process on two SMMUs', () => {
  it('has a domain for each, and both are told', () => {
    const on = booted(
      {},
      {
        smmus: ['smmu0', 'smmu1'].map((name) => ({ name, profile: 'everything' })),
        endpoints: ['smmu0', 'smmu1'].map((smmu, at) => ({
          name: `acc${at}`,
          smmu,
          streamId: 16,
          ssidBits: 4,
        })),
      },
    );
    map(on);
    bind(on);
    bind(on, { endpoint: 'acc1' });
    on.look();
    on.line({ op: 'mm.protect', mm: 'app', va: VA, bytes: 4096, access: 'read' });
    const sent = of(on.look(), 'command.consumed').map(({ smmu, command }) => `${smmu} ${command}`);
    expect(sent).toEqual([
      'smmu1 CMD_TLBI_EL2_VA',
      'smmu1 CMD_SYNC',
      'smmu0 CMD_TLBI_EL2_VA',
      'smmu0 CMD_SYNC',
    ]);
  });
});

describe('a guest', () => {
  const guest = (boot: object = {}, more: object = {}): Host => {
    const on = booted();
    on.line({ op: 'vm.create', vm: 'vm0', profile: 'qemu-accel', properties: { ssidsize: 4, ats: true } });
    on.line({ op: 'vm.plug', vm: 'vm0', endpoint: 'acc0', ssidBits: 4, ats: true });
    on.line({ op: 'guest.boot', vm: 'vm0', ...boot });
    on.look();
    return on;
  };
  const vm = 'vm0';

  it('has its tables in its own memory, and its commands reach the hardware', () => {
    const on = guest();
    const { pa } = map(on, { vm });
    expect(bind(on, { vm })).toEqual({ ssid: 1 });
    on.line({ op: 'mem.write', vm, gpa: pa, hex: '0102030405060708' });
    const read = { op: 'guest.dma', vm, endpoint: 'acc0', ssid: 1, iova: VA, bytes: 8, access: 'read' };
    expect(on.line(read)).toMatchObject({ result: 'ok', hex: '0102030405060708' });
    on.look();
    on.line({ op: 'mm.unmap', vm, mm: 'app', va: VA, bytes: 4096 });
    const entries = on.look();
    const real = of(entries, 'command.consumed').filter(({ smmu }) => smmu === 'smmu0');
    expect(real.map(({ command }) => command)).toEqual([
      'CMD_TLBI_NH_VA',
      'CMD_SYNC',
      'CMD_ATC_INV',
      'CMD_SYNC',
    ]);
    expect(of(entries, 'page.freed')).toHaveLength(1);
    expect(on.line(read)).toMatchObject({ result: 'abort', event: 'F_TRANSLATION' });
  });

  it('has none where its CPUs count on what the emulated SMMU lacks, and takes its processes with it', () => {
    const on = guest({ platform: { bbml2: true } }, { idr: { IDR3: '0x404' } });
    map(on, { vm });
    expect(bind(on, { vm })).toEqual({ errno: 'EOPNOTSUPP' });
    expect(Object.keys(on.state.mms ?? {})).toEqual(['vm0:app']);
    on.line({ op: 'vm.end', vm });
    expect(on.state.mms).toEqual({});
  });
});
