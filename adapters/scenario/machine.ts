/** The first line of a scenario: what the machine is made of, with everything left out filled in. */
import type {
  DriverConfig,
  EndpointConfig,
  KernelConfig,
  MachineConfig,
  SmmuConfig,
} from '../../core/config.ts';
import { defaultRelease, releaseNames } from '../../core/driver/releases.ts';
import { defaultKernelProfile, isKernelProfile, wrongSwitch } from '../../core/kernel/profiles.ts';
import { type SwitchName, switches } from '../../core/kernel/switches.ts';
import { choices } from '../../core/smmu/choices.ts';
import { brokenIdrRules, identification } from '../../core/smmu/idr-rules.ts';
import { defaultProfile, type ProfileName, profiles, smmuConfig } from '../../core/smmu/profiles.ts';
import {
  anything,
  capacity,
  count,
  type Fields,
  flag,
  kindOf,
  listOf,
  mapOf,
  name,
  nullOr,
  type ObjectOf,
  objectOf,
  oneOf,
  pa,
} from './values.ts';

const PROFILE_NAMES = Object.keys(profiles) as ProfileName[];
const IDR_NAMES = ['IDR0', 'IDR1', 'IDR2', 'IDR3', 'IDR4', 'IDR5', 'IDR6', 'IIDR', 'AIDR'] as const;
const CHOICE_NAMES = Object.keys(choices);
const KERNEL_PROFILE = kindOf('a kernel profile such as linux-7.3 (`help kernels` lists them)', (raw) =>
  typeof raw === 'string' && isKernelProfile(raw) ? raw : undefined,
);
const SWITCH_NAMES = Object.keys(switches) as SwitchName[];
const REGISTER_PAGE = 0x10000;
const SMMU_BASE = 0x0905_0000;
const RAM = { base: 0x4000_0000, size: 0x4000_0000 };

const ramFields = {
  base: { kind: pa, doc: 'first address' },
  size: { kind: pa, doc: 'bytes' },
} as const satisfies Fields;

// biome-ignore format: a table
const smmuFields = {
  name:         { kind: name, optional: true, doc: 'smmu0, smmu1, ... when left out' },
  base:         { kind: pa, optional: true, doc: 'physical address of register page 0' },
  profile:      { kind: oneOf(...PROFILE_NAMES), optional: true, doc: `hardware profile; ${defaultProfile} when left out` },
  idr:          { kind: mapOf(IDR_NAMES, count(0, 0xffff_ffff)), optional: true, doc: 'identification registers that differ from the profile' },
  caches:       { kind: mapOf(['ste', 'cd', 'tlb', 'walk'], capacity), optional: true, doc: 'entries that each cache holds' },
  invalidation: { kind: oneOf('literal', 'generous'), optional: true, doc: 'drops no more than it must, or the whole cache' },
  replacement:  { kind: oneOf('oldest', 'flush-all'), optional: true, doc: 'what makes room in a full cache' },
  choices:      { kind: mapOf(CHOICE_NAMES, anything), optional: true, doc: 'IMPLEMENTATION DEFINED and UNPREDICTABLE choices' },
} as const satisfies Fields;

// biome-ignore format: a table
const endpointFields = {
  name:     { kind: name, doc: 'of the endpoint' },
  smmu:     { kind: name, optional: true, doc: 'the SMMU it stands behind; the first when left out' },
  streamId: { kind: count(0, 0xffff_ffff), doc: 'StreamID of its accesses' },
  of:       { kind: name, optional: true, doc: 'a further StreamID of that endpoint, with which it is one device to the kernel; an ATC for each' },
  ats:      { kind: flag, optional: true, doc: 'ATS enabled' },
  pri:      { kind: flag, optional: true, doc: 'PRI enabled' },
  ssidBits: { kind: count(0, 20), optional: true, doc: 'SubstreamID bits' },
  atc:      { kind: capacity, optional: true, doc: 'entries of its ATC' },
  stall:    { kind: flag, optional: true, doc: 'its accesses may stall (3.12); true when left out' },
  group:    { kind: name, optional: true, doc: 'IOMMU group: endpoints of one name are attached together; its own when left out' },
  virtualFunction: { kind: flag, optional: true, doc: 'it is a PCI virtual function' },
  pasidExec: { kind: flag, optional: true, doc: 'its PASID capability has execute permission' },
  pasidPriv: { kind: flag, optional: true, doc: 'its PASID capability has privileged mode' },
  dmaBits:  { kind: count(12, 64), optional: true, doc: 'bits of the addresses that it can use for DMA; 64 when left out' },
} as const satisfies Fields;

