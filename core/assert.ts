/**
 * The third kind of wrong: a broken invariant of ours. Never used for the guest's or the device's
 * mistakes (those are architecture, and events) nor for bad input (that is the adapters' InputError).
 */

/** Stops the program when `condition` does not hold; `message` says what should have been true. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant: ${message}`);
}

/** The end of a `switch` over a union: does not compile while a member is unhandled. */
export function unreachable(value: never): never {
  throw new Error(`invariant: unreachable ${String(value)}`);
}

/** `value`, which the surrounding code knows to be there. */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new Error(`invariant: no ${what}`);
  return value;
}
