/**
 * Deliberate faults: each row does what it says, seen in the commands of one unmap, one change of a table, one
 * attach, or one error. A driver without quirks does none of it.
 */
import { describe, expect, it } from 'vitest';
import { issueAndSync } from '../../../core/driver/cmdq.ts';
import { cmdOf } from '../../../core/driver/commands.ts';
import { allocPaging, attach, mapPages, unmapPages } from '../../../core/driver/ops.ts';
import { isQuirk, type QuirkName, quirks } from '../../../core/driver/quirks.ts';
import type { Entry } from '../../../core/event.ts';
import { bootedHost, fieldOf, type Host, of } from '../../support/smmu-driver.ts';
import { table } from '../../support/tables.ts';

const RW = { read: true, write: true } as const;

/** Every entry that tells what goes out, in order: commands, ATS, CD and STE stores as their number. */
function story(entries: readonly Entry[]): string {
  return entries
    .flatMap((entry) => {
      if (entry.type === 'command.consumed')
        return [short[entry.command.replace('CMD_', '')] ?? entry.command];
      if (entry.type === 'pages.returned') return ['free'];
      if (entry.type === 'driver.told' && entry.what.startsWith('skipping')) return ['mend'];
      return entry.type === 'value.set' && entry.path === 'dev0.ats' ? [`ats${entry.value ? '+' : '-'}`] : [];
    })
    .join(' ');
}
// biome-ignore format: a table
const short: Readonly<Record<string, string>> = {
  SYNC: 'S', TLBI_NH_VA: 'VA', TLBI_S2_IPA: 'IPA', TLBI_NH_ALL: 'ALL', TLBI_NH_ASID: 'ASID', ATC_INV: 'ATC', CFGI_STE: 'STE',
  CFGI_CD: 'CD', PREFETCH_CONFIG: 'P', TLBI_S12_VMALL: 'VMALL',
};

function host(nestParent: boolean): { host: Host; domain: number } {
  const made = bootedHost({ endpoints: [{ ats: true, ssidBits: 4 }] });
  const domain = paging(made, nestParent);
  join(made, domain);
  return { host: made, domain };
}
function paging({ context }: Host, nestParent = false): number {
  const made = allocPaging(context, 'smmu0', { nestParent });
  if ('errno' in made) throw new Error(made.errno);
  return made.domain;
}
function join(of: Host, to: number | 'blocked'): readonly Entry[] {
  const plan = attach(of.context, 'dev0', typeof to === 'number' ? { domain: to } : to);
  if ('errno' in plan) throw new Error(plan.errno);
  return of.run(plan);
}

type Case = (quirk: QuirkName | undefined) => readonly Entry[];
const within =
  (nestParent: boolean, work: (of: Host, domain: number) => readonly Entry[]): Case =>
  (quirk) => {
    const { host: made, domain } = host(nestParent);
    const on = (name: QuirkName): unknown =>
      made.put({ type: 'set', path: `smmu0.quirks.${name}`, value: true });
    mapPages(made.context, domain, 0x20_0000n, [{ pa: 0x300_1000, size: 2 ** 21 }], RW);
    mapPages(made.context, domain, 0x1000n, [{ pa: 0x800_0000, size: 0x2_1000 }], RW);
    if (quirk !== undefined) on(quirk);
    const from = made.entries.length;
    work(made, domain);
    return made.entries.slice(from);
  };
const unmap =
  (iova: number, size: number) =>
  (made: Host, domain: number): readonly Entry[] =>
    made.run(unmapPages(made.context, domain, BigInt(iova), size));

const cases: Readonly<Record<string, Case>> = {
  unmap: within(false, unmap(0x1000, 0x2_1000)),
  parent: within(true, unmap(0x1000, 0x1000)),
  table: within(false, unmap(0x20_0000, 2 ** 21)),
  hole: within(false, unmap(0x2_0000, 0x4000)),
  block: within(false, (made) => join(made, 'blocked')),
  move: within(false, (made) => join(made, paging(made))),
  error: within(false, (made) => made.run([issueAndSync('smmu0', [cmdOf('CMD_TLBI_EL3_ALL')])])),
};

