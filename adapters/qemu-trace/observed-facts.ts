/** Puts facts as `observe` stimuli, and knows the seq that each will have: fills are named by theirs. */
import type { Event } from '../../core/event.ts';
import type { Live } from './live.ts';

/** An event, and who states it. */
export type Fact = Event & { readonly actor: string };

export class Facts {
  readonly #live: Live;
  #facts: Fact[] = [];

  constructor(live: Live) {
    this.#live = live;
  }

  /** Adds a fact to the next stimulus. Returns the seq that its entry will have. */
  add(fact: Fact): number {
    this.#facts.push(fact);
    // The stimulus itself comes first.
    return this.#live.seq + 1 + this.#facts.length;
  }

  /** Puts what was added as one stimulus. */
  put(line: number): void {
    if (this.#facts.length === 0) return;
    const events = this.#facts;
    this.#facts = [];
    this.#live.put({ type: 'observe', events, line });
  }
}
