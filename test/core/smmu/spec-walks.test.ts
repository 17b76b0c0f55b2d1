/**
 * Walks, faults and what becomes of the access; hardware updates; legality (3.4, 3.12, 3.13, 5.2 to 5.5), as plain scenarios.
 * Written from IHI 0070 G.b without a look at the model, each case under its section; `spec-world.ts` says how
 * the steps read.
 */
import { describe, expect, it } from 'vitest';
import { specCases } from '../../support/spec-cases.ts';
import { wrongAnswers } from '../../support/spec-world.ts';

describe('a walk', () => {
  it.each(
    specCases(`
  # 3.13 AF=0
    s1 0x1000 0x5000 AP1 ; r 0x1000 -> abort F_ACCESS/r s1.IN

  # 3.13 AFFD
    cd AFFD=1 ; s1 0x1000 0x5000 AP1 ; r 0x1000 -> ok 0x5000 ; s1? 0x1000 -> 0x5043

  # 3.13 hardware sets AF
    cd HA=1 ; s1 0x1000 0x5000 AP1 ; r 0x1000 -> ok 0x5000 ; s1? 0x1000 -> 0x5443

  # 3.13 HA over AFFD
    cd HA=1 AFFD=1 ; s1 0x1000 0x5000 AP1 ; r 0x1000 -> ok 0x5000 ; s1? 0x1000 -> 0x5443

  # 3.13 HD without HA does nothing
    cd HD=1 ; s1 0x1000 0x5000 AF,AP3,DBM ; w 0x1000 -> abort F_PERMISSION/w s1.IN

  # 3.13 HA without HD leaves DBM alone
    cd HA=1 ; s1 0x1000 0x5000 AF,AP3,DBM ; w 0x1000 -> abort F_PERMISSION/w s1.IN

  # 3.13 AF at a read, dirty at a write
    cd HA=1 HD=1 ; s1 0x1000 0x5000 AP3,DBM ; r 0x1000 -> ok 0x5000 ; s1? 0x1000 -> 0x80000000054c3
    w 0x1000 -> ok 0x5000 ; s1? 0x1000 -> 0x8000000005443

  # 3.13 HTTU=1 HD illegal
    idr HTTU=1 ; cd HA=1 HD=1 ; r 0x1000 -> abort C_BAD_CD

  # 3.13 HTTU=0 HA illegal
    idr HTTU=0 ; cd HA=1 ; r 0x1000 -> abort C_BAD_CD

  # 3.13 S2AFFD
    ste S2 S2AFFD=1 ; s2 0x40000000 0x40000000 L1 S3,MAF ; r 0x40000000 -> ok 0x40000000

  # 3.13 S2 AF
    ste S2 ; s2 0x40000000 0x40000000 L1 S3,MAF ; r 0x40000000 -> abort F_ACCESS/r s2.IN ipa=0x40000000

  # 3.13 S2HA
    ste S2 S2HA=1 ; s2 0x40000000 0x40000000 L1 S3,MAF ; r 0x40000000 -> ok 0x40000000
    s2? 0x40000000 L1 -> 0x400004fd

  # 3.13 S2HD
    ste S2 S2HA=1 S2HD=1 ; s2 0x40000000 0x40000000 L1 AF,S1,MAF,DBM ; w 0x40000000 -> ok 0x40000000
    s2? 0x40000000 L1 -> 0x80000400004fd

  # 3.13 S2HD no DBM
    ste S2 S2HA=1 S2HD=1 ; s2 0x40000000 0x40000000 L1 AF,S1,MAF
    w 0x40000000 -> abort F_PERMISSION/w s2.IN ipa=0x40000000

  # 3.13 S2HD read of S0 with DBM
    ste S2 S2HA=1 S2HD=1 ; s2 0x40000000 0x40000000 L1 AF,S0,MAF,DBM
    r 0x40000000 -> abort F_PERMISSION/r s2.IN ipa=0x40000000 ; w 0x40000000 -> ok 0x40000000
    s2? 0x40000000 L1 -> 0x80000400004bd

  # 3.4 nested: s1 HA needs S2 write of table page
    ste NEST ; cd HA=1 ; s1 0x1000 0x5000 AP1 ; s2at 0x0 L1 0x900003 ; s2 0x20000 0x20000
    s2 0x100000 0x100000 ; s2 0x800000 0x800000 ; s2 0x810000 0x810000 ; s2 0x820000 0x820000 AF,S1,MAF
    r 0x1000 -> abort F_PERMISSION/r s2.TT ipa=0x820000 ttw ; s1? 0x1000 -> 0x5043

  # 3.13 nested: no HTTU needed then RO tables suffice
    ste NEST ; cd HA=1 ; s1 0x1000 0x5000 AF,AP1 ; s2at 0x0 L1 0x900003 ; s2 0x20000 0x20000
    s2 0x100000 0x100000 ; s2 0x800000 0x800000 ; s2 0x810000 0x810000 ; s2 0x820000 0x820000 AF,S1,MAF
    s2 0x5000 0x5000 ; r 0x1000 -> ok 0x5000

  # 3.13 nested: table page made dirty only when stage 1 writes
    ste NEST S2HA=1 S2HD=1 ; cd HA=1 ; s1 0x1000 0x5000 AP1 ; s2at 0x0 L1 0x900003
    s2 0x20000 0x20000 AF,S1,MAF,DBM ; s2 0x100000 0x100000 AF,S1,MAF,DBM ; s2 0x800000 0x800000
    s2 0x810000 0x810000 ; s2 0x820000 0x820000 S1,MAF,DBM ; s2 0x5000 0x5000 ; r 0x1000 -> ok 0x5000
    s1? 0x1000 -> 0x5443 ; s2? 0x820000 -> 0x80000008204ff ; s2? 0x100000 -> 0x800000010047f
    s2? 0x20000 -> 0x800000002047f

  # 5.4 EPD0
    cd EPD0=1 ; s1 0x1000 0x5000 ; r 0x1000 -> abort F_TRANSLATION/r s1.IN

  # 5.4 EPD1 default
    r 0xffff000000001000 -> abort F_TRANSLATION/r s1.IN

  # 5.4 TTB1
    cd EPD1=0 T1SZ=16 TG1=2 TTB1=0x100000 ; s1 0x1000 0x5000 ; r 0xffff000000001000 -> ok 0x5000
    r 0x1000 -> ok 0x5000 ; r 0xfffe000000001000 -> abort F_TRANSLATION/r s1.IN

  # 5.4 TTB1 bad TG
    cd EPD1=0 T1SZ=16 TG1=0 ; r 0x1000 -> abort C_BAD_CD

  # 5.4 TTB1 T1SZ bad
    cd EPD1=0 T1SZ=15 TG1=2 ; r 0x1000 -> abort C_BAD_CD

  # 5.4 EPD0 & EPD1 ENDI ignored
    cd EPD0=1 ENDI=1 ; r 0x1000 -> abort F_TRANSLATION/r s1.IN

  # 5.4 ENDI illegal
    cd ENDI=1 ; r 0x1000 -> abort C_BAD_CD

  # 5.4 TBI0
    cd TBI0=1 ; s1 0x1000 0x5000 ; r 0xab00000000001000 -> ok 0x5000
    r 0xab80000000001000 -> abort F_TRANSLATION/r s1.IN ; r 0xab01000000001000 -> abort F_TRANSLATION/r s1.IN

  # 5.4 no TBI
    s1 0x1000 0x5000 ; r 0xab00000000001000 -> abort F_TRANSLATION/r s1.IN

  # 5.4 TBI input address kept
    cd TBI0=1 ; ste S1 S1CDMax=4 ; r 0xab00000000001000 ss=0 p -> abort F_TRANSLATION/rp s1.IN

  # 5.4 T0SZ=25 range
    cd T0SZ=25 ; s1 0x7fffffffff 0x5000 ; r 0x7ffffff000 -> ok 0x5000
    r 0x8000000000 -> abort F_TRANSLATION/r s1.IN

  # 5.4 T0SZ=39 STT
    cd T0SZ=39 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; r 0x2000000 -> abort F_TRANSLATION/r s1.IN

  # 5.4 T0SZ=48 STT 4K
    cd T0SZ=48 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; r 0x10000 -> abort F_TRANSLATION/r s1.IN

  # 5.4 T0SZ=49
    cd T0SZ=49 ; r 0x1000 -> abort C_BAD_CD

  # 5.4 T0SZ=40 no STT
    idr STT=0 ; cd T0SZ=40 ; r 0x1000 -> abort C_BAD_CD

  # 5.4 T0SZ=48 64K
    cd TG0=1 T0SZ=48 ; r 0x1000 -> abort C_BAD_CD

  # 5.4 T0SZ=47 64K
    cd TG0=1 T0SZ=47 ; s1 0x10000 0x50000 ; r 0x10008 -> ok 0x50008 ; r 0x20000 -> abort F_TRANSLATION/r s1.IN

  # 5.4 64K T0SZ=16
    cd TG0=1 ; s1 0x10000 0x50000 ; s1 0x20000000 0x60000000 L2 ; r 0x1abcd -> ok 0x5abcd
    r 0x21234567 -> ok 0x61234567

  # 5.4 16K T0SZ=16
    cd TG0=2 ; s1 0x4000 0x50000 ; s1 0x2000000 0x6000000 L2 ; r 0x7fff -> ok 0x53fff
    r 0x2123456 -> ok 0x6123456

  # 3.4 16K level1 block invalid
    cd TG0=2 ; s1at 0x1000000000 L1 0x1000000441 ; r 0x1000000000 -> abort F_TRANSLATION/r s1.IN

  # 3.4 16K level0 block invalid
    cd TG0=2 ; s1at 0 L0 0x1000000441 ; r 0 -> abort F_TRANSLATION/r s1.IN

  # 3.4 64K level1 block invalid
    cd TG0=1 ; s1at 0 L1 0x1000000441 ; r 0 -> abort F_TRANSLATION/r s1.IN

  # 3.4 4K level0 block invalid
    s1at 0 L0 0x441 ; r 0 -> abort F_TRANSLATION/r s1.IN

  # 3.4 4K level3 bit1=0 invalid
    s1at 0x1000 L3 0x5441 ; r 0x1000 -> abort F_TRANSLATION/r s1.IN

  # 3.4 4K 1G block
    s1 0x40000000 0x80000000 L1 ; r 0x51234567 -> ok 0x91234567

  # 3.4 4K 2M block
    s1 0x200000 0x80000000 L2 ; r 0x3fffff -> ok 0x801fffff

  # 5.4 IPS
    cd IPS=0 ; s1 0x1000 0x100005000 ; r 0x1000 -> abort F_ADDR_SIZE/r s1.IN

  # 5.4 IPS table
    cd IPS=0 ; s1at 0x1000 L1 0x100000003 ; r 0x1000 -> abort F_ADDR_SIZE/r s1.IN

  # 5.4 IPS addr size before AF
    cd IPS=0 ; s1 0x1000 0x100005000 AP1 ; r 0x1000 -> abort F_ADDR_SIZE/r s1.IN

  # 5.4 IPS TTB
    cd IPS=0 TTB0=0x100100000 ; r 0x1000 -> abort C_BAD_CD

  # 5.4 IPS > OAS capped
    idr OAS=2 ; cd IPS=5 ; s1 0x1000 0x10000005000 ; r 0x1000 -> abort F_ADDR_SIZE/r s1.IN

  # 7.3.12 walk eabt
    s1at 0x1000 L1 0x200000003 ; w 0x1000 p -> abort F_WALK_EABT/wp s1.TT @0x200000000

  # 7.3.12 walk eabt index
    s1at 0x403000 L2 0x200000003 ; r 0x403000 -> abort F_WALK_EABT/r s1.TT @0x200000018

  # 5.5 walk eabt A=0 still abort
    cd A=0 ; s1at 0x1000 L1 0x200000003 ; r 0x1000 -> abort F_WALK_EABT/r s1.TT @0x200000000

  # 5.5 A=0
    cd A=0 ; s1 0x1000 0x5000 AF,AP3 ; r 0x2000 -> raz F_TRANSLATION/r s1.IN
    w 0x1000 -> raz F_PERMISSION/w s1.IN

  # 5.5 A=0, R=0
    cd A=0 R=0 ; r 0x2000 -> raz

  # 5.5 silent abort
    cd R=0 ; r 0x2000 -> abort

  # 5.5 TERM_MODEL=1 A=0
    idr TERM_MODEL=1 ; cd A=0 ; r 0x2000 -> abort C_BAD_CD

  # 5.5 S=1: R is ignored
    cd S=1 R=0 ; r 0x2000 -> stall F_TRANSLATION/r s1.IN stall

  # 5.5 stall A=0
    cd S=1 A=0 ; w 0x2000 -> stall F_TRANSLATION/w s1.IN stall

  # 5.5 s2 stall
    ste S2 S2S=1 S2R=0 ; s2at 0 L1 0 ; r 0x2000 -> stall F_TRANSLATION/r s2.IN ipa=0x2000 stall

  # 5.5 s2 stall on CD
    ste NEST S2S=1 ; s2at 0 L1 0 ; r 0x2000 -> stall F_TRANSLATION/r s2.CD ipa=0x20000 stall

  # 5.5 s1 A=0, s2 fault aborts
    ste NEST ; cd A=0 ; s1 0x1000 0x40005000 ; s2at 0x40000000 L1 0
    r 0x1000 -> abort F_TRANSLATION/r s2.IN ipa=0x40005000

  # 3.4 s1bypass addr size with S2S terminates
    ste S2 S2S=1 ; r 0x1000000000000 -> abort F_ADDR_SIZE/r s1.IN

  # 5.2 S1STALLD
    ste S1 S1STALLD=1 ; cd S=1 ; r 0x1000 -> abort C_BAD_CD

  # 5.2 STALL_MODEL=1 S
    idr STALL_MODEL=1 ; cd S=1 ; r 0x1000 -> abort C_BAD_CD

  # 5.2 STALL_MODEL=1 STALLD
    idr STALL_MODEL=1 ; ste S1 S1STALLD=1 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 STALL_MODEL=2 S=0
    idr STALL_MODEL=2 ; r 0x1000 -> abort C_BAD_CD

  # 5.2 STALL_MODEL=2 S2S=0
    idr STALL_MODEL=2 ; ste S2 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 EATS S2S
    ste S2 EATS=1 S2S=1 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 EATS S2S s1only
    ste S1 EATS=1 S2S=1 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000

  # 5.2 EATS 2 not nested
    ste S1 EATS=2 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 EATS 2 NS1ATS
    idr NS1ATS=1 ; ste NEST EATS=2 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 EATS no ATS
    idr ATS=0 PRI=0 ; ste S1 EATS=2 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000

  # 5.2 EATS 2 bypass
    ste BYPASS EATS=2 S2S=1 ; r 0x1000 -> ok 0x1000
  `),
  )('$title', (each) => expect(wrongAnswers(each)).toEqual([]));
});

describe('what else', () => {
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
