/**
 * What drivers state: the facts of a boot, an attach and a detach in their order; that folding them gives the live
 * state, taken apart and put together too; and that tasks pause and end.
 */
import { describe, expect, it } from 'vitest';
import { allocPaging, attach, freeDomain, mapPages, unmapPages } from '../../../core/driver/ops.ts';
import { bootFrames } from '../../../core/driver/probe.ts';
import type { Entry, EntryType } from '../../../core/event.ts';
import { fold } from '../../../core/fold.ts';
import { assemble, dismantle } from '../../../core/state.ts';
import { reset } from '../../support/build.ts';
import { digestOf } from '../../support/digest.ts';
import { bootedHost, coldHost, type Host, hostConfig, of, plainPlatform } from '../../support/smmu-driver.ts';

/** Facts of drivers and tasks, without those of memory, registers, queues and the SMMU. */
// biome-ignore format: a list
const FACTS: readonly EntryType[] = [
  'driver.made', 'driver.probed', 'driver.failed', 'driver.started', 'queue.placed', 'strtab.placed', 'strtab.extended',
  'master.added', 'cdtab.placed', 'cdtab.extended', 'cdtab.used', 'domain.made', 'domain.freed', 'invalidations.changed',
  'master.attached', 'pasid.removed', 'task.ended',
];
const facts = (entries: readonly Entry[]): string[] =>
  entries.map(({ type }) => type).filter((type) => FACTS.includes(type));

const pasids = { endpoints: [{ ssidBits: 12 }] } as const;

function paging(host: Host): number {
  const made = allocPaging(host.context, 'smmu0', {});
  if ('errno' in made) throw new Error(made.errno);
  return made.domain;
}
function join(host: Host, to: number | 'blocked' | 'identity', pasid = 0): readonly Entry[] {
  const plan = attach(host.context, 'dev0', typeof to === 'number' ? { domain: to } : to, { pasid });
  if ('errno' in plan) throw new Error(plan.errno);
  const from = host.entries.length;
  host.run(plan);
  return host.entries.slice(from);
}

describe('the facts', () => {
  it('of a boot', () => {
    expect(facts(bootedHost().entries)).toEqual([
      ...['driver.made', 'driver.probed', 'queue.placed', 'queue.placed', 'queue.placed', 'strtab.placed'],
      ...['driver.started', 'strtab.extended', 'master.added', 'master.attached', 'task.ended'],
    ]);
  });

  it('of a boot with the default domain of arm64', () => {
    const host = bootedHost({ boot: { platform: { defaultDomain: 'dma' } } });
    expect(facts(host.entries).slice(-6)).toEqual([
      ...[
        'domain.made',
        'cdtab.placed',
        'invalidations.changed',
        'cdtab.used',
        'master.attached',
        'task.ended',
      ],
    ]);
    const [id] = [...host.driver.domains.range()][0]!;
    expect(host.driver.masters['dev0']?.attached).toEqual({ 0: id });
  });

  it('of an SMMU that is refused', () => {
    const idr = { IDR0: 0x0d40_1018, IDR1: 0x0273_0010, IDR3: 0, IDR5: 0x74, IIDR: 0, AIDR: 1 };
    const host = coldHost({ smmu: { idr } });
    const entries = host.run(bootFrames('smmu0', { platform: plainPlatform }));
    expect(facts(entries)).toEqual(['driver.made', 'driver.failed', 'task.ended']);
    expect(of(entries, 'driver.failed')[0]).toMatchObject({ errno: 'ENXIO', why: 'no translation support' });
    expect(attach(host.context, 'dev0', 'blocked')).toEqual({ errno: 'ENODEV' });
    expect(allocPaging(host.context, 'smmu0', {})).toEqual({ errno: 'ENODEV' });
  });

  it('of a machine without memory', () => {
    const host = coldHost({ machine: { ram: [{ base: 0, size: 0x3000 }] } });
    const entries = host.run(bootFrames('smmu0', { platform: plainPlatform }));
    expect(facts(entries)).toEqual([
      'driver.made',
      'driver.probed',
      'queue.placed',
      'queue.placed',
      'driver.failed',
      'task.ended',
    ]);
    expect(of(entries, 'queue.placed').map(({ queue, sizeLog2 }) => [queue, sizeLog2])).toEqual([
      ['CMDQ', 9],
      ['EVENTQ', 7],
    ]);
  });

  it('of a PASID that comes and goes', () => {
    const host = bootedHost(pasids);
    const domain = paging(host);
    const plan = attach(host.context, 'dev0', { domain }, { pasid: 1030 });
    expect(facts(host.entries).slice(-2)).toEqual(['cdtab.placed', 'cdtab.extended']);
    if ('errno' in plan) throw new Error(plan.errno);
    expect(facts(host.run(plan))).toEqual([
      'invalidations.changed',
      'cdtab.used',
      'master.attached',
      'task.ended',
    ]);
    expect(facts(join(host, 'blocked', 1030))).toEqual([
      ...['invalidations.changed', 'pasid.removed', 'cdtab.used', 'master.attached', 'task.ended'],
    ]);
    expect(facts(host.run(freeDomain(host.context, domain)))).toEqual(['domain.freed', 'task.ended']);
  });
});

describe('a task', () => {
  it('pauses at every wait, and what is left can be read in the log', () => {
    const host = bootedHost();
    const entries = join(host, paging(host));
    const paused = of(entries, 'task.paused').map(({ frames }) => frames[0]?.do);
    expect(paused).toEqual(['cmdq.wait', 'cmdq.wait', 'cmdq.wait', 'cmdq.wait']);
    expect(of(entries, 'task.ended')).toHaveLength(1);
  });
});

describe('the copies of queue pointers', () => {
  it('move with every batch, before PROD is told, and with every look at CONS', () => {
    const host = bootedHost();
    const entries = join(host, 'identity');
    const seen = entries.flatMap((entry) => {
      if (entry.type === 'queue.moved') return [`${entry.prod}/${entry.cons}`];
      return entry.type === 'register.written' ? [entry.register] : [];
    });
    const { prod } = of(host.entries, 'queue.moved').find(({ seq }) => seq >= (entries[0]?.seq ?? 0))!;
    expect(seen.slice(0, 3)).toEqual([`${prod}/${prod - 2 - 1}`, 'CMDQ_PROD', `${prod}/${prod}`]);
  });
});

describe('the state of a driver', () => {
  it('is the fold of its facts, and survives being taken apart', () => {
    const host = bootedHost(pasids);
    const domain = paging(host);
    join(host, domain);
    mapPages(host.context, domain, 0x1000n, [{ pa: 0x300_0000, size: 0x5000 }], { read: true, write: true });
    host.run(unmapPages(host.context, domain, 0x2000n, 0x1000n));
    const folded = fold(reset(hostConfig(pasids)), host.entries);
    expect(digestOf(folded)).toBe(digestOf(host.state));
    expect(digestOf(assemble(dismantle(folded)))).toBe(digestOf(host.state));
    expect(folded.drivers['smmu0']?.domains.get(domain)).toMatchObject({ kind: 's1', asid: 1 });
  });
});
