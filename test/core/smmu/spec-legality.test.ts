/**
 * Which commands are CERROR_ILL: every opcode on four parts, and the rules on fields. Written from IHI 0070 G.b 4.1.1,
 * 4.1.3, 4.1.5, 4.1.6 and the sections of the commands.
 */
import { describe, expect, it } from 'vitest';
import { wrongSteps } from '../../support/spec-cases.ts';
import { table } from '../../support/tables.ts';

/** Opcodes that are legal with all their fields 0: on every SMMU, and where it has what they need. */
const ALWAYS = [0x01, 0x02, 0x03, 0x04, 0x30, 0x46];
const NEEDS = {
  S1P: [0x05, 0x06, 0x10, 0x11, 0x12, 0x13],
  S2P: [0x28, 0x2a],
  Hyp: [0x20, 0x21, 0x22, 0x23],
  ATS: [0x40],
  PRI: [0x41],
  stalls: [0x44, 0x45],
} as const;

const parts = table<'part' | 'has'>(`
  part       | has
  minimal    | S1P
  qemu-9     | S1P S2P
  mmu-600    | S1P S2P Hyp ATS PRI stalls
  everything | S1P S2P Hyp ATS PRI stalls
`);

describe('an opcode (4.1.1)', () => {
  it.each(parts)('is CERROR_ILL on $part unless it has $has', ({ part, has }) => {
    const legal = [...ALWAYS, ...has.split(' ').flatMap((each) => NEEDS[each as keyof typeof NEEDS])];
    const steps = [`on ${part}`, 'CMDQ_BASE = 0x41000000', 'CR0 = 8'];
    // A queue of one entry: an accepted command toggles the wrap bit, an error GERROR.
    let [wrap, told] = [0, 0];
    for (let opcode = 0; opcode < 256; opcode += 1) {
      steps.push(`put 0 raw ${opcode} 0`, `CMDQ_PROD = ${1 - wrap}`);
      if (legal.includes(opcode)) {
        wrap = 1 - wrap;
        steps.push(`check smmu0.cmdq.cons ${wrap}`);
      } else {
        told ^= 1;
        steps.push(
          `CMDQ_CONS ? ${0x0100_0000 + wrap}`,
          `GERROR ? ${told}`,
          `CMDQ_PROD = ${wrap}`,
          `GERRORN = ${told}`,
        );
      }
    }
    expect(wrongSteps({ title: part, steps })).toEqual([]);
  });
});

