/**
 * An STE that leads to a CD which is written only afterwards (IHI 0070 3.21.3.1): hardware may follow the new pointer
 * at once, and finds what stood there before. CDs of further SubstreamIDs may be made valid later.
 */
import type { Words } from '../../core/layout/field.ts';
import { CD } from '../../core/smmu/cd.ts';
import { isE2h } from '../../core/smmu/regs.ts';
import { STE } from '../../core/smmu/ste.ts';
import type { Finding } from '../finding.ts';
import type { Change } from '../obligations/obligation.ts';
import { cdDifference, viewSte } from '../obligations/structures.ts';
import { hex, showChange } from '../obligations/tell.ts';
import { coversStructure } from './covered-streams.ts';
import type { Seen, SeenCd } from './reach.ts';
import { deed, tell } from './tell.ts';
import type { RuleRun, Unit, World } from './world.ts';

/** The CD that accesses without a SubstreamID use was not valid, or was another, when the STE led to it. */
interface Late {
  readonly unit: Unit;
  readonly streamId: number;
  readonly cdPa: number;
  readonly ste: Change;
  /** An access that met it. */
  met: { readonly seq: number; readonly actor: string; readonly reason: string } | undefined;
}

/** A run over all SMMUs. */
export function lateContents(world: World): RuleRun {
  const told: Finding[] = [];
  const open = new Map<string, Late>();
  for (const reach of world.reaches.values()) {
    reach.listeners.push({
      ste: (seen) => published(world, open, seen),
      cd: (seen) => {
        const key = `${seen.unit.name}:${seen.streamId}`;
        const late = open.get(key);
        if (late === undefined || seen.pa !== late.cdPa || seen.before === undefined) return;
        if (cdDifference(seen.before, seen.after) === 'none') return;
        open.delete(key);
        told.push(tellLate(world, late, seen));
      },
    });
  }
  return {
    told: () => [...told, ...[...open.values()].flatMap((late) => neverWritten(world, late))],
    handlers: {
      'command.fetched': (entry) => {
        const unit = world.units.get(entry.smmu);
        if (open.size === 0 || unit === undefined || !entry.command.startsWith('CMD_CFGI')) return;
        const covers = coversStructure(unit, entry);
        for (const [key, { unit: of, streamId, met }] of open)
          if (of === unit && met === undefined && covers(streamId, 0)) open.delete(key);
      },
      'access.terminated': ({ smmu, streamId, seq, endpoint, reason }) => {
        if (open.size === 0 || !reason.startsWith('C_BAD_CD')) return;
        const late = open.get(`${smmu}:${streamId}`);
        if (late !== undefined) late.met ??= { seq, actor: endpoint, reason };
      },
    },
  };
}

/** A store made the STE lead to another array of CDs. */
function published(
  world: World,
  open: Map<string, Late>,
  { unit, streamId, before, after, change }: Seen,
): void {
  const key = `${unit.name}:${streamId}`;
  const e2h = isE2h(unit.bare);
  const is = viewSte(after, unit.features, e2h);
  if (before === undefined) return;
  const was = viewSte(before, unit.features, e2h);
  if (is === undefined) {
    open.delete(key);
    return;
  }
  if (was?.contexts === is.contexts || is.leafLog2 !== 0 || !usesFirst(after, is.cdMax)) return;
  // Another stream's CDs were written for that one.
  for (const [id, { view }] of world.reaches.get(unit.name)?.contexts ?? [])
    if (id !== streamId && view.contexts === is.contexts) return;
  open.set(key, { unit, streamId, cdPa: is.contexts, ste: change, met: undefined });
}

/** Accesses without a SubstreamID use CD 0. */
function usesFirst(ste: Words, cdMax: number): boolean {
  return cdMax === 0 || STE.fields.S1DSS.read(ste) === 'SUBSTREAM0';
}

const NEEDED = 'the CD in memory first, a write barrier, then the first store to the STE';

function tellLate(world: World, { ste, streamId, cdPa, met }: Late, { change }: SeenCd): Finding {
  return tell(world, {
    rule: 'I5',
    seq: change.seq,
    title: `pointer-before-contents: STE of StreamID ${hex(streamId)} led to a CD not written yet`,
    actor: ste.actor,
    consequence: 'isolation',
    blame: deed(ste, showChange(ste)),
    after: [deed(change, showChange(change))],
    needed: NEEDED,
    notes: [
      `between the two hardware may have read [${hex(cdPa)}] as it stood before`,
      ...(met === undefined ? [] : [`${world.at(met.seq)} it did: ${met.reason}`]),
    ],
  });
}

function neverWritten(world: World, { ste, streamId, cdPa, met }: Late): readonly Finding[] {
  const cd = world.watch.memory.readWords(cdPa, 16);
  if (met === undefined || CD.fields.V.read(cd) || cd.some((word) => word !== 0)) return [];
  return [
    tell(world, {
      rule: 'I5',
      seq: met.seq,
      title: `pointer-to-nothing: STE of StreamID ${hex(streamId)} leads to a CD that was never written`,
      actor: ste.actor,
      blame: deed(ste, showChange(ste)),
      needed: NEEDED,
      notes: [`${world.at(met.seq)} ${met.reason}: [${hex(cdPa)}] is all zeros`],
    }),
  ];
}
