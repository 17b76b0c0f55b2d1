/**
 * STEs and CDs that change while valid (IHI 0070 3.21.3): between two invalidations each state that hardware could
 * read is the old, the new, or not valid. And a way through V=0 that was not needed: one doubleword held all that
 * changed, and an access met the gap (I8; linux: arm_smmu_write_entry).
 */

import { usedOfCd } from '../../core/driver/cd.ts';
import { type Entry, type SafeBits, type UsedBits, writeSteps } from '../../core/driver/entry-writer.ts';
import { safeOfSte, usedOfSte } from '../../core/driver/ste.ts';
import type { EntryOf } from '../../core/event.ts';
import type { Words } from '../../core/layout/field.ts';
import { CD } from '../../core/smmu/cd.ts';
import { STE, steConfig } from '../../core/smmu/ste.ts';
import type { Finding } from '../finding.ts';
import type { Change } from '../obligations/obligation.ts';
import { cdDifference, sameSte } from '../obligations/structures.ts';
import { hex, showChange } from '../obligations/tell.ts';
import { coversStructure } from './covered-streams.ts';
import type { Seen, SeenCd } from './reach.ts';
import { deed, tell } from './tell.ts';
import type { RuleRun, Unit, World } from './world.ts';

interface Step {
  readonly words: Words;
  readonly change: Change;
  /** Hardware read it. */
  seen: number;
}

/** An update that no invalidation has ended yet. */
interface Update {
  readonly unit: Unit;
  readonly kind: 'STE' | 'CD';
  readonly streamId: number;
  readonly substreamId: number | undefined;
  readonly first: Words;
  readonly steps: Step[];
}

/** V was cleared, and an access came. */
interface Gap {
  readonly before: Words;
  readonly change: Change;
  met: { readonly seq: number; readonly actor: string; readonly reason: string } | undefined;
}

interface Torn {
  readonly world: World;
  readonly told: Finding[];
  /** By SMMU and address of the structure. */
  readonly open: Map<string, Update>;
  readonly gaps: Map<string, Gap & { readonly kind: 'STE' | 'CD'; readonly streamId: number }>;
}

/** States of one update that are remembered. */
const STEPS_MAX = 16;

const isSame = (kind: 'STE' | 'CD', a: Words, b: Words): boolean =>
  kind === 'STE' ? sameSte(a, b) : cdDifference(a, b) === 'none';
const isValid = (kind: 'STE' | 'CD', words: Words): boolean =>
  kind === 'STE' ? STE.fields.V.read(words) : CD.fields.V.read(words);

/** An STE that aborts lets nothing through, as one that is not valid (5.2, Config). */
function isUsed(kind: 'STE' | 'CD', words: Words): boolean {
  if (!isValid(kind, words)) return false;
  return kind === 'CD' || steConfig({ Config: STE.fields.Config.read(words) }) !== 'ABORT';
}

/** A run over all SMMUs. */
export function tornUpdates(world: World): RuleRun {
  const torn: Torn = { world, told: [], open: new Map(), gaps: new Map() };
  const { told, open, gaps } = torn;
  for (const reach of world.reaches.values()) {
    reach.listeners.push({
      ste: (seen) => changed(torn, 'STE', seen, undefined),
      cd: (seen: SeenCd) => changed(torn, 'CD', seen, seen.substreamId),
    });
  }
  const read = ({
    smmu,
    pa,
    seq,
  }: {
    readonly smmu: string;
    readonly pa: number;
    readonly seq: number;
  }): void => {
    const step = open.size === 0 ? undefined : open.get(`${smmu}:${pa}`)?.steps.at(-1);
    if (step !== undefined) step.seen = seq;
  };
  return {
    told: () => [...told, ...[...open.values()].flatMap((update) => unfinished(world, update))],
    handlers: {
      'config.filled': read,
      'structure.fetched': read,
      'command.fetched': (entry) => {
        const unit = world.units.get(entry.smmu);
        if (open.size === 0 || unit === undefined || !entry.command.startsWith('CMD_CFGI')) return;
        const covers = coversStructure(unit, entry);
        for (const [key, update] of open) {
          if (update.unit !== unit || !covers(update.streamId, update.substreamId)) continue;
          open.delete(key);
          const half = between(update);
          if (half !== undefined) told.push(tellTorn(world, update, half));
        }
      },
      'access.terminated': (entry) => {
        if (gaps.size > 0) meet(gaps, entry);
      },
    },
  };
}

function changed(
  torn: Torn,
  kind: 'STE' | 'CD',
  { unit, streamId, pa, before, after, change }: Seen,
  substreamId: number | undefined,
): void {
  if (before === undefined || isSame(kind, before, after)) return;
  const key = `${unit.name}:${pa}`;
  watchGap(torn, key, kind, streamId, before, after, change);
  const open = torn.open.get(key);
  // Streams that share a table tell of the same store, each once.
  if (open?.steps.at(-1)?.change.seq === change.seq) return;
  const step: Step = { words: Array.from(after), change, seen: 0 };
  if (open === undefined)
    torn.open.set(key, { unit, kind, streamId, substreamId, first: Array.from(before), steps: [step] });
  else if (open.steps.length < STEPS_MAX) open.steps.push(step);
  else open.steps[STEPS_MAX - 1] = step;
}

