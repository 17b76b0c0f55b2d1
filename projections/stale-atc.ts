/**
 * I9: what an endpoint holds in its ATC is invalidated with CMD_ATC_INV, after the TLBs are clean and
 * while the endpoint answers (IHI 0070 3.9.1, 3.9.2, 4.5.1). `used-stale`: a Translated access whose
 * entry a fresh walk contradicts. A CMD_ATC_INV to a function that was reset: `unanswered-atc.ts`.
 */
import type { EntryOf } from '../core/event.ts';
import type { Request } from '../core/smmu/translate.ts';
import {
  type AccessEntry,
  type Positions,
  positions,
  type Teller,
  tellAccess,
  tellChange,
} from './explain.ts';
import type { Finding, Step } from './finding.ts';
import { isSameAnswer, showAnswer } from './obligations/answers.ts';
import { atcMismatch } from './obligations/atc-scope.ts';
import { type AtcHeld, atcFilled, atcRemoved, coveredBy } from './obligations/atcs.ts';
import { answered } from './obligations/commands.ts';
import { filledBy } from './obligations/fills.ts';
import { strayOf } from './obligations/hit-context.ts';
import { configObligations, tlbObligations } from './obligations/ledger.ts';
import { showCommand } from './obligations/nearest.ts';
import { cdCulprits, cleanedBy, culpritsOf } from './obligations/nested-use.ts';
import { type Change, changeAfter, type Invalidation, type Obligation } from './obligations/obligation.ts';
import { encoded, type Needed, remedy, showNeeded } from './obligations/remedy.ts';
import { freshAnswer, type Shadow, walked } from './obligations/shadow.ts';
import { hex, showOwes, showSize, showStructure, showTlbEntry, stateOf } from './obligations/tell.ts';

/** The endpoint keeps what it was answered: later changes of what that rests on are looked for. */
export function keepAnswer(shadow: Shadow, entry: EntryOf<'atc.filled'>): void {
  const { fills, atcs } = shadow;
  const used = [entry.tlb, entry.tlb2 ?? 0].flatMap((seq) => filledBy(fills, seq) ?? []);
  const walk = used.length === 0 ? fills.walk : undefined;
  for (const { path, others } of used) {
    for (const head of [path, ...others]) {
      for (let node = head; ; node = node.up) {
        walked(shadow, node.pa);
        if (node.up === undefined) break;
      }
    }
  }
  const [ste, cd] = [fills.config.get(entry.ste), fills.config.get(entry.cd)];
  const found = strayOf(shadow, entry);
  const stray = found?.through === 0 ? { ...found, through: entry.seq } : found;
  atcFilled(atcs, entry, { ste, cd, fills: used, walk, stray });
}

/** The endpoint answered a CMD_ATC_INV. What the TLB may still give again has to go once more. */
export function atcInvalidated(shadow: Shadow, entry: EntryOf<'atc.invalidated'>): void {
  const { atcs, commands } = shadow;
  const command = answered(commands, entry.fetched, entry.seq);
  if (command?.atc !== undefined) {
    for (const held of coveredBy(atcs, entry.endpoint, command.atc)) {
      if (held.invalidated !== undefined || isBelowDirty(shadow, held)) continue;
      held.invalidated = command;
      atcs.going.add(held);
    }
  }
  atcRemoved(atcs, entry.removed);
}

/** Whether the SMMU may still give the endpoint the same wrong answer. */
function isBelowDirty(shadow: Shadow, held: AtcHeld): boolean {
  const { streamId, substreamId = 0, iova } = held.entry;
  // What changed before it was read is in the answer already.
  const read = Math.min(held.ste?.seq ?? held.entry.seq, held.cd?.seq ?? held.entry.seq);
  const config = configObligations(shadow.ledger, streamId, substreamId);
  if (config.some((each) => changeAfter(each, read) !== undefined)) return true;
  return held.fills.some((fill) => {
    const owed = tlbObligations(shadow.ledger, fill.entry, fill.entry.stage === 2 ? fill.entry.va : iova);
    if (owed.some((each) => each.kind !== 'relaxed' && changeAfter(each, fill.oldest) !== undefined))
      return true;
    return culpritsOf(shadow, fill).some((culprit) => cleanedBy(shadow, culprit) === undefined);
  });
}

/** An access that an ATC entry served, and what made that wrong. */
export interface StaleAtc {
  readonly finding: Finding;
  readonly held: AtcHeld;
  readonly cause: Cause;
  /** The endpoint was asked to drop the entry, and answered. */
  readonly kept: boolean;
}

export interface Cause {
  readonly change: Change;
  readonly obligation: Obligation | undefined;
  /** The TLB invalidation of it that is complete, if there is one. */
  readonly cleaned: Invalidation | undefined;
}

