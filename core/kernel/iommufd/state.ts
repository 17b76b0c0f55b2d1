/**
 * Objects of an iommufd context (linux: iommufd_private.h). All references are ids in the same context;
 * `users` counts as the kernel does: 1 for the id itself, 1 for each reference that keeps the object. Objects
 * are values: events put changed ones in their place. An IOAS's areas stand beside it, in `Context.areas`.
 */
import type { Attachment } from '../../driver/state.ts';
import type { Radix } from '../../memory/radix.ts';
import type { Slice } from '../process/state.ts';

interface Common {
  readonly id: number;
  /** Published: look-ups find it. */
  readonly ready: boolean;
  readonly users: number;
}

/** Inclusive ends. */
export interface Span {
  readonly start: bigint;
  readonly last: bigint;
}

/** One contiguous range of IOVA from one MAP, or one piece of a COPY. */
export interface Area {
  readonly iova: bigint;
  /** Inclusive. */
  readonly last: bigint;
  /** Whose memory it is: a process's, at an address; or a file's, at an offset. */
  readonly source: { readonly process: string } | { readonly backing: number };
  /** Address or offset of its first byte. */
  readonly address: bigint;
  readonly readable: boolean;
  readonly writeable: boolean;
  /** The memory was first mapped for writing: copies may be, too. */
  readonly pagesWriteable: boolean;
  /** Pages that are pinned, from the page of the first byte on; absent while nobody needs them. */
  readonly pins?: readonly Slice[];
  /** Accesses that use it; the internal ones forbid its removal. */
  readonly accesses: number;
  readonly locks: number;
}

export interface Ioas extends Common {
  readonly kind: 'ioas';
  /** Ranges that devices and domains reserve, by start, with their owner: `device:ID`, `hwpt:ID`. */
  readonly reserved: readonly (Span & { readonly owner: string })[];
  /** By start. */
  readonly allowed: readonly Span[];
  readonly hugePages: boolean;
  /** Smallest alignment of an IOVA, bytes. */
  readonly alignment: number;
  /** Paging HWPTs, oldest first. */
  readonly hwpts: readonly number[];
  /** Access objects. */
  readonly accesses: readonly number[];
}

export interface HwptPaging extends Common {
  readonly kind: 'hwpt_paging';
  readonly ioas: number;
  /** Made by attaching to the IOAS, and gone with its last user. */
  readonly auto: boolean;
  readonly nestParent: boolean;
  readonly dirtyTracking: boolean;
  readonly pasid: boolean;
  readonly fault: number;
  /** The domain in the driver (`core/driver`), and whose domain it is. */
  readonly domain: number;
  readonly smmu: string;
}

export interface HwptNested extends Common {
  readonly kind: 'hwpt_nested';
  /** What it holds: a vIOMMU, or where a proposal has it so, the parent itself; 0 for none. */
  readonly viommu: number;
  readonly parent: number;
  readonly fault: number;
  readonly domain: number;
  readonly smmu: string;
  /** Its vSTE asks for stage 1: not bypass, abort or V=0. */
  readonly stage1: boolean;
  /** The kernel made it for an attach to the parent, and it goes with its last user (a proposal). */
  readonly proxy: boolean;
}

export interface Device extends Common {
  readonly kind: 'device';
  readonly endpoint: string;
  /** HWPT by PASID; 0 is the RID. */
  readonly attached: Readonly<Record<number, number>>;
  /** Its vDEVICE; 0 for none. */
  readonly vdevice: number;
  /** Where a proposal has it so: its vIOMMU, 0 for none, and its virtual StreamID in user queues. */
  readonly viommu: number;
  readonly userSid?: number;
  /** What the endpoints of its group were attached to before the group was taken. */
  readonly defaults: Readonly<Record<string, Attachment>>;
}

export interface Access extends Common {
  readonly kind: 'access';
  readonly ioas: number;
  readonly internal: boolean;
}

