/** Stalled accesses and their answers: one for each, and a retry only when it can succeed (IHI 0070 3.12.2, 4.7). */
import type { EntryOf } from '../../core/event.ts';
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { freshAnswer } from './fresh.ts';
import { deed, tell } from './tell.ts';
import type { RuleRun, World } from './world.ts';

interface Stalled {
  readonly entry: EntryOf<'access.stalled'>;
  /** seq at which its record was in the queue; 0: not yet. */
  written: number;
}

/** A run over all SMMUs. */
export function answers(world: World): RuleRun {
  const told: Finding[] = [];
  const stalls = new Map<number, Stalled>();
  /** CMD_RESUMEs that are being taken. */
  const resumes = new Map<string, EntryOf<'command.fetched'>>();
  /** Records that wait, by the seq at which they were raised: their StreamID and STAG. */
  const raised = new Map<number, readonly [streamId: number, stag: number]>();
  /** By SMMU: what software did last with its queues. */
  const active = new Map<string, number>();
  return {
    told: () => (world.machine.kernel == null ? [...told, ...unanswered(world, stalls, active)] : told),
    handlers: {
      'access.stalled': (entry) => {
        if (world.units.has(entry.smmu)) stalls.set(entry.seq, { entry, written: 0 });
      },
      'record.raised': ({ seq, streamId, stag }) => {
        if (stag !== undefined) raised.set(seq, [streamId, stag]);
      },
      'record.written': (entry) => {
        const about = raised.get(entry.raised ?? 0);
        raised.delete(entry.raised ?? 0);
        if (about === undefined) return;
        for (const each of stalls.values())
          if (each.entry.streamId === about[0] && each.entry.stag === about[1]) each.written = entry.seq;
      },
      'record.withdrawn': (entry) => raised.delete(entry.raised),
      'register.written': ({ smmu, register, seq }) => {
        if (register === 'CMDQ_PROD' || register === 'EVENTQ_CONS') active.set(smmu, seq);
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

/** Software went on with its queues after the record was there. */
function unanswered(
  world: World,
  stalls: ReadonlyMap<number, Stalled>,
  active: ReadonlyMap<string, number>,
): readonly Finding[] {
  return [...stalls.values()].flatMap(({ entry, written }) => {
    const last = active.get(entry.smmu) ?? 0;
    if (written === 0 || last < written) return [];
    const { smmu, streamId, stag, endpoint, iova } = entry;
    return [
      tell(world, {
        rule: 'I11',
        title: `stall-not-answered: ${endpoint} waits at ${hex(iova)}`,
        blame: {
          seq: last,
          actor: 'software',
          what: `went on with the queues of ${smmu}, the stall left as it was`,
        },
        needed: `CMD_RESUME StreamID=${hex(streamId)} STAG=${stag}, or CMD_STALL_TERM of the stream`,
        notes: [
          `${world.at(entry.seq)} stalled: ${entry.reason}`,
          `${world.at(written)} its record was in the queue`,
        ],
      }),
    ];
  });
}
