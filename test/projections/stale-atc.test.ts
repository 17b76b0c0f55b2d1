/**
 * I9: an ATC is a cache that only CMD_ATC_INV empties. Random drivers map, unmap and invalidate, rightly or not;
 * an endpoint asks, keeps and uses. What the model of the driver says a page is now is the oracle: `used-stale` names
 * just the Translated accesses that went elsewhere.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Stimulus } from '../../core/stimulus.ts';
import {
  ASID,
  at,
  command,
  issue,
  machine,
  map,
  PAGE_RW,
  SID,
  ste,
  storeWords,
  unmap,
  write,
} from '../support/build.ts';
import { findingsOf, givenOn, type Recorded } from '../support/entries.ts';

const IDR0_ATS = 0x0d40_101a | (1 << 10);
const PAGES = 4;
const SYNC = command('CMD_SYNC');
const iovaOf = (page: number): number => 0x4000 + page * 0x1000;
const frameOf = (frame: number): number => at.data + frame * 0x1000;
const config = machine(
  {
    endpoints: [
      { name: 'dev0', smmu: 'smmu0', streamId: SID, ats: true, pri: false, ssidBits: 0, atc: 'unbounded' },
    ],
  },
  { idr: { IDR0: IDR0_ATS, IDR1: 0x0273_0010, IDR3: 0x1404, IDR5: 0x74, IIDR: 0, AIDR: 1 } },
);
const withAts: readonly Stimulus[] = [
  storeWords(at.strtab + SID * 64, ste({ EATS: 'FULL' })),
  ...issue(0, command('CMD_CFGI_STE', { StreamID: SID, Leaf: true }), SYNC),
  write('CR0', 0x1d),
];

const ask = (page: number): Stimulus => ({
  type: 'ats.translate',
  endpoint: 'dev0',
  iova: BigInt(iovaOf(page)),
  size: 4096,
  access: 'write',
});
const use = (page: number): Stimulus => ({
  type: 'dma',
  endpoint: 'dev0',
  iova: BigInt(iovaOf(page)),
  size: 8,
  access: 'read',
  translated: true,
});

type How = 'right' | 'no-atc' | 'atc-first' | 'other-sid' | 'nothing' | 'all';
type Action =
  | { readonly do: 'map'; readonly page: number; readonly frame: number }
  | { readonly do: 'unmap'; readonly page: number; readonly how: How; readonly asks: boolean }
  | { readonly do: 'ask' | 'use'; readonly page: number };

function play(actions: readonly Action[]): {
  readonly log: Recorded;
  readonly mapped: Map<number, Map<number, number>>;
} {
  const stimuli: Stimulus[] = [...withAts];
  const now = new Map<number, number>();
  /** What each use, by its number, was to reach. */
  const mapped = new Map<number, Map<number, number>>();
  let prod = 2;
  let uses = 0;
  const queue = (...words: Uint32Array[]): void => {
    stimuli.push(...issue(prod, ...words));
    prod = (prod + words.length) % 512;
  };
  for (const action of actions) {
    const { page } = action;
    if (action.do === 'ask') stimuli.push(ask(page));
    if (action.do === 'use') {
      stimuli.push(use(page));
      mapped.set(uses, new Map(now));
      uses += 1;
    }
    if (action.do === 'map' && !now.has(page)) {
      now.set(page, action.frame);
      stimuli.push(map(iovaOf(page), frameOf(action.frame), PAGE_RW));
    }
    if (action.do !== 'unmap' || !now.delete(page)) continue;
    stimuli.push(unmap(iovaOf(page)));
    const tlbi = command('CMD_TLBI_NH_VA', { ASID, Address: iovaOf(page), Leaf: true });
    const all = action.how === 'all' ? { Size: 52 } : { Address: iovaOf(page) };
    const atc = command('CMD_ATC_INV', { StreamID: action.how === 'other-sid' ? SID + 1 : SID, ...all });
    if (action.how === 'nothing') continue;
    if (action.how === 'atc-first') queue(atc, SYNC);
    if (action.how === 'atc-first' && action.asks) stimuli.push(ask(page));
    queue(tlbi, SYNC);
    if (action.how !== 'no-atc' && action.how !== 'atc-first') queue(atc, SYNC);
  }
  return { log: givenOn(config, ...stimuli), mapped };
}

const page = fc.nat({ max: PAGES - 1 });
const action = (hows: readonly How[]): fc.Arbitrary<Action> =>
  fc.oneof(
    fc.record({ do: fc.constant('map' as const), page, frame: fc.nat({ max: 40 }) }),
    fc.record({ do: fc.constant('unmap' as const), page, how: fc.constantFrom(...hows), asks: fc.boolean() }),
    fc.record({ do: fc.constant('ask' as const), page }),
    fc.record({ do: fc.constant('use' as const), page }),
  );
const story = (...hows: readonly How[]): fc.Arbitrary<readonly Action[]> =>
  fc.array(action(hows), { minLength: 20, maxLength: 60, size: 'max' });

/** Positions of the Translated accesses that did not reach what is mapped; each took one stimulus. */
function wrong({ log, mapped }: ReturnType<typeof play>): readonly string[] {
  const found: string[] = [];
  let uses = 0;
  for (const entry of log.entries) {
    if (entry.type !== 'dma' || entry.translated !== true) continue;
    const now = mapped.get(uses);
    uses += 1;
    const did = log.entries.find((each) => each.type === 'access.completed' && each.cause === entry.seq);
    if (did?.type !== 'access.completed' || did.via !== 'atc') continue;
    const frame = now?.get((Number(entry.iova) - iovaOf(0)) / 0x1000);
    if (frame === undefined || frameOf(frame) !== did.pa) found.push(`main@${did.seq}`);
  }
  return found;
}

describe('what an ATC holds', () => {
  it('is never found stale behind a driver that invalidates TLBs first and ATCs then', () => {
    fc.assert(
      fc.property(story('right', 'all'), (actions) => {
        const played = play(actions);
        expect(wrong(played)).toEqual([]);
        expect(findingsOf(played.log)).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  it('is found stale at just the accesses that reach what is mapped no more', () => {
    let found = 0;
    fc.assert(
      fc.property(story('right', 'no-atc', 'atc-first', 'other-sid', 'nothing'), (actions) => {
        const played = play(actions);
        const named = findingsOf(played.log).filter(
          ({ rule, verdict }) => rule === 'I9' && verdict === 'used-stale',
        );
        expect(named.map(({ position }) => position)).toEqual(wrong(played));
        found += named.length;
      }),
      { numRuns: 60, seed: 11 },
    );
    expect(found).toBeGreaterThan(20);
  });
});
