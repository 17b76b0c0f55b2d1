/**
 * Processes and their memory. An address space is a set of mappings, each a slice of a backing; a backing
 * is physical memory that lives for as long as somebody maps or pins it, so what a device can still reach
 * is not given to others. Addresses of processes have 47 bits and are plain numbers here.
 */

import type { Radix } from '../../memory/radix.ts';
import type { Errno } from '../errno.ts';

export const PAGE_BYTES = 4096;
export const HUGE_BYTES = 2 * 1024 * 1024;

/** Physically contiguous memory. */
export interface Run {
  readonly pa: number;
  /** Bytes. */
  readonly size: number;
}

/**
 * How memory lies physically: `anon-shared` and `private-file` as the pool gives it, `hugetlb` in pages of
 * 2 MiB, `contiguous` in one run aligned to its size, `scattered` with no page behind its neighbour.
 */
export const memoryKinds = ['anon-shared', 'hugetlb', 'private-file', 'contiguous', 'scattered'] as const;
export type MemoryKind = (typeof memoryKinds)[number];

export interface Backing {
  readonly id: number;
  readonly kind: MemoryKind | 'memfd';
  /** Multiple of PAGE_BYTES. */
  readonly bytes: number;
  readonly runs: readonly Run[];
  /** Mappings, open files and pins that hold it. */
  readonly users: number;
}

/** A range of a process's addresses. */
export interface Mapping {
  readonly va: number;
  readonly bytes: number;
  readonly backing: number;
  /** Where in the backing it begins. */
  readonly offset: number;
}

/** A piece of a backing that something holds. */
export interface Slice {
  readonly backing: number;
  readonly offset: number;
  readonly bytes: number;
}

export interface Process {
  readonly name: string;
  /** By the page of their first address. */
  mappings: Radix<Mapping>;
  /** Where the next mapping goes, unless nothing else is said. */
  nextVa: number;
  /** Memory for the arguments of its calls. */
  scratch: { readonly va: number; readonly bytes: number };
  /** Bytes of it that calls under way use. */
  scratchUsed: number;
  /** What its last ioctl came to, where it is a VMM. */
  answered?: {
    readonly ioctl: number;
    readonly argument: bigint;
    readonly errno?: Errno;
    readonly ret?: number;
  };
}
