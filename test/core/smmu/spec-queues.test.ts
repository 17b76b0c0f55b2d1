/**
 * The queues: sizes, wrap, full, overflow, aborts, errors and how they end; signals of CMD_SYNC; MSIs.
 * Written from IHI 0070 G.b, each case under its section; `spec-cases.ts` says how the steps read.
 */
import { describe, expect, it } from 'vitest';
import { specCases, wrongSteps } from '../../support/spec-cases.ts';

describe('the Command queue', () => {
  it.each(
    specCases(`
  # 3.5.1 one entry: the wrap bit is bit 0
    CMDQ_BASE = 0x41000000 ; CR0 = 8 ; put 0 SYNC
    CMDQ_PROD = 1 ; CMDQ_CONS ? 1 ; put 0 SYNC ; CMDQ_PROD = 0 ; CMDQ_CONS ? 0

  # 3.5.1 bits of PROD above the wrap bit have no effect
    CMDQ_BASE = 0x41000001 ; CR0 = 8 ; put 0 SYNC ; CMDQ_PROD = 0xffff1 ; CMDQ_CONS ? 1

  # 3.5.1 the largest queue: 2^19 entries, wrap at bit 19
    CMDQ_BASE = 0x41000013 ; CMDQ_CONS = 0x7ffff ; CMDQ_PROD = 0x7ffff ; CR0 = 8
    mem 0x417ffff0 = 0x46 0 ; CMDQ_PROD = 0x80000 ; CMDQ_CONS ? 0x80000
    put 0 SYNC ; CMDQ_PROD = 0x80001 ; CMDQ_CONS ? 0x80001
    mem 0x417ffff0 = 0x46 0

  # 6.3.26 LOG2SIZE of 31 acts as 19
    CMDQ_BASE = 0x4100001f ; CMDQ_CONS = 0xfffff ; CMDQ_PROD = 0xfffff ; CR0 = 8
    mem 0x417ffff0 = 0x46 0 ; CMDQ_PROD = 0 ; CMDQ_CONS ? 0

  # 6.3.26 the base is aligned down to the size of the queue
    CMDQ_BASE = 0x41000fe4 ; mem 0x41000f00 = 0x46 0 ; CR0 = 8 ; CMDQ_PROD = 1 ; CMDQ_CONS ? 1 ; CMDQ_BASE ? 0x41000fe4

  # 6.3.26 a queue of one entry is aligned to 32 bytes
    CMDQ_BASE = 0x41000020 ; mem 0x41000020 = 0x46 0 ; CR0 = 8 ; CMDQ_PROD = 1 ; CMDQ_CONS ? 1

  # 3.5.1 full at the enable: all are consumed
    CMDQ_BASE = 0x41000001 ; put 0 SYNC ; put 1 SYNC ; CMDQ_CONS = 0 ; CMDQ_PROD = 2 ; CR0 = 8 ; CMDQ_CONS ? 2

  # 3.5.1 inconsistent indices: nothing is consumed until they are consistent
    CMDQ_BASE = 0x41000002 ; put 0 SYNC ; put 1 SYNC ; CMDQ_PROD = 1 ; CMDQ_CONS = 2 ; CR0 = 8 ; CMDQ_CONS ? 2

  # 7.1 an unknown opcode: CONS at it, ERR 1, then GERROR, then the interrupt
    IRQ_CTRL = 1
    CMDQ_BASE = 0x41000004 ; put 0 SYNC ; put 1 raw 0 0 ; put 2 SYNC ; CR0 = 8 ; CMDQ_PROD = 3
    CMDQ_CONS ? 0x01000001 ; GERROR ? 1 ; raised GERROR

  # 7.1 acknowledged without a PROD write, with the entry rewritten
    CMDQ_BASE = 0x41000004 ; put 0 raw 0xff 0 ; put 1 SYNC ; CR0 = 8 ; CMDQ_PROD = 2 ; CMDQ_CONS ? 0x01000000
    put 0 SYNC ; CMDQ_PROD = 2 ; CMDQ_CONS ? 0x01000000 ; GERRORN = 1 ; check smmu0.cmdq.cons 2 ; GERROR ? 1
    put 2 raw 0 0 ; CMDQ_PROD = 3 ; GERROR ? 0 ; CMDQ_CONS ? 0x01000002

  # 7.1 PROD moved back to CONS while the error is active removes the command
    CMDQ_BASE = 0x41000004 ; put 0 raw 0 0 ; put 1 SYNC ; CR0 = 8 ; CMDQ_PROD = 2
    CMDQ_PROD = 0 ; GERRORN = 1 ; GERROR ? 1 ; check smmu0.cmdq.cons 0
    put 0 SYNC ; CMDQ_PROD = 1 ; check smmu0.cmdq.cons 1

  # 7.1 CMDQEN 1 to 0 to 1 does not acknowledge the error
    CMDQ_BASE = 0x41000004 ; put 0 raw 0 0 ; CR0 = 8 ; CMDQ_PROD = 1 ; CR0 = 0 ; put 0 SYNC ; CR0 = 8 ; CMDQ_CONS ? 0x01000000
    GERRORN = 1 ; check smmu0.cmdq.cons 1

  # 7.1 acknowledged while disabled: it goes on when enabled
    CMDQ_BASE = 0x41000004 ; put 0 raw 0 0 ; CR0 = 8 ; CMDQ_PROD = 1 ; CR0 = 0 ; put 0 SYNC ; GERRORN = 1 ; check smmu0.cmdq.cons 0
    CR0 = 8 ; check smmu0.cmdq.cons 1

  # 7.1 an abort of the fetch: ERR 2, CONS does not move
    CMDQ_BASE = 0x80000004 ; CR0 = 8 ; CMDQ_PROD = 1 ; CMDQ_CONS ? 0x02000000 ; GERROR ? 1
    GERRORN = 1 ; CMDQ_CONS ? 0x02000000 ; GERROR ? 0

  # 3.4.3 a queue beyond OAS is truncated: bits were never stored
    CMDQ_BASE = 0xff000041000004 ; put 0 SYNC ; CR0 = 8 ; CMDQ_PROD = 1 ; CMDQ_CONS ? 1

  # 3.21.2 PROD moved back without an error
    on everything manual
    CMDQ_BASE = 0x41000004 ; put 0 SYNC ; put 1 SYNC ; CR0 = 8 ; run ; CMDQ_PROD = 2 ; CMDQ_PROD = 1 ; noted prod-moved-back

  # 4.7.3 SIG_NONE signals nothing
    IRQ_CTRL = 7 ; CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 SYNC CS=0 ; CMDQ_PROD = 1 ; raised -

  # 4.7.3 SIG_IRQ: the wire, and an MSI where an address is given
    on everything MSI=1
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 SYNC CS=1 MSIAddress=0x45000000 MSIData=0x1234 ; CMDQ_PROD = 1
    raised CMD_SYNC msi:CMD_SYNC ; mem 0x45000000 ? 0x1234

  # 4.7.3 no MSI with a zero address
    on everything MSI=1
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 SYNC CS=1 MSIData=0x1234 ; CMDQ_PROD = 1 ; raised CMD_SYNC

  # 4.7.3 no MSI without IDR0.MSI
    on everything MSI=0
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 SYNC CS=1 MSIAddress=0x45000000 MSIData=0x1234 ; CMDQ_PROD = 1 ; raised CMD_SYNC ; mem 0x45000000 ? 0

  # 4.7.3 the address is truncated to OAS: the zero test is of the whole field
    on everything MSI=1
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 SYNC CS=1 MSIAddress=0x80000045000000 MSIData=0x77 ; CMDQ_PROD = 1
    raised CMD_SYNC msi:CMD_SYNC ; mem 0x45000000 ? 0x77

  # 4.7.3 an MSI that aborts: MSI_CMDQ_ABT_ERR, the queue goes on
    on everything MSI=1
    IRQ_CTRL = 1 ; CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 SYNC CS=1 MSIAddress=0xf0000000 ; put 1 SYNC ; CMDQ_PROD = 2
    CMDQ_CONS ? 2 ; GERROR ? 0x10 ; raised CMD_SYNC msi:CMD_SYNC GERROR

  # 4.7.3 SIG_SEV
    on everything SEV=1
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 SYNC CS=2 ; CMDQ_PROD = 1 ; raised sev:CMD_SYNC

  # 4.7.3 SIG_SEV without SEV is SIG_NONE
    on everything SEV=0
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 SYNC CS=2 ; CMDQ_PROD = 1 ; raised - ; CMDQ_CONS ? 1

  # 4.7.3 CS 3 is CERROR_ILL
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 SYNC CS=3 ; CMDQ_PROD = 1 ; CMDQ_CONS ? 0x01000000

  # 4.1.2 SEV when a full queue becomes non-full
    on everything SEV=1
    CMDQ_BASE = 0x41000001 ; CR0 = 8 ; put 0 SYNC ; put 1 SYNC ; CMDQ_PROD = 2 ; raised sev:CMDQ

  # 4.1.2 not when it was not full
    on everything SEV=1
    CMDQ_BASE = 0x41000002 ; CR0 = 8 ; put 0 SYNC ; put 1 SYNC ; CMDQ_PROD = 2 ; raised -

  # 3.18 the GERROR MSI
    on everything MSI=1
    GERROR_IRQ_CFG0 = 0x45000100 ; GERROR_IRQ_CFG1 = 0xabc ; IRQ_CTRL = 1
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 raw 0 0 ; CMDQ_PROD = 1 ; raised GERROR msi:GERROR ; mem 0x45000100 ? 0xabc

  # 7.5.1 the GERROR MSI aborts: no interrupt for that
    on everything MSI=1
    GERROR_IRQ_CFG0 = 0xf0000000 ; IRQ_CTRL = 1
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 raw 0 0 ; CMDQ_PROD = 1 ; GERROR ? 0x81 ; raised GERROR msi:GERROR
    GERRORN = 0x80 ; CMDQ_PROD = 1 ; GERROR ? 0x81 ; put 0 SYNC ; GERRORN = 0x81 ; CMDQ_CONS ? 1

  # 6.3.16 no interrupt for what came before the enable
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 raw 0 0 ; CMDQ_PROD = 1 ; IRQ_CTRL = 1 ; raised -

  # 4.1.5 a reserved bit of a command is ignored (choice), or CERROR_ILL
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 SYNC [8]=1 ; CMDQ_PROD = 1 ; noted command-reserved-bits ; CMDQ_CONS ? 1

  # 4.1.5 strict
    on everything strictReserved:=true
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; put 0 SYNC [127]=1 ; CMDQ_PROD = 1 ; CMDQ_CONS ? 0x01000000

  # 4.7.3 CMD_SYNC waits for older commands; the positions of a command
    on everything manual
    CMDQ_BASE = 0x41000004 ; CR0 = 8 ; run ; put 0 TLBI_NSNH_ALL ; put 1 SYNC ; put 2 TLBI_NSNH_ALL ; CMDQ_PROD = 3
    turn cmdq ; CMDQ_CONS ? 0 ; turn consume ; CMDQ_CONS ? 1 ; turn cmdq ; idle consume ; CMDQ_CONS ? 1 ; idle cmdq
    turn perform ; turn consume ; CMDQ_CONS ? 2 ; turn cmdq ; turn consume ; CMDQ_CONS ? 3 ; turn perform ; idle perform
  `),
  )('$title', (each) => expect(wrongSteps(each)).toEqual([]));
});

