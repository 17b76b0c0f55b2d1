/**
 * Guards and acknowledgements, and what falls between two turns of a manual schedule.
 * Written from IHI 0070 G.b, each case under its section; `spec-cases.ts` says how the steps read.
 */
import { describe, expect, it } from 'vitest';
import { specCases, wrongSteps } from '../../support/spec-cases.ts';

describe('a guard or a handshake', () => {
  it.each(
    specCases(`
  # 6.3.24 STRTAB_BASE and _CFG are IGNORED while SMMUEN or its acknowledge is 1
    on everything manual
    STRTAB_BASE = 0x40010000 ; STRTAB_BASE_CFG = 8
    CR0 = 1
    STRTAB_BASE = 0x40020000 ; STRTAB_BASE ? 0x40010000
    STRTAB_BASE_CFG = 4 ; STRTAB_BASE_CFG ? 8
    [0x84] = 0x1 ; STRTAB_BASE ? 0x40010000
    turn acknowledge ; STRTAB_BASE = 0x40020000 ; STRTAB_BASE ? 0x40010000
    CR0 = 0 ; STRTAB_BASE = 0x40020000 ; STRTAB_BASE ? 0x40010000
    turn acknowledge ; STRTAB_BASE = 0x40020000 ; STRTAB_BASE ? 0x40020000

  # 6.3.26 CMDQ_BASE and CMDQ_CONS likewise by CMDQEN, PROD always
    on everything manual
    CMDQ_BASE = 0x41000004 ; CR0 = 8
    CMDQ_BASE = 0x41000005 ; CMDQ_CONS = 1 ; CMDQ_BASE ? 0x41000004 ; CMDQ_CONS ? 0 ; CMDQ_PROD = 0 ; CMDQ_PROD ? 0
    turn acknowledge ; CR0 = 0
    CMDQ_BASE = 0x41000005 ; CMDQ_BASE ? 0x41000004 ; CMDQ_CONS = 1 ; CMDQ_CONS ? 0
    turn acknowledge
    CMDQ_BASE = 0x41000005 ; CMDQ_BASE ? 0x41000005 ; CMDQ_CONS = 1 ; CMDQ_CONS ? 1

  # 6.3.29 the Event queue by EVENTQEN; CONS always
    on everything manual
    EVENTQ_BASE = 0x42000004 ; CR0 = 4
    EVENTQ_BASE = 0x42000005 ; EVENTQ_PROD = 1 ; EVENTQ_BASE ? 0x42000004 ; EVENTQ_PROD ? 0 ; EVENTQ_CONS = 0x80000000 ; EVENTQ_CONS ? 0x80000000

  # 6.3.9.5 the PRI queue by the written PRIQEN, with SMMUEN 0
    on everything manual
    PRIQ_BASE = 0x43000004 ; CR0 = 2 ; turn acknowledge ; CR0ACK ? 2
    PRIQ_BASE = 0x43000005 ; PRIQ_BASE ? 0x43000004 ; PRIQ_PROD = 1 ; PRIQ_PROD ? 0
    CR0 = 0 ; turn acknowledge ; PRIQ_PROD = 1 ; PRIQ_PROD ? 1

  # 6.3.11 CR1: each half by its own guards
    CR0 = 8 ; CR1 = 0xd75 ; CR1 ? 0xd40
    CR0 = 0 ; CR1 = 0xd75 ; CR1 ? 0xd75
    CR0 = 1 ; CR1 = 0 ; CR1 ? 0xd40
    CR0 = 4 ; CR1 = 0xfff ; CR1 ? 0xfc0
    CR0 = 0 ; CR1 = 0 ; CR0 = 2 ; CR1 = 0xfff ; CR1 ? 0xfc0

  # 6.3.12 CR2 is read-only while SMMUEN is 1 or in transition
    on everything manual
    CR2 = 2 ; CR0 = 1 ; CR2 = 0 ; CR2 ? 2 ; turn acknowledge ; CR2 = 0 ; CR2 ? 2
    CR0 = 0 ; CR2 = 0 ; CR2 ? 2 ; turn acknowledge ; CR2 = 0 ; CR2 ? 0

  # 6.3.21 IRQ_CFG by the own enable alone
    on everything MSI=1 manual
    IRQ_CTRL = 1
    GERROR_IRQ_CFG0 = 0x100 ; GERROR_IRQ_CFG0 ? 0 ; GERROR_IRQ_CFG1 = 1 ; GERROR_IRQ_CFG1 ? 0 ; GERROR_IRQ_CFG2 = 1 ; GERROR_IRQ_CFG2 ? 0
    EVENTQ_IRQ_CFG0 = 0x100 ; EVENTQ_IRQ_CFG0 ? 0x100 ; PRIQ_IRQ_CFG1 = 7 ; PRIQ_IRQ_CFG1 ? 7
    turn acknowledge ; IRQ_CTRL = 0 ; GERROR_IRQ_CFG0 = 0x100 ; GERROR_IRQ_CFG0 ? 0
    turn acknowledge ; GERROR_IRQ_CFG0 = 0x100 ; GERROR_IRQ_CFG0 ? 0x100

  # 6.3.36 LO is guarded by PRIQ_IRQEN
    IRQ_CTRL = 2 ; PRIQ_IRQ_CFG2 = 0x80000000 ; PRIQ_IRQ_CFG2 ? 0

  # 6.3.9 the acknowledge is of fields, not of the register: a field moves while another has settled
    on everything manual
    CR0 = 8 ; CR0ACK ? 0 ; turn acknowledge ; CR0ACK ? 8
    CR0 = 0xc ; CR0 ? 0xc ; CR0ACK ? 8 ; CR0 = 0xd ; turn acknowledge ; run ; CR0ACK ? 0xd

  # 6.3.9 second write of a field in transition: the first value is kept, or the update is cancelled
    on everything manual
    CR0 = 1 ; CR0 = 0 ; CR0 ? 1 ; run ; CR0ACK ? 1

  # 6.3.9 the same value again is permitted
    on everything manual
    CR0 = 1 ; CR0 = 1 ; CR0 = 9 ; quiet ; run ; CR0ACK ? 9

  # 6.3.9 VMW as a whole
    on everything VMW=1 manual
    CR0 = 0x40 ; CR0 = 0x80 ; CR0 ? 0x40 ; run ; CR0ACK ? 0x40

  # 6.3.16 IRQ_CTRL has the same handshake
    on everything manual
    IRQ_CTRL = 1 ; IRQ_CTRLACK ? 0 ; IRQ_CTRL = 4 ; IRQ_CTRL ? 5 ; run ; IRQ_CTRLACK ? 5

  # 6.3.20 GERRORN shows what was written; an error made of it raises no interrupt
    IRQ_CTRL = 1 ; GERRORN = 1 ; noted gerrorn-inactive ; GERRORN ? 1 ; GERROR ? 0 ; raised -

  # 6.3.37 RUN is IGNORED while SMMUEN is 0
    on everything ATOS=1
    GATOS_CTRL = 1 ; GATOS_CTRL ? 0

  # 6.3.37 RUN is IGNORED after SMMUEN was written 0
    on everything ATOS=1 manual
    CR0 = 1 ; run ; CR0 = 0 ; GATOS_CTRL = 1 ; GATOS_CTRL ? 0

  # 6.3.37 RUN before SMMUEN has been acknowledged: old value 0 constrains software
    on everything ATOS=1 manual
    CR0 = 1 ; GATOS_CTRL = 1 ; GATOS_CTRL ? 0

  # 6.3.37 the group is IGNORED while RUN is 1, another group is not
    on everything ATOS=1 VATOS=1 manual
    CR0 = 1 ; run ; GATOS_SID = 5 ; GATOS_ADDR = 0x1500 ; VATOS_SEL = 7
    GATOS_CTRL = 1 ; GATOS_CTRL ? 1
    GATOS_SID = 6 ; GATOS_SID ? 5 ; GATOS_ADDR = 0 ; GATOS_ADDR ? 0x1500 ; GATOS_CTRL = 0 ; GATOS_CTRL ? 1
    VATOS_SEL = 8 ; VATOS_SEL ? 8
    turn gatos ; GATOS_CTRL ? 0 ; GATOS_SID = 6 ; GATOS_SID ? 6

  # 6.3.44 VATOS_SEL by the RUN of VATOS
    on everything ATOS=1 VATOS=1 manual
    CR0 = 1 ; run ; VATOS_SEL = 7 ; [0x20a00] = 1 ; [0x20a00] ? 1 ; VATOS_SEL = 9 ; VATOS_SEL ? 7

  # 6.3.9.6 SMMUEN 1 to 0 with RUN 1: completed, or INTERNAL_ERR, and RUN 0 by the acknowledge
    on everything ATOS=1 manual
    CR0 = 1 ; run ; GATOS_CTRL = 1 ; CR0 = 0 ; run ; CR0ACK ? 0 ; GATOS_CTRL ? 0

  # 6.3.9 CMDQEN: nothing is fetched before the acknowledge
    on everything manual
    CMDQ_BASE = 0x41000004 ; put 0 SYNC ; CMDQ_PROD = 1
    CR0 = 8 ; idle cmdq ; turn acknowledge ; turn cmdq ; turn consume ; CMDQ_CONS ? 1

  # 6.3.9.3 CMDQEN 0: commands taken are consumed whole, then nothing
    on everything manual
    CMDQ_BASE = 0x41000004 ; put 0 TLBI_NSNH_ALL ; put 1 TLBI_NSNH_ALL ; CMDQ_PROD = 2 ; CR0 = 8 ; turn acknowledge
    turn cmdq ; CR0 = 0 ; run ; CR0ACK ? 0 ; CMDQ_CONS ? 1

  # 6.3.9.3 re-enabled, it goes on
    on everything
    CMDQ_BASE = 0x41000004 ; put 0 SYNC ; put 1 SYNC ; CMDQ_PROD = 2 ; CMDQ_CONS = 1 ; CR0 = 8 ; CMDQ_CONS ? 2

  # 3.11 CR0 update of several fields in one write
    CR0 = 0x1f ; CR0ACK ? 0x1f
  `),
  )('$title', (each) => expect(wrongSteps(each)).toEqual([]));
});

