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
    cd A=0 ; s1 0x1000 0x5000 AF,AP3 ; r 0x2000 -> raz-wi F_TRANSLATION/r s1.IN
    w 0x1000 -> raz-wi F_PERMISSION/w s1.IN

  # 5.5 A=0, R=0
    cd A=0 R=0 ; r 0x2000 -> raz-wi

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
