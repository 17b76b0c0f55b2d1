/**
 * What the driver of linux-6.1 does where the captures do not go: a change of domain, identity, stage 2, ATS,
 * several endpoints in one domain, the end of a domain. Sources: linux 6.1, arm_smmu_attach_dev and what it calls.
 */
import { describe, expect, it } from 'vitest';
import type { Target } from '../../../core/driver/attach.ts';
import { allocPaging, attach, freeDomain, mapPages, unmapPages } from '../../../core/driver/ops.ts';
import { releases } from '../../../core/driver/releases.ts';
import { stePa } from '../../../core/driver/stream-table.ts';
import type { Entry } from '../../../core/event.ts';
import { decode } from '../../../core/layout/layout.ts';
import { STE } from '../../../core/smmu/ste.ts';
import { bootedHost, type Host, type HostOptions, of } from '../../support/smmu-driver.ts';

const old = (options: HostOptions = {}): Host => bootedHost({ ...options, boot: { release: 'linux-6.1' } });
const domain = (host: Host, flags: Parameters<typeof allocPaging>[2] = {}): number => {
  const made = allocPaging(host.context, 'smmu0', flags);
  if ('errno' in made) throw new Error(made.errno);
  return made.domain;
};
const to = (host: Host, target: Target, endpoint = 'dev0'): readonly Entry[] => {
  const plan = attach(host.context, endpoint, target);
  if ('errno' in plan) throw new Error(plan.errno);
  return host.run(plan);
};
/** Commands and switches of ATS, in order, on one line. */
const story = (entries: readonly Entry[]): string =>
  entries
    .flatMap((entry) => {
      if (entry.type === 'command.consumed') return [entry.command.replace('CMD_', '')];
      return entry.type === 'value.set' && entry.path.endsWith('.ats') ? [`ats=${entry.value}`] : [];
    })
    .join(' ');
const ste = (host: Host) => {
  const { driver, state } = host;
  const pa = stePa(driver, driver.masters['dev0']!.streams[0]!);
  const words = Array.from({ length: 16 }, (_, at) =>
    Number((state.memory.read64(pa + (at >> 1) * 8) >> BigInt((at & 1) * 32)) & 0xffff_ffffn),
  );
  return decode(STE, words);
};

const FIRST = 'SYNC SYNC CFGI_STE SYNC CFGI_STE SYNC PREFETCH_CONFIG';
const ABORT = 'CFGI_STE SYNC';

describe('an attach of linux-6.1', () => {
  it('makes the CD with CMD_SYNCs alone, and the STE in two stores', () => {
    const host = old();
    expect(story(to(host, { domain: domain(host) }))).toBe(FIRST);
    expect(ste(host)).toMatchObject({ Config: 'S1', S1DSS: 'SUBSTREAM0', SHCFG: 'NSH' });
  });

  it('to another domain goes through an STE that aborts, and leaves the ASID as it is until the domain ends', () => {
    const host = old();
    const one = domain(host);
    to(host, { domain: one });
    expect(story(to(host, { domain: domain(host) }))).toBe(`${ABORT} ${FIRST}`);
    expect(story(host.run(freeDomain(host.context, one)))).toBe('TLBI_NH_ASID SYNC');
  });

  it('to identity and to nothing', () => {
    const host = old();
    to(host, { domain: domain(host) });
    // linux: no prefetch for STEs that do not translate; SHCFG is there whether it counts or not.
    expect(story(to(host, 'identity'))).toBe(`${ABORT} ${ABORT}`);
    expect(ste(host)).toMatchObject({ Config: 'BYPASS', SHCFG: 'USE_INCOMING' });
    expect(story(to(host, 'blocked'))).toBe(ABORT);
    expect(ste(host)).toMatchObject({ Config: 'ABORT', SHCFG: 'USE_INCOMING' });
  });

  it('to stage 2 stores the stage 2 fields, then the first doubleword', () => {
    const host = old({ profile: 'everything' });
    expect(story(to(host, { domain: domain(host, { nestParent: true }) }))).toBe(
      'CFGI_STE SYNC CFGI_STE SYNC PREFETCH_CONFIG',
    );
    expect(ste(host)).toMatchObject({ Config: 'S2', S2VMID: 1, SHCFG: 'USE_INCOMING' });
  });

  it('of a second endpoint uses the CD table that the domain has', () => {
    const host = old({ endpoints: [{}, { name: 'dev1', streamId: 0x109 }] });
    const shared = domain(host);
    to(host, { domain: shared });
    expect(story(to(host, { domain: shared }, 'dev1'))).toBe('CFGI_STE SYNC CFGI_STE SYNC PREFETCH_CONFIG');
    expect(of(host.entries, 'domain.finalised')).toHaveLength(1);
    expect(host.driver.masters['dev1']!.cdTable).toBeUndefined();
  });

  it('turns ATS on last, with the ATCs of all of the domain flushed, and off first', () => {
    const host = old({ endpoints: [{ ats: true }, { name: 'dev1', streamId: 0x109, ats: true }] });
    const shared = domain(host);
    expect(story(to(host, { domain: shared }))).toBe(`${FIRST} ATC_INV SYNC ats=true`);
    const second = story(to(host, { domain: shared }, 'dev1'));
    expect(second).toBe('CFGI_STE SYNC CFGI_STE SYNC PREFETCH_CONFIG ATC_INV ATC_INV SYNC ats=true');
    expect(story(to(host, 'blocked', 'dev1'))).toBe(`ats=false ATC_INV SYNC ${ABORT}`);
  });

  it('gives no nesting and no SubstreamIDs', () => {
    const host = old({ endpoints: [{ ssidBits: 4 }] });
    expect(attach(host.context, 'dev0', { domain: domain(host) }, { pasid: 1 })).toEqual({
      errno: 'EOPNOTSUPP',
    });
    expect(Object.keys(releases)).toEqual(['linux-6.1', 'linux-7.0']);
  });
});

describe('unmapping in linux-6.1', () => {
  const mapped = (host: Host, pages: number): number => {
    const made = domain(host);
    to(host, { domain: made });
    mapPages(host.context, made, 0x10_0000n, [{ pa: 0x100_1000, size: pages * 0x1000 }], {
      read: true,
      write: true,
    });
    return made;
  };

  it('invalidates what nothing is attached to any more', () => {
    const host = old();
    const made = mapped(host, 2);
    to(host, 'blocked');
    expect(story(host.run(unmapPages(host.context, made, 0x10_0000n, 0x2000)))).toBe('TLBI_NH_VA SYNC');
  });

  it('never turns a range into all of an ASID, where the present release does from 512 leaves on', () => {
    // IDR3.RIL = 0.
    const host = old({ smmu: { idr: { ...QEMU_IDR, IDR3: 0x1004 } } });
    const commands = story(host.run(unmapPages(host.context, mapped(host, 512), 0x10_0000n, 512 * 0x1000)));
    expect(commands.split(' ').filter((name) => name === 'TLBI_NH_VA')).toHaveLength(512);
  });

  it('flushes a default domain when an endpoint has come', () => {
    const host = bootedHost({ boot: { release: 'linux-6.1', platform: { defaultDomain: 'dma' } } });
    expect(story(host.entries).endsWith(`${FIRST} TLBI_NH_ASID SYNC`)).toBe(true);
  });
});

const QEMU_IDR = { IDR0: 0x0d40_101a, IDR1: 0x0273_0010, IDR3: 0x1404, IDR5: 0x74, IIDR: 0, AIDR: 1 };
