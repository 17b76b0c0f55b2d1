/** The verdict over a row of the ledger. */
import { isBacked, isWithheld } from './backing.ts';
import { type LedgerRow, numberIn } from './row.ts';

export const capsVerdicts = ['leak', 'mismatch', 'refused', 'unknown', 'lost', 'unused', 'ok'] as const;
export type CapsVerdict = (typeof capsVerdicts)[number];

export interface Judged {
  readonly verdict: CapsVerdict;
  readonly why: string;
  /** The entry to look at first. */
  readonly seq: number;
}

/** What is to be said of a field: the worst that holds. */
export function judge(row: LedgerRow): Judged {
  const { facts, cells, refused, failed, beyond, backed, field } = row;
  const at = cells.guest?.seq ?? cells.report?.seq ?? cells.driver?.seq ?? 0;
  if (facts === undefined)
    return { verdict: 'unknown', why: `no field is known there; ${holders(row)}`, seq: at };
  if (refused !== undefined)
    return { verdict: 'refused', why: `no device: ${refused.value}`, seq: refused.seq };
  const [guest, report, hardware] = [numberIn(cells.guest), numberIn(cells.report), numberIn(cells.hardware)];
  if (field.startsWith('hw_info.'))
    return report === undefined
      ? { verdict: row.vm === '' ? 'ok' : 'unknown', why: 'not asked', seq: at }
      : { verdict: 'ok', why: `reported ${report}`, seq: at };
  if (field.startsWith('platform.')) return platformVerdict(row, at);
  if (guest === undefined) return { verdict: 'unknown', why: 'the guest has no such SMMU yet', seq: at };
  if (!isBacked(facts, guest, backed)) {
    const proof = failed === undefined ? '' : `; used: ${failed.value}`;
    return { verdict: 'leak', why: `guest told ${guest}, backed ${backed}${proof}`, seq: failed?.seq ?? at };
  }
  if (report !== undefined && hardware !== undefined && report > hardware)
    return { verdict: 'mismatch', why: `reported ${report}, hardware has ${hardware}`, seq: at };
  if (beyond !== undefined)
    return { verdict: 'mismatch', why: `guest told ${guest}, used: ${beyond.value}`, seq: beyond.seq };
  if (isWithheld(facts, guest, backed))
    return { verdict: 'lost', why: `guest told ${guest}, backed ${backed}`, seq: at };
  if (isUnused(row, guest))
    return { verdict: 'unused', why: `guest told ${guest}, nothing relies on it`, seq: at };
  return { verdict: 'ok', why: guest === 0 ? 'not offered' : `guest told ${guest}`, seq: at };
}

/** Who has set a bit, in words. */
function holders({ cells }: LedgerRow): string {
  const parts = [
    cells.hardware && `hardware ${cells.hardware.value}`,
    cells.report && `reported ${cells.report.value}`,
    cells.guest && `guest told ${cells.guest.value}`,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

/** The guest's driver is up, and neither it nor what followed made use of the field. */
function isUnused({ cells, facts }: LedgerRow, guest: number): boolean {
  if (guest === 0 || cells.used !== undefined || facts === undefined || facts.backing === 'any') return false;
  if (facts.enables.length === 0) return true;
  return cells.enabled?.value === 'nothing';
}

/** The guest's firmware may not promise what the host's denies. */
function platformVerdict({ cells, field, vm }: LedgerRow, seq: number): Judged {
  const [host, guest] = [numberIn(cells.driver), numberIn(cells.guest)];
  if (cells.guest === undefined && vm === '')
    return { verdict: 'ok', why: 'no driver tells of firmware', seq };
  if (cells.guest === undefined) return { verdict: 'unknown', why: 'the guest has not booted', seq };
  const shares = field === 'platform.coherent' || field === 'platform.httu';
  if (shares && guest !== undefined && host !== undefined && guest > host)
    return { verdict: 'mismatch', why: `guest's firmware says ${guest}, the host's ${host}`, seq };
  return { verdict: 'ok', why: `guest's firmware: ${cells.guest.value}`, seq };
}
