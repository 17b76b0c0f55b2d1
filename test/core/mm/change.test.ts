/** Changes of a process's tables: who is told, by which commands, before what is given back. Sources: linux, arm-smmu-v3-sva.c, mm/mmu_gather.c. */
import { describe, expect, it } from 'vitest';
import { smmuConfig } from '../../../core/smmu/profiles.ts';
import { story } from '../../support/dma-api.ts';
import { fieldOf, of } from '../../support/smmu-driver.ts';
import { bind, booted, cdOf, dma, map, VA } from '../../support/sva.ts';

const IDR = smmuConfig('everything', { name: 'smmu0', base: 0 }).idr;
const RIL = 1 << 10;

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

describe('a fault on purpose', () => {
  const unmapped = (quirk: string): string => {
    const on = booted();
    map(on);
    bind(on);
    on.line({ op: 'set', path: `smmu0.quirks.${quirk}`, value: true });
    on.look();
    on.line({ op: 'mm.unmap', mm: 'app', va: VA, bytes: 4096 });
    return story(on.look(), 'pages.returned');
  };
  it.each([
    ['notifier-silent', 'pages.returned'],
    ['notifier-skip-atc', 'TLBI_EL2_VA SYNC pages.returned'],
    ['notifier-late', 'pages.returned TLBI_EL2_VA SYNC ATC_INV SYNC'],
    ['atc-before-sync', 'TLBI_EL2_VA ATC_INV SYNC pages.returned'],
  ])('%s', (quirk, steps) => {
    expect(unmapped(quirk)).toBe(steps);
  });

  it('release-silent: the process goes, its CD stays as it is', () => {
    const on = booted();
    map(on);
    bind(on);
    on.line({ op: 'set', path: 'smmu0.quirks.release-silent', value: true });
    on.look();
    on.line({ op: 'mm.exit', mm: 'app' });
    expect(story(on.look())).toBe('');
    expect(cdOf(on, 'acc0', 1)).toMatchObject({ EPD0: false, R: true });
  });
});

describe('CPUs of one process', () => {
  it('change it one after the other, and it does not go while a device is being bound', () => {
    const on = booted();
    map(on);
    on.line({ op: 'set', path: 'schedule', value: 'manual' });
    on.look();
    bind(on, { cpu: 1 });
    on.line({ op: 'turn', unit: 'host.cpu1' });
    on.line({ op: 'mm.exit', mm: 'app', cpu: 2 });
    on.line({ op: 'mm.unmap', mm: 'app', va: VA, bytes: 4096, cpu: 3 });
    on.line({ op: 'run' });
    const ends = of(on.look(), 'guest.answered').map(({ what, errno = 'ok' }) => `${what} ${errno}`);
    expect(ends.indexOf('mm.exit ok')).toBeGreaterThan(ends.indexOf('sva.bind ok'));
    expect(ends).toHaveLength(3);
    expect(cdOf(on, 'acc0', 1).EPD0).toBe(true);
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
