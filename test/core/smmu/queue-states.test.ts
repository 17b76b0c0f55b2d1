/**
 * Queues of 1, 2 and 4 entries in all their states: every PROD and CONS with their wrap bits and overflow
 * flags, enabled or not, with an error active or not. What one record or one command does there is compared
 * with an oracle that is a table of 3.5.1, 4.1.2, 7.2 and 7.4 and that shares no code with the model.
 */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../core/event.ts';
import { step } from '../../../core/machine.ts';
import { Simulation } from '../../../core/simulation.ts';
import type { State } from '../../../core/state.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  at,
  bringUp,
  cd,
  command,
  dma,
  machine,
  reset,
  storeWords,
  tables,
  write,
} from '../../support/build.ts';
import { turn } from '../../support/given.ts';
import { firstRow, idr, table } from '../../support/tables.ts';

const MANUAL: Stimulus = { type: 'set', path: 'schedule', value: 'manual' };
const FLAG = 2 ** 31;
const FAR = 0x20_0000_0000n;
const EVENTQ_OFF = [write('CR0', 0x9), turn('acknowledge')];
const CMDQ_OFF = [write('CR0', 0x5), turn('acknowledge')];

function played(config: Parameters<typeof reset>[0], stimuli: readonly Stimulus[]): State {
  const simulation = new Simulation(reset(config));
  for (const stimulus of stimuli) simulation.dispatch(stimulus);
  return simulation.state;
}

function steps(
  from: State,
  stimuli: readonly Stimulus[],
): { readonly state: State; readonly entries: readonly Entry[] } {
  let state = from;
  const entries: Entry[] = [];
  for (const stimulus of stimuli) {
    const done = step(state, stimulus);
    state = done.state;
    entries.push(...done.entries);
  }
  return { state, entries };
}

const reg = (state: State, name: string): number => state.smmus['smmu0']?.regs[name] ?? 0;

/** How the pointers stand to each other, told from 3.5.1's words alone: index, wrap, nothing subtracted. */
function relation(log2: number, prod: number, cons: number): 'empty' | 'full' | 'some' | 'inconsistent' {
  const size = 2 ** log2;
  const [producer, consumer] = [prod % size, cons % size];
  const wrapsEqual = Math.floor(prod / size) % 2 === Math.floor(cons / size) % 2;
  if (producer === consumer) return wrapsEqual ? 'empty' : 'full';
  return producer > consumer === wrapsEqual ? 'some' : 'inconsistent';
}

/** The pointer after `pointer`: the index goes up, and round with a toggle of the wrap bit. */
function next(log2: number, pointer: number): number {
  const size = 2 ** log2;
  const [index, wrap] = [pointer % size, Math.floor(pointer / size)];
  return index + 1 < size ? wrap * size + index + 1 : (1 - wrap) * size;
}

const pointers = (log2: number): readonly number[] =>
  Array.from({ length: 2 * 2 ** log2 }, (_, each) => each);

// 7.2.1, 7.4: what becomes of a record. The first row that fits counts.
const fates = table<'EVENTQEN' | 'abort' | 'queue' | 'stall' | 'fate' | 'overflow'>(`
  EVENTQEN | abort | queue             | stall | fate    | overflow
  0        | -     | -                 | no    | dropped | no
  0        | -     | -                 | yes   | waits   | no
  1        | yes   | -                 | no    | dropped | no
  1        | yes   | -                 | yes   | waits   | no
  1        | no    | full,inconsistent | no    | dropped | yes
  1        | no    | full,inconsistent | yes   | waits   | no
  1        | no    | empty,some        | -     | written | no
`);

const modes = ['on', 'off', 'aborted'] as const;

