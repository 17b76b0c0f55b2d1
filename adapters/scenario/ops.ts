/**
 * What each op does: most become one stimulus. Everything a line names (an SMMU, a unit, a path) is
 * looked up first, so that a bad line stops before anything of it has happened.
 */

import { dmaDrivers } from '../../core/dma-api/drivers.ts';
import { timerUnit } from '../../core/dma-api/timers.ts';
import { KERNEL_UNIT } from '../../core/kernel/begin-ioctl.ts';
import { DEFAULT_PROCESS } from '../../core/kernel/process/process.ts';
import { meant } from '../../core/path/near.ts';
import { isPathProblem, resolvePath } from '../../core/path.ts';
import { isSettable, settablePaths, settingProblem } from '../../core/settings.ts';
import { offsetOf } from '../../core/smmu/register-blocks.ts';
import { registerNamed } from '../../core/smmu/registers.ts';
import { findUnit, unitsOf } from '../../core/smmu/units.ts';
import type { State } from '../../core/state.ts';
import type { Stimulus, StimulusType } from '../../core/stimulus.ts';
import { cpuUnit, isCpuUnit } from '../../core/tasks/cpu.ts';
import { vmmUnit, workerUnit } from '../../core/vm/state.ts';
import { showFound } from '../input-error.ts';
import { operandProblem } from './broadcast-operands.ts';
import { encodeFields } from './command-fields.ts';
import { contains, isPresent, plain, same, sizeOf } from './compare.ts';
import { guestOps } from './guest-ops.ts';
import { kernelIn, kernelOps } from './kernel-ops.ts';
import { mmOps } from './mm-ops.ts';
import { type Act, defined, dispatch, type OpContext } from './op.ts';
import { refuse, unknownName } from './parse.ts';
import { readStimulus } from './raw-stimulus.ts';
import { wholeNumber } from './values.ts';
import { guestPlace, vmOps } from './vm-ops.ts';
import type { LineOf, Op } from './vocabulary.ts';

