/** What a re-enactment keeps beside the machine, shared by its parts. */
import type { State } from '../../core/state.ts';
import type { Edu } from './edu.ts';
import type { Emulator } from './emulator.ts';
import type { Iotlb } from './iotlb.ts';
import type { Live } from './live.ts';
import type { EventMemory } from './records.ts';
import type { Stale } from './stale.ts';
import type { Tally } from './tally.ts';

export interface Bench {
  readonly live: Live;
  readonly tally: Tally;
  readonly emulator: Emulator;
  readonly iotlb: Iotlb;
  readonly eventMemory: EventMemory;
  readonly edu: Edu;
  readonly stale: Stale;
  /** Endpoints by StreamID. */
  readonly endpoints: ReadonlyMap<number, string>;
}

/** Names of the endpoints by StreamID. */
export function endpointsOf(state: State): ReadonlyMap<number, string> {
  return new Map(Object.entries(state.endpoints).map(([name, { config }]) => [config.streamId, name]));
}
