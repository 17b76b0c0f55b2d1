/** Putting commands into the queue: batches and their writes of PROD, wrap, waiting for room, CMD_SYNC and its time-out. */
import { describe, expect, it } from 'vitest';
import { issue, issueAndSync } from '../../../core/driver/cmdq.ts';
import { type Cmd, cmdOf } from '../../../core/driver/commands.ts';
import { bootFrames } from '../../../core/driver/probe.ts';
import type { Entry } from '../../../core/event.ts';
import { bootedHost, coldHost, commandsOf, fieldOf, of, plainPlatform } from '../../support/smmu-driver.ts';

const tlbi = (count: number): Cmd[] =>
  Array.from({ length: count }, (_, at) => cmdOf('CMD_TLBI_NH_ASID', { ASID: at + 1 }));
const prods = (entries: readonly Entry[]): number =>
  of(entries, 'register.written').filter(({ register }) => register === 'CMDQ_PROD').length;

describe('batches', () => {
  // p = ceil(c / 64) writes of PROD, one CMD_SYNC in the last.
  it.each([
    [1, 1],
    [63, 1],
    [64, 1],
    [65, 2],
    [128, 2],
    [129, 3],
  ])('%i commands take %i writes of PROD and one CMD_SYNC', (count, writes) => {
    const host = bootedHost();
    const entries = host.run([issueAndSync('smmu0', tlbi(count))]);
    expect(prods(entries)).toBe(writes);
    expect(commandsOf(entries).filter((name) => name === 'SYNC')).toHaveLength(1);
    expect(fieldOf(entries, 'CMD_TLBI_NH_ASID', 'ASID')).toEqual(tlbi(count).map((_, at) => at + 1));
    expect(host.state.tasks).toEqual([]);
  });

  it('end in a CMD_SYNC at 63 where the erratum of MMU-700 asks for it', () => {
    const host = bootedHost({ profile: 'mmu-700' });
    const names = commandsOf(host.run([issueAndSync('smmu0', tlbi(64))]));
    expect(names.indexOf('SYNC')).toBe(63);
    expect(names.filter((name) => name === 'SYNC')).toHaveLength(2);
  });

  it('are one store, two where the queue wraps', () => {
    const host = bootedHost();
    // 8 KiB queue: 512 entries.
    const before = host.driver.queues.CMDQ!.prod;
    host.run([issue('smmu0', tlbi(512 - before - 1))]);
    const entries = host.run([issueAndSync('smmu0', tlbi(1)), issueAndSync('smmu0', tlbi(2))]);
    const { pa } = host.driver.queues.CMDQ!;
    const stores = of(entries, 'memory.loaded').map((entry) => [
      (entry.pa - pa) / 16,
      entry.bytes.length / 16,
    ]);
    expect(stores).toEqual([
      [511, 1],
      [0, 1],
      [1, 3],
    ]);
  });
});

describe('CMD_SYNC', () => {
  it('is polled by CONS, after PROD was written and the commands were done', () => {
    const host = bootedHost();
    const entries = host.run([issueAndSync('smmu0', tlbi(1))]);
    const at = (type: string): number => entries.findIndex((entry) => entry.type === type);
    expect(of(entries, 'register.read').map(({ register }) => register)).toEqual(['CMDQ_CONS']);
    expect(at('register.read')).toBeGreaterThan(at('sync.completed'));
    expect(at('register.written')).toBeGreaterThan(at('memory.loaded'));
    expect(fieldOf(entries, 'CMD_SYNC', 'CS')).toEqual(['SIG_SEV']);
  });

  it('tells of itself in its own slot where the SMMU has messages', () => {
    const host = bootedHost({ boot: { platform: { msiPolling: true } } });
    const slot = host.driver.queues.CMDQ!.pa + (host.driver.queues.CMDQ!.prod + 1) * 16;
    const entries = host.run([issueAndSync('smmu0', tlbi(1))]);
    expect(of(entries, 'register.read')).toEqual([]);
    expect(of(entries, 'msi.sent').map(({ pa, data }) => [pa, data])).toEqual([[slot, 0]]);
    expect(host.state.memory.read32(slot)).toBe(0);
    expect(host.state.tasks).toEqual([]);
  });

  it('is given up when the queue has stopped and nobody mends it', () => {
    const host = bootedHost();
    host.put({ type: 'set', path: 'smmu0.quirks.ignore-errors', value: true });
    const entries = host.run([
      issueAndSync('smmu0', [cmdOf('CMD_TLBI_EL3_ALL')]),
      issueAndSync('smmu0', tlbi(1)),
    ]);
    expect(of(entries, 'sync.timedout')).toHaveLength(2);
    expect(of(entries, 'driver.told').map(({ what }) => what)).toContain('CMD_SYNC timeout');
    expect(host.state.tasks).toEqual([]);
  });

  it('waits under a schedule that gives the SMMU no turn, and is not given up', () => {
    const host = bootedHost();
    host.put({ type: 'set', path: 'schedule', value: 'manual' });
    host.run([issueAndSync('smmu0', tlbi(1))]);
    for (let turn = 0; turn < 3; turn += 1) host.put({ type: 'turn', unit: 'kernel' });
    expect(host.state.tasks.map(({ frames }) => frames.map((frame) => frame.do))).toEqual([['cmdq.wait']]);
    expect(of(host.entries, 'turn.passed')).toHaveLength(2);
  });
});

describe('a full queue', () => {
  it('is waited for, and gone on with when there is room', () => {
    const host = coldHost({ smmu: { idr: { ...smallQueue } } });
    host.run(bootFrames('smmu0', { platform: plainPlatform }));
    expect(host.driver.queues.CMDQ!.sizeLog2).toBe(7);
    const entries = host.run([issue('smmu0', tlbi(200)), issueAndSync('smmu0', tlbi(100))]);
    expect(
      of(entries, 'command.performed').filter(({ command }) => command === 'CMD_TLBI_NH_ASID'),
    ).toHaveLength(300);
    expect(host.state.tasks).toEqual([]);
  });

  it('of a stopped SMMU is told once and waited for without end', () => {
    const host = coldHost({ smmu: { idr: { ...smallQueue } } });
    host.run(bootFrames('smmu0', { platform: plainPlatform }));
    host.put({ type: 'set', path: 'smmu0.quirks.ignore-errors', value: true });
    const entries = host.run([issue('smmu0', [cmdOf('CMD_TLBI_EL3_ALL'), ...tlbi(300)])]);
    expect(of(entries, 'driver.told').filter(({ what }) => what === 'CMDQ timeout')).toHaveLength(1);
    expect(host.state.tasks).toHaveLength(1);
  });
});

/** qemu-9 with a Command queue of 128 entries. */
const smallQueue = {
  IDR0: 0x0d40_101b,
  IDR1: (7 << 21) | (7 << 16) | 16,
  IDR3: 0x1404,
  IDR5: 0x74,
  IIDR: 0,
  AIDR: 1,
};