/** The finding of a Translated access, or undefined: it was right, or allowed. */
export function judgeTranslated(
  shadow: Shadow,
  teller: Teller,
  access: AccessEntry,
  request: Request,
  line: number | undefined,
): StaleAtc | undefined {
  const held = access.atc === undefined ? undefined : shadow.atcs.held.get(access.atc);
  // What the entry refuses is asked again: a permission may be granted without an invalidation (8.4).
  if (held === undefined || access.type === 'access.terminated') return undefined;
  const fresh = freshAnswer(shadow, request);
  if (isSameAnswer(shadow, access, fresh)) return undefined;
  const cause = causeOf(shadow, held);
  if (cause === undefined) return undefined;
  const { invalidated } = held;
  const survived = invalidated !== undefined && invalidated.synced !== 0 ? invalidated : undefined;
  if (survived === undefined && (invalidated !== undefined || isUnderWay(shadow, held))) return undefined; // N1
  if (survived === undefined && cause.change.window?.open === true) return undefined; // N1 and N2
  const finding = explain(shadow, teller, { held, access, cause, survived, now: showAnswer(fresh), line });
  return { finding, held, cause, kept: survived !== undefined };
}

/** A CMD_ATC_INV for the entry is queued. */
function isUnderWay({ commands }: Shadow, { entry }: AtcHeld): boolean {
  for (const list of [commands.inFlight, commands.pending])
    for (const { atc } of list.values())
      if (atc !== undefined && atcMismatch(atc, entry) === undefined) return true;
  return false;
}

/** The first change of what the entry rests on. */
function causeOf(shadow: Shadow, held: AtcHeld): Cause | undefined {
  const words = [
    ...held.fills.flatMap((fill) => culpritsOf(shadow, fill)),
    ...cdCulprits(shadow, held.cd),
  ].sort((a, b) => a.change.seq - b.change.seq);
  const [first] = words;
  if (first !== undefined)
    return { change: first.change, obligation: first.obligation, cleaned: cleanedBy(shadow, first) };
  const { ledger, commands } = shadow;
  const { streamId, substreamId = 0 } = held.entry;
  const kept = [held.ste, held.cd].flatMap((fill) =>
    fill === undefined ? [] : (ledger.past.get(fill.pa) ?? []),
  );
  for (const obligation of [...configObligations(ledger, streamId, substreamId), ...kept]) {
    const change = changeAfter(obligation, held.ste?.seq ?? 0);
    if (change === undefined) continue;
    const cleaned = obligation.done ? obligation.covered : undefined;
    return { change, obligation, cleaned: cleaned?.synced === 0 ? undefined : cleaned };
  }
  const gone = held.fills.flatMap(({ entry }) =>
    tlbObligations(ledger, entry, entry.va).filter(({ kind }) => kind === 'tags'),
  );
  const [tags] = gone;
  const change = tags === undefined ? undefined : changeAfter(tags, held.ste?.seq ?? 0);
  if (tags === undefined || change === undefined || commands === undefined) return undefined;
  return { change, obligation: tags, cleaned: undefined };
}

interface Used {
  readonly held: AtcHeld;
  readonly access: AccessEntry;
  readonly cause: Cause;
  readonly survived: Invalidation | undefined;
  readonly now: string;
  readonly line: number | undefined;
}

function explain(shadow: Shadow, teller: Teller, used: Used): Finding {
  const { held, access, cause, survived, now, line } = used;
  const at = positions(teller);
  const { entry } = held;
  const { change } = cause;
  const early = survived === undefined ? tooEarly(shadow, used) : undefined;
  const actor = access.endpoint;
  const [blame, after] =
    survived !== undefined
      ? [tellKept(at, actor, survived), [tellChange(at, change)]]
      : early !== undefined && held.entry.seq > early.performed
        ? [tellEarly(at, early), [tellChange(at, change)]]
        : [tellChange(at, change), []];
  return {
    rule: 'I9',
    verdict: 'used-stale',
    position: at(access.seq),
    title: `stale-atc-used in DMA ${access.access} by ${actor} (SID ${hex(access.streamId)})`,
    actor,
    consequence: 'isolation',
    access: tellAccess(at, { access, now, line }),
    entry: { filled: at(entry.seq), cache: 'atc', what: showHeld(held), rests: restsOn(at, shadow, held) },
    blame,
    after,
    missing: survived === undefined ? missing(shadow, at, used, early) : NOTHING_MISSING,
    obligations: [owed(shadow, at, used)],
    dirtyEvents: access.seq - change.seq,
    notes:
      survived === undefined ? [] : [`${at(survived.synced)} the CMD_SYNC behind that command completed`],
    next: [`backwalk show ${at(access.seq - 1)} ${actor}.atc`, `backwalk fork fix ${at(change.seq)}`],
    reproduce: `backwalk check ${at(1)}..${at(access.seq)} --explain`,
  };
}

const NOTHING_MISSING: Finding['missing'] = {
  needed: 'nothing: the CMD_ATC_INV that covers the entry was queued, answered and synced',
  commands: [],
  nearest: { position: null, why: 'the ATC entry outlived an invalidation that the endpoint answered' },
};

/** A CMD_ATC_INV that covers the entry, after the change and before the TLBs were clean of it. */
function tooEarly({ commands }: Shadow, { held, access, cause }: Used): Invalidation | undefined {
  const clean = cause.cleaned?.synced ?? Number.POSITIVE_INFINITY;
  return commands.recent.find(
    ({ atc, performed, answered: at }) =>
      atc !== undefined &&
      at !== 0 &&
      atcMismatch(atc, held.entry) === undefined &&
      performed > cause.change.seq &&
      performed < Math.min(clean, access.seq),
  );
}

