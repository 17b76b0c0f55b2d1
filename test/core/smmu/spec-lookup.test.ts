/**
 * Configuration: the STE, the CD and what refuses them first (5.1 to 5.5, 7.3.22), as plain scenarios.
 * Written from IHI 0070 G.b without a look at the model, each case under its section; `spec-world.ts` says how
 * the steps read.
 */
import { describe, expect, it } from 'vitest';
import { specCases } from '../../support/spec-cases.ts';
import { wrongAnswers } from '../../support/spec-world.ts';

describe('an STE and a CD', () => {
  it.each(
    specCases(`
  # 5.2 Config=0 aborts, with no record
    ste ABORT ; r 0x1000 -> abort ; w 0x1000 -> abort

  # 5.2 Config=2 acts as 0
    ste ABORT Config=2 ; r 0x1000 -> abort

  # 5.2 Config=1 acts as 0, with a SubstreamID too
    ste ABORT Config=1 ; r 0x1000 ss=1 -> abort

  # 5.2 V=0
    ste ABORT V=0 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 bypass
    ste BYPASS ; r 0x1234 -> ok 0x1234 ; w 0x800000000abc -> ok 0x800000000abc

  # 7.3.9 bypass takes no SubstreamID
    ste BYPASS ; r 0x1234 ss=0 -> abort C_BAD_SUBSTREAMID

  # 3.4 bypass beyond OAS
    ste BYPASS ; r 0x1000000000000 -> abort F_ADDR_SIZE/r s1.IN
    w 0x8000000000000000 -> abort F_ADDR_SIZE/w s1.IN

  # 3.4 s2 beyond IAS is stage 1
    ste S2 ; r 0x1000000000000 -> abort F_ADDR_SIZE/r s1.IN

  # 3.4 s2 beyond T0SZ
    ste S2 ; r 0x8000000000 -> abort F_TRANSLATION/r s2.IN ipa=0x8000000000

  # 7.3.9 stage 2 alone takes no SubstreamID
    ste S2 ; r 0x1000 ss=5 -> abort C_BAD_SUBSTREAMID

  # 7.3.9 s2 ssid and beyond: cfg first
    ste S2 ; r 0x1000000000000 ss=5 -> abort C_BAD_SUBSTREAMID

  # 5.2 s2 S2R=0 s2 fault unrecorded
    ste S2 S2R=0 ; r 0x8000000000 -> abort

  # 5.2 s2 S2R=0, s1 addr size recorded
    ste S2 S2R=0 ; r 0x1000000000000 -> abort F_ADDR_SIZE/r s1.IN

  # 7.3.9 substreams disabled ssid
    r 0x1000 ss=0 -> abort C_BAD_SUBSTREAMID

  # 7.3.9 SSIDSIZE=0 ssid
    idr SSIDSIZE=0 ; ste S1 S1CDMax=4 ; r 0x1000 ss=1 -> abort C_BAD_SUBSTREAMID

  # 5.2 SSIDSIZE=0 S1CDMax, S1DSS ignored
    idr SSIDSIZE=0 ; ste S1 S1CDMax=4 S1DSS=0 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000

  # 5.2 S1DSS=0 terminates
    ste S1 S1CDMax=4 S1DSS=0 ; r 0x1000 -> abort F_STREAM_DISABLED

  # 5.2 S1DSS=3 acts as 0
    ste S1 S1CDMax=4 S1DSS=3 ; r 0x1000 -> abort F_STREAM_DISABLED

  # 5.2 S1DSS=1 bypasses; beyond IAS is a fault of stage 1
    ste S1 S1CDMax=4 S1DSS=1 ; r 0x1000 -> ok 0x1000 ; r 0x1000000000000 -> abort F_ADDR_SIZE/r s1.IN

  # 5.2 S1DSS=1 reads no CD
    ste S1 S1CDMax=4 S1DSS=1 ; q 0x20000 0 ; r 0x1000 -> ok 0x1000

  # 5.2 S1DSS=1 of a nested stream goes through stage 2
    ste NEST S1CDMax=4 S1DSS=1 ; s2 0x40000000 0x80000000 L1 ; s1 0x1000 0x5000
    r 0x40000010 -> ok 0x80000010 ; r 0x8000000000 -> abort F_TRANSLATION/r s2.IN ipa=0x8000000000
    r 0x1000000000000 -> abort F_ADDR_SIZE/r s1.IN ; w 0x1000 -> ok 0x1000

  # 5.2 S1DSS=2: CD 0 without a SubstreamID, and none with 0
    ste S1 S1CDMax=4 S1DSS=2 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000
    r 0x1000 ss=0 -> abort F_STREAM_DISABLED

  # 5.2 S1DSS=0 and SubstreamID 0
    ste S1 S1CDMax=4 S1DSS=0 ; s1 0x1000 0x5000 ; r 0x1000 ss=0 -> ok 0x5000

  # 5.2 S1DSS=1 and SubstreamID 0
    ste S1 S1CDMax=4 S1DSS=1 ; s1 0x1000 0x5000 ; r 0x1000 ss=0 -> ok 0x5000

  # 7.3.9 SubstreamID beyond S1CDMax
    ste S1 S1CDMax=4 ; r 0x1000 ss=16 -> abort C_BAD_SUBSTREAMID

  # 5.2 the last SubstreamID
    ste S1 S1CDMax=4 ; cd@0x203c0 ; s1 0x1000 0x5000 ; r 0x1000 ss=15 -> ok 0x5000

  # 5.2 cdmax > ssidsize
    idr SSIDSIZE=4 ; ste S1 S1CDMax=5 ; r 0x1000 ss=1 -> abort C_BAD_STE

  # 5.2 cdmax fmt reserved is linear
    ste S1 S1CDMax=4 S1Fmt=3 ; cd@0x20040 ; s1 0x1000 0x5000 ; r 0x1000 ss=1 -> ok 0x5000

  # 5.2 2lvl 4K invalid l1cd
    ste S1 S1CDMax=8 S1Fmt=1 S1DSS=2 ; q 0x20000 0x60001 0 ; r 0x1000 ss=64 -> abort C_BAD_SUBSTREAMID
    r 0x1000 ss=1 -> abort C_BAD_CD ; r 0x1000 ss=0 -> abort F_STREAM_DISABLED

  # 5.2 2lvl 4K via dss0 invalid l1cd
    ste S1 S1CDMax=8 S1Fmt=1 S1DSS=2 ; q 0x20000 0x60000 0 ; r 0x1000 -> abort C_BAD_SUBSTREAMID

  # 5.2 2lvl 4K hit
    ste S1 S1CDMax=8 S1Fmt=1 ; q 0x20000 0x60001 0x61001 ; cd@0x61040 ; s1 0x1000 0x5000
    r 0x1000 ss=65 -> ok 0x5000

  # 5.2 2lvl 64K hit
    ste S1 S1CDMax=12 S1Fmt=2 ; q 0x20000 0x60001 0x70001 ; cd@0x70040 ; s1 0x1000 0x5000
    r 0x1000 ss=1025 -> ok 0x5000

  # 5.2 2lvl ignored when CDMax=0
    ste S1 S1CDMax=0 S1Fmt=1 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000

  # 5.2 2lvl, l2ptr beyond OAS
    ste S1 S1CDMax=8 S1Fmt=1 S1DSS=2 ; q 0x20000 0x1000000060001 ; r 0x1000 ss=1 -> abort C_BAD_SUBSTREAMID
    r 0x1000 -> abort C_BAD_SUBSTREAMID

  # 5.2 CD2L=0 illegal
    idr CD2L=0 ; ste S1 S1CDMax=8 S1Fmt=1 ; r 0x1000 ss=1 -> abort C_BAD_STE

  # 5.2 CD2L=0 fmt3 ok
    idr CD2L=0 ; ste S1 S1CDMax=8 S1Fmt=3 ; cd@0x20040 ; s1 0x1000 0x5000 ; r 0x1000 ss=1 -> ok 0x5000

  # 3.4 s1ctxptr beyond oas
    ste S1 S1ContextPtr=0x1000000020000 ; r 0x1000 -> abort C_BAD_STE

  # 3.4 s1ctxptr no ram
    ste S1 S1ContextPtr=0x200000000 ; r 0x1000 -> abort F_CD_FETCH @0x200000000

  # 3.4 s1ctxptr no ram, l1cd
    ste S1 S1ContextPtr=0x200000000 S1CDMax=8 S1Fmt=1 ; r 0x1000 ss=65 -> abort F_CD_FETCH @0x200000008

  # 7.3.10 cd v0
    cd V=0 ; r 0x1000 -> abort C_BAD_CD

  # 7.3.10 cd v0 before range
    cd V=0 ; r 0x1000000000000 -> abort C_BAD_CD

  # 7.3.22 nested: cd fetch translation
    ste NEST ; s2at 0x0 L1 0 ; r 0x1000 -> abort F_TRANSLATION/r s2.CD ipa=0x20000

  # 7.3.22 nested: cd fetch, write access
    ste NEST S1CDMax=4 ; s2at 0x0 L1 0 ; w 0x1000 ss=5 p -> abort F_TRANSLATION/wp s2.CD ipa=0x20000

  # 7.3.22 nested: cd fetch perm
    ste NEST ; s2 0 0 L1 AF,S2,MAF ; r 0x1000 -> abort F_PERMISSION/r s2.CD ipa=0x20000

  # 7.3.22 nested: cd fetch access flag
    ste NEST ; s2 0 0 L1 S3,MAF ; r 0x1000 -> abort F_ACCESS/r s2.CD ipa=0x20000

  # 7.3.22 nested: cd fetch device S2PTW
    ste NEST S2PTW=1 ; s2 0 0 L1 AF,S3,MA1 ; r 0x1000 -> abort F_PERMISSION/r s2.CD ipa=0x20000

  # 7.3.22 nested: cd fetch device no PTW
    ste NEST S2PTW=0 ; s2 0 0 L1 AF,S3,MA1 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000

  # 7.3.22 nested: cd to abort
    ste NEST S1ContextPtr=0x40000000 ; s2 0x40000000 0x200000000 L1 ; r 0x1000 -> abort F_CD_FETCH @0x200000000

  # 7.3.22 nested: cd ipa beyond s2
    ste NEST S1ContextPtr=0x8000000000 ; r 0x1000 -> abort F_TRANSLATION/r s2.CD ipa=0x8000000000

  # 7.3.22 nested: cd walk eabt
    ste NEST ; s2at 0 L1 0x200000003 ; r 0x1000 -> abort F_WALK_EABT/r s2.CD @0x200000000

  # 7.3.22 nested: cd S2 addr size
    ste NEST S2PS=0 ; s2 0 0x100000000 L1 ; r 0x1000 -> abort F_ADDR_SIZE/r s2.CD ipa=0x20000

  # 7.3.22 nested: s1 tt s2 translation
    ste NEST ; s1 0x1000 0x5000 ; s2at 0x0 L1 0x900003 ; s2 0x20000 0x20000
    r 0x1000 -> abort F_TRANSLATION/r s2.TT ipa=0x100000
  `),
  )('$title', (each) => expect(wrongAnswers(each)).toEqual([]));
});

