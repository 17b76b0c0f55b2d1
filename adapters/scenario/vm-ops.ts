/** The ops about virtual machines. Names are looked up first, so that a bad line stops before anything has happened. */
import type { Stimulus } from '../../core/stimulus.ts';
import type { GivenDevice, VmConfig, VmState } from '../../core/vm/state.ts';
import { endpointOf, isOn, vmmAddress } from '../../core/vm/vm.ts';
import {
  defaultVmm,
  isVmmProfile,
  type PolicyName,
  policies as policyRows,
  type VmmPolicies,
  wrongPolicy,
} from '../../core/vmm/profiles.ts';
import { showFound } from '../input-error.ts';
import { kernelIn } from './kernel-ops.ts';
import { driverConfig } from './machine.ts';
import { type Act, defined, dispatch, type OpContext } from './op.ts';
import { refuse, unknownName } from './parse.ts';

type VmOp =
  | 'vm.create'
  | 'vm.plug'
  | 'vm.unplug'
  | 'vm.slot'
  | 'guest.irq'
  | 'vm.end'
  | 'kvm.tlbi'
  | 'kvm.rollover'
  | 'guest.boot'
  | 'guest.dma';

const RAM = [{ base: 0x4000_0000, size: 0x400_0000 }] as const;

export const vmOps: { readonly [O in VmOp]: Act<O> } = {
  'vm.create': (line, context) => {
    kernelIn(context, line.op);
    const { vms, smmus, endpoints } = context.simulation.glance;
    const { vm, profile = defaultVmm, cpus = 1, ram = RAM, smmus: count = 1, vmid } = line;
    if ([vms, smmus, endpoints].some((all) => Object.hasOwn(all, vm)))
      throw refuse(context.place, line.op, 'vm', `expected a name of its own, found "${vm}"`);
    const names = Array.from({ length: count }, (_, index) => `${vm}.smmu${index === 0 ? '' : index}`);
    const config: VmConfig = {
      profile: isVmmProfile(profile) ? profile : defaultVmm,
      policies: policiesIn(line.policies, context, line.op),
      cpus,
      ram: checkedRam(ram, context, line.op),
      smmus: names,
      ...(line.idr === undefined ? {} : { idr: numbersOf(line.idr) }),
      ...(line.properties === undefined ? {} : { properties: defined(line.properties) }),
      ...defined({ vmid }),
    };
    return dispatch(context, { type: 'vm.create', vm, config });
  },
  'vm.plug': (line, context) => {
    const { op: type, vm, endpoint, kind, smmu, streamId, ssidBits, ats, pri, stall } = line;
    const owner = vmIn(context, type, vm);
    if (Object.hasOwn(owner.devices, endpoint))
      throw refuse(
        context.place,
        type,
        'endpoint',
        `expected a device that is not plugged, found "${endpoint}"`,
      );
    if (smmu !== undefined && !Object.hasOwn(owner.smmus, smmu))
      throw refuse(context.place, type, 'smmu', unknownName(smmu, Object.keys(owner.smmus)));
    const { endpoints } = context.simulation.glance;
    const host = Object.hasOwn(endpoints, endpoint) ? endpoints[endpoint] : undefined;
    if (kind === 'assigned' && host === undefined)
      throw refuse(context.place, type, 'endpoint', unknownName(endpoint, Object.keys(endpoints)));
    const sid = streamId ?? host?.config.streamId ?? 8;
    const device = { streamId: sid, ...defined({ kind, smmu, ssidBits, ats, pri, stall }) };
    return dispatch(context, { type, vm, endpoint, device: device as GivenDevice });
  },
  'vm.unplug': ({ op: type, vm, endpoint }, context) => {
    pluggedIn(context, type, vm, endpoint);
    return dispatch(context, { type, vm, endpoint });
  },
  'guest.irq': ({ op: type, vm, endpoint, on = true, iova }, context) => {
    pluggedIn(context, type, vm, endpoint);
    return dispatch(context, { type, vm, endpoint, on, ...defined({ iova }) });
  },
  'vm.slot': ({ op: type, vm, gpa, bytes, present }, context) => {
    const { slots } = vmIn(context, type, vm);
    if (gpa % 4096 !== 0 || bytes % 4096 !== 0)
      throw refuse(context.place, type, 'gpa', 'expected pages of 4 KiB, at least one');
    const meets = slots.filter((slot) => slot.gpa < gpa + bytes && gpa < slot.gpa + slot.bytes);
    const whole = meets.length === 1 && meets[0]?.gpa === gpa && meets[0]?.bytes === bytes;
    if (meets.length > 0 && !whole)
      throw refuse(
        context.place,
        type,
        'gpa',
        `expected a whole slot, found a part of ${meets.map((slot) => `0x${slot.gpa.toString(16)} + 0x${slot.bytes.toString(16)}`).join(', ')}`,
      );
    return dispatch(context, { type, vm, gpa, bytes, present });
  },
  'kvm.tlbi': ({ op: type, vm, operation, asid, va, tg, num, scale, ttl }, context) => {
    vmIn(context, type, vm);
    const operands = defined({ asid, va, tg, num, scale, ttl });
    return dispatch(context, { type, vm, operation, ...operands } as Stimulus);
  },
  'kvm.rollover': ({ op: type }, context) => {
    kernelIn(context, type);
    return dispatch(context, { type });
  },
  'vm.end': ({ op: type, vm }, context) => {
    vmIn(context, type, vm);
    return dispatch(context, { type, vm });
  },
  'guest.boot': ({ op: type, vm, platform, driver }, context) => {
    if (isOn(context.simulation.glance, vmIn(context, type, vm)))
      throw refuse(context.place, type, 'vm', `expected a guest that is off, found "${vm}" running`);
    const given = defined(platform ?? {});
    const about = Object.keys(given).length === 0 ? {} : { platform: given };
    return dispatch(context, {
      type,
      vm,
      ...about,
      ...(driver === undefined ? {} : { driver: driverConfig(driver) }),
    });
  },
  'guest.dma': ({ op, vm, endpoint, iova, bytes: size, access, ssid, hex: data }, context) => {
    const owner = vmIn(context, op, vm);
    const device = pluggedIn(context, op, vm, endpoint);
    if (data !== undefined && (access === 'read' || data.length !== size))
      throw refuse(context.place, op, 'hex', `expected ${size} bytes, with access "write"`);
    const name = endpointOf(owner, device);
    const options = defined({ ssid, data });
    return dispatch(context, { type: 'dma', endpoint: name, iova, size, access, ...options } as Stimulus);
  },
};

