/** Every change in the life of one field, with the entry that made it and the one that entry follows from. */
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { newChains } from './chain.ts';
import { ledgerHandlers } from './fold.ts';
import { rowsOf } from './ledger.ts';
import { type Cell, type Column, columns, type LedgerRow } from './row.ts';

export interface CapsChange {
  readonly seq: number;
  readonly cause: number;
  readonly type: string;
  readonly actor: string;
  readonly smmu: string;
  readonly host: string;
  readonly column: Column;
  readonly before: number | string | undefined;
  readonly after: number | string | undefined;
  readonly by: string;
}

/** The changes of a field, one after the other, in one pass. */
export function* changesOf(
  machine: MachineConfig,
  entries: Iterable<Entry>,
  field: string,
): Generator<CapsChange> {
  const state = newChains(machine);
  // What the header says is no change.
  let before = new Map(rowsOf(state, field).map((row) => [keyOf(row), row] as const));
  for (const entry of entries) {
    const handler = ledgerHandlers[entry.type] as ((of: typeof state, entry: Entry) => void) | undefined;
    if (handler === undefined) continue;
    handler(state, entry);
    const rows = new Map(rowsOf(state, field).map((row) => [keyOf(row), row] as const));
    for (const [key, row] of rows) {
      // The first device leads to a host: what was there before is the same field.
      const old = before.get(key) ?? before.get(keyOf({ ...row, host: '' }));
      for (const { column, from, to } of cellChanges(old, row))
        yield {
          seq: entry.seq,
          cause: entry.cause,
          type: entry.type,
          actor: entry.actor,
          smmu: row.smmu,
          host: row.host,
          column,
          before: from?.value,
          after: to?.value,
          by: to?.by ?? '',
        };
    }
    before = rows;
  }
}

/** Which row of two ledgers is the same one: the guest's SMMU, the host's, the field. */
export function keyOf({ smmu, host, field }: LedgerRow): string {
  return `${smmu} ${host} ${field}`;
}

export interface CellChange {
  readonly column: Column;
  readonly from: Cell | undefined;
  readonly to: Cell | undefined;
}

/** Cells in which two rows differ. That a field was used once more is no difference. */
export function cellChanges(
  before: LedgerRow | undefined,
  after: LedgerRow | undefined,
): readonly CellChange[] {
  return columns.flatMap((column) => {
    const [from, to] = [before?.cells[column], after?.cells[column]];
    const same = column === 'used' ? meaning(from) === meaning(to) : from?.value === to?.value;
    return same ? [] : [{ column, from, to }];
  });
}

function meaning(cell: Cell | undefined): string {
  if (cell === undefined) return '';
  return String(cell.value).startsWith('failed') ? String(cell.value) : 'used';
}