function tellKept(at: Positions, actor: string, command: Invalidation): Step {
  const what = `answered ${showCommand(command)}, which covers the entry, and kept it`;
  return { position: at(command.answered || command.performed), actor, what };
}

/** The CMD_ATC_INV that is to blame for its place in the order. */
export function tellEarly(at: Positions, command: Invalidation): Step {
  const what = `${showCommand(command)} came before the TLB was clean: the endpoint may be given the same again`;
  return { position: at(command.performed), actor: command.actor, what };
}

function showHeld({ entry }: AtcHeld): string {
  const { iova, sizeLog2, pa, permissions, substreamId } = entry;
  const pasid = substreamId === undefined ? '' : ` pasid=${hex(substreamId)}`;
  return `{ATC va=${hex(iova)}/${showSize(sizeLog2)}${pasid} -> pa=${hex(pa)} ${permissions}}`;
}

function restsOn(at: Positions, { name }: Shadow, held: AtcHeld): readonly Step[] {
  const { entry, fills, ste, cd } = held;
  return [
    { position: at(entry.seq), actor: entry.endpoint, what: `fill ${showHeld(held)}` },
    ...fills.map(({ entry: tlb }) => ({
      position: at(tlb.seq),
      actor: name,
      what: `fill ${showTlbEntry(tlb)}`,
    })),
    ...[cd, ste].flatMap((fill) =>
      fill === undefined
        ? []
        : [
            {
              position: at(fill.seq),
              actor: name,
              what: `fill ${fill.cache.toUpperCase()} from ${hex(fill.pa)}`,
            },
          ],
    ),
  ];
}

/** Clean TLBs first, then the ATC (4.5.1). */
function missing(
  shadow: Shadow,
  at: Positions,
  { held, cause }: Used,
  early: Invalidation | undefined,
): Finding['missing'] {
  const { obligation, cleaned } = cause;
  const { streamId, substreamId, iova, sizeLog2 } = held.entry;
  const pasid = substreamId === undefined ? {} : { SSV: true, SubstreamID: substreamId };
  const span = { Size: Math.min(52, Math.max(0, sizeLog2 - 12)), Address: Number(iova) };
  const commands: readonly Needed[] = [
    ...(cleaned !== undefined || obligation === undefined ? [] : remedy(obligation)),
    encoded('CMD_ATC_INV', { StreamID: streamId, ...pasid, ...span }),
    encoded('CMD_SYNC', {}),
  ];
  return {
    needed: commands.map(showNeeded).join('; '),
    commands,
    nearest: nearest(shadow, at, held, cause, early),
  };
}

/** The CMD_ATC_INV that came closest. */
function nearest(
  { commands }: Shadow,
  at: Positions,
  { entry }: AtcHeld,
  { change }: Cause,
  early: Invalidation | undefined,
): Finding['missing']['nearest'] {
  const told = (command: Invalidation, why: string): Finding['missing']['nearest'] => ({
    position: at(command.performed || command.rejected || command.fetched),
    why,
    command: showCommand(command),
  });
  if (early !== undefined) return told(early, 'too early: before the CMD_SYNC of the TLB invalidation');
  const asked = commands.recent.filter(({ atc }) => atc !== undefined).sort((a, b) => b.fetched - a.fetched);
  const later = asked.filter(({ fetched }) => fetched > change.seq);
  for (const command of later) {
    if (command.atc === undefined) continue;
    const why = atcMismatch(command.atc, entry);
    if (why !== undefined) return told(command, why);
    if (command.rejected !== 0) return told(command, `refused with ${command.error}, it had no effect`);
    if (command.answered === 0) return told(command, 'the endpoint did not do what it was asked');
    if (command.synced === 0) return told(command, 'no CMD_SYNC has completed after it');
  }
  const before = asked.find(({ atc }) => atc !== undefined && atcMismatch(atc, entry) === undefined);
  if (before !== undefined) return told(before, 'too early: performed before the change');
  return { position: null, why: 'no CMD_ATC_INV of that stream was queued' };
}

function owed(shadow: Shadow, at: Positions, { held, cause }: Used): Finding['obligations'][number] {
  const { entry } = held;
  const { obligation, change } = cause;
  const who = `sid ${hex(entry.streamId)}${entry.substreamId === undefined ? '' : `, pasid ${hex(entry.substreamId)}`}`;
  const below =
    obligation === undefined || cause.cleaned !== undefined ? '' : `${showOwes(obligation)}, then `;
  return {
    structure: obligation === undefined ? 'configuration' : showStructure(obligation),
    where: hex(obligation?.where ?? change.pa),
    owes: `${below}ATC(${who}, va ${hex(entry.iova)}/${showSize(entry.sizeLog2)})`,
    since: at(change.seq),
    state:
      obligation === undefined || cause.cleaned !== undefined ? 'owed' : stateOf(shadow.commands, obligation),
  };
}
