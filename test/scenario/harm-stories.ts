/** What the stories of stale use and early release must be found to be: verdict, what is missing, and the blame. */

/** What a bad story must be found to be. */
export interface Wanted {
  /** Where it is not the rule of a stale translation. */
  readonly rule?: string;
  readonly verdict: string;
  /** What is told before it, of the same cause. */
  readonly first?: readonly string[];
  /** And after it. */
  readonly last?: readonly string[];
  /** How often it is found; once when absent. */
  readonly times?: number;
  readonly needed: RegExp;
  readonly blamed: RegExp;
  readonly nearest?: RegExp;
}

/** By file. */
export const harmStories: Readonly<Record<string, Wanted>> = {
  // The range is given back dirty, mapped anew before it is clean, and used.
  'bad-dma-iova-reused-before-flush.jsonl': {
    first: ['could-be-used', 'remade-dirty'],
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*ASID=1 Address=0xfffff000/,
    blamed: /0x[0-9a-f]+ff8/,
  },
  'bad-dma-queue-emptied-without-flush.jsonl': {
    first: ['could-be-used'],
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*ASID=1 Address=0xfffff000/,
    blamed: /0x[0-9a-f]+ff8/,
  },
  'bad-dma-lazy-fixed-iova-freed-early.jsonl': {
    rule: 'I2',
    verdict: 'could-be-used',
    needed: /^CMD_TLBI_EL2_VA ASID=1 Address=0x500000 Leaf=1/,
    blamed: /^store \[0x[0-9a-f]+\] 0x[0-9a-f]+f47 -> 0x0$/,
  },
  // The slot of a guest goes, and its devices still have it.
  'bad-vm-slot-kept-mapped.jsonl': {
    rule: 'I2',
    verdict: 'could-be-used',
    needed: /^take the descriptors away/,
    blamed: /^0x7fa00000\/2097152 bytes returned by vm0.vmm$/,
  },
  'bad-dma-unmap-without-tlbi.jsonl': {
    first: ['could-be-used'],
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*ASID=1 Address=0xfffff000/,
    blamed: /0x[0-9a-f]+ff8/,
  },
  // The guest has done its duty; the VMM consumed it.
  'bad-vm-invalidations-swallowed.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA VMID=1 ASID=1 Address=0xffffc000/,
    blamed: /^CMD_TLBI_NH_VA .*Address=0xffffc000 of vm0.smmu consumed, and nothing/,
    nearest: /^done for vm0.smmu alone$/,
  },
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
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA VMID=1 ASID=5 Address=0x4000 Leaf=1; CMD_SYNC$/,
    blamed: /^CMD_TLBI_NH_VA .*counted as handled by IOMMU_HWPT_INVALIDATE, never issued$/,
    nearest: /^counted as handled by IOMMU_HWPT_INVALIDATE, never issued$/,
  },
  'bad-unmap-broadcast-ignored.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*ASID=5 Address=0x4000/,
    blamed: /0x103020/,
  },
  // CONS has passed the guest's CMD_SYNC, and the command named a VMID of nobody.
  'bad-vm-software-queue-guest-tag.jsonl': {
    first: ['could-be-used'],
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA VMID=1 ASID=1 Address=0xfffff000 Leaf=1; CMD_SYNC$/,
    blamed: /0x43df6f47 -> 0x0/,
    nearest: /VMID differs: 0x0, owed for 0x1/,
  },
  'bad-vm-broadcast-forwarded.jsonl': {
    rule: 'I3',
    // The promise that was not kept, told where the first broadcast came to nothing.
    first: ['protocol', 'could-be-used'],
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA VMID=1 ASID=1 Address=0xfffff000 Leaf=1; CMD_SYNC$/,
    blamed: /-> 0x0/,
  },
  'bad-vm-slot-removed-s2-ipa-only.jsonl': {
    first: ['could-be-used'],
    verdict: 'used-stale',
    needed: /CMD_TLBI_NH_ALL VMID=1; CMD_SYNC$/,
    blamed: /-> 0x0/,
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
  // The retry is refused by the same entry: once for each time it is tried.
  'bad-b01-permission-raised.jsonl': {
    rule: 'I3',
    verdict: 'used-stale',
    times: 2,
    needed: /^CMD_TLBI_NH_VA .*ASID=5 Address=0x4000/,
    blamed: /\[0x103020\] 0x1000fc3 -> 0x1000f43/,
  },
  'bad-b02-shared-stage-2-without-flush.jsonl': {
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_S2_IPA VMID=3 Address=0x40000000 Leaf=1; CMD_SYNC$/,
    blamed: /\[0x203000\] 0x10007ff -> 0x0/,
  },
  // The driver did all it must: hardware is to blame.
  'bad-b03-leaf-invalidation-without-effect.jsonl': {
    rule: 'I1',
    verdict: 'used-stale',
    needed: /^nothing: /,
    blamed: /^CMD_TLBI_NH_VA ASID=5 Leaf=1 Address=0x4000 covers the entry/,
  },
  'bad-b07-level-hint-misses-the-block.jsonl': {
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*Address=0x40200000/,
    blamed: /\[0x101008\] 0x104003 -> 0x0/,
    nearest: /^TTL=3 leaves level 2 alone$/,
  },
  'bad-b08-crooked-range.jsonl': {
    rule: 'I1',
    verdict: 'used-stale',
    needed: /^nothing: /,
    blamed: /^CMD_TLBI_NH_VA NUM=3 /,
  },
  'bad-b09-group-cleared-range-as-asked.jsonl': {
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*Address=0x18000/,
    blamed: /\[0x1030c0\]/,
    nearest: /^range 0xf000-0x10fff does not hold 0x18000$/,
  },
  'bad-b11-every-asid-is-none.jsonl': {
    rule: 'I1',
    verdict: 'used-stale',
    needed: /^nothing: /,
    blamed: /^CMD_TLBI_NH_VAA /,
  },
  // The mapping of the virtual StreamID, not the guest, which did all it must.
  'bad-b12-first-of-two-streams.jsonl': {
    rule: 'I4',
    verdict: 'used-stale',
    needed: /^CMD_ATC_INV StreamID=0x101 .*Address=0x4000; CMD_SYNC$/,
    blamed: /^vDEVICE 0x8 of nic0 stands for StreamID 0x100 alone, not for 0x101$/,
    nearest: /^a command for 0x8, which was sent to the first stream of nic0 alone$/,
  },
  'bad-b12-cd-of-the-second-stream.jsonl': {
    rule: 'I4',
    verdict: 'used-stale',
    needed: /^CMD_CFGI_CD StreamID=9 SubstreamID=1 Leaf=1; CMD_SYNC$/,
    blamed: /^vDEVICE 0x10 of nic0 stands for StreamID 0x8 alone, not for 0x9$/,
    nearest: /^a command for 0x10, which was sent to the first stream of nic0 alone$/,
  },
  'bad-b13-device-number-cut-off.jsonl': {
    rule: 'I8',
    verdict: 'used-stale',
    needed: /^nothing: /,
    blamed: /^CMD_CFGI_STE StreamID=0x28 /,
  },
  // The walk that went on from the wrong table.
  'bad-b14-halves-alias-in-the-walk-cache.jsonl': {
    rule: 'I4',
    verdict: 'used-stale',
    needed: /^nothing: a look-up compares all of the tag, .* is for 0x40200000, not 0xffff000040200000$/,
    blamed: /^look-up of the walk cache took an entry that is for 0x40200000, not 0xffff000040200000$/,
  },
  // The free is to blame, whatever comes later.
  'bad-b21-table-page-freed-before-flush.jsonl': {
    rule: 'I2',
    verdict: 'could-be-used',
    needed: /^CMD_TLBI_EL2_VA ASID=2 Address=0x40000000 Leaf=0; CMD_SYNC$/,
    blamed: /4096 bytes returned by smmu0$/,
  },
  'bad-b22-table-page-recycled.jsonl': {
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*Leaf=0; CMD_SYNC$/,
    blamed: /\[0x102000\] 0x103003 -> 0x0/,
  },
  'bad-b23-all-streams-are-none.jsonl': {
    rule: 'I8',
    verdict: 'used-stale',
    needed: /^nothing: /,
    blamed: /^CMD_CFGI_STE_RANGE /,
  },
  'bad-b25-cfgi-stops-short-of-the-port.jsonl': {
    rule: 'I8',
    verdict: 'used-stale',
    needed: /^nothing: /,
    blamed: /^CMD_CFGI_STE StreamID=0x12 .* covers the entry and is complete, the entry stayed$/,
  },
  'bad-b26-one-stream-of-two.jsonl': {
    rule: 'I9',
    verdict: 'used-stale',
    needed: /^CMD_ATC_INV StreamID=8 /,
    blamed: /\[0x103020\] 0x1000f43 -> 0x0/,
    nearest: /^StreamID differs: 0x9, owed for 0x8$/,
  },
  // The endpoint's answer is to blame.
  'bad-b27-atc-reads-another-address.jsonl': {
    rule: 'I9',
    verdict: 'used-stale',
    needed: /^nothing: /,
    blamed: /^answered CMD_ATC_INV StreamID=8 Address=0x4000, which covers the entry, and kept it$/,
  },
  'bad-b28-atc-invalidated-in-reset.jsonl': {
    rule: 'I9',
    verdict: 'protocol',
    needed: /^before the reset: /,
    blamed: /^CMD_ATC_INV StreamID=8 Address=0x4000$/,
  },
  'bad-b29-refused-command-replaced.jsonl': {
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*Address=0x4000/,
    blamed: /\[0x103020\] 0x1000f43 -> 0x0/,
    nearest: /^refused with CERROR_ILL, it had no effect$/,
  },
  'bad-b44-range-of-2-to-32-pages.jsonl': {
    rule: 'I1',
    verdict: 'used-stale',
    needed: /^nothing: /,
    blamed: /^CMD_TLBI_NH_VA NUM=1 SCALE=0x1f /,
  },
  'bad-b49-by-asid-without-vmid.jsonl': {
    rule: 'I1',
    verdict: 'used-stale',
    needed: /^nothing: /,
    blamed: /^CMD_TLBI_NH_ASID VMID=2 ASID=5 covers the entry/,
  },
  'bad-memory-freed-atc-skipped.jsonl': {
    rule: 'I2',
    verdict: 'could-be-used',
    needed: /^CMD_ATC_INV StreamID=8 .*Address=0x40001000; CMD_SYNC$/,
    blamed: /returned by memory 2 of processes \(contiguous\)$/,
    nearest: /^no CMD_ATC_INV covers it$/,
  },
  'bad-b15-atc-invalidated-with-the-tlb.jsonl': {
    rule: 'I2',
    verdict: 'could-be-used',
    needed: /^CMD_ATC_INV StreamID=8 .*Address=0x40001000; CMD_SYNC$/,
    blamed: /^CMD_ATC_INV StreamID=8 .* came before the TLB was clean/,
    nearest: /^too early: before the CMD_SYNC of the TLB invalidation$/,
  },
  // The walk ends without reading a descriptor: the entry it began from is found all the same.
  'bad-table-moved-without-tlbi.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*Leaf=0; CMD_SYNC$/,
    blamed: /0x102000/,
  },
  // Hardware is clean; the VMM's own cache is not.
  'bad-b05-kept-doorbell.jsonl': {
    rule: 'I1',
    verdict: 'used-stale',
    needed: /^nothing: /,
    blamed: /^used a translation that it kept, past CMD_TLBI_NH_VA ASID=1 .*Address=0xffff0000 of its guest/,
  },
  'bad-b10-block-in-pieces.jsonl': {
    rule: 'I1',
    verdict: 'used-stale',
    needed: /^nothing: /,
    blamed: /^CMD_TLBI_NH_VA ASID=5 Leaf=1 Address=0x40000000 covers the entry/,
  },
  'bad-b32-early-exit-without-flush.jsonl': {
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_S2_IPA VMID=3 Address=0x40001000 Leaf=1; CMD_SYNC$/,
    blamed: /\[0x203008\] 0x10017ff -> 0x0/,
  },
  // No flush helps: the descriptor is valid, and a walk leads there.
  'bad-b42-last-page-stays-mapped.jsonl': {
    rule: 'I2',
    verdict: 'could-be-used',
    needed: /^take the descriptors away, invalidate and CMD_SYNC, and only then release$/,
    blamed: /returned by memory 2 of processes \(contiguous\)$/,
    nearest: /^it is still linked$/,
  },
  // Hardware may leave the entry: the driver said that its ASID is its own.
  'bad-broadcast-by-asid-aset-1.jsonl': {
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*ASID=5 Address=0x4000/,
    blamed: /\[0x103020\] 0x1000f43 -> 0x0/,
    nearest: /^CD.ASET=1: a broadcast by ASID leaves it alone$/,
  },
  // No descriptor changed: the entry is older than no change, and wrong for the other stream all the same.
  'bad-one-asid-for-two-tables.jsonl': {
    first: ['could-be-used'],
    rule: 'I4',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_ASID VMID=0 ASID=5; CMD_SYNC$/,
    blamed: /^smmu0.CR0 0xc -> 0xd$/,
  },
  'bad-queued-while-cmdqen-0.jsonl': {
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*ASID=5 Address=0x4000/,
    blamed: /\[0x103020\] 0x1000f43 -> 0x0/,
  },
  'bad-remapped-while-off.jsonl': {
    first: ['remade-dirty'],
    rule: 'I3',
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*ASID=5 Address=0x4000/,
    blamed: /\[0x103020\] 0x1000f43 -> 0x0/,
  },
  'bad-stream-table-moved-without-cfgi.jsonl': {
    rule: 'I8',
    verdict: 'used-stale',
    needed: /^CMD_CFGI_STE StreamID=8 Leaf=1; CMD_SYNC$/,
    blamed: /^smmu0.STRTAB_BASE 0x10000 -> 0x60000$/,
  },
};
