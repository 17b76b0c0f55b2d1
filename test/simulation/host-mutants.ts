/**
 * The same on a host: its kernel maps and unmaps for a device on several CPUs, and one deliberate fault of its driver
 * is on all the time. The twin has the same fault, and no caches.
 */
import * as fc from 'fast-check';
import { assert } from '../../core/assert.ts';
import type { QuirkName } from '../../core/driver/quirks.ts';
import type { Entry } from '../../core/event.ts';
import { checkHistory, seqOf } from '../../projections/check.ts';
import { type Action, action, bootedWorld, type Kind, playDma } from '../support/dma-world.ts';
import { underWay } from '../support/twin.ts';

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
  const correct = checkHistory([...sound.entries, ...playDma(sound, story).entries], sound.config, 'main');
  const world = bootedWorld(kind, true, quirk);
  const cached = playDma(world, story);
  const bare = playDma(bootedWorld(kind, false, quirk), story);
  const entries = [...world.entries, ...cached.entries];
  const findings = checkHistory(entries, world.config, 'main');
  const named = new Set(findings.filter(({ verdict }) => verdict === 'used-stale').map(seqOf));
  const allowed = underWay(entries);
  const others = cached.met.flatMap((each, index) => (each === bare.met[index] ? [] : [index]));
  const accesses = accessesOf(cached.entries);
  const differ = new Set(others.map((index) => accesses[index] ?? 0));
  return {
    mutant,
    falseAlarms: correct.map(({ rule, position, title }) => `${rule} ${position} ${title}`),
    differ: [...differ].filter((seq) => !allowed.has(seq)),
    missed: [...differ].filter((seq) => !named.has(seq) && !allowed.has(seq)),
    extra: [...named].filter((seq) => !differ.has(seq)),
    findings: findings.length,
  };
}

/** seq of the access that each DMA made. */
function accessesOf(entries: readonly Entry[]): readonly number[] {
  return entries
    .filter(({ type }) => type === 'access.completed' || type === 'access.terminated')
    .map(({ seq }) => seq);
}
