/**
 * Probe and reset in the order of the real driver (linux: arm_smmu_device_probe, arm_smmu_device_reset), each
 * step a row. A step may wait: for an acknowledgement, for the Command queue. A time-out ends it all.
 */
import { assert, present } from '../assert.ts';
import type { DriverConfig } from '../config.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Context } from '../machine.ts';
import type { RegisterName } from '../smmu/registers.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { isStuck, issueAndSync } from './cmdq.ts';
import { cmdOf } from './commands.ts';
import { decideFeatures, defaultPlatform, type Platform, probedRegisters, probeProblem } from './features.ts';
import { probeEndpoints } from './masters.ts';
import { driverOf, portOf } from './port.ts';
import { isRelease, type ReleaseName } from './releases.ts';
import { bypassReserved } from './reserved.ts';
import { openSecond } from './second-queue.ts';
import type { DriverQueueName, DriverSetup, DriverState } from './state.ts';
import { makeStreamTable, SPLIT } from './stream-table.ts';

/** What may differ from a host's driver of an SMMU on a usual platform. */
export interface BootOptions {
  readonly owner?: string;
  readonly actor?: string;
  readonly smmu?: string;
  readonly platform?: Partial<Platform>;
  readonly release?: ReleaseName;
}

/** Turns the SMMU off, as a shutdown does: nothing is drained, and GBPA stays as it is (linux: arm_smmu_device_shutdown). */
export function shutdownFrames(driver: string): readonly Frame[] {
  return [{ do: 'driver.shutdown', driver }];
}

interface ShutdownFrame extends Frame {
  readonly do: 'driver.shutdown';
  readonly driver: string;
}

export const shutdownRow: FrameRow<ShutdownFrame> = {
  run: (context, { driver: name }) => {
    const driver = driverOf(context.state, name);
    return putAndWait(context, driver, 'CR0', 'CR0ACK', 0n);
  },
};

/** What a machine says of a driver, as options. */
export function bootOptions({ release, ...platform }: DriverConfig = {}): BootOptions {
  return { platform, ...(isRelease(release) ? { release } : {}) };
}

interface BootFrame extends Frame {
  readonly do: 'driver.boot';
  readonly driver: string;
  readonly setup: DriverSetup;
}

/** Brings up the driver of an SMMU and probes its endpoints. @param name of the driver, and of the SMMU. */
export function bootFrames(name: string, options: BootOptions = {}): readonly Frame[] {
  const { owner = 'host', smmu = name, platform, release } = options;
  const { actor = owner === 'host' ? 'kernel' : owner } = options;
  const setup: DriverSetup = {
    owner,
    actor,
    port: { kind: owner === 'host' ? 'host' : 'guest', smmu },
    platform: { ...defaultPlatform, ...platform },
    ...(release === undefined ? {} : { release }),
  };
  return [{ do: 'driver.boot', driver: name, setup }];
}

export const bootRow: FrameRow<BootFrame> = {
  run: ({ emit }, { driver, setup }) => {
    emit(setup.actor, { type: 'driver.made', driver, setup });
    return [{ do: 'driver.step', driver, step: 0 }];
  },
};

interface StepFrame extends Frame {
  readonly do: 'driver.step';
  readonly driver: string;
  readonly step: number;
}

/** A step of the bring-up: what it does at once, and what has to be waited for before the next. */
// biome-ignore lint/suspicious/noConfusingVoidType: most steps wait for nothing
type Step = (context: Context, driver: DriverState) => readonly Frame[] | void;

export const stepRow: FrameRow<StepFrame> = {
  run: (context, frame) => {
    const driver = driverOf(context.state, frame.driver);
    const step = steps[frame.step];
    if (driver.failed !== undefined || step === undefined) return;
    const waits = step(context, driver) ?? [];
    return [...waits, { ...frame, step: frame.step + 1 }];
  },
};

// biome-ignore format: bits of registers
const CR0 = { SMMUEN: 1n, PRIQEN: 2n, EVTQEN: 4n, CMDQEN: 8n, ATSCHK: 16n } as const;
/** Tables and queues inner shareable and write-back. */
const CR1 = 0xd75n;
const CR2 = { E2H: 1n, RECINVSID: 2n, PTM: 4n } as const;
const RA = 1n << 62n;
const WA = 1n << 62n;
const GBPA = { ABORT: 1n << 20n, UPDATE: 1n << 31n } as const;
const IRQ = { GERROR: 1n, PRIQ: 2n, EVTQ: 4n } as const;

