/**
 * Address spaces of processes (linux: struct mm_struct): the page tables that the CPUs walk, in the memory of their
 * owner, and which devices walk them too. What is mapped is told by the tables alone.
 */
import { present } from '../assert.ts';
import { type Platform, physicalBits } from '../driver/features.ts';
import { shapeOf, type TableShape, type UnplacedShape } from '../driver/table-shape.ts';
import { own } from '../lookup.ts';
import type { State } from '../state.ts';

/** A device that a process is bound to (linux: struct iommu_sva). */
export interface Bond {
  readonly driver: string;
  readonly endpoint: string;
  readonly domain: number;
  /** How often it was bound, and not unbound. */
  readonly users: number;
}

export interface Mm {
  readonly name: string;
  /** `host`, or a VM. */
  readonly owner: string;
  /** The driver through whose port the owner's memory is reached. */
  readonly driver: string;
  /** The CPUs' ASID: no SMMU's. */
  readonly asid: number;
  readonly table: TableShape;
  /** The process has gone; devices may be bound to it still. */
  exited: boolean;
  /** SubstreamID of the process on all devices; 0 before its first bind. */
  pasid: number;
  /** Domains whose drivers are told of changes, the newest first (linux: struct mmu_notifier). */
  notifiers: readonly number[];
  bonds: readonly Bond[];
}

/** Names of processes are their owner's. */
export function mmKey(owner: string, name: string): string {
  return `${owner}:${name}`;
}

/** The address space of a key; undefined where there is none. */
export function findMm({ mms }: State, key: string): Mm | undefined {
  return mms === undefined ? undefined : own(mms, key);
}

/** The address space of a key that stands for one. */
export function mmOf(state: State, key: string): Mm {
  return present(findMm(state, key), `address space ${key}`);
}

/** All of an owner. */
export function mmsOf({ mms }: State, owner: string): readonly Mm[] {
  return Object.values(mms ?? {}).filter((mm) => mm.owner === owner);
}

/** The tables of the CPUs: pages of one size. */
export function shapeOfProcess(platform: Platform): UnplacedShape {
  const pageSizes = 1n << BigInt(platform.pageLog2);
  return shapeOf({ pageSizes, vax: true, oas: physicalBits(platform), fwb: false }, platform, { stage: 1 });
}

/** Bytes of a page of the process. */
export function pageBytes({ table }: Mm): number {
  return 2 ** table.granuleLog2;
}
