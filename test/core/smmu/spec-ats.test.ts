/**
 * ATS: answers, Translated transactions, the ATC and its invalidation (3.9, 4.5, 13.6, 13.7), as plain scenarios.
 * Written from IHI 0070 G.b without a look at the model, each case under its section; `spec-world.ts` says how
 * the steps read.
 */
import { describe, expect, it } from 'vitest';
import { specCases } from '../../support/spec-cases.ts';
import { wrongAnswers } from '../../support/spec-world.ts';

describe('a request or a transaction', () => {
  it.each(
    specCases(`
  # 13.7 basic rw
    ste S1 EATS=1 ; s1 0x1000 0x5000 ; ats 0x1008 w -> ok 0x5008 0x1000 rw ; ats 0x1008 -> ok 0x5008 0x1000 rw

  # 3.13.7 ro
    ste S1 EATS=1 ; s1 0x1000 0x5000 AF,AP3,nG ; ats 0x1000 w -> ok 0x5000 0x1000 r

  # 3.13.7 none
    ste S1 EATS=1 ; s1 0x1000 0x5000 AF,AP0 ; ats 0x1000 w -> ok 0x1000 none

  # 3.13.7 priv
    ste S1 EATS=1 S1CDMax=1 ; cd@0x20040 ; s1 0x1000 0x5000 AF,AP2,PXN,UXN
    ats 0x1000 w p ss=1 -> ok 0x5000 0x1000 r ; ats 0x1000 w ss=1 -> ok 0x1000 none

  # 3.13.7 exec
    ste S1 EATS=1 S1CDMax=1 ; cd@0x20040 ; s1 0x1000 0x5000 AF,AP3,PXN
    ats 0x1000 x ss=1 -> ok 0x5000 0x1000 rx ; ats 0x1000 ss=1 -> ok 0x5000 0x1000 r
    ats 0x1000 x ss=1 p -> ok 0x5000 0x1000 r

  # 3.13.7 exec-only
    ste S1 EATS=1 S1CDMax=1 ; cd@0x20040 ; s1 0x1000 0x5000 AF,AP0,PXN ; ats 0x1000 x ss=1 -> ok 0x1000 none

  # 3.13.7 exec-only INSTCFG=3
    ste S1 EATS=1 S1CDMax=1 INSTCFG=3 ; cd@0x20040 ; s1 0x1000 0x5000 AF,AP0,PXN
    ats 0x1000 x ss=1 -> ok 0x5000 0x1000 rx ; ats 0x1000 ss=1 -> ok 0x5000 0x1000 r

  # 3.13.7 INSTCFG=3 w
    ste S1 EATS=1 S1CDMax=1 INSTCFG=3 ; cd@0x20040 ; s1 0x1000 0x5000 AF,AP1,UXN
    ats 0x1000 w ss=1 -> ok 0x5000 0x1000 w

  # 3.13.7 INSTCFG=2 data: X=R
    ste S1 EATS=1 S1CDMax=1 INSTCFG=2 ; cd@0x20040 ; s1 0x1000 0x5000 AF,AP3,UXN
    ats 0x1000 x ss=1 -> ok 0x5000 0x1000 rx

  # 3.13.7 PRIVCFG=2
    ste S1 EATS=1 S1CDMax=1 PRIVCFG=2 ; cd@0x20040 ; s1 0x1000 0x5000 AF,AP3
    ats 0x1000 w p ss=1 -> ok 0x5000 0x1000 r

  # 3.13.7 PRIVCFG=3
    ste S1 EATS=1 PRIVCFG=3 ; s1 0x1000 0x5000 AF,AP0 ; ats 0x1000 w -> ok 0x5000 0x1000 rw

  # 3.13.7 no PASID: exec not granted
    ste S1 EATS=1 ; s1 0x1000 0x5000 AF,AP3 ; ats 0x1000 x -> ok 0x5000 0x1000 r

  # 13.7 fault
    ste S1 EATS=1 ; ats 0x1000 w -> ok 0x1000 none

  # 13.7 fault with A=0 S=1
    ste S1 EATS=1 ; cd A=0 S=1 ; ats 0x1000 w -> ok 0x1000 none

  # 3.13.7 AF=0
    ste S1 EATS=1 ; s1 0x1000 0x5000 AP1 ; ats 0x1000 w -> ok 0x1000 none ; s1? 0x1000 -> 0x5043

  # 3.13.7 AF HA
    ste S1 EATS=1 ; cd HA=1 ; s1 0x1000 0x5000 AP1 ; ats 0x1000 -> ok 0x5000 0x1000 rw ; s1? 0x1000 -> 0x5443

  # 3.13.7 HD NW=0
    ste S1 EATS=1 ; cd HA=1 HD=1 ; s1 0x1000 0x5000 AP3,DBM ; ats 0x1000 -> ok 0x5000 0x1000 r
    s1? 0x1000 -> 0x80000000054c3 ; ats 0x1000 w -> ok 0x5000 0x1000 rw ; s1? 0x1000 -> 0x8000000005443

  # 3.13.7 HD NW=0 priv only page at unpriv
    ste S1 EATS=1 ; cd HA=1 HD=1 ; s1 0x1000 0x5000 AF,AP2,DBM ; ats 0x1000 w -> ok 0x1000 none
    s1? 0x1000 -> 0x8000000005483

  # 13.7 grantWriteUnasked=false
    choice grantWriteUnasked=false ; ste S1 EATS=1 ; s1 0x1000 0x5000 ; ats 0x1000 -> ok 0x5000 0x1000 r
    ats 0x1000 w -> ok 0x5000 0x1000 rw

  # 3.9.1.2 SMMUEN=0
    ste S1 EATS=1 ; reg CR0 0xc ; ats 0x1000 -> ur F_BAD_ATS_TREQ

  # 3.9.1.2 Config=0 aborts, with no record
    ste ABORT EATS=1 ; ats 0x1000 -> ur

  # 3.9.1.2 bypass cfg
    ste BYPASS EATS=1 ; ats 0x1000 -> ur F_BAD_ATS_TREQ

  # 3.9.1.2 eats 0
    ste S1 ; s1 0x1000 0x5000 ; ats 0x1000 -> ur F_BAD_ATS_TREQ

  # 3.9.1.2 eats 2 atschk 0
    cr0 ATSCHK=0 ; ste NEST EATS=2 ; ats 0x1000 -> ur F_BAD_ATS_TREQ

  # 3.9.1.2 eats 3 reserved
    ste S1 EATS=3 ; ats 0x1000 -> ur F_BAD_ATS_TREQ

  # 3.9.1.2 bad ste
    ste S1 EATS=1 V=0 ; ats 0x1000 -> ca

  # 3.9.1.2 bad ste rec
    cr2 REC_CFG_ATS=1 ; ste S1 EATS=1 V=0 ; ats 0x1000 -> ca C_BAD_STE

  # 3.9.1.2 bad sid no rec
    cr2 RECINVSID=1 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 3 ; reg CR0 0xd ; ats 0x1000 -> ca

  # 3.9.1.2 bad sid rec
    cr2 RECINVSID=1 REC_CFG_ATS=1 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 3 ; reg CR0 0xd
    ats 0x1000 -> ca C_BAD_STREAMID

  # 3.9.1.2 bad sid rec no recinv
    cr2 REC_CFG_ATS=1 ; reg CR0 0xc ; reg STRTAB_BASE_CFG 3 ; reg CR0 0xd ; ats 0x1000 -> ca

  # 3.9.1.2 bad ssid
    ste S1 EATS=1 ; ats 0x1000 ss=1 -> ca

  # 3.9.1.2 bad ssid eats 0 first
    ste S1 EATS=0 ; ats 0x1000 ss=1 -> ur F_BAD_ATS_TREQ

  # 3.9.1.2 stream disabled
    ste S1 EATS=1 S1CDMax=1 ; ats 0x1000 -> ca

  # 3.9.1.2 ss0 dss 2
    ste S1 EATS=1 S1CDMax=1 S1DSS=2 ; s1 0x1000 0x5000 ; ats 0x1000 ss=0 -> ca
    ats 0x1000 -> ok 0x5000 0x1000 rw

  # 3.9.1.2 bad cd
    ste S1 EATS=1 ; cd V=0 ; ats 0x1000 -> ca

  # 3.9.1.2 bad cd rec
    cr2 REC_CFG_ATS=1 ; ste S1 EATS=1 ; cd V=0 ; ats 0x1000 -> ca C_BAD_CD

  # 3.9.1.2 eabt
    ste S1 EATS=1 ; s1at 0x1000 L1 0x200000003 ; ats 0x1000 -> ca

  # 3.9.1.2 eabt rec
    cr2 REC_CFG_ATS=1 ; ste S1 EATS=1 ; s1at 0x1000 L1 0x200000003
    ats 0x1000 w -> ca F_WALK_EABT/r s1.TT @0x200000000

  # 13.7 cd fetch s2 fault
    ste NEST EATS=1 ; s2at 0 L1 0 ; ats 0x1000 w -> ok 0x1000 none

  # 3.13.7 tt s2 perm fault
    ste NEST EATS=1 ; s1 0x1000 0x5000 ; s2at 0x0 L1 0x900003 ; s2 0x20000 0x20000
    s2 0x100000 0x100000 AF,S2,MAF ; ats 0x1000 w -> ok 0x1000 none

  # 13.6 dss1 s1 only identity
    ste S1 EATS=1 S1CDMax=1 S1DSS=1 ; ats 0x12345678 w -> ok 0x12345678 0x1000000000000 rw
    ats 0x12345678 -> ok 0x12345678 0x1000000000000 rw

  # 13.6 dss1 beyond IAS
    ste S1 EATS=1 S1CDMax=1 S1DSS=1 ; ats 0x1000000000000 w -> ok 0x1000 none

  # 13.6 dss1 nested
    ste NEST EATS=1 S1CDMax=1 S1DSS=1 ; s2 0x40000000 0x80000000 L1 AF,S1,MAF
    ats 0x40000010 w -> ok 0x80000010 0x40000000 r

  # 13.6 dss1 split
    ste NEST EATS=2 S1CDMax=1 S1DSS=1 ; s2 0x40000000 0x80000000 L1 AF,S1,MAF
    ats 0x40000010 w -> ok 0x40000010 0x40000000 r ; r 0x40000010 t -> ok 0x80000010 ; w 0x40000010 t -> abort

  # 13.6.3 split
    ste NEST EATS=2 ; s1 0x1000 0x40005000 ; s2 0x40000000 0x80000000 L1
    ats 0x1010 w -> ok 0x40005010 0x1000 rw ; r 0x1010 t -> ok 0x80005010

  # 13.6.3 split block size is the least
    ste NEST EATS=2 ; s1 0x200000 0x40000000 L2 ; s2 0x40000000 0x80000000
    ats 0x200010 w -> ok 0x40000010 0x1000 rw

  # 13.6.3 split s2 fault at TR
    ste NEST EATS=2 ; s1 0x1000 0x40005000 ; s2at 0x40000000 L1 0 ; ats 0x1010 w -> ok 0x1000 none

  # 13.6.3 split s2 fault later
    ste NEST EATS=2 ; s1 0x1000 0x40005000 ; ats 0x1010 w -> ok 0x40005010 0x1000 rw ; s2at 0x40000000 L1 0
    cmd CMD_TLBI_S12_VMALL VMID=3 ; r 0x1010 t -> abort F_TRANSLATION/r s2.IN ipa=0x40005000

  # 13.6.3 split beyond IAS
    ste NEST EATS=2 ; r 0x1000000000000 t -> abort F_ADDR_SIZE/r s1.IN

  # 3.13.7 full nested
    ste NEST EATS=1 ; s1 0x1000 0x40005000 ; s2 0x40000000 0x80000000 L1 AF,S1,MAF
    ats 0x1010 w -> ok 0x80005010 0x1000 r ; r 0x1010 t -> ok 0x80005010

  # 3.13.7 nested s1 RO: no s2 dirty
    ste NEST EATS=1 S2HA=1 S2HD=1 ; cd HA=1 HD=1 ; s1 0x1000 0x40005000 AF,AP3
    s2 0x40000000 0x80000000 L1 AF,S1,MAF,DBM ; ats 0x1010 w -> ok 0x80005010 0x1000 r
    s2? 0x40000000 L1 -> 0x800008000047d

  # 3.13.7 nested s1 clean s2 RO: s1 dirty?
    ste NEST EATS=1 S2HA=1 S2HD=1 ; cd HA=1 HD=1 ; s1 0x1000 0x40005000 AF,AP3,DBM
    s2 0x40000000 0x80000000 L1 AF,S3,MAF,DBM ; ats 0x1010 w -> ok 0x80005010 0x1000 rw
    s1? 0x1000 -> 0x8000040005443

  # 3.13.7 s1 no perm stops s2
    ste NEST EATS=1 S2HA=1 ; s1 0x1000 0x40005000 AF,AP0 ; s2 0x40000000 0x80000000 L1 S3,MAF
    ats 0x1010 w -> ok 0x1000 none ; s2? 0x40000000 L1 -> 0x800000fd

  # 13.6.3 XNX priv in split
    ste NEST EATS=1 S1CDMax=1 ; cd@0x20040 ; s1 0x1000 0x40005000 AF,AP3
    s2 0x40000000 0x80000000 L1 AF,S3,MAF,X1 ; ats 0x1000 x p ss=1 -> ok 0x80005000 0x1000 r
    ats 0x1000 x ss=1 -> ok 0x80005000 0x1000 rx

  # 3.9.1.3 translated EATS=0 ATSCHK=0
    cr0 ATSCHK=0 ; ste S1 ; r 0x40000 t -> ok 0x40000

  # 3.9.1.3 translated EATS=0 ATSCHK=1
    ste S1 ; r 0x40000 t -> abort F_TRANSL_FORBIDDEN

  # 3.9.1.3 translated V=0 ATSCHK=0
    cr0 ATSCHK=0 ; ste S1 V=0 ; r 0x40000 t -> ok 0x40000

  # 3.9.1.3 translated V=0 ATSCHK=1
    ste S1 V=0 EATS=1 ; r 0x40000 t -> abort

  # 3.9.1.3 translated V=0 REC
    cr2 REC_CFG_ATS=1 ; ste S1 V=0 EATS=1 ; r 0x40000 t -> abort C_BAD_STE

  # 3.9.1.3 translated abort cfg
    ste ABORT EATS=1 ; r 0x40000 t -> abort

  # 3.9.1.3 translated bypass
    ste BYPASS EATS=1 ; r 0x40000 t -> abort F_TRANSL_FORBIDDEN

  # 3.9.1.3 translated bad sid REC w/o RECINVSID
    cr2 REC_CFG_ATS=1 ; reg CR0 0x1c ; reg STRTAB_BASE_CFG 3 ; reg CR0 0x1d ; r 0x1000 t -> abort C_BAD_STREAMID

  # 3.9.1.3 translated bad sid no REC
    cr2 RECINVSID=1 ; reg CR0 0x1c ; reg STRTAB_BASE_CFG 3 ; reg CR0 0x1d ; r 0x1000 t -> abort

  # 3.9.1.3 translated beyond OAS
    ste S1 EATS=1 ; r 0x1000000000000 t -> abort

  # 3.9.1.3 translated beyond OAS trunc
    choice truncateTranslated=true ; ste S1 EATS=1 ; r 0x1000000040000 t -> ok 0x40000

  # 3.9.1.3 translated ssid no PASIDTT ignored
    ste S1 EATS=1 ; r 0x40000 t ss=5 -> ok 0x40000

  # 3.9.1.3 translated no PASIDTT S1CDMax S1DSS=0
    ste S1 EATS=1 S1CDMax=2 ; r 0x40000 t ss=1 -> ok 0x40000 ; r 0x40000 t -> ok 0x40000

  # 3.9.1.3 translated PASIDTT bad ssid
    idr PASIDTT=1 ; ste S1 EATS=1 ; r 0x40000 t ss=5 -> abort

  # 3.9.1.3 translated PASIDTT bad ssid REC
    idr PASIDTT=1 ; cr2 REC_CFG_ATS=1 ; ste S1 EATS=1 ; r 0x40000 t ss=5 -> abort C_BAD_SUBSTREAMID

  # 13.6.3 split, PASIDTT=0: data unpriv
    ste NEST EATS=2 S1CDMax=1 ; cd@0x20040 ; s1 0x1000 0x40005000 AF,AP3
    s2 0x40000000 0x80000000 L1 AF,S0,MAF,X3
    x 0x40005000 p t ss=1 -> abort F_PERMISSION/r s2.IN ipa=0x40005000

  # 13.6.3 split, INSTCFG applies
    ste NEST EATS=2 INSTCFG=3 PRIVCFG=3 ; s2 0x40000000 0x80000000 L1 AF,S0,MAF,X3
    r 0x40005000 t -> ok 0x80005000

  # 3.9.1.2 eats 1 with S2 only
    ste S2 EATS=1 ; s2 0x40000000 0x80000000 L1 ; ats 0x40001000 w -> ok 0x80001000 0x40000000 rw
    ats 0x8000000000 -> ok 0x1000 none ; ats 0x40001000 ss=1 -> ca

  # 13.7 STU 16K
    idr GRAN4K=0 ; cd TG0=2 ; ste S1 EATS=1 ; s1 0x4000 0x50000 ; ats 0x4000 -> ok 0x50000 0x4000 rw
    ats 0x8000 -> ok 0x4000 none

  # 13.7 block
    ste S1 EATS=1 ; s1 0x200000 0x80000000 L2 ; ats 0x234567 w -> ok 0x80034567 0x200000 rw

  # 13.7 TBI
    ste S1 EATS=1 ; cd TBI0=1 ; s1 0x1000 0x5000 ; ats 0xab00000000001010 -> ok 0x5010 0x1000 rw

  # 13.7 E0PD
    ste S1 EATS=1 ; cd E0PD0=1 ; s1 0x1000 0x5000 ; ats 0x1000 -> ok 0x1000 none

  # 3.13.7 PAN
    ste S1 EATS=1 S1CDMax=1 ; cd@0x20040 PAN=1 ; s1 0x1000 0x5000 AF,AP1 ; ats 0x1000 w p ss=1 -> ok 0x1000 none
  `),
  )('$title', (each) => expect(wrongAnswers(each)).toEqual([]));
});
