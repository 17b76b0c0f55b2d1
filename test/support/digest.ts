/** The digest of a state, for tests. */
import { createHash } from 'node:crypto';
import { digestState } from '../../core/history/digest.ts';
import { cacheNames } from '../../core/smmu/state.ts';
import type { State } from '../../core/state.ts';

export function digestOf(state: State): string {
  const hash = createHash('sha256');
  return digestState(state, { update: (text) => void hash.update(text), digest: () => hash.digest('hex') });
}

/**
 * What software can see, and which entries the caches hold, as one number: it stays the same when a later
 * model remembers more than an earlier one did.
 */
export function visibleDigest(state: State): string {
  const hash = createHash('sha256');
  for (const [key, { words }] of state.memory.lines.range())
    if (words.some((word) => word !== 0)) hash.update(`line ${key} ${words.join(',')}\n`);
  for (const [name, smmu] of Object.entries(state.smmus)) {
    const registers = Object.entries(smmu.regs).filter(([, value]) => value !== 0);
    for (const [register, value] of registers.sort()) hash.update(`${name}.${register}=${value}\n`);
    for (const cache of cacheNames)
      hash.update(`${name}.${cache} ${[...smmu.caches[cache].fills.range()].map(([id]) => id).join(',')}\n`);
  }
  return hash.digest('hex');
}
