/** What the stories of broken protocol must be found to be: rule, verdict, and who is blamed for what. */

interface Wanted {
  readonly rule: string;
  readonly verdict: 'protocol' | 'excess' | 'could-be-used' | 'remade-dirty';
  readonly needed: RegExp;
  readonly blamed: RegExp;
  /** What is told after it, of the same cause. */
  readonly last?: readonly string[];
}

const protocol = (rule: string, blamed: RegExp, needed: RegExp): Wanted => ({
  rule,
  verdict: 'protocol',
  needed,
  blamed,
});

// biome-ignore format: a table
export const protocolStories: Readonly<Record<string, Wanted>> = {
  'bad-b01-retry-without-change.jsonl':           protocol('I11', /CMD_RESUME StreamID=0x8 STAG=0 Ac=1/, /a valid descriptor/),
  'bad-b04-cfgi-of-all-streams-ignored.jsonl':   { ...protocol('I8', /CMD_CFGI_STE_RANGE consumed without a look at the STE of StreamID 0x10/, /read and installed before/), last: ['used-stale'] },
  'bad-b06-end-taken-as-last-byte.jsonl':         { ...protocol('I12', /CMD_TLBI_NH_VA/, /CMD_TLBI_NH_VA once/), verdict: 'excess' },
  'bad-b15-atc-before-tlb.jsonl':                 protocol('I5', /CMD_ATC_INV before CMD_TLBI_NH_VA/, /^CMD_TLBI_NH_VA; CMD_SYNC; CMD_ATC_INV; CMD_SYNC$/),
  'bad-b15-atc-in-the-batch.jsonl':               protocol('I5', /CMD_ATC_INV with no CMD_SYNC after CMD_TLBI_NH_VA/, /^CMD_TLBI_NH_VA; CMD_SYNC; CMD_ATC_INV/),
  'bad-b16-ste-before-cd.jsonl':                  protocol('I5', /\[0x10200\] 0x0 -> 0x2000b/, /the CD in memory first/),
  'bad-b17-gap-not-needed.jsonl':                 protocol('I8', /\[0x10200\] 0x2000b -> 0x0/, /one doubleword that differs/),
  'bad-b18-mixed-run.jsonl':                      protocol('I10', /CMD_CFGI_CD after CMD_TLBI_NH_VA/, /CMD_SYNC at the end of each run/),
  'bad-b19-prod-before-commands.jsonl':           protocol('I5', /CMDQ_PROD passed slot 0x0, where zeros stood/, /command in memory first/),
  // What was given back before the CMD_SYNC says more than that nobody waited.
  'bad-b20-unmap-returns-before-sync.jsonl':      { ...protocol('I2', /0x7fcfcf47 -> 0x0/, /CMD_TLBI_EL2_VA .*; CMD_SYNC$/), verdict: 'could-be-used' },
  'bad-b24-second-fault-not-recorded.jsonl':      protocol('I11', /no record, expected F_TRANSLATION/, /F_TRANSLATION with the fields/),
  'bad-b28-atc-inv-not-answered.jsonl':           protocol('I6', /CMD_ATC_INV .* timed out at nic0/, /a reset of nic0 or ATS off/),
  'bad-b29-range-refused-replaced-by-sync.jsonl': protocol('I6', /CMD_SYNC in the slot of the refused CMD_TLBI_NH_VA/, /CMD_TLBI_NH_VA again in a legal form/),
  'bad-b31-stage-2-fault-without-ipa.jsonl':      protocol('I11', /CLASS CD, expected IN; IPA 0x0, expected 0x41234000/, /F_TRANSLATION/),
  'bad-b33-no-interrupt.jsonl':                   protocol('I7', /EVENTQ_PROD moved from empty/, /edge from empty to non-empty/),
  'bad-b33-record-without-type.jsonl':            protocol('I11', /EventID 0x0, expected 0x10/, /F_TRANSLATION whole/),
  'bad-b34-idle-with-a-record.jsonl':             protocol('I7', /EVENTQ_CONS = 0x1, and no look at EVENTQ_PROD/, /loaded again after draining/),
  'bad-b35-slot-before-prod.jsonl':               protocol('I7', /loaded \[0x40020\] before its record was there/, /EVENTQ_PROD loaded first/),
  'bad-b36-full-taken-for-empty.jsonl':           protocol('I7', /CMDQ_PROD 0x4, CMDQ_CONS 0x0: not empty/, /indices and wrap bits/),
  'bad-b37-broadcast-not-heard.jsonl':            protocol('I10', /TLBI VAE1 broadcast .*0x103020/, /the CMD_TLBI_/),
  'bad-b38-waits-for-an-event.jsonl':             protocol('I10', /CMDQ_CONS 0x0 -> 0x1: room/, /CMDQ_CONS polled/),
  'bad-b39-s1stalld-without-stalls.jsonl':        protocol('I10', /\[0x10200\] can be read now/, /IDR0.STALL_MODEL read/),
  'bad-b48-command-per-page.jsonl':               { ...protocol('I12', /each of 512 pages/, /one command for the whole ASID/), verdict: 'excess' },
  'bad-i5-cd-torn.jsonl':                         protocol('I5', /\[0x20008\] 0x100000 -> 0x110000/, /CMD_CFGI_CD/),
  'bad-i5-ste-torn.jsonl':                        protocol('I5', /\[0x10200\] 0x2000b -> 0x2100b/, /CMD_CFGI_STE/),
  'bad-i5-valid-before-the-rest.jsonl':           protocol('I5', /\[0x10200\] 0x0 -> 0x2000b/, /CMD_CFGI_STE/),
  'bad-b40-queue-of-a-guest-takes-all.jsonl':    protocol('I10', /CMD_CFGI_STE: a queue of a guest does not take CMD_CFGI_STE, CERROR_ILL/, /the main Command queue/),
  'bad-b41-lower-address-walks-ttb1.jsonl':       protocol('I11', /a walk for 0x1000 read \[0x120000\] of TTB1: EPD0=1/, /F_TRANSLATION, and no walk/),
  'bad-b41-upper-address-faults.jsonl':           protocol('I11', /F_TRANSLATION for 0xffff000000001000, and no walk: TTB1/, /a walk from TTB1: \[0x120000\] first/),
  // The caller did not come to its flush: what it had cleared is still in the TLB.
  'bad-b43-errno-taken-for-a-size.jsonl':         { ...protocol('I3', /answered 0xfffffffffffffffe for 0x2000 bytes at 0x10001000/, /^0 where nothing is mapped: the caller stops/), last: ['used-stale'] },
  'bad-b45-mapping-made-meanwhile-removed.jsonl': protocol('I3', /IOMMU_IOAS_UNMAP removed \[0x100000, 0x1fffff\], where it had passed/, /goes on behind 0x2fffff: what was mapped there since stays/),
  'bad-b46-smmu-off-under-dma.jsonl':              protocol('I8', /CR0.SMMUEN 1 -> 0/, /GBPA.ABORT=1 before SMMUEN=0/),
  'bad-b47-time-out-of-another.jsonl':            protocol('I6', /VCMDQ2 enabled for another owner/, /a CMD_SYNC behind what the last owner left in VCMDQ2/),
  'bad-i6-command-skipped.jsonl':                 protocol('I6', /CMDQEN=0 with CMD_TLBI_NH_VA of slot 0x0/, /CMD_TLBI_NH_VA again/),
  'bad-i6-error-not-mended.jsonl':                protocol('I6', /with the refused UNKNOWN still in its slot/, /a legal command in the slot/),
  'bad-i7-base-misaligned.jsonl':                 protocol('I7', /ADDR 0x30100: hardware uses 0x30000/, /multiple of 0x1000 bytes/),
  'bad-i7-error-not-acknowledged.jsonl':          protocol('I7', /CMDQ_PROD = 0x4 while the queue stands still/, /GERRORN made equal to GERROR/),
  'bad-i7-overflow-not-acknowledged.jsonl':       protocol('I7', /EVENTQ_CONS = 0x2: OVACKFLG/, /OVACKFLG made equal/),
  'bad-i7-prod-beyond-full.jsonl':                protocol('I7', /CMDQ_PROD = 0x7/, /no further apart than the queue is long/),
  'bad-i7-prod-moved-back.jsonl':                 protocol('I7', /CMDQ_PROD = 0x1/, /moved forward only/),
  'bad-i7-slot-altered.jsonl':                    protocol('I7', /stored CMD_TLBI_NH_VA over another CMD_TLBI_NH_VA/, /left alone until CMDQ_CONS has passed/),
  'bad-i10-asid-of-9-bits.jsonl':                 protocol('I10', /ASID 0x105 has more than 8 bits/, /IDR0.ASID16/),
  'bad-i10-atc-inv-without-ats.jsonl':            protocol('I10', /IDR0.ATS=0, CERROR_ILL/, /IDR0.ATS read/),
  'bad-i10-cd-stalls-absent.jsonl':               protocol('I10', /\[0x20000\] can be read now/, /IDR0.STALL_MODEL read/),
  'bad-i10-queue-too-large.jsonl':                protocol('I10', /LOG2SIZE 10: hardware wraps at 8/, /IDR1.CMDQS read/),
  'bad-i10-range-without-ril.jsonl':              protocol('I10', /TG=4KB SCALE=0 NUM=3/, /one command for each page/),
  'bad-i10-two-level-absent.jsonl':               protocol('I10', /STRTAB_BASE_CFG = 0x10186: FMT stays 0/, /IDR0.ST_LEVEL read/),
  'bad-i11-page-request-answered-twice.jsonl':    protocol('I11', /StreamID 0x8, group 1/, /one CMD_PRI_RESP for each group/),
  'bad-i11-page-request-not-answered.jsonl':      protocol('I11', /freed the last entry of group 1/, /CMD_PRI_RESP StreamID=0x8 PRGIndex=1/),
  'bad-i11-resume-of-another-stream.jsonl':       protocol('I11', /StreamID 0x9 has STAG 0/, /CMD_RESUME once for each stall/),
  'bad-i11-stall-answered-twice.jsonl':           protocol('I11', /StreamID 0x8 has STAG 0/, /CMD_RESUME once for each stall/),
  'bad-i11-stall-never-answered.jsonl':           protocol('I11', /freed the record of the stall/, /CMD_RESUME StreamID=0x8 STAG=0/),
  'bad-i11-success-without-page.jsonl':           protocol('I11', /Resp=SUCCESS, and 0x4000/, /the page mapped before/),
  'bad-i12-same-command-again.jsonl':             { ...protocol('I12', /CMD_TLBI_NH_VA/, /CMD_TLBI_NH_VA once/), verdict: 'excess' },
  'bad-block-joined-elsewhere.jsonl':            { ...protocol('I3', /^store \[0x102008\] 0x105003 -> 0x2200f41$/, /^CMD_TLBI_NH_VA VMID=0 ASID=5 Address=0x200000 Leaf=0/), verdict: 'remade-dirty' },
  'bad-vm-prod-beyond-full.jsonl':               protocol('I7', /^CMDQ_PROD = 0x17$/, /no further apart than the queue is long/),
  'bad-vm-prod-before-command.jsonl':            protocol('I5', /^CMDQ_PROD passed slot 0x6, where zeros stood$/, /the command in memory first/),
  'bad-vm-ste-torn.jsonl':                       protocol('I5', /^store \[0x40100408\] 0x100000000000 -> 0x100000000004$/, /one store of 64 bits/),
  'bad-vm-range-without-ril.jsonl':              protocol('I10', /^CMD_TLBI_NH_VA with TG=4KB SCALE=0 NUM=1: one page of 4 KiB$/, /one command for each page/),
  'bad-vm-same-invalidation-again.jsonl':        { ...protocol('I12', /^CMD_TLBI_NH_VA$/, /CMD_TLBI_NH_VA once/), verdict: 'excess' },
  'bad-strtab-moved-while-on.jsonl':             protocol('I7', /^STRTAB_BASE = 0x50000 was ignored: guarded by SMMUEN$/, /^SMMUEN=0 in CR0/),
  'bad-ste-two-bases-in-turn.jsonl':             protocol('I5', /^store \[0x10200\] 0x2000b -> 0x2400b$/, /one store of 64 bits/),
};