/** Page faults that are answered together. */
export interface FaultGroup {
  /** Counts the groups of the queue. */
  readonly number: number;
  readonly driver: string;
  /** The device object, its attachment, and the stalled access or PRI group at the SMMU. */
  readonly device: number;
  readonly endpoint: string;
  readonly hwpt: number;
  readonly pasid: number;
  readonly streamId: number;
  readonly stag: number;
  readonly faults: readonly {
    /** Bits of iommu_hwpt_pgfault_flags and _perm. */
    readonly flags: number;
    readonly perm: number;
    readonly grpid: number;
    readonly addr: bigint;
  }[];
}

export interface Fault extends Common {
  readonly kind: 'fault';
  /** Groups that wait to be read, and, by cookie, those that wait for a response. */
  readonly queue: readonly FaultGroup[];
  readonly pending: Readonly<Record<number, FaultGroup>>;
  readonly nextGroup: number;
}

export interface Viommu extends Common {
  readonly kind: 'viommu';
  readonly type: number;
  readonly hwpt: number;
  readonly smmu: string;
  readonly vmid: number;
  /** Who has each virtual StreamID (text: it may have 64 bits); `object`: the vDEVICE, 0 where a call sets it. */
  readonly vdevices: Readonly<Record<string, { readonly endpoint: string; readonly object: number }>>;
  /** vEVENTQs by the type of their events. */
  readonly veventqs: Readonly<Record<number, number>>;
  /** Tegra241: its virtual interface, and where the file is mapped for its page 0; 0 for none. */
  readonly vintf: number;
  readonly mmapOffset: number;
  /** Processes that have mapped that page, once for each mapping. */
  readonly maps: readonly string[];
}

export interface Vdevice extends Common {
  readonly kind: 'vdevice';
  readonly viommu: number;
  readonly device: number;
  readonly endpoint: string;
  readonly virtId: bigint;
}

export interface Veventq extends Common {
  readonly kind: 'veventq';
  readonly viommu: number;
  readonly type: number;
  readonly depth: number;
  readonly sequence: number;
  /** Records that wait, oldest first; `lost` ones have no body. */
  readonly events: readonly {
    readonly sequence: number;
    readonly lost: boolean;
    /** Doublewords of its body. */
    readonly words: readonly bigint[];
  }[];
}

export interface HwQueue extends Common {
  readonly kind: 'hw_queue';
  readonly viommu: number;
  readonly access: number;
  readonly index: number;
  /** Where the queue is: in the VM's memory, and physically. */
  readonly iova: bigint;
  readonly pa: number;
  readonly bytes: number;
  /** The queue of the next lower index, which it needs; 0 for none. */
  readonly below: number;
  /** The kernel works it off itself: where it stands. */
  readonly software?: { readonly cons: number };
}

export type AnyObject =
  | Ioas
  | HwptPaging
  | HwptNested
  | Device
  | Access
  | Fault
  | Viommu
  | Vdevice
  | Veventq
  | HwQueue;
export type ObjectKind = AnyObject['kind'];
export type ObjectOf<K extends ObjectKind> = Extract<AnyObject, { kind: K }>;
/** What a new object is made from. */
export type NewObject = { [K in ObjectKind]: Omit<ObjectOf<K>, keyof Common> }[ObjectKind];

/** One open of /dev/iommu. */
export interface Context {
  readonly id: number;
  /** Who keeps it: its fd, bound devices, open files of its queues. */
  users: number;
  /** The fd is closed: nothing new is made. */
  closing: boolean;
  objects: Radix<AnyObject>;
  /** Areas by IOAS, then by the page of their first IOVA; several may begin in a page, in order. */
  areas: Radix<Radix<readonly Area[]>>;
  /** What is free between them, by IOAS and size, then by page; see `gaps.ts`. */
  gaps: Radix<Radix<readonly Span[]>>;
  /** Ids that came back, and the lowest that was never given. Tombstones are in neither. */
  free: Radix<number>;
  nextId: number;
  /** Pinned memory is accounted to the `user` or to the address space (`mm`). */
  accounting: 'user' | 'mm';
  /** IOAS of the VFIO container calls; 0 for none. */
  vfioIoas: number;
}
