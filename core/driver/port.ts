/**
 * All that a driver touches goes through a port, so that the same driver can serve a real SMMU in the host,
 * or a virtual one in a guest: registers, its stores and reads of memory, pages, and the ATS switch of an
 * endpoint. The host's port leads to physical memory and to the registers of the SMMU itself.
 */
import { present } from '../assert.ts';
import type { EndpointConfig } from '../config.ts';
import { allocates } from '../kernel/kernel.ts';
import { returnPages, takePages } from '../kernel/process/pool.ts';
import type { Context } from '../machine.ts';
import { storeBytes } from '../memory/access.ts';
import { setEndpoint } from '../settings.ts';
import { readRegister, writeRegister } from '../smmu/mmio.ts';
import { type RegisterName, registers } from '../smmu/registers.ts';
import { regValue } from '../smmu/regs.ts';
import type { SmmuState } from '../smmu/state.ts';
import { unitsOf } from '../smmu/units.ts';
import type { State } from '../state.ts';
import { bytesOfDoublewords, type Cmd } from './commands.ts';
import { guestPort } from './guest-port.ts';
import type { SecondPort } from './second-queue.ts';
import type { DriverState, PortName } from './state.ts';

export interface Port {
  /** What a register holds, without an access: to see whether a wait is over. */
  peek(state: State, driver: DriverState, name: RegisterName): bigint;
  read(context: Context, driver: DriverState, name: RegisterName): bigint;
  write(context: Context, driver: DriverState, name: RegisterName, value: bigint): void;
  store(context: Context, driver: DriverState, pa: number, bytes: Uint8Array): void;
  load64(state: State, pa: number, driver: DriverState): bigint;
  /** Contiguous zeroed memory, aligned to its size; undefined when there is none. */
  take(context: Context, driver: DriverState, bytes: number, what: string): number | undefined;
  giveBack(context: Context, driver: DriverState, pa: number, bytes: number): void;
  /** Whether an allocation of a driver's own succeeds; see `core/kernel/kernel.ts`. */
  allocates(context: Context, what: string): boolean;
  /** The devices behind the SMMU, in the order they were found. */
  endpoints(state: State, driver: DriverState): readonly EndpointConfig[];
  /** Whether the SMMU can still do something by itself. */
  isBusy(state: State, driver: DriverState): boolean;
  /** The instructions of a CPU in place of a command; false where there are none for it. */
  tlbi?(context: Context, driver: DriverState, command: Cmd): boolean;
  /** Command queues beside the main one, where there can be any. */
  readonly second?: SecondPort;
  /** Turns ATS of an endpoint on or off, in its configuration space. */
  switchAts(context: Context, endpoint: string, on: boolean, driver: DriverState): void;
}

const smmuOf = (state: State, { setup }: DriverState): SmmuState =>
  present(state.smmus[setup.port.smmu], `SMMU ${setup.port.smmu}`);

const hostPort: Port = {
  peek: (state, driver, name) => regValue(smmuOf(state, driver), name),
  read: (context, driver, name) => {
    const { offset, width } = registers.byName[name];
    readRegister(context, { type: 'mmio.read', smmu: driver.setup.port.smmu, offset, size: width / 8 });
    return regValue(smmuOf(context.state, driver), name);
  },
  write: (context, driver, name, value) => {
    const { offset, width } = registers.byName[name];
    const smmu = driver.setup.port.smmu;
    writeRegister(context, { type: 'mmio.write', smmu, offset, size: width / 8, value });
  },
  store: (context, { setup }, pa, bytes) => storeBytes(context, setup.actor, pa, bytes),
  load64: ({ memory }, pa) => memory.read64(pa),
  take: (context, { name }, bytes, what) => {
    if (!allocates(context, what)) return undefined;
    const run = takePages(context, name, bytes, Math.min(2 ** Math.ceil(Math.log2(bytes)), 2 ** 30));
    return run?.pa;
  },
  giveBack: (context, { name }, pa, size) => returnPages(context, name, { pa, size: pagesOf(size) }),
  allocates,
  endpoints: (state, { setup }) =>
    Object.values(state.endpoints)
      .filter(({ config }) => config.smmu === setup.port.smmu && config.of === undefined)
      .map(({ config, ats }) => ({ ...config, ats })),
  isBusy: (state, driver) => {
    const smmu = smmuOf(state, driver);
    return unitsOf(smmu).some((unit) => unit.ready(smmu));
  },
  switchAts: (context, endpoint, on) =>
    setEndpoint(context, { type: 'endpoint.set', endpoint, set: { ats: on } }),
};

const ports: Readonly<Record<PortName['kind'], Port>> = {
  host: hostPort,
  guest: guestPort,
};

/** The port of a driver. */
export function portOf({ setup }: DriverState): Port {
  return ports[setup.port.kind];
}

/** Bytes as whole pages of 4 KiB. */
function pagesOf(bytes: number): number {
  return Math.ceil(bytes / 0x1000) * 0x1000;
}

/** The driver of a name. */
export function driverOf({ drivers }: State, name: string): DriverState {
  return present(drivers[name], `driver ${name}`);
}

/** Stores doublewords, as one store. */
export function storeDoublewords(
  context: Context,
  driver: DriverState,
  pa: number,
  values: readonly bigint[],
): void {
  portOf(driver).store(context, driver, pa, bytesOfDoublewords(values));
}

/** Reads doublewords. */
export function loadDoublewords(state: State, driver: DriverState, pa: number, count: number): bigint[] {
  const port = portOf(driver);
  return Array.from({ length: count }, (_, at) => port.load64(state, pa + at * 8, driver));
}

/** A line of the kernel's log. */
export function tell({ emit }: Context, driver: DriverState, what: string, detail = ''): void {
  emit(driver.setup.actor, { type: 'driver.told', driver: driver.name, what, detail });
}