describe('the Event queue and the stream table', () => {
  it.each(
    specCases(`
  # 7.2 a record, PROD and the interrupt on empty to non-empty
    up
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read","expect":{"result":"abort","event":"F_TRANSLATION"}}
    EVENTQ_PROD ? 1 ; raised EVENTQ
    {"op":"dma","endpoint":"dev0","iova":"0x2000","bytes":8,"access":"write","expect":{"result":"abort"}}
    EVENTQ_PROD ? 2 ; raised -
    EVENTQ_CONS = 2
    {"op":"dma","endpoint":"dev0","iova":"0x2000","bytes":8,"access":"write","expect":{"result":"abort"}}
    raised EVENTQ

  # 7.4 full: lost, OVFLG toggles once until acknowledged, and does not hold back later records
    up
    CR0 = 9 ; EVENTQ_BASE = 0x42000001 ; EVENTQ_PROD = 0 ; EVENTQ_CONS = 0 ; CR0 = 0xd
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read"}
    {"op":"dma","endpoint":"dev0","iova":"0x2000","bytes":8,"access":"read"}
    EVENTQ_PROD ? 2
    {"op":"dma","endpoint":"dev0","iova":"0x3000","bytes":8,"access":"read"}
    EVENTQ_PROD ? 0x80000002
    {"op":"dma","endpoint":"dev0","iova":"0x3000","bytes":8,"access":"read"}
    EVENTQ_PROD ? 0x80000002 ; EVENTQ_CONS = 1
    {"op":"dma","endpoint":"dev0","iova":"0x4000","bytes":8,"access":"read"}
    EVENTQ_PROD ? 0x80000003 ; EVENTQ_CONS = 0x80000001
    {"op":"dma","endpoint":"dev0","iova":"0x4000","bytes":8,"access":"read"}
    EVENTQ_PROD ? 0x00000003

  # 7.4 a queue of one entry
    up
    CR0 = 9 ; EVENTQ_BASE = 0x42000000 ; EVENTQ_PROD = 0 ; EVENTQ_CONS = 0 ; CR0 = 0xd
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read"}
    EVENTQ_PROD ? 1
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read"}
    EVENTQ_PROD ? 0x80000001 ; EVENTQ_CONS = 0x80000001
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read"}
    EVENTQ_PROD ? 0x80000000

  # 7.2 disabled: lost without an overflow
    up
    CR0 = 9
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read","expect":{"result":"abort"}}
    EVENTQ_PROD ? 0 ; CR0 = 0xd ; EVENTQ_PROD ? 0

  # 7.2.2 an abort of the write: EVENTQ_ABT_ERR, PROD stays, no queue interrupt, delivery stops
    up
    CR0 = 9 ; EVENTQ_BASE = 0xf0000004 ; CR0 = 0xd
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read"}
    EVENTQ_PROD ? 0 ; GERROR ? 4 ; raised GERROR
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read"}
    EVENTQ_PROD ? 0 ; GERROR ? 4 ; raised -
    GERRORN = 4
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read"}
    GERROR ? 0

  # 3.18 the MSI of the Event queue, and one that aborts
    on everything MSI=1
    EVENTQ_IRQ_CFG0 = 0x45000000 ; EVENTQ_IRQ_CFG1 = 0x55 ; up
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read"}
    raised EVENTQ msi:EVENTQ ; mem 0x45000000 ? 0x55
    IRQ_CTRL = 0 ; EVENTQ_IRQ_CFG0 = 0xf0000000 ; EVENTQ_CONS = 1 ; IRQ_CTRL = 5
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read"}
    GERROR ? 0x20 ; raised EVENTQ msi:EVENTQ GERROR ; EVENTQ_PROD ? 2

  # 3.5.2 inconsistent indices count as full
    up
    CR0 = 9 ; EVENTQ_BASE = 0x42000002 ; EVENTQ_PROD = 1 ; EVENTQ_CONS = 2 ; CR0 = 0xd
    {"op":"dma","endpoint":"dev0","iova":"0x1000","bytes":8,"access":"read"}
    EVENTQ_PROD ? 0x80000001

  # 6.3.9.6 SMMUEN=0: nothing is translated or recorded, GBPA says what happens; CMDQ and EVENTQ work
    up
    CR0 = 0xc
    {"op":"dma","endpoint":"dev0","iova":"0x40000000","bytes":8,"access":"read","expect":{"result":"ok","pa":"0x40000000"}}
    {"op":"dma","endpoint":"dev0","iova":"0x1000000000000","bytes":8,"access":"read","expect":{"result":"abort"}}
    {"op":"dma","endpoint":"dev0","iova":"0x40000000","bytes":8,"access":"read","ssid":5,"expect":{"result":"ok"}}
    EVENTQ_PROD ? 0 ; put 0 SYNC ; CMDQ_PROD = 1 ; CMDQ_CONS ? 1

  # 6.3.24 a linear table is aligned down to its size
    CR1 = 0xd75 ; CR2 = 2 ; STRTAB_BASE = 0x40013fc0 ; STRTAB_BASE_CFG = 8
    EVENTQ_BASE = 0x42000004 ; mem 0x40010200 = 0x9 0x100000000000 ; CR0 = 5
    {"op":"dma","endpoint":"dev0","iova":"0x40000000","bytes":8,"access":"read","expect":{"result":"ok"}}

  # 6.3.24 LOG2SIZE of 20 with 16 StreamID bits aligns to 64 MiB
    CR1 = 0xd75 ; CR2 = 2 ; STRTAB_BASE = 0x41010fc0 ; STRTAB_BASE_CFG = 20
    EVENTQ_BASE = 0x46000004 ; mem 0x40000200 = 0x9 0x100000000000 ; CR0 = 5
    {"op":"dma","endpoint":"dev0","iova":"0x40000000","bytes":8,"access":"read","expect":{"result":"ok"}}

  # 6.3.24 two levels: the L1 table is aligned to the larger of 64 bytes and its size
    CR1 = 0xd75 ; CR2 = 2 ; STRTAB_BASE = 0x400100c0 ; STRTAB_BASE_CFG = 0x1020c
    EVENTQ_BASE = 0x42000004 ; mem 0x40010080 = 0x40020009 ; mem 0x40020200 = 0x9 0x100000000000 ; CR0 = 5
    {"op":"dma","endpoint":"dev0","iova":"0x40000000","bytes":8,"access":"read","expect":{"result":"ok"}}

  # 6.3.25 SPLIT of another value acts as 6
    CR1 = 0xd75 ; CR2 = 2 ; STRTAB_BASE = 0x40010000 ; STRTAB_BASE_CFG = 0x101cc
    EVENTQ_BASE = 0x42000004 ; mem 0x40010000 = 0x40020007 ; mem 0x40020200 = 0x9 0x100000000000 ; CR0 = 5
    {"op":"dma","endpoint":"dev0","iova":"0x40000000","bytes":8,"access":"read","expect":{"result":"ok"}}

  # 6.3.25 a reserved FMT acts as linear
    CR1 = 0xd75 ; CR2 = 2 ; STRTAB_BASE = 0x40010000 ; STRTAB_BASE_CFG = 0x20208
    EVENTQ_BASE = 0x42000004 ; mem 0x40010200 = 0x9 0x100000000000 ; CR0 = 5
    {"op":"dma","endpoint":"dev0","iova":"0x40000000","bytes":8,"access":"read","expect":{"result":"ok"}}
  `),
  )('$title', (each) => expect(wrongSteps(each)).toEqual([]));
});

