/**
 * Queue integrity and honest completion on small machines: each case is a story that differs from a correct one by one
 * deed, and names what the rule must say of it; `quiet` ones look wrong and are right.
 */
import { describe, expect, it } from 'vitest';
import type { Stimulus } from '../../../core/stimulus.ts';
import { checkHistory } from '../../../projections/check.ts';
import type { Finding } from '../../../projections/finding.ts';
import { rulesNamed } from '../../../projections/rules.ts';
import {
  ASID,
  at,
  bringUp,
  command,
  dma,
  issue,
  machine,
  read,
  store,
  storeWords,
  unmap,
  write,
} from '../../support/build.ts';
import { deafHardware, findingsOf, given, givenOn, type Recorded } from '../../support/entries.ts';

const SYNC = command('CMD_SYNC');
const TLBI = command('CMD_TLBI_NH_VA', { ASID, Address: 0x4000, Leaf: true });
const ALL = command('CMD_TLBI_NSNH_ALL');
const NONE = Uint32Array.of(0xff, 0, 0, 0);
/** The reserved form of one granule (4.4.1.1). */
const RESERVED = command('CMD_TLBI_NH_VA', { ASID, Address: 0x4000, TG: '4KB' });
const RIL = { idr: { ...machine().smmus[0]?.idr, IDR3: 0x1404 | (1 << 10) } };

const titles = (findings: readonly Finding[]): string[] =>
  findings.map(({ rule, title }) => `${rule} ${title.split(':')[0]}`);
const said = (log: Recorded): string[] => titles(findingsOf(log));
const slotPa = (slot: number): number => at.cmdq + slot * 16;

type Story = readonly (Stimulus | readonly Stimulus[])[];

const stopped: readonly Stimulus[] = issue(0, NONE, SYNC);
const fault = dma(0x9000);

// biome-ignore format: a table
const cases: readonly (readonly [what: string, story: Story, found: readonly string[]])[] = [
  ['a queue that runs',                            [issue(0, TLBI, SYNC)], []],
  ['the Event queue off its alignment',            [write('CR0', 9), write('EVENTQ_BASE', BigInt(at.evtq + 0x80) | 7n), write('CR0', 0xd)], ['I7 queue-misaligned']],
  ['CMDQ_BASE moved while CMDQEN=1',               [write('CMDQ_BASE', 0x50008n)], ['I7 write-while-enabled']],
  ['CMDQ_BASE written as it stands',               [write('CMDQ_BASE', BigInt(at.cmdq) | 8n)], []],
  ['GERRORN toggled for no error',                 [write('GERRORN', 1)], ['I7 gerrorn-inactive']],
  ['EVENTQ_CONS beyond PROD',                      [fault, write('EVENTQ_CONS', 5)], ['I7 queue-inconsistent']],
  ['CMDQ_PROD written with the value it has',      [issue(0, SYNC), storeWords(slotPa(1), TLBI), write('CMDQ_PROD', 1)], ['I7 published-nothing']],
  ['CMDQ_PROD written twice, with nothing new',    [issue(0, SYNC), write('CMDQ_PROD', 1)], []],
  ['a command of the lap before',                  [issue(0, SYNC), write('CMDQ_PROD', 2)], ['I5 published-before-written']],
  ['a stopped queue, and no more of it',           [stopped, read('CMDQ_CONS')], []],
  ['a stopped queue that is waited for',           [stopped, ...Array.from({ length: 9 }, () => read('CMDQ_CONS'))], ['I7 error-not-acknowledged']],
  ['a stopped queue that is fed',                  [stopped, issue(2, TLBI, SYNC)], ['I7 error-not-acknowledged']],
  ['a stopped queue that is mended',               [stopped, storeWords(slotPa(0), SYNC), write('GERRORN', 1), issue(2, TLBI, SYNC)], []],
  ['an acknowledgement that mends nothing',        [stopped, write('GERRORN', 1), storeWords(slotPa(0), SYNC), write('GERRORN', 0)], ['I6 error-not-mended']],
  ['records taken, and PROD looked at again',      [fault, write('EVENTQ_CONS', 1), read('EVENTQ_PROD')], []],
  ['rest over a record, with no interrupt on',     [write('IRQ_CTRL', 0), fault, fault, write('EVENTQ_CONS', 1)], []],
  ['rest over a record',                           [fault, fault, write('EVENTQ_CONS', 1)], ['I7 idle-with-records']],
  ['a record that came after the last look',       [fault, write('EVENTQ_CONS', 1), fault], []],
];

