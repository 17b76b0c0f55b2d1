/** How a guest's driver reaches its queues beside the main one: by pages in its memory, or by pages of hardware. */
import { present } from '../assert.ts';
import { offsetOf, type QueueRegister } from '../cmdqv/registers.ts';
import { firstQueue, queueRegister, writeUnit } from '../cmdqv/unit.ts';
import { ringDoorbell } from '../kvm/doorbell.ts';
import type { Context } from '../machine.ts';
import { inSpace } from '../memory/space.ts';
import type { SmmuState } from '../smmu/state.ts';
import { unitsOf } from '../smmu/units.ts';
import type { State } from '../state.ts';
import { isVmmBusy } from '../vm/exits.ts';
import { storeGuest } from '../vm/memory.ts';
import { type VirtualSmmu, workerUnit } from '../vm/state.ts';
import { virtualSmmuOf, vmOf } from '../vm/vm.ts';
import { offerOf, type UnitRegister, writeSecond } from '../vmm/second-traps.ts';
import type { SecondPlace, SecondPort } from './second-queue.ts';
import type { DriverSetup } from './state.ts';

const virtualOf = (state: State, { owner, port }: DriverSetup): VirtualSmmu =>
  virtualSmmuOf(vmOf(state, owner), port.smmu);

/** The hardware's registers of a queue, where the guest has its page; else the VMM has them. */
function liveQueue(
  state: State,
  setup: DriverSetup,
  index: number,
): { readonly smmu: SmmuState; readonly queue: number } | undefined {
  const { physical, secondVintf = 0, secondUnit } = virtualOf(state, setup);
  if (secondVintf === 0 || secondUnit?.vintf !== true) return undefined;
  const smmu = present(state.smmus[physical], `SMMU ${physical}`);
  return { smmu, queue: firstQueue(smmu, secondVintf) + index };
}

const TRAPPED: ReadonlySet<string> = new Set<UnitRegister>(['BASE', 'ALLOC', 'CMDQV_CONFIG', 'VINTF_CONFIG']);

function writeHardware(
  context: Context,
  setup: DriverSetup,
  place: SecondPlace,
  register: QueueRegister | UnitRegister,
  value: bigint,
): void {
  const live = TRAPPED.has(register) ? undefined : liveQueue(context.state, setup, place.index);
  if (live === undefined) return writeSecond(context, setup.owner, setup.port.smmu, place, register, value);
  writeUnit(context, live.smmu, queueRegister(live.queue, register as QueueRegister), value);
}

function writeSoftware(
  context: Context,
  { owner: vm, actor, port }: DriverSetup,
  place: SecondPlace,
  register: QueueRegister | UnitRegister,
  value: bigint,
): void {
  if (register === 'CONFIG' || TRAPPED.has(register))
    return writeSecond(context, vm, port.smmu, place, register, value);
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, Number(value), true);
  storeGuest(context, vm, actor, place.page + offsetOf(register as QueueRegister), bytes);
  ringDoorbell(context, vm, port.smmu, place.index);
}

export const guestSecond: SecondPort = {
  offer: (state, { setup }) => offerOf(state, setup.owner, setup.port.smmu),
  // STATUS is that of whoever serves the queue. The QEMU of 2025 keeps one of its own, which says yes to any CONFIG.
  peek: (state, { setup }, { kind, page, index }, register) => {
    if (kind === 'software')
      return state.memory.read32(inSpace(state, setup.owner, page + offsetOf(register)));
    const live = liveQueue(state, setup, index);
    return live === undefined ? 0 : (live.smmu.regs[queueRegister(live.queue, register)] ?? 0);
  },
  write: (context, { setup }, place, register, value) => {
    const write = place.kind === 'software' ? writeSoftware : writeHardware;
    write(context, setup, place, register, value);
  },
  isBusy: (state, { setup }) => {
    if (isVmmBusy(state, setup.owner)) return true;
    const { physical } = virtualOf(state, setup);
    const worker = workerUnit(setup.owner);
    const works = (unit: string): boolean => unit === worker || unit.startsWith(`${physical}.`);
    if (state.tasks.some(({ unit }) => works(unit))) return true;
    if ((state.drivers[physical]?.interrupts.length ?? 0) > 0) return true;
    const smmu = state.smmus[physical];
    return smmu !== undefined && unitsOf(smmu).some((unit) => unit.ready(smmu));
  },
};
