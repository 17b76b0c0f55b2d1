/**
 * What the host's kernel remembers: its processes and their open files, the iommufd contexts with their
 * objects, and the physical memory it gives out. The driver of each SMMU keeps a slice of its own
 * (`core/driver/state.ts`). What can grow without bound (areas, page tables of processes) is in Radix maps.
 */
import type { Radix } from '../memory/radix.ts';
import type { Context as IommufdContext } from './iommufd/state.ts';
import type { Process } from './process/state.ts';

export interface KernelState {
  /** Name of the kernel profile; its rows and switches are in `profiles.ts`. */
  readonly profile: string;
  /** Values of switches that differ from the profile, by name. */
  switches: Record<string, boolean | number | string>;
  /** Physical pages not given out: the next one of the untouched part, and those that came back. */
  pool: { next: number; readonly end: number; readonly free: Radix<number> };
  processes: Record<string, Process>;
  /** Open files by the name that scenarios use for the fd. */
  files: Record<string, OpenFile>;
  /** iommufd contexts by their number. */
  contexts: Record<number, IommufdContext>;
  /** The next number of a context. */
  nextContext: number;
}

/** What an fd is of. */
export type OpenFile =
  | { readonly kind: 'iommufd'; readonly process: string; readonly context: number }
  | { readonly kind: 'vfio'; readonly process: string; readonly endpoint: string; bound?: { context: number; device: number } }
  | { readonly kind: 'fault' | 'veventq'; readonly process: string; readonly context: number; readonly object: number }
  | { readonly kind: 'memfd'; readonly process: string; readonly memfd: number };
