/**
 * I2: pages that are given back while a descriptor, a structure, a cached entry or an ATC still leads there. The
 * release is put into the log as a kernel states it, so that each case is a few lines.
 */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../core/event.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import {
  ASID,
  at,
  bringUp,
  command,
  dma,
  issue,
  map,
  SID,
  ste,
  store,
  storeWords,
  unmap,
} from '../support/build.ts';
import { findingsOf, given, type Recorded, record } from '../support/entries.ts';
import { nestedMachine } from '../support/nested.ts';

const IOVA = 0x5000;
const SYNC = command('CMD_SYNC');
const tlbi = command('CMD_TLBI_NH_VA', { ASID, Address: IOVA, Leaf: true });
const used: readonly Stimulus[] = [map(IOVA, at.data), dma(IOVA, 'write')];

/** The log with pages given back, or out, at its end; more stimuli follow at the places they had. */
function released(
  log: Recorded,
  pa: number,
  type: 'pages.returned' | 'pages.taken' = 'pages.returned',
  owner = 'proc0',
): Recorded {
  const last = log.entries.at(-1);
  const event = {
    type,
    pa,
    bytes: 4096,
    owner,
    seq: (last?.seq ?? 0) + 1,
    tick: last?.tick ?? 0,
    cause: 0,
    actor: 'kernel',
  };
  return { ...log, entries: [...log.entries, event as Entry] };
}

/** A log, a release, and what came after it. */
function around(before: readonly Stimulus[], pa: number, after: readonly Stimulus[]): Recorded {
  const first = given(before);
  const all = given(before, after);
  const cut = first.entries.length;
  const shifted = all.entries.slice(cut).map((entry) => ({
    ...entry,
    seq: entry.seq + 1,
    cause: entry.cause === 0 ? 0 : entry.cause + 1,
  })) as Entry[];
  // What names a fetch of after the cut moves with it.
  const moved = shifted.map((entry) =>
    'fetched' in entry && (entry.fetched as number) > cut
      ? ({ ...entry, fetched: (entry.fetched as number) + 1 } as Entry)
      : entry,
  );
  return { ...all, entries: [...released(first, pa).entries, ...moved] };
}

const told = (log: Recorded): readonly string[] =>
  findingsOf(log).map(({ rule, verdict }) => `${rule} ${verdict}`);

describe('a page that is given back', () => {
  it('is told while an entry may lead there, and the store that took it away is to blame', () => {
    const log = released(given(used, unmap(IOVA)), at.data);
    const [finding, ...more] = findingsOf(log);
    expect(more).toEqual([]);
    expect(finding).toMatchObject({
      rule: 'I2',
      verdict: 'could-be-used',
      position: `main@${log.entries.at(-1)?.seq}`,
      actor: 'proc0',
      blame: { actor: 'cpu0' },
      missing: { needed: 'CMD_TLBI_NH_VA VMID=0 ASID=5 Address=0x5000 Leaf=1; CMD_SYNC' },
    });
    expect(finding?.title).toMatch(/^memory-released-dirty: 0x1000000/);
  });

  it('is clean after the TLBI and its CMD_SYNC, and not between them', () => {
    expect(told(released(given(used, unmap(IOVA), issue(0, tlbi, SYNC)), at.data))).toEqual([]);
    expect(told(released(given(used, unmap(IOVA), issue(0, tlbi)), at.data))).toEqual(['I2 could-be-used']);
  });

  it("is nobody else's business: another page, or one that was never mapped", () => {
    expect(told(released(given(used, unmap(IOVA)), at.data + 0x1000))).toEqual([]);
    expect(told(released(given(), at.data))).toEqual([]);
  });

  it('is told while it is still mapped', () => {
    const [finding] = findingsOf(released(given(used), at.data));
    expect(finding).toMatchObject({ rule: 'I2', verdict: 'could-be-used', blame: { actor: 'proc0' } });
    expect(finding?.notes[0]).toMatch(/^1 valid descriptor still map it, as at 0x103028/);
  });

  it('before its invalidation has the release to blame, once that comes', () => {
    const log = around([...used, unmap(IOVA)], at.data, issue(0, tlbi, SYNC));
    const [finding, ...more] = findingsOf(log);
    expect(more).toEqual([]);
    expect(finding?.blame.position).toBe(finding?.position);
    expect(finding?.after[0]?.what).toContain('0x103028');
  });

  it('and is reached all the same is told with who has it now', () => {
    const before = [...used, unmap(IOVA)];
    const log = around(before, at.data, [dma(IOVA, 'write')]);
    const [, stale] = findingsOf(log);
    expect(stale).toMatchObject({ rule: 'I3', verdict: 'used-stale' });
    expect(stale?.notes.join()).toContain('returned by proc0');
  });
});

