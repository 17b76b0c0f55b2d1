/**
 * Who got and gave back the memory that a finding is about, while it was dirty: what the kernel's pool,
 * its processes and its tables said of it. One pass for all findings; a log without a kernel tells nothing.
 */
import type { Entry } from '../core/event.ts';
import { seqOf } from './check.ts';
import type { Finding, Step } from './finding.ts';
import { hex } from './obligations/tell.ts';

interface Asked {
  readonly finding: Finding;
  readonly pa: number;
  readonly from: number;
  readonly to: number;
  /** Backings that hold the address. */
  readonly backings: Set<number>;
  readonly steps: Step[];
}

/** The steps of each finding whose access reached memory; findings without any are left out. */
export function ownersOf(
  findings: readonly Finding[],
  entries: Iterable<Entry>,
): ReadonlyMap<Finding, readonly Step[]> {
  const asked = findings.flatMap((finding): Asked[] => {
    if (finding.access?.pa === undefined) return [];
    const [from, to] = [seqOf(finding.blame), seqOf(finding)];
    return [{ finding, pa: Number(finding.access.pa), from, to, backings: new Set(), steps: [] }];
  });
  if (asked.length > 0) for (const entry of entries) if (entry.type in MOVES) tellOwner(entry, asked);
  return new Map(asked.filter(({ steps }) => steps.length > 0).map(({ finding, steps }) => [finding, steps]));
}

/** Entries that say whose memory is. */
const MOVES = { 'backing.made': true, 'backing.held': true, 'pages.taken': true, 'pages.returned': true };

function tellOwner(entry: Entry, asked: readonly Asked[]): void {
  for (const each of asked) {
    const what = moved(entry, each);
    if (what === undefined || entry.seq < each.from || entry.seq > each.to) continue;
    const { position } = each.finding;
    const branch = position.slice(0, position.lastIndexOf('@'));
    each.steps.push({ position: `${branch}@${entry.seq}`, actor: entry.actor, what });
  }
}

function moved(entry: Entry, { pa, backings }: Asked): string | undefined {
  switch (entry.type) {
    case 'backing.made':
      if (!entry.runs.some((run) => pa >= run.pa && pa < run.pa + run.size)) return undefined;
      backings.add(entry.backing);
      return `${hex(pa)} given to a process (${entry.kind})`;
    case 'backing.held':
      if (entry.users > 0 || !backings.delete(entry.backing)) return undefined;
      return `${hex(pa)} freed: nobody holds it any more`;
    case 'pages.taken':
    case 'pages.returned': {
      if (pa < entry.pa || pa >= entry.pa + entry.bytes) return undefined;
      return `${hex(entry.pa)} ${entry.type === 'pages.taken' ? 'given to' : 'given back by'} ${entry.owner}`;
    }
    default:
      return undefined;
  }
}
