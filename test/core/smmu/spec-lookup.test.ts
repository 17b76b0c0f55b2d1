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
    records ->

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
