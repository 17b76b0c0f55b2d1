/**
 * Order of visibility, capabilities, faults and proportion on small machines: each case is a story that differs from a
 * correct one by one deed, and names what the rule must say of it; with `[]` it looks wrong and is right.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SmmuConfig } from '../../../core/config.ts';
import { cdRules } from '../../../core/smmu/cd-rules.ts';
import { steRules } from '../../../core/smmu/ste-rules.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { checkHistory } from '../../../projections/check.ts';
import { openPass } from '../../../projections/projection.ts';
import { cdCapabilities, steCapabilities } from '../../../projections/protocol/lacking-structures.ts';
import { protocol } from '../../../projections/protocol.ts';
import { rules } from '../../../projections/rules.ts';
import {
  ASID,
  at,
  cd,
  command,
  dma,
  issue,
  machine,
  map,
  SID,
  ste,
  store,
  storeWords,
  unmap,
  write,
} from '../../support/build.ts';
import { deafHardware, findingsOf, givenOn, lastOf, type Recorded } from '../../support/entries.ts';
import { carelessStories, play } from '../../support/stories.ts';
import { worldConfig } from '../../support/world.ts';

const SYNC = command('CMD_SYNC');
const cfgiSte = command('CMD_CFGI_STE', { StreamID: SID, Leaf: true });
const cfgiCd = command('CMD_CFGI_CD', { StreamID: SID, Leaf: true });
const tlbiAll = command('CMD_TLBI_NH_ALL');
const stePa = at.strtab + SID * 64;

type Story = readonly (Stimulus | readonly Stimulus[])[];
const on = (smmu: Partial<SmmuConfig>, ...story: Story): Recorded => givenOn(machine({}, smmu), ...story);
const said = (log: Recorded): string[] =>
  findingsOf(log).map(({ rule, title }) => `${rule} ${title.split(':')[0]}`);

/** Doubleword `index` of a structure. */
function word(pa: number, words: Uint32Array, index: number): Stimulus {
  return store(pa + index * 8, (BigInt(words[index * 2 + 1] ?? 0) << 32n) | BigInt(words[index * 2] ?? 0));
}
const otherCd = cd({ ASID: ASID + 1, TTB0: 0x20_0000 });
const otherSte = ste({ S1ContextPtr: 0x2_1000, EATS: 'OFF', S1STALLD: false, SHCFG: 'ISH', S1CIR: 'WB_RA' });

// biome-ignore format: a table
const order: readonly (readonly [what: string, story: Story, found: readonly string[]])[] = [
  ['a CD in one store, invalidated',                   [storeWords(at.cd, otherCd), issue(0, cfgiCd, tlbiAll, SYNC)], []],
  ['a CD in two stores while valid',                   [word(at.cd, otherCd, 0), word(at.cd, otherCd, 1), issue(0, cfgiCd, tlbiAll, SYNC)], ['I5 torn-update']],
  ['two stores, of which one changes what counts',     [word(stePa, ste({ CONT: 3 }), 0), word(stePa, otherSte, 0), issue(0, cfgiSte, SYNC)], []],
  ['an invalidation after each store',                 [word(at.cd, otherCd, 1), issue(0, cfgiCd, tlbiAll, SYNC), word(at.cd, otherCd, 0), issue(3, cfgiCd, tlbiAll, SYNC)], []],
  ['V=0 in between',                                   [store(at.cd, 0), word(at.cd, otherCd, 1), word(at.cd, otherCd, 0), issue(0, cfgiCd, tlbiAll, SYNC)], []],
  ['an STE that comes before its CD',                  [storeWords(stePa, ste({ S1ContextPtr: 0x2_1000 })), storeWords(0x2_1000, otherCd), issue(0, cfgiSte, tlbiAll, SYNC)], ['I5 pointer-before-contents']],
  ['a CD that comes before its STE',                   [storeWords(0x2_1000, otherCd), storeWords(stePa, ste({ S1ContextPtr: 0x2_1000 })), issue(0, cfgiSte, tlbiAll, SYNC)], []],
  ['a CD made valid later, with an invalidation of its own', [storeWords(stePa, ste({ S1ContextPtr: 0x2_1000 })), issue(0, cfgiSte, SYNC), storeWords(0x2_1000, otherCd), issue(2, cfgiCd, SYNC)], []],
  ['a CD that is never written',                       [storeWords(stePa, ste({ S1ContextPtr: 0x2_1000 })), issue(0, cfgiSte, SYNC), dma(0x4000)], []],
  ['a CD that is never written, met at once',          [storeWords(stePa, ste({ S1ContextPtr: 0x2_1000 })), dma(0x4000), issue(0, cfgiSte, SYNC)], ['I5 pointer-to-nothing']],
  ['a gap that one store would have spared',           [store(stePa, 0), issue(0, cfgiSte, SYNC), dma(0x4000), storeWords(0x2_1000, otherCd), word(stePa, ste({ S1ContextPtr: 0x2_1000 }), 0), issue(2, cfgiSte, SYNC)], ['I8 needless-gap']],
  ['a stream that is off for a while',                 [store(stePa, 0), issue(0, cfgiSte, SYNC), dma(0x4000), storeWords(stePa, ste()), issue(2, cfgiSte, SYNC)], []],
];

