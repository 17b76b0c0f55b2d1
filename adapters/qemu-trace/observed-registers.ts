/** Register accesses as facts. */
import { type RegisterName, registers } from '../../core/smmu/registers.ts';
import { regValue } from '../../core/smmu/regs.ts';
import type { LineOf } from './events.ts';
import { SMMU } from './machine.ts';
import { placeOf } from './registers.ts';
import type { Watch } from './watch.ts';

interface Written {
  readonly offset: number;
  readonly size: number;
  readonly value: bigint;
  readonly by: string;
  readonly line: number;
}

/** Registers whose writes the emulator acknowledges at once. */
const ACKNOWLEDGED: Partial<Record<RegisterName, RegisterName>> = { CR0: 'CR0ACK', IRQ_CTRL: 'IRQ_CTRLACK' };
const LOW = 0xffff_ffffn;

/** States a write, and what the emulator acknowledges by it at once. */
export function observedWrite(watch: Watch, { offset, size, value, by, line }: Written): void {
  const { emulator, facts, live } = watch;
  emulator.write(offset & 0xffff, size, value);
  const found = registers.at(placeOf(offset));
  if (found === undefined || found.register.access === 'RO') return;
  const name = found.register.name as RegisterName;
  const old = regValue(live.smmu, name);
  const next = size === 8 ? value : found.word === 0 ? (old & ~LOW) | value : (old & LOW) | (value << 32n);
  const kept = found.register.width === 64 ? next : next & LOW;
  // The pointer may be known from the commands it let through.
  if (name !== 'CMDQ_PROD' || old !== kept) {
    facts.add({ type: 'register.written', actor: by, smmu: SMMU, register: name, value: kept, old });
  }
  const acknowledge = ACKNOWLEDGED[name];
  if (acknowledge !== undefined) updateRegister(watch, acknowledge, kept);
  facts.put(line);
}

/** States a read; the register is known to hold what was read. */
export function observedRead(watch: Watch, { addr, size, val, line }: LineOf<'smmuv3_read_mmio'>): void {
  const { facts } = watch;
  const offset = placeOf(addr);
  const found = registers.at(offset);
  const name = found?.register.name as RegisterName | undefined;
  if (name !== undefined && (size === 8 || found?.word === 0)) updateRegister(watch, name, val);
  facts.add({
    type: 'register.read',
    actor: 'cpu',
    smmu: SMMU,
    register: name ?? '-',
    offset,
    size,
    value: val,
  });
  facts.put(line);
}

/** The register is known to hold a value; nothing is stated when it does. */
export function updateRegister({ facts, live }: Watch, name: RegisterName, value: bigint): void {
  const old = regValue(live.smmu, name);
  if (old !== value)
    facts.add({ type: 'register.updated', actor: SMMU, smmu: SMMU, register: name, value, old });
}
