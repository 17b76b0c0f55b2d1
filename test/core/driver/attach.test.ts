/** Attaching: the commands of each kind of attach, ATS on and off, PASIDs, refusals, and what becomes of ASIDs and VMIDs. */
import { describe, expect, it } from 'vitest';
import type { AttachOptions, Target } from '../../../core/driver/attach.ts';
import { allocNested, allocPaging, attach, freeDomain } from '../../../core/driver/ops.ts';
import { bootFrames } from '../../../core/driver/probe.ts';
import type { Entry } from '../../../core/event.ts';
import {
  bootedHost,
  commandsOf,
  type Host,
  type HostOptions,
  hostConfig,
  of,
  plainPlatform,
} from '../../support/smmu-driver.ts';

const domain = (host: Host, flags: Parameters<typeof allocPaging>[2] = {}): number => {
  const made = allocPaging(host.context, 'smmu0', flags);
  if ('errno' in made) throw new Error(made.errno);
  return made.domain;
};
const nestedOver = (host: Host, parentDomain: number, vste: readonly [bigint, bigint]): number => {
  const made = allocNested(host.context, 'smmu0', { parentDomain }, vste);
  if ('errno' in made) throw new Error(made.errno);
  return made.domain;
};
function to(host: Host, target: Target, options: AttachOptions = {}): readonly Entry[] {
  const plan = attach(host.context, 'dev0', target, options);
  if ('errno' in plan) throw new Error(plan.errno);
  return host.run(plan);
}
const errnoOf = (host: Host, target: Target, options: AttachOptions = {}): string | undefined => {
  const plan = attach(host.context, 'dev0', target, options);
  return 'errno' in plan ? plan.errno : undefined;
};
const ats: HostOptions = { endpoints: [{ ats: true }] };
/** Commands and switches of ATS, in order. */
const story = (entries: readonly Entry[]): string[] =>
  entries.flatMap((entry) => {
    if (entry.type === 'command.consumed') return [entry.command.replace('CMD_', '')];
    return entry.type === 'value.set' && entry.path === 'dev0.ats' ? [`ats=${entry.value}`] : [];
  });
const STAGE1 = [0x8000_000bn, 2n] as const;

describe('stage 1', () => {
  it('first attach: 4 CMD_SYNC waited for, 5 writes of PROD', () => {
    const host = bootedHost();
    const entries = to(host, { domain: domain(host) });
    expect(story(entries)).toEqual([
      'CFGI_CD',
      'SYNC',
      'CFGI_CD',
      'SYNC',
      'CFGI_STE',
      'SYNC',
      'CFGI_STE',
      'SYNC',
      'PREFETCH_CONFIG',
    ]);
    const prods = of(entries, 'register.written').filter(({ register }) => register === 'CMDQ_PROD');
    expect(prods).toHaveLength(5);
  });

  it('another domain: the CD alone changes, by way of an invalid one, and the old ASID is flushed', () => {
    const host = bootedHost();
    const [one, two] = [domain(host), domain(host)];
    to(host, { domain: one });
    const names = [
      'CFGI_CD',
      'SYNC',
      'CFGI_CD',
      'SYNC',
      'CFGI_CD',
      'SYNC',
      'PREFETCH_CONFIG',
      'TLBI_NH_ASID',
      'SYNC',
    ];
    expect(story(to(host, { domain: two }))).toEqual(names);
    expect(host.driver.domains.get(one)).toMatchObject({ invs: [] });
    expect(host.driver.domains.get(two)).toMatchObject({
      asid: 2,
      invs: [{ type: 'S1_ASID', id: 2, users: 1 }],
    });
  });

  it('identity and blocked clear the CD after the STE has left it', () => {
    const host = bootedHost();
    to(host, { domain: domain(host) });
    const names = story(to(host, 'identity'));
    expect(names.slice(0, 6)).toEqual(['CFGI_STE', 'SYNC', 'CFGI_STE', 'SYNC', 'CFGI_STE', 'SYNC']);
    expect(names.slice(6)).toEqual([
      'PREFETCH_CONFIG',
      'TLBI_NH_ASID',
      'SYNC',
      'CFGI_CD',
      'SYNC',
      'CFGI_CD',
      'SYNC',
    ]);
  });

  it('on a VHE host is EL2', () => {
    const host = bootedHost({ boot: { platform: { vhe: true } } });
    const one = domain(host);
    to(host, { domain: one });
    expect(story(to(host, 'blocked'))).toContain('TLBI_EL2_ASID');
  });
});

