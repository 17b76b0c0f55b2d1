/**
 * Stalls and what ends them, address translation operations, prefetches, ATS and PRI at the queues, broadcasts.
 * Written from IHI 0070 G.b, each case under its section; `spec-cases.ts` says how the steps read.
 */
import { describe, expect, it } from 'vitest';
import { specCases, wrongSteps } from '../../support/spec-cases.ts';

describe('a stall', () => {
  it.each(
    specCases(`
  # 3.12.2 a stall waits, its record has Stall and a STAG; CMD_RESUME retries it
    up
    cd S=1 ; dma read 0x1000 stall ; EVENTQ_PROD ? 1 ; mem 0x42000008 ? 0x0000020880000000
    map 0x1000 0x40100000 ; put 0 RESUME StreamID=8 STAG=0 Ac=1 ; CMDQ_PROD = 1 ; CMDQ_CONS ? 1 ; check smmu0.stalls []
    dma read 0x1000 ok ; EVENTQ_PROD ? 1

  # 4.7.1 a retry that faults again stalls again with a new record
    up
    cd S=1 ; dma read 0x1000 stall ; put 0 RESUME StreamID=8 STAG=0 Ac=1 ; CMDQ_PROD = 1 ; EVENTQ_PROD ? 2

  # 4.7.1 the wrong StreamID or STAG is a no-op
    up
    cd S=1 ; dma read 0x1000 stall ; map 0x1000 0x40100000
    put 0 RESUME StreamID=9 STAG=0 Ac=1 ; put 1 RESUME StreamID=8 STAG=5 Ac=1 ; CMDQ_PROD = 2 ; CMDQ_CONS ? 2
    {"op":"check","path":"smmu0.stalls","size":1}

  # 4.7.1 terminate with abort, and as RAZ/WI
    up
    cd S=1 ; dma read 0x1000 stall ; dma write 0x2000 stall
    put 0 RESUME StreamID=8 STAG=0 Ac=0 Ab=1 ; put 1 RESUME StreamID=8 STAG=1 Ac=0 Ab=0 ; CMDQ_PROD = 2 ; check smmu0.stalls []
    EVENTQ_PROD ? 2
    {"op":"check","path":"smmu0.stalls","equals":[]}

  # 4.7.1 TERM_MODEL=1: CD.A=0 is ILLEGAL, Ab is IGNORED
    on everything TERM_MODEL=1
    up
    cd S=1 A=0 ; dma read 0x1000 abort C_BAD_CD

  # 4.7.2 CMD_STALL_TERM takes all stalls of the stream and of no other
    up
    cd S=1 ; dma read 0x1000 stall ; dma write 0x2000 stall ; put 0 STALL_TERM StreamID=9 ; CMDQ_PROD = 1
    {"op":"check","path":"smmu0.stalls","size":2}
    put 1 STALL_TERM StreamID=8 ; CMDQ_PROD = 2 ; check smmu0.stalls []

  # 6.3.9.6 SMMUEN 0 terminates all stalls
    up
    cd S=1 ; dma read 0x1000 stall ; CR0 = 0xc ; check smmu0.stalls [] ; CR0ACK ? 0xc

  # 7.2 a full queue holds a stall record back without overflow; it comes when there is room
    up
    CR0 = 9 ; EVENTQ_BASE = 0x42000000 ; EVENTQ_PROD = 0 ; EVENTQ_CONS = 0 ; CR0 = 0xd
    cd S=1 ; dma read 0x1000 stall ; dma read 0x2000 stall ; EVENTQ_PROD ? 1 ; EVENTQ_CONS = 1 ; EVENTQ_PROD ? 0

  # 7.2 a non-stall record that comes while a stall record waits overflows
    up
    CR0 = 9 ; EVENTQ_BASE = 0x42000000 ; EVENTQ_PROD = 0 ; EVENTQ_CONS = 0 ; CR0 = 0xd
    cd S=1 ; dma read 0x1000 stall ; dma read 0x2000 stall
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read","ssid":1,"expect":{"result":"abort"}}
    EVENTQ_PROD ? 0x80000001 ; EVENTQ_CONS = 0x80000001 ; EVENTQ_PROD ? 0x80000000

  # 7.2 disabled: the stall record is kept and written when the queue is enabled
    up
    cd S=1 ; CR0 = 9 ; dma read 0x1000 stall ; EVENTQ_PROD ? 0 ; CR0 = 0xd ; EVENTQ_PROD ? 1

  # 6.3.6 STALL_MAX bounds the records
    on everything STALL_MAX=1
    up
    cd S=1 ; dma read 0x1000 stall ; dma read 0x2000 stall ; EVENTQ_PROD ? 1
    put 0 RESUME StreamID=8 STAG=0 Ac=0 Ab=1 ; CMDQ_PROD = 1 ; EVENTQ_PROD ? 2

  # 5.5 A R S: RAZ/WI without a record, abort with one, abort without
    up
    cd A=0 R=0 ; dma read 0x1000 ok ; EVENTQ_PROD ? 0

  # 5.5 A=0 R=1
    up
    cd A=0 R=1 ; dma write 0x1000 ok ; EVENTQ_PROD ? 1

  # 5.5 A=1 R=0
    up
    cd A=1 R=0 ; dma read 0x1000 abort ; EVENTQ_PROD ? 0

  # 4.7.1 a resumed access looks up anew: the STE has changed meanwhile
    up
    cd S=1 ; dma read 0x1000 stall ; ste Config=0 ; put 0 CFGI_STE StreamID=8 Leaf=1 ; put 1 SYNC ; put 2 RESUME StreamID=8 STAG=0 Ac=1 ; CMDQ_PROD = 3 ; check smmu0.stalls [] ; EVENTQ_PROD ? 1

  # 4.7.1 the turn of its own under a manual schedule: consumed, and then retried
    on everything manual
    up
    cd S=1 ; dma read 0x1000 stall ; turn evtq ; map 0x1000 0x40100000
    put 0 RESUME StreamID=8 STAG=0 Ac=1 ; CMDQ_PROD = 1 ; turn cmdq ; turn consume ; CMDQ_CONS ? 1
    {"op":"check","path":"smmu0.stalls","size":1}
    turn stall ; check smmu0.stalls []

  # 4.7.1 a second CMD_RESUME of the same stall has no effect
    on everything manual
    up
    cd S=1 ; dma read 0x1000 stall ; turn evtq
    put 0 RESUME StreamID=8 STAG=0 Ac=0 Ab=1 ; put 1 RESUME StreamID=8 STAG=0 Ac=1 ; CMDQ_PROD = 2 ; turn cmdq ; turn consume ; turn cmdq ; turn consume
    run ; check smmu0.stalls [] ; EVENTQ_PROD ? 1
  `),
  )('$title', (each) => expect(wrongSteps(each)).toEqual([]));
});

