/** The part of the vocabulary about virtual machines, and about operating systems and their devices. */
import { type WorkloadName, workloads } from '../../core/dma-api/workload.ts';
import { defaultVmm, vmmProfiles } from '../../core/vmm/profiles.ts';
import { endpoint, ssid, vm } from './common-fields.ts';
import { kvmRows } from './kvm-vocabulary.ts';
import { driverFields } from './machine.ts';
import { platformFields, smmuProperties } from './platform.ts';
import {
  anything,
  BYTES_MAX,
  count,
  type Fields,
  flag,
  hexBytes,
  iova,
  listOf,
  mapOf,
  name,
  objectOf,
  oneOf,
  pa,
  smmuName,
} from './values.ts';

/** Most bytes that one line maps. */
const MAP_BYTES_MAX = 2 ** 32;
const pieceFields = {
  pa: { kind: pa, doc: 'where it begins' },
  bytes: { kind: count(1, MAP_BYTES_MAX), doc: 'its size' },
} as const satisfies Fields;
const cpu = {
  kind: count(0, 255),
  optional: true,
  doc: 'CPU that does it, a unit of its own; 0 when left out',
} as const;
const ofVm = { kind: name, doc: 'name of the VM' } as const;

/** Rows as those of `vocabulary.ts`. */
// biome-ignore format: a table
export const guestVocabulary = {
  'vm.create': {
    summary: 'A VMM makes a VM: memory, CPUs and an emulated SMMU, VM.smmu', outcome: '{}, or {errno}',
    fields: {
      vm: { kind: name, doc: 'name of the VM, and of its VMM\'s process' },
      profile: { kind: oneOf(...Object.keys(vmmProfiles)), optional: true, doc: `the VMM; ${defaultVmm} when left out (\`help vmms\`)` },
      policies: { kind: mapOf(undefined, anything), optional: true, doc: 'policies that differ from the profile' },
      cpus: { kind: count(1, 64), optional: true, doc: 'vCPUs; 1 when left out' },
      ram: { kind: listOf(objectOf({ base: { kind: pa, doc: 'guest physical address' }, size: { kind: pa, doc: 'bytes' } })), optional: true, doc: 'memory of the guest; 64 MiB at 0x40000000 when left out' },
      smmus: { kind: count(1, 8), optional: true, doc: 'emulated SMMUs: smmu, smmu1, ...; 1 when left out' },
      idr: { kind: mapOf(undefined, count(0, 0xffff_ffff)), optional: true, doc: 'ID registers of the emulated SMMU that differ from the profile' },
      vmid: { kind: count(0, 0xffff), optional: true, doc: 'VMID of KVM' },
      properties: { kind: objectOf(smmuProperties), optional: true, doc: 'of the emulated SMMUs, as QEMU has them: over idr and the profile' },
    },
  },
  'vm.plug': {
    summary: 'A device for the guest: one of the host (VFIO), or emulated by the VMM', outcome: '{}, {errno} or {refused}',
    fields: {
      vm: ofVm, endpoint: { kind: name, doc: 'of the host, or a new name for an emulated one' },
      kind: { kind: oneOf('assigned', 'emulated'), optional: true, doc: 'as the strategy has them when left out' },
      smmu: { kind: smmuName, optional: true, doc: 'emulated SMMU it stands behind; the first when left out' },
      streamId: { kind: count(0, 0xffff_ffff), optional: true, doc: 'that the guest knows; the endpoint\'s own when left out' },
      ssidBits: { kind: count(0, 20), optional: true, doc: 'SubstreamID bits that the guest sees' },
      ats: { kind: flag, optional: true, doc: 'the guest sees an ATS capability' },
      pri: { kind: flag, optional: true, doc: 'the guest sees a PRI capability' },
      stall: { kind: flag, optional: true, doc: 'its accesses may stall' },
    },
  },
  'vm.unplug': { summary: 'Takes a device away from the guest', outcome: '{}', fields: { vm: ofVm, endpoint } },
  ...kvmRows,
  'vm.end': { summary: 'The VMM is killed', outcome: '{}', fields: { vm: ofVm } },
  'guest.boot': {
    summary: 'Power-on: the VMM resets its devices, the guest\'s driver probes its SMMU', outcome: '{}',
    fields: { vm: ofVm, platform: { kind: objectOf(platformFields), optional: true, doc: 'firmware and CPUs of the guest, where they differ' }, driver: { kind: objectOf(driverFields), optional: true, doc: 'what differs from a usual driver' } },
  },
  'guest.dma': {
    summary: 'A device of the guest accesses memory, assigned or emulated', outcome: '{} as dma has it',
    fields: {
      vm: ofVm, endpoint,
      iova: { kind: iova, doc: 'address the device uses' },
      bytes: { kind: count(1, BYTES_MAX), doc: 'how many' },
      access: { kind: oneOf('read', 'write'), doc: 'direction' },
      ssid,
      hex: { kind: hexBytes(BYTES_MAX), optional: true, doc: 'data written, as many bytes as `bytes`' },
    },
  },
  'guest.map': {
    summary: 'An operating system maps memory for a device through the DMA API', outcome: '{iova, pa}, or {errno}; {pending} where turns are due',
    fields: {
      vm, endpoint, cpu,
      pa: { kind: pa, optional: true, doc: 'the memory, as the operating system sees it; it takes some itself when left out' },
      sg: { kind: listOf(objectOf(pieceFields)), optional: true, doc: 'its pieces, whole pages of `bytes` together, in place of pa' },
      bytes: { kind: count(1, MAP_BYTES_MAX), doc: 'how many; whole pages are mapped' },
      access: { kind: oneOf('read', 'write', 'read-write'), optional: true, doc: 'what the device may do; read-write when left out' },
      device: { kind: flag, optional: true, doc: 'registers of a device, as the doorbell of interrupts' },
      iova: { kind: iova, optional: true, doc: 'at this address; the allocator chooses when left out' },
    },
  },
  'guest.unmap': {
    summary: 'It takes a mapping away; a lazy domain flushes later', outcome: '{}, or {errno}, {pending}',
    fields: { vm, endpoint, cpu, iova: { kind: iova, doc: 'what guest.map answered' }, bytes: { kind: count(1, MAP_BYTES_MAX), doc: 'as they were mapped' } },
  },
  'guest.attach': {
    summary: 'It changes the default domain of an endpoint; dma to dma-fq where it stands', outcome: '{}, or {errno} (EBUSY while something is mapped), {pending}',
    fields: { vm, endpoint, cpu, to: { kind: oneOf('dma', 'dma-fq', 'identity', 'blocked'), doc: 'strict or lazy translation, physical addresses, or nothing' }, ssid: { ...ssid, doc: 'a SubstreamID instead: to the default domain, or to nothing' } },
  },
  'guest.detach': {
    summary: 'An endpoint goes: it is blocked and its default domain freed', outcome: '{}, or {errno}, {pending}',
    fields: { vm, endpoint, cpu },
  },
  'guest.probe': {
    summary: 'The driver of an endpoint comes (kernel.driver.lateProbe)', outcome: '{}, or {pending}',
    fields: { vm, endpoint, cpu },
  },
  'guest.work': {
    summary: 'A device of an operating system is kept busy: buffers are mapped, used, compared and unmapped', outcome: '{done, refused, failed, corrupt}, or {errno}, {pending}',
    fields: {
      vm, endpoint, cpu,
      kind: { kind: oneOf(...(Object.keys(workloads) as WorkloadName[])), doc: Object.entries(workloads).map(([of, { about }]) => `${of}: ${about}`).join('; ') },
      seed: { kind: count(0, 0xffff_ffff), optional: true, doc: 'what it draws from; 1 when left out' },
      count: { kind: count(1, 1_000_000), doc: 'buffers' },
    },
  },
  'guest.shutdown': { summary: 'An operating system goes down: its SMMUs are turned off', outcome: '{}, or {pending}', fields: { vm } },
} as const;
