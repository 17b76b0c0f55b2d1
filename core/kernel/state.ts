/**
 * What the host's kernel remembers: its processes and their open files, the iommufd contexts with their
 * objects, and the physical memory it gives out. The driver of each SMMU keeps a slice of its own
 * (`core/driver/state.ts`). What can grow without bound (areas, objects, address spaces) is in Radix maps.
 */
import type { DriverConfig } from '../config.ts';
import type { Radix } from '../memory/radix.ts';
import type { OpenCall } from './call.ts';
import type { Context as IommufdContext } from './iommufd/state.ts';
import type { Backing, Process } from './process/state.ts';
import type { ProfileName } from './profiles.ts';
import type { SwitchValues } from './switches.ts';

export interface KernelState {
  /** Name of the kernel profile; its rows and switches are in `profiles.ts`. */
  readonly profile: ProfileName;
  /** Values of switches that differ from the profile, by name. */
  switches: Partial<SwitchValues>;
  /** The n-th allocation from now on fails; 0 for none. */
  failNth: number;
  /** Free physical memory: runs of pages by their first page, with their number of pages. */
  pool: { free: Radix<number> };
  /** Physical memory of processes and files, by number. */
  backings: Radix<Backing>;
  nextBacking: number;
  processes: Record<string, Process>;
  /** Open files by their fd. One numbering serves all processes. */
  files: Record<number, OpenFile>;
  /** fds by the names that scenarios use. */
  names: Record<string, number>;
  /** iommufd contexts by their number. */
  contexts: Record<number, IommufdContext>;
  nextContext: number;
  /** ioctls that have not ended, by the seq of their begin. */
  calls: Record<number, OpenCall>;
  /** What differs from a usual driver of its SMMUs. */
  readonly driver?: DriverConfig;
}

interface Opened {
  readonly fd: number;
  /** Who opened it. */
  readonly process: string;
}

/** What an fd is of. */
export type OpenFile = Opened &
  (
    | { readonly kind: 'iommufd'; readonly context: number }
    /** A VFIO device's file; `context` and `device` (an object id) are 0 until it is bound. */
    | {
        readonly kind: 'vfio';
        readonly endpoint: string;
        readonly context: number;
        readonly device: number;
      }
    /** The file of a fault queue or of a vEVENTQ. */
    | { readonly kind: 'fault' | 'veventq'; readonly context: number; readonly object: number }
    | { readonly kind: 'memfd'; readonly backing: number; readonly bytes: number }
  );
export type FileKind = OpenFile['kind'];
export type FileOf<K extends FileKind> = Extract<OpenFile, { kind: K }>;
