/**
 * A virtio-iommu of a VM: the device that its VMM emulates, and what the guest's driver of it remembers
 * (linux: struct viommu_dev, viommu_domain, viommu_endpoint). The bytes of queues and requests are in the guest's
 * memory.
 */
import type { DmaDomain } from '../dma-api/state.ts';
import type { Quirks } from '../driver/quirks.ts';
import type { DriverSetup } from '../driver/state.ts';
import type { Addressed, Areas } from '../kernel/iommufd/areas.ts';
import type { Reserved } from './codec.ts';
import type { DeviceQueue } from './queue-device.ts';
import type { DriverQueue } from './queue-driver.ts';
import type { IommuDevice } from './state.ts';
import type { QueueName } from './structs.ts';

/** What the VMM holds of the host for one endpoint; nothing of it where the VMM emulates the device. */
export interface HostSide {
  /** Name of the device. */
  readonly endpoint: string;
  /** Its own IOAS, as each device has its own address space; 0 for none. */
  readonly ioas: number;
}

export interface VirtioIommu {
  readonly device: IommuDevice;
  /** The VMM's view of the queues, from when the driver has set them up. */
  queues: Partial<Record<QueueName, DeviceQueue>>;
  /** By endpoint id. */
  hosts: Record<number, HostSide>;
  /** The host refused something of the request that is worked on. */
  refused: boolean;
  driver?: VirtioDriver;
}

/** One entry of the interval tree of a domain (linux: struct viommu_mapping). */
export interface GuestMapping extends Addressed {
  readonly pa: number;
  readonly flags: number;
}

export interface GuestDomain {
  readonly id: number;
  readonly bypass: boolean;
  /** Endpoints attached to it: while there are none, the device knows nothing of it. */
  endpoints: number;
  mappings: Areas<GuestMapping>;
}

export interface GuestEndpoint {
  readonly id: number;
  readonly reserved: readonly Reserved[];
  readonly domain?: number;
}

/** Where the buffers of requests stand: one for each descriptor of the queue. */
export interface Buffers {
  readonly gpa: number;
  readonly slotBytes: number;
}

export interface VirtioDriver {
  readonly name: string;
  /** As of the driver of an SMMU, for what both have in common. */
  readonly setup: DriverSetup;
  quirks: Quirks;
  /** What the DMA API keeps of its domains. */
  dma?: Record<number, DmaDomain>;
  readonly buffers: Buffers;
  readonly eventBuffers: Buffers;
  readonly pageSizes: bigint;
  readonly probeSize: number;
  readonly indirect: boolean;
  queues: Record<QueueName, DriverQueue>;
  /** Unit that holds the request lock; empty for none. */
  lock: string;
  /** By name. */
  endpoints: Record<string, GuestEndpoint>;
  domains: Record<number, GuestDomain>;
}
