/**
 * The machine as a fold: what `step` gives, what `fold` gives back, that states do not change under
 * those who hold them, and what an entry says of its place.
 */
import { describe, expect, it } from 'vitest';
import { isStimulus } from '../../core/event.ts';
import { fold } from '../../core/fold.ts';
import { openSession, step } from '../../core/machine.ts';
import { cacheNames } from '../../core/smmu/state.ts';
import { assemble, dismantle, type State } from '../../core/state.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import {
  at,
  bringUp,
  command,
  dma,
  issue,
  machine,
  map,
  reset,
  store,
  tables,
  unmap,
  write,
} from '../support/build.ts';
import { on } from '../support/given.ts';

const story: readonly Stimulus[] = [
  ...bringUp(),
  ...tables(),
  map(0x1000, at.data),
  dma(0x1000),
  dma(0x5000, 'write'),
  unmap(0x1000),
  dma(0x1000),
  ...issue(0, command('CMD_TLBI_NH_ALL'), command('CMD_SYNC'), new Uint32Array(4)),
  dma(0x1000),
  write('GERRORN', 1),
  { type: 'set', path: 'smmu0.caches.tlb', value: 4 },
  { type: 'note', kind: 'console', text: 'hello' },
];

/** All of a state as plain data that can be compared. */
function content(state: State): unknown {
  const { control, parts } = dismantle(state);
  const plain = Object.entries(parts).map(([name, part]) => [
    name,
    [...part.range()].map(([key, value]) =>
      name === 'memory'
        ? [key, [...(value as { words: Uint32Array }).words]]
        : name.endsWith('.index')
          ? [key, [...(value as typeof part).range()]]
          : [key, value],
    ),
  ]);
  return { control, plain };
}

const lived = () => on(machine()).when(...story);

describe('fold', () => {
  it('of the entries is the state that the steps gave', () => {
    const { entries, state } = lived();
    expect(content(fold(reset(machine()), entries))).toEqual(content(state));
  });

  it('goes on from any entry', () => {
    const { entries, state } = lived();
    for (const cut of [1, 2, 17, 40, entries.length - 1]) {
      const half = fold(reset(machine()), entries.slice(0, cut));
      expect(half.seq).toBe(cut);
      expect(content(fold(half, entries.slice(cut)))).toEqual(content(state));
    }
  });

  it('refuses a gap', () => {
    const { entries } = lived();
    expect(() => fold(reset(machine()), entries.slice(1))).toThrow('follows 0');
  });

  it('survives being taken apart and put together', () => {
    const { entries, state } = lived();
    const half = fold(reset(machine()), entries.slice(0, 60));
    expect(content(fold(assemble(dismantle(half)), entries.slice(60)))).toEqual(content(state));
  });
});

describe('step', () => {
  it('leaves the state it was given alone, memory and caches too', () => {
    let state = reset(machine());
    const held: { readonly state: State; readonly before: unknown }[] = [];
    for (const stimulus of story) {
      held.push({ state, before: structuredClone(content(state)) as unknown });
      state = step(state, stimulus).state;
    }
    for (const { state: old, before } of held) expect(content(old)).toEqual(before);
  });

  it('keeps what did not change the same object', () => {
    const before = lived().state;
    const after = step(before, store(at.data, 1)).state;
    expect(after.smmus).toBe(before.smmus);
    expect(after.endpoints).toBe(before.endpoints);
    expect(after.memory).not.toBe(before.memory);
    const access = step(before, dma(0x1000)).state;
    expect(access.smmus['smmu0']?.regs).toBe(before.smmus['smmu0']?.regs);
  });

  it('forks: two continuations of one state know nothing of each other', () => {
    const base = lived().state;
    const [left, right] = [store(at.data, 1), store(at.data, 2)].map((each) => step(base, each).state);
    expect([base, left, right].map((state) => state?.memory.read64(at.data))).toEqual([0n, 1n, 2n]);
  });

  it('gives the same entries again', () => {
    const session = openSession(reset(machine()));
    const { entries } = lived();
    const again = entries.filter(isStimulus).flatMap((entry) => {
      const { seq, tick, cause, actor, ...stimulus } = entry;
      return session.step({ ...stimulus, actor } as Stimulus);
    });
    expect(again).toEqual(entries);
  });
});

describe('an entry', () => {
  const { entries, state } = lived();

  it('has the next seq, and the tick of its stimulus', () => {
    expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, index) => index + 1));
    const ticks = entries.filter(isStimulus).map(({ tick }) => tick);
    expect(ticks).toEqual(ticks.map((_, index) => index + 1));
    expect(state.tick).toBe(ticks.length);
  });

  it('names its cause: the stimulus, and for a turn the last stimulus from outside', () => {
    let outside = 0;
    let stimulus = 0;
    for (const entry of entries) {
      if (entry.type === 'turn') expect([entry.cause, entry.actor]).toEqual([outside, 'scheduler']);
      else if (isStimulus(entry)) expect(entry.cause).toBe(0);
      else expect(entry.cause).toBe(stimulus);
      if (!isStimulus(entry)) continue;
      stimulus = entry.seq;
      if (entry.type !== 'turn') outside = entry.seq;
    }
  });

  it('names who did it', () => {
    const actor = (type: string) => entries.find((entry) => entry.type === type)?.actor;
    expect(['mem.write', 'dma', 'register.written', 'access.completed'].map(actor)).toEqual([
      'cpu0',
      'outside',
      'smmu0',
      'dev0',
    ]);
  });
});

describe('an observed history', () => {
  it('is taken as it is, and decides nothing', () => {
    const events = [
      { actor: 'smmu0', type: 'register.written', smmu: 'smmu0', register: 'CMDQ_PROD', value: 3n, old: 0n },
      { type: 'memory.written', pa: 8, value: 7n, old: 0n },
    ];
    const story = on(machine()).when({ type: 'observe', events });
    expect(story.entries.map(({ type, actor }) => [type, actor])).toEqual([
      ['observe', 'outside'],
      ['register.written', 'smmu0'],
      ['memory.written', 'trace'],
    ]);
    expect(story.state.memory.read64(8)).toBe(7n);
    expect(cacheNames.every((name) => story.state.smmus['smmu0']?.caches[name].size === 0)).toBe(true);
  });
});