describe('a page of tables that is given back', () => {
  const table = at.table + 0x3000;
  const unlinked = store(at.table + 0x2000, 0);
  it('is told while it is linked, and while the walk cache may lead there', () => {
    expect(findingsOf(released(given(used), table))[0]?.notes[0]).toContain('translation table');
    const [finding] = findingsOf(released(given(used, unlinked), table));
    expect(finding).toMatchObject({
      rule: 'I2',
      blame: { actor: 'proc0' },
      missing: { nearest: { position: null } },
    });
    expect(finding?.missing.needed).toContain('Leaf=0');
    const span = command('CMD_TLBI_NH_VA', { ASID, Address: 0, TG: '4KB', NUM: 31, SCALE: 4 });
    expect(told(released(given(used, unlinked, issue(0, span, SYNC)), table))).toEqual([]);
  });

  it('is told of CDs that a cached STE leads to', () => {
    const abort = storeWords(at.strtab + SID * 64, ste({ Config: 'ABORT' }));
    const cfgi = command('CMD_CFGI_STE', { StreamID: SID, Leaf: true });
    const flush = command('CMD_TLBI_NH_ASID', { ASID });
    expect(told(released(given(used, abort), at.cd))).toEqual(['I2 could-be-used']);
    expect(told(released(given(used, abort, issue(0, cfgi, flush, SYNC)), at.cd))).toEqual([]);
  });
});

describe('stage 2', () => {
  const PA = 0x300_0000;
  /** Two first tables side by side; the next levels follow. */
  const L1 = 0x20_0000;
  // VMID 3, 40 bits, level 1 first, 4KB, AArch64.
  const second = ste({
    Config: 'S2',
    S2VMID: 3,
    S2T0SZ: 24,
    S2SL0: 1,
    S2TG: '4KB',
    S2PS: 4,
    S2AA64: true,
    S2R: true,
    S2TTB: L1,
  });
  const start: readonly Stimulus[] = [
    storeWords(at.strtab + SID * 64, second),
    store(L1, BigInt(L1 + 0x2000) | 3n),
    store(L1 + 0x2000, BigInt(L1 + 0x3000) | 3n),
    ...issue(0, command('CMD_CFGI_STE', { StreamID: SID, Leaf: true }), command('CMD_TLBI_NSNH_ALL'), SYNC),
    store(L1 + 0x3000, BigInt(PA) | 0x7ffn),
    dma(0),
  ];
  const config = nestedMachine();
  const story = (...stimuli: readonly Stimulus[]): Recorded =>
    record(config, [...bringUp(), ...start, ...stimuli]);
  const ipa = command('CMD_TLBI_S2_IPA', { VMID: 3, Address: 0, Leaf: true });

  it('is followed like stage 1: the page is dirty until CMD_TLBI_S2_IPA of its VMID and CMD_SYNC', () => {
    const gone = store(L1 + 0x3000, 0);
    const [finding] = findingsOf(released(story(gone), PA));
    expect(finding).toMatchObject({ rule: 'I2', verdict: 'could-be-used' });
    expect(finding?.missing.needed).toBe('CMD_TLBI_S2_IPA VMID=3 Address=0x0 Leaf=1; CMD_SYNC');
    expect(told(released(story(gone, ...issue(3, ipa, SYNC)), PA))).toEqual([]);
    const other = command('CMD_TLBI_S2_IPA', { VMID: 4, Address: 0, Leaf: true });
    expect(told(released(story(gone, ...issue(3, other, SYNC)), PA))).toEqual(['I2 could-be-used']);
  });

  it('is made again before it is clean', () => {
    const again = [store(L1 + 0x3000, 0), store(L1 + 0x3000, BigInt(PA + 0x1000) | 0x7ffn)];
    expect(told(story(...again))).toEqual(['I3 remade-dirty']);
    expect(told(story(again[0]!, ...issue(3, ipa, SYNC), again[1]!))).toEqual([]);
  });
});
