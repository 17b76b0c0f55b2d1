/**
 * The driver of linux-6.1 against captures of the real one: asked for the same, it does the same register
 * accesses, commands and stores into tables, in the same order. What it was asked is read from the captures;
 * addresses of its own tables and queues are named in order of appearance.
 */
import { describe, expect, it } from 'vitest';
import { type Captured, capturedDriver } from '../../support/captured-driver.ts';
import { firstDifference } from '../../support/driver-steps.ts';
import type { captures } from '../../support/import-trace.ts';
import { ourDriver } from '../../support/our-driver.ts';

const counted = ({ steps, asked }: Captured): Readonly<Record<string, number>> => {
  const count = (kind: string): number => asked.filter(({ ask }) => ask === kind).length;
  const steps_ = (start: string): number => steps.filter((step) => step.startsWith(start)).length;
  return {
    probe: count('probe'),
    map: count('map'),
    unmap: count('unmap'),
    faults: asked.reduce((sum, each) => sum + (each.ask === 'faults' ? each.accesses.length : 0), 0),
    cmd: steps_('cmd'),
    w: steps_('w '),
    r: steps_('r '),
    pte: steps_('pte'),
  };
};

describe('the driver of linux-6.1', () => {
  // Numbers of the captures themselves: what is compared is all of them.
  it.each([
    ['clean', { probe: 2, map: 202, unmap: 99, faults: 0, cmd: 220, w: 132, r: 124, pte: 381 }],
    ['stale', { probe: 1, map: 3, unmap: 3, faults: 2, cmd: 17, w: 31, r: 24, pte: 9 }],
    ['faults', { probe: 1, map: 1, unmap: 1, faults: 10, cmd: 15, w: 38, r: 31, pte: 5 }],
  ] as const)('does what the real one did: %s', (name, numbers) => {
    const captured = capturedDriver(name);
    expect(counted(captured)).toEqual(numbers);
    expect(firstDifference(captured.steps, ourDriver(captured.asked, 'linux-6.1'))).toBeUndefined();
  });

  it('is asked for unmaps of several sizes by the captured devices, one of them never invalidated', () => {
    const unmaps = (name: keyof typeof captures) =>
      capturedDriver(name).asked.flatMap((each) => (each.ask === 'unmap' ? [each] : []));
    expect([...new Set(unmaps('clean').map(({ size }) => size / 0x1000))].sort((a, b) => a - b)).toEqual([
      1, 2, 4, 16,
    ]);
    expect(unmaps('stale').map(({ lost }) => lost)).toEqual([false, true, false]);
  });

  it('parts from the present release at the first CD, which that one invalidates by its StreamID', () => {
    const { steps, asked } = capturedDriver('stale');
    expect(firstDifference(steps, ourDriver(asked, 'linux-7.0'))).toContain('fresh ste 0x1 0x0');
    const commands = (lines: readonly string[]): string[] => lines.filter((line) => line.startsWith('cmd'));
    const difference = firstDifference(commands(steps), commands(ourDriver(asked, 'linux-7.0')));
    expect(difference).toMatch(/> cmd #4 CMD_SYNC[\s\S]*> cmd #4 CMD_CFGI_CD/);
  });
});