// biome-ignore format: a table
const fields = table<'machine' | 'command' | 'result'>(`
  machine | command | result
  everything                                     | PREFETCH_CONFIG SSec=1                          | CERROR_ILL
  everything                                     | PREFETCH_ADDR SSec=1                            | CERROR_ILL
  everything                                     | CFGI_STE SSec=1                                 | CERROR_ILL
  everything                                     | CFGI_STE_RANGE SSec=1                           | CERROR_ILL
  everything                                     | CFGI_CD SSec=1                                  | CERROR_ILL
  everything                                     | CFGI_CD_ALL SSec=1                              | CERROR_ILL
  everything                                     | RESUME SSec=1                                   | CERROR_ILL
  everything                                     | STALL_TERM SSec=1                               | CERROR_ILL
  everything                                     | PREFETCH_ADDR SSec=1 Size=31 Stride=31          | CERROR_ILL
  everything                                     | CFGI_STE_RANGE Range=31 StreamID=0xffffffff     | consumed
  everything                                     | ATC_INV Size=52                                 | consumed
  everything                                     | PRI_RESP Resp=3                                 | CERROR_ILL
  everything                                     | PRI_RESP Resp=2                                 | consumed
  everything                                     | TLBI_NH_VA TG=1                                 | CERROR_ILL
  everything                                     | TLBI_NH_VA TG=2                                 | CERROR_ILL
  everything                                     | TLBI_NH_VA TG=3                                 | CERROR_ILL
  everything                                     | TLBI_NH_VA TG=1 TTL=1                           | consumed
  everything                                     | TLBI_NH_VA TG=2 TTL=1                           | CERROR_ILL
  everything DS=1 GRAN16K=1 VAX=1                | TLBI_NH_VA TG=2 TTL=1                           | consumed
  everything                                     | TLBI_NH_VA TG=2 TTL=2                           | consumed
  everything                                     | TLBI_NH_VA TG=3 TTL=1                           | consumed
  everything                                     | TLBI_NH_VA TG=1 NUM=1                           | consumed
  everything                                     | TLBI_NH_VA TG=1 SCALE=1                         | consumed
  everything                                     | TLBI_NH_VA TG=2 TTL=1 NUM=1                     | consumed
  everything                                     | TLBI_NH_VA TG=1 [25]=1                          | CERROR_ILL
  everything DS=1 VAX=1                          | TLBI_NH_VA TG=1 SCALE=32                        | consumed
  everything                                     | TLBI_NH_VA TG=1 [71]=1                          | CERROR_ILL
  everything                                     | TLBI_NH_VA TG=0 NUM=3 SCALE=3 TTL=3             | consumed
  everything                                     | TLBI_NH_VAA TG=1                                | CERROR_ILL
  everything                                     | TLBI_EL2_VA TG=1                                | CERROR_ILL
  everything                                     | TLBI_EL2_VAA TG=1                               | CERROR_ILL
  everything                                     | TLBI_S2_IPA TG=1                                | CERROR_ILL
  everything                                     | TLBI_S2_IPA TG=2 TTL=1                          | CERROR_ILL
  mmu-600                                        | TLBI_NH_VA TG=1                                 | consumed
  mmu-600                                        | TLBI_S2_IPA TG=3 NUM=0                          | consumed
  minimal                                        | TLBI_NH_VA TG=1                                 | consumed
  everything S1P=0 Hyp=0 HAD=0                   | CFGI_CD                                         | CERROR_ILL
  everything S1P=0 Hyp=0 HAD=0                   | TLBI_NH_ALL                                     | CERROR_ILL
  everything S1P=0 Hyp=0 HAD=0                   | TLBI_NSNH_ALL                                   | consumed
  everything S1P=0 Hyp=0 HAD=0                   | CFGI_STE                                        | consumed
  everything S1P=0 Hyp=0 HAD=0                   | TLBI_S12_VMALL                                  | consumed
  everything S1P=0 Hyp=0 HAD=0                   | PREFETCH_CONFIG                                 | consumed
  everything STALL_MODEL=1 STALL_MAX=0           | RESUME                                          | CERROR_ILL
  everything STALL_MODEL=2                       | RESUME                                          | consumed
  everything STALL_MODEL=2                       | STALL_TERM                                      | consumed
  everything ATS=0 PRI=0                         | ATC_INV                                         | CERROR_ILL
  everything PRI=0                               | PRI_RESP                                        | CERROR_ILL
  everything PRI=0                               | ATC_INV                                         | consumed
  everything PRI=0                               | PRI_RESP Resp=3                                 | CERROR_ILL
  everything Hyp=0                               | TLBI_EL2_ALL                                    | CERROR_ILL
  everything                                     | CFGI_CD SubstreamID=0xfffff StreamID=0xffffffff | consumed
  everything strictReserved:=true                | TLBI_NH_ALL [63]=1                              | CERROR_ILL
  everything strictReserved:=true                | TLBI_NH_ALL [47]=1                              | consumed
  everything strictReserved:=true                | TLBI_NH_VA NUM=1                                | CERROR_ILL
  everything strictReserved:=true                | TLBI_NH_VA TG=1 NUM=1 [25]=1                    | CERROR_ILL
  everything strictReserved:=true                | TLBI_NH_VA TTL=1                                | CERROR_ILL
  mmu-600 strictReserved:=true                   | TLBI_NH_VA TG=1                                 | CERROR_ILL
  everything strictReserved:=true                | CFGI_STE_RANGE Range=31                         | consumed
  everything strictReserved:=true                | PREFETCH_ADDR [74]=1                            | CERROR_ILL
  everything strictReserved:=true                | PREFETCH_ADDR Stride=5 Size=1                   | consumed
  everything strictReserved:=true                | ATC_INV [8]=1                                   | CERROR_ILL
  everything strictReserved:=true                | SYNC MSIData=0xffffffff MSIAttr=15 MSH=3        | consumed
  everything strictReserved:=true                | TLBI_S2_IPA [120]=1                             | CERROR_ILL
  everything strictReserved:=true                | TLBI_S2_IPA [119]=1                             | CERROR_ILL
  everything strictReserved:=true                | SYNC CS=1 [119]=1                               | CERROR_ILL
  everything ASID16=0 strictReserved:=true       | TLBI_NH_ASID ASID=0x100                         | CERROR_ILL
  everything ASID16=0                            | TLBI_NH_ASID ASID=0x100                         | consumed
  everything VMID16=0 strictReserved:=true       | TLBI_NH_ALL VMID=0x100                          | CERROR_ILL
  everything VMID16=0 strictReserved:=true       | TLBI_NH_ALL VMID=0xff                           | consumed
  minimal strictReserved:=true                   | TLBI_NH_ALL VMID=1                              | CERROR_ILL
  minimal                                        | TLBI_NH_ALL VMID=1                              | consumed
  everything ArchMinorRev=0 strictReserved:=true | PREFETCH_ADDR Stride=1                          | CERROR_ILL
  everything ArchMinorRev=0 strictReserved:=true | TLBI_S2_IPA Address=0x1000000000000             | CERROR_ILL
  everything ArchMinorRev=1 strictReserved:=true | TLBI_S2_IPA Address=0x1000000000000             | consumed
`);

describe('the fields of a command (4.1.3, 4.1.5)', () => {
  it.each(fields)('$command on $machine: $result', ({ machine, command, result }) => {
    const cons = result === 'CERROR_ILL' ? 0x0100_0000 : 1;
    const put = ['CMDQ_BASE = 0x41000004', 'CR0 = 8', `put 0 ${command}`, 'CMDQ_PROD = 1'];
    expect(wrongSteps({ title: command, steps: [`on ${machine}`, ...put, `CMDQ_CONS ? ${cons}`] })).toEqual(
      [],
    );
  });
});
