/**
 * TLB maintenance by a vCPU: the instruction does not trap, and its broadcast carries the VMID that KVM has given
 * the VM. Whether an SMMU acts on it is a matter of IDR0.BTM, CR2.PTM and of the VMID its entries have.
 */
import type { Cmd } from '../driver/commands.ts';
import { fieldsOf } from '../driver/commands.ts';
import type { Context, Decider } from '../machine.ts';
import { broadcasts, receiveBroadcast } from '../smmu/broadcast.ts';
import { commandByOpcode } from '../smmu/command-layout.ts';
import { findVm } from '../vm/vm.ts';

/** Operations that a guest at EL1 can broadcast. */
export const guestOperations: readonly string[] = Object.entries(broadcasts)
  .filter(
    ([, { level, stages, takes }]) =>
      level === 'EL1' && stages.includes(1) && !stages.includes(2) && takes.includes('vmid'),
  )
  .map(([name]) => name);

/** What a guest's instruction is for. */
export interface GuestTlbi {
  readonly operation: string;
  readonly asid?: number;
  readonly va?: bigint;
}

/** A vCPU of the VM broadcasts. */
export function broadcastOf(context: Context, vm: string, tlbi: GuestTlbi): void {
  const vmid = findVm(context.state, vm)?.kvm?.vmid ?? 0;
  receiveBroadcast(context, { type: 'cpu.tlbi', vmid, ...tlbi });
}

export const guestTlbi: Decider<'kvm.tlbi'> = (context, { vm, operation, asid, va, tg, num, scale, ttl }) => {
  const vmid = findVm(context.state, vm)?.kvm?.vmid ?? 0;
  const operands = { vmid, ...(asid === undefined ? {} : { asid }), ...(va === undefined ? {} : { va }) };
  const range = {
    ...(tg === undefined ? {} : { tg }),
    ...(num === undefined ? {} : { num }),
    ...(scale === undefined ? {} : { scale }),
    ...(ttl === undefined ? {} : { ttl }),
  };
  receiveBroadcast(context, { type: 'cpu.tlbi', operation, ...operands, ...range });
  context.emit(vm, { type: 'vm.answered', vm, about: context.state.outside });
};

const PAGES_MAX = 512;
const PAGE_LOG2: Readonly<Record<string, number>> = { NONE: 12, '4KB': 12, '16KB': 14, '64KB': 16 };

/**
 * The instructions for what a command would invalidate; undefined where there are none: the command stays. A range of
 * more than PAGES_MAX pages is its whole ASID, as in a kernel's own flushes (linux: arm64, MAX_DVM_OPS).
 */
export function tlbisFor(command: Cmd): readonly GuestTlbi[] | undefined {
  const name = commandByOpcode(Number(command[0] & 0xffn))?.name;
  if (name === 'CMD_TLBI_NH_ALL' || name === 'CMD_TLBI_NSNH_ALL') return [{ operation: 'VMALLE1' }];
  if (name === 'CMD_TLBI_NH_ASID')
    return [{ operation: 'ASIDE1', asid: fieldsOf(command, 'CMD_TLBI_NH_ASID').ASID }];
  if (name !== 'CMD_TLBI_NH_VA') return undefined;
  const { ASID: asid, TG, NUM, SCALE, Leaf, Address } = fieldsOf(command, 'CMD_TLBI_NH_VA');
  const pages = (NUM + 1) * 2 ** SCALE;
  if (pages > PAGES_MAX) return [{ operation: 'ASIDE1', asid }];
  const step = 2n ** BigInt(PAGE_LOG2[TG] ?? 12);
  const operation = Leaf ? 'VALE1' : 'VAE1';
  return Array.from({ length: pages }, (_, page) => ({
    operation,
    asid,
    va: BigInt(Address) + BigInt(page) * step,
  }));
}
