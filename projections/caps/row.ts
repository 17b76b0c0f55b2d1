/** What a ledger of capabilities says: a row for each field on the way from one SMMU of the host to one of a guest. */
import type { FieldFacts } from './fields.ts';
import type { LaterKind } from './lives.ts';

/** The links of the chain, in their order. */
export const columns = ['hardware', 'driver', 'report', 'decision', 'guest', 'enabled', 'used'] as const;
export type Column = (typeof columns)[number];

/** A value, and the entry that set it: 0 is the header of the history. */
export interface Cell {
  readonly value: number | string;
  readonly seq: number;
  /** What kind of entry, and what else is to be said. */
  readonly by: string;
}

/** A later time in the life of a guest's SMMU: its value is what the guest was told. */
export interface LaterCell extends Cell {
  readonly what: LaterKind;
}

/** What a VMM does with a field. */
export type Decision = 'forward' | 'mask' | 'require' | 'emulate' | 'opt-in' | 'freeze';

export interface LedgerRow {
  readonly field: string;
  readonly vm: string;
  /** SMMU of the guest. */
  readonly smmu: string;
  /** SMMU of the host; empty while no device leads to one. */
  readonly host: string;
  readonly facts: FieldFacts | undefined;
  /** What the VMM decided, in which step of the analysis (1 to 5); its cell says why. */
  readonly decision: Decision | undefined;
  readonly step: number;
  readonly cells: Readonly<Partial<Record<Column, Cell>>>;
  /** A device was refused for this field. */
  readonly refused: Cell | undefined;
  /** It was used, and that did not do what it was for. */
  readonly failed: Cell | undefined;
  /** Hot-plug, unplug, reset and migration after that, each with what the guest was told then. */
  readonly later: readonly LaterCell[];
  /** Its software has read the register, or has a driver that says so of firmware. */
  readonly isRead: boolean;
  /** Where it was used and failed, the latest of them. */
  readonly failures: readonly number[];
  /** It was used for more than was offered. */
  readonly beyond: Cell | undefined;
  /** How much of the field stands behind the guest's value; undefined: not known yet. */
  readonly backed: number | undefined;
}

/** The value of a cell as a number; undefined for a text or none. */
export function numberIn(cell: Cell | undefined): number | undefined {
  return typeof cell?.value === 'number' ? cell.value : undefined;
}
