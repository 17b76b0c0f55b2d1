/**
 * What one driver of one SMMU remembers (linux: arm-smmu-v3.h). Page tables, STEs, CDs and queues are in
 * memory; here is where they stand, who uses what, and the driver's own copies of queue pointers.
 */
import type { DmaDomain } from '../dma-api/state.ts';
import type { Radix } from '../memory/radix.ts';
import type { DriverFeatures, Platform } from './features.ts';
import type { Quirks } from './quirks.ts';
import type { ReleaseName } from './releases.ts';
import type { SecondQueue } from './second-queue.ts';
import type { TableShape } from './table-shape.ts';

/** Through what the driver reaches its SMMU and its memory; see `port.ts`. */
export interface PortName {
  /** `guest`: the driver's owner is a VM, and the SMMU one that its VMM emulates. */
  readonly kind: 'host' | 'guest';
  readonly smmu: string;
}

export interface DriverSetup {
  /** Whose driver it is: ASIDs are unique among the drivers of one owner. */
  readonly owner: string;
  /** Who acts, in the log. */
  readonly actor: string;
  readonly port: PortName;
  readonly platform: Platform;
  /** Release of the driver; the present one when absent. */
  readonly release?: ReleaseName;
}

export type DriverQueueName = 'CMDQ' | 'EVENTQ' | 'PRIQ';

/** A queue, and the driver's copy of its pointers: index, wrap bit, and bit 31 for overflow. */
export interface DriverQueue {
  readonly pa: number;
  readonly sizeLog2: number;
  prod: number;
  cons: number;
}

export interface StreamTable {
  readonly pa: number;
  /** 2-level: log2 of the level 1 descriptors; linear: of the STEs. */
  readonly sizeLog2: number;
  readonly twoLevel: boolean;
  /** Leaf tables by the StreamID's upper bits. */
  leaves: Record<number, number>;
}

/** The CD table of an endpoint. */
export interface CdTable {
  readonly pa: number;
  readonly twoLevel: boolean;
  /** Bytes of the linear table, or of level 1. */
  readonly bytes: number;
  readonly maxLog2: number;
  leaves: Record<number, number>;
}

/** What an endpoint's SubstreamID is attached to; 0 is without one. */
export type Attachment = number | 'identity' | 'blocked';

/** A nested endpoint's place in its VM: a number of the vIOMMU (a name for its owner) and its virtual StreamID. */
export interface Vmaster {
  readonly viommu: number;
  readonly context: number;
  readonly vsid: string;
}

export interface Master {
  readonly endpoint: string;
  readonly streams: readonly number[];
  readonly ssidBits: number;
  /** Its accesses may stall, and their faults are handled. */
  readonly stallEnabled: boolean;
  readonly canAts: boolean;
  cdTable?: CdTable;
  /** A cdtable STE is installed. */
  cdInSte: boolean;
  atsEnabled: boolean;
  attached: Record<number, Attachment>;
  vmaster?: Vmaster;
}

/** What must be invalidated for a change of a domain (linux: struct arm_smmu_inv), in the order it is done. */
export type InvType = 'S1_ASID' | 'S2_VMID' | 'S2_VMID_S1_CLEAR' | 'ATS' | 'ATS_FULL';
export interface Inv {
  readonly type: InvType;
  /** ASID, VMID or StreamID. */
  readonly id: number;
  readonly ssid: number;
  readonly users: number;
}

interface CommonDomain {
  /** seq of `domain.made`: unique among all drivers. */
  readonly id: number;
}
export interface Stage1Domain extends CommonDomain {
  readonly kind: 's1';
  readonly asid: number;
  /** The CPUs' own TLB maintenance is meant to reach its entries (CD.ASET=0). */
  readonly shared?: true;
  /** Whose tables they are, where they are a process's: key of the address space. */
  readonly mm?: string;
  readonly table: TableShape;
  readonly invs: readonly Inv[];
  /** In releases where the domain has it: made at the first attach. */
  readonly cdTable?: CdTable;
}
export interface Stage2Domain extends CommonDomain {
  readonly kind: 's2';
  readonly vmid: number;
  readonly nestParent: boolean;
  readonly table: TableShape;
  readonly invs: readonly Inv[];
}
export interface NestedDomain extends CommonDomain {
  readonly kind: 'nested';
  readonly parent: number;
  /** The two doublewords that were given, after the checks. */
  readonly vste: readonly [bigint, bigint];
  /** The vSTE asks for ATS, or does not forbid it. */
  readonly wantsAts: boolean;
}
export type PagingDomain = Stage1Domain | Stage2Domain;
export type Domain = PagingDomain | NestedDomain;

/** Slots of the Command queue that CPUs have reserved, and that one of them, the owner, tells PROD of together. */
export interface Run {
  /** Pointers: of the first slot, and behind the last. */
  readonly start: number;
  readonly end: number;
  /** Nobody joins it any more. */
  readonly gathered: boolean;
  /** Each CPU's slots, by their first, and whether their commands are stored. */
  readonly parts: readonly { readonly index: number; readonly filled: boolean }[];
}

/** Interrupts of an SMMU that a driver handles. */
export type DriverInterrupt = 'GERROR' | 'EVENTQ' | 'PRIQ' | 'CMDQV' | 'VCMDQ';

export interface DriverState {
  readonly name: string;
  readonly setup: DriverSetup;
  quirks: Quirks;
  features?: DriverFeatures;
  /** Why the probe or the reset failed. */
  failed?: string;
  /** The reset is done: interrupts and attaches are served. */
  running: boolean;
  queues: Partial<Record<DriverQueueName, DriverQueue>>;
  /** Command queues beside the main one, in a guest. */
  second?: readonly SecondQueue[];
  strtab?: StreamTable;
  /** By endpoint. */
  masters: Record<string, Master>;
  domains: Radix<Domain>;
  /** Owner of each ASID and VMID in use, and the lowest number that may be free. */
  asids: Radix<number>;
  asidHint: number;
  vmids: Radix<number>;
  vmidHint: number;
  /** Interrupts that came and were not taken yet. */
  interrupts: readonly DriverInterrupt[];
  /** Task whose wait for a CMD_SYNC timed out last; 0 for none. */
  timedOut: number;
  /** Reserved slots of the Command queue that PROD has not passed, oldest first; no more than there are CPUs. */
  runs?: readonly Run[];
  /** Default domains that the DMA API has opened, by their number. */
  dma?: Record<number, DmaDomain>;
  /** How often the read of the Command queue was tried again, and where. */
  retried: { readonly cons: number; readonly count: number };
}