/** A state that is valid, and neither the old nor the new. */
function between({ kind, first, steps }: Update): Step | undefined {
  const last = steps.at(-1);
  if (last === undefined) return undefined;
  return steps
    .slice(0, -1)
    .find(
      ({ words }) => isUsed(kind, words) && !isSame(kind, words, first) && !isSame(kind, words, last.words),
    );
}

/** No invalidation came: what hardware read on the way counts. */
function unfinished(world: World, update: Update): readonly Finding[] {
  const half = between(update);
  return half === undefined || half.seen === 0 ? [] : [tellTorn(world, update, half)];
}

function nameOf({ kind, streamId, substreamId }: Pick<Update, 'kind' | 'streamId' | 'substreamId'>): string {
  const of = `${kind} of StreamID ${hex(streamId)}`;
  return substreamId === undefined ? of : `${of}, SubstreamID ${hex(substreamId)}`;
}

function tellTorn(world: World, update: Update, half: Step): Finding {
  const { steps, kind } = update;
  const others = steps.filter((step) => step !== half);
  return tell(world, {
    rule: 'I5',
    title: `torn-update: ${nameOf(update)} was neither the old nor the new one`,
    consequence: 'isolation',
    blame: deed(half.change, showChange(half.change)),
    after: others.map(({ change }) => deed(change, showChange(change))),
    needed: `one store of 64 bits that changes the ${kind}, or V=0 and CMD_CFGI_${kind} with CMD_SYNC around the change`,
    notes:
      half.seen === 0
        ? ['hardware may read a structure at any moment, without a command']
        : [`${world.at(half.seen)} hardware read it as it stood then`],
  });
}

/** V=0 over a valid structure begins a gap; V=1 ends it. */
function watchGap(
  { world, told, gaps }: Torn,
  key: string,
  kind: 'STE' | 'CD',
  streamId: number,
  before: Words,
  after: Words,
  change: Change,
): void {
  const valid = isValid(kind, after);
  const gap = gaps.get(key);
  if (isValid(kind, before) && !valid) {
    gaps.set(key, { before: Array.from(before), change, met: undefined, kind, streamId });
    return;
  }
  if (gap === undefined || !valid) return;
  gaps.delete(key);
  // The same again is a stream that was off for a while.
  if (gap.met === undefined || isSame(kind, gap.before, after)) return;
  if (!isGapNeedless(kind, gap.before, after)) return;
  told.push(
    tell(world, {
      rule: 'I8',
      seq: gap.met.seq,
      title: `needless-gap: ${nameOf({ kind, streamId, substreamId: undefined })} was not valid for a while`,
      actor: gap.met.actor,
      blame: deed(gap.change, showChange(gap.change)),
      after: [deed(change, showChange(change))],
      needed: 'the one doubleword that differs stored over the old one, without V=0 in between',
      notes: [`${world.at(gap.met.seq)} an access met the gap: ${gap.met.reason}`],
    }),
  );
}

function meet(gaps: Torn['gaps'], { streamId, seq, endpoint, reason }: EntryOf<'access.terminated'>): void {
  const kind = /^C_BAD_(STE|CD)/.exec(reason)?.[1];
  for (const gap of gaps.values())
    if (gap.kind === kind && gap.streamId === streamId) gap.met ??= { seq, actor: endpoint, reason };
}

function doublewords(words: Words): Entry {
  return Array.from({ length: 8 }, (_, at) => {
    const [low, high] = [(words[at * 2] ?? 0) >>> 0, (words[at * 2 + 1] ?? 0) >>> 0];
    return (BigInt(high) << 32n) | BigInt(low);
  });
}

// biome-ignore format: a table
const writers: Readonly<Record<'STE' | 'CD', { readonly used: UsedBits; readonly safe?: SafeBits; readonly valid: bigint }>> = {
  STE: { used: usedOfSte, safe: safeOfSte, valid: 1n },
  CD:  { used: usedOfCd, valid: 1n << 31n },
};

/** Old and new let accesses through, and hardware could have gone from one to the other at once. */
function isGapNeedless(kind: 'STE' | 'CD', before: Words, after: Words): boolean {
  if (kind === 'STE' && [before, after].some(isAbort)) return false;
  const { used, safe, valid } = writers[kind];
  const steps = writeSteps(doublewords(before), doublewords(after), used, safe);
  return !steps.some((step) => step.some(([index, value]) => index === 0 && (value & valid) === 0n));
}

function isAbort(ste: Words): boolean {
  return steConfig({ Config: STE.fields.Config.read(ste) }) === 'ABORT';
}
