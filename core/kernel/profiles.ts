/**
 * Kernel profiles: which calls a kernel has, how large their structs are, which names it knows and how
 * its switches stand. Releases follow from the `since` of each row; a proposal is the release it was made
 * for, with calls and switches of its own. The releases' tables are those of include/uapi/linux/iommufd.h
 * and vfio.h at each tag; the proposals' sources are mails.
 */
import { present } from '../assert.ts';
import { isSwitchValue, type SwitchName, type SwitchValues, switchesIn } from './switches.ts';
import { type EnumName, enums, type MemberName, members } from './uapi/enums.ts';
import { type IoctlName, type IoctlRow, ioctlCode, ioctls } from './uapi/ioctls.ts';
import {
  type MailName,
  type Proposal,
  type ProposedName,
  type ProposedRow,
  proposedIoctls,
} from './uapi/proposed.ts';
import { type Struct, sizeIn } from './uapi/struct.ts';
import { ioctlStructs } from './uapi/structs.ts';
import { atLeast, type Version, versions } from './uapi/versions.ts';

export interface KernelProfile {
  /** The release, or the one that a proposal was made for. */
  readonly release: Version;
  /** What it brought, or what the proposal is about. */
  readonly about: string;
  /** There is no iommufd at all: /dev/iommu cannot be opened. */
  readonly withoutIommufd?: true;
  readonly proposal?: Proposal;
  readonly mails?: readonly MailName[];
  /** Names that releases know later. */
  readonly names?: readonly MemberName[];
  readonly switches?: Partial<SwitchValues>;
}

/** Names that a proposal of SMMUv3 nesting before 6.13 needs. */
const smmuNames = ['IOMMU_HWPT_DATA_ARM_SMMUV3', 'IOMMU_HW_INFO_TYPE_ARM_SMMUV3'] as const;

