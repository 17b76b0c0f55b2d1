/** Every change in the life of one field, with the entry that made it and the one that entry follows from. */
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { type Chains, newChains } from './chain.ts';
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
  const step = stepper(state);
  // What the header says is no change.
  let before = new Map(rowsOf(state, field).map((row) => [keyOf(row), row] as const));
  for (const entry of entries) {
    if (!step(entry)) continue;
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

/** Entries that are many, and say something new now and then: a field that was not used before, or one that failed. */
const OFTEN: ReadonlySet<string> = new Set([
  'command.fetched',
  'command.rejected',
  'structure.fetched',
  'register.written',
  'sync.completed',
  'event.sent',
  'cpu.tlbi',
  'broadcast.received',
]);

/** What such entries can change of the rows. */
function markOf({ guests, hosts, ways }: Chains): string {
  let mark = '';
  for (const view of [...guests.values(), ...hosts.values()]) {
    let count = 0;
    for (const { failed, beyond } of view.uses.values())
      count += 1 + (failed === undefined ? 0 : 1000) + (beyond === undefined ? 0 : 1_000_000);
    mark += `${count} `;
  }
  for (const { ptm } of hosts.values()) mark += ptm.value;
  for (const { stage2Vmid } of ways.values()) mark += ` ${stage2Vmid?.value}`;
  return mark;
}

/** Takes entries into a ledger, and says of each whether a row may be another since. */
export function stepper(state: Chains): (entry: Entry) => boolean {
  let mark = markOf(state);
  return (entry) => {
    const handler = ledgerHandlers[entry.type] as ((of: Chains, entry: Entry) => void) | undefined;
    if (handler === undefined) return false;
    handler(state, entry);
    if (!OFTEN.has(entry.type)) return true;
    const now = markOf(state);
    const differs = now !== mark;
    mark = now;
    return differs;
  };
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
