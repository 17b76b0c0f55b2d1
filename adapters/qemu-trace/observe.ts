import type { Simulation } from '../../core/simulation.ts';
import type { TraceLine } from './events.ts';
import type { StaleState } from './stale.ts';
import type { Tally } from './tally.ts';
export class Observer {
  readonly idle = true;
  constructor(_s: Simulation, _t: Tally) {}
  feed(_l: TraceLine): void {}
  finish(): void {}
  state(): StaleState { return { outlived: [], failing: [], flushedAlone: false, misaligned: false }; }
  recall(_on: boolean, _s?: StaleState): void {}
}
