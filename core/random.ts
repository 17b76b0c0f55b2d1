/**
 * The seeded generator. Its state is one 32-bit number that lives in the State, so that a branch
 * continues it; a draw is made by looking, and the entry that rests on it moves the state on.
 */

/** The next state of the generator (a full-period 32-bit sequence). */
export function nextRandom(state: number): number {
  return (state + 0x6d2b79f5) >>> 0;
}

/** A number 0 to `count - 1` drawn from `state`; does not change it. */
export function draw(state: number, count: number): number {
  let mixed = nextRandom(state);
  mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) % count;
}
