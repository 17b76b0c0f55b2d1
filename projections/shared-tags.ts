/**
 * I4: a VMID or ASID stands for one set of tables at a time (IHI 0070 3.17, 5.2.1, 5.4.1). Entries are
 * shared by whoever uses their tags, so two CDs with one ASID and other tables, or two STEs with one VMID
 * and other stage 2 tables, serve each other's entries; and so does a tag that was given up and is used
 * again before it is clean. A tag that its owner frees before that is told by I2.
 */
import type { EntryOf } from '../core/event.ts';
import { positions, type Teller, tellChange, tellMissing, tellOwed } from './explain.ts';
import type { Finding } from './finding.ts';
import type { State } from './invalidation-state.ts';
import type { Change, Obligation } from './obligations/obligation.ts';
import { sameTag } from './obligations/roots.ts';
import type { Shadow } from './obligations/shadow.ts';
import type { Root } from './obligations/tables.ts';
import { hex } from './obligations/tell.ts';

/** What the changes of this entry made of tags: asked when all of it is known. */
export function settleTags({ shadows, findings, teller }: State): void {
  for (const shadow of shadows.values()) {
    const { roots } = shadow.streams.contexts;
    if (roots.fresh.length === 0) continue;
    for (const { root, change } of roots.fresh.splice(0)) {
      if (root.users === 0 || change.initial === true) continue;
      for (const other of sameTag(roots, root)) {
        const found = judgePair(shadow, teller, root, other, change);
        if (found !== undefined) findings.push(found);
      }
    }
  }
}

function judgePair(
  shadow: Shadow,
  teller: Teller,
  root: Root,
  other: Root,
  change: Change,
): Finding | undefined {
  if (other.users > 0) {
    if (root.conflicts.has(other)) return undefined;
    shadow.streams.contexts.roots.shared = true;
    root.conflicts.add(other);
    other.conflicts.add(root);
    return tell(shadow, teller, { root, change, before: other.since, obligation: undefined });
  }
  const { tags } = other;
  if (tags === undefined || tags.done || tags.reported) return undefined;
  // An edit of one CD or STE in several stores: what is owed for it may come after the last.
  if (tags.changes.some(({ pa }) => Math.floor(pa / 64) === Math.floor(change.pa / 64))) return undefined;
  tags.reported = true;
  return tell(shadow, teller, { root, change, before: tags.changes[0], obligation: tags });
}

interface Shared {
  readonly root: Root;
  readonly change: Change;
  readonly before: Change;
  /** What is owed for the tag, where nobody uses the old tables any more. */
  readonly obligation: Obligation | undefined;
}

function tell(shadow: Shadow, teller: Teller, { root, change, before, obligation }: Shared): Finding {
  const at = positions(teller);
  const name = showTag(root);
  const kind = obligation === undefined ? 'tag-shared' : 'tag-reused-dirty';
  return {
    rule: 'I4',
    verdict: 'could-be-used',
    position: at(change.seq),
    title: `${kind}: ${name} stands for other tables too`,
    actor: change.actor,
    consequence: 'isolation',
    blame: tellChange(at, change),
    after: before.seq === change.seq ? [] : [tellChange(at, before)],
    missing:
      obligation === undefined
        ? {
            needed: `${root.stage === 1 ? 'an ASID' : 'a VMID'} of its own`,
            commands: [],
            nearest: { position: null, why: 'both are in use: no invalidation keeps them apart' },
          }
        : tellMissing(teller, shadow, obligation, change.seq),
    obligations: obligation === undefined ? [] : [tellOwed(at, shadow, obligation)],
    dirtyEvents: change.seq - before.seq,
    notes: [`entries of ${name} are shared by all who use it`],
    next: [`backwalk show ${at(change.seq)} ${shadow.name}.tlb`, `backwalk fork fix ${at(change.seq)}`],
    reproduce: `backwalk check ${at(1)}..${at(change.seq)} --explain`,
  };
}

function showTag({ stage, regime, vmid, asid }: Root): string {
  if (stage === 2) return `VMID ${hex(vmid)}`;
  if (regime !== 'EL1') return `${regime} ASID ${hex(asid)}`;
  return `ASID ${hex(asid)} of VMID ${hex(vmid)}`;
}

/** A driver made a domain: its tag is in use. */
export function domainMade({ tagOf }: State, { seq, driver, domain }: EntryOf<'domain.made'>): void {
  if (domain.kind === 's1') tagOf.set(seq, { driver, stage: 1, tag: domain.asid });
  if (domain.kind === 's2') tagOf.set(seq, { driver, stage: 2, tag: domain.vmid });
}

/** It frees the domain, and anybody may get the tag: I2 where that is not clean. */
export function domainFreed(state: State, entry: EntryOf<'domain.freed'>): void {
  const freed = state.tagOf.get(entry.domain);
  state.tagOf.delete(entry.domain);
  const shadow = freed === undefined ? undefined : state.shadows.get(freed.driver);
  if (freed === undefined || shadow === undefined) return;
  for (const root of shadow.tables.roots.values()) {
    if (root.stage !== freed.stage || (root.stage === 1 ? root.asid : root.vmid) !== freed.tag) continue;
    const { tags } = root;
    if (tags === undefined || tags.done || tags.reported) continue;
    tags.reported = true;
    state.findings.push(tellFreed(shadow, state.teller, root, tags, entry));
    return;
  }
}

function tellFreed(
  shadow: Shadow,
  teller: Teller,
  root: Root,
  tags: Obligation,
  { seq, actor, driver }: EntryOf<'domain.freed'>,
): Finding {
  const at = positions(teller);
  const [change] = tags.changes;
  return {
    rule: 'I2',
    verdict: 'could-be-used',
    position: at(seq),
    title: `tag-released-dirty: ${showTag(root)} freed by ${driver}`,
    actor,
    consequence: 'isolation',
    blame: { position: at(seq), actor, what: `${showTag(root)} freed while entries of it may be cached` },
    after: [tellChange(at, change)],
    missing: tellMissing(teller, shadow, tags, seq),
    obligations: [tellOwed(at, shadow, tags)],
    dirtyEvents: seq - change.seq,
    notes: ['whoever gets the tag next is served from what is left of the old'],
    next: [`backwalk show ${at(seq)} ${shadow.name}.tlb`, `backwalk fork fix ${at(change.seq)}`],
    reproduce: `backwalk check ${at(1)}..${at(seq)} --explain`,
  };
}
