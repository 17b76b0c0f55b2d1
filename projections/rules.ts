/**
 * The rules that histories are checked by, in one table: what `check`, `help rules` and the reports
 * call them. A row names the invariant, the verdicts its findings may have, the sections it rests on, and
 * the projection that tells its findings. Rules of one projection share its pass over the entries.
 */
import type { MachineConfig } from '../core/config.ts';
import type { Finding, Verdict } from './finding.ts';
import { invalidations } from './invalidations.ts';
import type { Projection } from './projection.ts';
import { protocol } from './protocol.ts';

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
  /** Another projection that tells some of its findings. */
  readonly also?: Rule['projection'];
  /** Older names. One may stand for several rules. */
  readonly aliases?: readonly string[];
}

// biome-ignore format: a table
export const rules: readonly Rule[] = [
  { id: 'I1', name: 'no-stale-use',            verdicts: ['used-stale'],                   section: '3.21, 4.4, 16.2', projection: invalidations, aliases: ['stale-translation'], title: 'nothing is served from an entry that a completed invalidation covers' },
  { id: 'I2', name: 'release-unreachable',     verdicts: ['could-be-used'],                section: '3.21',            projection: invalidations, aliases: ['stale-translation'], title: 'memory and tags are released when nothing can reach them any more' },
  { id: 'I3', name: 'coverage',                verdicts: ['used-stale', 'remade-dirty', 'protocol'], section: '3.21, 4.4', projection: invalidations, also: protocol, aliases: ['stale-translation'], title: 'each changed descriptor is covered by a completed invalidation before it is relied on, and no more is removed than was asked' },
  { id: 'I4', name: 'tags-agree',              verdicts: ['used-stale', 'could-be-used'],  section: '3.17, 5.2.1, 5.4.1', projection: invalidations, title: 'a VMID or ASID stands for one set of tables at a time, and a hit is of the context that filled it' },
  { id: 'I5', name: 'order-of-visibility',     verdicts: ['protocol'],                     section: '3.21.3, 3.5.2, 3.9.1', projection: protocol, title: 'contents before pointer before valid; commands before PROD; TLBs before ATCs' },
  { id: 'I6', name: 'honest-completion',       verdicts: ['protocol'],                     section: '4.7.3, 7.1',      projection: protocol, title: 'whoever waits goes on when his own CMD_SYNC completed, and what is counted as done was done' },
  { id: 'I7', name: 'queue-integrity',         verdicts: ['protocol'],                     section: '3.5, 7.1, 7.4',   projection: protocol, title: 'published slots stay as they are, pointers are those of a queue, errors and records are seen to' },
  { id: 'I8', name: 'configuration-coherence', verdicts: ['used-stale', 'protocol'],       section: '3.21.3, 4.3',     projection: invalidations, also: protocol, aliases: ['stale-translation'], title: 'the configuration used is one that stood in memory since the last completed CMD_CFGI_*' },
  { id: 'I9', name: 'ats-contract',            verdicts: ['used-stale', 'protocol'],       section: '3.9, 4.5.1',      projection: invalidations, title: 'what an endpoint holds is invalidated with CMD_ATC_INV, after the TLBs and while it answers' },
  { id: 'I10', name: 'capability-use',         verdicts: ['protocol'],                     section: '6.3.1 to 6.3.6, 3.17', projection: protocol, title: 'software uses what the ID registers offer, and what they offer works' },
  { id: 'I11', name: 'fault-fidelity',         verdicts: ['protocol'],                     section: '7.3, 3.4.1, 3.12, 8.1', projection: protocol, title: 'each terminated access gives its event record or none, and a walk begins at its base; each stall and page request one answer' },
  { id: 'I12', name: 'proportion',             verdicts: ['excess'],                       section: '4.4, 4.4.1.1',    projection: protocol, title: 'invalidation is bounded by what was asked, and no wider than a stated policy' },
];

/** The rules of that invariant, name or older name; none when nobody is called so. */
export function rulesNamed(name: string): readonly Rule[] {
  return rules.filter(
    (rule) => rule.id === name || rule.name === name || rule.aliases?.includes(name) === true,
  );
}