describe('between turns', () => {
  it.each(
    specCases(`
  # 7.1 what was fetched behind an error is discarded and fetched anew
    on everything manual
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; run ; put 0 raw 0 0 ; put 1 SYNC CS=3 ; CMDQ_PROD = 2
    turn cmdq ; turn consume ; CMDQ_CONS ? 0x01000000 ; check smmu0.inFlight []
    put 0 SYNC ; put 1 SYNC ; GERRORN = 1 ; idle consume ; turn cmdq ; turn consume ; turn cmdq ; turn consume ; CMDQ_CONS ? 2

  # 3.21.2 an entry that was fetched is used as it was fetched
    on everything manual
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; run ; put 0 TLBI_NSNH_ALL ; CMDQ_PROD = 1 ; turn cmdq ; put 0 raw 0 0 ; turn consume ; CMDQ_CONS ? 1 ; GERROR ? 0

  # 3.21.2 not fetched yet: the new content
    on everything manual
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; run ; put 0 TLBI_NSNH_ALL ; CMDQ_PROD = 1 ; put 0 raw 0 0 ; turn cmdq ; turn consume ; CMDQ_CONS ? 0x01000000

  # 6.3.9.3 CMDQEN 1 to 0 with a CMD_SYNC that waits: the acknowledge waits for it
    on everything manual
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; run ; put 0 TLBI_NSNH_ALL ; put 1 SYNC ; CMDQ_PROD = 2
    turn cmdq ; turn consume ; turn cmdq ; CR0 = 0 ; idle acknowledge ; idle consume ; turn perform ; turn consume ; turn acknowledge ; CR0ACK ? 0 ; CMDQ_CONS ? 2

  # 7.1 the CONS and ERR are told before GERROR, the interrupt last, in one turn
    on everything manual
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; IRQ_CTRL = 1 ; run ; put 0 raw 0 0 ; CMDQ_PROD = 1 ; turn cmdq ; turn consume ; CMDQ_CONS ? 0x01000000 ; GERROR ? 1 ; raised GERROR

  # 6.3.16 an enable that is not acknowledged signals nothing
    on everything manual
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; run ; IRQ_CTRL = 1 ; put 0 raw 0 0 ; CMDQ_PROD = 1 ; turn cmdq ; turn consume ; raised - ; run ; raised -

  # 6.3.9.4 records in flight at EVENTQEN 0 are visible or gone at the acknowledge
    on everything manual
    up
    dma read 0x1000 abort ; CR0 = 9 ; turn acknowledge ; CR0ACK ? 9 ; idle evtq ; EVENTQ_PROD ? 0

  # 4.7.3 a CMD_SYNC makes the records of terminated accesses visible
    on everything manual
    up
    dma read 0x1000 abort ; EVENTQ_PROD ? 0 ; put 0 SYNC ; CMDQ_PROD = 1 ; turn cmdq ; turn consume ; EVENTQ_PROD ? 1

  # 4.8 consumption is not completion: the TLB entry goes when it is performed
    on everything manual
    up
    map 0x1000 0x40100000 ; dma read 0x1000 ok ; map 0x1000 ; put 0 TLBI_NSNH_ALL ; CMDQ_PROD = 1
    dma read 0x1000 ok ; turn cmdq ; dma read 0x1000 ok ; turn consume ; CMDQ_CONS ? 1 ; dma read 0x1000 ok ; turn perform ; dma read 0x1000 abort

  # 7.5 two errors at once, acknowledged one by one
    up
    CR0 = 9 ; EVENTQ_BASE = 0xf0000004 ; CR0 = 0xd ; put 0 raw 0 0 ; CMDQ_PROD = 1 ; dma read 0x1000 abort
    GERROR ? 5 ; raised GERROR GERROR ; check smmu0.gerror ["CMDQ_ERR","EVENTQ_ABT_ERR"]
    GERRORN = 4 ; check smmu0.gerror ["CMDQ_ERR"] ; put 0 SYNC ; GERRORN = 5 ; CMDQ_CONS ? 1

  # 6.3.29 the Event queue is capped at EVENTQS
    on everything EVENTQS=1
    EVENTQ_BASE = 0x42000004 ; check smmu0.evtq.capacity 2 ; EVENTQ_BASE ? 0x42000004

  # 3.5.6.3 PROD may go back to CONS while the error is active, on an ECMDQ too
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    [0x40000:8] = 0x44000004 ; put 0:0 raw 0 0 ; put 0:1 SYNC ; [0x40008] = 0x80000002 ; quiet
    [0x40008] = 0x80800000 ; quiet ; check smmu0.ecmdq[0].cons 0 ; put 0:0 SYNC ; [0x40008] = 0x80800001 ; check smmu0.ecmdq[0].cons 1

  # 3.5.6.2 the acknowledge of an ECMDQ waits for the CMD_SYNC that it took
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2 manual
    [0x40000:8] = 0x44000004 ; [0x40008] = 0x80000000 ; run ; put 0:0 TLBI_NSNH_ALL ; put 0:1 SYNC ; [0x40008] = 0x80000002
    turn ecmdq0 ; turn ecmdq0-consume ; turn ecmdq0 ; [0x40008] = 2 ; idle ecmdq0-acknowledge ; turn ecmdq0-perform ; turn ecmdq0-consume ; turn ecmdq0-acknowledge ; [0x4000c] ? 2

  # 6.3.27 PROD ahead by more than the queue holds
    CMDQ_BASE = 0x41000002 ; CR0 = 8 ; put 0 SYNC ; CMDQ_PROD = 6 ; noted queue-inconsistent ; CMDQ_CONS ? 0 ; CMDQ_PROD = 1 ; CMDQ_CONS ? 1

  # 3.21.2 PROD moved back stops the queue until it is disabled and enabled, or commands are unpredictable
    on everything manual
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; run ; put 0 SYNC ; put 1 SYNC ; CMDQ_PROD = 2 ; CMDQ_PROD = 1 ; run ; CMDQ_CONS ? 1

  # 6.2 an access of 8 bytes to two registers of which one is read-only
    [0x20:8] = 0xff0000000c ; CR0 ? 0xc ; CR0ACK ? 0xc

  # 6.2 guarded upper half of a doubleword access
    CR0 = 1 ; [0x28:8] = 0xf00000d75 ; CR1 ? 0x35 ; CR2 ? 0

  # 4.1.7 out-of-range parameters have no effect, and are no error
    up
    map 0x1000 0x40100000 ; dma read 0x1000 ok ; put 0 CFGI_STE StreamID=0x10008 Leaf=1 ; CMDQ_PROD = 1 ; noted command-streamid-range ; CMDQ_CONS ? 1
    {"op":"check","path":"smmu0.ste","size":1}

  # 4.3.2 CFGI_STE_RANGE: the low bits of StreamID do not count
    up
    map 0x1000 0x40100000 ; dma read 0x1000 ok ; put 0 CFGI_STE_RANGE StreamID=0x10 Range=2 ; put 1 CFGI_STE_RANGE StreamID=0xf Range=2 ; CMDQ_PROD = 1
    {"op":"check","path":"smmu0.ste","size":1}
    CMDQ_PROD = 2
    {"op":"check","path":"smmu0.ste","size":0}

  # 4.4.1.1 a range: (NUM+1) * 2^SCALE granules from Address on
    up
    map 0x1000 0x40100000 ; map 0x5000 0x40101000 ; dma read 0x1000 ok ; dma read 0x5000 ok
    put 0 TLBI_NH_VA ASID=5 TG=1 NUM=1 SCALE=1 Address=0x2000 ; put 1 SYNC ; CMDQ_PROD = 2
    {"op":"check","path":"smmu0.tlb","size":1}

  # 4.4.1.1 the first address behind it stays
    up
    map 0x1000 0x40100000 ; map 0x5000 0x40101000 ; dma read 0x1000 ok ; dma read 0x5000 ok
    put 0 TLBI_NH_VA ASID=5 TG=1 NUM=1 SCALE=1 Address=0x1000 ; put 1 SYNC ; CMDQ_PROD = 2
    {"op":"check","path":"smmu0.tlb","size":1}

  # 4.4.1.1 TG of another granule hits nothing
    up
    map 0x1000 0x40100000 ; dma read 0x1000 ok ; put 0 TLBI_NH_VA ASID=5 TG=3 NUM=1 Address=0 ; put 1 SYNC ; CMDQ_PROD = 2
    {"op":"check","path":"smmu0.tlb","size":1}

  # 4.4.1.1 TTL of another level hits no leaf
    up
    map 0x1000 0x40100000 ; dma read 0x1000 ok ; put 0 TLBI_NH_VA ASID=5 TG=1 TTL=2 Address=0 NUM=1 Leaf=1 ; put 1 SYNC ; CMDQ_PROD = 2
    {"op":"check","path":"smmu0.tlb","size":1}

  # 6.3.9.1 VMW: the low bits of VMID do not count
    on everything VMW=1
    up
    ste S2VMID=3 ; map 0x1000 0x40100000 ; dma read 0x1000 ok ; put 0 TLBI_NH_ALL VMID=2 ; put 1 TLBI_NH_ALL VMID=2 ; CMDQ_PROD = 1
    {"op":"check","path":"smmu0.tlb","size":1}
    CR0 = 0x4d ; CMDQ_PROD = 2
    {"op":"check","path":"smmu0.tlb","size":0}
  `),
  )('$title', (each) => expect(wrongSteps(each)).toEqual([]));
});