// biome-ignore format: a table
export const driverFields = {
  release:       { kind: oneOf(...releaseNames), optional: true, doc: `release of the SMMU's driver; ${defaultRelease} when left out` },
  defaultDomain: { kind: oneOf('dma', 'dma-fq', 'identity', 'blocked'), optional: true, doc: 'what an endpoint has that nobody has taken; dma when left out' },
  httu:          { kind: count(0, 2), optional: true, doc: 'firmware\'s HTTU, where it is less than the register\'s' },
  coherent:      { kind: flag, optional: true, doc: 'firmware: walks are coherent or not, whatever IDR0.COHACC says' },
  rootAts:       { kind: flag, optional: true, doc: 'firmware: the root complex has ATS' },
  canwbs:        { kind: flag, optional: true, doc: 'firmware: PCI writes are coherent whatever their attributes' },
  model:         { kind: count(0, 2), optional: true, doc: 'firmware: model id of the IORT node, 1 HiSilicon (no prefetch), 2 Cavium' },
  rmr:           { kind: flag, optional: true, doc: 'firmware: the MSI window is reserved one to one (RMR)' },
  lateProbe:     { kind: flag, optional: true, doc: 'endpoints come when their own drivers do, by guest.probe' },
} as const satisfies Fields & Readonly<Record<keyof DriverConfig, unknown>>;

// biome-ignore format: a table
const kernelFields = {
  profile:  { kind: KERNEL_PROFILE, optional: true, doc: `release or proposal; ${defaultKernelProfile} when left out` },
  switches: { kind: mapOf(SWITCH_NAMES, anything), optional: true, doc: 'rules that differ from the profile (`help kernels`)' },
  driver:   { kind: objectOf(driverFields), optional: true, doc: 'what differs from a usual driver of its SMMUs' },
} as const satisfies Fields;

// biome-ignore format: a table
export const machineFields = {
  ram:       { kind: listOf(objectOf(ramFields)), optional: true, doc: 'ranges of memory; 1 GiB at 0x40000000 when left out' },
  smmus:     { kind: listOf(objectOf(smmuFields)), optional: true, doc: 'the SMMUs; one when left out' },
  endpoints: { kind: listOf(objectOf(endpointFields)), optional: true, doc: 'the devices' },
  doorbell:  { kind: pa, optional: true, doc: 'doorbell of MSIs (GITS_TRANSLATER): writes of 4 bytes there are interrupts' },
  kernel:    { kind: nullOr(objectOf(kernelFields)), optional: true, doc: 'the host, which programs the SMMUs; null: scenarios do' },
  schedule:  { kind: oneOf('eager', 'manual', 'seeded'), optional: true, doc: 'who gives turns; eager when left out' },
  seed:      { kind: count(0, 0xffff_ffff), optional: true, doc: 'of the seeded schedule' },
} as const satisfies Fields;

/** A rule that the values of a machine line break together. */
export interface MachineProblem {
  readonly field: string;
  readonly message: string;
}

/** The machine of a checked line, or what is wrong with it as a whole. */
export function machineConfig(line: ObjectOf<typeof machineFields>): MachineConfig | MachineProblem {
  const ram = line.ram ?? [RAM];
  const smmus: SmmuConfig[] = [];
  let base = SMMU_BASE;
  for (const given of line.smmus ?? [{} as ObjectOf<typeof smmuFields>]) {
    const smmu = smmuOf(given, smmus.length, base);
    base += registerBytes(smmu);
    smmus.push(smmu);
  }
  const endpoints = (line.endpoints ?? []).map((endpoint) => endpointOf(endpoint, smmus[0]?.name ?? 'smmu0'));
  return (
    ramProblem(ram) ??
    doorbellProblem(line.doorbell, ram) ??
    smmuProblem(smmus) ??
    endpointProblem(endpoints, smmus) ??
    kernelProblem(line.kernel) ?? {
      ram,
      smmus,
      endpoints,
      ...(line.doorbell === undefined ? {} : { doorbell: line.doorbell }),
      ...kernelOf(line.kernel),
      schedule: line.schedule ?? 'eager',
      seed: line.seed ?? 0,
    }
  );
}