describe('an address translation operation or a prefetch', () => {
  it.each(
    specCases(`
  # 9.1 stage 1: the output address, 4KB, the attributes of the leaf
    on everything ATOS=1 VATOS=1
    up
    map 0x1000 0x40100000 ; GATOS_SID = 8 ; GATOS_ADDR = 0x1500 ; GATOS_CTRL = 1 ; GATOS_CTRL ? 0 ; GATOS_PAR ? 0xff00000040100300
    EVENTQ_PROD ? 0

  # 9.1.4 stage 1 fault: F_TRANSLATION, REASON 0, FADDR 0, no record
    on everything ATOS=1 VATOS=1
    up
    GATOS_SID = 8 ; GATOS_ADDR = 0x1500 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0x101 ; EVENTQ_PROD ? 0

  # 9.1.3 TYPE 0 is INV_REQ
    on everything ATOS=1 VATOS=1
    up
    GATOS_SID = 8 ; GATOS_ADDR = 0x1100 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0xff1

  # 9.1.3 TYPE 2 with SSID_VALID is INV_REQ
    on everything ATOS=1 VATOS=1
    up
    GATOS_SID = 0x10000000000008 ; GATOS_ADDR = 0x1900 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0xff1

  # 9.1.3 TYPE 2 or 3 on a stage 1 stream is INV_STAGE
    on everything ATOS=1 VATOS=1
    up
    GATOS_SID = 8 ; GATOS_ADDR = 0x1900 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0xfe1 ; GATOS_ADDR = 0x1d00 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0xfe1

  # 9.1.3 TYPE 2 without stage 2 at all is INV_REQ, 3 too
    on everything ATOS=1 VATOS=0 S2P=0 Hyp=0 VMW=0
    up
    GATOS_SID = 8 ; GATOS_ADDR = 0x1900 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0xff1 ; GATOS_ADDR = 0x1d00 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0xff1

  # 9.1.5 a StreamID out of the table, whatever RECINVSID is
    on everything ATOS=1 VATOS=1
    up
    CR0 = 0xc ; CR2 = 0 ; CR0 = 0xd ; GATOS_SID = 0x100 ; GATOS_ADDR = 0x1500 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0x021

  # 9.1.5 an STE with V=0
    on everything ATOS=1 VATOS=1
    up
    GATOS_SID = 9 ; GATOS_ADDR = 0x1500 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0x041

  # 9.1.3 bypass and abort streams: INV_STAGE by GATOS, C_BAD_STE by VATOS
    on everything ATOS=1 VATOS=1
    up
    ste Config=4 ; GATOS_SID = 8 ; GATOS_ADDR = 0x1500 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0xfe1
    [0x20a08:8] = 8 ; [0x20a10:8] = 0x1500 ; [0x20a00] = 1 ; [0x20a18:8] ? 0x041

  # 9.1.3 the abort Config too
    on everything ATOS=1 VATOS=1
    up
    ste Config=0 ; GATOS_SID = 8 ; GATOS_ADDR = 0x1500 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0xfe1

  # 9.1.6 VATOS: the VMID of the STE must match VATOS_SEL; TYPE 1 only
    on everything ATOS=1 VATOS=1
    up
    ste S2VMID=7 ; map 0x1000 0x40100000
    [0x20a08:8] = 8 ; [0x20a10:8] = 0x1500 ; [0x20a00] = 1 ; [0x20a18:8] ? 0x041
    VATOS_SEL = 7 ; [0x20a00] = 1 ; [0x20a18:8] ? 0xff00000040100300
    [0x20a10:8] = 0x1900 ; [0x20a00] = 1 ; [0x20a18:8] ? 0xff1
    [0x20a10:8] = 0x1d00 ; [0x20a00] = 1 ; [0x20a18:8] ? 0xff1

  # 9.1.6 VATOS: INV_REQ comes before all else, a StreamID that is out of range too
    on everything ATOS=1 VATOS=1
    up
    [0x20a08:8] = 0x100 ; [0x20a10:8] = 0x1900 ; [0x20a00] = 1 ; [0x20a18:8] ? 0xff1 ; [0x20a10:8] = 0x1500 ; [0x20a00] = 1 ; [0x20a18:8] ? 0x021

  # 9 A, R, S do not matter: a stalling stream answers at once
    on everything ATOS=1
    up
    cd S=1 ; GATOS_SID = 8 ; GATOS_ADDR = 0x1500 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0x101 ; check smmu0.stalls []

  # 9.1.4 a CD that is invalid: C_BAD_CD; outside RAM: F_CD_FETCH
    on everything ATOS=1
    up
    cd AA64=0 ; GATOS_SID = 8 ; GATOS_ADDR = 0x1500 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0x0a1

  # 9.1.4 F_CD_FETCH
    on everything ATOS=1
    up
    ste S1ContextPtr=0xf0000000 ; GATOS_SID = 8 ; GATOS_ADDR = 0x1500 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0x091

  # 9.1.4 a SubstreamID without substreams in the STE
    on everything ATOS=1
    up
    GATOS_SID = 0x10000500000008 ; GATOS_ADDR = 0x1500 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0x081

  # 9.1.3 permissions of the request: write of a read-only page, unprivileged of a privileged one
    on everything ATOS=1
    up
    mem 0x40053008 = 0x40100fc3 ; GATOS_SID = 8 ; GATOS_ADDR = 0x1500 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0xff00000040100300
    GATOS_ADDR = 0x1400 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0x131

  # 9.1 a 2 MB block: Size, and bit 20 for the size
    on everything ATOS=1
    up
    mem 0x40052008 = 0x40200f41 ; GATOS_SID = 8 ; GATOS_ADDR = 0x2ab500 ; GATOS_CTRL = 1 ; GATOS_PAR ? 0xff00000040300b00

  # 6.3.37 completion in a turn of its own
    on everything ATOS=1 manual
    up
    map 0x1000 0x40100000 ; GATOS_SID = 8 ; GATOS_ADDR = 0x1500 ; GATOS_CTRL = 1 ; GATOS_CTRL ? 1 ; CR0 = 0xc ; run ; GATOS_CTRL ? 0 ; CR0ACK ? 0xc

  # 9 prefetch: fills, and never records
    up
    map 0x1000 0x40100000 ; map 0x2000 0x40101000
    put 0 PREFETCH_ADDR StreamID=8 Address=0x1000 Size=1 ; CMDQ_PROD = 1
    {"op":"check","path":"smmu0.tlb","size":2}
    put 1 PREFETCH_ADDR StreamID=9 Address=0x1000 ; put 2 PREFETCH_ADDR StreamID=0xffff ; put 3 PREFETCH_ADDR StreamID=8 Address=0x9000 ; CMDQ_PROD = 4 ; CMDQ_CONS ? 4 ; EVENTQ_PROD ? 0

  # 4.2 prefetch while SMMUEN is 0 is consumed without effect
    up
    map 0x1000 0x40100000 ; CR0 = 0xc ; put 0 PREFETCH_ADDR StreamID=8 Address=0x1000 ; put 1 PREFETCH_CONFIG StreamID=8 ; CMDQ_PROD = 2 ; CMDQ_CONS ? 2
    {"op":"check","path":"smmu0.tlb","size":0}
    {"op":"check","path":"smmu0.ste","size":0}

  # 4.2.1 PREFETCH_CONFIG fills the STE and the CD
    up
    put 0 PREFETCH_CONFIG StreamID=8 ; CMDQ_PROD = 1
    {"op":"check","path":"smmu0.ste","size":1}
    {"op":"check","path":"smmu0.cd","size":1}

  # 4.2.2 Stride: addresses 2^(12+Stride) apart
    up
    map 0x1000 0x40100000 ; map 0x3000 0x40101000 ; put 0 PREFETCH_ADDR StreamID=8 Address=0x1000 Size=1 Stride=1 ; CMDQ_PROD = 1
    {"op":"check","path":"smmu0.tlb","size":2}
  `),
  )('$title', (each) => expect(wrongSteps(each)).toEqual([]));
});