const steps: readonly Step[] = [
  probeRegisters,
  makeQueues,
  (context, driver) => {
    if (!makeStreamTable(context, driver)) fail(context, driver, 'ENOMEM', 'no memory for the stream table');
    else bypassReserved(context, driver);
  },
  abortWhileOn,
  setAbort,
  (context, driver) => putAndWait(context, driver, 'CR0', 'CR0ACK', 0n),
  configure,
  (context, driver) => turnOn(context, driver, CR0.CMDQEN),
  (_, { name }) => [issueAndSync(name, [cmdOf('CMD_CFGI_STE_RANGE', { Range: 31 })])],
  (_, { name, features }) =>
    features?.hyp === true ? [issueAndSync(name, [cmdOf('CMD_TLBI_EL2_ALL')])] : [],
  (_, { name }) => [issueAndSync(name, [cmdOf('CMD_TLBI_NSNH_ALL')])],
  (context, driver) => placeWritten(context, driver, 'EVENTQ'),
  (context, driver) => turnOn(context, driver, CR0.EVTQEN),
  (context, driver) => (driver.features?.pri === true ? placeWritten(context, driver, 'PRIQ') : []),
  (context, driver) => (driver.features?.pri === true ? turnOn(context, driver, CR0.PRIQEN) : []),
  (context, driver) => (driver.features?.ats === true ? turnOn(context, driver, CR0.ATSCHK) : []),
  (context, driver) => putAndWait(context, driver, 'IRQ_CTRL', 'IRQ_CTRLACK', 0n),
  enableInterrupts,
  (context, driver) => turnOn(context, driver, CR0.SMMUEN),
  openSecond,
  ({ emit }, { name, setup }) => {
    emit(setup.actor, { type: 'driver.started', driver: name });
  },
  probeEndpoints,
];

function probeRegisters(context: Context, driver: DriverState): void {
  const port = portOf(driver);
  const values = probedRegisters.map((name) => [name, Number(port.read(context, driver, name))] as const);
  const idr = Object.fromEntries(values) as Record<(typeof probedRegisters)[number], number>;
  const problem = probeProblem(idr);
  if (problem !== undefined) return fail(context, driver, problem.errno, problem.why);
  const features = decideFeatures(idr, driver.setup.platform);
  context.emit(driver.setup.actor, { type: 'driver.probed', driver: driver.name, features });
}

const PAGE_LOG2 = 12;

/** Queues as large as the SMMU and memory allow, from the largest down to a page. */
function makeQueues(context: Context, driver: DriverState): void {
  const { cmdqLog2, evtqLog2, priqLog2, pri } = present(driver.features, 'features');
  const wanted: readonly (readonly [DriverQueueName, number, number])[] = [
    ['CMDQ', cmdqLog2, 4],
    ['EVENTQ', evtqLog2, 5],
    ...(pri ? ([['PRIQ', priqLog2, 4]] as const) : []),
  ];
  for (const [queue, log2, entryLog2] of wanted) {
    let sizeLog2 = log2;
    let pa = portOf(driver).take(context, driver, 2 ** (sizeLog2 + entryLog2), queue);
    while (pa === undefined && sizeLog2 + entryLog2 > PAGE_LOG2) {
      sizeLog2 -= 1;
      pa = portOf(driver).take(context, driver, 2 ** (sizeLog2 + entryLog2), queue);
    }
    if (pa === undefined) return fail(context, driver, 'ENOMEM', `no memory for the ${queue}`);
    context.emit(driver.setup.actor, { type: 'queue.placed', driver: driver.name, queue, pa, sizeLog2 });
  }
}

/** An SMMU that is on already goes through GBPA.ABORT: nothing must pass untranslated. */
function abortWhileOn(context: Context, driver: DriverState): readonly Frame[] {
  const on = (portOf(driver).read(context, driver, 'CR0') & CR0.SMMUEN) !== 0n;
  return on ? [waitFor(driver, 'GBPA', GBPA.UPDATE, 0n)] : [];
}

function setAbort(context: Context, driver: DriverState): readonly Frame[] {
  const port = portOf(driver);
  if ((port.peek(context.state, driver, 'CR0') & CR0.SMMUEN) === 0n) return [];
  const old = port.peek(context.state, driver, 'GBPA');
  port.write(context, driver, 'GBPA', old | GBPA.ABORT | GBPA.UPDATE);
  return [waitFor(driver, 'GBPA', GBPA.UPDATE, 0n)];
}

