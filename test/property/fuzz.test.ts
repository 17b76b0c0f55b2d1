/**
 * Nothing that a guest or a device can do is a broken invariant: random register writes, queue bytes,
 * stream table entries, context descriptors and descriptors end in event records, command errors and
 * aborts, never in an assertion of ours.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from '../../core/layout/layout.ts';
import { Simulation } from '../../core/simulation.ts';
import { isActive } from '../../core/smmu/gerror.ts';
import { registers } from '../../core/smmu/registers.ts';
import { reg, regWords } from '../../core/smmu/regs.ts';
import {
  at,
  bringUp,
  cd,
  dma,
  issue,
  machine,
  PAGE_RW,
  reset,
  SID,
  ste,
  store,
  storeWords,
  tables,
  write,
} from '../support/build.ts';
import { anyStimulus, carelessStories, commandWords, play, setups, u64 } from '../support/stories.ts';
import { worldConfig } from '../support/world.ts';

/** A structure with some bits turned: near enough to a legal one to get past the first check. */
function bent(words: Uint32Array): fc.Arbitrary<Uint32Array> {
  const bits = fc.array(fc.nat(words.length * 32 - 1), { maxLength: 4 });
  return bits.map((turned) => {
    const out = words.slice();
    for (const bit of turned) out[bit >>> 5] = (out[bit >>> 5] ?? 0) ^ (1 << (bit & 31));
    return out;
  });
}

function ready(): Simulation {
  const simulation = new Simulation(reset(machine()));
  for (const stimulus of [...bringUp(), ...tables(), store(at.table + 0x3000, BigInt(at.data) | PAGE_RW)]) {
    simulation.dispatch(stimulus);
  }
  return simulation;
}

describe('the machine stands', () => {
  it('any stimuli after any others', () => {
    fc.assert(
      fc.property(setups, fc.array(anyStimulus, { maxLength: 60, size: 'max' }), (setup, stimuli) => {
        const simulation = new Simulation(reset(worldConfig(setup)));
        for (const stimulus of stimuli) simulation.dispatch(stimulus);
        expect(simulation.run(10_000).quiet).toBe(true);
      }),
    );
  });

  it('any careless driver', () => {
    fc.assert(
      fc.property(carelessStories, (story) => {
        expect(play(story).simulation.run(10_000).quiet).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('any value in every register, in any state of the enables', () => {
    const writes = fc.array(fc.tuple(fc.constantFrom(...registers.list), u64), {
      maxLength: 40,
      size: 'max',
    });
    fc.assert(
      fc.property(writes, (list) => {
        const simulation = ready();
        for (const [{ name }, value] of list) {
          simulation.dispatch(write(name, value));
          simulation.dispatch(dma(0));
        }
        expect(simulation.run(100_000).quiet).toBe(true);
      }),
    );
  });

  it('any bytes in the command queue', () => {
    fc.assert(
      fc.property(fc.array(commandWords, { minLength: 1, maxLength: 30, size: 'max' }), (commands) => {
        const simulation = ready();
        simulation.dispatch(dma(0));
        commands.forEach((words, index) => {
          simulation.dispatch(storeWords(at.cmdq + index * 16, words));
          simulation.dispatch(write('CMDQ_PROD', index + 1));
          // A queue that stopped is told to go on with whatever stands there.
          simulation.dispatch(write('GERRORN', 1));
          simulation.dispatch(write('GERRORN', 0));
        });
        expect(simulation.run().quiet).toBe(true);
      }),
    );
  });

  it('and a queue that stops says why: CMDQ_ERR is active exactly with an error in CMDQ_CONS (7.1)', () => {
    fc.assert(
      fc.property(fc.array(commandWords, { minLength: 1, maxLength: 10 }), (commands) => {
        const simulation = ready();
        for (const stimulus of issue(0, ...commands)) simulation.dispatch(stimulus);
        const smmu = simulation.glance.smmus['smmu0']!;
        const { ERR } = decode(registers.byName.CMDQ_CONS, regWords(smmu, 'CMDQ_CONS'));
        expect(isActive(smmu, 'CMDQ_ERR')).toBe(ERR !== 'CERROR_NONE');
        expect(reg(smmu, 'CMDQ_CONS') & 0xf_ffff).toBeLessThanOrEqual(commands.length);
      }),
    );
  });

  it('any stream table entry, context descriptor and descriptor', () => {
    const words = fc.record({
      ste: bent(ste()),
      cd: bent(cd()),
      descriptors: fc.array(u64, { minLength: 4, maxLength: 4 }),
    });
    const accesses = fc.array(fc.tuple(u64, fc.constantFrom('read', 'write')), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(words, accesses, fc.boolean(), (given, list, keepTables) => {
        const simulation = ready();
        simulation.dispatch(storeWords(at.strtab + SID * 64, given.ste));
        simulation.dispatch(storeWords(at.cd, given.cd));
        given.descriptors.forEach((value, level) => {
          if (!keepTables || level === 3) simulation.dispatch(store(at.table + level * 0x1000, value));
        });
        for (const [iova, access] of list) {
          simulation.dispatch(dma(0, access));
          simulation.dispatch(dma(iova, access));
        }
        expect(simulation.run().quiet).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});
