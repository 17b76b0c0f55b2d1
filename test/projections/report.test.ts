/** The text of a finding: its sections, its width, and a position on each line that tells a fact. */
import { describe, expect, it } from 'vitest';
import type { Stimulus } from '../../core/stimulus.ts';
import { report } from '../../projections/report.ts';
import { ASID, at, command, dma, issue, leafPa, map } from '../support/build.ts';
import { findingsOf, given } from '../support/entries.ts';

const IOVA = 0x5000;
const unmapAt88: Stimulus = {
  type: 'mem.write',
  pa: leafPa(IOVA),
  bytes: new Uint8Array(8),
  actor: 'guest',
  line: 88,
  cpu: 2,
  pc: 0xffff_8000_088b_3f00n,
};
const wrongAsid = command('CMD_TLBI_NH_VA', { ASID: ASID + 1, Address: IOVA, Leaf: true });

function textOf(...story: readonly (Stimulus | readonly Stimulus[])[]): string {
  const [finding] = findingsOf(given(...story));
  return finding === undefined ? '' : report(finding);
}

/** Positions numbered in order of first appearance, so that a further event elsewhere moves nothing. */
function relabelled(text: string): string {
  const names = new Map<string, string>();
  return text
    .replace(/main@\d+/g, (found) => {
      const name = names.get(found) ?? `main@${names.size + 1}`.padEnd(found.length, '_');
      names.set(found, name);
      return name;
    })
    .replace(/dirty for \d+/, 'dirty for N');
}

describe('the report of a stale use', () => {
  const text = textOf(
    map(IOVA, at.data),
    dma(IOVA, 'write'),
    unmapAt88,
    issue(0, wrongAsid, command('CMD_SYNC')),
    dma(IOVA, 'write'),
  );

  it('reads like this', () => {
    expect(relabelled(text)).toMatchInlineSnapshot(`
      "==================================================================
      BUG: backwalk: stale-translation-used in DMA write by dev0 (SID 0x8)
       8 bytes at IOVA 0x5000 went to PA 0x1000000   SSID none
       a walk now would give: F_TRANSLATION: level 3 descriptor is invalid
       position main@1_   rule I3

      Access:
       main@1_        dev0       MemWr 8B iova=0x5000
       main@1_                   hit: tlb {S1 asid=0x5 vmid=0x0 va=0x5000/4K ->
                                 pa=0x1000000 RW}

      Entry was filled:
       main@2_        smmu0      fill {S1 asid=0x5 vmid=0x0 va=0x5000/4K ->
                                 pa=0x1000000 RW}
       main@3_        smmu0      walk L3 [0x103028] = 0x1000f43
       main@4_        smmu0      walk L2 [0x102000] = 0x103003
       main@5_        smmu0      walk L1 [0x101000] = 0x102003
       main@6_        smmu0      walk L0 [0x100000] = 0x101003
       main@7_        smmu0      fill {CD sid=0x8 ssid=0x0 read from 0x20000}
       main@8_        smmu0      fill {STE sid=0x8 read from 0x10200}

      Mapping was broken:
       main@9_        guest      store [0x103028] 0x1000f43 -> 0x0
                                 cpu 2  pc 0xffff8000088b3f00  line 88

      What was owed:
       main@9_        TLB(asid 0x5, vmid 0x0, va 0x5000/4K)
                      for the leaf descriptor at 0x103028: owed

      Needed:
       CMD_TLBI_NH_VA VMID=0 ASID=5 Address=0x5000 Leaf=1   [0x5000000000012 0x5001]
       CMD_SYNC   [0x46 0x0]

      Nearest miss:
       main@10        CMD_TLBI_NH_VA ASID=6 Leaf=1 Address=0x5000
                      ASID differs: 0x6, owed for 0x5

      Notes:
       page frees are not in this log: who owns the page now is not known

      Obligations around the IOVA (one letter = 4KiB):
      >0x0: .  .  .  .  . [U] .  .
       0x8000: .  .  .  .  .  .  .  .
       V valid  U broken, not clean  q queued  c performed, no SYNC  . clean

      Verdict: used-stale (isolation)   rule I3   dirty for N events
      SUMMARY: stale-translation-used I3 used-stale leaf by guest: TLBI_NH_VA
      Next:      backwalk show main@11 smmu0.tlb
                 backwalk fork fix main@9_
      Reproduce: backwalk check main@12..main@1_ --explain
      ==================================================================
      "
    `);
  });

  it('fits 80 columns and has no blanks at line ends', () => {
    for (const line of text.split('\n')) {
      expect(line.length).toBeLessThanOrEqual(80);
      expect(line).toBe(line.trimEnd());
    }
  });
});

describe('the report of reused memory', () => {
  it('tells the store that reused it, and what was owed', () => {
    const tlbi = command('CMD_TLBI_NH_VA', { ASID, Address: IOVA, Leaf: true });
    const link: Stimulus = {
      type: 'mem.write',
      pa: at.table + 0x2008,
      bytes: Uint8Array.of(3, 0, 0, 1, 0, 0, 0, 0),
    };
    const text = textOf(map(IOVA, at.data), dma(IOVA), unmapAt88, issue(0, tlbi), link);
    expect(text).toContain('BUG: backwalk: memory-reused-dirty: 0x1000000/4K became a translation table');
    expect(text).toContain('no CMD_SYNC has completed after it');
    expect(text).toContain('Verdict: could-be-used (isolation)   rule I2');
  });
});

describe('the report of broken protocol', () => {
  const text = textOf({ ...dma(0x9000) }, dma(0xa000), {
    type: 'mmio.write',
    smmu: 'smmu0',
    offset: 0x100ac,
    size: 4,
    value: 1n,
    actor: 'cpu0',
    line: 12,
  });

  it('reads like this', () => {
    expect(relabelled(text)).toMatchInlineSnapshot(`
      "==================================================================
      BUG: backwalk: idle-with-records: 1 left in smmu0.EVENTQ
       position main@1_   rule I7

      What was done:
       main@1_        cpu0       EVENTQ_CONS = 0x1, and no look at EVENTQ_PROD after
                                 it
                                 line 12

      Needed:
       EVENTQ_PROD loaded again after draining; rest only when it equals EVENTQ_CONS

      Notes:
       the interrupt comes when the queue goes from empty to non-empty: none is to
           come now

      Verdict: protocol (availability)   rule I7
      SUMMARY: idle-with-records I7 protocol by cpu0
      Next:      backwalk show main@1_
                 backwalk fork fix main@2_
      Reproduce: backwalk check main@3..main@1_ --explain
      ==================================================================
      "
    `);
  });
});
