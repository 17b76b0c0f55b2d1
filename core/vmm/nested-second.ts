/** Nested translation with command queues of the guest's own beside the main one. */
import { nestedStrategy } from './nested.ts';
import type { Strategy } from './strategies.ts';

/** The kernel works the queue off: `core/kernel/iommufd/software-queue.ts`. */
export const softwareQueueStrategy: Strategy = {
  ...nestedStrategy,
  second: { kind: 'software', count: 1, sizeLog2: 8 },
};