/** A machine that is ready but for the pointers and the enable of its Event queue. */
function eventBase(log2: number, mode: (typeof modes)[number], stall: boolean): State {
  const base = BigInt(at.evtq) | BigInt(log2);
  const aborted = [
    write('EVENTQ_BASE', FAR),
    write('CR0', 0xd),
    turn('acknowledge'),
    dma(0x2000),
    turn('evtq'),
  ];
  return played(machine({}, { idr: idr('STALL_MODEL=0 STALL_MAX=4') }), [
    ...bringUp(),
    ...tables(),
    MANUAL,
    ...EVENTQ_OFF,
    ...(mode === 'aborted' ? [...aborted, ...EVENTQ_OFF] : []),
    ...(stall ? [storeWords(at.cd, cd({ S: true })), write('CR0', 0x9)] : []),
    // What the fault that aborted has cached is of no use to the next.
    { type: 'command.issue', smmu: 'smmu0', lo: 0x4n, hi: 0x1fn },
    turn('consume'),
    turn('perform'),
    write('EVENTQ_BASE', base),
  ]);
}

describe.each([0, 1, 2])('an Event queue of 2^%i records', (log2) => {
  for (const mode of modes) {
    for (const stall of [false, true]) {
      it(`that is ${mode}, and a record ${stall ? 'of a stall' : 'of a termination'}`, () => {
        const base = eventBase(log2, mode, stall);
        expect(reg(base, 'GERROR') ^ reg(base, 'GERRORN')).toBe(mode === 'aborted' ? 4 : 0);
        for (const prod of pointers(log2)) {
          for (const cons of pointers(log2)) {
            for (const OVFLG of [0, FLAG]) {
              for (const OVACKFLG of [0, FLAG]) {
                const { state, entries } = steps(base, [
                  write('EVENTQ_PROD', prod + OVFLG),
                  write('EVENTQ_CONS', cons + OVACKFLG),
                  ...(mode === 'off' ? [] : [write('CR0', 0xd), turn('acknowledge')]),
                  dma(0x1000),
                  turn('evtq'),
                ]);
                const queue = relation(log2, prod, cons);
                const { fate, overflow } = firstRow(fates, {
                  EVENTQEN: mode === 'off' ? '0' : '1',
                  abort: mode === 'aborted' ? 'yes' : 'no',
                  queue,
                  stall: stall ? 'yes' : 'no',
                });
                const written = fate === 'written';
                // An overflow that is not acknowledged is not marked again (7.4).
                const toggles = overflow === 'yes' && OVFLG === OVACKFLG;
                const flag = toggles ? FLAG - OVFLG : OVFLG;
                const at = `${queue} ${prod}/${cons} ${OVFLG}/${OVACKFLG}`;
                const seen = {
                  at,
                  prod: reg(state, 'EVENTQ_PROD'),
                  written: entries.filter((each) => each.type === 'record.written').length,
                  dropped: entries.filter((each) => each.type === 'record.dropped').length,
                  waits: state.smmus['smmu0']?.records.length,
                  interrupts: entries.filter((each) => each.type === 'interrupt.raised').length,
                };
                expect(seen).toEqual({
                  at,
                  prod: (written ? next(log2, prod) : prod) + flag,
                  written: written ? 1 : 0,
                  dropped: fate === 'dropped' ? 1 : 0,
                  waits: fate === 'waits' ? 1 : 0,
                  interrupts: written && queue === 'empty' ? 1 : 0,
                });
              }
            }
          }
        }
      });
    }
  }

  it('writes the record of a stall once there is room, and says nothing of an overflow', () => {
    const base = eventBase(log2, 'on', true);
    const full = steps(base, [
      write('EVENTQ_PROD', 2 ** log2),
      write('EVENTQ_CONS', 0),
      write('CR0', 0xd),
      turn('acknowledge'),
      dma(0x1000),
      turn('evtq'),
    ]).state;
    const { entries, state } = steps(full, [write('EVENTQ_CONS', 1), turn('evtq')]);
    expect(entries.filter((each) => each.type === 'record.written')).toMatchObject([{ index: 2 ** log2 }]);
    expect(reg(state, 'EVENTQ_PROD')).toBe(next(log2, 2 ** log2));
  });
});