describe('order of visibility', () => {
  it.each(order)('%s', (_, story, found) => {
    expect(said(on({}, ...story))).toEqual(found);
  });

  it('what hardware read on the way counts without an invalidation', () => {
    const half: Story = [word(at.cd, otherCd, 1), dma(0x4000), word(at.cd, otherCd, 0)];
    const none = { caches: { ste: 0, cd: 0, tlb: 0, walk: 0 } as const };
    expect(said(on(none, ...half))).toEqual(['I5 torn-update']);
  });
});

const idr = machine().smmus[0]?.idr ?? {};
const without = (name: string, bits: number): Partial<SmmuConfig> => ({
  idr: { ...idr, [name]: (idr[name] ?? 0) & ~bits },
});

describe('capabilities', () => {
  it('rows are rules that there are', () => {
    const names = (list: readonly { readonly name: string }[]): readonly string[] =>
      list.map(({ name }) => name);
    expect(Object.keys(steCapabilities).filter((name) => !names(steRules).includes(name))).toEqual([]);
    expect(Object.keys(cdCapabilities).filter((name) => !names(cdRules).includes(name))).toEqual([]);
  });

  // biome-ignore format: a table
  it.each([
    ['an ASID of 9 bits with ASID16=0',       without('IDR0', 1 << 12), [storeWords(at.cd, cd({ ASID: 0x105 }))], 'IDR0.ASID16'],
    ['a 64KB granule with GRAN64K=0',         without('IDR5', 1 << 6),  [storeWords(at.cd, cd({ TG0: '64KB' }))], 'IDR5.GRAN4K'],
    ['HA with HTTU=0',                        without('IDR0', 3 << 6),  [storeWords(at.cd, cd({ HA: true }))], 'IDR0.HTTU'],
    ['EATS with ATS=0',                       without('IDR0', 1 << 10), [storeWords(stePa, ste({ EATS: 'FULL' }))], 'IDR0.ATS'],
    ['DS with IDR5.DS=0',                     {},                       [storeWords(at.cd, cd({ DS: true }))], 'IDR5.DS'],
    ['substreams with SSIDSIZE=0',            without('IDR1', 0x1f << 6), [storeWords(stePa, ste({ S1CDMax: 2 }))], 'IDR1.SSIDSIZE'],
    ['PRIQEN with PRI=0',                     without('IDR0', 1 << 16), [write('CR0', 0xf)], 'IDR0.PRI'],
    ['an MSI address with MSI=0',             without('IDR0', 1 << 13), [write('EVENTQ_IRQ_CFG0', 0x5000n)], 'IDR0.MSI'],
    ['zero as MSI address with MSI=0',        without('IDR0', 1 << 13), [write('EVENTQ_IRQ_CFG0', 0n)], undefined],
  ] as readonly (readonly [string, Partial<SmmuConfig>, Story, string | undefined])[])('%s', (_, smmu, story, field) => {
    const found = findingsOf(on(smmu, ...story)).filter(({ rule }) => rule === 'I10');
    expect(found.map(({ missing }) => missing.needed.includes(field ?? '?'))).toEqual(field === undefined ? [] : [true]);
  });

  it('say where software read the register', () => {
    const noAts = without('IDR0', 1 << 10);
    const read = { type: 'mmio.read', smmu: 'smmu0', offset: 0, size: 4, actor: 'cpu0' } as const;
    const atc = issue(0, command('CMD_ATC_INV', { StreamID: SID, Size: 0 }));
    const [blind] = findingsOf(on(noAts, atc));
    expect(blind?.notes).toContain('software never read IDR0 of smmu0 in this log');
    const log = on(noAts, read, atc);
    const [seen] = findingsOf(log);
    expect(seen?.notes).toContain(`main@${lastOf(log, 'register.read').seq} software read IDR0 of smmu0`);
  });
});