/** The VM of a line. */
export function vmIn({ simulation, place }: OpContext, op: string, name: string): VmState {
  const { vms } = simulation.glance;
  const found = Object.hasOwn(vms, name) ? vms[name] : undefined;
  if (found === undefined) throw refuse(place, op, 'vm', unknownName(name, Object.keys(vms)));
  return found;
}

function pluggedIn(context: OpContext, op: string, vm: string, endpoint: string) {
  const { devices } = vmIn(context, op, vm);
  const found = Object.hasOwn(devices, endpoint) ? devices[endpoint] : undefined;
  if (found === undefined)
    throw refuse(context.place, op, 'endpoint', unknownName(endpoint, Object.keys(devices)));
  return found;
}

/** Guest memory as the VMM has it. */
export function guestPlace(
  context: OpContext,
  op: string,
  vm: string,
  gpa: number,
): { readonly process: string; readonly va: bigint } {
  const va = vmmAddress(vmIn(context, op, vm), gpa);
  if (va === undefined)
    throw refuse(context.place, op, 'gpa', `expected memory of ${vm}, found 0x${gpa.toString(16)}`);
  return { process: vm, va: BigInt(va) };
}

type Given<V> = Readonly<Record<string, V | undefined>>;

function policiesIn(
  given: Given<{ readonly value: unknown }> | undefined,
  { place }: OpContext,
  op: string,
): Partial<VmmPolicies> {
  const entries = Object.entries(given ?? {}).map(([name, each]) => [name, each?.value] as const);
  const values = Object.fromEntries(entries);
  const [wrong, found] = wrongPolicy(values)?.split('=') ?? [];
  if (wrong === undefined) return values as Partial<VmmPolicies>;
  if (!Object.hasOwn(policyRows, wrong))
    throw refuse(place, op, `policies.${wrong}`, unknownName(wrong, Object.keys(policyRows)));
  const expected = policyRows[wrong as PolicyName].values.map((value) => JSON.stringify(value)).join(', ');
  throw refuse(place, op, `policies.${wrong}`, `expected one of ${expected}, found ${showFound(found)}`);
}

function checkedRam(
  ram: readonly { readonly base: number; readonly size: number }[],
  { place }: OpContext,
  op: string,
): VmConfig['ram'] {
  for (const [at, { base, size }] of ram.entries()) {
    if (size === 0 || base % 4096 !== 0 || size % 4096 !== 0)
      throw refuse(place, op, `ram[${at}]`, 'expected pages of 4 KiB, at least one');
    const other = ram
      .slice(0, at)
      .findIndex((each) => each.base < base + size && base < each.base + each.size);
    if (other >= 0)
      throw refuse(place, op, `ram[${at}]`, `expected a range of its own, found ram[${other}] there`);
  }
  return ram.map(({ base, size }) => ({ base, size }));
}

function numbersOf(given: Given<number>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}
