/**
 * What an unmapping removes existed when it was ordered: an area that another thread has mapped behind it, where the
 * call had passed, is not its to take (linux: iommufd/io_pagetable.c, iopt_unmap_iova_range). One that is mapped where
 * the call has not been yet may go with it: then it came first.
 */
import type { EntryOf } from '../../core/event.ts';
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { deed, tell } from './tell.ts';
import type { RuleRun, World } from './world.ts';

type Removed = EntryOf<'areas.removed'>;

interface Work {
  /** seq of its `task.begun`. */
  readonly task: number;
  readonly ioctl: number;
  /** From the first area that it has removed to the last one. */
  passed: Removed | undefined;
}

/** A run over the kernel of a machine. */
export function removedAreas(world: World): RuleRun {
  const told: Finding[] = [];
  /** Ioctls that wait, by the unit that does them; and those that wait for their turn. */
  const works = new Map<string, Work[]>();
  const names = new Map<number, string>();
  /** Areas that were added behind a call that waits. */
  let added: EntryOf<'area.added'>[] = [];
  return {
    told: () => told,
    handlers: {
      'ioctl.begun': ({ seq, name }) => {
        names.set(seq, name);
      },
      'ioctl.completed': ({ ioctl }) => {
        names.delete(ioctl);
      },
      'task.begun': ({ seq, unit, what, frames }) => {
        if (what !== 'ioctl') return;
        const ioctl = frames.map((frame) => frame['ioctl']).find((id) => typeof id === 'number') ?? 0;
        const work = { task: seq, ioctl: Number(ioctl), passed: undefined };
        works.set(unit, [...(works.get(unit) ?? []), work]);
      },
      'task.ended': ({ unit, task }) => {
        const left = works.get(unit)?.filter((work) => work.task !== task);
        if (left === undefined) return;
        if (left.length === 0) works.delete(unit);
        else works.set(unit, left);
        if (works.size === 0) added = [];
      },
      'area.added': (entry) => {
        for (const [work] of works.values())
          if (work?.passed !== undefined && meets(work.passed, entry)) added.push(entry);
      },
      'areas.removed': (entry) => {
        const { stimulus } = world;
        if (stimulus?.type !== 'turn' || stimulus.seq !== entry.cause) return;
        const work = works.get(stimulus.unit)?.[0];
        if (work === undefined) return;
        const { passed } = work;
        const area = passed && meets(passed, entry) && added.findLast((each) => meets(each, entry));
        if (area) told.push(tellBehind(world, names.get(work.ioctl) ?? 'the call', passed, area, entry));
        work.passed = passed && passed.ioas === entry.ioas ? { ...passed, last: entry.last } : entry;
      },
    },
  };
}

type Span = Pick<Removed, 'context' | 'ioas' | 'iova' | 'last'>;

function meets(one: Span, other: Span): boolean {
  const same = one.context === other.context && one.ioas === other.ioas;
  return same && one.iova <= other.last && other.iova <= one.last;
}

const spanOf = ({ iova, last }: Span): string => `[${hex(iova)}, ${hex(last)}]`;

function tellBehind(
  world: World,
  call: string,
  passed: Removed,
  area: EntryOf<'area.added'>,
  entry: Removed,
): Finding {
  return tell(world, {
    rule: 'I3',
    title: `mapping-of-another-removed: ${spanOf(area)} of IOAS ${area.ioas}`,
    blame: deed(entry, `${call} removed ${spanOf(entry)}, where it had passed already`),
    needed: `the search for areas goes on behind ${hex(passed.last)}: what was mapped there since stays`,
    notes: [
      `${world.at(passed.seq)} the same call removed what stood at ${hex(passed.iova)}`,
      `${world.at(area.seq)} mapped anew, and no unmapping was ordered after that`,
    ],
  });
}
