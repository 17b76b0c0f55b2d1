/**
 * What must go and what may stay, by one entry each: literal hardware (3.17, 4.3, 4.4, 16.2), as plain scenarios.
 * Written from IHI 0070 G.b without a look at the model, each case under its section; `spec-world.ts` says how
 * the steps read.
 */
import { describe, expect, it } from 'vitest';
import { specCases } from '../../support/spec-cases.ts';
import { wrongAnswers } from '../../support/spec-world.ts';

describe('a cached entry', () => {
  it.each(
    specCases(`
  # 4.4 NH_VA tags
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cmd CMD_TLBI_NH_VA ASID=6 Address=0x1000
    r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_NH_VA ASID=5 VMID=1 Address=0x1000 ; r 0x1000 -> ok 0x5000
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x2000 ; r 0x1000 -> ok 0x5000
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x1000 Leaf=1 ; r 0x1000 -> ok 0x6000

  # 4.4 NH_VA global any ASID
    s1 0x1000 0x5000 AF,AP1 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cmd CMD_TLBI_NH_ASID ASID=5
    r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_NH_VA ASID=77 Address=0x1000 Leaf=1 ; r 0x1000 -> ok 0x6000

  # 4.4 NH_ASID
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cmd CMD_TLBI_NH_ASID ASID=6
    r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_NH_ASID ASID=5 ; r 0x1000 -> ok 0x6000

  # 4.4 NH_VAA
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cmd CMD_TLBI_NH_VAA VMID=2 Address=0x1000
    r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_NH_VAA Address=0x1000 Leaf=1 ; r 0x1000 -> ok 0x6000

  # 4.4 NH_ALL other VMID
    ste S1 S2VMID=9 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cmd CMD_TLBI_NH_ALL VMID=0
    r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_NH_ALL VMID=9 ; r 0x1000 -> ok 0x6000

  # 4.4 EL2_ALL no effect on EL1
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cmd CMD_TLBI_EL2_ALL ; r 0x1000 -> ok 0x5000
    cmd CMD_TLBI_NSNH_ALL ; r 0x1000 -> ok 0x6000

  # 4.4 NSNH_ALL no effect on EL2
    ste S1 STRW=2 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cmd CMD_TLBI_NSNH_ALL
    r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_NH_ALL ; r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_EL2_ASID ASID=5
    r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_EL2_VA ASID=99 Address=0x1000 ; r 0x1000 -> ok 0x6000

  # 4.4 EL2_VAA on EL2
    ste S1 STRW=2 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    cmd CMD_TLBI_EL2_VAA Address=0x1000 ; r 0x1000 -> ok 0x6000

  # 4.4 E2H
    cr2 E2H=1 ; ste S1 STRW=2 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    cmd CMD_TLBI_EL2_VA ASID=6 Address=0x1000 ; r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_NH_ASID ASID=5
    r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_EL2_ASID ASID=5 ; r 0x1000 -> ok 0x6000 ; s1 0x1000 0x7000
    cmd CMD_TLBI_EL2_VA ASID=5 Address=0x1000 ; r 0x1000 -> ok 0x7000 ; s1 0x1000 0x8000
    cmd CMD_TLBI_EL2_ALL ; r 0x1000 -> ok 0x8000

  # 4.4 E2H global
    cr2 E2H=1 ; ste S1 STRW=2 ; s1 0x1000 0x5000 AF,AP1 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    cmd CMD_TLBI_EL2_ASID ASID=5 ; r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_EL2_VA ASID=6 Address=0x1000
    r 0x1000 -> ok 0x6000

  # 4.4 leaf keeps tables
    s1 0x1000 0x5000 ; q 0x990008 0x7c43 ; r 0x1000 -> ok 0x5000 ; s1at 0x1000 L2 0x990003
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x1000 Leaf=1 ; r 0x1000 -> ok 0x5000
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x1000 ; r 0x1000 -> ok 0x7000

  # 4.4 leaf=0 at another VA of the same table keeps the leaf only
    s1 0x1000 0x5000 ; q 0x990008 0x7c43 ; q 0x990010 0x9c43 ; r 0x1000 -> ok 0x5000 ; s1at 0x1000 L2 0x990003
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x2000 ; r 0x1000 -> ok 0x5000 ; r 0x2000 -> ok 0x9000

  # 4.4 ASID kills walk cache
    s1 0x1000 0x5000 AF,AP1 ; q 0x990010 0x7c43 ; r 0x1000 -> ok 0x5000 ; s1at 0x1000 L2 0x990003
    cmd CMD_TLBI_NH_ASID ASID=6 ; r 0x2000 -> abort F_TRANSLATION/r s1.IN ; cmd CMD_TLBI_NH_ASID ASID=5
    r 0x1000 -> ok 0x5000 ; r 0x2000 -> ok 0x7000

  # 4.4 block any address
    s1 0x200000 0x80000000 L2 ; r 0x200000 -> ok 0x80000000 ; s1 0x200000 0x90000000 L2
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x3ff000 Leaf=1 ; r 0x200000 -> ok 0x90000000

  # 4.4.1.1 TTL matches
    s1 0x200000 0x80000000 L2 ; r 0x200000 -> ok 0x80000000 ; s1 0x200000 0x90000000 L2
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x200000 TG=1 TTL=3 Leaf=1 ; r 0x200000 -> ok 0x80000000
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x200000 TG=1 TTL=1 ; r 0x200000 -> ok 0x80000000
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x200000 TG=2 TTL=2 ; r 0x200000 -> ok 0x80000000
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x200000 TG=1 TTL=2 Leaf=1 ; r 0x200000 -> ok 0x90000000

  # 4.4.1.1 TG w/o anything
    cmd CMD_TLBI_NH_VA ASID=5 TG=1 -> CERROR 1

  # 4.4.1.1 TG 16K TTL 1 no DS
    cmd CMD_TLBI_NH_VA ASID=5 TG=2 TTL=1 -> CERROR 1

  # 4.4.1.1 TG 16K TTL 1 DS
    idr OAS=6 VAX=1 DS=1 ; cmd CMD_TLBI_NH_VA ASID=5 TG=2 TTL=1

  # 4.4.1.1 TG 16K TTL 1 no DS ranged acts as TTL 0
    cd TG0=2 ; s1 0x4000 0x50000 ; r 0x4000 -> ok 0x50000 ; s1 0x4000 0x60000
    cmd CMD_TLBI_NH_VA ASID=5 TG=2 TTL=1 NUM=1 Address=0x4000 ; r 0x4000 -> ok 0x60000

  # 4.4.1.1 RIL=0 fields ignored
    idr RIL=0 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x1000 TG=2 TTL=1 NUM=3 ; r 0x1000 -> ok 0x6000

  # 4.4.1.1 Range
    s1 0x1000 0x5000 ; s1 0x5000 0x9000 ; s1 0x6000 0xa000 ; r 0x1000 -> ok 0x5000 ; r 0x5000 -> ok 0x9000
    r 0x6000 -> ok 0xa000 ; s1 0x1000 0x15000 ; s1 0x5000 0x19000 ; s1 0x6000 0x1a000
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x2000 TG=1 NUM=1 SCALE=1 Leaf=1 ; r 0x1000 -> ok 0x5000
    r 0x5000 -> ok 0x19000 ; r 0x6000 -> ok 0xa000

  # 4.4.1.1 Range with TTL, unaligned is unpredictable but aligned ok
    s1 0x200000 0x80000000 L2 ; s1 0x400000 0x80200000 L2 ; r 0x200000 -> ok 0x80000000
    r 0x400000 -> ok 0x80200000 ; s1 0x200000 0x90000000 L2 ; s1 0x400000 0x90200000 L2
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x200000 TG=1 TTL=2 NUM=0 SCALE=9 Leaf=1 ; r 0x200000 -> ok 0x90000000
    r 0x400000 -> ok 0x80200000

  # 4.4.1.1 TTL=2 leaf=0 leaves level 2 tables
    s1 0x1000 0x5000 ; q 0x990010 0x7c43 ; r 0x1000 -> ok 0x5000 ; s1at 0x1000 L2 0x990003
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x0 TG=1 TTL=2 ; r 0x2000 -> abort F_TRANSLATION/r s1.IN
    cmd CMD_TLBI_NH_VA ASID=5 Address=0x0 TG=1 TTL=3 ; r 0x2000 -> ok 0x7000 ; r 0x1000 -> ok 0x5000

  # 4.4.1.1 TTL=2 leaf=0 removes level 1 tables
    s1 0x1000 0x5000 ; s1 0x200000 0x80000000 L2 ; q 0x990008 0x70000c41 ; r 0x200000 -> ok 0x80000000
    s1at 0x1000 L1 0x990003 ; cmd CMD_TLBI_NH_VA ASID=5 Address=0x200000 TG=1 TTL=2
    r 0x200000 -> ok 0x70000000

  # 4.4 S2_IPA
    ste S2 ; s2 0x40000000 0x50000000 L2 ; r 0x40000000 -> ok 0x50000000 ; s2 0x40000000 0x60000000 L2
    cmd CMD_TLBI_NH_ALL VMID=3 ; r 0x40000000 -> ok 0x50000000 ; cmd CMD_TLBI_S2_IPA VMID=4 Address=0x40000000
    r 0x40000000 -> ok 0x50000000 ; cmd CMD_TLBI_S2_IPA VMID=3 Address=0x401ff000 Leaf=1
    r 0x40000000 -> ok 0x60000000

  # 4.4 S12_VMALL
    ste S2 ; r 0x40000000 -> ok 0x40000000 ; s2 0x40000000 0 L1 ; cmd CMD_TLBI_S12_VMALL VMID=2
    r 0x40000000 -> ok 0x40000000 ; cmd CMD_TLBI_S12_VMALL VMID=3 ; r 0x40000000 -> ok 0x0

  # 4.4 S12_VMALL of stage 1 only
    ste S1 S2VMID=3 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    cmd CMD_TLBI_S12_VMALL VMID=3 ; r 0x1000 -> ok 0x6000

  # 4.4 S2_IPA leaves stage 1 only of the VMID
    ste S1 S2VMID=3 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    cmd CMD_TLBI_S2_IPA VMID=3 Address=0x1000 ; r 0x1000 -> ok 0x5000

  # 4.4 S2_IPA walk cache
    ste S2 ; s2 0x40001000 0x5000 ; q 0x990010 0x77ff ; r 0x40001000 -> ok 0x5000
    s2at 0x40000000 L2 0x990003 ; cmd CMD_TLBI_S2_IPA VMID=3 Address=0x40002000 Leaf=1
    r 0x40002000 -> abort F_TRANSLATION/r s2.IN ipa=0x40002000 ; cmd CMD_TLBI_S2_IPA VMID=3 Address=0x40002000
    r 0x40002000 -> ok 0x7000 ; r 0x40001000 -> ok 0x5000

  # 4.4 nested S2_IPA then NH_ALL
    ste NEST ; s1 0x1000 0x40005000 ; s2 0x40000000 0x50000000 L2 ; r 0x1000 -> ok 0x50005000
    s2 0x40000000 0x60000000 L2 ; cmd CMD_TLBI_S2_IPA VMID=3 Address=0x40005000 ; r 0x1000 -> ok 0x50005000
    cmd CMD_TLBI_NH_VAA VMID=3 Address=0x1000 ; r 0x1000 -> ok 0x60005000

  # 4.4 nested NH_ALL alone keeps stage 2 entries
    choice combinedEntries=false ; ste NEST ; s1 0x1000 0x40005000 ; s2 0x40000000 0x50000000 L2
    r 0x1000 -> ok 0x50005000 ; s2 0x40000000 0x60000000 L2 ; cmd CMD_TLBI_NH_ALL VMID=3
    r 0x1000 -> ok 0x50005000 ; cmd CMD_TLBI_S2_IPA VMID=3 Address=0x40005000 ; r 0x1000 -> ok 0x60005000

  # 4.4 nested fragments of stage 1 block
    ste NEST ; s1 0x200000 0x40000000 L2 ; s2 0x40000000 0x50000000 ; s2 0x40001000 0x50001000
    r 0x200000 -> ok 0x50000000 ; r 0x201000 -> ok 0x50001000 ; s1 0x200000 0x80000000 L2
    cmd CMD_TLBI_NH_VA VMID=3 ASID=5 Address=0x3ff000 Leaf=1 ; r 0x200000 -> ok 0x80000000
    r 0x201000 -> ok 0x80001000

  # 4.4.1.1 nested fragments: TTL of the stage 1 level
    ste NEST ; s1 0x200000 0x40000000 L2 ; s2 0x40000000 0x50000000 ; s2 0x40001000 0x50001000
    r 0x200000 -> ok 0x50000000 ; s1 0x200000 0x80000000 L2
    cmd CMD_TLBI_NH_VA VMID=3 ASID=5 Address=0x200000 TG=1 TTL=2 Leaf=1 ; r 0x200000 -> ok 0x80000000

  # 4.4 nested: VMALL kills all
    ste NEST ; s1 0x1000 0x40005000 ; s2 0x40000000 0x50000000 L2 ; r 0x1000 -> ok 0x50005000
    s2 0x40000000 0x60000000 L2 ; cmd CMD_TLBI_S12_VMALL VMID=3 ; r 0x1000 -> ok 0x60005000

  # 3.17 VMW
    cr0 VMW=2 ; ste S1 S2VMID=9 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    cmd CMD_TLBI_NH_ALL VMID=12 ; r 0x1000 -> ok 0x5000 ; cmd CMD_TLBI_NH_VA VMID=10 ASID=5 Address=0x1000
    r 0x1000 -> ok 0x6000

  # 16.2 fault not cached
    r 0x1000 -> abort F_TRANSLATION/r s1.IN ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000

  # 16.2 AF=0 not cached
    s1 0x1000 0x5000 AP1 ; r 0x1000 -> abort F_ACCESS/r s1.IN ; s1 0x1000 0x6000 ; r 0x1000 -> ok 0x6000

  # 16.2 addr size not cached
    cd IPS=0 ; s1 0x1000 0x100005000 ; r 0x1000 -> abort F_ADDR_SIZE/r s1.IN ; s1 0x1000 0x6000
    r 0x1000 -> ok 0x6000

  # 4.3 ASID of CD is the tag
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cd ASID=6
    cmd CMD_CFGI_CD StreamID=8 Leaf=1 ; r 0x1000 -> ok 0x6000 ; cd ASID=5 ; cmd CMD_CFGI_CD StreamID=8 Leaf=1
    r 0x1000 -> ok 0x5000

  # 4.3 global across ASIDs
    s1 0x1000 0x5000 AF,AP1 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cd ASID=6
    cmd CMD_CFGI_CD StreamID=8 ; r 0x1000 -> ok 0x5000 ; cd ASID=6 ASET=0 ; cmd CMD_CFGI_CD StreamID=8
    r 0x1000 -> ok 0x6000

  # 4.3 non-global across ASET
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cd ASET=0 ; cmd CMD_CFGI_CD StreamID=8
    r 0x1000 -> ok 0x5000

  # 4.3 VMID is a tag of stage 1 only
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; ste S1 S2VMID=1
    cmd CMD_CFGI_STE StreamID=8 ; r 0x1000 -> ok 0x6000 ; ste S1 ; cmd CMD_CFGI_STE StreamID=8
    r 0x1000 -> ok 0x5000

  # 4.3 EL2 has no ASID
    ste S1 STRW=2 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cd ASID=6
    cmd CMD_CFGI_CD StreamID=8 ; r 0x1000 -> ok 0x5000 ; ste S1 STRW=2 S2VMID=7 ; cmd CMD_CFGI_STE StreamID=8
    r 0x1000 -> ok 0x5000

  # 4.3 EL2 and EL1 do not alias
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; ste S1 STRW=2 ; cmd CMD_CFGI_STE StreamID=8
    r 0x1000 -> ok 0x6000

  # 4.3 S2 only entries are not VA entries
    ste S2 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x1000 ; ste NEST ; cmd CMD_CFGI_STE StreamID=8
    r 0x1000 -> ok 0x5000

  # 4.3 STE cached
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; ste ABORT ; r 0x1000 -> ok 0x5000 ; cmd CMD_CFGI_STE StreamID=9
    r 0x1000 -> ok 0x5000 ; cmd CMD_CFGI_STE StreamID=8 ; r 0x1000 -> abort

  # 4.3 STE range
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; ste ABORT ; cmd CMD_CFGI_STE_RANGE StreamID=0 Range=2
    r 0x1000 -> ok 0x5000 ; cmd CMD_CFGI_STE_RANGE StreamID=15 Range=2 ; r 0x1000 -> abort

  # 4.3 STE all
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; ste ABORT ; cmd CMD_CFGI_STE_RANGE StreamID=0xffffffff Range=31
    r 0x1000 -> abort

  # 4.3 invalid STE cached
    ste ABORT V=0 ; r 0x1000 -> abort C_BAD_STE ; ste BYPASS ; r 0x1000 -> abort C_BAD_STE
    cmd CMD_CFGI_STE StreamID=8 ; r 0x1000 -> ok 0x1000

  # 4.3 STE kills CD
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; cd V=0 ; r 0x1000 -> ok 0x5000
    cmd CMD_CFGI_STE StreamID=8 Leaf=1 ; r 0x1000 -> abort C_BAD_CD

  # 4.3 CD other ssid, sid
    s1 0x1000 0x5000 ; ste S1 S1CDMax=4 ; cd@0x20040 ; r 0x1000 ss=1 -> ok 0x5000 ; cd@0x20040 V=0
    cmd CMD_CFGI_CD StreamID=8 SubstreamID=2 ; r 0x1000 ss=1 -> ok 0x5000
    cmd CMD_CFGI_CD StreamID=9 SubstreamID=1 ; r 0x1000 ss=1 -> ok 0x5000 ; cmd CMD_CFGI_CD_ALL StreamID=9
    r 0x1000 ss=1 -> ok 0x5000 ; cmd CMD_CFGI_CD StreamID=8 SubstreamID=1 Leaf=1
    r 0x1000 ss=1 -> abort C_BAD_CD

  # 4.3 CD_ALL
    s1 0x1000 0x5000 ; ste S1 S1CDMax=4 ; cd@0x20040 ; r 0x1000 ss=1 -> ok 0x5000 ; cd@0x20040 V=0
    cmd CMD_CFGI_CD_ALL StreamID=8 ; r 0x1000 ss=1 -> abort C_BAD_CD

  # 4.3 CFGI_CD does not touch STE
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; ste ABORT ; cmd CMD_CFGI_CD_ALL StreamID=8
    r 0x1000 -> ok 0x5000

  # 4.3 L1CD leaf
    ste S1 S1CDMax=8 S1Fmt=1 ; s1 0x1000 0x5000 ; q 0x20000 0x60001 ; cd@0x60040 ; cd@0x61040 V=0
    r 0x1000 ss=1 -> ok 0x5000 ; q 0x20000 0x61001 ; cmd CMD_CFGI_CD StreamID=8 SubstreamID=1 Leaf=1
    r 0x1000 ss=1 -> ok 0x5000 ; cmd CMD_CFGI_CD StreamID=8 SubstreamID=1 ; r 0x1000 ss=1 -> abort C_BAD_CD

  # 4.3 L1CD by another CD of the same L1CD
    ste S1 S1CDMax=8 S1Fmt=1 ; s1 0x1000 0x5000 ; q 0x20000 0x60001 ; cd@0x60040 ; cd@0x61080 V=0 ; cd@0x60080
    r 0x1000 ss=1 -> ok 0x5000 ; q 0x20000 0x61001 ; cmd CMD_CFGI_CD StreamID=8 SubstreamID=64
    r 0x1000 ss=2 -> ok 0x5000 ; cmd CMD_CFGI_CD StreamID=8 SubstreamID=3 ; r 0x1000 ss=1 -> ok 0x5000
    cmd CMD_CFGI_CD StreamID=8 SubstreamID=2 ; r 0x1000 ss=2 -> abort C_BAD_CD

  # 4.3 failed fetch not cached
    ste S1 S1ContextPtr=0x200000000 ; r 0x1000 -> abort F_CD_FETCH @0x200000000 ; ste S1
    cmd CMD_CFGI_STE StreamID=8 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000

  # 4.3 CD not cached by s2 fault
    ste NEST ; s2at 0 L1 0 ; r 0x1000 -> abort F_TRANSLATION/r s2.CD ipa=0x20000 ; s2 0 0 L1
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000

  # 4.3 CFGI_STE keeps TLB
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cmd CMD_CFGI_STE_RANGE Range=31
    r 0x1000 -> ok 0x5000

  # 4.4 TLBI keeps CD
    s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; cd V=0 ; cmd CMD_TLBI_NSNH_ALL ; r 0x1000 -> ok 0x5000

  # 4.3 S1CDMax SSIDSIZE 0 CFGI
    idr SSIDSIZE=0 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; cd V=0
    cmd CMD_CFGI_CD StreamID=8 SubstreamID=0 ; r 0x1000 -> abort C_BAD_CD

  # 16.2 generous
    generous ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; cmd CMD_TLBI_NH_ASID ASID=9
    r 0x1000 -> ok 0x6000

  # 16.2 cap 0
    cache tlb=0 walk=0 ste=0 cd=0 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    r 0x1000 -> ok 0x6000 ; cd V=0 ; r 0x1000 -> abort C_BAD_CD ; ste ABORT ; r 0x1000 -> abort

  # 16.2 cap 1
    cache tlb=1 ; s1 0x1000 0x5000 ; s1 0x2000 0x6000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x7000
    r 0x1000 -> ok 0x5000 ; r 0x2000 -> ok 0x6000 ; r 0x1000 -> ok 0x7000

  # 3.17 broadcast VAE1 ASET 1 kept
    cr2 PTM=0 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    tlbi VAE1 va=0x1000 asid=5 vmid=0 ; r 0x1000 -> ok 0x5000 ; tlbi ASIDE1 asid=5 vmid=0
    r 0x1000 -> ok 0x5000 ; tlbi VAAE1 va=0x1000 vmid=0 ; r 0x1000 -> ok 0x6000

  # 3.17 broadcast VAE1 ASET 0
    cr2 PTM=0 ; cd ASET=0 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    tlbi VAE1 va=0x1000 asid=6 vmid=0 ; r 0x1000 -> ok 0x5000 ; tlbi VAE1 va=0x1000 asid=5 vmid=0
    r 0x1000 -> ok 0x6000

  # 3.17 broadcast VMALLE1 ASET 1
    cr2 PTM=0 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; tlbi VMALLE1 vmid=1
    r 0x1000 -> ok 0x5000 ; tlbi VMALLE1 vmid=0 ; r 0x1000 -> ok 0x6000

  # 3.17 b global ASET 1
    cr2 PTM=0 ; s1 0x1000 0x5000 AF,AP1 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    tlbi VAE1 va=0x1000 asid=5 vmid=0 ; r 0x1000 -> ok 0x5000 ; tlbi VAAE1 va=0x1000 vmid=0
    r 0x1000 -> ok 0x6000

  # 3.17 broadcast PTM
    cr2 PTM=1 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; tlbi VMALLE1 vmid=0
    r 0x1000 -> ok 0x5000

  # 3.17 broadcast EL2 ASET 1
    ste S1 STRW=2 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; tlbi VAE2 va=0x1000
    r 0x1000 -> ok 0x5000 ; tlbi ALLE2 ; r 0x1000 -> ok 0x6000

  # 3.17 broadcast E2H PE does not touch EL2
    ste S1 STRW=2 ; cd ASET=0 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    tlbi VAE2 va=0x1000 e2h=1 asid=5 ; r 0x1000 -> ok 0x5000 ; tlbi VAE2 va=0x1000 ; r 0x1000 -> ok 0x6000

  # 3.17 broadcast IPAS2E1
    ste S2 ; r 0x40000000 -> ok 0x40000000 ; s2 0x40000000 0 L1 ; tlbi IPAS2E1 ipa=0x40000000 vmid=2
    r 0x40000000 -> ok 0x40000000 ; tlbi IPAS2E1 ipa=0x40000000 vmid=3 ; r 0x40000000 -> ok 0x0

  # 3.17 broadcast VMW
    cr0 VMW=1 ; ste S1 S2VMID=3 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000
    tlbi VMALLE1 vmid=2 ; r 0x1000 -> ok 0x6000

  # 3.17 b no EL2: VMID 0
    ste S1 S2VMID=3 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000 ; s1 0x1000 0x6000 ; tlbi VMALLE1 vmid=3 el2=0
    r 0x1000 -> ok 0x5000
  `),
  )('$title', (each) => expect(wrongAnswers(each)).toEqual([]));
});
