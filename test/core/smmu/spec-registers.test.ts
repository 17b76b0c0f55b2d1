/**
 * What each Non-secure register stores, shows and refuses: widths, halves, reserved bits, presence by feature, pages.
 * Written from IHI 0070 G.b, each case under its section; `spec-cases.ts` says how the steps read.
 */
import { describe, expect, it } from 'vitest';
import { specCases, wrongSteps } from '../../support/spec-cases.ts';

describe('a register', () => {
  it.each(
    specCases(`
  # 6.2 32-bit halves of a 64-bit register are written apart
    CMDQ_BASE = 0x4000000040000008
    [0x90] ? 0x40000008 ; [0x94] ? 0x40000000
    [0x94] = 0x1 ; CMDQ_BASE ? 0x0000000140000008
    [0x90] = 0x20 ; CMDQ_BASE ? 0x0000000100000020

  # 6.2 reserved bits of a 64-bit register read as zero
    CMDQ_BASE = 0xffffffffffffffff
    CMDQ_BASE ? 0x4000ffffffffffff

  # 6.3.26 address bits at OAS and above are RES0: OAS of 48 bits
    EVENTQ_BASE = 0xffffffffffffffff ; EVENTQ_BASE ? 0x4000ffffffffffff

  # 6.3.26 address bits at OAS: minimal has 44 bits
    on minimal
    CMDQ_BASE = 0xffffffffffffffff ; CMDQ_BASE ? 0x40000fffffffffff

  # 6.2 a misaligned access is RAZ/WI
    CR1 = 0xd75
    [0x29] = 0 ; CR1 ? 0xd75
    [0x2a] ? 0

  # 6.2 a misaligned 64-bit access is RAZ/WI
    CMDQ_BASE = 0x40000008
    [0x94:8] = 0xffffffffffffffff ; CMDQ_BASE ? 0x40000008

  # 6.2 64-bit access to two 32-bit registers is two accesses
    [0x28:8] = 0x0000000200000d75
    CR1 ? 0xd75 ; CR2 ? 0x2 ; [0x28:8] ? 0x0000000200000d75

  # 6.2 undefined locations of page 0 are RES0
    [0x4c] = 0xffffffff ; [0x4c] ? 0
    [0x58] = 0xffffffff ; [0x58] ? 0
    [0x38:8] ? 0
    [0xfff8] ? 0

  # 6.2 page 0 offsets of page 1 registers are aliases or RAZ/WI, page 1 the same: RAZ/WI here
    EVENTQ_BASE = 0x42000004
    EVENTQ_CONS = 0x3
    [0xac] ? 0 ; [0xac] = 0x5 ; EVENTQ_CONS ? 0x3
    [0x10000] ? 0 ; [0x10020] = 0xd ; CR0 ? 0

  # 6.2 the Secure registers are RES0 without Secure state
    [0x8000] ? 0 ; [0x8020] = 1 ; [0x8020] ? 0

  # 6.2 beyond the two pages there is nothing without VATOS
    [0x20a00] = 1 ; [0x20a00] ? 0

  # 6.2 read-only registers ignore writes
    IDR0 = 0 ; IDR0 ? 0x8dff6bb
    [0x24] = 0xf ; CR0ACK ? 0
    [0x60] = 0xff ; GERROR ? 0
    [0x40] = 1 ; STATUSR ? 0
    [0x1c] ? 3

  # 6.3.9 reserved bits of CR0 are not stored nor acknowledged
    CR0 = 0xfffff620 ; CR0 ? 0 ; CR0ACK ? 0

  # 6.3.9 PRIQEN, ATSCHK, VMW are RES0 without PRI, ATS, VMW
    on minimal
    CR0 = 0xffffffff ; CR0 ? 0xd ; CR0ACK ? 0xd

  # 6.3.16 PRIQ_IRQEN is RES0 without PRI
    on minimal
    IRQ_CTRL = 0xffffffff ; IRQ_CTRL ? 0x5 ; IRQ_CTRLACK ? 0x5

  # 6.3.16 with PRI
    IRQ_CTRL = 0xffffffff ; IRQ_CTRL ? 0x7

  # 6.3.12 E2H, PTM, REC_CFG_ATS are RES0 without Hyp, BTM, ATSRECERR
    on minimal
    CR2 = 0xffffffff ; CR2 ? 2

  # 6.3.12 with them
    on everything BTM=1
    CR2 = 0xffffffff ; CR2 ? 0xf

  # 6.3.12 PTM is RES0 without BTM
    on everything BTM=0
    CR2 = 0xffffffff ; CR2 ? 0xb

  # 6.3.11 reserved bits of CR1
    CR1 = 0xffffffff ; CR1 ? 0xfff

  # 6.3.24 STRTAB_BASE: bits [5:0], [61:56], 63 reserved
    STRTAB_BASE = 0xffffffffffffffff ; STRTAB_BASE ? 0x4000ffffffffffc0

  # 6.3.25 STRTAB_BASE_CFG: SPLIT and FMT are RES0 without two levels
    on minimal
    STRTAB_BASE_CFG = 0xffffffff ; STRTAB_BASE_CFG ? 0x3f

  # 6.3.25 with two levels
    STRTAB_BASE_CFG = 0xffffffff ; STRTAB_BASE_CFG ? 0x307ff

  # 6.3.21 MSI fields are RES0 without MSI
    on minimal
    GERROR_IRQ_CFG0 = 0xffffffffffffffff ; GERROR_IRQ_CFG0 ? 0
    GERROR_IRQ_CFG1 = 0xffffffff ; GERROR_IRQ_CFG1 ? 0
    GERROR_IRQ_CFG2 = 0xffffffff ; GERROR_IRQ_CFG2 ? 0

  # 6.3.21 with MSI
    on everything MSI=1
    GERROR_IRQ_CFG0 = 0xffffffffffffffff ; GERROR_IRQ_CFG0 ? 0x0000fffffffffffc
    GERROR_IRQ_CFG1 = 0xffffffff ; GERROR_IRQ_CFG1 ? 0xffffffff
    GERROR_IRQ_CFG2 = 0xffffffff ; GERROR_IRQ_CFG2 ? 0x3f
    PRIQ_IRQ_CFG2 = 0xffffffff ; PRIQ_IRQ_CFG2 ? 0x8000003f
    EVENTQ_IRQ_CFG2 = 0xffffffff ; EVENTQ_IRQ_CFG2 ? 0x3f

  # 6.3.36 LO stands without MSI where there is PRI
    on everything MSI=0 PRI=1
    PRIQ_IRQ_CFG2 = 0xffffffff ; PRIQ_IRQ_CFG2 ? 0x80000000

  # 6.3.33 the PRI queue registers are reserved without PRI
    on minimal
    PRIQ_BASE = 0xffffffffffffffff ; PRIQ_BASE ? 0
    PRIQ_CONS = 0xffffffff ; PRIQ_CONS ? 0 ; PRIQ_PROD = 1 ; PRIQ_PROD ? 0
    PRIQ_IRQ_CFG2 = 0x80000000 ; PRIQ_IRQ_CFG2 ? 0

  # 6.3.37 the GATOS registers are reserved without ATOS
    on minimal
    GATOS_SID = 0xffffffffffffffff ; GATOS_SID ? 0 ; GATOS_CTRL = 1 ; GATOS_CTRL ? 0
    GATOS_ADDR = 0xffffffffffffffff ; GATOS_ADDR ? 0

  # 6.3.38 GATOS_SID: StreamID 16 bits, SubstreamID 20 bits
    on everything ATOS=1
    GATOS_SID = 0xffffffffffffffff ; GATOS_SID ? 0x001fffff0000ffff

  # 6.3.38 without substreams
    on everything ATOS=1 SSIDSIZE=0
    GATOS_SID = 0xffffffffffffffff ; GATOS_SID ? 0xffff

  # 6.3.38 with 8 bits of SubstreamID
    on everything ATOS=1 SSIDSIZE=8
    GATOS_SID = 0xffffffffffffffff ; GATOS_SID ? 0x001000ff0000ffff

  # 6.3.39 GATOS_ADDR reserves [5:0]
    on everything ATOS=1
    GATOS_ADDR = 0xffffffffffffffff ; GATOS_ADDR ? 0xffffffffffffffc0

  # 6.3.40 GATOS_PAR is read-only
    on everything ATOS=1
    [0x118:8] = 0xffffffffffffffff ; GATOS_PAR ? 0

  # 6.3.44 VATOS_SEL: 16 bits of VMID, 8 without VMID16
    on everything ATOS=1 VATOS=1
    VATOS_SEL = 0xffffffff ; VATOS_SEL ? 0xffff

  # 6.3.44 8 bits
    on everything ATOS=1 VATOS=1 VMID16=0
    VATOS_SEL = 0xffffffff ; VATOS_SEL ? 0xff

  # 6.3.44 reserved without VATOS
    on everything ATOS=1 VATOS=0
    VATOS_SEL = 0xffffffff ; VATOS_SEL ? 0

  # 6.2.3 the VATOS page stands at 0x20000 + BA_VATOS * 0x10000
    on everything ATOS=1 VATOS=1 BA_VATOS=1
    [0x20a08:8] = 0xffffffffffffffff ; [0x20a08:8] ? 0
    [0x30a08:8] = 0xffffffffffffffff ; [0x30a08:8] ? 0x001fffff0000ffff
    [0x30a0c] ? 0x001fffff
    [0x30000] ? 0 ; [0x30a20] = 1 ; [0x30a20] ? 0

  # 6.3.20 GERRORN: the fields of GERROR of this implementation
    on minimal
    GERRORN = 0xffffffff ; GERRORN ? 0x105

  # 6.3.20 with MSI and PRI
    on everything MSI=1 PRI=1
    GERRORN = 0xffffffff ; GERRORN ? 0x1fd

  # 6.3.20 with ECMDQ
    on everything MSI=1 PRI=1 ECMDQ=1
    GERRORN = 0xffffffff ; GERRORN ? 0x3fd

  # 6.3.17 S2PII is reserved without S2PI
    [0x30:8] = 0xffffffffffffffff ; [0x30:8] ? 0

  # 6.3.41 the MPAM registers are reserved without MPAM
    [0x138] = 0xffffffff ; [0x138] ? 0 ; [0x13c] = 0xffffffff ; [0x13c] ? 0 ; [0x130] ? 0

  # 6.3.46 the DPT registers are reserved without DPT
    [0x200:8] = 0xffffffffffffffff ; [0x200:8] ? 0 ; [0x208] = 1 ; [0x208] ? 0 ; [0x210:8] = 1 ; [0x210:8] ? 0

  # 6.3.45 IDR6 and the control pages are reserved without ECMDQ
    [0x190] ? 0 ; [0x4000:8] ? 0 ; [0x4008] ? 0

  # 6.3.27 CMDQ_PROD: the index and the wrap bit
    CMDQ_BASE = 0x41000003 ; CMDQ_PROD = 0xfff00000 ; CMDQ_PROD ? 0

  # 6.3.28 CMDQ_CONS: bits above the wrap bit are RAZ, ERR may be ignored
    CMDQ_BASE = 0x41000003 ; CMDQ_CONS = 0xffffffff ; CMDQ_CONS ? 0xf

  # 6.3.95 EVENTQ_PROD: bits above the wrap bit are RAZ
    EVENTQ_BASE = 0x42000003 ; EVENTQ_PROD = 0xffffffff ; EVENTQ_PROD ? 0x8000000f

  # 6.3.28 a smaller LOG2SIZE truncates
    CMDQ_BASE = 0x41000008 ; CMDQ_CONS = 0x1ab ; CMDQ_PROD = 0x1ab
    CMDQ_BASE = 0x41000003 ; CMDQ_CONS ? 0xb

  # 6.3.95 a smaller LOG2SIZE truncates PROD of the Event queue
    EVENTQ_BASE = 0x42000008 ; EVENTQ_PROD = 0x800001ab
    EVENTQ_BASE = 0x42000003 ; EVENTQ_PROD ? 0x8000000b

  # 6.3.28 LOG2SIZE above CMDQS is capped, but for readback
    on minimal
    CMDQ_BASE = 0x4100001f ; CMDQ_BASE ? 0x4100001f ; CMDQ_CONS = 0xfffff ; CMDQ_CONS ? 0x1ff

  # 6.3.14 GBPA without Update is ignored
    GBPA = 0x100000 ; GBPA ? 0

  # 6.3.14 GBPA takes all with Update, eager
    GBPA = 0xffffffff ; GBPA ? 0x1f3f1f

  # 6.3.14.1 readable at once, applied in a turn; ignored meanwhile
    on everything manual
    GBPA = 0x80100000 ; GBPA ? 0x80100000

    GBPA = 0x80000000 ; GBPA ? 0x80100000
    turn acknowledge ; GBPA ? 0x100000
    {"op":"dma","endpoint":"dev0","iova":"0x40000000","bytes":8,"access":"read","expect":{"result":"abort"}}

  # 6.3.14 effectively fixed where overrides are absent: 0 or as written
    on everything ATTR_TYPES_OVR=0 ATTR_PERMS_OVR=0
    GBPA = 0x80100000 ; GBPA ? 0x100000
  `),
  )('$title', (each) => expect(wrongSteps(each)).toEqual([]));
});
