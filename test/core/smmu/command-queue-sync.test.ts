/**
 * What the completion of a CMD_SYNC promises (IHI 0070 4.7.3), for each kind of command before it and under
 * any schedule, and the errors that keep it from completing (7.1, 3.9.1.4).
 */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../../core/config.ts';
import type { CommandName } from '../../../core/smmu/command-layout.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  ASID,
  at,
  bringUp,
  cd,
  command,
  dma,
  issue,
  machine,
  map,
  SID,
  storeWords,
  tables,
  write,
} from '../../support/build.ts';
import { on, turn, updated } from '../../support/given.ts';
import { idr, table } from '../../support/tables.ts';

const FEATURES = idr('ATS=1 PRI=1 PRIQS=4 STALL_MODEL=0 STALL_MAX=8 SEV=1 MSI=1 SSIDSIZE=0');
const SEEDS = Array.from({ length: 40 }, (_, seed) => seed + 1);
const MANUAL: Stimulus = { type: 'set', path: 'schedule', value: 'manual' };
const SYNC = command('CMD_SYNC');
const endpoint = { name: 'dev0', smmu: 'smmu0', streamId: SID, ats: true, pri: true, ssidBits: 0, atc: 4 };
const config = (overrides: Partial<MachineConfig> = {}) =>
  machine({ endpoints: [endpoint], ...overrides }, { idr: FEATURES });
const seeded = (seed: number) => config({ schedule: 'seeded', seed });
const warm = () => [...bringUp(), ...tables(), map(0x1000, at.data), dma(0x1000)];

/** A command of each kind of 4.7.3's table, and whether its own effect is a promise of the CMD_SYNC. */
const kinds: readonly (readonly [name: CommandName, words: Uint32Array, removes: readonly string[]])[] = [
  ['CMD_TLBI_NH_ALL', command('CMD_TLBI_NH_ALL'), ['tlb', 'walk']],
  ['CMD_TLBI_NH_VA', command('CMD_TLBI_NH_VA', { ASID, Address: 0x1000 }), ['tlb', 'walk']],
  ['CMD_CFGI_STE', command('CMD_CFGI_STE', { StreamID: SID }), ['ste', 'cd']],
  ['CMD_CFGI_CD', command('CMD_CFGI_CD', { StreamID: SID }), ['cd']],
  ['CMD_PREFETCH_CONFIG', command('CMD_PREFETCH_CONFIG', { StreamID: SID }), []],
  ['CMD_PREFETCH_ADDR', command('CMD_PREFETCH_ADDR', { StreamID: SID, Address: 0x1000 }), []],
  ['CMD_ATC_INV', command('CMD_ATC_INV', { StreamID: SID, Size: 52 }), []],
  ['CMD_PRI_RESP', command('CMD_PRI_RESP', { StreamID: SID, Resp: 'SUCCESS' }), []],
  ['CMD_RESUME', command('CMD_RESUME', { StreamID: SID, STAG: 1 }), []],
  ['CMD_STALL_TERM', command('CMD_STALL_TERM', { StreamID: SID }), []],
];