// biome-ignore format: a table
export const kernelProfiles = {
  'linux-6.2':  { release: '6.2',  about: 'iommufd: IOAS, mapping, the VFIO container on an iommufd' },
  'linux-6.3':  { release: '6.3',  about: 'as before' },
  'linux-6.4':  { release: '6.4',  about: 'as before' },
  'linux-6.5':  { release: '6.5',  about: 'as before' },
  'linux-6.6':  { release: '6.6',  about: 'HWPT_ALLOC without flags, GET_HW_INFO of VT-d, the VFIO device file, replace' },
  'linux-6.7':  { release: '6.7',  about: 'nesting parents, dirty tracking, driver data' },
  'linux-6.8':  { release: '6.8',  about: 'HWPT_INVALIDATE of nested HWPTs (VT-d)' },
  'linux-6.9':  { release: '6.9',  about: 'as before' },
  'linux-6.10': { release: '6.10', about: 'as before' },
  'linux-6.11': { release: '6.11', about: 'fault queues' },
  'linux-6.12': { release: '6.12', about: 'as before' },
  'linux-6.13': { release: '6.13', about: 'SMMUv3 nesting: hw_info, vIOMMU, vDEVICE, invalidation; MAP_FILE, CHANGE_PROCESS' },
  'linux-6.14': { release: '6.14', about: 'as before' },
  'linux-6.15': { release: '6.15', about: 'vEVENTQ, PASID attach; a vDEVICE is needed for each nested attach' },
  'linux-6.16': { release: '6.16', about: 'as before' },
  'linux-6.17': { release: '6.17', about: 'HW queues (Tegra241 CMDQV) and mmap, tombstones, BIND with a token' },
  'linux-6.18': { release: '6.18', about: 'fixes' },
  'linux-6.19': { release: '6.19', about: 'MAP_FILE of dma-bufs; bypass and abort attach without a vDEVICE' },
  'linux-7.0':  { release: '7.0',  about: 'as 6.19: what came between 7.0 and 7.2 is said to be of 7.2' },
  'linux-7.1':  { release: '7.1',  about: 'as before' },
  'linux-7.2':  { release: '7.2',  about: 'AMD nested types, the capability ATS_NOT_SUPPORTED, unmap reworked' },
  'linux-7.3':  { release: '7.3',  about: 'no-IOMMU, an erratum flag of SMMUv3, strict commands and caps (as of 7.3.4)' },

  // The two rules of a batch with a bad command, side by side.
  'linux-7.3-validate-first': {
    release: '7.3', about: 'each block of at most 63 invalidations is converted before any of it is issued; written after 7.3.4',
    switches: { batchRule: 'validate-first', zeroLengthProbe: 'accepted' } },

  'linux-7.3-software-queue': {
    release: '7.3', about: 'queues of guests that the kernel works off itself, beside those of hardware; proposed in March 2023, never merged',
    mails: ['rawCommands'], switches: { softwareQueue: true } },

  'rfc-2017-08': {
    release: '6.2', about: 'before iommufd: the guest invalidates on map, and the VMM shadows its tables by VFIO',
    withoutIommufd: true, mails: ['tlbiOnMap'],
    switches: { tlbiOnMap: true } },
  'rfc-2023-03': {
    release: '6.6', about: 'invalidation by handing over the Command queue of the guest; the VMM keeps PROD and CONS, the kernel replaces VMID and StreamID',
    proposal: 'guestQueue', mails: ['rawCommands', 'guestQueue', 'readQueue', 'devData'], names: smmuNames,
    switches: { invalidateForm: 'guest-queue', invalidateErrors: 'cons', unknownCommand: 'skipped', vsidTable: 'dev-data' } },
  'v6-2023-11': {
    release: '6.7', about: 'HWPT_INVALIDATE with a count of requests and an error code of the driver',
    proposal: 'driverCode', mails: ['invalidate'], names: smmuNames,
    switches: { invalidateErrors: 'driver-code' } },
  'v6-2023-11-event-fd': {
    release: '6.7', about: 'the same, errors told through an event fd',
    proposal: 'eventFd', mails: ['invalidate', 'eventFd'], names: smmuNames,
    switches: { invalidateErrors: 'event-fd' } },
  'rfc-2024-05': {
    release: '6.10', about: 'vIOMMU with virtual device ids; stage 2 shared, a proxy nested domain for bypass and abort, VQUEUE',
    proposal: 'viommu', mails: ['viommu', 'setDevId', 'vqueue', 'viommuParts', 'vdevId'],
    names: [...smmuNames, 'IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3'],
    switches: { invalidateViommu: true, vsidTable: 'vdev-id', smmuNestedOn: 'both', stage2Attach: 'proxy-nested', vmidOwner: 'viommu' } },
  'v4-2024-11': {
    release: '6.13', about: 'hw_info with idr[] as hardware has it: the VMM masks (as merged)',
    mails: ['hwInfo'] },
  'v4-2024-11-sanitised': {
    release: '6.13', about: 'hw_info with idr[] sanitised by the kernel, as its critics asked',
    mails: ['hwInfo'], switches: { hwInfoIdr: 'sanitised' } },
} as const satisfies Readonly<Record<string, KernelProfile>>;

export type ProfileName = keyof typeof kernelProfiles;
export type CallName = IoctlName | ProposedName;
export const defaultKernelProfile: ProfileName = 'linux-7.3';

/** An ioctl as one kernel has it. */
export interface Call {
  readonly name: CallName;
  readonly nr: number;
  /** The 32-bit request code. */
  readonly code: number;
  readonly file: IoctlRow['file'];
  readonly struct: Struct;
  /** Size of the kernel's struct, bytes. */
  readonly bytes: number;
  /** Smallest size field accepted, bytes. */
  readonly min: number;
}

/** Whether there is such a profile. */
export function isKernelProfile(name: string): name is ProfileName {
  return Object.hasOwn(kernelProfiles, name);
}

const calls = new Map(profileNames().map((name) => [name, callsOf(kernelProfiles[name])]));

/** The calls of a kernel by name. */
export function callsIn(profile: ProfileName): ReadonlyMap<CallName, Call> {
  return present(calls.get(profile), `profile ${profile}`);
}

/** Whether a kernel has that call. */
export function hasIoctl(profile: ProfileName, name: CallName): boolean {
  return callsIn(profile).has(name);
}

