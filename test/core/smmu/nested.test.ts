/** Nested streams: what stage 2 does to accesses, stage 1 tables and CDs, and what the caches keep of it. */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../core/event.ts';
import { openSession } from '../../../core/machine.ts';
import { runTurns } from '../../../core/run.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { at, cd, command, dma, issue, leafPa, reset, SID, storeWords } from '../../support/build.ts';
import {
  GUEST,
  guestMap,
  inGuest,
  nestedBringUp,
  nestedMachine,
  nestedSte,
  S2_RW,
  s2LeafPa,
  s2Map,
  s2Unmap,
  VMID,
} from '../../support/nested.ts';

/** Brings up a nested stream with one page mapped, and plays. */
function play(choices: Record<string, boolean> = {}) {
  const session = openSession(reset(nestedMachine({}, { choices })));
  const put = (...stimuli: Stimulus[]): Entry[] =>
    stimuli.flatMap((stimulus) => {
      const entries = [...session.step(stimulus)];
      runTurns(session, (more) => entries.push(...more));
      return entries;
    });
  put(...nestedBringUp(), guestMap(0x1000, 0x5000));
  return { session, put };
}

const answers = (entries: readonly Entry[]): string[] =>
  entries.flatMap((entry) =>
    entry.type === 'access.completed'
      ? [`ok 0x${entry.pa.toString(16)} ${entry.via}`]
      : entry.type === 'access.terminated'
        ? [`${entry.result} ${entry.reason}`]
        : [],
  );

describe('a nested stream', () => {
  it('goes through both stages: 24 descriptors for a page when nothing is cached', () => {
    const { session, put } = play();
    put(
      { type: 'set', path: 'smmu0.caches.tlb', value: 0 },
      { type: 'set', path: 'smmu0.caches.walk', value: 0 },
    );
    put(dma(0x1000));
    const entries = put(dma(0x1010));
    expect(answers(entries)).toEqual([`ok 0x${(GUEST + 0x5010).toString(16)} walk`]);
    expect(entries.filter(({ type }) => type === 'descriptor.fetched').length).toBe(24);
    expect(session.state.smmus['smmu0']?.caches.tlb.size).toBe(0);
  });

  it('keeps a combined entry that S2_IPA alone does not remove (4.4.3.1)', () => {
    const { put } = play();
    put(dma(0x1000), s2Unmap(0x5000));
    const s2ipa = command('CMD_TLBI_S2_IPA', { VMID, Address: 0x5000, Leaf: true });
    put(...issue(0, s2ipa, command('CMD_SYNC')));
    expect(answers(put(dma(0x1000)))).toEqual([`ok 0x${(GUEST + 0x5000).toString(16)} hit`]);
    put(...issue(2, command('CMD_TLBI_NH_ALL', { VMID }), command('CMD_SYNC')));
    expect(answers(put(dma(0x1000)))[0]).toContain('F_TRANSLATION');
  });

  it('keeps an entry of each stage where combined ones are not made', () => {
    const { put } = play({ combinedEntries: false });
    put(dma(0x1000), s2Unmap(0x5000));
    expect(answers(put(dma(0x1000)))).toEqual([`ok 0x${(GUEST + 0x5000).toString(16)} hit`]);
    put(...issue(0, command('CMD_TLBI_S2_IPA', { VMID, Address: 0x5000, Leaf: true }), command('CMD_SYNC')));
    expect(answers(put(dma(0x1000)))[0]).toContain('F_TRANSLATION');
  });

  it('reads its CD and tables through stage 2, with class CD and TT (7.3)', () => {
    const { put } = play();
    put(s2Unmap(at.cd));
    const [cd] = put(dma(0x1000)).filter((entry) => entry.type === 'record.raised');
    expect(cd).toMatchObject({ record: 'F_TRANSLATION' });
    put(s2Map(at.cd), s2Unmap(at.table + 0x3000));
    expect(answers(put(dma(0x1000)))).toEqual(['abort F_TRANSLATION: level 3 descriptor is invalid']);
    put(s2Map(at.table + 0x3000));
    expect(answers(put(dma(0x1000)))[0]).toContain('ok');
  });

  it('marks the stage 2 page of a table dirty when hardware updates a descriptor in it (3.13)', () => {
    const { session, put } = play();
    const stream = nestedSte({ S2HA: true, S2HD: true });
    const clean = (S2_RW & ~0x80n) | (1n << 51n);
    put(storeWords(at.strtab + SID * 64, stream), inGuest(storeWords(at.cd, cd({ HA: true, HD: true }))));
    put(s2Map(at.table + 0x3000, undefined, clean), guestMap(0x2000, 0x6000, 0xb43n | (1n << 11n)));
    put(
      ...issue(
        0,
        command('CMD_CFGI_STE', { StreamID: SID, Leaf: true }),
        command('CMD_TLBI_NSNH_ALL'),
        command('CMD_SYNC'),
      ),
    );
    const stores = put(dma(0x2000)).flatMap((entry) => (entry.type === 'memory.written' ? [entry.pa] : []));
    expect(stores).toEqual([s2LeafPa(at.table + 0x3000), leafPa(0x2000) + GUEST]);
    const read = (pa: number): bigint => session.state.memory.read64(pa);
    expect(read(s2LeafPa(at.table + 0x3000)) & 0x80n).toBe(0x80n);
    expect(read(leafPa(0x2000) + GUEST) & 0x400n).toBe(0x400n);
  });
});
