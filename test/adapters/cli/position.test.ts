/** The grammar of positions and ranges, on a log of three branches. */
import { describe, expect, it } from 'vitest';
import {
  type PositionSource,
  parsePosition,
  parseRange,
  showPosition,
} from '../../../adapters/cli/position.ts';
import { step } from '../../../core/machine.ts';
import { resetRegisters } from '../../../core/smmu/regs.ts';
import { initialState } from '../../../core/state.ts';
import { MemoryLog } from '../../../snapshots/memory-store.ts';

const machine = {
  ram: [{ base: 0x4000_0000, size: 0x1000 }],
  smmus: [],
  endpoints: [],
  schedule: 'eager',
  seed: 0,
} as const;

/** main has 10 entries; side left it at 6; b-2.x left side at 4. */
function source(): PositionSource {
  const log = new MemoryLog();
  const main = log.createRoot('main', machine, 'test');
  let state = initialState(machine, resetRegisters);
  for (let at = 0; at < 5; at += 1) {
    const next = step(state, { type: 'mem.read', pa: 0x4000_0000, size: 8 });
    log.append(main.id, state.seq, next.entries);
    state = next.state;
  }
  const side = log.fork('side', main.id, 6);
  log.fork('b-2.x', side.id, 4);
  log.setBookmark({ name: 'here', branch: main.id, seq: 3 });
  log.setBookmark({ name: 'a..b', branch: side.id, seq: 5 });
  log.setCurrent(main.id);
  return { log, landmarks: { 'last fault': (branch) => (branch.id === main.id ? 7 : undefined) } };
}

const positions: readonly (readonly [text: string, means: string])[] = [
  ['main@7', 'main@7'],
  ['main@0', 'main@0'],
  ['@7', 'main@7'],
  ['7', 'main@7'],
  ['@', 'main@10'],
  ['main', 'main@10'],
  ['main@', 'main@10'],
  ['side', 'side@6'],
  ['side@2', 'side@2'],
  ['b-2.x', 'b-2.x@4'],
  ['main@7~3', 'main@4'],
  ['main~2', 'main@8'],
  ['main@7^', 'main@6'],
  ['@7~2^', 'main@4'],
  ['@7~', 'main@6'],
  ['@{here}', 'main@3'],
  ['@{here}~1', 'main@2'],
  ['@{a..b}', 'side@5'],
  ['side@{a..b}', 'side@5'],
  ['@{50%}', 'main@5'],
  ['side@{50%}', 'side@3'],
  ['@{0%}', 'main@0'],
  ['@{100%}', 'main@10'],
  ['@{last fault}', 'main@7'],
];

const refused: readonly (readonly [text: string, message: string])[] = [
  ['', 'expected a position'],
  ['main@11', 'expected a position of main (0 to 10), found main@11'],
  ['side@7', 'expected a position of side (0 to 6), found side@7'],
  ['main@2~3', '1 before its start'],
  ['main@-1', 'expected a position'],
  ['main@x', 'expected a position'],
  ['nain@1', 'did you mean main?'],
  ['@{there}', 'expected a bookmark'],
  ['side@{here}', 'expected a bookmark on side'],
  ['@{101%}', 'expected a bookmark'],
  ['side@{last fault}', 'expected @{last fault} on side, found none there'],
  ['@{here', 'expected a position'],
];

const ranges: readonly (readonly [text: string, from: string, to: string, symmetric: boolean])[] = [
  ['main@2..main@5', 'main@2', 'main@5', false],
  ['main@2..5', 'main@2', 'main@5', false],
  ['side@2..@5', 'side@2', 'side@5', false],
  ['..@5', 'main@0', 'main@5', false],
  ['@5..', 'main@5', 'main@10', false],
  ['main...side', 'main@10', 'side@6', true],
  ['@{here}..@{a..b}', 'main@3', 'side@5', false],
  ['..side', 'side@0', 'side@6', false],
];

describe('a position', () => {
  it.each(positions)('%s is %s', (text, means) => {
    expect(showPosition(parsePosition(text, source()))).toBe(means);
  });

  it.each(refused)('%s is refused', (text, message) => {
    expect(() => parsePosition(text, source())).toThrow(message);
  });

  it('of an empty store is refused', () => {
    const empty = { log: new MemoryLog(), landmarks: {} };
    expect(() => parsePosition('@3', empty)).toThrow('found an empty store');
    expect(() => parsePosition('main', empty)).toThrow('found an empty store');
  });
});

describe('a range', () => {
  it.each(ranges)('%s is %s to %s', (text, from, to, symmetric) => {
    const range = parseRange(text, source());
    expect(range && [showPosition(range.from), showPosition(range.to), range.symmetric]).toEqual([
      from,
      to,
      symmetric,
    ]);
  });

  it('is no single position', () => {
    expect(parseRange('main@3', source())).toBeUndefined();
    expect(parseRange('@{a..b}', source())).toBeUndefined();
  });
});
