/** Stalled accesses and their answers: one for each, and a retry only when it can succeed (IHI 0070 3.12.2, 4.7). */
import type { EntryOf } from '../../core/event.ts';
import { used } from '../../core/smmu/queue.ts';
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { freshAnswer } from './fresh.ts';
import { byWriter, deed, tell } from './tell.ts';
import { type RuleRun, ringOf, type Unit, type World } from './world.ts';

interface Stalled {
  readonly entry: EntryOf<'access.stalled'>;
  /** seq at which its record was in the queue, and its pointer; 0: not yet. */
  written: number;
  index: number;
  /** Software freed the record. */
  taken: { readonly seq: number; readonly cause: number } | undefined;
}

/** A run over all SMMUs. */
export function answers(world: World): RuleRun {
  const told: Finding[] = [];
  const stalls = new Map<number, Stalled>();
  /** CMD_RESUMEs that are being taken. */
  const resumes = new Map<string, EntryOf<'command.fetched'>>();
  /** Records that wait, by the seq at which they were raised: their StreamID and STAG. */
  const raised = new Map<number, readonly [streamId: number, stag: number]>();
  return {
    told: () => (world.machine.kernel == null ? [...told, ...unanswered(world, stalls)] : told),
    handlers: {
      'access.stalled': (entry) => {
        if (world.units.has(entry.smmu))
          stalls.set(entry.seq, { entry, written: 0, index: 0, taken: undefined });
      },
      'record.raised': ({ seq, streamId, stag }) => {
        if (stag !== undefined) raised.set(seq, [streamId, stag]);
      },
      'record.written': (entry) => {
        const about = raised.get(entry.raised ?? 0);
        raised.delete(entry.raised ?? 0);
        if (about === undefined) return;
        for (const each of stalls.values())
          if (each.entry.streamId === about[0] && each.entry.stag === about[1]) recorded(each, entry);
      },
      'record.withdrawn': (entry) => raised.delete(entry.raised),
      'register.written': (entry) => {
        const unit = world.units.get(entry.smmu);
        if (entry.register === 'EVENTQ_CONS' && unit !== undefined && stalls.size > 0)
          freed(stalls, unit, entry);
      },
      'command.fetched': (entry) => {
        if (entry.command === 'CMD_RESUME') resumes.set(entry.smmu, entry);
        else resumes.delete(entry.smmu);
      },
      'stall.decided': (entry) => {
        const by = resumes.get(entry.smmu);
        for (const seq of entry.stalled) {
          const stalled = stalls.get(seq);
          if (stalled !== undefined && by !== undefined && entry.how === 'retry')
            futile(world, told, stalled.entry, by);
        }
      },
      'stall.ended': (entry) => {
        stalls.delete(entry.stalled);
      },
    },
  };
}

/** The access would fault again as it did: nothing has changed for it. */
function futile(
  world: World,
  told: Finding[],
  stalled: EntryOf<'access.stalled'>,
  by: EntryOf<'command.fetched'>,
): void {
  const unit = world.units.get(stalled.smmu);
  if (unit === undefined) return;
  const { streamId, substreamId, iova, access, request } = stalled;
  const { exec, privileged } = request;
  const fresh = freshAnswer(world, unit, { streamId, substreamId, iova, access, exec, privileged });
  if (fresh.kind !== 'refused' || fresh.result !== 'stall') return;
  told.push(
    tell(world, {
      rule: 'I11',
      title: `retry-without-change: ${access} of ${hex(iova)} by ${stalled.endpoint}`,
      blame: deed(by, `CMD_RESUME StreamID=${hex(streamId)} STAG=${stalled.stag} Ac=1: it faults again`),
      needed: 'a valid descriptor (and the invalidation, where one was cached) before the retry, or Ab=1',
      notes: [`${world.at(stalled.seq)} it stalled: ${stalled.reason}`, `a walk now gives: ${fresh.why}`],
    }),
  );
}

function recorded(stalled: Stalled, { seq, index }: EntryOf<'record.written'>): void {
  stalled.written = seq;
  stalled.index = index;
}

function freed(
  stalls: ReadonlyMap<number, Stalled>,
  unit: Unit,
  { seq, cause, old, value }: EntryOf<'register.written'>,
): void {
  const ring = ringOf(unit, 'EVENTQ');
  const count = used(ring, Number(value), Number(old));
  for (const stalled of stalls.values())
    if (stalled.entry.smmu === unit.name && stalled.written !== 0)
      if (used(ring, stalled.index, Number(old)) < count) stalled.taken ??= { seq, cause };
}

/** Software took the record, and the access waits on. */
function unanswered(world: World, stalls: ReadonlyMap<number, Stalled>): readonly Finding[] {
  return [...stalls.values()].flatMap(({ entry, written, taken }) => {
    if (taken === undefined) return [];
    const { streamId, stag, endpoint, iova } = entry;
    return [
      tell(world, {
        rule: 'I11',
        title: `stall-not-answered: ${endpoint} waits at ${hex(iova)}`,
        blame: byWriter(world, taken, 'freed the record of the stall, and never answered it'),
        needed: `CMD_RESUME StreamID=${hex(streamId)} STAG=${stag}, or CMD_STALL_TERM of the stream`,
        notes: [
          `${world.at(entry.seq)} stalled: ${entry.reason}`,
          `${world.at(written)} its record was in the queue`,
        ],
      }),
    ];
  });
}
