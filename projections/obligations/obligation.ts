/**
 * An obligation: what the architecture makes software owe after it changed a structure that hardware
 * may have cached (IHI 0070 3.21, 4.3, 4.4; Arm ARM D8.16). It names the cache entries that may be
 * there, by the tags an invalidation looks at, and is discharged only by commands that cover them,
 * are performed after the change, and are completed by a CMD_SYNC. Whether a simulated cache really
 * held such an entry plays no part.
 */

import {
  type ConfigTags,
  coversConfig,
  coversTlb,
  type Scope,
  type TlbTags,
} from '../../core/smmu/invalidate.ts';
import type { AtcInvalidation } from './atc-scope.ts';

/** A TLB or walk-cache entry that may exist. */
export type TlbTarget = TlbTags & { readonly cache: 'tlb' | 'walk' };
export type Target = TlbTarget | ConfigTags;

/** Work of an actor that takes more than one turn: its stores come before its commands. */
export interface Task {
  readonly seq: number;
  open: boolean;
}

/** One store that changed a structure. */
export interface Change {
  readonly seq: number;
  readonly actor: string;
  /** Address of the first word that changed, and that word before and after. */
  readonly pa: number;
  readonly before: bigint;
  readonly after: bigint;
  /** `smmu0.STRTAB_BASE`, where a register was written; `pa` says nothing then. */
  readonly register?: string;
  /** Where the store came from, as far as its stimulus tells. */
  readonly line?: number;
  readonly cpu?: number;
  readonly pc?: bigint;
  /** Content that a source shows only when its page is linked: nothing can have been cached before. */
  readonly initial?: boolean;
  /** An SMMU updated a descriptor (3.13): no cache has to be told. */
  readonly byHardware?: boolean;
  /** The work that it is part of. */
  readonly task?: Task;
  /** It is the unmap of a lazy domain: what it leaves behind is declared, as long as the window is open. */
  readonly window?: { readonly open: boolean };
}

/**
 * `broken`: a valid leaf became invalid or was replaced. `relaxed`: it permits more than before.
 * `table`: a table descriptor changed. `tags`: a VMID or ASID no longer means what it meant.
 * `config`: an STE, CD or level 1 descriptor changed.
 */
export type ObligationKind = 'broken' | 'relaxed' | 'table' | 'tags' | 'config';
export type Structure = 'leaf' | 'table' | 'STE' | 'L1STD' | 'CD' | 'L1CD';

/** Physical memory that something cached may still lead to. */
export interface Output {
  readonly pa: number;
  readonly sizeLog2: number;
}

export interface Obligation {
  readonly kind: ObligationKind;
  readonly structure: Structure;
  /** Physical address of the descriptor or structure. */
  readonly where: number;
  /** One command must cover all of them: for a wide obligation they are its far ends. */
  readonly targets: readonly [Target, ...Target[]];
  /** The stores it comes from, oldest first; when there are many, the first and the last few. */
  readonly changes: [Change, ...Change[]];
  readonly output: Output | undefined;
  /** Of a stage 2 descriptor: the IPAs it stands for. */
  readonly stage2?: { readonly vmid: number; readonly ipa: bigint };
  /**
   * What was owed above it by the same change (the table over a leaf, the CD over its ASID). As long
   * as that may be cached, what is below may be read through it again (4.3.6).
   */
  upper: Obligation | undefined;
  /** Memory type, cacheability or shareability changed: an entry of before goes on with the old ones. */
  attributes?: boolean;
  /** The command that was performed after the last change and waits for its CMD_SYNC. */
  covered: Invalidation | undefined;
  /** seq of a new valid descriptor in the same place; 0 when there is none. */
  remade: number;
  /** A `could-be-used` was told already. */
  reported: boolean;
  /** Discharged, or cancelled because the old state came back. */
  done: boolean;
}

/** One CMD_CFGI_* or CMD_TLBI_* on its way: seqs of its positions, 0 when not reached. */
export interface Invalidation {
  /** The command queue it came through: CMDQ, ECMDQ0, ... */
  readonly queue: string;
  readonly index: number;
  readonly command: string;
  readonly words: readonly number[];
  readonly scopes: readonly Scope[];
  /** Of a CMD_ATC_INV: what it asks an endpoint for, and seq of the answer; 0 when there was none. */
  readonly atc: AtcInvalidation | undefined;
  answered: number;
  /** Who published it. */
  readonly actor: string;
  produced: number;
  fetched: number;
  consumed: number;
  performed: number;
  synced: number;
  rejected: number;
  error: string;
  /** The ioctl whose answer counts it as handled, although it never reached a queue. */
  readonly unissued?: string;
  /** What it covers, while it waits for its CMD_SYNC. */
  readonly owed: Obligation[];
}

/** Whether what is owed is put off by a lazy domain, whose window is open (N2 of the catalogue). */
export function isDeferred({ changes }: Obligation): boolean {
  return changes.at(-1)?.window?.open === true;
}

/**
 * Whether the work that made the change has ended: what it has queued and not waited for excuses nothing any more,
 * since whoever asked for the work goes on (4.7.3).
 */
export function isOver(obligation: Obligation): boolean {
  return lastChange(obligation).task?.open === false;
}

/** Whether the target is a translation rather than a configuration structure. */
export function isTlb(target: Target): target is TlbTarget {
  return 'regime' in target;
}

/** Whether an invalidation of these scopes covers the target. */
export function covers(scopes: readonly Scope[], target: Target): boolean {
  return scopes.some((scope) => {
    if (isTlb(target)) return scope.kind === 'tlb' && coversTlb(scope, target);
    return scope.kind === 'config' && coversConfig(scope, target);
  });
}

/** Whether it discharges the obligation, once it is complete. */
export function discharges(scopes: readonly Scope[], obligation: Obligation): boolean {
  return obligation.targets.every((target) => covers(scopes, target));
}

/** Whether what is above is gone, or goes with the same or an earlier command. */
export function isUpperClean({ upper }: Obligation): boolean {
  return upper === undefined || upper.done || upper.covered !== undefined;
}

const CHANGES_MAX = 4;

/** Adds a further change; the first and the latest stay. */
export function addChange(obligation: Obligation, change: Change): void {
  if (obligation.changes.length >= CHANGES_MAX) obligation.changes.splice(1, 1);
  obligation.changes.push(change);
}

/** The latest of its changes: what a command must come after. */
export function lastChange(obligation: Obligation): Change {
  return obligation.changes[obligation.changes.length - 1] ?? obligation.changes[0];
}

/** The first change after `seq`: what made an entry of that age wrong. */
export function changeAfter(obligation: Obligation, seq: number): Change | undefined {
  return obligation.changes.find((change) => change.seq > seq);
}
