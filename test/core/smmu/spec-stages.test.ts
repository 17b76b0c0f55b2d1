/**
 * Stalls, prefetch, bypass, tags, hardware updates of tables and the ATC (3.11 to 3.17, 4.2, 4.5, 4.7), as plain scenarios.
 * Written from IHI 0070 G.b without a look at the model, each case under its section; `spec-world.ts` says how
 * the steps read.
 */
import { describe, expect, it } from 'vitest';
import { specCases } from '../../support/spec-cases.ts';
import { wrongAnswers } from '../../support/spec-world.ts';

describe('what else a transaction meets', () => {
  it.each(
    specCases(`
  # 3.13.6 HAFT
    idr HTTU=3 ; cd HA=1 HAFT=1 ; s1 0x1000 0x5000 AF,AP1 ; r 0x1000 -> ok 0x5000 ; s1? 0x1000 L0 -> 0x800403
    s1? 0x1000 L2 -> 0x820403

  # 3.13.6 HAFT without HA
    idr HTTU=3 ; cd HAFT=1 ; r 0x1000 -> abort C_BAD_CD

  # 3.13.6 HAFT res0
    idr HTTU=2 ; cd HAFT=1 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1? 0x1000 L0 -> 0x800003

  # 3.4 hier perms from walk cache
    s1 0x1000 0x5000 AF,AP1 ; s1 0x2000 0x6000 AF,AP1 ; s1t 0x1000 L1 APT2,UXNT ; r 0x1000 -> ok 0x5000
    w 0x2000 -> abort F_PERMISSION/w s1.IN ; x 0x2000 -> abort F_PERMISSION/rx s1.IN ; r 0x2000 -> ok 0x6000

  # 3.11 SMMUEN=0 bypass
    reg CR0 0xc ; r 0x1234 -> ok 0x1234 ; w 0x1000000000000 -> abort ; r 0x1234 ss=5 p -> ok 0x1234

  # 3.11 GBPA abort
    reg CR0 0xc ; reg GBPA 0x80100000 ; r 0x1234 -> abort ; reg GBPA 0x80000000 ; r 0x1234 -> ok 0x1234

  # 4.3.1 L1STD leaf
    q 0x10000 0x90005 ; q 0x90200 9 ; q 0xa0200 1 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x10188 ; reg CR0 0xd
    r 0x1234 -> ok 0x1234 ; q 0x10000 0xa0005 ; cmd CMD_CFGI_STE StreamID=8 Leaf=1 ; r 0x1234 -> ok 0x1234
    cmd CMD_CFGI_STE StreamID=8 ; r 0x1234 -> abort

  # 4.3.1 L1STD invalid is cached
    cr2 RECINVSID=1 ; q 0x10000 0 ; q 0x90200 9 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x10188 ; reg CR0 0xd
    r 0x1234 -> abort C_BAD_STREAMID ; q 0x10000 0x90005 ; cmd CMD_CFGI_STE StreamID=8 Leaf=1
    r 0x1234 -> abort C_BAD_STREAMID ; cmd CMD_CFGI_STE_RANGE StreamID=8 Range=0 ; r 0x1234 -> ok 0x1234

  # 3.4 S1P=0
    idr S1P=0 ; ste S1 ; r 0x1000 -> abort C_BAD_STE

  # 3.17 S2P=0
    idr S2P=0 ; ste S2 ; r 0x1000 -> abort C_BAD_STE

  # 3.17 S2P=0 VMID no tag
    idr S2P=0 ; ste S1 S2VMID=7 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    cmd CMD_TLBI_NH_VA VMID=0 ASID=5 Address=0x1000 ; r 0x1000 -> ok 0x6000

  # 3.17 S2P=0 broadcast VMID 0
    idr S2P=0 ; ste S1 S2VMID=7 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    tlbi VMALLE1 vmid=0 ; r 0x1000 -> ok 0x6000

  # 3.17 ASID16=0
    idr ASID16=0 ; cd ASID=256 ; r 0x1000 -> abort C_BAD_CD

  # 3.17 ASID16=0 EL2
    idr ASID16=0 ; ste S1 STRW=2 ; cd ASID=256 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000

  # 3.17 VMID16=0
    idr VMID16=0 ; ste S2 S2VMID=256 ; r 0x1000 -> abort C_BAD_STE

  # 3.17 VMID16=0 s1 only too
    idr VMID16=0 ; ste S1 S2VMID=256 ; r 0x1000 -> abort C_BAD_STE

  # 3.17 VMID16=0 EL2 ignored
    idr VMID16=0 ; ste S1 STRW=2 S2VMID=256 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000

  # 3.17 VMID16=0 bypass
    idr VMID16=0 ; ste BYPASS S2VMID=256 ; r 0x1000 -> ok 0x1000

  # 3.17 S2 entries shared by VMID
    ste S2 ; ste@9 S2 ; s2 0x40000000 0x50000000 L1 ; r 0x40000000 -> ok 0x40000000
    s2 0x40000000 0x60000000 L1 ; r 0x40000000 dev1 -> ok 0x40000000

  # 3.17 two streams two VMIDs
    ste S2 ; ste@9 S2 S2VMID=4 ; s2 0x40000000 0x80000000 L1 ; r 0x40000000 -> ok 0x80000000
    s2 0x40000000 0 L1 ; r 0x40000000 dev1 -> ok 0x0 ; r 0x40000000 -> ok 0x80000000

  # 3.4 s2 entry of S2-only serves nested
    choice combinedEntries=false ; ste S2 ; ste@9 NEST ; s1 0x1000 0x40005000 ; s2 0x40000000 0x80000000 L1
    r 0x40005000 -> ok 0x80005000 ; s2 0x40000000 0 L1 ; r 0x1000 dev1 -> ok 0x80005000

  # 4.7 stall retry
    cd S=1 ; r 0x1000 -> stall F_TRANSLATION/r s1.IN stall ; s1 0x1000 0x5000
    cmd CMD_RESUME StreamID=8 STAG=0 Ac=1 ; stalled -> ok 0x5000

  # 4.7 stall term abort
    cd S=1 ; r 0x1000 -> stall F_TRANSLATION/r s1.IN stall ; cmd CMD_RESUME StreamID=8 STAG=0 Ac=0 Ab=1
    stalled -> abort

  # 4.7 stall term raz
    cd S=1 ; r 0x1000 -> stall F_TRANSLATION/r s1.IN stall ; cmd CMD_RESUME StreamID=8 STAG=0 Ac=0 Ab=0
    stalled -> raz-wi

  # 4.7 stall term TERM_MODEL=1
    idr TERM_MODEL=1 ; cd S=1 ; r 0x1000 -> stall F_TRANSLATION/r s1.IN stall
    cmd CMD_RESUME StreamID=8 STAG=0 Ac=0 Ab=0 ; stalled -> abort

  # 4.7 stall wrong sid
    cd S=1 ; r 0x1000 -> stall F_TRANSLATION/r s1.IN stall ; cmd CMD_RESUME StreamID=9 STAG=0 Ac=0 Ab=1
    stalled -> none ; cmd CMD_STALL_TERM StreamID=9 ; stalled -> none ; cmd CMD_STALL_TERM StreamID=8
    stalled -> abort

  # 4.7 stall: TLBI does not touch
    cd S=1 ; r 0x1000 -> stall F_TRANSLATION/r s1.IN stall ; s1 0x1000 0x5000 ; cmd CMD_TLBI_NSNH_ALL
    cmd CMD_CFGI_STE_RANGE Range=31 ; stalled -> none ; reg CR0 0xc ; stalled -> abort

  # 4.7 stall model no
    idr STALL_MODEL=1 ; cmd CMD_RESUME StreamID=8 -> CERROR 1

  # 4.7 resume: Ac=1 refaults
    cd S=1 ; r 0x1000 -> stall F_TRANSLATION/r s1.IN stall ; cmd CMD_RESUME StreamID=8 STAG=0 Ac=1
    stalled -> stall F_TRANSLATION/r s1.IN stall

  # 4.7 stall forced
    idr STALL_MODEL=2 ; cd S=1 ; ste S1 S2S=0 ; r 0x1000 -> stall F_TRANSLATION/r s1.IN stall

  # 4.2 prefetch no event
    cmd CMD_PREFETCH_ADDR StreamID=8 Address=0x1000 ; r 0x2000 -> abort F_TRANSLATION/r s1.IN

  # 4.2 prefetch fills
    s1 0x1000 0x5000 ; cmd CMD_PREFETCH_ADDR StreamID=8 Address=0x1000 ; s1 0x1000 0x6000
    r 0x1000 -> ok 0x5000

  # 4.2 prefetch cfg fills
    s1 0x1000 0x5000 ; cmd CMD_PREFETCH_CONFIG StreamID=8 ; ste ABORT ; cd V=0 ; r 0x1000 -> ok 0x5000

  # 4.2 prefetch no dirty
    cd HA=1 HD=1 ; s1 0x1000 0x5000 AF,AP3,DBM ; cmd CMD_PREFETCH_ADDR StreamID=8 Address=0x1000
    s1? 0x1000 -> 0x80000000054c3

  # 4.2 prefetch bad ssid
    ste S1 S1CDMax=4 ; cmd CMD_PREFETCH_ADDR StreamID=8 SSV=1 SubstreamID=99 Address=0x1000 ; records -> none

  # 4.5.1 ATC span exact
    ste S1 EATS=1 ; s1 0x1000 0x5000 ; s1 0x2000 0x6000 ; ats 0x1000 -> ok 0x5000 0x1000 rw
    ats 0x2000 -> ok 0x6000 0x1000 rw ; s1 0x1000 0x15000 ; s1 0x2000 0x16000
    cmd CMD_ATC_INV StreamID=8 Address=0x2000 Size=0 ; r 0x1000 t -> ok 0x5000 ; r 0x2000 t -> ok 0x2000

  # 4.5.1 ATC span aligned to size
    ste S1 EATS=1 ; s1 0x1000 0x5000 ; s1 0x2000 0x6000 ; ats 0x1000 -> ok 0x5000 0x1000 rw
    ats 0x2000 -> ok 0x6000 0x1000 rw ; cmd CMD_ATC_INV StreamID=8 Address=0x3000 Size=1
    r 0x1000 t -> ok 0x5000 ; r 0x2000 t -> ok 0x2000

  # 4.5.1 ATC all
    ste S1 EATS=1 ; s1 0x1000 0x5000 ; ats 0x1000 -> ok 0x5000 0x1000 rw
    cmd CMD_ATC_INV StreamID=8 Address=0x123456000 Size=52 ; r 0x1000 t -> ok 0x1000

  # 4.5.1 ATC size 53
    cmd CMD_ATC_INV StreamID=8 Size=53 -> CERROR 1

  # 4.5.1 ATC other sid
    ste S1 EATS=1 ; s1 0x1000 0x5000 ; ats 0x1000 -> ok 0x5000 0x1000 rw ; cmd CMD_ATC_INV StreamID=9 Size=52
    r 0x1000 t -> ok 0x5000

  # 4.5.1 ATC pasid
    ste S1 EATS=1 S1CDMax=2 ; cd@0x20040 ; cd@0x20080 ; s1 0x1000 0x5000
    ats 0x1000 ss=1 -> ok 0x5000 0x1000 rw ; ats 0x1000 ss=2 -> ok 0x5000 0x1000 rw
    cmd CMD_ATC_INV StreamID=8 SSV=1 SubstreamID=1 Size=52 ; r 0x1000 t ss=1 -> ok 0x1000
    r 0x1000 t ss=2 -> ok 0x5000 ; cmd CMD_ATC_INV StreamID=8 SSV=1 SubstreamID=1 G=1 Size=52
    r 0x1000 t ss=2 -> ok 0x1000

  # 4.5.1 ATC without pasid takes pasids
    ste S1 EATS=1 S1CDMax=2 ; cd@0x20040 ; s1 0x1000 0x5000 ; ats 0x1000 ss=1 -> ok 0x5000 0x1000 rw
    cmd CMD_ATC_INV StreamID=8 Size=52 ; r 0x1000 t ss=1 -> ok 0x1000

  # 4.5.1 ATC G without SSV
    ste S1 EATS=1 ; s1 0x1000 0x5000 ; ats 0x1000 -> ok 0x5000 0x1000 rw
    cmd CMD_ATC_INV StreamID=8 G=1 Size=52 ; r 0x1000 t -> ok 0x1000

  # 4.5.1 ATC block hit inside
    ste S1 EATS=1 ; s1 0x200000 0x80000000 L2 ; ats 0x200000 -> ok 0x80000000 0x200000 rw
    cmd CMD_ATC_INV StreamID=8 Address=0x3ff000 Size=0 ; r 0x200000 t -> ok 0x200000

  # 4.5.1 ATC_INV SMMUEN=0 ignored
    ste S1 EATS=1 ; s1 0x1000 0x5000 ; ats 0x1000 -> ok 0x5000 0x1000 rw ; reg CR0 0xc
    cmd CMD_ATC_INV StreamID=8 Size=52 ; reg CR0 0xd ; reg CR0 0x1d ; r 0x1000 t -> ok 0x5000

  # 4.5.1 ATC_INV no ATS
    idr ATS=0 PRI=0 ; cmd CMD_ATC_INV StreamID=8 Size=52 -> CERROR 1

  # 4.5.1 TLBI leaves ATC
    ste S1 EATS=1 ; s1 0x1000 0x5000 ; ats 0x1000 -> ok 0x5000 0x1000 rw ; cmd CMD_TLBI_NSNH_ALL
    r 0x1000 t -> ok 0x5000

  # 13.6 multi STU
    ste S1 EATS=1 ; s1 0x1000 0x5000 ; s1 0x2000 0x9000 AF,AP3,nG ; ats 0x1000 n=0x2000 w -> ok 0x5000 0x1000 rw

  # 3.4 CONT bit has no wrong PA
    s1 0x1000 0x5000 AF,AP1,CONT ; r 0x1000 -> ok 0x5000 ; r 0x1fff -> ok 0x5fff

  # 3.13 no read of S2 AF on table walk
    ste NEST S2HA=1 ; s1 0x1000 0x5000 ; s2 0 0 L1 S3,MAF ; r 0x1000 -> ok 0x5000 ; s2? 0 L1 -> 0x4fd

  # 3.13 AF of a stage 2 page when stage 1 faults
    ste NEST S2HA=1 ; s1 0x1000 0x40005000 AF,AP3 ; s2 0x40000000 0x40000000 L1 S3,MAF
    w 0x1000 -> abort F_PERMISSION/w s1.IN ; s2? 0x40000000 L1 -> 0x400000fd

  # 3.4 4K dma across page
    s1 0x1000 0x5000 ; s1 0x2000 0x9000 ; r 0x1ffc n=8 -> ok 0x5ffc, ok 0x9000

  # 3.4 wrap VA top
    cd EPD1=0 T1SZ=16 TG1=2 TTB1=0x100000 ; s1 0xfffffffffffff000 0x5000 ; s1 0 0x6000
    r 0xfffffffffffffffc n=8 -> ok 0x5ffc, ok 0x6000

  # 3.17 top NH_VA in TTB1
    cd EPD1=0 T1SZ=16 TG1=2 TTB1=0x100000 ; s1 0xffff000000001000 0x5000 ; r 0xffff000000001000 -> ok 0x5000
    s1 0xffff000000001000 0x6000 ; cmd CMD_TLBI_NH_VA ASID=5 Address=0x1000
    r 0xffff000000001000 -> ok 0x5000 ; cmd CMD_TLBI_NH_VA ASID=5 Address=0xffff000000001000
    r 0xffff000000001000 -> ok 0x6000

  # 3.17 TBI hit any top byte
    cd TBI0=1 ; s1 0x1000 0x5000 ; r 0xab00000000001000 -> ok 0x5000 ; s1 0x1000 0x6000
    r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_NH_VA ASID=5 Address=0x1000 ; r 0xab00000000001000 -> ok 0x6000

  # 3.17 EL2 TBI
    ste S1 STRW=2 ; cd TBI0=1 ; s1 0x1000 0x5000 ; r 0xab00000000001000 -> ok 0x5000
    r 0xab80000000001000 -> abort F_TRANSLATION/r s1.IN

  # 3.4 EL2 bit55
    ste S1 STRW=2 ; cd T0SZ=16 ; s1 0x1000 0x5000 ; r 0x80000000001000 -> abort F_TRANSLATION/r s1.IN

  # 3.4 NSNH leaves EL2 CFGI
    ste S1 STRW=2 ; s1 0x1000 0x5000 AF,AP1 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    cmd CMD_TLBI_EL2_VA Address=0x1000 ; r 0x1000 -> ok 0x6000

  # 3.17 writes cached perms
    s1 0x1000 0x5000 AF,AP3,nG ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x5000
    w 0x1000 -> abort F_PERMISSION/w s1.IN ; cmd CMD_TLBI_NH_VA ASID=5 Address=0x1000 ; w 0x1000 -> ok 0x5000

  # 3.13 HD on a cached clean entry sees memory
    cd HA=1 HD=1 ; s1 0x1000 0x5000 AF,AP3,DBM,nG ; r 0x1000 -> ok 0x5000 ; w 0x1000 -> ok 0x5000
    s1? 0x1000 -> 0x8000000005c43 ; q? 0x820008 -> 0x8000000005c43

  # 3.13.6 HAFT: a table with AF=0 is not cached by what is read ahead
    idr HTTU=3 ; choice prefetchTranslations=true ; cd HA=1 HAFT=1 ; s1 0x1ff000 0x5000 AF,AP1,nG
    s1 0x200000 0x6000 AF,AP1,nG ; q 0x9a0000 0x7c43 ; r 0x1ff000 -> ok 0x5000 ; s1? 0x200000 L2 -> 0x830003
    s1at 0x200000 L2 0x9a0003 ; r 0x200000 -> ok 0x7000 ; s1? 0x200000 L2 -> 0x9a0403

  # 7.3.12 S1 descriptor eabt nested
    ste NEST ; s1 0x1000 0x5000 ; s1at 0x1000 L2 0x40000003 ; s2 0x40000000 0x200000000 L1
    r 0x1000 -> abort F_WALK_EABT/r s1.TT @0x200000008

  # 4.3 CFGI_STE takes L1CD
    ste S1 S1CDMax=8 S1Fmt=1 ; s1 0x1000 0x5000 ; q 0x20000 0x60001 ; cd@0x60040 ; cd@0x61040 V=0
    r 0x1000 ss=1 -> ok 0x5000 ; q 0x20000 0x61001 ; cmd CMD_CFGI_STE StreamID=8 Leaf=1
    r 0x1000 ss=1 -> abort C_BAD_CD

  # 4.3 CD_ALL takes L1CD
    ste S1 S1CDMax=8 S1Fmt=1 ; s1 0x1000 0x5000 ; q 0x20000 0x60001 ; cd@0x60040 ; cd@0x61040 V=0
    r 0x1000 ss=1 -> ok 0x5000 ; q 0x20000 0x61001 ; cmd CMD_CFGI_CD_ALL StreamID=8
    r 0x1000 ss=1 -> abort C_BAD_CD

  # 3.4.3 FetchAddr above OAS
    q 0x10000 0x1000000090005 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 0x10188 ; reg CR0 0xd
    r 0x1234 -> abort F_STE_FETCH @0x90200

  # 7.3.12 S2 F_WALK_EABT TT
    ste NEST ; s1 0x1000 0x5000 ; s1at 0x1000 L1 0x40000003 ; s2at 0x40000000 L1 0x200000003
    w 0x1000 -> abort F_WALK_EABT/w s2.TT @0x200000000

  # 3.13 ATS NW=0, S1 clean, S2 read-only
    ste NEST EATS=1 S2HA=1 S2HD=1 ; cd HA=1 HD=1 ; s1 0x1000 0x40005000 AF,AP3,DBM
    s2 0x40000000 0x80000000 L1 AF,S1,MAF ; ats 0x1010 w -> ok 0x80005010 0x1000 r
    s1? 0x1000 -> 0x8000040005443

  # 3.13 nested, S2 DBM, S1 RO fault: S2 not dirty
    ste NEST S2HA=1 S2HD=1 ; s1 0x1000 0x40005000 AF,AP3 ; s2 0x40000000 0x80000000 L1 AF,S1,MAF,DBM
    w 0x1000 -> abort F_PERMISSION/w s1.IN ; s2? 0x40000000 L1 -> 0x800008000047d

  # 3.13 CD fetch through clean page is not dirtied
    ste NEST S2HA=1 S2HD=1 ; s1 0x1000 0x40005000 ; s2at 0x0 L1 0x900003 ; s2 0x20000 0x20000 S1,MAF,DBM
    s2 0x100000 0x100000 ; s2 0x800000 0x800000 ; s2 0x810000 0x810000 ; s2 0x820000 0x820000
    w 0x1000 -> ok 0x40005000 ; s2? 0x20000 -> 0x800000002047f

  # 3.4.3 S1ContextPtr nested beyond IAS
    ste NEST S1ContextPtr=0x1000000020000 ; r 0x1000 -> abort C_BAD_STE
  `),
  )('$title', (each) => expect(wrongAnswers(each)).toEqual([]));
});
