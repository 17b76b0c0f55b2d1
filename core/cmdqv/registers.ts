/**
 * Registers of a guest's command queue beside the main one: those of a Tegra241 CMDQV, which the queue that a
 * kernel works off takes over for its shared page. linux: drivers/iommu/arm/arm-smmu-v3/tegra241-cmdqv.c.
 */
import { addr, flag, uint } from '../layout/field.ts';
import { register, registerFile } from '../layout/register.ts';

const spec = 'tegra241-cmdqv.c';

/** Page 0 of a queue: what a guest reads and writes without a trap. Queues follow each other by QUEUE_STRIDE. */
// biome-ignore format: a table
export const queuePage = registerFile([
  register('CONS',    { offset: 0x00, width: 32, access: 'RO', spec }, { RD: uint(19, 0), ERR: uint(30, 24) }),
  register('PROD',    { offset: 0x04, width: 32, access: 'RW', spec }, { WR: uint(19, 0) }),
  register('CONFIG',  { offset: 0x08, width: 32, access: 'RW', spec }, { EN: flag(0) }),
  register('STATUS',  { offset: 0x0c, width: 32, access: 'RO', spec }, { ENABLED: flag(0) }),
  register('GERROR',  { offset: 0x10, width: 32, access: 'RO', spec }, { CMDQ_ERR: flag(0), CONS_DRAM_WR_ABT_ERR: flag(1), CMDQ_INIT_ERR: flag(2) }),
  register('GERRORN', { offset: 0x14, width: 32, access: 'RW', spec }, { CMDQ_ERR: flag(0), CONS_DRAM_WR_ABT_ERR: flag(1), CMDQ_INIT_ERR: flag(2) }),
]);

/** Page 1 of a queue: where it lies. Never mapped into a guest. */
// biome-ignore format: a table
export const baseRegister = register('BASE', { offset: 0x00, width: 64, access: 'RW', spec }, { LOG2SIZE: uint(4, 0), ADDR: addr(47, 5) });

export type QueueRegister = keyof typeof queuePage.byName;
/** Bytes from a queue's page-0 registers to the next queue's. */
export const QUEUE_STRIDE = 0x80;
/** GERROR and GERRORN: the queue has stopped at a command. */
export const CMDQ_ERR = 1;
/** CONS.ERR. */
export const ERR_SHIFT = 24;
/** The pointer in PROD and CONS: index and wrap bit. */
export const POINTER = 0xf_ffff;

/** The offset of a register of page 0, from where its queue's registers begin. */
export function offsetOf(register: QueueRegister): number {
  return queuePage.byName[register].offset;
}

/** BASE of a queue of 2^sizeLog2 commands. */
export function baseOf(address: number, sizeLog2: number): bigint {
  return BigInt(address) + BigInt(sizeLog2);
}
