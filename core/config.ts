/**
 * What a machine is made of: the first line of a scenario, with everything filled in. It is plain
 * data, kept in the header of a history; with it and the stimuli the history can be run again.
 */
import type { RamRange } from './memory/memory.ts';

export type Schedule = 'eager' | 'manual' | 'seeded';
/** Entries a cache holds: 0 for none. */
export type Capacity = number | 'unbounded';

export interface CacheCapacities {
  readonly ste: Capacity;
  readonly cd: Capacity;
  readonly tlb: Capacity;
  readonly walk: Capacity;
}

export interface SmmuConfig {
  readonly name: string;
  /** Physical address of register page 0. */
  readonly base: number;
  /** A VMM emulates it: the address space that it reads and writes. */
  readonly space?: string;
  /** Name of the hardware profile it was made from. */
  readonly profile: string;
  /** Identification registers by name: IDR0 to IDR6, IIDR, AIDR. */
  readonly idr: Readonly<Record<string, number>>;
  readonly caches: CacheCapacities;
  /** `literal` drops no more than a command must; `generous` drops the whole cache. */
  readonly invalidation: 'literal' | 'generous';
  /** What happens when a full cache needs room. */
  readonly replacement: 'oldest' | 'flush-all';
  /** Named choices where the architecture leaves freedom; see `core/smmu/choices.ts`. */
  readonly choices: Readonly<Record<string, boolean | number | string>>;
  /** Where an emulator does what the architecture does not say. */
  readonly emulator?: EmulatorWays;
}

export interface EmulatorWays {
  /** A record that finds the Event queue full activates EVENTQ_ABT_ERR; OVFLG stays as it is. */
  readonly eventqFull?: 'abt-err';
  /** A CMD_SYNC sends its message although IDR0.MSI is 0; or no signal at all, whatever IDR0.MSI and SEV say. */
  readonly syncMsi?: 'always' | 'never';
  /** Its TLB answers the VMM alone, and no command empties it. */
  readonly tlb?: 'kept';
}

export interface EndpointConfig {
  readonly name: string;
  readonly smmu: string;
  readonly streamId: number;
  readonly ats: boolean;
  readonly pri: boolean;
  readonly ssidBits: number;
  readonly atc: Capacity;
  /** Its accesses may stall (3.12); true when absent. */
  readonly stall?: boolean;
  /** It is a further StreamID of that endpoint's device, which is one device to the kernel. */
  readonly of?: string;
  /** IOMMU group: endpoints of one name are attached together; alone in one when absent. */
  readonly group?: string;
  /** It is a PCI virtual function. */
  readonly virtualFunction?: boolean;
  /** Its PASID capability has execute permission, or privileged mode. */
  readonly pasidExec?: boolean;
  readonly pasidPriv?: boolean;
  /** Bits of the addresses that it can use for DMA; 64 when absent. */
  readonly dmaBits?: number;
}

/** The host's kernel. */
export interface KernelConfig {
  /** Name of its profile; see `core/kernel/profiles.ts`. */
  readonly profile: string;
  /** Switches that differ from the profile, by name. */
  readonly switches?: Readonly<Record<string, boolean | number | string>>;
  /** What differs from a usual driver of its SMMUs. */
  readonly driver?: DriverConfig;
}

/** A driver of an SMMU, of the host or of a VM. */
export interface DriverConfig {
  /** Name of its release; see `core/driver/releases.ts`. */
  readonly release?: string;
  /** What an endpoint that nobody has taken is attached to. */
  readonly defaultDomain?: 'dma' | 'dma-fq' | 'identity' | 'blocked';
  /** Endpoints are probed when their own drivers come. */
  readonly lateProbe?: boolean;
  /** Firmware's HTTU, where it says less than the register: 0 none, 1 access flag, 2 and dirty state. */
  readonly httu?: number;
  /** Firmware's word on coherent walks, where it is not the register's. */
  readonly coherent?: boolean;
  /** The root complex has no ATS, by firmware; its path is not coherent for PCI writes (CANWBS). */
  readonly rootAts?: boolean;
  readonly canwbs?: boolean;
  /** Model id of the IORT node: 0 generic, 1 HiSilicon Hi161x, 2 Cavium CN99xx. */
  readonly model?: number;
  /** Firmware reserves the MSI window one to one (IORT RMR nodes). */
  readonly rmr?: boolean;
}

export interface MachineConfig {
  readonly ram: readonly RamRange[];
  readonly smmus: readonly SmmuConfig[];
  readonly endpoints: readonly EndpointConfig[];
  /** Physical address of the doorbell of MSIs (GITS_TRANSLATER): a write of 4 bytes there is an interrupt. */
  readonly doorbell?: number;
  /** Without one, scenarios program the SMMUs themselves. */
  readonly kernel?: KernelConfig | null;
  readonly schedule: Schedule;
  readonly seed: number;
}
