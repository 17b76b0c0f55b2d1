/**
 * Everything that can be asked of the machine, in the words of the scenario file. Each may say
 * where it came from (`line` of its file, the CPU and the program counter of a captured store).
 */
import type { DriverConfig } from './config.ts';
import type { WorkloadName } from './dma-api/workload.ts';
import type { Platform } from './driver/features.ts';
import type { MemoryKind } from './kernel/process/state.ts';
import {
  bytes,
  flag,
  id,
  int,
  iova,
  json,
  optional,
  type Payload,
  pa,
  type Schema,
  text,
  u64,
} from './schema.ts';
import type { GivenDevice, VmConfig } from './vm/state.ts';

const origin = { line: optional(int()), cpu: optional(int()), pc: optional(u64()) };

export const stimuli = {
  'mmio.write': { smmu: text(), offset: id(), size: int(), value: u64(), ...origin },
  'mmio.read': { smmu: text(), offset: id(), size: int(), ...origin },
  'mem.write': { pa: pa(), bytes: bytes(), ...origin },
  'mem.read': { pa: pa(), size: int(), ...origin },
  dma: {
    endpoint: text('endpoint'),
    iova: iova(),
    size: int(),
    access: text<'read' | 'write'>(),
    ssid: optional(id()),
    exec: optional(flag()),
    privileged: optional(flag()),
    translated: optional(flag()),
    data: optional(bytes()),
    /** What the source of the access did not show and was assumed: `size`, `access`. */
    assumed: optional(text()),
    ...origin,
  },
  /** A Translation Request; `access` says whether the endpoint means to write (NW=0). */
  'ats.translate': {
    endpoint: text('endpoint'),
    iova: iova(),
    size: int(),
    access: text<'read' | 'write'>(),
    ssid: optional(id()),
    exec: optional(flag()),
    privileged: optional(flag()),
    ...origin,
  },
  /** A Page Request; `none` with `last` and a SubstreamID is a Stop PASID marker. */
  'pri.request': {
    endpoint: text('endpoint'),
    iova: iova(),
    access: text<'read' | 'write' | 'read-write' | 'none'>(),
    prgIndex: int(),
    last: flag(),
    ssid: optional(id()),
    exec: optional(flag()),
    privileged: optional(flag()),
    ...origin,
  },
  'endpoint.set': { endpoint: text('endpoint'), set: json<Readonly<Record<string, boolean>>>(), ...origin },
  /** The device sends a message; `data` is its EventID. */
  'msi.send': { endpoint: text('endpoint'), data: optional(int()), ...origin },
  /**
   * A command given to the SMMU beside its Command queue, as from a queue of somebody else: what a
   * what-if inserts, so that the software's own queue indices stay as they were.
   */
  'command.issue': { smmu: text(), lo: u64(), hi: u64(), ...origin },
  /** A TLBI of a PE that its interconnect broadcasts; what it carries goes by the operation (3.17). */
  'cpu.tlbi': {
    operation: text(),
    vmid: optional(id('vmid')),
    asid: optional(id('asid')),
    va: optional(iova()),
    ipa: optional(pa()),
    tg: optional(text<'4KB' | '16KB' | '64KB'>()),
    num: optional(int()),
    scale: optional(int()),
    ttl: optional(int()),
    /** Of the PE: it has EL2; it is in EL2-E2H. */
    el2: optional(flag()),
    e2h: optional(flag()),
    ...origin,
  },
  /** The host's kernel starts: its drivers probe their SMMUs. */
  'kernel.boot': { ...origin },
  'mem.alloc': { process: optional(text()), bytes: int(), kind: text<MemoryKind>(), ...origin },
  'mem.free': { process: optional(text()), va: id(), ...origin },
  'mem.memfd': { process: optional(text()), bytes: int(), ...origin },
  /** A process stores to its own memory, or reads it. */
  'user.write': { process: text(), va: u64(), bytes: bytes(), ...origin },
  'user.read': { process: text(), va: u64(), size: int(), ...origin },
  open: { fd: text(), process: optional(text()), ...origin },
  close: { fd: text(), ...origin },
  read: { fd: text(), bytes: int(), ...origin },
  write: { fd: text(), bytes: bytes(), ...origin },
  /** Maps a region of an iommufd file, or takes a mapping of it away. */
  mmap: {
    fd: text(),
    at: u64(),
    length: u64(),
    private: optional(flag()),
    exec: optional(flag()),
    ...origin,
  },
  munmap: { fd: text(), at: u64(), ...origin },
  'process.exit': { process: text(), ...origin },
  /**
   * `arg` is passed as it is; or `bytes` are put into the process's memory with the `buffers` that pointers
   * in them (at `offset`) are to lead to, and their address is passed.
   */
  ioctl: {
    fd: text(),
    process: optional(text()),
    /** Another thread than the one that makes all other calls. */
    thread: optional(int()),
    code: id(),
    arg: optional(u64()),
    bytes: optional(bytes()),
    buffers: optional(
      json<readonly { readonly field: string; readonly offset: number; readonly bytes: Uint8Array }[]>(),
    ),
    ...origin,
  },
  // Virtual machines
  'vm.create': { vm: text(), config: json<VmConfig>(), ...origin },
  'vm.plug': { vm: text(), endpoint: text('endpoint'), device: json<GivenDevice>(), ...origin },
  'vm.unplug': { vm: text(), endpoint: text('endpoint'), ...origin },
  /** The VMM's process is killed. */
  'vm.end': { vm: text(), ...origin },
  /** Memory of the guest comes or goes. */
  'vm.slot': { vm: text(), gpa: id(), bytes: int(), present: flag(), ...origin },
  /** A vCPU's TLBI to the inner shareable domain; it carries the VMID of KVM. */
  'kvm.tlbi': {
    vm: text(),
    operation: text(),
    asid: optional(id('asid')),
    va: optional(iova()),
    tg: optional(text<'4KB' | '16KB' | '64KB'>()),
    num: optional(int()),
    scale: optional(int()),
    ttl: optional(int()),
    ...origin,
  },
  /** A generation of KVM's VMIDs ends. */
  'kvm.rollover': { ...origin },
  /** The guest turns the MSIs of a device on or off; `iova` is the address that it writes into the vector. */
  'guest.irq': {
    vm: text(),
    endpoint: text('endpoint'),
    on: flag(),
    iova: optional(iova()),
    ...origin,
  },
  /** Power-on; `platform` is what the guest's firmware and CPUs are, where it differs. */
  'guest.boot': {
    vm: text(),
    platform: optional(json<Partial<Platform>>()),
    driver: optional(json<DriverConfig>()),
    ...origin,
  },
  /** The operating system of a VM, or the host's, maps memory for a device; without `pa` it takes some. */
  'guest.map': {
    vm: optional(text()),
    endpoint: text('endpoint'),
    pa: optional(pa()),
    /** Or a scatter list: whole pages, one behind the other in the mapping. */
    sg: optional(json<readonly { readonly pa: number; readonly size: number }[]>()),
    bytes: int(),
    access: optional(text<'read' | 'write' | 'read-write'>()),
    /** Registers of a device, as the doorbell of interrupts: not executable, not cached. */
    device: optional(flag()),
    iova: optional(iova()),
    ...origin,
  },
  'guest.unmap': {
    vm: optional(text()),
    endpoint: text('endpoint'),
    iova: iova(),
    bytes: int(),
    ...origin,
  },
  /** Changes the default domain of an endpoint. */
  'guest.attach': {
    vm: optional(text()),
    endpoint: text('endpoint'),
    to: text<'dma' | 'dma-fq' | 'identity' | 'blocked'>(),
    /** Not the endpoint, but a SubstreamID of it: to its default domain, or to nothing. */
    ssid: optional(id()),
    ...origin,
  },
  /** The endpoint goes: it is blocked, and its default domain is freed. */
  'guest.detach': { vm: optional(text()), endpoint: text('endpoint'), ...origin },
  /** The driver of an endpoint comes: the SMMU's driver probes the endpoint, where it has not. */
  'guest.probe': { vm: optional(text()), endpoint: text('endpoint'), ...origin },
  /** A device of an operating system is kept busy, with buffers drawn from a seed. */
  'guest.work': {
    vm: optional(text()),
    endpoint: text('endpoint'),
    kind: text<WorkloadName>(),
    seed: id(),
    count: int(),
    ...origin,
  },
  /** The operating system goes down: its drivers turn their SMMUs off. */
  'guest.shutdown': { vm: optional(text()), ...origin },
  /** A process maps new memory at an address of its own, takes it away, or changes what it may do with it. */
  'mm.map': {
    vm: optional(text()),
    mm: text(),
    va: iova(),
    bytes: int(),
    access: optional(text<'read' | 'read-write'>()),
    ...origin,
  },
  'mm.unmap': { vm: optional(text()), mm: text(), va: iova(), bytes: int(), ...origin },
  'mm.protect': {
    vm: optional(text()),
    mm: text(),
    va: iova(),
    bytes: int(),
    access: text<'read' | 'read-write'>(),
    ...origin,
  },
  /** It goes, with all its memory. */
  'mm.exit': { vm: optional(text()), mm: text(), ...origin },
  /** A device gets its address space under a SubstreamID (shared virtual addressing), or gives it back. */
  'sva.bind': {
    vm: optional(text()),
    endpoint: text('endpoint'),
    mm: text(),
    ssid: optional(id()),
    ...origin,
  },
  'sva.unbind': { vm: optional(text()), endpoint: text('endpoint'), mm: text(), ...origin },
  turn: { unit: text(), ...origin },
  set: { path: text('path'), value: json<unknown>(), ...origin },
  /** A remark of the source: a console line, a difference, a deviation. Changes nothing. */
  note: { kind: text(), text: text(), ...origin },
  /** A fact that a trace states; it is taken as it is (an observed history decides nothing). */
  observe: { events: json<readonly Readonly<Record<string, unknown>>[]>(), ...origin },
} as const satisfies Record<string, Schema>;

export type StimulusMap = typeof stimuli;
export type StimulusType = keyof StimulusMap;
export type StimulusOf<T extends StimulusType> = { readonly type: T } & Payload<StimulusMap[T]>;
/** `actor` says who asked; without it the machine's outside did. */
export type Stimulus = { [T in StimulusType]: StimulusOf<T> & { readonly actor?: string } }[StimulusType];
