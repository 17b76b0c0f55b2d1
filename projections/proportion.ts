/**
 * I12, proportion and progress: invalidation work is bounded by what was asked, and no wider or longer than a
 * stated policy lets it be. `excess` is information: it costs, and breaks nothing. The bounds are data; the first
 * is that of Linux (linux: arm_smmu_mm_arch_invalidate_secondary_tlbs, CMDQ_MAX_TLBI_OPS), the others are chosen.
 */

import { decode } from '../core/layout/layout.ts';
import { quad } from '../core/layout/words.ts';
import { commandLayouts } from '../core/smmu/command-layout.ts';
import type { Finding } from './finding.ts';
import { hex } from './obligations/tell.ts';

import { type Deed, tell } from './protocol/tell.ts';
import { type LogRule, type RuleRun, ringOf, type Unit, type World } from './protocol/world.ts';

/** From these numbers on there is too much of it. */
export const policy = {
  /** Commands for neighbouring pages in a row, where one for the whole ASID or VMID would do: pages of 4 KiB / 8. */
  pageCommands: 512,
  /** The same, where one command could take a range (IDR3.RIL). */
  pageCommandsWithRange: 64,
  /** The same command again, with no store and no access of a device since. */
  repeats: 4,
  /** Commands for everything in a row, each after a change of one doubleword at the most. */
  wide: 16,
} as const;

export const proportion: LogRule = {
  rule: 'I12',
  name: 'proportion',
  finds: 'a command for each page, the same command again and again, all where little changed',
  start: (world) => [begin(world)],
  guests: (world) => [begin(world)],
};

function begin(world: World): RuleRun {
  const told: Finding[] = [];
  const all = new Map([...world.units].map(([name, unit]) => [name, newWork(unit)] as const));
  const used = (smmu: string): void => usedBy(all.get(smmu));
  return { told: () => told, handlers: handlersOf(world, told, all), used };
}

/** A device was served: what was sent before was of use. */
function usedBy(work: Work | undefined): void {
  if (work === undefined) return;
  if (work.since.size > 0) work.since.clear();
  work.run = undefined;
}

interface Work {
  readonly unit: Unit;
  /** Neighbouring pages, one command each. */
  run: { readonly first: Deed; readonly key: string; next: number; count: number; told: boolean } | undefined;
  /** Commands since the last change, by their bits. */
  readonly since: Map<string, { readonly first: Deed; count: number; told: boolean }>;
  /** Commands for everything, and doublewords changed since the last of them. */
  wide: number;
  changes: number;
  firstWide: Deed | undefined;
}

function newWork(unit: Unit): Work {
  return { unit, run: undefined, since: new Map(), wide: 0, changes: 0, firstWide: undefined };
}

/** Different commands that are remembered; beyond them repetition is not looked for. */
const SINCE_MAX = 1024;
const RANGED = /^CMD_TLBI_(NH_VAA?|EL2_VAA?|S2_IPA)$/;
const WIDE = /^CMD_TLBI_(NSNH_ALL|NH_ALL|EL2_ALL|S12_VMALL)$/;

function handlersOf(world: World, told: Finding[], all: ReadonlyMap<string, Work>): RuleRun['handlers'] {
  const changed = (pa: number, bytes: number, actor: string): void => {
    if (all.has(actor)) return;
    for (const work of all.values()) {
      const { base, entryBytes, sizeLog2 } = ringOf(work.unit, 'CMDQ');
      if (pa >= base && pa < base + entryBytes * 2 ** sizeLog2) continue;
      if (work.since.size > 0) work.since.clear();
      work.run = undefined;
      work.changes += bytes / 8;
    }
  };
  const used = ({ smmu }: { readonly smmu: string }): void => usedBy(all.get(smmu));
  return {
    'memory.written': ({ pa, actor }) => changed(pa, 8, actor),
    'memory.loaded': ({ pa, bytes, actor }) => changed(pa, bytes.length, actor),
    'access.completed': used,
    'access.terminated': used,
    'ats.answered': used,
    'command.fetched': ({ smmu, seq, actor, command, lo, hi }) => {
      const work = all.get(smmu);
      if (work === undefined || !/^CMD_(TLBI|CFGI|ATC)/.test(command)) return;
      const what = { seq, actor, what: command };
      repeated(world, told, work, `${lo}:${hi}`, what);
      if (RANGED.test(command)) paged(world, told, work, quad(lo, hi), what);
      if (WIDE.test(command)) everything(world, told, work, what);
      else work.wide = 0;
    },
  };
}

function repeated(world: World, told: Finding[], { since }: Work, key: string, by: Deed): void {
  const known = since.get(key);
  if (known === undefined) {
    if (since.size < SINCE_MAX) since.set(key, { first: by, count: 1, told: false });
    return;
  }
  known.count += 1;
  if (known.count < policy.repeats || known.told) return;
  known.told = true;
  told.push(
    tell(world, {
      rule: 'I12',
      verdict: 'excess',
      seq: by.seq,
      title: `repeated-invalidation: ${by.what} ${known.count} times, with nothing in between`,
      blame: known.first,
      needed: `${by.what} once: no store and no access came after it`,
    }),
  );
}

/** One page after the other. A CMD_SYNC in between, as part of a batch that was cut, does not end the row. */
function paged(world: World, told: Finding[], work: Work, words: readonly number[], by: Deed): void {
  const { features } = work.unit;
  const fields = decode(commandLayouts.CMD_TLBI_NH_VA.layout, words);
  const size = fields.TG === '64KB' ? 2 ** 16 : fields.TG === '16KB' ? 2 ** 14 : 2 ** 12;
  const single = !features.ril || (fields.NUM === 0 && fields.SCALE === 0);
  const key = `${by.what}:${fields.VMID}:${fields.ASID}`;
  const { run } = work;
  if (run === undefined || run.key !== key || fields.Address !== run.next || !single) {
    work.run = { first: by, key, next: fields.Address + size, count: 1, told: false };
    return;
  }
  run.next += size;
  run.count += 1;
  const most = features.ril ? policy.pageCommandsWithRange : policy.pageCommands;
  if (run.count < most || run.told) return;
  run.told = true;
  const better = features.ril
    ? 'one command with TG, NUM and SCALE'
    : 'one command for the whole ASID or VMID';
  told.push(
    tell(world, {
      rule: 'I12',
      verdict: 'excess',
      seq: by.seq,
      title: `command-per-page: ${run.count} ${by.what} for neighbouring pages`,
      blame: { ...run.first, what: `${by.what} for each of ${run.count} pages up to ${hex(run.next)}` },
      needed: `${better}, and CMD_SYNC`,
      notes: [`the bound is ${most} commands`],
    }),
  );
}

function everything(world: World, told: Finding[], work: Work, by: Deed): void {
  if (work.changes > 1) work.wide = 0;
  if (work.wide === 0) work.firstWide = by;
  work.wide += 1;
  work.changes = 0;
  if (work.wide !== policy.wide || work.firstWide === undefined) return;
  told.push(
    tell(world, {
      rule: 'I12',
      verdict: 'excess',
      seq: by.seq,
      title: `wide-invalidation: ${by.what} ${policy.wide} times, each for little`,
      blame: work.firstWide,
      needed: 'the address, and the ASID or VMID, of what changed',
      notes: ['each came after a change of one doubleword at the most'],
    }),
  );
}
