/** Ledgers of capabilities as lines, JSON and CSV. */
import type { CapsChange, CellChange } from '../../projections/caps/changes.ts';
import { outcomeOf, stepsOf } from '../../projections/caps/procedure.ts';
import { type Cell, columns, type LedgerRow } from '../../projections/caps/row.ts';
import { capsVerdicts, type Judged, judge } from '../../projections/caps/verdict.ts';
import type { Breach } from '../caps-policy.ts';
import { clip, wrap } from './io.ts';

/** How positions are told, and how wide lines are. */
export interface Shown {
  readonly position: (seq: number) => string;
  readonly width: number | undefined;
}

export interface JudgedRow {
  readonly row: LedgerRow;
  readonly judged: Judged;
}

/** Rows with their verdicts, the worst first. */
export function judgedRows(rows: readonly LedgerRow[]): readonly JudgedRow[] {
  const all = rows.map((row) => ({ row, judged: judge(row) }));
  return capsVerdicts.flatMap((verdict) => all.filter(({ judged }) => judged.verdict === verdict));
}

const FIELD = 20;
const VERDICT = 9;

/** A line or two for a verdict. */
export function auditLines({ row, judged }: JudgedRow, { position, width }: Shown): readonly string[] {
  const head = `${judged.verdict.padEnd(VERDICT)}${row.field.padEnd(FIELD)} ${row.smmu}`;
  const how = row.decision === undefined ? '' : `; ${row.decision} (step ${row.step})`;
  return wrap(position(judged.seq), head, `${judged.why}${how}`, width);
}

/** A breach of a policy, with the line of its file. */
export function breachLines(
  { row, line, seq, why }: Breach,
  file: string,
  { position, width }: Shown,
): readonly string[] {
  const head = `${line.rule.padEnd(VERDICT)}${row.field.padEnd(FIELD)} ${row.smmu}`;
  return wrap(position(seq), head, `${why}; ${file}:${line.line}: ${line.reason}`, width);
}

/** The same for programs. */
export function breachJson({ row, line, seq, why }: Breach, position: Shown['position']): object {
  const { rule, reason, line: number } = line;
  return {
    position: position(seq),
    verdict: 'policy',
    why,
    field: row.field,
    smmu: row.smmu,
    rule,
    reason,
    line: number,
  };
}

/** How many of each verdict. */
export function countsText(rows: readonly JudgedRow[]): string {
  const count = (verdict: string): number => rows.filter(({ judged }) => judged.verdict === verdict).length;
  return capsVerdicts.map((verdict) => `${count(verdict)} ${verdict}`).join(', ');
}

/** A row in one line, of the values alone. */
export function rowLine(row: LedgerRow, { position, width }: Shown): string {
  const { hardware, driver, report, guest, enabled, used } = row.cells;
  const text = (cell: Cell | undefined): string => (cell === undefined ? '-' : String(cell.value));
  const decided = row.decision === undefined ? '-' : `${row.decision}(${row.step})`;
  const parts = [
    `hw=${text(hardware)}`,
    // Without a VM there is neither a report nor a decision.
    ...(row.vm === '' ? [] : [`report=${text(report)}`, `vmm=${decided}`]),
    `guest=${text(guest)}`,
    ...(enabled === undefined ? [] : [`enabled=${text(enabled)}`]),
    ...(used === undefined ? [] : [`used=${text(used)}`]),
    ...(hardware === undefined && driver !== undefined ? [`host=${text(driver)}`] : []),
  ];
  const at = (guest ?? report ?? driver)?.seq ?? 0;
  return clip(`${position(at)}  ${row.field.padEnd(FIELD)} ${row.smmu}  ${parts.join(' ')}`, width);
}

/** Every cell of a row, with the entry that set it. */
export function cellLines(row: LedgerRow, { position, width }: Shown): readonly string[] {
  return columns.flatMap((column) => {
    const cell = row.cells[column];
    if (cell === undefined) return [];
    return wrap(position(cell.seq), `${column.padEnd(9)}${cell.value}`, `${cell.by}`, width);
  });
}

/** The steps of the analysis of a field, and what came of it here. */
export function explainLines(
  field: string,
  rows: readonly LedgerRow[],
  at: number,
  shown: Shown,
): readonly string[] {
  const [first] = rows;
  const { position, width } = shown;
  const here = position(at);
  const facts = first?.facts;
  if (facts === undefined) return [`${here}  ${field}  unknown: the table of fields has no row for it`];
  const serves = rows.some(({ backed }) => (backed ?? 0) > 0);
  return [
    ...wrap(here, field, `${facts.note} [${facts.source}]`, width),
    ...stepsOf(field, facts, serves).flatMap(({ step, question, answer, stops }) =>
      wrap(here, `step ${step} ${question}?`, `${answer}${stops ? ': stop' : ''}`, width),
    ),
    ...wrap(here, 'outcome', outcomeOf(field, facts, serves), width),
    ...rows.flatMap((row) => [
      `${here}  ${row.smmu}${row.host === '' ? '' : ` before ${row.host}`}`,
      ...cellLines(row, shown),
      ...auditLines({ row, judged: judge(row) }, shown),
    ]),
  ];
}

/** One change of one field. */
export function changeLines(change: CapsChange, { position, width }: Shown): readonly string[] {
  const { seq, cause, type, smmu, host, column, before, after, by } = change;
  const head = `${column.padEnd(9)}${before ?? '-'} -> ${after ?? '-'}`;
  const from = cause === 0 ? '' : `, after ${position(cause)}`;
  const how = by === '' || by === type ? type : `${type}: ${by}`;
  return wrap(position(seq), head, `${smmu}${host === '' ? '' : ` ${host}`}; ${how}${from}`, width);
}

/** A cell in which two ledgers differ. */
export function cellChangeLine(
  row: LedgerRow,
  { column, from, to }: CellChange,
  { position, width }: Shown,
): string {
  const text = `${column} ${from?.value ?? '-'} -> ${to?.value ?? '-'}`;
  return clip(`${position((to ?? from)?.seq ?? 0)}  ${row.field.padEnd(FIELD)} ${row.smmu}  ${text}`, width);
}

/** A row with its verdict, for programs. */
export function rowJson({ row, judged }: JudgedRow, position: Shown['position']): object {
  const cells = Object.fromEntries(
    columns.flatMap((column) => {
      const cell = row.cells[column];
      return cell === undefined
        ? []
        : [[column, { value: cell.value, position: position(cell.seq), by: cell.by }] as const];
    }),
  );
  const { field, vm, smmu, host, decision, step, facts, backed } = row;
  return {
    position: position(judged.seq),
    verdict: judged.verdict,
    why: judged.why,
    field,
    vm,
    smmu,
    host,
    decision: decision ?? null,
    step,
    backed: backed ?? null,
    needs: facts?.needs ?? null,
    listed: facts?.listed ?? null,
    source: facts?.source ?? null,
    cells,
  };
}

/** The rows as CSV (RFC 4180): a line of names, and a line for each row. */
export function csvOf(rows: readonly JudgedRow[], position: Shown['position']): string {
  const names = ['position', 'verdict', 'field', 'vm', 'smmu', 'host', 'step', ...columns, 'why'];
  const lines = rows.map(({ row, judged }) => [
    position(judged.seq),
    judged.verdict,
    row.field,
    row.vm,
    row.smmu,
    row.host,
    String(row.step),
    ...columns.map((column) => String(row.cells[column]?.value ?? '')),
    judged.why,
  ]);
  return `${[names, ...lines].map((line) => line.map(quoted).join(',')).join('\r\n')}\r\n`;
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