export const ops: { readonly [O in Exclude<Op, 'machine'>]: Act<O> } = {
  'mmio.write': (line, context) => {
    const { smmu, offset, size, value } = { ...registerAccess(line, context), value: line.value };
    if (value >= 2n ** BigInt(size * 8)) {
      throw refuse(
        context.place,
        line.op,
        'value',
        `expected at most ${size} bytes, found ${showFound(value)}`,
      );
    }
    return dispatch(context, { type: 'mmio.write', smmu, offset, size, value });
  },
  'mmio.read': (line, context) => dispatch(context, { type: 'mmio.read', ...registerAccess(line, context) }),
  'mem.write': (line, context) => {
    const { pa, process, va, vm, gpa, hex, u64, u32 } = line;
    const bytes = hex ?? u64 ?? u32 ?? new Uint8Array();
    if (pa !== undefined) return dispatch(onlyPhysical(line, context), { type: 'mem.write', pa, bytes });
    const place =
      vm === undefined && gpa === undefined
        ? ofProcess(line, { process, va }, context)
        : ofGuest(line, context);
    return dispatch(context, { type: 'user.write', ...place, bytes });
  },
  'mem.read': (line, context) => {
    const { pa, process, va, vm, gpa, bytes: size } = line;
    if (pa !== undefined) return dispatch(onlyPhysical(line, context), { type: 'mem.read', pa, size });
    const place =
      vm === undefined && gpa === undefined
        ? ofProcess(line, { process, va }, context)
        : ofGuest(line, context);
    return dispatch(context, { type: 'user.read', ...place, size });
  },
  dma: (line, context) => {
    const { endpoint, iova, bytes: size, access, ssid, exec, privileged, translated, hex: data } = line;
    knownEndpoint(context, line.op, endpoint);
    if (data !== undefined && access === 'read') {
      throw refuse(context.place, line.op, 'hex', 'expected data with access "write" only');
    }
    if (data !== undefined && data.length !== size) {
      throw refuse(context.place, line.op, 'hex', `expected ${size} bytes, found ${data.length}`);
    }
    within64Bits(line, iova, size, context);
    const options = defined({ ssid, exec, privileged, translated, data });
    return dispatch(context, { type: 'dma', endpoint, iova, size, access, ...options } as Stimulus);
  },
  'ats.translate': (line, context) => {
    const { op: type, endpoint, iova, bytes: size = 1, access, ssid, exec, privileged } = line;
    knownEndpoint(context, type, endpoint);
    within64Bits(line, iova, size, context);
    onlyWithPasid(line, context);
    const options = defined({ ssid, exec, privileged });
    return dispatch(context, { type, endpoint, iova, size, access, ...options } as Stimulus);
  },
  'pri.request': (line, context) => {
    const { op: type, endpoint, iova, access, prgIndex, last, ssid, exec, privileged } = line;
    knownEndpoint(context, type, endpoint);
    onlyWithPasid(line, context);
    const options = defined({ ssid, exec, privileged });
    return dispatch(context, { type, endpoint, iova, access, prgIndex, last, ...options } as Stimulus);
  },
  'msi.send': ({ op: type, endpoint, data }, context) => {
    knownEndpoint(context, type, endpoint);
    return dispatch(context, { type, endpoint, ...(data === undefined ? {} : { data }) });
  },
  'endpoint.set': ({ op, endpoint, ats, pri, silent, reset }, context) => {
    knownEndpoint(context, op, endpoint);
    const set = defined({ reset, ats, pri, silent }) as Record<string, boolean>;
    if (Object.keys(set).length === 0)
      throw refuse(context.place, op, '', 'expected ats, pri, silent or reset');
    return dispatch(context, { type: 'endpoint.set', endpoint, set });
  },
  'command.issue': ({ op, smmu, command, fields }, context) => {
    const smmus = Object.keys(context.simulation.glance.smmus);
    if (!smmus.includes(smmu)) throw refuse(context.place, op, 'smmu', unknownName(smmu, smmus));
    const raw = Object.entries(fields ?? {}).map(([name, { value }]) => [name, value]);
    const encoded = encodeFields(command, Object.fromEntries(raw));
    if ('problem' in encoded) throw refuse(context.place, op, encoded.field, encoded.problem);
    return dispatch(context, { type: 'command.issue', smmu, ...encoded });
  },
  'cpu.tlbi': (line, context) => {
    const problem = operandProblem(line);
    if (problem !== undefined) throw refuse(context.place, line.op, problem.field, problem.message);
    const { op: type, operation, vmid, asid, va, ipa, tg, num, scale, ttl, el2, e2h } = line;
    const operands = defined({ vmid, asid, va, ipa, tg, num, scale, ttl, el2, e2h });
    return dispatch(context, { type, operation, ...operands } as Stimulus);
  },
  stimulus: ({ op, type, fields }, context) => {
    const raw = Object.entries(fields ?? {}).map(([name, { value }]) => [name, value]);
    if ([vmOps, guestOps, mmOps].some((all) => Object.hasOwn(all, type)))
      throw refuse(context.place, op, 'type', `expected {"op":"${type}"} itself, found a raw one`);
    if (KERNEL_STIMULI.includes(type)) kernelIn(context, `${op} ${type}`);
    const read = readStimulus(type as StimulusType, Object.fromEntries(raw));
    if ('problem' in read) throw refuse(context.place, op, read.field, read.problem);
    return dispatch(context, read.stimulus);
  },
  turn: ({ op, unit }, context) => {
    const { smmus } = context.simulation.glance;
    const tasks = taskUnits(context.simulation.glance);
    const known = tasks.includes(unit) || isCpu(context.simulation.glance, unit);
    if (findUnit(smmus, unit) === undefined && !known) {
      const units = Object.entries(smmus).flatMap(([name, smmu]) =>
        unitsOf(smmu).map((unit) => `${name}.${unit.name}`),
      );
      units.push(...tasks);
      throw refuse(context.place, op, 'unit', unknownName(unit, units));
    }
    return dispatch(context, { type: 'turn', unit });
  },
  run: ({ turnsMax }, { simulation }) => ({ ...simulation.run(turnsMax) }),
  set: ({ op, path, value }, context) => {
    const setting = settingValue(value.value);
    const problem = settingProblem(context.simulation.glance, path, setting);
    if (problem !== undefined) {
      const { glance } = context.simulation;
      if (isSettable(glance, path))
        throw refuse(context.place, op, 'value', `${problem}, found ${showFound(value.value)}`);
      const near = meant(path, settablePaths(glance));
      throw refuse(context.place, op, 'path', `${problem}${near}, found ${showFound(path)}`);
    }
    return dispatch(context, { type: 'set', path, value: setting });
  },
  ...kernelOps,
  ...vmOps,
  ...guestOps,
  ...mmOps,
  label: ({ op, name }, context) => {
    const made = context.label(name);
    if ('problem' in made) throw refuse(context.place, op, 'name', made.problem);
    return made;
  },
  check: (line, context) => {
    const found = resolvePath(context.simulation.glance, line.path);
    if (isPathProblem(found)) throw refuse(context.place, line.op, 'path', found.problem);
    const actual = plain(found.value);
    return { pass: holds(line, actual), actual };
  },
};

/** A number however it is written; other values as they are. */
export function settingValue(value: unknown): unknown {
  const number = wholeNumber(value);
  return number !== undefined && number <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(number) : value;
}

function holds(line: LineOf<'check'>, actual: unknown): boolean {
  if (line.equals !== undefined) return same(actual, line.equals.value);
  if (line.notEquals !== undefined) return !same(actual, line.notEquals.value);
  if (line.contains !== undefined) return contains(actual, line.contains.value);
  if (line.size !== undefined) return sizeOf(actual) === line.size;
  return isPresent(actual) === line.present;
}