function configure(context: Context, driver: DriverState): void {
  const port = portOf(driver);
  const features = present(driver.features, 'features');
  const { e2h } = features;
  const strtab = present(driver.strtab, 'stream table');
  const cmdq = present(driver.queues.CMDQ, 'Command queue');
  port.write(context, driver, 'CR1', CR1);
  port.write(
    context,
    driver,
    'CR2',
    (features.broadcast === true ? 0n : CR2.PTM) | CR2.RECINVSID | (e2h ? CR2.E2H : 0n),
  );
  port.write(context, driver, 'STRTAB_BASE', RA | BigInt(strtab.pa));
  const log2Size = strtab.sizeLog2 + (strtab.twoLevel ? SPLIT : 0);
  const format = strtab.twoLevel ? (1 << 16) | (SPLIT << 6) : 0;
  port.write(context, driver, 'STRTAB_BASE_CFG', BigInt(format | log2Size));
  port.write(context, driver, 'CMDQ_BASE', RA | BigInt(cmdq.pa) | BigInt(cmdq.sizeLog2));
  port.write(context, driver, 'CMDQ_PROD', BigInt(cmdq.prod));
  port.write(context, driver, 'CMDQ_CONS', BigInt(cmdq.cons));
}

function placeWritten(context: Context, driver: DriverState, name: 'EVENTQ' | 'PRIQ'): void {
  const port = portOf(driver);
  const { pa, sizeLog2, prod, cons } = present(driver.queues[name], name);
  port.write(context, driver, `${name}_BASE`, WA | BigInt(pa) | BigInt(sizeLog2));
  port.write(context, driver, `${name}_PROD`, BigInt(prod));
  port.write(context, driver, `${name}_CONS`, BigInt(cons));
}

/** Interrupts are wires here: the message registers are cleared. */
function enableInterrupts(context: Context, driver: DriverState): readonly Frame[] {
  const port = portOf(driver);
  const pri = driver.features?.pri === true;
  port.write(context, driver, 'GERROR_IRQ_CFG0', 0n);
  port.write(context, driver, 'EVENTQ_IRQ_CFG0', 0n);
  if (pri) port.write(context, driver, 'PRIQ_IRQ_CFG0', 0n);
  const value = IRQ.GERROR | IRQ.EVTQ | (pri ? IRQ.PRIQ : 0n);
  return putAndWait(context, driver, 'IRQ_CTRL', 'IRQ_CTRLACK', value);
}

function turnOn(context: Context, driver: DriverState, bit: bigint): readonly Frame[] {
  const now = portOf(driver).peek(context.state, driver, 'CR0');
  return putAndWait(context, driver, 'CR0', 'CR0ACK', now | bit);
}

function putAndWait(
  context: Context,
  driver: DriverState,
  register: RegisterName,
  ack: RegisterName,
  value: bigint,
): readonly Frame[] {
  portOf(driver).write(context, driver, register, value);
  return [waitFor(driver, ack, 0xffff_ffffn, value)];
}

interface RegisterFrame extends Frame {
  readonly do: 'register.wait';
  readonly driver: string;
  readonly register: RegisterName;
  readonly bits: bigint;
  readonly value: bigint;
}

function waitFor({ name }: DriverState, register: RegisterName, bits: bigint, value: bigint): RegisterFrame {
  return { do: 'register.wait', driver: name, register, bits, value };
}

/** Polls a register until some of its bits have a value. */
export const registerRow: FrameRow<RegisterFrame> = {
  ready: (state, { driver: name, register, bits, value }) => {
    const driver = driverOf(state, name);
    return (portOf(driver).peek(state, driver, register) & bits) === value || isStuck(state, driver);
  },
  run: (context, { driver: name, register, bits, value }) => {
    const driver = driverOf(context.state, name);
    const now = portOf(driver).read(context, driver, register);
    if ((now & bits) !== value) fail(context, driver, 'ETIMEDOUT', `${register} stays 0x${now.toString(16)}`);
  },
};

function fail({ emit }: Context, driver: DriverState, errno: Errno, why: string): void {
  assert(driver.failed === undefined, 'a driver fails once');
  emit(driver.setup.actor, { type: 'driver.failed', driver: driver.name, errno, why });
}
