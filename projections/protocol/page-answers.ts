/** Groups of page requests and their answers (IHI 0070 8.1, 4.5.2): one for each, and success only for pages there. */
import type { EntryOf } from '../../core/event.ts';
import { isConsistent, pointer, used } from '../../core/smmu/queue.ts';
import { reg } from '../../core/smmu/regs.ts';
import { isStopMarker } from '../../core/smmu/state.ts';
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { freshAnswer } from './fresh.ts';
import { deed, tell } from './tell.ts';
import { type RuleRun, ringOf, type World } from './world.ts';

interface Group {
  readonly pages: EntryOf<'page.requested'>[];
  /** Pointer of the entry with Last=1 in the queue, and the seq at which software freed it. */
  last: number | undefined;
  freed: { readonly seq: number; readonly actor: string } | undefined;
}

/** Pages of a group that are remembered. */
const PAGES_MAX = 512;

/** A run over all SMMUs. */
export function pageAnswers(world: World): RuleRun {
  const told: Finding[] = [];
  const groups = new Map<string, Group>();
  const requests = new Map<number, EntryOf<'page.requested'>>();
  const keyOf = (endpoint: string, prgIndex: number): string => `${endpoint}:${prgIndex}`;
  return {
    told: () => [...told, ...[...groups.values()].flatMap((group) => unanswered(world, group))],
    handlers: {
      'page.requested': (entry) => {
        if (isStopMarker(entry) || !world.units.has(entry.smmu)) return;
        requests.set(entry.seq, entry);
        const key = keyOf(entry.endpoint, entry.prgIndex);
        const group = groups.get(key) ?? { pages: [], last: undefined, freed: undefined };
        if (group.pages.length < PAGES_MAX) group.pages.push(entry);
        groups.set(key, group);
      },
      'page.queued': ({ requested, index }) => {
        const request = requests.get(requested);
        requests.delete(requested);
        if (request?.last !== true) return;
        const group = groups.get(keyOf(request.endpoint, request.prgIndex));
        if (group !== undefined) group.last = index;
      },
      'page.dropped': ({ requested }) => requests.delete(requested),
      'register.written': ({ smmu, register, old, value, seq, actor }) => {
        const unit = world.units.get(smmu);
        if (register !== 'PRIQ_CONS' || unit === undefined) return;
        const ring = ringOf(unit, 'PRIQ');
        if (!isConsistent(ring, reg(unit.bare, 'PRIQ_PROD'), Number(value))) return;
        const count = used(ring, Number(value), Number(old));
        for (const group of groups.values()) {
          const { last, pages, freed } = group;
          if (last === undefined || freed !== undefined || pages[0]?.smmu !== smmu) continue;
          if (used(ring, last, pointer(ring, Number(old))) < count) group.freed = { seq, actor };
        }
      },
      'page.responded': (entry) => {
        const key = keyOf(entry.endpoint, entry.prgIndex);
        const group = groups.get(key);
        groups.delete(key);
        if (group !== undefined && entry.response === 'SUCCESS' && entry.fetched !== 0)
          checkPages(world, told, group, entry);
      },
      'endpoint.reset': ({ endpoint }) => {
        for (const [key, { pages }] of groups) if (pages[0]?.endpoint === endpoint) groups.delete(key);
      },
    },
  };
}

/** SUCCESS says that each page can be used now as it was asked. */
function checkPages(world: World, told: Finding[], { pages }: Group, entry: EntryOf<'page.responded'>): void {
  const unit = world.units.get(entry.smmu);
  if (unit === undefined) return;
  for (const { streamId, substreamId, iova, wants } of pages) {
    const access = wants.includes('w') ? 'write' : 'read';
    const modes = { exec: wants.includes('x'), privileged: wants.includes('p') };
    const fresh = freshAnswer(world, unit, { streamId, substreamId, iova, access, ...modes });
    if (fresh.kind === 'ok') continue;
    told.push(
      tell(world, {
        rule: 'I11',
        title: `success-without-page: group ${entry.prgIndex} of ${entry.endpoint}, ${hex(iova)}`,
        blame: deed(entry, `CMD_PRI_RESP Resp=SUCCESS, and ${hex(iova)} cannot be used as it was asked`),
        needed: 'the page mapped before SUCCESS, or INVALID_REQUEST',
        nearest: { seq: entry.fetched, why: `a walk now gives: ${fresh.why}` },
      }),
    );
    return;
  }
}

function unanswered(world: World, { pages, freed }: Group): readonly Finding[] {
  const [first] = pages;
  if (freed === undefined || first === undefined) return [];
  const { endpoint, prgIndex, streamId } = first;
  return [
    tell(world, {
      rule: 'I11',
      title: `page-request-not-answered: group ${prgIndex} of ${endpoint}`,
      blame: deed(freed, `freed the last entry of group ${prgIndex}, and never answered it`),
      needed: `CMD_PRI_RESP StreamID=${hex(streamId)} PRGIndex=${prgIndex}`,
      notes: [`${world.at(first.seq)} the request for ${hex(first.iova)}`],
    }),
  ];
}
