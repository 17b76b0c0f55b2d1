/**
 * The same on a host: its kernel maps and unmaps for a device on several CPUs, and one deliberate fault of its driver
 * is on all the time. The twin has the same fault and the same turns, and no caches. When an unmap has ended, the device
 * reads there once more before anybody else has a turn: what was queued and not waited for is still to come then.
 */
import * as fc from 'fast-check';
import { assert } from '../../core/assert.ts';
import type { QuirkName } from '../../core/driver/quirks.ts';
import type { Entry } from '../../core/event.ts';
import { Simulation } from '../../core/simulation.ts';
import { checkHistory, seqOf } from '../../projections/check.ts';
import { type Action, action, bootedWorld, type Kind, playDma, type World } from '../support/dma-world.ts';
import { stimuliOf, underWay } from '../support/twin.ts';

/** Those that maps and unmaps of a few pages come to. */
export const hostQuirks = [
  'skip-sync',
  'skip-tlbi',
  'wrong-asid',
  'short-range',
  'iova-early-free',
  'fq-no-flush',
] as const satisfies readonly QuirkName[];

export interface HostMutant {
  readonly kind: Kind;
  readonly quirk: (typeof hostQuirks)[number];
  readonly story: readonly Action[];
}

export interface HostMeasured {
  readonly mutant: HostMutant;
  /** Findings without the quirk. */
  readonly falseAlarms: readonly string[];
  /** Accesses, by seq, that the twin answers otherwise, but for those that a CMD_SYNC under way excuses (N1). */
  readonly differ: readonly number[];
  /** Of `differ`, those that no `used-stale` names. */
  readonly missed: readonly number[];
  readonly extra: readonly number[];
  readonly findings: number;
}

/** The mutant of a seed. */
export function hostMutantOf(seed: number): HostMutant {
  const mutants = fc.record({
    kind: fc.constantFrom('dma' as const, 'dma-fq' as const),
    quirk: fc.constantFrom(...hostQuirks),
    story: fc.array(action, { minLength: 30, maxLength: 80, size: 'max' }),
  });
  const [mutant] = fc.sample(mutants, { seed, numRuns: 1 });
  assert(mutant !== undefined, 'a seed makes a story');
  return mutant;
}

/** Plays a mutant with and without its quirk and holds the findings against the twin. */
export function measureHost(mutant: HostMutant): HostMeasured {
  const { kind, quirk, story } = mutant;
  const sound = bootedWorld(kind, true);
  const correct = checkHistory(
    [...sound.entries, ...playDma(sound, story, true).entries],
    sound.config,
    'main',
  );
  const world = bootedWorld(kind, true, quirk);
  const cached = playDma(world, story, true).entries;
  const entries = [...world.entries, ...cached];
  const findings = checkHistory(entries, world.config, 'main');
  const named = new Set(findings.filter(({ verdict }) => verdict === 'used-stale').map(seqOf));
  const bare = accessesOf(replayed(bootedWorld(kind, false, quirk), cached));
  const others = accessesOf(cached).filter((access, at) => answerOf(access) !== answerOf(bare[at]));
  const differ = new Set(others.map(({ seq }) => seq));
  // A read is a stray one: its unmap has ended, so that nothing under way excuses it.
  const strays = new Set(others.filter(({ access }) => access === 'read').map(({ seq }) => seq));
  const allowed = new Set([...underWay(entries)].filter((seq) => !strays.has(seq)));
  return {
    mutant,
    falseAlarms: correct.map(({ rule, position, title }) => `${rule} ${position} ${title}`),
    differ: [...differ].filter((seq) => !allowed.has(seq)),
    missed: [...differ].filter((seq) => !named.has(seq) && !allowed.has(seq)),
    extra: [...named].filter((seq) => !differ.has(seq)),
    findings: findings.length,
  };
}

/** The same stimuli, turns among them, put to another machine. */
function replayed({ state }: World, entries: readonly Entry[]): readonly Entry[] {
  const simulation = new Simulation(state);
  return stimuliOf(entries).flatMap((stimulus) => simulation.dispatch(stimulus).entries);
}

type Access = Extract<Entry, { type: 'access.completed' | 'access.terminated' }>;

function accessesOf(entries: readonly Entry[]): readonly Access[] {
  return entries.filter(
    (entry): entry is Access => entry.type === 'access.completed' || entry.type === 'access.terminated',
  );
}

function answerOf(access: Access | undefined): unknown {
  return access?.type === 'access.completed' ? access.pa : access?.type;
}