describe('a CMD_SYNC completes', () => {
  it.each(kinds)('after a %s before it is done, whatever the schedule', (_, words, removes) => {
    for (const seed of SEEDS) {
      const story = on(seeded(seed))
        .given(warm())
        .when(issue(0, words, words, SYNC, words));
      story.then(
        { type: 'command.performed', index: 0 },
        { type: 'command.performed', index: 1 },
        { type: 'command.consumed', index: 2, command: 'CMD_SYNC' },
        updated('CMDQ_CONS', 3),
        { type: 'sync.completed', index: 2 },
        // No younger command starts before.
        { type: 'command.fetched', index: 3 },
      );
      const completed = story.entries.findIndex(({ type }) => type === 'sync.completed');
      const before = story.entries.slice(0, completed);
      const removed = before.flatMap((each) => (each.type === 'cache.invalidated' ? [each.cache] : []));
      expect(removed).toEqual(expect.arrayContaining([...removes]));
    }
  });

  it('after the CMD_SYNC before it, message and all', () => {
    const message = command('CMD_SYNC', { CS: 'SIG_IRQ', MSIAddress: 0x5000n, MSIData: 1 });
    for (const seed of SEEDS) {
      on(seeded(seed))
        .given(bringUp())
        .when(issue(0, message, message))
        .then(
          { type: 'sync.completed', index: 0 },
          { type: 'msi.sent' },
          { type: 'memory.written', pa: 0x5000 },
          { type: 'sync.completed', index: 1 },
          { type: 'msi.sent' },
        );
    }
  });

  it('after the records of terminated accesses are visible', () => {
    for (const seed of SEEDS) {
      const story = on(seeded(seed))
        .given(bringUp(), tables(), MANUAL, dma(0x1000), dma(0x2000), dma(0x3000), issue(0, SYNC))
        .when({ type: 'set', path: 'schedule', value: 'seeded' });
      const completed = story.entries.findIndex(({ type }) => type === 'sync.completed');
      const before = story.entries.slice(0, completed).filter(({ type }) => type === 'record.written');
      expect(before).toHaveLength(3);
    }
  });

  it('after they are dropped, where the queue cannot take them', () => {
    const full = [write('CR0', 0x9), write('EVENTQ_PROD', 0x80), write('EVENTQ_CONS', 0), write('CR0', 0xd)];
    for (const seed of SEEDS) {
      const story = on(seeded(seed))
        .given(bringUp(), tables(), full, MANUAL, dma(0x1000), dma(0x2000), issue(0, SYNC))
        .when({ type: 'set', path: 'schedule', value: 'seeded' });
      story.then(
        { type: 'record.dropped' },
        { type: 'record.dropped' },
        { type: 'sync.completed', index: 0 },
      );
      story.when(write('EVENTQ_CONS', 0x8000_0080)).thenNo('record.written');
    }
  });

  it('while the record of a stall waits for room: the access is tried again, and no old record appears', () => {
    const full = [write('CR0', 0x9), write('EVENTQ_PROD', 0x80), write('EVENTQ_CONS', 0), write('CR0', 0xd)];
    const stalled = on(config())
      .given(bringUp(), tables(), storeWords(at.cd, cd({ S: true })), full)
      .given(dma(0x1000), map(0x1000, at.data))
      .when(issue(0, command('CMD_TLBI_NSNH_ALL'), SYNC));
    stalled.then(
      { type: 'record.withdrawn', record: 'F_TRANSLATION' },
      { type: 'stall.decided', how: 'retry' },
      { type: 'sync.completed', index: 1 },
      { type: 'access.completed', via: 'walk' },
    );
    stalled.when(write('EVENTQ_CONS', 0x80)).thenNo('record.written');
  });

  it('while a stall that was told waits on, untouched', () => {
    on(config())
      .given(bringUp(), tables(), storeWords(at.cd, cd({ S: true })), dma(0x1000))
      .when(issue(0, command('CMD_TLBI_NSNH_ALL'), SYNC))
      .then({ type: 'sync.completed', index: 1 })
      .thenNo('stall.decided', 'stall.ended', 'record.withdrawn');
  });
});

describe('the signal of a CMD_SYNC', () => {
  const rows = table<'CS' | 'features' | 'signals'>(`
    CS       | features | signals
    SIG_NONE | SEV=1    |
    SIG_IRQ  | SEV=1    | interrupt.raised
    SIG_SEV  | SEV=1    | event.sent
    SIG_SEV  | SEV=0    |
  `);
  it.each(rows)('$CS with $features is $signals', ({ CS, features, signals }) => {
    const story = on(machine({}, { idr: idr(features) }))
      .given(bringUp())
      .when(issue(0, command('CMD_SYNC', { CS: CS as 'SIG_IRQ' })));
    const after = story.entries.slice(story.entries.findIndex(({ type }) => type === 'sync.completed') + 1);
    const seen = after.filter(({ type }) => /^(interrupt|event|msi)/.test(type));
    expect(seen.map(({ type }) => type)).toEqual(signals === '' ? [] : [signals]);
    for (const each of seen) expect(each).toMatchObject({ source: 'CMD_SYNC' });
  });
});