describe('stage 2 and nested', () => {
  it('stage 2 needs a CD no more', () => {
    const host = bootedHost();
    to(host, { domain: domain(host) });
    const names = story(to(host, { domain: domain(host, { nestParent: true }) }));
    // VMID 1: S2VMID and Config differ, which needs V=0 in between.
    expect(names.filter((name) => name === 'CFGI_STE')).toHaveLength(3);
    expect(names.slice(-2)).toEqual(['TLBI_NH_ASID', 'SYNC']);
  });

  it('nested over the parent it was attached to before changes nothing for the parent', () => {
    const host = bootedHost();
    const parent = domain(host, { nestParent: true });
    to(host, { domain: parent });
    const nested = nestedOver(host, parent, STAGE1);
    expect(story(to(host, { domain: nested }))).toEqual([
      'CFGI_STE',
      'SYNC',
      'CFGI_STE',
      'SYNC',
      'PREFETCH_CONFIG',
    ]);
    expect(story(to(host, { domain: nested }))).toEqual(['PREFETCH_CONFIG']);
    const back = story(to(host, { domain: parent }));
    expect(back).toEqual(['CFGI_STE', 'SYNC', 'CFGI_STE', 'SYNC', 'CFGI_STE', 'SYNC', 'PREFETCH_CONFIG']);
    expect(story(to(host, 'blocked')).slice(-2)).toEqual(['TLBI_S12_VMALL', 'SYNC']);
  });

  it('keeps the VM its events belong to, until something else is attached', () => {
    const host = bootedHost();
    const parent = domain(host, { nestParent: true });
    const vmaster = { viommu: 4, context: 1, vsid: '7' };
    to(host, { domain: nestedOver(host, parent, STAGE1) }, { vmaster });
    expect(host.driver.masters['dev0']?.vmaster).toEqual(vmaster);
    to(host, { domain: parent });
    expect(host.driver.masters['dev0']?.vmaster).toBeUndefined();
  });
});

describe('ATS', () => {
  it('is turned on after the STE allows it and the ATC is flushed; off before the STE forbids it', () => {
    const host = bootedHost(ats);
    expect(host.state.endpoints['dev0']?.ats).toBe(false);
    const on = story(to(host, { domain: domain(host) }));
    expect(on.slice(-4)).toEqual(['PREFETCH_CONFIG', 'ATC_INV', 'SYNC', 'ats=true']);
    const off = story(to(host, 'blocked'));
    expect(off[0]).toBe('ats=false');
    expect(off.indexOf('ATC_INV')).toBeGreaterThan(off.lastIndexOf('CFGI_STE'));
    expect(host.driver.masters['dev0']?.atsEnabled).toBe(false);
  });

  it('stays on from domain to domain, with the ATC flushed', () => {
    const host = bootedHost(ats);
    to(host, { domain: domain(host) });
    const names = story(to(host, { domain: domain(host) }));
    expect(names.filter((name) => name.startsWith('ats='))).toEqual([]);
    expect(names.slice(-4)).toEqual(['ATC_INV', 'SYNC', 'TLBI_NH_ASID', 'SYNC']);
  });

  it('is off for a stage 1 vSTE without EATS, on with it, and as the host has it for bypass', () => {
    const host = bootedHost(ats);
    const parent = domain(host, { nestParent: true });
    const state = (vste: readonly [bigint, bigint]): boolean | undefined => {
      to(host, { domain: nestedOver(host, parent, vste) });
      return host.state.endpoints['dev0']?.ats;
    };
    expect(state(STAGE1)).toBe(false);
    expect(state([STAGE1[0], STAGE1[1] | (1n << 28n)])).toBe(true);
    expect(host.driver.domains.get(parent)).toMatchObject({
      invs: [{ type: 'S2_VMID' }, { type: 'S2_VMID_S1_CLEAR' }, { type: 'ATS_FULL', id: 0x108 }],
    });
    expect(state([9n, 0n])).toBe(true);
  });
});

