/**
 * Findings and rows of the ledger, each from the other. A finding of I10 names its row; one of harm belongs to the row
 * whose use failed between the first change of its story and the access that showed it.
 */
import { HARM, seqOf } from '../check.ts';
import type { Finding } from '../finding.ts';
import type { LedgerRow } from './row.ts';

/** The first change of its story: who swallowed a command is to blame for what others had stored before. */
const began = ({ blame, after }: Finding): number => Math.min(seqOf(blame), ...after.map(seqOf));

/** The rows that a finding is about: of the SMMU that it names, seen by a guest or standing before one. */
export function rowsOfFinding(rows: readonly LedgerRow[], finding: Finding): readonly LedgerRow[] {
  return rows.filter((row) => isAbout(finding, row));
}

/** The findings that are about a row, in their order. */
export function findingsOfRow(findings: readonly Finding[], row: LedgerRow): readonly Finding[] {
  return findings.filter((finding) => isAbout(finding, row));
}

function isAbout(finding: Finding, { field, smmu, host, failures }: LedgerRow): boolean {
  const { capability, verdict } = finding;
  if (capability !== undefined)
    return capability.field === field && (capability.smmu === smmu || capability.smmu === host);
  if (!HARM.has(verdict)) return false;
  const [from, to] = [began(finding), seqOf(finding)];
  return failures.some((seq) => seq > from && seq <= to);
}