describe('a CMD_ATC_INV that is not answered', () => {
  const INV = command('CMD_ATC_INV', { StreamID: SID, Size: 52 });
  const LOUD = command('CMD_SYNC', { CS: 'SIG_IRQ' });
  const silent = () =>
    on(config()).given(bringUp(), { type: 'endpoint.set', endpoint: 'dev0', set: { silent: true } });

  it('is CERROR_ATC_INV_SYNC of the next CMD_SYNC, which is not consumed and gives no signal', () => {
    const story = silent().when(issue(0, INV, command('CMD_TLBI_NSNH_ALL'), LOUD, SYNC));
    story.then(
      { type: 'atc.timedout', endpoint: 'dev0' },
      { type: 'command.performed', index: 1 },
      { type: 'command.rejected', index: 2, error: 'CERROR_ATC_INV_SYNC' },
      updated('CMDQ_CONS', 0x0300_0002),
      updated('GERROR', 1),
      { type: 'interrupt.raised', source: 'GERROR' },
    );
    story.thenNo('sync.completed');
    expect(story.of('interrupt.raised')).toHaveLength(1);
  });

  it('is forgotten with the error: the CMD_SYNC completes when it is executed again', () => {
    const story = silent().when(issue(0, INV, LOUD), write('GERRORN', 1));
    story.then(
      { type: 'command.rejected', error: 'CERROR_ATC_INV_SYNC' },
      { type: 'command.fetched', index: 1, command: 'CMD_SYNC' },
      { type: 'sync.completed', index: 1 },
      { type: 'interrupt.raised', source: 'CMD_SYNC' },
    );
    // The endpoint is still silent: the next is lost as well.
    story
      .when(issue(2, INV, SYNC))
      .then({ type: 'command.rejected', index: 3, error: 'CERROR_ATC_INV_SYNC' });
  });

  it('is no error of a CMD_SYNC with CS=3: what a command is counts first (4.1.3)', () => {
    const ill = command('CMD_SYNC');
    ill[0] = (ill[0] ?? 0) | (3 << 12);
    silent()
      .when(issue(0, INV, ill))
      .then({ type: 'command.rejected', index: 1, error: 'CERROR_ILL' });
  });
});

describe('CMDQEN', () => {
  const half = () => on(config()).given(bringUp(), MANUAL, issue(0, SYNC, SYNC), turn('cmdq'));

  it('is not acknowledged as 0 while a command is half executed (6.3.9)', () => {
    const waiting = half().when(write('CR0', 0x5), turn('acknowledge'));
    waiting.then({ type: 'turn.passed', unit: 'smmu0.acknowledge' });
    waiting
      .when(turn('consume'), turn('acknowledge'), turn('cmdq'))
      .then({ type: 'sync.completed', index: 0 }, updated('CR0ACK', 0x5), { type: 'turn.passed' });
    expect(waiting.state.smmus['smmu0']?.regs['CMDQ_CONS']).toBe(0);
  });

  it('does not wait for a command that came beside the queue', () => {
    on(config())
      .given(bringUp(), MANUAL, { type: 'command.issue', smmu: 'smmu0', lo: 0x46n, hi: 0n })
      .when(write('CR0', 0x5), turn('acknowledge'))
      .then(updated('CR0ACK', 0x5));
  });

  it('does not acknowledge an error as it falls and rises (7.1)', () => {
    const story = on(config())
      .given(bringUp(), issue(0, new Uint32Array(4), SYNC))
      .when(write('CR0', 0x5), write('CR0', 0xd));
    story.thenNo('command.fetched');
    expect(story.state.smmus['smmu0']?.regs['CMDQ_CONS']).toBe(0x0100_0000);
    // Disabled, the acknowledgement alone starts nothing; enabled again, the queue goes on.
    const off = story.when(write('CR0', 0x5), storeWords(at.cmdq, SYNC), write('GERRORN', 1));
    off.thenNo('command.fetched').when(write('CR0', 0xd)).then({ type: 'sync.completed', index: 1 });
  });

  it('lets what was consumed finish while it is 0', () => {
    const story = on(config())
      .given(warm(), MANUAL, issue(0, command('CMD_TLBI_NSNH_ALL')), turn('cmdq'), turn('consume'))
      .given(write('CR0', 0x5), turn('acknowledge'))
      .when(turn('perform'));
    story.then({ type: 'cache.invalidated', cache: 'tlb' }, { type: 'command.performed', index: 0 });
  });
});