describe('an enhanced command queue', () => {
  it.each(
    specCases(`
  # 6.3.45 IDR6 and the control page registers tell of the queues
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMP=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    [0x190] ? 0x1020000
    [0x4000:8] ? 0x40003 ; [0x4020:8] ? 0x50003 ; [0x4040:8] ? 0
    [0x4008] ? 1 ; [0x400c] ? 1 ; [0x4028] ? 1 ; [0x402c] ? 1 ; [0x4048] ? 0
    [0x4008] = 0 ; [0x4008] ? 1

  # 6.2.5 the queues are spread evenly over the page: 4 of them, 16 KiB apart
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    [0x44000:8] = 0x4000000044001004 ; [0x44000:8] ? 0x4000000044001004 ; [0x44004] ? 0x40000000
    [0x40000:8] ? 0 ; [0x40100:8] = 0x44000004 ; [0x40100:8] ? 0

  # 6.2.5 128 queues: 512 bytes apart
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=7
    [0x40200:8] = 0x44000004 ; [0x40200:8] ? 0x44000004 ; [0x4fe00:8] = 0x44000004 ; [0x4fe00:8] ? 0x44000004

  # 3.5.6.2 enabling: EN, then ENACK; PROD is read-only between
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2 manual
    [0x40000:8] = 0x44000004 ; put 0:0 SYNC ; put 0:1 SYNC
    [0x40008] = 0x80000001 ; [0x4000c] ? 0
    [0x40008] = 0x80000002 ; [0x40008] ? 0x80000001
    run ; [0x4000c] ? 0x80000001
    [0x40008] = 0x80000002 ; run ; [0x4000c] ? 0x80000002

  # 6.3.107 BASE and CONS are read-only while EN or ENACK is 1
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2 manual
    [0x40000:8] = 0x44000004 ; [0x40008] = 0x80000000
    [0x40000:8] = 0x44000005 ; [0x40000:8] ? 0x44000004 ; [0x4000c] = 1 ; [0x4000c] ? 0
    run ; [0x40008] = 0 ; [0x40000:8] = 0x44000005 ; [0x40000:8] ? 0x44000004
    run ; [0x4000c] ? 0 ; [0x40000:8] = 0x44000005 ; [0x40000:8] ? 0x44000005

  # 3.5.6.3 an error: RD, ERR_REASON and ERR, GERROR.CMDQP_ERR, the interrupt
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    IRQ_CTRL = 1 ; [0x40000:8] = 0x44000004 ; put 0:0 SYNC ; put 0:1 raw 0 0 ; put 0:2 SYNC ; [0x40008] = 0x80000003
    [0x4000c] ? 0x81800001 ; GERROR ? 0x200 ; raised GERROR

  # 3.5.6.3 the acknowledgement is ERRACK; CMDQP_ERR stops nothing
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    [0x40000:8] = 0x44000004 ; put 0:0 raw 0 0 ; [0x40008] = 0x80000001 ; [0x4000c] ? 0x81800000
    put 0:0 SYNC ; GERRORN = 0x200 ; check smmu0.ecmdq[0].cons 0
    [0x40008] = 0x80800001 ; check smmu0.ecmdq[0].cons 1
    put 0:1 raw 0 0 ; [0x40008] = 0x80800002 ; [0x4000c] ? 0x81000001 ; GERROR ? 0

  # 3.5.6.3 a second queue works while one is in error, CMDQ too, and the other way round
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    IRQ_CTRL = 1 ; CMDQ_BASE = 0x41000004 ; CR0 = 8
    [0x40000:8] = 0x44000004 ; [0x44000:8] = 0x44001004 ; put 0:0 raw 0 0 ; put 1:0 SYNC ; put 0 SYNC
    [0x40008] = 0x80000001 ; [0x44008] = 0x80000001 ; CMDQ_PROD = 1
    check smmu0.ecmdq[1].cons 1 ; CMDQ_CONS ? 1 ; raised GERROR
    put 1:1 raw 0xff 0 ; [0x44008] = 0x80000002 ; [0x4400c] ? 0x81800001 ; GERROR ? 0x200 ; raised -
    put 1 raw 0 0 ; CMDQ_PROD = 2 ; GERROR ? 0x201 ; raised GERROR
    put 1:1 SYNC ; [0x44008] = 0x80800002 ; check smmu0.ecmdq[1].cons 2

  # 3.5.6.2 disabling acknowledges with an error active
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    [0x40000:8] = 0x44000004 ; put 0:0 raw 0 0 ; [0x40008] = 0x80000001 ; [0x40008] = 0x1 ; [0x4000c] ? 0x01800000

  # 3.5.6.3 disabled, made consistent, enabled: it works again
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    [0x40000:8] = 0x44000004 ; put 0:0 raw 0 0 ; [0x40008] = 0x80000001 ; [0x40008] = 0x1 ; put 0:0 SYNC ; [0x40008] = 0x800001 ; [0x40008] = 0x80800001
    check smmu0.ecmdq[0].cons 1

  # 3.5.6.3 a fetch abort is reason 2
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    [0x40000:8] = 0xf0000004 ; [0x40008] = 0x80000001 ; [0x4000c] ? 0x82800000

  # 3.5.6 SEV when an ECMDQ becomes non-full
    on everything ECMDQ=1 MSI=1 SEV=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    [0x40000:8] = 0x44000001 ; put 0:0 SYNC ; put 0:1 SYNC ; [0x40008] = 0x80000002 ; raised sev:ECMDQ0

  # 3.5.6.1 a CMD_SYNC is of its own queue
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2 manual
    [0x40000:8] = 0x44000004 ; [0x44000:8] = 0x44001004 ; [0x40008] = 0x80000000 ; [0x44008] = 0x80000000 ; run
    put 0:0 TLBI_NSNH_ALL ; put 1:0 SYNC ; [0x40008] = 0x80000001 ; [0x44008] = 0x80000001
    turn ecmdq0 ; turn ecmdq0-consume ; turn ecmdq1 ; turn ecmdq1-consume ; [0x4400c] ? 0x80000001 ; turn ecmdq0-perform

  # 3.5.6.3 an MSI of a CMD_SYNC from an ECMDQ that aborts
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    [0x40000:8] = 0x44000004 ; put 0:0 SYNC CS=1 MSIAddress=0xf0000000 ; [0x40008] = 0x80000001 ; GERROR ? 0x10 ; [0x4000c] ? 0x80000001

  # 6.3.11.2 QUEUE_* of CR1 is guarded by any ECMDQ
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    [0x48008] = 0x80000000 ; CR1 = 0xfff ; CR1 ? 0xfc0 ; [0x48008] = 0 ; CR1 = 0xfff ; CR1 ? 0xfff

  # 6.3.108 reserved bits of PROD and CONS
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2
    [0x40000:8] = 0x44000013 ; [0x40008] = 0x7fffffff ; [0x40008] ? 0x8fffff

  # 3.5.6 a queue of one entry, and of 2^19
    on everything ECMDQ=1 MSI=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=0
    [0x40000:8] = 0x44000000 ; put 0:0 SYNC ; [0x40008] = 0x80000001 ; [0x4000c] ? 0x80000001 ; [0x40008] = 0x80000000 ; [0x4000c] ? 0x80000000
    [0x40008] = 0 ; [0x40000:8] = 0x44000013 ; [0x4000c] = 0x7ffff ; mem 0x447ffff0 = 0x46 0 ; [0x40008] = 0x7ffff ; [0x40008] = 0x80080000 ; [0x4000c] ? 0x80080000
  `),
  )('$title', (each) => expect(wrongSteps(each)).toEqual([]));
});
