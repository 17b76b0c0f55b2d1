/**
 * Bugs of the kinds of the catalogue that are not in it: what each is found to be. `twin: false`: a machine without
 * caches gives the accesses the same answers, since what differs is no answer (a mark in memory, a record, a memory
 * type), or since what is stale stands elsewhere. `N1`: an access while the command is under way differs too, and is
 * allowed to.
 */
import type { Wanted } from './harm-stories.ts';

export interface Further extends Wanted {
  readonly rule: string;
  readonly twin?: false | 'N1';
  /** What is stale is in no cache of the machine: an ATC, an emulated SMMU, the STE that a VMM has read. */
  readonly elsewhere?: true;
}

const stale = (rule: string, blamed: RegExp, needed: RegExp): Further => ({
  rule,
  verdict: 'used-stale',
  blamed,
  needed,
});

// biome-ignore format: a table
export const furtherStories: Readonly<Record<string, Further>> = {
  'bad-httu-dirty-made-clean.jsonl':            { ...stale('I3', /^store \[0x103020\] 0x8000001000f43 -> 0x8000001000fc3$/, /^CMD_TLBI_NH_VA VMID=0 ASID=5 Address=0x4000 Leaf=1; CMD_SYNC$/), twin: false },
  'bad-httu-stage-2-other-page-flushed.jsonl':  { ...stale('I3', /^store \[0x203020\] 0x80000010007ff -> 0x800000100077f$/, /^CMD_TLBI_S2_IPA VMID=3 Address=0x4000/), nearest: /^range 0x5000-0x5fff does not hold 0x4000$/, twin: false },
  'bad-cd-tlb-flushed-before-cfgi.jsonl':       { ...stale('I3', /^store \[0x20000\] 0x5e205c0000010 -> 0x5e20540000010$/, /^CMD_TLBI_NH_ASID VMID=0 ASID=5; CMD_SYNC$/), first: ['used-stale'] },
  'bad-nested-asid-of-other-tables.jsonl':      stale('I3', /^store \[0x2001008\] 0x2000 -> 0x6000$/, /^CMD_TLBI_NH_ASID VMID=3 ASID=5; CMD_SYNC$/),
  'bad-global-leaf-of-one-asid.jsonl':          stale('I4', /^store \[0x103030\] 0x0 -> 0x1000743$/, /^nG=1 in the leaf/),
  'bad-cd-records-on-without-cfgi.jsonl':       { ...stale('I8', /^store \[0x20000\] 0x5c205c0000010 -> 0x5e205c0000010$/, /^CMD_CFGI_CD StreamID=8 SubstreamID=0 Leaf=1/), twin: false },
  'bad-mair-changed-without-tlbi.jsonl':        { ...stale('I3', /^store \[0x20018\] 0xff -> 0x44$/, /^CMD_TLBI_NH_ASID VMID=0 ASID=5; CMD_SYNC$/), twin: false },
  'bad-cd-in-two-stores-without-cfgi.jsonl':    stale('I8', /^store \[0x20000\] 0x5e205c0000010 -> 0x5e20540000010$/, /^CMD_CFGI_CD StreamID=8/),
  'bad-ste-made-valid-without-cfgi.jsonl':      stale('I8', /^store \[0x10200\] 0x2000a -> 0x2000b$/, /^CMD_CFGI_STE StreamID=8 Leaf=1; CMD_SYNC$/),
  'bad-range-of-another-granule.jsonl':         { ...stale('I3', /^store \[0x120008\] 0x1010f43 -> 0x0$/, /Address=0x10000 Leaf=1/), nearest: /^TG differs: 2\^12 bytes, owed for 2\^16$/ },
  'bad-asid-back-in-use-dirty.jsonl':           { ...stale('I3', /^store \[0x103020\] 0x1000f43 -> 0x0$/, /ASID=5 Address=0x4000/), nearest: /^ASID differs: 0x6, owed for 0x5$/ },
  'bad-el2-page-flushed-for-el1.jsonl':         { ...stale('I3', /^store \[0x103020\] 0x1000f43 -> 0x0$/, /^CMD_TLBI_EL2_VA Address=0x4000 Leaf=1/), nearest: /^regime differs$/ },
  'bad-vmid-outside-the-wildcard.jsonl':        { ...stale('I3', /^store \[0x103020\] 0x1000f43 -> 0x0$/, /VMID=0x17 ASID=5/), nearest: /^VMID differs: 0x4, owed for 0x17$/ },
  'bad-vm-cfgi-cd-swallowed.jsonl':             { ...stale('I8', /^CMD_CFGI_CD SubstreamID=1 StreamID=0x10 Leaf=1 of vm0.smmu consumed, and nothing/, /^CMD_CFGI_CD StreamID=8 SubstreamID=1/), nearest: /^done for vm0.smmu alone$/ },
  'bad-vm-atc-inv-swallowed.jsonl':             { ...stale('I9', /^CMD_TLBI_NH_VA .* of vm0.smmu consumed, and nothing/, /CMD_ATC_INV StreamID=8 .*Address=0xffffc000; CMD_SYNC$/), twin: false, elsewhere: true },
  'bad-vm-emulated-unmap-without-tlbi.jsonl':   { ...stale('I3', /^store \[0x43df6fe0\] 0x41000f47 -> 0x0$/, /^CMD_TLBI_NH_VA VMID=0 ASID=1 Address=0xffffc000/), first: ['could-be-used'], twin: false, elsewhere: true },
  'bad-vm-guest-sends-no-tlbi.jsonl':           { ...stale('I3', /^store \[0x[0-9a-f]+\] 0x41000f47 -> 0x0$/, /^CMD_TLBI_NH_VA VMID=1 ASID=1 Address=0xffffc000/), first: ['could-be-used'] },
  'bad-unmap-raced-and-not-flushed.jsonl':      { ...stale('I3', /^store \[0x[0-9a-f]+\] 0x41000f47 -> 0x0$/, /^CMD_TLBI_EL2_VA ASID=1 Address=0xffffc000/), last: ['could-be-used'] },
  'bad-vm-vste-changed-without-cfgi.jsonl':     { ...stale('I8', /^store \[0x40100400\] 0x4030000b -> 0x1$/, /^CMD_CFGI_STE StreamID=0x10 Leaf=1; CMD_SYNC$/), twin: false, elsewhere: true },
  'bad-cd-wxn-set-without-tlbi.jsonl':          stale('I3', /^store \[0x20000\] 0x56205c0000010 -> 0x56215c0000010$/, /^CMD_TLBI_NH_ASID VMID=0 ASID=5; CMD_SYNC$/),
  'bad-s2ps-lowered-without-tlbi.jsonl':        stale('I3', /^store \[0x10210\] 0x40d005800000003 -> 0x408005800000003$/, /^CMD_TLBI_S12_VMALL VMID=3; CMD_SYNC$/),
  'bad-ste-shareability-changed-without-cfgi.jsonl': { ...stale('I8', /^store \[0x10208\] 0x300000000000 -> 0x200000000000$/, /^CMD_CFGI_STE StreamID=8 Leaf=1; CMD_SYNC$/), twin: false },
  'bad-s2r-set-without-cfgi.jsonl':             { ...stale('I8', /^store \[0x10210\] 0xd005800000003 -> 0x40d005800000003$/, /^CMD_CFGI_STE StreamID=8 Leaf=1; CMD_SYNC$/), twin: false },
  'bad-nested-mair-changed-without-tlbi.jsonl': { ...stale('I3', /^store \[0x20018\] 0xff -> 0x44$/, /^CMD_TLBI_NH_ASID VMID=3 ASID=5; CMD_SYNC$/), twin: false },
  'bad-split-ats-stage-2-not-flushed.jsonl':    stale('I3', /^store \[0x203000\] 0x10007ff -> 0x0$/, /^CMD_TLBI_S2_IPA VMID=3 Address=0x5000000 Leaf=1; CMD_SYNC$/),
  'bad-vm-cfgi-ste-swallowed.jsonl':            { ...stale('I8', /^CMD_CFGI_STE StreamID=0x10 Leaf=1 of vm0.smmu consumed, and nothing/, /^CMD_CFGI_STE StreamID=0x10 Leaf=1; CMD_SYNC$/), first: ['protocol'], twin: false, elsewhere: true },
  'bad-vm-tlbi-queued-then-swallowed.jsonl':    { ...stale('I3', /^CMD_TLBI_NH_VA ASID=5 Leaf=1 Address=0x4000 of vm0.smmu consumed, and nothing/, /^CMD_TLBI_NH_VA VMID=1 ASID=5 Address=0x4000/), twin: 'N1' },
  'bad-asid-not-compared.jsonl':                stale('I4', /^look-up of the TLB took an entry that is ASID 0x5, not 0x6$/, /^nothing: a look-up compares all of the tag/),
  'bad-vmid-not-compared.jsonl':                stale('I4', /^look-up of the TLB took an entry that is VMID 0x2, not 0x3$/, /^nothing: a look-up compares all of the tag/),
  'bad-iommufd-command-never-issued.jsonl':     stale('I3', /^CMD_TLBI_NH_VA VMID=1 ASID=5 Leaf=1 Address=0x4000 counted as handled by IOMMU_HWPT_INVALIDATE, never issued$/, /^CMD_TLBI_NH_VA VMID=1 ASID=5 Address=0x4000/),
  'bad-vm-host-ste-without-cfgi.jsonl':         stale('I8', /^store \[0x7fcf8200\] 0xd -> 0x1$/, /^CMD_CFGI_STE StreamID=8 Leaf=1; CMD_SYNC$/),
};
