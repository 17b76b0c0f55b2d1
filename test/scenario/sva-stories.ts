/** What the stories of devices that walk the tables of a process must be found to be, on a host and in a guest. */
import type { Wanted } from './harm-stories.ts';

const RETURNED = /^0x[0-9a-f]+\/4096 bytes returned by .*mm app/;

/** By file. */
export const svaStories: Readonly<Record<string, Wanted>> = {
  // The page is told at its release, and the access that comes of it.
  'bad-sva-notifier-silent.jsonl': {
    first: ['could-be-used'],
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_EL2_VA ASID=2 Address=0x400000 Leaf=1; CMD_SYNC$/,
    blamed: /0x6800001fcf6f43 -> 0x0$/,
  },
  'bad-sva-permission-lowered.jsonl': {
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_EL2_VA ASID=2 Address=0x400000 Leaf=1; CMD_SYNC$/,
    blamed: /0x6800001fcf6f43 -> 0x6000001fcf6fc3$/,
  },
  'bad-sva-notifier-skips-atc.jsonl': {
    first: ['could-be-used'],
    rule: 'I9',
    verdict: 'used-stale',
    needed: /^CMD_ATC_INV StreamID=0x10 SSV=1 SubstreamID=1 Size=0 Address=0x400000; CMD_SYNC$/,
    blamed: /0x6800001fcf6f43 -> 0x0$/,
  },
  // The invalidation comes, too late: the release is to blame, not the store.
  'bad-sva-page-freed-before-notifier.jsonl': {
    rule: 'I2',
    verdict: 'could-be-used',
    needed: /^CMD_TLBI_EL2_VA ASID=2 Address=0x400000 Leaf=1; CMD_SYNC$/,
    blamed: /4096 bytes returned by mm app$/,
  },
  // The tables of three levels go with the last page, the lowest first.
  'bad-sva-table-freed-leaf-only.jsonl': {
    rule: 'I2',
    verdict: 'could-be-used',
    times: 3,
    needed: /^CMD_TLBI_EL2_VA ASID=2 Address=0x400000 Leaf=0; CMD_SYNC$/,
    blamed: RETURNED,
    nearest: /^Leaf=1 leaves table entries alone, Leaf=0 is needed$/,
  },
  // Pages, the tables of three levels, and what the device still reads.
  'bad-sva-exit-without-release.jsonl': {
    first: ['could-be-used', 'could-be-used', 'could-be-used', 'could-be-used'],
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_EL2_VA ASID=2 Address=0x400000 Leaf=1; CMD_SYNC$/,
    blamed: /0x6800001fcf6f43 -> 0x0$/,
  },
  'bad-vm-sva-notifier-silent.jsonl': {
    first: ['could-be-used'],
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA VMID=1 ASID=2 Address=0x400000 Leaf=1; CMD_SYNC$/,
    blamed: /0x68000043df6f43 -> 0x0$/,
    nearest: /^no invalidation like it was queued$/,
  },
  'bad-vm-sva-notifier-skips-atc.jsonl': {
    first: ['could-be-used'],
    rule: 'I9',
    verdict: 'used-stale',
    needed: /^CMD_ATC_INV StreamID=8 SSV=1 SubstreamID=1 Size=0 Address=0x400000; CMD_SYNC$/,
    blamed: /0x68000043df6f43 -> 0x0$/,
  },
  // Of a guest's stage 1 the store is blamed: its tables are not followed, so a late invalidation is not seen as one.
  'bad-vm-sva-page-freed-before-notifier.jsonl': {
    rule: 'I2',
    verdict: 'could-be-used',
    needed: /^CMD_TLBI_NH_VA VMID=0 ASID=2 Address=0x400000 Leaf=1; CMD_SYNC$/,
    blamed: RETURNED,
  },
  'bad-vm-sva-exit-without-release.jsonl': {
    first: ['could-be-used', 'could-be-used', 'could-be-used', 'could-be-used'],
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA VMID=1 ASID=2 Address=0x400000 Leaf=1; CMD_SYNC$/,
    blamed: /0x68000043df6f43 -> 0x0$/,
  },
};
