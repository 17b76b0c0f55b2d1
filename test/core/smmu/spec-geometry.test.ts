/**
 * Start levels, concatenation, sizes of input and output, 52 bits (3.4, 5.2, 5.4; Arm ARM D8.2), as plain scenarios.
 * Written from IHI 0070 G.b without a look at the model, each case under its section; `spec-world.ts` says how
 * the steps read.
 */
import { describe, expect, it } from 'vitest';
import { specCases } from '../../support/spec-cases.ts';
import { wrongAnswers } from '../../support/spec-world.ts';

describe('a table', () => {
  it.each(
    specCases(`
  # 5.2 4K SL0=1 T0SZ=24 (40 bits, 2 tables)
    ste S2 S2T0SZ=24 ; s2 0xff40001000 0x5000 ; r 0xff40001234 -> ok 0x5234

  # 5.2 4K SL0=1 T0SZ=21 (43 bits, 16 tables)
    ste S2 S2T0SZ=21 ; s2 0x7ff40001000 0x5000 ; r 0x7ff40001234 -> ok 0x5234

  # 5.2 4K SL0=1 T0SZ=20 too many
    ste S2 S2T0SZ=20 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 4K SL0=1 T0SZ=33
    ste S2 S2T0SZ=33 ; s2 0x40001000 0x5000 ; r 0x40001000 -> ok 0x5000
    r 0x80000000 -> abort F_TRANSLATION/r s2.IN ipa=0x80000000

  # 5.2 4K SL0=1 T0SZ=34 (30 bits) must be level 2
    ste S2 S2T0SZ=34 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 4K SL0=0 T0SZ=34
    ste S2 S2T0SZ=34 S2SL0=0 ; s2 0x3ffff000 0x5000 ; r 0x3ffff000 -> ok 0x5000
    r 0x40000000 -> abort F_TRANSLATION/r s2.IN ipa=0x40000000

  # 5.2 4K SL0=0 T0SZ=30 (34 bits 16 tables at level 2)
    ste S2 S2T0SZ=30 S2SL0=0 ; s2 0x3fffff000 0x5000 ; r 0x3fffff000 -> ok 0x5000

  # 5.2 4K SL0=0 T0SZ=29
    ste S2 S2T0SZ=29 S2SL0=0 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 4K SL0=2 T0SZ=16
    ste S2 S2T0SZ=16 S2SL0=2 ; s2 0xff8000001000 0x5000 ; r 0xff8000001000 -> ok 0x5000

  # 5.2 4K SL0=2 T0SZ=20 (44 bits)
    ste S2 S2T0SZ=20 S2SL0=2 ; s2 0x80000001000 0x5000 ; r 0x80000001000 -> ok 0x5000

  # 5.2 4K SL0=2 T0SZ=21 (43 bits)
    ste S2 S2T0SZ=21 S2SL0=2 ; s2 0x40000001000 0x5000 ; r 0x40000001000 -> ok 0x5000

  # 5.2 4K SL0=2 T0SZ=24 (40 bits)
    ste S2 S2T0SZ=24 S2SL0=2 ; s2 0xff40001000 0x5000 ; r 0xff40001000 -> ok 0x5000

  # 5.2 4K SL0=2 T0SZ=25 (39) inconsistent
    ste S2 S2T0SZ=25 S2SL0=2 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 4K SL0=3 STT level 3 T0SZ=40
    ste S2 S2T0SZ=40 S2SL0=3 ; s2 0xff0000 0x5000 ; r 0xff0000 -> ok 0x5000

  # 5.2 4K SL0=3 no STT
    idr STT=0 ; ste S2 S2T0SZ=39 S2SL0=3 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 64K SL0=1 (level 2) T0SZ=22 (42 bits)
    ste S2 S2TG=1 S2SL0=1 S2T0SZ=22 ; s2 0x3fffff0000 0x50000 ; r 0x3fffff1234 -> ok 0x51234

  # 5.2 64K SL0=1 (level 2) T0SZ=18 (46 bits: 16 tables)
    ste S2 S2TG=1 S2SL0=1 S2T0SZ=18 ; s2 0x3ffffff20000 0x50000 ; r 0x3ffffff21234 -> ok 0x51234

  # 5.2 64K SL0=1 T0SZ=17
    ste S2 S2TG=1 S2SL0=1 S2T0SZ=17 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 64K SL0=2 (level 1) T0SZ=16
    ste S2 S2TG=1 S2SL0=2 S2T0SZ=16 ; s2 0xffff00020000 0x50000 ; r 0xffff00021234 -> ok 0x51234

  # 5.2 64K SL0=3 reserved
    ste S2 S2TG=1 S2SL0=3 S2T0SZ=30 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 64K SL0=0 (level 3) T0SZ=35 (29 bits)
    ste S2 S2TG=1 S2SL0=0 S2T0SZ=35 ; s2 0x1fff0000 0x50000 ; r 0x1fff1234 -> ok 0x51234

  # 5.2 16K SL0=1 (level 2) T0SZ=28 (36 bits)
    ste S2 S2TG=2 S2SL0=1 S2T0SZ=28 ; s2 0xfffff4000 0x50000 ; r 0xfffff5234 -> ok 0x51234

  # 5.2 16K SL0=2 (level 1) T0SZ=17
    ste S2 S2TG=2 S2SL0=2 S2T0SZ=17 ; s2 0x7ffffff34000 0x50000 ; r 0x7ffffff35234 -> ok 0x51234

  # 5.2 16K SL0=2 (level 1) T0SZ=16 (2 tables)
    ste S2 S2TG=2 S2SL0=2 S2T0SZ=16 ; s2 0xfffffff34000 0x50000 ; r 0xfffffff35234 -> ok 0x51234

  # 5.2 16K SL0=3 no DS
    ste S2 S2TG=2 S2SL0=3 S2T0SZ=16 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 16K SL0=2 T0SZ=28
    ste S2 S2TG=2 S2SL0=2 S2T0SZ=28 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 S2TG reserved
    ste S2 S2TG=3 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 no 16K
    idr GRAN16K=0 ; ste S2 S2TG=2 S2SL0=1 S2T0SZ=28 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 OAS 40: T0SZ < 24
    idr OAS=2 ; ste S2 S2T0SZ=23 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 OAS 40: T0SZ=24
    idr OAS=2 ; ste S2 S2T0SZ=24 S2TTB=0x400000 ; s2 0xff40001000 0x5000 ; r 0xff40001000 -> ok 0x5000
    r 0x10000000000 -> abort F_ADDR_SIZE/r s1.IN

  # 5.2 S2TTB beyond S2PS
    ste S2 S2PS=0 S2TTB=0x100400000 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 S2TTB low bits ignored
    ste S2 S2TTB=0x400ff0 ; r 0x1000 -> ok 0x1000

  # 5.2 concat: S2TTB aligned to all tables
    ste S2 S2T0SZ=24 S2TTB=0x401000 ; s2 0x40001000 0x5000 ; r 0x40001000 -> ok 0x5000

  # 5.2 S2 64K OAS 52 output
    idr OAS=6 VAX=1 ; ste S2 S2PS=6 S2TG=1 S2SL0=1 S2T0SZ=22 ; s2 0x10000 0x8000000050000
    r 0x11234 -> ok 0x8000000051234

  # 5.2 S2 64K T0SZ=12
    idr OAS=6 VAX=1 ; ste S2 S2PS=6 S2TG=1 S2SL0=2 S2T0SZ=12 ; s2 0xfffff00010000 0x50000
    r 0xfffff00011234 -> ok 0x51234

  # 5.2 S2 4K T0SZ=15 without DS
    idr OAS=6 VAX=1 DS=1 ; ste S2 S2PS=6 S2SL0=2 S2T0SZ=15 ; r 0x11234 -> abort C_BAD_STE

  # 5.2 S2 4K DS T0SZ=12 level -1
    idr OAS=6 VAX=1 DS=1 ; ste S2 S2PS=6 S2DS=1 S2SL0=0 S2SL0_2=1 S2T0SZ=12
    s2 0xfffff00011000 0x8000000051000 ; r 0xfffff00011234 -> ok 0x8000000051234

  # 5.2 S2 4K DS SL2=1 SL0=1 reserved
    idr OAS=6 VAX=1 DS=1 ; ste S2 S2PS=6 S2DS=1 S2SL0=1 S2SL0_2=1 S2T0SZ=12 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 S2 4K DS T0SZ=12 level 0 (16 tables)
    idr OAS=6 VAX=1 DS=1 ; ste S2 S2PS=6 S2DS=1 S2SL0=2 S2T0SZ=12 ; s2 0xfffff00011000 0x8000000051000
    r 0xfffff00011234 -> ok 0x8000000051234

  # 5.2 S2 4K DS level 0 block
    idr OAS=6 VAX=1 DS=1 ; ste S2 S2PS=6 S2DS=1 S2SL0=2 S2T0SZ=16
    s2 0x8000000000 0x8000000000000 L0 AF,S3,MAF ; r 0x8000001234 -> ok 0x8000000001234

  # 5.2 S2 16K DS T0SZ=12 level 0
    idr OAS=6 VAX=1 DS=1 ; ste S2 S2PS=6 S2DS=1 S2TG=2 S2SL0=3 S2T0SZ=12 ; s2 0xfffff00014000 0x8000000054000
    r 0xfffff00015234 -> ok 0x8000000055234

  # 5.2 S2 16K DS T0SZ=12 level 1 (32 tables: no)
    idr OAS=6 VAX=1 DS=1 ; ste S2 S2PS=6 S2DS=1 S2TG=2 S2SL0=2 S2T0SZ=12 ; r 0x1000 -> abort C_BAD_STE

  # 5.2 S2 16K DS T0SZ=13 level 1 (16 tables)
    idr OAS=6 VAX=1 DS=1 ; ste S2 S2PS=6 S2DS=1 S2TG=2 S2SL0=2 S2T0SZ=13 ; s2 0x4000 0x54000
    r 0x5234 -> ok 0x55234

  # 5.2 S2 16K DS level 1 block
    idr OAS=6 VAX=1 DS=1 ; ste S2 S2PS=6 S2DS=1 S2TG=2 S2SL0=2 S2T0SZ=17
    s2 0x1000000000 0x8000000000000 L1 AF,S3,MAF ; r 0x1000001234 -> ok 0x8000000001234

  # 5.4 S1 4K DS T0SZ=12
    idr OAS=6 VAX=1 DS=1 ; cd DS=1 T0SZ=12 IPS=6 ; s1 0x7ffff00011000 0x8000000051000
    r 0x7ffff00011234 -> ok 0x8000000051234

  # 5.4 S1 4K T0SZ=12 without DS
    idr OAS=6 VAX=1 DS=1 ; cd T0SZ=12 IPS=6 ; r 0x1000 -> abort C_BAD_CD

  # 5.4 S1 4K DS, VAX=0 T0SZ=12
    idr OAS=6 DS=1 ; cd DS=1 T0SZ=12 IPS=6 ; r 0x1000 -> abort C_BAD_CD

  # 5.4 S1 16K DS T0SZ=12
    idr OAS=6 VAX=1 DS=1 ; cd DS=1 TG0=2 T0SZ=12 IPS=6 ; s1 0x7ffff00014000 0x8000000054000
    r 0x7ffff00015234 -> ok 0x8000000055234

  # 5.4 S1 64K T0SZ=12
    idr OAS=6 VAX=1 ; cd TG0=1 T0SZ=12 IPS=6 ; s1 0x7ffff00010000 0x8000000050000
    r 0x7ffff00011234 -> ok 0x8000000051234

  # 5.4 S1 64K IPS=5 with 52-bit descriptor
    idr OAS=6 VAX=1 ; cd TG0=1 T0SZ=16 IPS=5 ; s1 0x10000 0x8000000050000
    r 0x11234 -> abort F_ADDR_SIZE/r s1.IN

  # 5.4 S1 4K DS, IPS=5, high bits
    idr OAS=6 VAX=1 DS=1 ; cd DS=1 T0SZ=16 IPS=5 ; s1 0x10000 0x8000000050000
    r 0x10234 -> abort F_ADDR_SIZE/r s1.IN

  # 5.2 DS ignored without IDR5.DS
    cd DS=1 ; s1 0x10000 0x50000 AF,AP1,SH3 ; r 0x10234 -> ok 0x50234

  # 5.2 DS=1: SH bits are address
    idr OAS=6 VAX=1 DS=1 ; cd DS=1 IPS=6 ; s1 0x10000 0x50000 AF,AP1,SH3 ; r 0x10234 -> bus-error

  # 5.4 S1 4K DS level 0 block valid
    idr OAS=6 VAX=1 DS=1 ; cd DS=1 IPS=6 ; s1 0x8000000000 0x8000000000000 L0 AF,AP1
    r 0x8000001234 -> ok 0x8000000001234

  # 5.4 S1 64K level 1 block needs 52-bit
    idr OAS=6 VAX=1 ; cd TG0=1 IPS=6 ; s1 0x40000000000 0x8000000000000 L1 AF,AP1
    r 0x40000001234 -> ok 0x8000000001234

  # 5.2 TTB 4K out of 48 without DS
    idr OAS=6 VAX=1 DS=1 ; cd IPS=6 TTB0=0x1000000100000 ; r 0x1000 -> abort C_BAD_CD
  `),
  )('$title', (each) => expect(wrongAnswers(each)).toEqual([]));
});