/** Stimuli that ask the kernel. */
const KERNEL_STIMULI: readonly string[] = [...Object.keys(kernelOps), 'user.write', 'user.read'];

type MemoryLine = LineOf<'mem.write'> | LineOf<'mem.read'>;

/** With a physical address there is no other. */
function onlyPhysical({ op, va, process, vm, gpa }: MemoryLine, context: OpContext): OpContext {
  if (va !== undefined || process !== undefined || vm !== undefined || gpa !== undefined)
    throw refuse(context.place, op, '', 'expected pa, or process and va, or vm and gpa, found more than one');
  return context;
}

function ofProcess(
  { op }: MemoryLine,
  {
    process = DEFAULT_PROCESS,
    va,
  }: { readonly process: string | undefined; readonly va: bigint | undefined },
  context: OpContext,
): { readonly process: string; readonly va: bigint } {
  if (va === undefined)
    throw refuse(context.place, op, '', 'expected pa, or process and va, or vm and gpa, found none');
  kernelIn(context, op);
  return { process, va };
}

/** The VMM has the guest's memory at addresses of its own. */
function ofGuest(
  { op, vm, gpa, process, va }: MemoryLine,
  context: OpContext,
): { readonly process: string; readonly va: bigint } {
  if (vm === undefined || gpa === undefined || process !== undefined || va !== undefined)
    throw refuse(context.place, op, '', 'expected vm and gpa, and no process or va');
  return guestPlace(context, op, vm, gpa);
}

/** A CPU of an operating system that has a driver; there are as many as are named. */
function isCpu({ drivers }: State, unit: string): boolean {
  return isCpuUnit(unit) && Object.values(drivers).some(({ setup }) => unit.startsWith(`${setup.owner}.cpu`));
}

/** Units that work on tasks: the kernel, handlers of a driver's interrupts, timers, VMMs and vCPUs. */
function taskUnits(state: State): readonly string[] {
  const { kernel, drivers, vms, tasks } = state;
  const working = new Set(tasks.map(({ unit }) => unit));
  const timers = dmaDrivers(state).map(({ name }) => timerUnit(name));
  if (kernel === undefined) return [...working, ...timers];
  const handlers = ['gerror-irq', 'evtq-irq', 'priq-irq', 'vcmdq-irq'];
  const irqs = Object.keys(drivers).flatMap((name) => handlers.map((unit) => `${name}.${unit}`));
  const machines = Object.values(vms).flatMap(({ name, config }) => [
    vmmUnit(name),
    workerUnit(name),
    ...Array.from({ length: config.cpus }, (_, cpu) => cpuUnit(name, cpu)),
  ]);
  return [...new Set([KERNEL_UNIT, ...irqs, ...timers, ...machines, ...working])];
}

interface RegisterAccess {
  readonly smmu: string;
  readonly offset: number;
  readonly size: number;
}

function registerAccess(
  line: LineOf<'mmio.read'> | LineOf<'mmio.write'>,
  context: OpContext,
): RegisterAccess {
  const { smmus } = context.simulation.glance;
  const smmu = Object.hasOwn(smmus, line.smmu) ? smmus[line.smmu] : undefined;
  if (smmu === undefined)
    throw refuse(context.place, line.op, 'smmu', unknownName(line.smmu, Object.keys(smmus)));
  const register = line.reg === undefined ? undefined : registerNamed(line.reg);
  if (line.reg === undefined || register === undefined)
    return { smmu: line.smmu, offset: line.offset ?? 0, size: line.size ?? 4 };
  const offset = offsetOf(smmu, line.reg);
  if (offset === undefined)
    throw refuse(context.place, line.op, 'reg', `${line.smmu} has no register ${line.reg}`);
  return { smmu: line.smmu, offset, size: line.size ?? register.width / 8 };
}

function within64Bits(
  { op }: { readonly op: string },
  iova: bigint,
  size: number,
  { place }: OpContext,
): void {
  if (iova + BigInt(size) > 2n ** 64n) throw refuse(place, op, 'bytes', 'expected an end within 64 bits');
}

/** Execute Requested and Privileged Mode Requested are bits of the PASID prefix. */
function onlyWithPasid(line: LineOf<'ats.translate'> | LineOf<'pri.request'>, { place }: OpContext): void {
  const field = (['exec', 'privileged'] as const).find((each) => line[each] === true);
  if (field !== undefined && line.ssid === undefined)
    throw refuse(place, line.op, field, 'expected with ssid only');
}

function knownEndpoint(context: OpContext, op: string, name: string) {
  const { endpoints } = context.simulation.glance;
  const known = Object.hasOwn(endpoints, name) ? endpoints[name] : undefined;
  if (known === undefined)
    throw refuse(context.place, op, 'endpoint', unknownName(name, Object.keys(endpoints)));
  return known;
}
