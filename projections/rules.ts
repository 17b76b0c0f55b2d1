/**
 * The rules that histories are checked by, in one table: what `check`, `help rules` and the reports
 * call them. A row names the invariant, the verdicts its findings may have, the sections it rests on, and
 * the projection that tells its findings. Rules of one projection share its pass over the entries.
 */
import type { MachineConfig } from '../core/config.ts';
import type { Finding, Verdict } from './finding.ts';
import { invalidations } from './invalidations.ts';
import type { Projection } from './projection.ts';

export interface Rule {
  /** The invariant: `rule` of its findings. */
  readonly id: string;
  /** Lower case, with hyphens: another name for `check --rule`. */
  readonly name: string;
  /** What holds where the rule is kept. */
  readonly title: string;
  readonly verdicts: readonly Verdict[];
  /** Of IHI 0070, unless it says otherwise. */
  readonly section: string;
  /** Findings of the rule are those of the projection with its id. */
  readonly projection: (machine: MachineConfig, branch: string) => Projection<readonly Finding[]>;
  /** Older names. One may stand for several rules. */
  readonly aliases?: readonly string[];
}

// biome-ignore format: a table
export const rules: readonly Rule[] = [
  { id: 'I1', name: 'no-stale-use',            verdicts: ['used-stale'],                   section: '3.21, 4.4, 16.2', projection: invalidations, aliases: ['stale-translation'], title: 'nothing is served from an entry that a completed invalidation covers' },
  { id: 'I2', name: 'release-unreachable',     verdicts: ['could-be-used'],                section: '3.21',            projection: invalidations, aliases: ['stale-translation'], title: 'memory and tags are released when nothing can reach them any more' },
  { id: 'I3', name: 'coverage',                verdicts: ['used-stale', 'remade-dirty'],   section: '3.21, 4.4',       projection: invalidations, aliases: ['stale-translation'], title: 'each changed descriptor is covered by a completed invalidation before it is relied on' },
  { id: 'I4', name: 'tags-agree',              verdicts: ['used-stale', 'could-be-used'],  section: '3.17, 5.2.1, 5.4.1', projection: invalidations, title: 'a VMID or ASID stands for one set of tables at a time, and a hit is of the context that filled it' },
  { id: 'I8', name: 'configuration-coherence', verdicts: ['used-stale'],                   section: '3.21.3, 4.3',     projection: invalidations, aliases: ['stale-translation'], title: 'the configuration used is one that stood in memory since the last completed CMD_CFGI_*' },
  { id: 'I9', name: 'ats-contract',            verdicts: ['used-stale', 'protocol'],       section: '3.9, 4.5.1',      projection: invalidations, title: 'what an endpoint holds is invalidated with CMD_ATC_INV, after the TLBs and while it answers' },
];

/** The rules of that invariant, name or older name; none when nobody is called so. */
export function rulesNamed(name: string): readonly Rule[] {
  return rules.filter(
    (rule) => rule.id === name || rule.name === name || rule.aliases?.includes(name) === true,
  );
}
