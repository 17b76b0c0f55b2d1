/**
 * The caches-off twin of a story of `drivers.ts`: the same stimuli put to a machine without caches, and the accesses
 * that it answers otherwise.
 */
import { type Entry, isStimulus } from '../../core/event.ts';
import { openSession } from '../../core/machine.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { reset } from './build.ts';
import type { Story } from './stories.ts';
import { worldConfig } from './world.ts';

const NONE = { ste: 0, cd: 0, tlb: 0, walk: 0 } as const;

/** The stimuli of a log. DMA carries no data: what a stale write did must not make the machines part. */
export function stimuliOf(entries: readonly Entry[]): readonly Stimulus[] {
  return entries.filter(isStimulus).map((entry) => {
    const { seq, tick, cause, ...stimulus } = entry;
    return 'data' in stimulus ? { ...stimulus, data: undefined } : stimulus;
  }) as readonly Stimulus[];
}

/** What each stimulus of the story makes, put to a new machine. */
export function stepsOf(story: Story, stimuli: readonly Stimulus[]): readonly (readonly Entry[])[] {
  const session = openSession(reset(worldConfig(story.setup)));
  return stimuli.map((stimulus) => session.step(stimulus));
}

type Access = Extract<Entry, { type: 'access.completed' | 'access.terminated' }>;

function accessesOf(step: readonly Entry[]): readonly Access[] {
  return step.filter((entry): entry is Access => entry.type.startsWith('access.'));
}

function answerOf(access: Access | undefined): string {
  if (access === undefined) return 'none';
  return access.type === 'access.completed'
    ? `ok ${access.pa}`
    : `refused ${/^\w*/.exec(access.reason)?.[0]}`;
}

/** seqs of the accesses that the twin answers otherwise, and of those it never came to. */
export function compare(
  story: Story,
  cached: readonly (readonly Entry[])[],
  stimuli: readonly Stimulus[],
): { readonly differ: ReadonlySet<number>; readonly unknown: ReadonlySet<number> } {
  const twin = stepsOf({ ...story, setup: { ...story.setup, caches: NONE } }, stimuli);
  const differ = new Set<number>();
  const unknown = new Set<number>();
  for (const [at, step] of cached.entries()) {
    const bare = new Map(accessesOf(twin[at] ?? []).map((access) => [access.iova, access]));
    for (const access of accessesOf(step)) {
      const other = bare.get(access.iova);
      // A DMA ends with the piece that is refused.
      if (other === undefined) unknown.add(access.seq);
      else if (answerOf(access) !== answerOf(other)) differ.add(access.seq);
    }
  }
  return { differ, unknown };
}

/** seqs of the accesses at which a command is queued that no completed CMD_SYNC of the queue follows. */
export function underWay(entries: readonly Entry[]): ReadonlySet<number> {
  const found = new Set<number>();
  let span = 1;
  let produced = 0;
  let synced = 0;
  for (const entry of entries) {
    if (entry.type === 'register.written' && entry.register === 'CMDQ_BASE')
      span = 2 ** (Number(entry.value & 0x1fn) + 1);
    if (entry.type === 'register.written' && entry.register === 'CMDQ_PROD')
      produced = Number(entry.value) % span;
    // An older CMD_SYNC that completes says nothing of what was queued behind it.
    if (entry.type === 'sync.completed') synced = (entry.index + 1) % span;
    if (entry.type.startsWith('access.') && produced !== synced) found.add(entry.seq);
  }
  return found;
}
