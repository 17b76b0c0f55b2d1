/**
 * The indexes tell nothing but the truth: the changes of any path are those that a look at every moment
 * finds, and a search gives what a filter over the log gives, in either direction.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changesBack } from '../../adapters/changes.ts';
import { type Term, termRows } from '../../adapters/cli/search-terms.ts';
import { type Entry, schemas } from '../../core/event.ts';
import { isSame } from '../../core/history/same.ts';
import { isPathProblem, resolvePath } from '../../core/path.ts';
import { type Held, sessionOf } from '../support/memory-session.ts';
import { runScenario } from '../support/run-scenario.ts';
import { carelessStories, play } from '../support/stories.ts';
import { worldConfig } from '../support/world.ts';

const RUNS = 6;

const paths: readonly string[] = [
  'smmu0.regs.CR0',
  'smmu0.regs.CR0.SMMUEN',
  'smmu0.regs.CR0ACK.CMDQEN',
  'smmu0.regs.CMDQ_CONS.RD',
  'smmu0.regs.STRTAB_BASE.ADDR',
  ...['prod', 'cons', 'size', 'err', 'base', 'entries'].map((name) => `smmu0.cmdq.${name}`),
  ...['prod', 'cons', 'size'].map((name) => `smmu0.evtq.${name}`),
  'smmu0.cmdq[1]',
  'smmu0.cmdq[2].command',
  'smmu0.cmdq[2].Opcode',
  'smmu0.evtq[0]',
  'smmu0.gerror',
  ...['tlb', 'walk', 'ste', 'cd', 'l1std'].map((name) => `smmu0.${name}`),
  'smmu0.tlb.size',
  'smmu0.ste[8].Config',
  'smmu0.ste[9]',
  'smmu0.cd[8][0].ASID',
  'smmu0.cd[9][1]',
  'smmu0.inFlight',
  'smmu0.records',
  'smmu0.caches.tlb',
  'smmu0.invalidation',
  'dev0.ats',
  'schedule',
];

const kernelPaths: readonly string[] = [
  'iommu0.objects',
  'iommu0.objects[1].users',
  'iommu0.objects[3]',
  'iommu0.objects[99]',
  'kernel.files',
  'kernel.tasks',
  'kernel.processes',
  'smmu0.cd[8][0].TTB0',
  'smmu0.ste[8].S2VMID',
  'smmu0.cmdq[0].StreamID',
  'nic0.atc',
];

/** The seqs at which the value at each path changed, by a look at every moment; what is not there is null. */
function scanned({ session, branch }: Held, wanted: readonly string[], head: number): Map<string, number[]> {
  const found = new Map<string, number[]>(wanted.map((path) => [path, []]));
  const before = new Map<string, unknown>();
  for (let seq = 0; seq <= head; seq += 1) {
    const state = session.seek(branch, seq);
    for (const path of wanted) {
      const at = resolvePath(state, path);
      const value = isPathProblem(at) ? null : at.value;
      if (seq > 0 && !isSame(before.get(path), value)) found.get(path)?.push(seq);
      before.set(path, value);
    }
  }
  return found;
}

function expectChanges(held: Held, wanted: readonly string[], until: number): number {
  const { session, branch } = held;
  const there = wanted.filter((path) => !isPathProblem(resolvePath(session.seek(branch, until), path)));
  let changes = 0;
  for (const [path, seqs] of scanned(held, there, until)) {
    const told = [...changesBack(session, branch, path, 0, until)].map(({ entry }) => entry.seq);
    expect(told, path).toEqual(seqs.toReversed());
    changes += told.length;
  }
  return changes;
}

describe('last and watch', () => {
  it('tell the changes that a look at every moment finds', () => {
    let changes = 0;
    fc.assert(
      fc.property(carelessStories, fc.double({ min: 0.5, max: 1, noNaN: true }), (story, share) => {
        const { entries } = play(story);
        const held = sessionOf(worldConfig(story.setup), entries);
        const fills = entries
          .filter(({ type }) => type === 'tlb.filled')
          .map(({ seq }) => `smmu0.tlb[${seq}]`);
        const until = Math.floor(entries.length * share);
        changes += expectChanges(held, [...paths, ...fills.slice(0, 4)], until);
      }),
      { numRuns: RUNS, seed: 11 },
    );
    expect(changes).toBeGreaterThan(300);
  });

  it('follow objects of a kernel from before they are there', () => {
    const { machine, entries } = runScenario('good-iommufd-guest-unmap.jsonl');
    const open = entries.findLastIndex(({ type }) => type === 'access.completed');
    const changes = expectChanges(sessionOf(machine, entries.slice(0, open)), kernelPaths, open - 1);
    expect(changes).toBeGreaterThan(30);
  });
});

/** The option that asks for a field of each kind; what addresses are in is asked for otherwise. */
const options: Readonly<Record<string, string>> = {
  sid: 'sid',
  asid: 'asid',
  vmid: 'vmid',
  command: 'command',
  endpoint: 'endpoint',
  path: 'path',
  record: 'record',
  errno: 'errno',
  rule: 'rule',
  object: 'object',
};

type Asked = readonly [option: string, text: string, filter: (entry: Entry) => boolean];