describe('a stream table', () => {
  it.each(
    specCases(`
  # 7.3.3 C_BAD_STREAMID RECINVSID
    cr2 RECINVSID=1 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 3 ; reg CR0 0xd ; r 0x1000 -> abort C_BAD_STREAMID
    records -> none

  # 7.3.3 no RECINVSID
    cr2 RECINVSID=0 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 3 ; reg CR0 0xd ; r 0x1000 -> abort

  # 7.3.3 2-level: span 0
    cr2 RECINVSID=1 ; q 0x10000 0x90000 0x90000 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x10188 ; reg CR0 0xd
    r 0x1000 -> abort C_BAD_STREAMID

  # 7.3.3 2-level: span = SPLIT+2 too big
    cr2 RECINVSID=1 ; q 0x10000 0x90008 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x10188 ; reg CR0 0xd
    r 0x1000 -> abort C_BAD_STREAMID

  # 7.3.3 2-level: span 4 has 8 entries: 8 out
    cr2 RECINVSID=1 ; q 0x10000 0x90004 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x10188 ; reg CR0 0xd
    r 0x1000 -> abort C_BAD_STREAMID

  # 7.3.3 2-level: span 5 has 16 entries
    cr2 RECINVSID=1 ; q 0x10000 0x90005 ; q 0x90200 9 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x10188
    reg CR0 0xd ; r 0x1234 -> ok 0x1234

  # 7.3.4 2-level: ste fetch
    cr2 RECINVSID=1 ; q 0x10000 0x200000005 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x10188 ; reg CR0 0xd
    r 0x1234 -> abort F_STE_FETCH @0x200000200

  # 7.3.4 2-level: l1 fetch
    reg CR0 0xc ; reg STRTAB_BASE 0x200000000 ; reg STRTAB_BASE_CFG 0x10188 ; reg CR0 0xd
    r 0x1234 -> abort F_STE_FETCH @0x200000000

  # 7.3.4 linear ste fetch
    reg CR0 0xc ; reg STRTAB_BASE 0x200000000 ; reg CR0 0xd ; r 0x1234 -> abort F_STE_FETCH @0x200000200
  `),
  )('$title', (each) => expect(wrongAnswers(each)).toEqual([]));
});