/** Bytes of the kernel's struct of a call that it has. */
export function structSize(profile: ProfileName, name: CallName): number {
  return present(callsIn(profile).get(name), `${name} in ${profile}`).bytes;
}

const byNumber = new Map(profileNames().map((name) => [name, numbered(callsIn(name))]));

/** The call of that number on a kind of file; an alias is found under its first name. */
export function ioctlAt(profile: ProfileName, file: IoctlRow['file'], nr: number): Call | undefined {
  return byNumber.get(profile)?.get(`${file} ${nr}`);
}

/** The highest number of the iommufd file's own calls, holes before it included; undefined without any. */
export function lastNumber(profile: ProfileName): number | undefined {
  return lastNumbers.get(profile);
}

const lastNumbers = new Map(
  profileNames().map((profile) => {
    const own = [...callsIn(profile).values()].filter(({ file }) => file === 'iommufd');
    return [profile, own.length === 0 ? undefined : Math.max(...own.map(({ nr }) => nr))] as const;
  }),
);

/** Whether a kernel knows a flag or a value by that name. */
export function hasName(profile: ProfileName, name: MemberName): boolean {
  const { release, names = [] }: KernelProfile = kernelProfiles[profile];
  return atLeast(release, members[name][1]) || names.includes(name);
}

/** The bits of a flag set that a kernel knows, ORed; all others are refused. */
export function knownFlags(profile: ProfileName, set: EnumName): number {
  const known = Object.entries(enums[set].members).filter(([name]) => hasName(profile, name as MemberName));
  return known.reduce((bits, [, [bit]]) => (bits | bit) >>> 0, 0);
}

/** The switches of a kernel, those that a scenario sets otherwise included. */
export function switchesOf(profile: ProfileName, overrides: Partial<SwitchValues> = {}): SwitchValues {
  return { ...ownSwitches(profile), ...overrides };
}

const remembered = new Map<ProfileName, SwitchValues>();

/** The switches of a profile as it is. */
export function ownSwitches(profile: ProfileName): SwitchValues {
  const known = remembered.get(profile);
  if (known !== undefined) return known;
  const { release, switches }: KernelProfile = kernelProfiles[profile];
  const made = { ...switchesIn(release), ...switches };
  remembered.set(profile, made);
  return made;
}

/** The first of these that is no switch, or no value of it, as text; undefined when all are good. */
export function wrongSwitch(overrides: Readonly<Record<string, unknown>>): string | undefined {
  const known = switchesIn(versions[0]);
  return Object.entries(overrides)
    .filter(([name, value]) => !Object.hasOwn(known, name) || !isSwitchValue(name as SwitchName, value))
    .map(([name, value]) => `${name}=${value}`)[0];
}

function profileNames(): readonly ProfileName[] {
  return Object.keys(kernelProfiles) as ProfileName[];
}

function callsOf({ release, proposal, withoutIommufd }: KernelProfile): ReadonlyMap<CallName, Call> {
  if (withoutIommufd) return new Map();
  const proposed: Readonly<Record<string, ProposedRow>> =
    proposal === undefined ? {} : proposedIoctls[proposal];
  const merged = (Object.entries(ioctls) as [IoctlName, IoctlRow][])
    .filter(([name, { since }]) => atLeast(release, since) && proposed[name] === undefined)
    .map(([name, row]) => callOf(name, { ...row, struct: ioctlStructs[row.struct] }, release));
  const added = Object.entries(proposed).map(([name, row]) => callOf(name as CallName, row, release));
  return new Map([...merged, ...added].map((call) => [call.name, call]));
}

function callOf(
  name: CallName,
  { nr, file, struct, min }: Omit<ProposedRow, 'mail'>,
  release: Version,
): Call {
  return { name, nr, code: ioctlCode(nr), file, struct, bytes: sizeIn(struct, release), min };
}

function numbered(all: ReadonlyMap<CallName, Call>): ReadonlyMap<string, Call> {
  const first = new Map<string, Call>();
  for (const call of all.values()) {
    const at = `${call.file} ${call.nr}`;
    if (!first.has(at)) first.set(at, call);
  }
  return first;
}
