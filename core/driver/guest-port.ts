/**
 * The port of a driver in a VM: registers are those of the emulated SMMU, each access an exit to the VMM,
 * and memory is the guest's.
 */
import { present } from '../assert.ts';
import type { EndpointConfig } from '../config.ts';
import { broadcastOf, tlbisFor } from '../kvm/tlbi.ts';
import { inSpace } from '../memory/space.ts';
import { readRegister } from '../smmu/mmio.ts';
import { type RegisterName, registers } from '../smmu/registers.ts';
import { regValue } from '../smmu/regs.ts';
import type { SmmuState } from '../smmu/state.ts';
import type { State } from '../state.ts';
import { exitTo, isVmmBusy } from '../vm/exits.ts';
import { returnGuestPages, storeGuest, takeGuestPages } from '../vm/memory.ts';
import { deviceOf, devicesBehind, vmOf } from '../vm/vm.ts';
import { writeTrapped } from '../vmm/traps.ts';
import { guestSecond } from './guest-second.ts';
import type { Port } from './port.ts';
import type { DriverState } from './state.ts';

const PAGE = 0x1000;

const smmuOf = (state: State, { setup }: DriverState): SmmuState =>
  present(state.smmus[setup.port.smmu], `SMMU ${setup.port.smmu}`);

const vmOfDriver = ({ setup }: DriverState): string => setup.owner;

export const guestPort: Port = {
  peek: (state, driver, name) => regValue(smmuOf(state, driver), name),
  read: (context, driver, name: RegisterName) => {
    const { offset, width } = registers.byName[name];
    exitTo(context, vmOfDriver(driver), { why: 'mmio.read', what: name });
    readRegister(context, { type: 'mmio.read', smmu: driver.setup.port.smmu, offset, size: width / 8 });
    return regValue(smmuOf(context.state, driver), name);
  },
  write: (context, driver, name, value) =>
    writeTrapped(context, vmOfDriver(driver), driver.setup.port.smmu, name, value),
  store: (context, driver, pa, bytes) =>
    storeGuest(context, vmOfDriver(driver), driver.setup.actor, pa, bytes),
  load64: (state, pa, driver) => state.memory.read64(inSpace(state, vmOfDriver(driver), pa)),
  take: (context, driver, bytes, what) => {
    const align = Math.min(2 ** Math.ceil(Math.log2(Math.max(bytes, PAGE))), 2 ** 30);
    return takeGuestPages(context, vmOfDriver(driver), bytes, align, what);
  },
  giveBack: (context, driver, pa, bytes) => {
    const size = Math.ceil(bytes / PAGE) * PAGE;
    returnGuestPages(context, vmOfDriver(driver), pa, size, driver.name);
  },
  allocates: () => true,
  isBusy: (state, driver) => isVmmBusy(state, vmOfDriver(driver)),
  tlbi: (context, driver, command) => {
    const all = tlbisFor(command);
    for (const tlbi of all ?? []) broadcastOf(context, vmOfDriver(driver), tlbi);
    return all !== undefined;
  },
  second: guestSecond,
  /** The guest writes a virtual configuration space; ATS of the device itself is the host's. */
  switchAts: (context, endpoint, on, driver) => {
    const vm = vmOfDriver(driver);
    const { kind } = deviceOf(vmOf(context.state, vm), endpoint);
    exitTo(context, vm, { why: 'mmio.write', what: `${endpoint} ATS Enable=${on ? 1 : 0} (${kind})` });
  },
  endpoints: (state, driver): readonly EndpointConfig[] =>
    devicesBehind(vmOf(state, vmOfDriver(driver)), driver.setup.port.smmu).map((device) => ({
      name: device.endpoint,
      smmu: device.smmu,
      streamId: device.streamId,
      ats: device.ats,
      pri: device.pri,
      ssidBits: device.ssidBits,
      atc: 0,
      stall: device.stall,
    })),
};