// 4.1.2, 7.1: whether a command is taken.
const takes = table<'CMDQEN' | 'error' | 'queue' | 'taken'>(`
  CMDQEN | error | queue              | taken
  0      | -     | -                  | no
  1      | yes   | -                  | no
  1      | no    | empty,inconsistent | no
  1      | no    | some,full          | yes
`);

function commandBase(log2: number, mode: 'on' | 'off' | 'error'): State {
  const failing = [
    write('CMDQ_BASE', FAR),
    write('CMDQ_PROD', 1),
    write('CR0', 0xd),
    turn('acknowledge'),
    turn('cmdq'),
  ];
  return played(machine(), [
    ...bringUp(),
    MANUAL,
    ...CMDQ_OFF,
    ...(mode === 'error' ? [...failing, ...CMDQ_OFF] : []),
    write('CMDQ_BASE', BigInt(at.cmdq) | BigInt(log2)),
    ...Array.from({ length: 2 ** log2 }, (_, slot) => storeWords(at.cmdq + 16 * slot, command('CMD_SYNC'))),
  ]);
}

describe.each([0, 1, 2])('a Command queue of 2^%i commands', (log2) => {
  it.each(['on', 'off', 'error'] as const)('that is %s', (mode) => {
    const base = commandBase(log2, mode);
    expect(reg(base, 'GERROR') ^ reg(base, 'GERRORN')).toBe(mode === 'error' ? 1 : 0);
    for (const prod of pointers(log2)) {
      for (const cons of pointers(log2)) {
        const { state, entries } = steps(base, [
          write('CMDQ_PROD', prod),
          write('CMDQ_CONS', cons),
          ...(mode === 'off' ? [] : [write('CR0', 0xd), turn('acknowledge')]),
          turn('cmdq'),
          turn('consume'),
        ]);
        const queue = relation(log2, prod, cons);
        const taken = firstRow(takes, {
          CMDQEN: mode === 'off' ? '0' : '1',
          error: mode === 'error' ? 'yes' : 'no',
          queue,
        }).taken;
        const fetched = entries.filter((each) => each.type === 'command.fetched');
        const at = `${queue} ${prod}/${cons}`;
        expect([at, fetched.map((each) => each.index)]).toEqual([at, taken === 'yes' ? [cons] : []]);
        // Bits above the pointer aside: an error's code stays in ERR.
        expect([at, reg(state, 'CMDQ_CONS') & 0xfffff]).toEqual([
          at,
          taken === 'yes' ? next(log2, cons) : cons,
        ]);
        // A queue that could be seen full wakes the PEs when it is not any more (4.1.2).
        const woken = entries.filter((each) => each.type === 'event.sent').length;
        expect([at, woken]).toEqual([at, 0]);
      }
    }
  });

  it('wakes the PEs once it is full no more, with IDR0.SEV (4.1.2)', () => {
    for (const [features, choices, wakes] of [
      ['SEV=1', {}, 'full'],
      ['SEV=0', {}, ''],
      ['SEV=1', { erratumFullQueueSev: true }, ''],
    ] as const) {
      const base = played(machine({}, { idr: idr(features), choices }), [
        ...bringUp(),
        MANUAL,
        ...CMDQ_OFF,
        write('CMDQ_BASE', BigInt(at.cmdq) | BigInt(log2)),
        ...Array.from({ length: 2 ** log2 }, (_, slot) =>
          storeWords(at.cmdq + 16 * slot, command('CMD_SYNC')),
        ),
      ]);
      for (const prod of pointers(log2)) {
        for (const cons of pointers(log2)) {
          const { entries } = steps(base, [
            write('CMDQ_PROD', prod),
            write('CMDQ_CONS', cons),
            write('CR0', 0xd),
            turn('acknowledge'),
            turn('cmdq'),
            turn('consume'),
          ]);
          const expected = relation(log2, prod, cons) === wakes ? ['CMDQ'] : [];
          expect(entries.flatMap((each) => (each.type === 'event.sent' ? [each.source] : []))).toEqual(
            expected,
          );
        }
      }
    }
  });
});
