/** What an observation keeps, shared by its parts. */
import type { Emulator } from './emulator.ts';
import type { Live } from './live.ts';
import type { ObservedCaches } from './observed-caches.ts';
import type { Facts } from './observed-facts.ts';
import type { EventMemory } from './records.ts';

export interface Watch {
  readonly live: Live;
  readonly facts: Facts;
  readonly emulator: Emulator;
  readonly eventMemory: EventMemory;
  readonly caches: ObservedCaches;
  readonly endpoints: ReadonlyMap<number, string>;
}