describe('faults', () => {
  // biome-ignore format: a table
  it.each([
    ['R=1: recorded',                    [dma(0x9000)]],
    ['R=0: no record is asked for',      [storeWords(at.cd, cd({ R: false })), issue(0, cfgiCd, SYNC), dma(0x9000), dma(0xa000)]],
    ['A=0: RAZ/WI',                      [storeWords(at.cd, cd({ A: false })), issue(0, cfgiCd, SYNC), dma(0x9000, 'write')]],
    ['a permission, from the TLB',       [map(0x4000, at.data, 0xfc3n), dma(0x4000), dma(0x4000, 'write')]],
    ['a table that is no memory',        [store(at.table + 0x2000, 0xf_0000_0003n), dma(0x4000)]],
    ['a stale CD says R, memory does not', [dma(0x9000), storeWords(at.cd, cd({ R: false })), dma(0xa000), issue(0, cfgiCd, SYNC)]],
  ] as readonly (readonly [string, Story])[])('%s', (_, story) => {
    expect(said(on({}, ...story)).filter((each) => each.startsWith('I11'))).toEqual([]);
  });

  it('a fault without its record is the hardware', () => {
    const log = on({}, dma(0x9000));
    const silent = { ...log, entries: log.entries.filter(({ type }) => !type.startsWith('record.')) };
    expect(said(silent)).toContain('I11 fault-not-told-as-it-was');
  });

  it('a record that nobody asked for is the hardware', () => {
    const quiet = on({}, storeWords(at.cd, cd({ R: false })), issue(0, cfgiCd, SYNC), dma(0x9000));
    const { words } = lastOf(on({}, dma(0x9000)), 'record.raised');
    const ended = lastOf(quiet, 'access.terminated');
    const { seq, tick, cause, actor, ...event } = ended;
    const log = deafHardware(
      quiet,
      { type: 'record.raised', smmu: 'smmu0', record: 'F_TRANSLATION', streamId: SID, words },
      event,
    );
    const asked = { ...dma(0x9000), seq: ended.seq + 100, tick: tick + 9, cause: 0, actor: 'outside' };
    const [last, raised] = [log.entries.at(-1)!, log.entries.at(-2)!];
    const entries = [
      ...log.entries.slice(0, -2),
      asked as never,
      { ...raised, seq: asked.seq + 1, cause: asked.seq },
      { ...last, seq: asked.seq + 2, cause: asked.seq },
    ];
    expect(said({ ...log, entries })).toContain('I11 fault-not-told-as-it-was');
  });
});

describe('proportion', () => {
  const pages = (
    count: number,
    between: (at: number) => readonly Stimulus[] = () => [],
  ): readonly Stimulus[] =>
    Array.from({ length: count }, (_, index) => [
      ...between(index),
      ...issue(index, command('CMD_TLBI_NH_VA', { ASID, Address: 0x10_0000 + index * 0x1000, Leaf: true })),
    ]).flat();

  it('counts neighbouring pages of one request', () => {
    expect(said(on({}, pages(64)))).toEqual(['I12 command-per-page']);
    expect(said(on({}, pages(63)))).toEqual([]);
    expect(
      said(
        on(
          {},
          pages(64, (index) => [unmap(index * 0x1000)]),
        ),
      ),
    ).toEqual([]);
  });

  it('is no wrong: the verdict is excess', () => {
    expect(findingsOf(on({}, pages(64))).map(({ verdict }) => verdict)).toEqual(['excess']);
  });

  it('lets the same command come again after a change or an access', () => {
    const again = (index: number, ...before: Stimulus[]): Stimulus[] => [...before, ...issue(index, tlbiAll)];
    expect(said(on({}, ...[0, 1, 2, 3, 4].map((index) => again(index))))).toEqual([
      'I12 repeated-invalidation',
    ]);
    expect(said(on({}, ...[0, 1, 2, 3, 4].map((index) => again(index, dma(0x9000)))))).toEqual([]);
  });
});

describe('the pass', () => {
  it('answers the same when the log is folded in two parts', () => {
    fc.assert(
      fc.property(carelessStories, fc.nat(), (story, cut) => {
        const { entries } = play(story);
        const config = worldConfig(story.setup);
        const own = rules.filter(({ projection }) => projection === protocol);
        const pass = openPass([protocol(config, 'main')]);
        const middle = cut % (entries.length + 1);
        for (const entry of entries.slice(0, middle)) pass.take(entry);
        pass.answers();
        for (const entry of entries.slice(middle)) pass.take(entry);
        const ids = new Set(own.map(({ id }) => id));
        const [found] = pass.answers();
        const whole = checkHistory(entries, config, 'main', own);
        expect(found.filter(({ rule }) => ids.has(rule))).toHaveLength(whole.length);
        expect(whole.every((each) => found.some((other) => other.title === each.title))).toBe(true);
      }),
      { numRuns: 20, seed: 5 },
    );
  });
});