describe('PASIDs', () => {
  const options: HostOptions = { endpoints: [{ ssidBits: 12, ats: true }] };

  it('bring a CD table into an identity STE, and take it out again with the last one', () => {
    const host = bootedHost(options);
    to(host, 'identity');
    const on = story(to(host, { domain: domain(host, { pasid: true }) }, { pasid: 3 }));
    // A fresh leaf of the 2-level CD table; the CD; bypass to S1DSS=bypass; ATS.
    expect(on).toEqual([
      ...['CFGI_CD', 'SYNC', 'CFGI_CD', 'SYNC', 'CFGI_CD', 'SYNC'],
      ...['CFGI_STE', 'SYNC', 'CFGI_STE', 'SYNC', 'PREFETCH_CONFIG', 'ATC_INV', 'SYNC', 'ats=true'],
    ]);
    const off = story(to(host, 'blocked', { pasid: 3 }));
    expect(off.slice(0, 6)).toEqual(['CFGI_CD', 'SYNC', 'CFGI_CD', 'SYNC', 'ATC_INV', 'SYNC']);
    expect(off).toContain('ats=false');
    expect(host.driver.masters['dev0']).toMatchObject({ cdInSte: false, attached: { 0: 'identity' } });
  });

  it('refuse what cannot be together', () => {
    const host = bootedHost(options);
    const stage1 = domain(host, { pasid: true });
    const parent = domain(host, { nestParent: true });
    expect(errnoOf(host, { domain: parent }, { pasid: 1 })).toBe('EINVAL');
    expect(errnoOf(host, { domain: stage1 }, { pasid: 4096 })).toBe('EINVAL');
    to(host, { domain: parent });
    expect(errnoOf(host, { domain: stage1 }, { pasid: 1 })).toBe('EINVAL');
    to(host, { domain: stage1 });
    to(host, { domain: stage1 }, { pasid: 1 });
    expect(errnoOf(host, { domain: parent })).toBe('EBUSY');
    expect(errnoOf(host, { domain: nestedOver(host, parent, STAGE1) })).toBe('EBUSY');
  });
});

describe('domains', () => {
  it('take the lowest free ASID and VMID, and give back all their memory', () => {
    const host = bootedHost();
    const number = (id: number): unknown => host.driver.domains.get(id);
    const pool = JSON.stringify([...host.state.kernel!.pool.free.range()]);
    const [a, b, c] = [domain(host), domain(host), domain(host, { nestParent: true })];
    expect([number(a), number(b), number(c)]).toMatchObject([{ asid: 1 }, { asid: 2 }, { vmid: 1 }]);
    host.run(freeDomain(host.context, a));
    expect(number(domain(host))).toMatchObject({ asid: 1 });
    const left = [...host.driver.domains.range()].map(([id]) => id);
    for (const id of left) host.run(freeDomain(host.context, id));
    expect(JSON.stringify([...host.state.kernel!.pool.free.range()])).toBe(pool);
  });

  it('share one pool of ASIDs with all SMMUs of the kernel, and none of VMIDs', () => {
    const [smmu] = hostConfig().smmus;
    const smmus = [smmu!, { ...smmu!, name: 'smmu1', base: 0xa00_0000 }];
    const host = bootedHost({ machine: { smmus } });
    host.run(bootFrames('smmu1', { platform: plainPlatform }));
    const on = (name: string, flags: Parameters<typeof allocPaging>[2]): unknown => {
      const made = allocPaging(host.context, name, flags);
      return 'errno' in made ? made : host.state.drivers[name]?.domains.get(made.domain);
    };
    expect([on('smmu0', {}), on('smmu1', {}), on('smmu0', {})]).toMatchObject([
      { asid: 1 },
      { asid: 2 },
      { asid: 3 },
    ]);
    const parent = { nestParent: true };
    expect([on('smmu0', parent), on('smmu1', parent)]).toMatchObject([{ vmid: 1 }, { vmid: 1 }]);
    const other = [...host.state.drivers['smmu1']!.domains.range()][0]![0];
    expect(errnoOf(host, { domain: other })).toBe('EINVAL');
  });

  it('are refused as the flags demand', () => {
    const host = bootedHost();
    const errno = (flags: Parameters<typeof allocPaging>[2]): unknown =>
      allocPaging(host.context, 'smmu0', flags);
    expect(errno({ nestParent: true, dirtyTracking: true })).toEqual({ errno: 'EOPNOTSUPP' });
    expect(errno({ nestParent: true, pasid: true })).toEqual({ errno: 'EOPNOTSUPP' });
    const old = bootedHost({ profile: 'mmu-600' });
    expect(allocPaging(old.context, 'smmu0', { nestParent: true })).toEqual({ errno: 'EOPNOTSUPP' });
    expect(attach(host.context, 'nobody', 'blocked')).toEqual({ errno: 'ENODEV' });
  });

  it('have no VMID left after the last one', () => {
    const host = bootedHost({
      smmu: {
        idr: {
          IDR0: 0x0d40_101b & ~(1 << 18),
          IDR1: 0x0273_0010,
          IDR3: 0x1404,
          IDR5: 0x74,
          IIDR: 0,
          AIDR: 1,
        },
      },
    });
    for (let vmid = 1; vmid < 256; vmid += 1) domain(host, { nestParent: true });
    expect(allocPaging(host.context, 'smmu0', { nestParent: true })).toEqual({ errno: 'ENOSPC' });
    expect(commandsOf(host.entries).filter((name) => name.startsWith('TLBI_S12'))).toEqual([]);
  });
});
