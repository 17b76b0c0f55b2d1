/** What the rules of invalidation know together, folded once: memory, SMMUs, and what was found. */
import type { Entry } from '../core/event.ts';
import type { Teller } from './explain.ts';
import type { Finding } from './finding.ts';
import type { Change } from './obligations/obligation.ts';
import type { Shadow } from './obligations/shadow.ts';
import type { Watch } from './obligations/watch.ts';
import type { Releases } from './release.ts';

export interface State {
  /** Endpoints by SMMU and StreamID. */
  readonly endpoints: ReadonlyMap<string, string>;
  readonly watch: Watch;
  readonly shadows: ReadonlyMap<string, Shadow>;
  readonly teller: Teller;
  readonly findings: Finding[];
  readonly releases: Releases;
  /** The stimulus that the present entries follow from. */
  stimulus: Entry | undefined;
}

/** Does the work for the SMMU of that name, if it is one of the machine's. */
export function withShadow({ shadows }: State, name: string, work: (shadow: Shadow) => void): void {
  const shadow = shadows.get(name);
  if (shadow !== undefined) work(shadow);
}

/** Who made the change: the entry, and what its stimulus tells of the place. */
export function originOf(
  { stimulus }: Pick<State, 'stimulus'>,
  entry: Entry,
): Pick<Change, 'seq' | 'actor' | 'line' | 'cpu' | 'pc'> {
  const { seq, actor } = entry;
  if (stimulus === undefined || stimulus.seq !== entry.cause || !('pc' in stimulus || 'line' in stimulus))
    return { seq, actor };
  const { line, cpu, pc } = stimulus;
  return {
    seq,
    actor,
    ...(line === undefined ? {} : { line }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(pc === undefined ? {} : { pc }),
  };
}
