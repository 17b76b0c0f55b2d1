/**
 * Permissions of both stages, and the overrides of the STE (13.1, 13.4, 5.2, 5.4), as plain scenarios.
 * Written from IHI 0070 G.b without a look at the model, each case under its section; `spec-world.ts` says how
 * the steps read.
 */
import { describe, expect, it } from 'vitest';
import { specCases } from '../../support/spec-cases.ts';
import { wrongAnswers } from '../../support/spec-world.ts';

describe('a page', () => {
  it.each(
    specCases(`
  # 13.4 AP0 user
    s1 0x1000 0x5000 AF,AP0 ; r 0x1000 -> abort F_PERMISSION/r s1.IN ; w 0x1000 -> abort F_PERMISSION/w s1.IN
    x 0x1000 -> ok 0x5000 ; r 0x1000 p -> ok 0x5000 ; w 0x1000 p -> ok 0x5000 ; x 0x1000 p -> ok 0x5000

  # 13.4 AP0 UXN
    s1 0x1000 0x5000 AF,AP0,UXN ; x 0x1000 -> abort F_PERMISSION/rx s1.IN ; x 0x1000 p -> ok 0x5000

  # 13.4 AP1
    s1 0x1000 0x5000 AF,AP1 ; x 0x1000 -> ok 0x5000 ; x 0x1000 p -> abort F_PERMISSION/rxp s1.IN
    r 0x1000 p -> ok 0x5000

  # 13.4 AP2
    s1 0x1000 0x5000 AF,AP2 ; r 0x1000 -> abort F_PERMISSION/r s1.IN ; r 0x1000 p -> ok 0x5000
    w 0x1000 p -> abort F_PERMISSION/wp s1.IN ; x 0x1000 p -> ok 0x5000 ; x 0x1000 -> ok 0x5000

  # 13.4 AP3 PXN
    s1 0x1000 0x5000 AF,AP3,PXN ; r 0x1000 -> ok 0x5000 ; w 0x1000 -> abort F_PERMISSION/w s1.IN
    x 0x1000 p -> abort F_PERMISSION/rxp s1.IN ; x 0x1000 -> ok 0x5000

  # 13.4 WXN AP0
    cd WXN=1 ; s1 0x1000 0x5000 AF,AP0 ; x 0x1000 -> ok 0x5000 ; x 0x1000 p -> abort F_PERMISSION/rxp s1.IN

  # 13.4 WXN AP1
    cd WXN=1 ; s1 0x1000 0x5000 AF,AP1 ; x 0x1000 -> abort F_PERMISSION/rx s1.IN
    x 0x1000 p -> abort F_PERMISSION/rxp s1.IN

  # 13.4 WXN AP2 AP3
    cd WXN=1 ; s1 0x1000 0x5000 AF,AP2 ; s1 0x2000 0x6000 AF,AP3 ; x 0x1000 -> ok 0x5000
    x 0x1000 p -> ok 0x5000 ; x 0x2000 -> ok 0x6000 ; x 0x2000 p -> ok 0x6000

  # 13.4 WXN writable-clean with HD
    cd WXN=1 HA=1 HD=1 ; s1 0x1000 0x5000 AF,AP3,DBM ; x 0x1000 -> abort F_PERMISSION/rx s1.IN
    x 0x1000 p -> abort F_PERMISSION/rxp s1.IN

  # 13.4 WXN writable-clean without HD
    cd WXN=1 HA=1 ; s1 0x1000 0x5000 AF,AP3,DBM ; x 0x1000 -> ok 0x5000 ; x 0x1000 p -> ok 0x5000

  # 13.4 uw implies PXN, clean with HD
    cd HA=1 HD=1 ; s1 0x1000 0x5000 AF,AP3,DBM ; x 0x1000 p -> abort F_PERMISSION/rxp s1.IN
    x 0x1000 -> ok 0x5000

  # 13.4 UWXN ignored
    cd UWXN=1 ; s1 0x1000 0x5000 AF,AP1 ; x 0x1000 -> ok 0x5000

  # 5.4 PAN
    cd PAN=1 ; s1 0x1000 0x5000 AF,AP1 ; s1 0x2000 0x6000 AF,AP0 ; s1 0x3000 0x7000 AF,AP3
    r 0x1000 p -> abort F_PERMISSION/rp s1.IN ; w 0x1000 p -> abort F_PERMISSION/wp s1.IN
    r 0x1000 -> ok 0x5000 ; r 0x2000 p -> ok 0x6000 ; r 0x3000 p -> abort F_PERMISSION/rp s1.IN
    x 0x3000 p -> ok 0x7000

  # 5.4 PAN without EPAN: user exec only is no access
    cd PAN=1 ; s1 0x1000 0x5000 AF,AP0 ; r 0x1000 p -> ok 0x5000

  # 5.4 EPAN
    idr EPAN=1 ; cd PAN=1 EPAN=1 ; s1 0x1000 0x5000 AF,AP0 ; s1 0x2000 0x6000 AF,AP0,UXN
    r 0x1000 p -> abort F_PERMISSION/rp s1.IN ; w 0x1000 p -> abort F_PERMISSION/wp s1.IN
    x 0x1000 p -> ok 0x5000 ; r 0x2000 p -> ok 0x6000

  # 5.4 EPAN without IDR3.EPAN
    cd PAN=1 EPAN=1 ; s1 0x1000 0x5000 AF,AP0 ; r 0x1000 p -> ok 0x5000

  # 5.4 PAN APTable removes user
    cd PAN=1 ; s1 0x1000 0x5000 AF,AP1 ; s1t 0x1000 L1 APT1 ; r 0x1000 p -> ok 0x5000
    r 0x1000 -> abort F_PERMISSION/r s1.IN

  # 5.4 PAN with HD and clean
    cd PAN=1 HA=1 HD=1 ; s1 0x1000 0x5000 AF,AP2,DBM ; w 0x1000 p -> ok 0x5000 ; s1? 0x1000 -> 0x8000000005403

  # 5.4 PAN stops HTTU
    cd PAN=1 HA=1 HD=1 ; s1 0x1000 0x5000 AF,AP3,DBM ; w 0x1000 p -> abort F_PERMISSION/wp s1.IN
    s1? 0x1000 -> 0x80000000054c3

  # 13.4 APTable ro
    s1 0x1000 0x5000 AF,AP1 ; s1t 0x1000 L2 APT2 ; r 0x1000 -> ok 0x5000
    w 0x1000 -> abort F_PERMISSION/w s1.IN ; w 0x1000 p -> abort F_PERMISSION/wp s1.IN ; x 0x1000 p -> ok 0x5000

  # 13.4 APTable ro blocks HTTU dirty
    cd HA=1 HD=1 ; s1 0x1000 0x5000 AF,AP3,DBM ; s1t 0x1000 L0 APT2 ; w 0x1000 -> abort F_PERMISSION/w s1.IN
    s1? 0x1000 -> 0x80000000054c3

  # 13.4 XNTables
    s1 0x1000 0x5000 AF,AP3 ; s1t 0x1000 L0 UXNT ; s1 0x40001000 0x6000 AF,AP3 ; s1t 0x40001000 L2 PXNT
    x 0x1000 -> abort F_PERMISSION/rx s1.IN ; x 0x40001000 -> abort F_PERMISSION/rx s1.IN
    x 0x40001000 p -> abort F_PERMISSION/rxp s1.IN

  # 5.4 HAD
    cd HAD0=1 ; s1 0x1000 0x5000 AF,AP1 ; s1t 0x1000 L0 UXNT,PXNT,APT3 ; x 0x1000 -> ok 0x5000
    w 0x1000 -> ok 0x5000

  # 5.4 HAD without IDR3.HAD
    idr HAD=0 ; cd HAD0=1 ; s1 0x1000 0x5000 AF,AP1 ; s1t 0x1000 L0 APT2
    w 0x1000 -> abort F_PERMISSION/w s1.IN

  # 13.1 INSTCFG data
    ste S1 INSTCFG=2 ; s1 0x1000 0x5000 AF,AP1,UXN ; x 0x1000 -> ok 0x5000

  # 13.1 INSTCFG inst reads only
    ste S1 INSTCFG=3 ; s1 0x1000 0x5000 AF,AP1,UXN ; r 0x1000 -> abort F_PERMISSION/rx s1.IN
    w 0x1000 -> ok 0x5000

  # 13.1 INSTCFG reserved
    ste S1 INSTCFG=1 PRIVCFG=1 ; s1 0x1000 0x5000 AF,AP0,UXN ; x 0x1000 -> abort F_PERMISSION/rx s1.IN
    r 0x1000 p -> ok 0x5000 ; r 0x1000 -> abort F_PERMISSION/r s1.IN

  # 13.1 PRIVCFG priv
    ste S1 PRIVCFG=3 ; s1 0x1000 0x5000 AF,AP0 ; r 0x1000 -> ok 0x5000 ; w 0x1000 -> ok 0x5000
    x 0x2000 -> abort F_TRANSLATION/rxp s1.IN

  # 13.1 PRIVCFG unpriv
    ste S1 PRIVCFG=2 ; s1 0x1000 0x5000 AF,AP0 ; r 0x1000 p -> abort F_PERMISSION/r s1.IN

  # 13.1 overrides without ATTR_PERMS_OVR
    idr ATTR_PERMS_OVR=0 ; ste S1 PRIVCFG=3 INSTCFG=3 ; s1 0x1000 0x5000 AF,AP1,UXN,PXN ; r 0x1000 -> ok 0x5000

  # 13.1 write exec is data
    s1 0x1000 0x5000 AF,AP1,UXN ; w 0x1000 x -> ok 0x5000 ; w 0x2000 x -> abort F_TRANSLATION/w s1.IN

  # 5.2 EL2: AP1 taken 1, priv ignored
    ste S1 STRW=2 ; s1 0x1000 0x5000 AF,AP0 ; s1 0x2000 0x6000 AF,AP2 ; s1 0x3000 0x7000 AF,AP1,UXN
    s1 0x4000 0x8000 AF,AP1,PXN ; r 0x1000 -> ok 0x5000 ; w 0x1000 -> ok 0x5000 ; x 0x1000 -> ok 0x5000
    w 0x2000 -> abort F_PERMISSION/w s1.IN ; r 0x2000 -> ok 0x6000 ; x 0x3000 -> abort F_PERMISSION/rx s1.IN
    x 0x4000 p -> ok 0x8000

  # 5.2 EL2: PAN ignored, E0PD ignored
    ste S1 STRW=2 ; cd PAN=1 E0PD0=1 ; s1 0x1000 0x5000 AF,AP1 ; r 0x1000 p -> ok 0x5000 ; r 0x1000 -> ok 0x5000

  # 5.2 EL2: EPD ignored
    ste S1 STRW=2 ; cd EPD0=1 ; s1 0x1000 0x5000 AF,AP1 ; r 0x1000 -> ok 0x5000

  # 5.2 EL2: WXN
    ste S1 STRW=2 ; cd WXN=1 ; s1 0x1000 0x5000 AF,AP1 ; s1 0x2000 0x6000 AF,AP3
    x 0x1000 -> abort F_PERMISSION/rx s1.IN ; x 0x2000 p -> ok 0x6000

  # 5.2 EL2: high address faults
    ste S1 STRW=2 ; cd EPD1=0 T1SZ=16 TG1=2 ; r 0xffff000000001000 -> abort F_TRANSLATION/r s1.IN

  # 5.2 EL2: T1SZ garbage ignored
    ste S1 STRW=2 ; cd EPD1=0 T1SZ=1 TG1=0 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000

  # 5.2 EL2: APTable[0] and PXNTable ignored
    ste S1 STRW=2 ; s1 0x1000 0x5000 AF,AP1 ; s1t 0x1000 L1 APT1,PXNT ; r 0x1000 -> ok 0x5000
    x 0x1000 p -> ok 0x5000

  # 5.2 EL2: XNTable
    ste S1 STRW=2 ; s1 0x1000 0x5000 AF,AP1 ; s1t 0x1000 L1 UXNT ; x 0x1000 p -> abort F_PERMISSION/rxp s1.IN

  # 5.2 E2H like EL1
    cr2 E2H=1 ; ste S1 STRW=2 ; cd PAN=1 ; s1 0x1000 0x5000 AF,AP1 ; s1 0x2000 0x6000 AF,AP0
    r 0x1000 p -> abort F_PERMISSION/rp s1.IN ; r 0x1000 -> ok 0x5000 ; r 0x2000 -> abort F_PERMISSION/r s1.IN
    r 0x2000 p -> ok 0x6000 ; x 0x1000 p -> abort F_PERMISSION/rxp s1.IN

  # 5.2 E2H EPD1
    cr2 E2H=1 ; ste S1 STRW=2 ; cd EPD0=1 ; s1 0x1000 0x5000 ; r 0x1000 -> abort F_TRANSLATION/r s1.IN

  # 5.2 STRW reserved
    ste S1 STRW=1 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 STRW reserved 3 with stage 2 ignored
    ste S2 STRW=3 ; r 0x1000 -> ok 0x1000

  # 5.2 STRW reserved bypass
    ste BYPASS STRW=3 ; r 0x1000 -> ok 0x1000

  # 5.2 STRW reserved no Hyp
    idr Hyp=0 ; ste S1 STRW=1 ; s1 0x1000 0x5000 ; r 0x1000 -> ok 0x5000

  # 5.2 nested STRW 2 is EL1
    ste NEST STRW=2 ; s1 0x1000 0x5000 AF,AP0 ; r 0x1000 -> abort F_PERMISSION/r s1.IN

  # 5.4 E0PD
    cd E0PD0=1 ; s1 0x1000 0x5000 AF,AP1 ; r 0x1000 -> abort F_TRANSLATION/r s1.IN ; r 0x1000 p -> ok 0x5000
    x 0x1000 -> abort F_TRANSLATION/rx s1.IN

  # 5.4 E0PD0 not IDR3
    idr E0PD=0 ; cd E0PD0=1 ; s1 0x1000 0x5000 AF,AP1 ; r 0x1000 -> ok 0x5000

  # 13.1 E0PD with PRIVCFG
    ste S1 PRIVCFG=2 ; cd E0PD0=1 ; s1 0x1000 0x5000 AF,AP1 ; r 0x1000 p -> abort F_TRANSLATION/r s1.IN

  # 5.4 E0PD over AF and size
    cd E0PD0=1 ; s1 0x1000 0x5000 AP1 ; r 0x1000 -> abort F_TRANSLATION/r s1.IN

  # 13.4 S2AP none
    ste S2 ; s2 0x40000000 0x40000000 L1 AF,S0,MAF ; r 0x40000000 -> abort F_PERMISSION/r s2.IN ipa=0x40000000
    w 0x40000000 -> abort F_PERMISSION/w s2.IN ipa=0x40000000 ; x 0x40000000 -> ok 0x40000000

  # 13.4 S2AP ro
    ste S2 ; s2 0x40000000 0x40000000 L1 AF,S1,MAF ; r 0x40000000 -> ok 0x40000000
    w 0x40000000 -> abort F_PERMISSION/w s2.IN ipa=0x40000000 ; x 0x40000000 -> ok 0x40000000

  # 13.4 S2AP wo
    ste S2 ; s2 0x40000000 0x40000000 L1 AF,S2,MAF ; r 0x40000000 -> abort F_PERMISSION/r s2.IN ipa=0x40000000
    w 0x40000000 -> ok 0x40000000

  # 13.4 XN 2 all
    ste S2 ; s2 0x40000000 0x40000000 L1 AF,S3,MAF,X2
    x 0x40000000 -> abort F_PERMISSION/rx s2.IN ipa=0x40000000
    x 0x40000000 p -> abort F_PERMISSION/rxp s2.IN ipa=0x40000000

  # 13.4 XN 1 priv never
    ste S2 ; s2 0x40000000 0x40000000 L1 AF,S3,MAF,X1 ; x 0x40000000 -> ok 0x40000000
    x 0x40000000 p -> abort F_PERMISSION/rxp s2.IN ipa=0x40000000

  # 13.4 XN 3 user never
    ste S2 ; s2 0x40000000 0x40000000 L1 AF,S3,MAF,X3
    x 0x40000000 -> abort F_PERMISSION/rx s2.IN ipa=0x40000000 ; x 0x40000000 p -> ok 0x40000000

  # 13.4 no XNX: XN[0] ignored
    idr XNX=0 ; ste S2 ; s2 0x40000000 0x40000000 L1 AF,S3,MAF,X1 ; s2 0x80000000 0x40000000 L1 AF,S3,MAF,X3
    x 0x40000000 p -> ok 0x40000000 ; x 0x80000000 p -> abort F_PERMISSION/rxp s2.IN ipa=0x80000000
    x 0x80000000 -> abort F_PERMISSION/rx s2.IN ipa=0x80000000

  # 7.3.22 nested: both
    ste NEST ; s1 0x1000 0x40005000 AF,AP1 ; s2 0x40000000 0x40000000 L1 AF,S1,MAF,X2
    r 0x1000 -> ok 0x40005000 ; w 0x1000 -> abort F_PERMISSION/w s2.IN ipa=0x40005000
    x 0x1000 -> abort F_PERMISSION/rx s2.IN ipa=0x40005000

  # 7.3.22 nested: priv with XNX
    ste NEST ; s1 0x1000 0x40005000 AF,AP3 ; s2 0x40000000 0x40000000 L1 AF,S3,MAF,X1
    x 0x1000 -> ok 0x40005000 ; x 0x1000 p -> abort F_PERMISSION/rxp s2.IN ipa=0x40005000

  # 7.3.22 nested: S1 wins over S2
    ste NEST ; s1 0x1000 0x40005000 AF,AP3 ; s2at 0x40000000 L1 0 ; w 0x1000 -> abort F_PERMISSION/w s1.IN
    r 0x1000 -> abort F_TRANSLATION/r s2.IN ipa=0x40005000

  # 7.3.22 nested: stage 1 AF before perm
    ste NEST ; s1 0x1000 0x40005000 AP3 ; w 0x1000 -> abort F_ACCESS/w s1.IN

  # 7.3.22 nested: TT perm read
    ste NEST ; s1 0x1000 0x5000 ; s2at 0x0 L1 0x900003 ; s2 0x20000 0x20000 ; s2 0x100000 0x100000 AF,S2,MAF
    w 0x1000 p -> abort F_PERMISSION/wp s2.TT ipa=0x100000 ttr

  # 7.3.22 nested: TT exec is data
    ste NEST ; s1 0x1000 0x5000 AF,AP3 ; s2 0 0 L1 AF,S3,MAF,X2
    x 0x1000 -> abort F_PERMISSION/rx s2.IN ipa=0x5000

  # 5.2 nested: PTW device
    ste NEST S2PTW=1 ; s1 0x1000 0x5000 ; s2at 0x0 L1 0x900003 ; s2 0x20000 0x20000
    s2 0x100000 0x100000 AF,S3,MA1 ; r 0x1000 -> abort F_PERMISSION/r s2.TT ipa=0x100000 ttr

  # 5.2 nested: PTW device with FWB
    ste NEST S2PTW=1 S2FWB=1 ; s1 0x1000 0x5000 ; s2at 0x0 L1 0x900003 ; s2 0x20000 0x20000 AF,S3
    s2 0x100000 0x100000 AF,S3 ; r 0x1000 -> abort F_PERMISSION/r s2.CD ipa=0x20000

  # 5.2 PTW ignored S2 only
    ste S2 S2PTW=1 ; s2 0x40000000 0x40000000 L1 AF,S3,MA1 ; r 0x40000000 -> ok 0x40000000
  `),
  )('$title', (each) => expect(wrongAnswers(each)).toEqual([]));
});