const rows = table<'quirk' | 'case' | 'without' | 'with'>(`
  quirk             | case   | without                           | with
  skip-sync         | unmap  | VA VA S ATC S                     | VA VA ATC
  skip-tlbi         | unmap  | VA VA S ATC S                     | S ATC S
  skip-atc          | unmap  | VA VA S ATC S                     | VA VA S S
  atc-before-sync   | unmap  | VA VA S ATC S                     | VA VA ATC S
  short-range       | unmap  | VA VA S ATC S                     | VA S ATC S
  skip-nested-clear | parent | IPA S ALL S ATC S                 | IPA S ATC S
  skip-walk-flush   | table  | VA S ATC S free VA S ATC S        | free VA S ATC S
  errno-as-size     | hole   | VA S ATC S                        | -
  ats-late-off      | block  | ats- STE S STE S P ATC S ASID S CD S CD S | STE S STE S P ATC S ats- ASID S CD S CD S
  keep-tag          | block  | ats- STE S STE S P ATC S ASID S CD S CD S | ats- STE S STE S P ATC S CD S CD S
  no-cfgi           | block  | ats- STE S STE S P ATC S ASID S CD S CD S | ats- S S P ATC S ASID S S S
  no-break          | move   | CD S CD S CD S P ATC S ASID S     | CD S P ATC S ASID S
  ignore-errors     | error  | mend S S                          | -
`);

const texts = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);

describe('quirks', () => {
  it.each(rows.map((row) => [row.quirk, row.case, row]))('%s, at %s', (quirk, name, row) => {
    if (!isQuirk(quirk)) throw new Error(`${quirk} is a quirk`);
    expect(story(cases[name]!(undefined))).toBe(row.without);
    expect(story(cases[name]!(quirk)) || '-').toBe(row.with);
  });

  it('wrong-asid, wrong-vmid and wrong-ssid name a neighbour', () => {
    expect(fieldOf(cases['unmap']!('wrong-asid'), 'CMD_TLBI_NH_VA', 'ASID')).toEqual([0, 0]);
    expect(fieldOf(cases['parent']!('wrong-vmid'), 'CMD_TLBI_S2_IPA', 'VMID')).toEqual([0]);
    expect(fieldOf(cases['move']!('wrong-ssid'), 'CMD_CFGI_CD', 'SubstreamID')).toEqual([1, 1, 1]);
    expect(fieldOf(cases['unmap']!(undefined), 'CMD_TLBI_NH_VA', 'ASID')).toEqual([1, 1]);
  });

  it('leaf-only leaves what led to a table', () => {
    expect(fieldOf(cases['table']!(undefined), 'CMD_TLBI_NH_VA', 'Leaf')).toEqual([false, true]);
    expect(fieldOf(cases['table']!('leaf-only'), 'CMD_TLBI_NH_VA', 'Leaf')).toEqual([true, true]);
  });

  it('keep-last-leaf sends the same commands, after other stores', () => {
    const [sound, spoilt] = [cases['unmap']!(undefined), cases['unmap']!('keep-last-leaf')];
    const stored = (entries: readonly Entry[]): readonly Entry[] =>
      entries.filter(({ type }) => type.startsWith('memory.'));
    expect(story(spoilt)).toBe(story(sound));
    expect(JSON.stringify(stored(spoilt), texts)).not.toBe(JSON.stringify(stored(sound), texts));
  });

  it('are all tried here, and say what they are', () => {
    // The last are the DMA API's, a process's, and a guest's: test/core/dma-api/flush-queue.test.ts, the story of B43,
    // test/core/mm, test/core/vm.
    const others = [
      'wrong-asid',
      'wrong-vmid',
      'wrong-ssid',
      'leaf-only',
      'keep-last-leaf',
      'iova-early-free',
      'fq-no-flush',
      'unmap-as-told',
      'notifier-silent',
      'notifier-skip-atc',
      'notifier-late',
      'release-silent',
      'second-takes-all',
    ];
    const tried = [...rows.map(({ quirk }) => quirk), ...others];
    expect(Object.keys(quirks).sort()).toEqual(tried.sort());
    expect(Object.values(quirks).every(({ meaning }) => meaning.length > 20)).toBe(true);
  });
});

describe('a quirk', () => {
  it('is switched by its path, on and off', () => {
    const made = bootedHost();
    made.put({ type: 'set', path: 'smmu0.quirks.skip-tlbi', value: true });
    expect(made.driver.quirks).toEqual({ 'skip-tlbi': true });
    made.put({ type: 'set', path: 'smmu0.quirks.skip-tlbi', value: false });
    expect(of(made.entries, 'value.set').map(({ old, value }) => [old, value])).toEqual([
      [false, true],
      [true, false],
    ]);
    expect(made.put({ type: 'set', path: 'smmu0.quirks.nothing', value: true })).toHaveLength(1);
  });
});
