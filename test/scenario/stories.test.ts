/**
 * The stories told in scenario files. A `good-` story ends clean and all it expects comes true; its
 * `bad-` twin differs by what the driver forgot, and the findings name that.
 */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../projections/finding.ts';
import { openShell } from '../adapters/cli/backwalk.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const files = readdirSync(here).filter((name) => name.endsWith('.jsonl'));

/** What each bad story must be found to be: verdict, and what is missing. */
const expected: Readonly<
  Record<
    string,
    {
      /** Where it is not the rule of a stale translation. */
      readonly rule?: string;
      readonly verdict: string;
      readonly needed: RegExp;
      readonly blamed: RegExp;
      readonly nearest?: RegExp;
    }
  >
> = {
  'bad-unmap-without-tlbi.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*Address=0x4000/,
    blamed: /0x103020/,
  },
  'bad-cd-changed-without-cfgi.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_CFGI_CD StreamID=8 SubstreamID=0 Leaf=1; CMD_SYNC$/,
    blamed: /0x20000/,
  },
  'bad-ste-changed-without-cfgi.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_CFGI_STE StreamID=8 Leaf=1; CMD_SYNC$/,
    blamed: /0x10200/,
  },
  'bad-table-unlinked-leaf-1.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*Leaf=0; CMD_SYNC$/,
    blamed: /0x102000/,
  },
  'bad-asid-of-another.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*ASID=5 Address=0x4000/,
    blamed: /0x103020/,
  },
  'bad-range-one-page-short.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*Address=0x7000/,
    blamed: /0x103038/,
  },
  'bad-command-never-submitted.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*Address=0x4000/,
    blamed: /0x103020/,
  },
  'bad-ttb1-address-without-upper-bits.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*Address=0xfffffffffffff000/,
    blamed: /0x123ff8/,
  },
  'bad-nested-s2-ipa-only.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_S2_IPA VMID=3 Address=0x400000 Leaf=1; CMD_SYNC; CMD_TLBI_NH_ALL VMID=3; CMD_SYNC$/,
    blamed: /0x30003000/,
  },
  // The ioctl told that the command was handled; hardware never saw it.
  'bad-iommufd-batch-per-block.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA VMID=1 ASID=5 Address=0x4000 Leaf=1; CMD_SYNC$/,
    blamed: /0x7f903020/,
    nearest: /^counted as handled by IOMMU_HWPT_INVALIDATE, never issued$/,
  },
  'bad-unmap-broadcast-ignored.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*ASID=5 Address=0x4000/,
    blamed: /0x103020/,
  },
  // CONS has passed the guest's CMD_SYNC, and the command named a VMID of nobody.
  'bad-vm-software-queue-guest-tag.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA VMID=1 ASID=1 Address=0xfffff000 Leaf=1; CMD_SYNC$/,
    blamed: /0x43df6f47 -> 0x0/,
    nearest: /VMID differs: 0x0, owed for 0x1/,
  },
  // The last change, not the one that made the entry: and the remedy takes the STE below as well.
  'bad-l1std-removed-leaf-1.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_CFGI_STE StreamID=8 Leaf=0; CMD_SYNC$/,
    blamed: /\[0x50000\] 0x60007 -> 0x0/,
  },
  // The device asks between the two commands, and is given what the TLB still holds: the order is to blame.
  'bad-atc-invalidated-before-sync.jsonl': {
    rule: 'I9',
    verdict: 'used-stale',
    needed: /^CMD_ATC_INV StreamID=8 .*Address=0x4000; CMD_SYNC$/,
    blamed: /^CMD_ATC_INV StreamID=8 Address=0x4000 came before the TLB was clean/,
    nearest: /^too early: before the CMD_SYNC of the TLB invalidation$/,
  },
  'bad-atc-not-invalidated.jsonl': {
    rule: 'I9',
    verdict: 'used-stale',
    needed: /^CMD_ATC_INV StreamID=8 .*Address=0x4000; CMD_SYNC$/,
    blamed: /\[0x103020\] 0x1000f43 -> 0x0/,
    nearest: /^no CMD_ATC_INV of that stream was queued$/,
  },
  // The walk ends without reading a descriptor: the entry it began from is found all the same.
  'bad-table-moved-without-tlbi.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*Leaf=0; CMD_SYNC$/,
    blamed: /0x102000/,
  },
};

describe.each(files)('%s', (file) => {
  const shell = openShell();

  it('ends as its name says', async () => {
    const ran = await shell.backwalk('run', `${here}${file}`, '--json');
    const { summary } = JSON.parse(ran.out.at(-1) ?? '{}') as {
      summary: { findings: number; checksFailed: number };
    };
    expect(summary.checksFailed).toBe(0);
    const check = await shell.backwalk('check', '--json');
    const findings = check.out.map((line) => JSON.parse(line) as Finding);
    const wanted = expected[file];
    if (wanted === undefined) {
      expect(file).toMatch(/^good-/);
      expect(findings).toEqual([]);
      return;
    }
    expect(findings.map(({ verdict }) => verdict)).toEqual([wanted.verdict]);
    if (wanted.rule) expect(findings[0]?.rule).toBe(wanted.rule);
    expect(findings[0]?.missing.needed).toMatch(wanted.needed);
    expect(findings[0]?.blame.what).toMatch(wanted.blamed);
    if (wanted.nearest) expect(findings[0]?.missing.nearest.why).toMatch(wanted.nearest);
  });
});