/** What a field of the entry can be searched by, with the filter that says the same. */
function askedOf(entry: Entry): Asked[] {
  const asked: Asked[] = [
    ['type', entry.type, (each) => each.type === entry.type],
    ['actor', entry.actor, (each) => each.actor === entry.actor],
  ];
  for (const [name, { index }] of Object.entries(schemas[entry.type])) {
    const value = fieldOf(entry, name);
    if (index === undefined || value === undefined) continue;
    const option = options[index];
    const unknown = index === 'endpoint' && !/^dev[01]$|^nic0$/.test(String(value));
    if (option !== undefined && !unknown)
      asked.push([option, String(value), (each) => holds(each, index, value)]);
    if (index === 'register' && value !== '-')
      asked.push(['register', String(value), (each) => holds(each, 'register', value)]);
    if (index === 'iova') asked.push(iovaAsked(BigInt(value as bigint)));
    if (index === 'page') asked.push(paAsked(Number(value)));
  }
  return asked;
}

function fieldOf(entry: Entry, name: string): unknown {
  return (entry as unknown as Record<string, unknown>)[name];
}

function holds(entry: Entry, index: string, value: unknown): boolean {
  const made = index === 'object' && entry.type === 'object.reserved' && entry.object.id === Number(value);
  return (
    made ||
    Object.entries(schemas[entry.type]).some(
      ([name, kind]) => kind.index === index && String(fieldOf(entry, name)) === String(value),
    )
  );
}

function iovaAsked(value: bigint): Asked {
  const [first, last] = [value & ~0xfffn, value | 0x3f_ffffn];
  const filter = (each: Entry): boolean =>
    Object.entries(schemas[each.type]).some(([name, { index }]) => {
      const held = index === 'iova' ? fieldOf(each, name) : undefined;
      return typeof held === 'bigint' && held >= first && held <= last;
    });
  return ['iova', `${first}..${last}`, filter];
}

/** Memory that an entry is about: a doubleword, or as much as the entry says. */
function paAsked(value: number): Asked {
  const [first, last] = [value, value + 7];
  const filter = (each: Entry): boolean =>
    Object.entries(schemas[each.type]).some(([name, { index }]) => {
      const pa = index === 'page' ? fieldOf(each, name) : undefined;
      if (typeof pa !== 'number') return false;
      return pa <= last && pa + (name === 'pa' ? bytesOf(each) : 8) > first;
    });
  return ['pa', `${first}..${last}`, filter];
}

function bytesOf(entry: Entry): number {
  const { bytes, words, size } = entry as { bytes?: unknown; words?: unknown; size?: number };
  if (bytes instanceof Uint8Array) return bytes.length;
  return words instanceof Uint8Array ? words.length : (size ?? 8);
}

function termOf({ branch }: Held, option: string, text: string): Term {
  const row = termRows.find((each) => each.option === option);
  if (row === undefined) throw new Error(`there is an option ${option}`);
  return row.term(text, branch.machine);
}

/** Every thing that some entry can be searched by, each once. */
function allAsked(entries: readonly Entry[]): Asked[] {
  const found = new Map<string, Asked>();
  for (const entry of entries)
    for (const asked of askedOf(entry)) found.set(`${asked[0]} ${asked[1]}`, asked);
  return [...found.values()];
}

function expectFound(held: Held, entries: readonly Entry[], asked: readonly Asked[]): void {
  const terms = asked.map(([option, text]) => termOf(held, option, text));
  const groups = terms.map(({ keys }) => keys);
  const range = { from: 3, to: entries.length - 2 };
  const wanted = entries
    .filter(({ seq }) => seq > range.from && seq <= range.to)
    .filter((entry) => asked.every(([, , filter]) => filter(entry)))
    .map(({ seq }) => seq);
  for (const order of ['oldest', 'newest'] as const) {
    const found = [...held.session.index.matching(held.branch.id, groups, range, order)]
      .filter((entry) => terms.every(({ test }) => test?.(entry) !== false))
      .map(({ seq }) => seq);
    const name = asked.map(([option, text]) => `--${option} ${text}`).join(' ');
    expect(found, `${name} ${order}`).toEqual(order === 'oldest' ? wanted : wanted.toReversed());
  }
}

describe('search', () => {
  it('gives what a filter over the log gives', () => {
    fc.assert(
      fc.property(carelessStories, fc.nat(), (story, start) => {
        const { entries } = play(story);
        const held = sessionOf(worldConfig(story.setup), entries);
        const all = allAsked(entries);
        for (let count = 0; count < 24; count += 1) {
          const asked = all[(start + count * 7) % all.length];
          const other = all[(start + count * 13) % all.length];
          if (asked === undefined || other === undefined) continue;
          expectFound(held, entries, [asked]);
          expectFound(held, entries, [asked, other]);
        }
      }),
      { numRuns: RUNS, seed: 12 },
    );
  });

  it('finds everything of a kernel by every field that is indexed', () => {
    const { machine, entries } = runScenario('good-iommufd-guest-unmap.jsonl');
    const held = sessionOf(machine, entries);
    const all = allAsked(entries);
    expect(new Set(all.map(([option]) => option)).size).toBeGreaterThan(10);
    for (const [at, asked] of all.entries()) if (at % 3 === 0) expectFound(held, entries, [asked]);
  });
});
