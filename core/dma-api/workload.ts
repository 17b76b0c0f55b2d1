/**
 * Work that devices do, drawn from a seed: buffers are mapped, the device reads or writes them, the guest looks at
 * what came, and they are unmapped in the order that the kind of device has. The values are typical, not measured.
 */

export interface Workload {
  readonly about: string;
  readonly source: string;
  /** Pages of a buffer: the least and the most. */
  readonly pages: readonly [least: number, most: number];
  readonly access: 'read' | 'write' | 'either';
  /** Buffers that are mapped at once. */
  readonly depth: number;
  /** How often the device uses a buffer before it is unmapped. */
  readonly uses: number;
  /** Which buffer goes: the newest, the oldest, or any. */
  readonly order: 'newest' | 'oldest' | 'any';
}

// biome-ignore format: a table
export const workloads = {
  'nic-rx': { pages: [1, 2],   access: 'write',  depth: 16, uses: 1, order: 'oldest', about: 'a page or two for each packet, unmapped when it is filled', source: 'assumed: page per buffer, actors of a NIC ring' },
  'nic-tx': { pages: [1, 3],   access: 'read',   depth: 32, uses: 1, order: 'oldest', about: 'fragments of packets, unmapped in batches', source: 'assumed: 1 to 3 fragments, completion in order' },
  nvme:     { pages: [1, 32],  access: 'either', depth: 8,  uses: 2, order: 'any',    about: 'one IOVA for a request, unmapped when it completes, in any order', source: 'assumed: 4 KiB to 128 KiB a request, queue depth 8' },
  gpu:      { pages: [16, 64], access: 'either', depth: 2,  uses: 8, order: 'newest', about: 'large buffers, mapped rarely and used often', source: 'assumed: pinned buffers, many accesses for each mapping' },
} as const satisfies Readonly<Record<string, Workload>>;

export type WorkloadName = keyof typeof workloads;

/** Whether there is such a workload. */
export function isWorkload(name: string): name is WorkloadName {
  return Object.hasOwn(workloads, name);
}
