/** How a guest's driver reaches its queues beside the main one: by pages in its memory, or by pages of hardware. */
import { offsetOf } from '../cmdqv/registers.ts';
import { ringDoorbell } from '../kvm/doorbell.ts';
import { inSpace } from '../memory/space.ts';
import { isVmmBusy } from '../vm/exits.ts';
import { storeGuest } from '../vm/memory.ts';
import { workerUnit } from '../vm/state.ts';
import { offerOf, writeSecond } from '../vmm/second-traps.ts';
import type { SecondPort } from './second-queue.ts';

export const guestSecond: SecondPort = {
  offer: (state, { setup }) => offerOf(state, setup.owner, setup.port.smmu),
  peek: (state, { setup }, { page }, register) =>
    state.memory.read32(inSpace(state, setup.owner, page + offsetOf(register))),
  write: (context, { setup }, queue, register, value) => {
    const { owner: vm, actor, port } = setup;
    if (register === 'BASE' || register === 'CONFIG')
      return writeSecond(context, vm, port.smmu, queue, register, value);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, Number(value), true);
    storeGuest(context, vm, actor, queue.page + offsetOf(register), bytes);
    ringDoorbell(context, vm, port.smmu, queue.index);
  },
  isBusy: (state, { setup }) => {
    const worker = workerUnit(setup.owner);
    return isVmmBusy(state, setup.owner) || state.tasks.some(({ unit }) => unit === worker);
  },
};