describe('what is left of look-ups and walks', () => {
  it.each(
    specCases(`
  # 4.4.1.1 SCALE bit 5 is RES0 without DS
    cmd CMD_TLBI_NH_VA TG=1 SCALE=32 -> CERROR 1

  # 4.4.1.1 SCALE bit 5 w/o DS acts on one page
    s1 0x1000 0x5000 ; s1 0x2000 0x6000 ; r 0x1000 -> ok 0x5000 ; r 0x2000 -> ok 0x6000 ; s1 0x1000 0x15000
    s1 0x2000 0x16000 ; cmd CMD_TLBI_NH_VA ASID=5 Address=0x1000 TG=1 SCALE=32 TTL=3 Leaf=1
    r 0x1000 -> ok 0x15000 ; r 0x2000 -> ok 0x6000

  # 4.4.1.1 SCALE 39 all
    idr DS=1 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    cmd CMD_TLBI_NH_VA ASID=5 Address=0 TG=1 SCALE=63 Leaf=1 ; r 0x1000 -> ok 0x6000

  # 4.4.1.1 S2 range
    ste S2 ; s2 0x40000000 0x50000000 L2 ; s2 0x40200000 0x50200000 L2 ; r 0x40000000 -> ok 0x50000000
    r 0x40200000 -> ok 0x50200000 ; s2 0x40000000 0x60000000 L2 ; s2 0x40200000 0x60200000 L2
    cmd CMD_TLBI_S2_IPA VMID=3 Address=0x40000000 TG=1 TTL=2 NUM=0 SCALE=9 Leaf=1
    r 0x40000000 -> ok 0x60000000 ; r 0x40200000 -> ok 0x50200000

  # 13.4 WXN and APTable
    cd WXN=1 ; s1 0x1000 0x5000 AF,AP1 ; s1t 0x1000 L0 APT2 ; x 0x1000 -> ok 0x5000 ; x 0x1000 p -> ok 0x5000

  # 13.4 no EL0 by APTable: PXN not implied
    s1 0x1000 0x5000 AF,AP1 ; s1t 0x1000 L0 APT1 ; x 0x1000 p -> ok 0x5000 ; w 0x1000 p -> ok 0x5000
    w 0x1000 -> abort F_PERMISSION/w s1.IN

  # 13.4 WXN HD APTable
    cd WXN=1 HA=1 HD=1 ; s1 0x1000 0x5000 AF,AP3,DBM ; s1t 0x1000 L0 APT2 ; x 0x1000 -> ok 0x5000
    x 0x1000 p -> ok 0x5000

  # 13.4 HD user w to priv RO clean
    cd HA=1 HD=1 ; s1 0x1000 0x5000 AF,AP2,DBM ; w 0x1000 -> abort F_PERMISSION/w s1.IN
    s1? 0x1000 -> 0x8000000005483

  # 4.4.1.1 S2 range for s1 out
    ste NEST ; s1 0x1000 0x8000005000 ; r 0x1000 -> abort F_TRANSLATION/r s2.IN ipa=0x8000005000

  # 4.4.1.1 S2 range for s1 table
    ste NEST ; s1at 0x1000 L0 0x8000000003 ; r 0x1000 -> abort F_TRANSLATION/r s2.TT ipa=0x8000000000

  # 3.4 S2 addr size at table
    ste S2 S2PS=0 ; s2at 0x40000000 L1 0x100000003 ; r 0x40001000 -> abort F_ADDR_SIZE/r s2.IN ipa=0x40001000

  # 3.4 S2PS beyond OAS capped
    ste S2 S2PS=7 ; r 0x1000 -> ok 0x1000

  # 4.4.1.1 broadcast RVAE1
    cr2 PTM=0 ; cd ASET=0 ; s1 0x1000 0x5000 ; s1 0x5000 0x9000 ; r 0x1000 -> ok 0x5000
    r 0x5000 -> ok 0x9000 ; s1 0x1000 0x15000 ; s1 0x5000 0x19000
    tlbi RVAE1 va=0x1000 asid=5 vmid=0 tg=4KB num=1 scale=0 ; r 0x1000 -> ok 0x15000 ; r 0x5000 -> ok 0x9000

  # 4.4.1.1 broadcast RVAE1 other tg
    cr2 PTM=0 ; cd ASET=0 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x15000
    tlbi RVAE1 va=0x0 asid=5 vmid=0 tg=16KB num=1 scale=0 ; r 0x1000 -> ok 0x5000

  # 6.3.25 SPLIT reserved
    q 0x10000 0x90005 ; q 0x90200 9 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x101c8 ; reg CR0 0xd
    r 0x1234 -> ok 0x1234

  # 6.3.25 FMT reserved is linear
    ste BYPASS ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x20008 ; reg CR0 0xd ; r 0x1234 -> ok 0x1234

  # 6.3.25 2-level LOG2SIZE<SPLIT
    cr2 RECINVSID=1 ; q 0x10000 0x90005 ; q 0x90200 9 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x10184
    reg CR0 0xd ; r 0x1234 -> ok 0x1234 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x10183 ; reg CR0 0xd
    cmd CMD_CFGI_STE_RANGE Range=31 ; r 0x1234 -> abort C_BAD_STREAMID

  # 6.3.25 L2Ptr aligned to its array
    q 0x10000 0x903c7 ; q 0x90200 9 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x10188 ; reg CR0 0xd
    r 0x1234 -> ok 0x1234

  # 6.3.25 STRTAB base aligned
    ste BYPASS ; reg CR0 0xc ; reg STRTAB_BASE 0x13fc0 ; reg CR0 0xd ; r 0x1234 -> ok 0x1234

  # 6.3.25 LOG2SIZE above SIDSIZE
    idr SIDSIZE=3 ST_LEVEL=0 ; cr2 RECINVSID=1 ; r 0x1000 -> abort C_BAD_STREAMID

  # 5.3 S1CDMax=3 2lvl
    ste S1 S1CDMax=3 S1Fmt=1 ; q 0x20000 0x60001 ; cd@0x601c0 ; s1 0x1000 0x5000 ; r 0x1000 ss=7 -> ok 0x5000
    r 0x1000 ss=8 -> abort C_BAD_SUBSTREAMID

  # 13.7 ats negative not cached
    ste S1 EATS=1 ; ats 0x1000 -> ok 0x1000 none ; s1 0x1000 0x5000 ; ats 0x1000 -> ok 0x5000 0x1000 rw
    r 0x1000 t -> ok 0x5000

  # 13.7 ats fills TLB
    ste S1 EATS=1 ; s1 0x1000 0x5000 ; ats 0x1000 -> ok 0x5000 0x1000 rw ; s1 0x1000 0x6000
    r 0x1000 -> ok 0x5000

  # 13.7 TLB used by ats
    ste S1 EATS=1 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    ats 0x1000 -> ok 0x5000 0x1000 rw

  # 13.7 ats beyond STU alignment
    ste S1 EATS=1 ; s1 0x1000 0x5000 ; s1 0x2000 0x9000 ; ats 0x1000 n=0x3000 -> ok 0x5000 0x1000 rw

  # 13.7 cached atschk
    ste NEST EATS=2 ; s1 0x1000 0x5000 ; ats 0x1000 -> ok 0x5000 0x1000 rw ; reg CR0 0xf
    ats 0x2000 -> ur F_BAD_ATS_TREQ

  # 3.4 s1 block with contiguous bits on 64K
    cd TG0=1 ; s1 0x10000 0x50000 AF,AP1,CONT ; r 0x10000 -> ok 0x50000

  # 3.4 no TTBR upper bits: T0SZ=16 TTB0 high
    cd TTB0=0x1000000100000 IPS=5 ; r 0x1000 -> abort C_BAD_CD

  # 3.4 S1 TTB1 64K
    cd EPD1=0 TG1=3 T1SZ=22 TTB1=0x990000 EPD0=1 ; q 0x990000 0x9a0003 ; q 0x9a0008 0x50c43
    r 0xfffffc0000011234 -> ok 0x51234

  # 3.4 S1 TTB1 16K
    cd EPD1=0 TG1=1 T1SZ=28 TTB1=0x990000 EPD0=1 ; q 0x990000 0x9a0003 ; q 0x9a0008 0x50c43
    r 0xfffffff000005234 -> ok 0x51234

  # 3.4 nested data abort on unmapped PA
    s1 0x1000 0x200000000 ; r 0x1000 -> bus-error

  # 5.5 TERM in A=0 for s1 addr size on bypass
    ste S1 S1CDMax=1 S1DSS=1 ; cd A=0 ; r 0x1000000000000 -> abort F_ADDR_SIZE/r s1.IN

  # 5.5 R=0 for bypass addr size still recorded
    ste S1 S1CDMax=1 S1DSS=1 ; cd R=0 ; r 0x1000000000000 -> abort F_ADDR_SIZE/r s1.IN

  # 5.5 S2R=0 & CD fetch fault
    ste NEST S2R=0 ; s2at 0 L1 0 ; r 0x1000 -> abort

  # 5.5 S2R=0 & walk eabt
    ste S2 S2R=0 ; s2at 0x40000000 L1 0x200000003 ; r 0x40000000 -> abort F_WALK_EABT/r s2.IN @0x200000000

  # 5.5 cd.R=0 stage 2 fault recorded
    ste NEST ; cd R=0 ; s1 0x1000 0x40005000 ; s2at 0x40000000 L1 0
    r 0x1000 -> abort F_TRANSLATION/r s2.IN ipa=0x40005000

  # 3.4 E2H TBI1
    cr2 E2H=1 ; ste S1 STRW=2 ; cd EPD1=0 T1SZ=16 TG1=2 TTB1=0x100000 TBI1=1 ; s1 0xffff000000001000 0x5000
    r 0xffff000000001000 -> ok 0x5000 ; r 0x12ff000000001000 -> ok 0x5000 ; r 0x12ff000000001000 -> ok 0x5000

  # 5.4 CD.TTB0 ignored when EPD0
    cd EPD0=1 EPD1=0 TG1=2 T1SZ=25 TTB1=0x990000 TTB0=0x1000000100000 T0SZ=1 TG0=3 ; q 0x990000 0x40000c41
    r 0xffffff8000001000 -> ok 0x40001000
  `),
  )('$title', (each) => expect(wrongAnswers(each)).toEqual([]));
});
