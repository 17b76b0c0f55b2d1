/** The counts that designs are compared by, each of some kinds of counted things. */
import type { CountedKind } from './prices.ts';

export type Counts = Readonly<Partial<Record<CountedKind, number>>>;

/** Traps of a guest, calls of its VMM, commands that hardware takes, waits for hardware, memory reads of walks. */
export const ofKinds = {
  X: { short: 'exits', kinds: ['exit.read', 'exit.write', 'exit.notify'] },
  I: { short: 'ioctls', kinds: ['ioctl'] },
  C: { short: 'commands', kinds: ['command.host'] },
  Y: { short: 'waits', kinds: ['sync.host'] },
  R: { short: 'reads', kinds: ['fetch.descriptor', 'fetch.structure'] },
} as const satisfies Readonly<
  Record<string, { readonly short: string; readonly kinds: readonly CountedKind[] }>
>;

export type Quantity = keyof typeof ofKinds;
export const quantities = Object.keys(ofKinds) as readonly Quantity[];

/** How much of X, I, C or Y there is. */
export function countOf(counts: Counts, quantity: Quantity): number {
  return ofKinds[quantity].kinds.reduce((sum, kind) => sum + (counts[kind] ?? 0), 0);
}