type GivenKernel = ObjectOf<typeof machineFields>['kernel'];

function kernelOf(given: GivenKernel): { readonly kernel?: KernelConfig } {
  if (!given) return {};
  const { profile = defaultKernelProfile } = given;
  const switched = switchesOf(given);
  const switches = Object.keys(switched).length > 0 ? { switches: switched } : {};
  return {
    kernel: { profile, ...switches, ...(given.driver ? { driver: driverConfig(given.driver) } : {}) },
  };
}

/** A driver as a line describes it. */
export function driverConfig(given: ObjectOf<typeof driverFields>): DriverConfig {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function switchesOf({ switches: given }: NonNullable<GivenKernel>): NonNullable<KernelConfig['switches']> {
  const values = Object.entries(given ?? {}).flatMap(([key, each]) =>
    each === undefined ? [] : [[key, each.value]],
  );
  return Object.fromEntries(values) as NonNullable<KernelConfig['switches']>;
}

function kernelProblem(given: GivenKernel): MachineProblem | undefined {
  const wrong = given ? wrongSwitch(switchesOf(given)) : undefined;
  const [called = '', found = ''] = wrong?.split('=') ?? [];
  if (wrong === undefined) return undefined;
  const values = switches[called as SwitchName].values.map((value) => JSON.stringify(value)).join(', ');
  return { field: `kernel.switches.${called}`, message: `expected one of ${values}, found ${found}` };
}

function smmuOf(given: ObjectOf<typeof smmuFields>, index: number, base: number): SmmuConfig {
  const { profile = defaultProfile, choices: chosen, ...rest } = given;
  const taken = Object.entries(chosen ?? {}).flatMap(([key, each]) =>
    each === undefined ? [] : [[key, each.value]],
  );
  return smmuConfig(profile, {
    ...rest,
    name: given.name ?? `smmu${index}`,
    base: given.base ?? base,
    choices: Object.fromEntries(taken) as SmmuConfig['choices'],
  });
}

/** Register pages 0 and 1, and up to the VATOS page where there is one (6.1). */
function registerBytes({ idr }: SmmuConfig): number {
  const { VATOS, BA_VATOS } = identification(idr);
  return (VATOS ? 3 + BA_VATOS : 2) * REGISTER_PAGE;
}

function endpointOf(given: ObjectOf<typeof endpointFields>, smmu: string): EndpointConfig {
  const {
    name: called,
    smmu: behind = smmu,
    ats = false,
    pri = false,
    ssidBits = 0,
    atc = 0,
    ...rest
  } = given;
  const { streamId, of, stall, group, virtualFunction, pasidExec, pasidPriv, dmaBits } = rest;
  return {
    name: called,
    smmu: behind,
    streamId,
    ats,
    pri,
    ssidBits,
    atc,
    ...(of === undefined ? {} : { of }),
    ...(stall === undefined ? {} : { stall }),
    ...(group === undefined ? {} : { group }),
    ...(virtualFunction === undefined ? {} : { virtualFunction }),
    ...(pasidExec === undefined ? {} : { pasidExec }),
    ...(pasidPriv === undefined ? {} : { pasidPriv }),
    ...(dmaBits === undefined ? {} : { dmaBits }),
  };
}

interface Range {
  readonly base: number;
  readonly size: number;
}

const overlap = (a: Range, b: Range): boolean => a.base < b.base + b.size && b.base < a.base + a.size;
const hex = (value: number): string => `0x${value.toString(16)}`;

function ramProblem(ram: readonly Range[]): MachineProblem | undefined {
  for (const [at, range] of ram.entries()) {
    const field = `ram[${at}]`;
    if (range.size === 0) return { field: `${field}.size`, message: 'expected at least 1 byte, found 0' };
    if (range.base % 8 !== 0 || range.size % 8 !== 0) {
      return { field, message: `expected multiples of 8, found ${hex(range.base)} + ${hex(range.size)}` };
    }
    if (range.base + range.size > 2 ** 52)
      return {
        field,
        message: `expected an end of at most 2^52, found ${hex(range.base)} + ${hex(range.size)}`,
      };
    const other = ram.slice(0, at).findIndex((each) => overlap(each, range));
    if (other >= 0)
      return { field, message: `expected a range of its own, found one that overlaps ram[${other}]` };
  }
  return undefined;
}

/** Memory would keep what is written, and nobody would be told. */
function doorbellProblem(doorbell: number | undefined, ram: readonly Range[]): MachineProblem | undefined {
  if (doorbell === undefined) return undefined;
  const inRam = ram.some((range) => overlap(range, { base: doorbell, size: 4 }));
  if (!inRam && doorbell % 4 === 0) return undefined;
  const message = `expected a multiple of 4 outside of memory, found ${hex(doorbell)}`;
  return { field: 'doorbell', message };
}

function smmuProblem(smmus: readonly SmmuConfig[]): MachineProblem | undefined {
  const pagesOf = (smmu: SmmuConfig): Range => ({ base: smmu.base, size: registerBytes(smmu) });
  for (const [at, smmu] of smmus.entries()) {
    const { name: called, base, idr, choices: chosen } = smmu;
    const field = `smmus[${at}]`;
    const pages = pagesOf(smmu);
    const earlier = smmus.slice(0, at);
    if (RESERVED.includes(called) || earlier.some((each) => each.name === called)) {
      return { field: `${field}.name`, message: `expected a name of its own, found "${called}"` };
    }
    if (base % 4096 !== 0)
      return { field: `${field}.base`, message: `expected a multiple of 0x1000, found ${hex(base)}` };
    const other = earlier.findIndex((each) => overlap(pagesOf(each), pages));
    if (other >= 0)
      return {
        field: `${field}.base`,
        message: `expected ${hex(pages.size)} bytes of its own, found smmus[${other}] there`,
      };
    const unfit = brokenIdrRules(idr).find(({ verdict }) => verdict === 'refused');
    if (unfit !== undefined) {
      const { register, spec, needs } = unfit;
      return {
        field: `${field}.idr.${register}`,
        message: `expected ${needs} (IHI 0070 ${spec}), found ${hex(idr[register] ?? 0)}`,
      };
    }
    for (const [choice, value] of Object.entries(chosen)) {
      const usual = (choices as Readonly<Record<string, { default: unknown }>>)[choice]?.default;
      if (typeof usual !== typeof value) {
        return {
          field: `${field}.choices.${choice}`,
          message: `expected a ${typeof usual}, found ${JSON.stringify(value)}`,
        };
      }
    }
  }
  return undefined;
}

/** Names that paths begin with already. */
const RESERVED: readonly string[] = ['mem', 'schedule', 'kernel'];

function endpointProblem(
  endpoints: readonly EndpointConfig[],
  smmus: readonly SmmuConfig[],
): MachineProblem | undefined {
  const taken = [...RESERVED, ...smmus.map((smmu) => smmu.name)];
  for (const [at, { name: called, smmu, streamId }] of endpoints.entries()) {
    const field = `endpoints[${at}]`;
    if (taken.includes(called))
      return { field: `${field}.name`, message: `expected a name of its own, found "${called}"` };
    taken.push(called);
    if (!smmus.some((each) => each.name === smmu)) {
      const known = smmus.map((each) => each.name).join(', ');
      return { field: `${field}.smmu`, message: `expected one of ${known}, found "${smmu}"` };
    }
    const other = endpoints
      .slice(0, at)
      .findIndex((each) => each.smmu === smmu && each.streamId === streamId);
    if (other >= 0) {
      return {
        field: `${field}.streamId`,
        message: `expected a StreamID of its own, found ${hex(streamId)} that endpoints[${other}] has`,
      };
    }
    const unfit = furtherProblem(endpoints, at);
    if (unfit !== undefined) return { field: `${field}.of`, message: unfit };
  }
  return undefined;
}

/** A further StreamID is of a device of the same SMMU that stands before it, and says nothing of the device itself. */
function furtherProblem(endpoints: readonly EndpointConfig[], at: number): string | undefined {
  const { of, smmu, group } = endpoints[at] ?? {};
  if (of === undefined) return undefined;
  const fit = endpoints
    .slice(0, at)
    .filter((each) => each.smmu === smmu && each.of === undefined)
    .map((each) => each.name);
  if (!fit.includes(of))
    return `expected an endpoint before it behind ${smmu} (${fit.join(', ') || 'there is none'}), found "${of}"`;
  return group === undefined ? undefined : `expected no group of its own, found "${group}"`;
}
