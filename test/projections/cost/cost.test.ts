/**
 * What is counted, and for whom. Counts of a small story are worked out by hand; of long ones it is shown that every
 * count belongs to just one operation, that a range counts what lies in it, and that the schedule does not matter to
 * the sum of what a single operation costs.
 */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../core/event.ts';
import { type Cost, type CostOptions, cost, type OperationCost } from '../../../projections/cost/cost.ts';
import { countOf } from '../../../projections/cost/counts-of.ts';
import { counted, defaultPrices, priced } from '../../../projections/cost/prices.ts';
import { runProjections } from '../../../projections/projection.ts';
import { ASID, at, command, dma, issue, map, unmap } from '../../support/build.ts';
import { given } from '../../support/entries.ts';
import { bootHost, vmConfig } from '../../support/vm.ts';

/** All that can take a turn in a host with two VMs, taken in this order again and again. */
const UNITS = [
  'vm0.cpu0',
  'vm1.cpu0',
  'vm0.vmm',
  'vm1.vmm',
  'kernel',
  'smmu0.cmdq',
  'smmu0.consume',
  'smmu0.perform',
  'smmu0.acknowledge',
];

const costOf = (entries: Iterable<Entry>, options: CostOptions = {}): Cost =>
  runProjections(entries, [cost(options)])[0];

const countsOf = ({ rows }: Cost): Record<string, number> =>
  Object.fromEntries(rows.map(({ kind, who, detail, count }) => [`${kind} ${who} ${detail}`, count]));

/** A VM that boots, and CPUs of it that map and unmap; with `seeded` all at once. */
function vmHistory(schedule: 'eager' | 'seeded', seed = 1): readonly Entry[] {
  const host = bootHost({ nic0: 8, nic1: 9 }, { schedule, seed });
  const all: Entry[] = [...host.entries];
  const ask: typeof host.ask = (stimulus) => {
    const outcome = host.ask(stimulus);
    all.push(...host.entries);
    return outcome;
  };
  ask({ type: 'vm.create', vm: 'vm0', config: vmConfig('qemu-accel', { cpus: 2 }) });
  for (const [name, streamId] of [
    ['nic0', 16],
    ['nic1', 17],
  ] as const)
    ask({ type: 'vm.plug', vm: 'vm0', endpoint: name, device: { streamId } });
  ask({ type: 'guest.boot', vm: 'vm0' });
  for (const endpoint of ['nic0', 'nic1'])
    ask({ type: 'guest.map', vm: 'vm0', endpoint, bytes: 0x2000, iova: 0x10_0000n });
  ask({ type: 'dma', endpoint: 'nic0', iova: 0x10_0000n, size: 8, access: 'read' });
  for (const [cpu, endpoint] of ['nic0', 'nic1'].entries())
    ask({ type: 'guest.unmap', vm: 'vm0', endpoint, iova: 0x10_0000n, bytes: 0x2000, cpu });
  return all;
}

describe('a story without a kernel', () => {
  const clean = issue(
    0,
    command('CMD_TLBI_NH_VA', { ASID, Address: 0x5000, Leaf: true }),
    command('CMD_SYNC'),
  );
  const log = given(map(0x5000, at.data), dma(0x5000), dma(0x5000), unmap(0x5000), clean, dma(0x5000));

  it('counts walks, descriptors, structures, commands, waits, drops and records', () => {
    const found = countsOf(costOf(log.entries));
    expect(found).toMatchObject({
      'walk.host smmu0 walk': 2,
      'fetch.structure smmu0 STE': 1,
      'fetch.structure smmu0 CD': 1,
      'command.host smmu0 CMD_TLBI_NH_VA': 1,
      'sync.host smmu0 CMD_SYNC': 1,
      'record smmu0 F_TRANSLATION': 1,
    });
    expect(found['drop.tlb smmu0 tlb']).toBeGreaterThan(0);
    const levels = Object.entries(found).filter(([name]) => name.startsWith('fetch.descriptor'));
    const fetched = log.entries.filter(({ type }) => type === 'descriptor.fetched');
    expect(levels.reduce((sum, [, count]) => sum + count, 0)).toBe(fetched.length);
    const dropped = log.entries.flatMap((entry) => (entry.type === 'cache.invalidated' ? entry.removed : []));
    expect(found['drop.tlb smmu0 tlb'] ?? 0).toBe(dropped.length);
  });

  it('gives the first access its walk and the second one nothing', () => {
    const each: OperationCost[] = [];
    const { open } = costOf(log.entries, { each: (one) => each.push(one) });
    const dmas = [...each, ...open].filter(({ what }) => what === 'dma');
    expect(dmas.map(({ counts }) => counts['walk.host'] ?? 0)).toEqual([1, 0, 1]);
    expect(dmas[1]?.ns.high).toBe(0);
  });

  it('answers at any time without changing what comes', () => {
    const projection = cost();
    const run = projection.start();
    for (const entry of log.entries) {
      run.takes.get(entry.type)?.(entry);
      run.answer();
    }
    expect(run.answer()).toEqual(costOf(log.entries));
  });
});

