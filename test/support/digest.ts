/** The digest of a state, for tests. */
import { createHash } from 'node:crypto';
import { digestState } from '../../core/history/digest.ts';
import type { State } from '../../core/state.ts';

export function digestOf(state: State): string {
  const hash = createHash('sha256');
  return digestState(state, { update: (text) => void hash.update(text), digest: () => hash.digest('hex') });
}
