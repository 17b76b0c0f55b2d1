/**
 * What each counted thing costs, in nanoseconds: a range and where it is from. None of these was measured here; they
 * are magnitudes to compare designs with, and `--prices FILE` puts better ones in their place.
 */

/** What a price rests on: a measurement of one's own, a published figure, one derived from such, or nobody's. */
export const bases = ['measured', 'published', 'derived', 'assumed'] as const;
export type Basis = (typeof bases)[number];

/** Nanoseconds. */
export interface Ns {
  readonly low: number;
  readonly typical: number;
  readonly high: number;
}

export interface Price extends Ns {
  /** The price is for so many: bytes are priced by the 64. */
  readonly per?: number;
  readonly basis: Basis;
  /** Who says so, or why it is assumed. */
  readonly source: string;
}

export type CountedUnit = 'times' | 'bytes' | 'entries';

export interface Counted extends Price {
  readonly meaning: string;
  readonly unit: CountedUnit;
}

const TRAP = 'order of magnitude for MMIO that a VMM serves in user space: 3 to 10 us';
const CALL = 'an ioctl with one command and its CMD_SYNC (2 to 5 us) less the CMD_SYNC (0.5 to 2 us)';
const SYNC = 'order of magnitude for a TLBI and its CMD_SYNC without virtualisation: 0.5 to 2 us';
const READ = 'one read of memory by hardware, cached to far';
const NONE = 'no price of its own: ';

/** Every thing that is counted, with its price. A key `KIND DETAIL` of `exceptions` goes before its kind. */
// biome-ignore format: a table
export const counted = {
  'exit.read':        { unit: 'times',   low: 3000, typical: 5000, high: 10_000, basis: 'assumed', source: TRAP, meaning: 'traps of a read of a register' },
  'exit.write':       { unit: 'times',   low: 3000, typical: 5000, high: 10_000, basis: 'assumed', source: `${TRAP}; the calls it leads to are counted apart`, meaning: 'traps of a write to a register' },
  'exit.notify':      { unit: 'times',   low: 1000, typical: 1500, high: 2000,   basis: 'assumed', source: 'order of magnitude for an exit that the kernel serves (ioeventfd): 1 to 2 us', meaning: 'light exits: another thread does the work' },
  'ioctl':            { unit: 'times',   low: 1500, typical: 2000, high: 3000,   basis: 'derived', source: CALL, meaning: 'calls of ioctl' },
  'syscall':          { unit: 'times',   low: 300,  typical: 1000, high: 2000,   basis: 'assumed', source: 'a read or write that copies little', meaning: 'other system calls' },
  'command.host':     { unit: 'times',   low: 20,   typical: 100,  high: 500,    basis: 'assumed', source: 'a 16-byte store, its share of a PROD write, and the fetch', meaning: 'commands that hardware took, but CMD_SYNC' },
  'command.guest':    { unit: 'times',   low: 100,  typical: 300,  high: 1000,   basis: 'assumed', source: 'a read of guest memory and a decode in the VMM', meaning: 'commands that a VMM took, but CMD_SYNC' },
  'sync.host':        { unit: 'times',   low: 500,  typical: 1000, high: 2000,   basis: 'assumed', source: SYNC, meaning: 'CMD_SYNCs that hardware completed: each is a wait' },
  'sync.guest':       { unit: 'times',   low: 100,  typical: 300,  high: 1000,   basis: 'assumed', source: 'nothing to wait for in a VMM that works in order: one more command', meaning: 'CMD_SYNCs that a VMM completed' },
  'walk.host':        { unit: 'times',   low: 0,    typical: 0,    high: 0,      basis: 'derived', source: `${NONE}its descriptors are counted`, meaning: 'walks of hardware' },
  'walk.guest':       { unit: 'times',   low: 0,    typical: 0,    high: 0,      basis: 'derived', source: `${NONE}its descriptors are counted`, meaning: 'walks of an emulated SMMU' },
  'fetch.descriptor': { unit: 'times',   low: 20,   typical: 80,   high: 300,    basis: 'assumed', source: READ, meaning: 'reads of translation table descriptors' },
  'fetch.structure':  { unit: 'times',   low: 20,   typical: 80,   high: 300,    basis: 'assumed', source: READ, meaning: 'reads of L1STD, STE, L1CD, CD' },
  'copy.ioctl':       { unit: 'bytes',   low: 5,    typical: 10,   high: 50,     per: 64, basis: 'assumed', source: 'a cache line copied between user and kernel', meaning: 'bytes of structs and arrays handed to the kernel' },
  'copy.queue':       { unit: 'bytes',   low: 5,    typical: 10,   high: 50,     per: 64, basis: 'assumed', source: 'a cache line of guest memory copied by the VMM', meaning: 'bytes of the guest\'s queues that the VMM read or wrote' },
  'drop.tlb':         { unit: 'entries', low: 0,    typical: 0,    high: 0,      basis: 'derived', source: `${NONE}the walks that fill it again are counted`, meaning: 'TLB and walk-cache entries that invalidations dropped' },
  'drop.config':      { unit: 'entries', low: 0,    typical: 0,    high: 0,      basis: 'derived', source: `${NONE}the fetches that fill it again are counted`, meaning: 'cached structures that invalidations dropped' },
  'record':           { unit: 'times',   low: 100,  typical: 300,  high: 1000,   basis: 'assumed', source: 'a 32-byte store and its read', meaning: 'event records written to a queue' },
  'vevent':           { unit: 'times',   low: 100,  typical: 300,  high: 1000,   basis: 'assumed', source: 'a record copied and a reader woken', meaning: 'events that the kernel kept for a VM' },
  'interrupt':        { unit: 'times',   low: 500,  typical: 2000, high: 5000,   basis: 'assumed', source: 'an interrupt taken, or injected into a guest', meaning: 'interrupts but those of CMD_SYNC' },
  'pin':              { unit: 'bytes',   low: 20,   typical: 80,   high: 300,    per: 4096, basis: 'assumed', source: 'a page looked up and its count raised', meaning: 'bytes of memory pinned' },
} as const satisfies Readonly<Record<string, Counted>>;

export type CountedKind = keyof typeof counted;

/** Prices of one detail of a kind. */
// biome-ignore format: a table
export const exceptions: Readonly<Record<string, Price>> = {
  'command.host CMD_ATC_INV': { low: 1000, typical: 2000, high: 5000, basis: 'assumed', source: 'order of magnitude for an ATC round trip: 1 to 5 us' },
};

/** A price list: rows by kind, or by kind and detail. */
export type Prices = Readonly<Record<string, Price>>;
export const defaultPrices: Prices = { ...counted, ...exceptions };

/** Whether something of the name is counted. */
export function isCounted(name: string): name is CountedKind {
  return Object.hasOwn(counted, name);
}

/** What so many of a thing cost, in nanoseconds. */
export function priced(prices: Prices, kind: CountedKind, detail: string, count: number): Ns {
  const named = `${kind} ${detail}`;
  const price: Price = (Object.hasOwn(prices, named) ? prices[named] : prices[kind]) ?? counted[kind];
  const times = count / (price.per ?? 1);
  return { low: price.low * times, typical: price.typical * times, high: price.high * times };
}

export const nothing: Ns = { low: 0, typical: 0, high: 0 };

/** The sum of two costs. */
export function plus(a: Ns, b: Ns): Ns {
  return { low: a.low + b.low, typical: a.typical + b.typical, high: a.high + b.high };
}
