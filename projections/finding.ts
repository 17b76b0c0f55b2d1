/**
 * A broken rule with its explanation as programs read it. Positions are `branch@seq`,
 * addresses and identifiers `0x...` strings; plain data, so that text, JSON and tests read the same.
 */
import type { Needed } from './obligations/remedy.ts';

/** Worst first. */
export type Verdict = 'used-stale' | 'could-be-used' | 'remade-dirty' | 'protocol' | 'excess';

/** What a stale entry does: it opens memory, or it only refuses what is allowed. */
export type Consequence = 'isolation' | 'availability';

export type Position = string;

export interface Access {
  readonly position: Position;
  readonly endpoint: string;
  readonly streamId: string;
  readonly substreamId?: string;
  readonly iova: string;
  readonly size: number;
  readonly access: 'read' | 'write';
  /** `ok`, or how it was terminated. */
  readonly result: string;
  readonly pa?: string;
  readonly via?: string;
  /** What a machine without caches would have answered at this position. */
  readonly now: string;
  readonly line?: number;
}

/** Something that happened, told at its position. */
export interface Step {
  readonly position: Position;
  readonly actor: string;
  readonly what: string;
}

export interface Blame extends Step {
  /** Line of the scenario, CPU and program counter of the store, as far as the source tells. */
  readonly line?: number;
  readonly cpu?: number;
  readonly pc?: string;
}

export interface EntryUsed {
  /** Position of the fill. */
  readonly filled: Position;
  readonly cache: string;
  /** Tags and content, for people. */
  readonly what: string;
  /** The fill and what it rests on, latest first. */
  readonly rests: readonly Step[];
}

export interface Missing {
  /** The smallest commands that would have discharged what is owed, in the order to queue them. */
  readonly needed: string;
  readonly commands: readonly Needed[];
  /** The command that came closest; `position` is null when there was none, `why` empty where none is looked for. */
  readonly nearest: {
    readonly position: Position | null;
    readonly why: string;
    readonly command?: string;
    /** Fields of the command that are not those of the one that was needed. */
    readonly differs?: readonly FieldDiffers[];
  };
}

export interface FieldDiffers {
  readonly field: string;
  readonly found: string;
  readonly needed: string;
}

export interface OwedItem {
  readonly structure: string;
  readonly where: string;
  /** `TLB(asid 0x1, vmid 0x0, va 0xfffff000/4K)`. */
  readonly owes: string;
  readonly since: Position;
  readonly state: 'owed' | 'queued' | 'performed, no CMD_SYNC' | 'discharged';
  /** A valid descriptor stood there again while it was owed. */
  readonly remade?: Position;
}

/** A field of an SMMU: `{ smmu: "smmu0", field: "IDR3.RIL" }`. */
export interface CapabilityOf {
  readonly smmu: string;
  readonly field: string;
}

export interface Finding {
  readonly rule: string;
  readonly verdict: Verdict;
  readonly position: Position;
  /** Class, access, actor: a title for a report of a bug. */
  readonly title: string;
  readonly actor: string;
  readonly consequence: Consequence;
  readonly access?: Access;
  readonly entry?: EntryUsed;
  readonly blame: Blame;
  /** Further stores to the same place after the blame. */
  readonly after: readonly Blame[];
  readonly missing: Missing;
  readonly obligations: readonly OwedItem[];
  /** Entries between the change and this position. */
  readonly dirtyEvents: number;
  /** Stimuli between them; told where the log is at hand (`told.ts`), as are the next three. */
  readonly dirtyTicks?: number;
  /** Who got and gave back the memory meanwhile. */
  readonly owners?: readonly Step[];
  /** The smallest change of the software that would have kept the rule, in words. */
  readonly smallest?: string;
  /** Repairs that were tried, the best first. */
  readonly fixes?: readonly {
    readonly verdict: string;
    readonly change: string;
    readonly findings: number;
    readonly rerun: string;
  }[];
  /** The same for all findings of one bug; see `summary.ts`. */
  readonly summary?: string;
  /** Rows of the map around the input address. */
  readonly map?: readonly string[];
  readonly notes: readonly string[];
  /** The identification field that it is about (I10), as a row of the ledger of capabilities names it. */
  readonly capability?: CapabilityOf;
  /**
   * Positions of the commands and changes it is about. A stale use or a reuse whose blame or nearest miss is one
   * of them says the same, and more: then this one is not told.
   */
  readonly lost?: readonly Position[];
  readonly twin?: string;
  readonly next: readonly string[];
  readonly reproduce: string;
}
