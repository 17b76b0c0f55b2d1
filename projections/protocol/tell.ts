/** Findings of the rules of protocol: no access and no cache entry, but a deed, and what would have been right. */
import type { Entry } from '../../core/event.ts';
import type { CapabilityOf, Consequence, Finding, Step, Verdict } from '../finding.ts';
import type { World } from './world.ts';

/** Who did what, by the seq of its entry. */
export interface Deed {
  readonly seq: number;
  readonly actor: string;
  readonly what: string;
}

export interface Broken {
  readonly rule: string;
  readonly verdict?: Verdict;
  /** Where the rule broke; the blame's position when absent. */
  readonly seq?: number;
  readonly title: string;
  readonly actor?: string;
  readonly consequence?: Consequence;
  readonly blame: Deed;
  readonly after?: readonly Deed[];
  /** What would have been right, in words. */
  readonly needed: string;
  /** What came nearest to it. */
  readonly nearest?: { readonly seq: number | null; readonly why: string };
  readonly notes?: readonly string[];
  readonly capability?: CapabilityOf;
  /** seqs of the positions of commands whose loss it tells. */
  readonly lost?: readonly number[];
}

/** The finding of a broken rule. */
export function tell(world: World, broken: Broken): Finding {
  const { at } = world;
  const { rule, verdict = 'protocol', title, blame, after = [], needed, nearest, notes = [] } = broken;
  const { lost, capability } = broken;
  const seq = broken.seq ?? blame.seq;
  const step = (deed: Deed): Step => ({ position: at(deed.seq), actor: deed.actor, what: deed.what });
  return {
    rule,
    verdict,
    position: at(seq),
    title,
    actor: broken.actor ?? blame.actor,
    consequence: broken.consequence ?? 'availability',
    blame: { ...step(blame), ...placeOf(world, blame) },
    after: after.map(step),
    missing: {
      needed,
      commands: [],
      nearest: {
        position: nearest === undefined || nearest.seq === null ? null : at(nearest.seq),
        why: nearest?.why ?? '',
      },
    },
    obligations: [],
    dirtyEvents: seq - blame.seq,
    notes,
    ...(capability === undefined ? {} : { capability }),
    ...(lost === undefined ? {} : { lost: lost.map(at) }),
    next: [
      `backwalk show ${at(seq)}`,
      ...(capability === undefined ? [] : [`backwalk caps explain ${capability.field} ${at(seq)}`]),
      `backwalk fork fix ${at(Math.max(1, blame.seq - 1))}`,
    ],
    reproduce: `backwalk check ${at(1)}..${at(seq)} --explain`,
  };
}

/** Line of the scenario, where the deed follows from the stimulus under way. */
function placeOf({ stimulus }: World, { seq }: Deed): { readonly line?: number } {
  if (stimulus === undefined || !('line' in stimulus) || stimulus.line === undefined) return {};
  return stimulus.seq <= seq ? { line: stimulus.line } : {};
}

/** An entry as a deed. */
export function deed({ seq, actor }: Pick<Entry, 'seq' | 'actor'>, what: string): Deed {
  return { seq, actor, what };
}

/** A write of a register, which the SMMU states, as the deed of who wrote it. */
export function byWriter(
  { stimulus, machine, software }: World,
  { seq, cause }: Pick<Entry, 'seq' | 'cause'>,
  what: string,
): Deed {
  if (stimulus?.type === 'mmio.write' && stimulus.seq === cause) return { seq, actor: stimulus.actor, what };
  return { seq, actor: software ?? (machine.kernel == null ? 'software' : 'kernel'), what };
}
