/** I4: one ASID or VMID, one set of tables: two CDs or STEs under one tag, and a tag that is used again dirty. */
import { describe, expect, it } from 'vitest';
import type { Stimulus } from '../../core/stimulus.ts';
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
} from '../support/build.ts';
import { findingsOf, givenOn, lastOf } from '../support/entries.ts';

const IOVA = 0x5000;
const PAGE = at.data;
const OTHER_CD = at.cd + 0x1000;
const OTHER_TABLE = at.table + 0x1_0000;
const SYNC = command('CMD_SYNC');
const two = machine({
  endpoints: ['dev0', 'dev1'].map((name, index) => ({
    name,
    smmu: 'smmu0',
    streamId: SID + index,
    ats: false,
    pri: false,
    ssidBits: 0,
    atc: 0,
  })),
});
/** A second stream with a CD of its own, and tables under which nothing is mapped. */
const second = (ASID_: number): readonly Stimulus[] => [
  storeWords(OTHER_CD, cd({ TTB0: OTHER_TABLE, ASID: ASID_ })),
  storeWords(at.strtab + (SID + 1) * 64, ste({ S1ContextPtr: OTHER_CD })),
];
const dma1: Stimulus = { type: 'dma', endpoint: 'dev1', iova: BigInt(IOVA), size: 8, access: 'read' };
const cfgi = command('CMD_CFGI_STE', { StreamID: SID + 1, Leaf: true });

describe('an ASID', () => {
  it('of two CDs with other tables is told when the second comes, and when it is served from the first', () => {
    const log = givenOn(two, map(IOVA, PAGE), dma(IOVA), second(ASID), issue(0, cfgi, SYNC), dma1);
    const [shared, used, ...more] = findingsOf(log);
    expect(more).toEqual([]);
    const made = log.entries.find(
      (entry) => entry.type === 'memory.loaded' && entry.pa === at.strtab + (SID + 1) * 64,
    );
    expect(shared).toMatchObject({
      rule: 'I4',
      verdict: 'could-be-used',
      position: `main@${made?.seq}`,
      blame: { position: `main@${made?.seq}` },
    });
    expect(shared?.title).toContain('ASID 0x5 of VMID 0x0');
    expect(used).toMatchObject({
      rule: 'I4',
      verdict: 'used-stale',
      position: `main@${lastOf(log, 'access.completed').seq}`,
      blame: { position: `main@${made?.seq}` },
    });
  });

  it('of its own is none of it, and so is one that two CDs with the same tables have', () => {
    const same = storeWords(OTHER_CD, cd());
    const stream = storeWords(at.strtab + (SID + 1) * 64, ste({ S1ContextPtr: OTHER_CD }));
    const story = [map(IOVA, PAGE), dma(IOVA)];
    expect(findingsOf(givenOn(two, story, second(ASID + 1), issue(0, cfgi, SYNC), dma1))).toEqual([]);
    expect(findingsOf(givenOn(two, story, same, stream, issue(0, cfgi, SYNC), dma1))).toEqual([]);
  });

  it('that was given up is told when another CD gets it dirty, and not after its invalidation', () => {
    const gone = storeWords(at.cd, cd({ V: false }));
    const cfgiCd = command('CMD_CFGI_CD', { StreamID: SID, Leaf: true });
    const flush = command('CMD_TLBI_NH_ASID', { ASID });
    const start = [map(IOVA, PAGE), dma(IOVA), gone].flat();
    const dirty = findingsOf(givenOn(two, start, issue(0, cfgiCd, SYNC), second(ASID)));
    expect(dirty.map(({ rule, verdict }) => `${rule} ${verdict}`)).toEqual(['I4 could-be-used']);
    expect(dirty[0]?.missing.needed).toBe('CMD_TLBI_NH_ASID VMID=0 ASID=5; CMD_SYNC');
    expect(findingsOf(givenOn(two, start, issue(0, cfgiCd, flush, SYNC), second(ASID)))).toEqual([]);
  });

  it('of one CD whose tables are exchanged in place is owed its invalidation, no more', () => {
    const moved = storeWords(at.cd, cd({ TTB0: OTHER_TABLE }));
    expect(findingsOf(givenOn(two, map(IOVA, PAGE), dma(IOVA), moved))).toEqual([]);
    const first = store(at.cd + 8, OTHER_TABLE);
    expect(findingsOf(givenOn(two, map(IOVA, PAGE), dma(IOVA), first))).toEqual([]);
  });
});