describe('a VM', () => {
  const entries = vmHistory('eager');

  it('counts every exit, call, command and wait of the log once', () => {
    const { rows } = costOf(entries);
    const sum = (kind: string): number =>
      rows.filter((row) => row.kind === kind).reduce((all, { count }) => all + count, 0);
    const all = (type: string): readonly Entry[] => entries.filter((entry) => entry.type === type);
    expect(sum('exit.read') + sum('exit.write') + sum('exit.notify')).toBe(all('exit.taken').length);
    expect(sum('ioctl')).toBe(all('ioctl.begun').length);
    expect(sum('sync.host') + sum('sync.guest')).toBe(all('sync.completed').length);
    const commands = entries.filter((each) => each.type === 'command.fetched' && each.command !== 'CMD_SYNC');
    expect(sum('command.host') + sum('command.guest')).toBe(commands.length);
    expect(commands.some((each) => each.type === 'command.fetched' && each.smmu === 'vm0.smmu')).toBe(true);
    expect(sum('pin')).toBe(0x400_0000);
  });

  it('tells the traps by register and the calls by name', () => {
    expect(countsOf(costOf(entries))).toMatchObject({
      'exit.read vm0 IDR0': 1,
      'exit.write vm0 CMDQ_BASE': 1,
      'ioctl vm0 IOMMU_VIOMMU_ALLOC': 1,
      'ioctl vm0 VFIO_DEVICE_BIND_IOMMUFD': 2,
      'copy.ioctl vm0 IOMMU_VIOMMU_ALLOC': 40,
    });
  });

  it('counts of a range what lies in it, each with the operation it came from', () => {
    const [first] = entries.filter(({ type }) => type === 'guest.unmap');
    const { operations } = costOf(entries, { after: (first?.seq ?? 0) - 1 });
    expect(operations.map(({ what, times }) => `${what} ${times}`)).toEqual(['guest.unmap 2']);
    const [{ counts = {} } = {}] = operations;
    expect((['X', 'I', 'C', 'Y'] as const).map((each) => countOf(counts, each))).toEqual([4, 2, 2, 2]);
  });

  it('gives each operation to its sort, the dearest named', () => {
    const { operations } = costOf(entries);
    const unmaps = operations.find(({ what }) => what === 'guest.unmap');
    expect(unmaps?.times).toBe(2);
    expect(unmaps?.worst.ns.typical).toBeLessThan(unmaps?.ns.typical ?? 0);
    expect(operations.find(({ what }) => what === 'guest.map')?.counts).toEqual({});
  });
});

describe('under any schedule', () => {
  it.each([1, 2, 3, 4, 5])('what all operations have is what was counted (seed %i)', (seed) => {
    for (const entries of [vmHistory('eager'), vmHistory('seeded', seed)]) {
      const { rows, operations } = costOf(entries);
      for (const kind of new Set(rows.map((row) => row.kind))) {
        const inRows = rows.filter((row) => row.kind === kind).reduce((sum, { count }) => sum + count, 0);
        const inOperations = operations.reduce((sum, { counts }) => sum + (counts[kind] ?? 0), 0);
        expect(inOperations, kind).toBe(inRows);
      }
    }
  });

  it('an unmap is charged for its own work where two are on their way at once', () => {
    const host = bootHost({ nic0: 8, nic1: 9 }, { schedule: 'manual' });
    const all: Entry[] = [...host.entries];
    const ask: typeof host.ask = (stimulus) => {
      const outcome = host.ask(stimulus);
      all.push(...host.entries);
      return outcome;
    };
    const units = (): void => {
      for (let turns = 0; turns < 5000; turns += 1) {
        const before = host.state.seq;
        for (const unit of UNITS) ask({ type: 'turn', unit });
        if (host.entries.length === 2 && host.state.tasks.length === 0) return;
        expect(host.state.seq).toBeGreaterThan(before);
      }
    };
    const guests = [
      ['vm0', 'nic0'],
      ['vm1', 'nic1'],
    ] as const;
    for (const [vm, endpoint] of guests) {
      ask({ type: 'vm.create', vm, config: vmConfig('qemu-accel', { smmus: [`${vm}.smmu`] }) });
      ask({ type: 'vm.plug', vm, endpoint, device: { streamId: 16 } });
      units();
      ask({ type: 'guest.boot', vm });
      units();
      ask({ type: 'guest.map', vm, endpoint, bytes: 0x3000, iova: 0x10_0000n });
      units();
    }
    for (const [vm, endpoint] of guests)
      ask({ type: 'guest.unmap', vm, endpoint, iova: 0x10_0000n, bytes: 0x3000 });
    units();
    const each: OperationCost[] = [];
    const { open } = costOf(all, { each: (one) => each.push(one) });
    const unmaps = [...each, ...open].filter(({ what }) => what === 'guest.unmap');
    expect(unmaps.map(({ seq }) => all.findIndex((entry) => entry.seq === seq))).toHaveLength(2);
    for (const { counts } of unmaps)
      expect((['X', 'I', 'C', 'Y'] as const).map((each) => countOf(counts, each))).toEqual([2, 1, 1, 1]);
  });
});

describe('prices', () => {
  it('have a range in order, a source, and say that they are assumed where nobody published them', () => {
    for (const [name, { low, typical, high, basis, source }] of Object.entries(defaultPrices)) {
      expect([low, typical, high], name).toEqual([low, typical, high].sort((a, b) => a - b));
      expect(source.length, name).toBeGreaterThan(5);
      expect(basis, name).not.toBe('measured');
    }
  });

  it('of a detail go before those of its kind, and bytes are priced by the line', () => {
    expect(priced(defaultPrices, 'command.host', 'CMD_ATC_INV', 3).typical).toBe(6000);
    expect(priced(defaultPrices, 'command.host', 'CMD_TLBI_NH_ALL', 3).typical).toBe(300);
    expect(priced(defaultPrices, 'copy.ioctl', 'IOMMU_IOAS_MAP', 128).typical).toBe(
      2 * counted['copy.ioctl'].typical,
    );
  });
});