describe('queues', () => {
  it.each(cases)('%s', (_, story, found) => {
    expect(said(given(...story))).toEqual(found);
  });

  it('an interrupt of an empty Event queue is the hardware', () => {
    const log = deafHardware(given(fault, write('EVENTQ_CONS', 1)), {
      type: 'interrupt.raised',
      smmu: 'smmu0',
      source: 'EVENTQ',
    });
    expect(said(log)).toEqual(['I7 interrupt-without-record']);
  });

  it('the slot of a CMD_SYNC may be stored to by the SMMU itself', () => {
    const MSI = command('CMD_SYNC', { CS: 'SIG_IRQ', MSIAddress: BigInt(slotPa(1)), MSIData: 0 });
    const msi = { idr: { ...machine().smmus[0]?.idr, IDR0: 0x0d40_101a | (1 << 13) } };
    expect(said(givenOn(machine({}, msi), issue(0, TLBI, MSI)))).toEqual([]);
  });

  it('says where an overflow was left, until it is acknowledged', () => {
    const small = [write('CR0', 9), write('EVENTQ_BASE', BigInt(at.evtq)), write('CR0', 0xd), fault, fault];
    expect(said(given(...small, write('EVENTQ_CONS', 1)))).toEqual(['I7 overflow-not-acknowledged']);
    expect(said(given(...small, write('EVENTQ_CONS', 1), write('EVENTQ_CONS', 0x8000_0001)))).toEqual([]);
  });
});

describe('lost invalidations', () => {
  const on = (...story: Story): Recorded => givenOn(machine({}, RIL), ...story);
  const replaced: Story = [issue(0, RESERVED, SYNC), storeWords(slotPa(0), SYNC), write('GERRORN', 1)];

  it('are told when a CMD_SYNC after them completes', () => {
    expect(said(on(...replaced))).toEqual(['I6 invalidation-lost']);
  });

  it.each([
    ['the same, legal', command('CMD_TLBI_NH_VA', { ASID, Address: 0x4000, TG: '4KB', TTL: 0, SCALE: 1 })],
    ['all of the ASID and its globals', command('CMD_TLBI_NH_ALL')],
    ['everything', ALL],
  ])('are forgiven for %s', (_, instead) => {
    expect(said(on(...replaced, issue(2, instead, SYNC)))).toEqual([]);
  });

  it.each([
    ['another address', command('CMD_TLBI_NH_VA', { ASID, Address: 0x8000 })],
    ['another ASID', command('CMD_TLBI_NH_ASID', { ASID: ASID + 1 })],
    ['leaves alone', TLBI],
  ])('are not forgiven for %s', (_, instead) => {
    expect(said(on(...replaced, issue(2, instead, SYNC)))).toEqual(['I6 invalidation-lost']);
  });

  it('are none of anybody where the refused command dropped nothing', () => {
    expect(said(given(issue(0, NONE, SYNC), storeWords(slotPa(0), SYNC), write('GERRORN', 1)))).toEqual([]);
  });

  it('are told once, with the harm, where there is any', () => {
    const used = [dma(0x4000), unmap(0x4000)];
    const mapped = store(at.table + 0x3000 + 4 * 8, 0x100_0f43n);
    const found = findingsOf(on(mapped, ...used, ...replaced, dma(0x4000)));
    expect(found.map(({ verdict }) => verdict)).toEqual(['used-stale']);
    // Asked for alone, the rule says its part.
    const { entries, machine: config } = on(mapped, ...used, ...replaced, dma(0x4000));
    expect(titles(checkHistory(entries, config, 'main', rulesNamed('I6')))).toEqual(['I6 invalidation-lost']);
  });

  it('may be skipped with the queue that held them', () => {
    const manual = machine({ schedule: 'manual' });
    const ack = { type: 'turn', unit: 'smmu0.acknowledge' } as const;
    const up = bringUp().flatMap((each) => [each, ack]);
    const begin: Story = [
      up,
      issue(0, TLBI),
      write('CR0', 5),
      ack,
      write('CMDQ_PROD', 0),
      write('CMDQ_CONS', 0),
    ];
    const turns = ['cmdq', 'consume', 'perform', 'cmdq', 'consume'].map(
      (unit) => ({ type: 'turn', unit: `smmu0.${unit}` }) as const,
    );
    const again = [write('CR0', 0xd), ack] as const;
    const sync = [issue(0, SYNC), turns[0]!, turns[1]!] as const;
    expect(said(givenOn(manual, ...begin, ...again, ...sync))).toEqual(['I6 invalidation-lost']);
    expect(said(givenOn(manual, ...begin, ...again, issue(0, ALL, SYNC), ...turns))).toEqual([]);
  });
});