describe('ATS, PRI and broadcasts', () => {
  it.each(
    specCases(`
  # 3.9.1.4 a silent endpoint: the CMD_SYNC is CERROR_ATC_INV_SYNC, CONS at the CMD_SYNC, no signal
    up
    {"op":"endpoint.set","endpoint":"dev0","ats":true,"silent":true}
    put 0 ATC_INV StreamID=8 Size=52 ; put 1 TLBI_NSNH_ALL ; put 2 SYNC CS=1 ; put 3 TLBI_NSNH_ALL ; CMDQ_PROD = 4
    CMDQ_CONS ? 0x03000002 ; GERROR ? 1 ; raised GERROR
    GERRORN = 1 ; CMDQ_CONS ? 4 ; raised CMD_SYNC

  # 4.5.1 without a CMD_SYNC nothing is told
    up
    {"op":"endpoint.set","endpoint":"dev0","ats":true,"silent":true}
    put 0 ATC_INV StreamID=8 Size=52 ; CMDQ_PROD = 1 ; CMDQ_CONS ? 1 ; GERROR ? 0

  # 4.5 ATC_INV is IGNORED while SMMUEN is 0, CERROR_ILL wins
    up
    {"op":"endpoint.set","endpoint":"dev0","ats":true,"silent":true}
    CR0 = 0xc ; put 0 ATC_INV StreamID=8 Size=52 ; put 1 SYNC ; CMDQ_PROD = 2 ; CMDQ_CONS ? 2
    put 2 ATC_INV StreamID=8 Size=53 ; CMDQ_PROD = 3 ; CMDQ_CONS ? 0x01000002

  # 4.5.1 a StreamID nobody has
    up
    put 0 ATC_INV StreamID=77 Size=52 ; put 1 SYNC ; CMDQ_PROD = 2 ; CMDQ_CONS ? 2

  # 3.9.1.4 on an ECMDQ the error is the queue's own
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    up
    {"op":"endpoint.set","endpoint":"dev0","ats":true,"silent":true}
    [0x40000:8] = 0x44000004 ; put 0:0 ATC_INV StreamID=8 Size=52 ; put 0:1 SYNC ; [0x40008] = 0x80000002
    [0x4000c] ? 0x83800001 ; GERROR ? 0x200 ; put 0 SYNC ; CMDQ_PROD = 1 ; CMDQ_CONS ? 1

  # 8.1 the PRI queue: entry, interrupt, full, overflow blocks until acknowledged
    up
    PRIQ_BASE = 0x43000001 ; CR0 = 0x1f
    {"op":"endpoint.set","endpoint":"dev0","ats":true,"pri":true}
    {"op":"pri.request","endpoint":"dev0","iova":"0x1000","access":"read","prgIndex":1,"last":false}
    PRIQ_PROD ? 1 ; raised PRIQ
    {"op":"pri.request","endpoint":"dev0","iova":"0x2000","access":"read","prgIndex":1,"last":true}
    PRIQ_PROD ? 2 ; raised -
    {"op":"pri.request","endpoint":"dev0","iova":"0x3000","access":"read","prgIndex":2,"last":true}
    PRIQ_PROD ? 0x80000002 ; PRIQ_CONS = 1
    {"op":"pri.request","endpoint":"dev0","iova":"0x3000","access":"read","prgIndex":2,"last":true}
    PRIQ_PROD ? 0x80000002 ; PRIQ_CONS = 0x80000001
    {"op":"pri.request","endpoint":"dev0","iova":"0x3000","access":"read","prgIndex":2,"last":true}
    PRIQ_PROD ? 0x80000003

  # 6.3.36 LO=1: the interrupt is for Last, written or lost in an overflow
    PRIQ_IRQ_CFG2 = 0x80000000
    up
    PRIQ_BASE = 0x43000000 ; CR0 = 0x1f
    {"op":"endpoint.set","endpoint":"dev0","ats":true,"pri":true}
    {"op":"pri.request","endpoint":"dev0","iova":"0x1000","access":"read","prgIndex":1,"last":false}
    raised - ; PRIQ_PROD ? 1
    {"op":"pri.request","endpoint":"dev0","iova":"0x1000","access":"read","prgIndex":1,"last":true}
    raised PRIQ ; PRIQ_PROD ? 0x80000001
    {"op":"pri.request","endpoint":"dev0","iova":"0x1000","access":"read","prgIndex":2,"last":false}
    raised -

  # 6.3.9.5 PRIQEN without SMMUEN: refused, the queue stays empty
    PRIQ_BASE = 0x43000001 ; CR0 = 0xe
    {"op":"endpoint.set","endpoint":"dev0","ats":true,"pri":true}
    {"op":"pri.request","endpoint":"dev0","iova":"0x1000","access":"read","prgIndex":1,"last":true}
    PRIQ_PROD ? 0

  # 8.2 an abort of the write: PRIQ_ABT_ERR, PROD stays, the next is refused
    up
    PRIQ_BASE = 0xf0000001 ; CR0 = 0x1f
    {"op":"endpoint.set","endpoint":"dev0","ats":true,"pri":true}
    {"op":"pri.request","endpoint":"dev0","iova":"0x1000","access":"read","prgIndex":1,"last":true}
    PRIQ_PROD ? 0 ; GERROR ? 8 ; raised GERROR

  # 3.17 a broadcast TLBI reaches an SMMU with BTM and PTM=0
    on everything BTM=1
    up
    cd ASET=0 ; map 0x1000 0x40100000 ; dma read 0x1000 ok
    {"op":"cpu.tlbi","operation":"VAE1","vmid":0,"asid":6,"va":"0x1000"}
    {"op":"check","path":"smmu0.tlb","size":1}
    {"op":"cpu.tlbi","operation":"VAE1","vmid":0,"asid":5,"va":"0x1000"}
    {"op":"check","path":"smmu0.tlb","size":0}

  # 3.17 ASET=1 is left alone by what names an ASID, and not by the others
    on everything BTM=1
    up
    map 0x1000 0x40100000 ; dma read 0x1000 ok
    {"op":"cpu.tlbi","operation":"ASIDE1","vmid":0,"asid":5}
    {"op":"check","path":"smmu0.tlb","size":1}
    {"op":"cpu.tlbi","operation":"VAAE1","vmid":0,"va":"0x1000"}
    {"op":"check","path":"smmu0.tlb","size":0}

  # 6.3.12 PTM=1 ignores broadcasts
    on everything BTM=1
    CR2 = 6
    CR1 = 0xd75 ; STRTAB_BASE = 0x40010000 ; STRTAB_BASE_CFG = 8 ; EVENTQ_BASE = 0x42000004 ; ste ; cd ASET=0
    mem 0x40050000 = 0x40051003 ; mem 0x40051000 = 0x40052003 ; mem 0x40052000 = 0x40053003
    CR0 = 5 ; map 0x1000 0x40100000 ; dma read 0x1000 ok
    {"op":"cpu.tlbi","operation":"ALLE1"}
    {"op":"check","path":"smmu0.tlb","size":1}

  # 3.17 without BTM nothing
    on everything BTM=0
    up
    map 0x1000 0x40100000 ; dma read 0x1000 ok
    {"op":"cpu.tlbi","operation":"ALLE1"}
    {"op":"check","path":"smmu0.tlb","size":1}

  # 6.3.13 STATUSR without DORMHINT
    STATUSR ? 0
  `),
  )('$title', (each) => expect(wrongSteps(each)).toEqual([]));
});
