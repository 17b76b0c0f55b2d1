/**
 * Several CPUs in the driver at once: who reserves slots, who writes PROD for whom, and what each waits for.
 * Sources: linux, arm_smmu_cmdq_issue_cmdlist.
 */
import { describe, expect, it } from 'vitest';
import { type DmaHost, dmaHost, PAGE, story } from '../../support/dma-api.ts';
import { of } from '../../support/smmu-driver.ts';

/** CPUs 0, 1, ... have each unmapped a page, and stand before their commands. */
function unmapping(cpus: number): { readonly host: DmaHost; turn(cpu: number, count?: number): string } {
  const host = dmaHost({ machine: { schedule: 'manual' } });
  const mapped = Array.from({ length: cpus }, (_, cpu) => {
    expect(host.map({ cpu })).toBe('pending');
    host.line({ op: 'run' });
    return of(host.look(), 'dma.mapped')[0]!.iova!;
  });
  for (const [cpu, iova] of mapped.entries()) host.unmap(`0x${iova.toString(16)}`, PAGE, { cpu });
  const turn = (cpu: number, count = 1): string => {
    host.look();
    for (let at = 0; at < count; at += 1) host.line({ op: 'turn', unit: `host.cpu${cpu}` });
    return story(
      host.look(),
      'dma.unmapping',
      'cmdq.reserved',
      'cmdq.filled',
      'cmdq.gathered',
      'cmdq.published',
      'turn.passed',
    );
  };
  for (let cpu = 0; cpu < cpus; cpu += 1) expect(turn(cpu)).toBe('dma.unmapping');
  return { host, turn };
}

const prods = (host: DmaHost): readonly bigint[] =>
  of(host.look(), 'register.written')
    .filter(({ register }) => register === 'CMDQ_PROD')
    .map(({ value }) => value);

describe('the Command queue', () => {
  it('has one write of PROD for three CPUs: the first is the owner, the others join', () => {
    const { host, turn } = unmapping(3);
    const before = host.state.drivers['smmu0']!.queues.CMDQ!.prod;
    for (const cpu of [0, 1, 2]) expect(turn(cpu)).toBe('cmdq.reserved');
    expect(host.state.drivers['smmu0']!.runs).toMatchObject([{ parts: [{}, {}, {}], gathered: false }]);
    // Later ones are ready first; the owner waits for all.
    expect([turn(2), turn(0), turn(0), turn(0)]).toEqual([
      'cmdq.filled',
      'cmdq.filled',
      'cmdq.gathered',
      'turn.passed',
    ]);
    expect(turn(1)).toBe('cmdq.filled');
    host.line({ op: 'turn', unit: 'host.cpu0' });
    expect(prods(host)).toEqual([BigInt(before + 6)]);
    host.line({ op: 'run' });
    const entries = host.look();
    expect(of(entries, 'dma.unmapped').map(({ errno }) => errno)).toEqual([undefined, undefined, undefined]);
    expect(story(entries)).toBe('TLBI_NH_VA SYNC TLBI_NH_VA SYNC TLBI_NH_VA SYNC');
    expect(host.state.drivers['smmu0']!.runs).toEqual([]);
  });

  it('has a new run when the owner gathers no more; its owner waits until the first run is told of', () => {
    const { host, turn } = unmapping(2);
    expect(turn(0, 3)).toBe('cmdq.reserved cmdq.filled cmdq.gathered');
    expect(turn(1, 3)).toBe('cmdq.reserved cmdq.filled turn.passed');
    expect(turn(0)).toBe('cmdq.published');
    host.look();
    expect(turn(1, 2)).toBe('cmdq.gathered cmdq.published');
    const owners = host.state.drivers['smmu0']!.runs;
    expect(owners).toEqual([]);
    host.line({ op: 'run' });
    expect(of(host.look(), 'dma.unmapped')).toHaveLength(2);
  });

  it('lets each wait for its own CMD_SYNC, not for the last', () => {
    const { host, turn } = unmapping(2);
    turn(0);
    turn(1, 2);
    turn(0, 3);
    host.look();
    for (const unit of ['cmdq', 'consume', 'perform', 'cmdq', 'consume'])
      host.line({ op: 'turn', unit: `smmu0.${unit}` });
    expect(turn(1)).toBe('turn.passed');
    host.line({ op: 'turn', unit: 'host.cpu0' });
    expect(of(host.look(), 'dma.unmapped')).toMatchObject([{ cpu: 0 }]);
  });

  it('is shared with the handler of an interrupt and the kernel too', () => {
    const { host, turn } = unmapping(1);
    turn(0);
    // The kernel attaches while a CPU has slots: its commands stand behind them.
    host.line({ op: 'open', fd: 'iommu0' });
    host.line({ op: 'open', fd: 'vfio:nic0' });
    host.ioctl('VFIO_DEVICE_BIND_IOMMUFD', { iommufd: 'iommu0' }, { fd: 'vfio:nic0' });
    host.line({ op: 'run' });
    const entries = host.look();
    expect(story(entries).startsWith('TLBI_NH_VA SYNC CFGI_STE SYNC')).toBe(true);
    expect(of(entries, 'misuse.noted')).toEqual([]);
  });
});

describe('a flush', () => {
  it('of one CPU is waited for by the timer, and frees nothing that came after it began', () => {
    const host = dmaHost({ driver: { defaultDomain: 'dma-fq' } });
    const all = Array.from({ length: 257 }, () => host.map({ pa: '0x10000' }));
    for (const iova of all.slice(0, 255)) host.unmap(iova);
    host.line({ op: 'set', path: 'schedule', value: 'manual' });
    host.unmap(all[255] ?? '');
    host.unmap(all[256] ?? '', PAGE, { cpu: 1 });
    const step = (unit: string): void => void host.line({ op: 'turn', unit });
    // CPU 0 stands in its flush, with its ring locked; CPU 1 queues; then the timer runs out.
    for (let at = 0; at < 4; at += 1) step('host.cpu0');
    for (let at = 0; at < 3; at += 1) step('host.cpu1');
    expect(of(host.look(), 'fq.queued').at(-1)).toMatchObject({ cpu: 1, counter: 1 });
    step('smmu0.fq-timer');
    host.line({ op: 'run' });
    const entries = host.look();
    const freed = of(entries, 'iova.freed').map(({ iova }) => `0x${iova.toString(16)}`);
    expect(freed).toContain(all[256]);
    expect(of(entries, 'fq.flushed')).toHaveLength(2);
    const sync = entries.filter(({ type }) => type === 'sync.completed').map(({ seq }) => seq);
    const free = of(entries, 'iova.freed').find(({ iova }) => `0x${iova.toString(16)}` === all[256])!;
    expect(free.seq).toBeGreaterThan(sync[1]!);
  });
});
