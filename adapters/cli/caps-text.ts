/** Ledgers of capabilities as lines, JSON and CSV. */
import type { CapsChange, CellChange } from '../../projections/caps/changes.ts';
import { type FieldFacts, fieldFacts } from '../../projections/caps/fields.ts';
import type { Spell } from '../../projections/caps/history.ts';
import { outcomeOf, stepsOf } from '../../projections/caps/procedure.ts';
import { type Cell, columns, type LedgerRow } from '../../projections/caps/row.ts';
import { capsVerdicts, type Judged, judge } from '../../projections/caps/verdict.ts';
import type { Finding } from '../../projections/finding.ts';
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
  /** What the rules have found about it. */
  readonly findings: readonly Finding[];
}

/** Rows with their verdicts, the worst first. */
export function judgedRows(rows: readonly LedgerRow[]): readonly JudgedRow[] {
  const all = rows.map((row) => ({ row, judged: judge(row), findings: [] as readonly Finding[] }));
  return capsVerdicts.flatMap((verdict) => all.filter(({ judged }) => judged.verdict === verdict));
}

const FIELD = 20;
const VERDICT = 9;

/** A line or two for a verdict. */
export function auditLines(
  { row, judged, findings }: JudgedRow,
  { position, width }: Shown,
): readonly string[] {
  const head = `${judged.verdict.padEnd(VERDICT)}${row.field.padEnd(FIELD)} ${row.smmu}`;
  const how = row.decision === undefined ? '' : `; ${row.decision} (step ${row.step})`;
  return [
    ...wrap(position(judged.seq), head, `${judged.why}${how}`, width),
    ...findingLines(findings, width),
  ];
}

/** Findings of a field that are told without being asked: one cause often has many. */
const FINDINGS = 3;

function findingLines(findings: readonly Finding[], width: number | undefined): readonly string[] {
  const left = findings.length - FINDINGS;
  return findings.slice(0, FINDINGS).flatMap(({ position, rule, title }, at) => {
    const more = at === FINDINGS - 1 && left > 0 ? `; and ${left} more` : '';
    return wrap(position, `  ${rule}`, `${title}${more}`, width);
  });
}

/** A bad time of a field: since when, and until when. */
export function spellLines(
  { row, judged, from, until }: Spell,
  { position, width }: Shown,
): readonly string[] {
  const head = `${judged.verdict.padEnd(VERDICT)}${row.field.padEnd(FIELD)} ${row.smmu}`;
  const end = until === undefined ? 'to the end' : `until ${position(until)}`;
  return wrap(position(from), head, `${judged.why}; ${end}`, width);
}

/** The same for programs. */
export function spellJson({ row, judged, from, until }: Spell, position: Shown['position']): object {
  const { field, vm, smmu, host } = row;
  return {
    position: position(from),
    until: until === undefined ? null : position(until),
    verdict: judged.verdict,
    why: judged.why,
    proof: position(judged.seq),
    field,
    vm,
    smmu,
    host,
  };
}

/** How many of them there were in a history. */
export function spellsText(spells: readonly Spell[], head: string): string {
  const count = (verdict: string): number => spells.filter(({ judged }) => judged.verdict === verdict).length;
  return `${head}  ${['leak', 'mismatch', 'refused'].map((verdict) => `${count(verdict)} ${verdict}`).join(', ')}`;
}

/** A breach of a policy, with the line of its file. */
export function breachLines(
  { row, rule, reason, line, seq, why }: Breach,
  file: string,
  { position, width }: Shown,
): readonly string[] {
  const head = `${(line === 0 ? 'policy' : rule).padEnd(VERDICT)}${row.field.padEnd(FIELD)} ${row.smmu}`;
  const place = line === 0 ? rule : `${file}:${line}`;
  return wrap(position(seq), head, `${why}; ${place}: ${reason}`, width);
}

/** The same for programs. */
export function breachJson(
  { row, rule, reason, line, seq, why }: Breach,
  position: Shown['position'],
): object {
  return {
    position: position(seq),
    verdict: 'policy',
    why,
    field: row.field,
    smmu: row.smmu,
    rule,
    reason,
    line: line === 0 ? null : line,
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
  const cells = columns.flatMap((column) => {
    const cell = row.cells[column];
    if (cell === undefined) return [];
    return wrap(position(cell.seq), `${column.padEnd(9)}${cell.value}`, `${cell.by}`, width);
  });
  const later = row.later.flatMap(({ what, value, seq, by }) =>
    wrap(position(seq), `${what.padEnd(9)}guest ${value}`, by, width),
  );
  return [...cells, ...later];
}

/** The steps of the analysis of a field, and what came of it here. */
export function explainLines(
  field: string,
  rows: readonly JudgedRow[],
  at: number,
  shown: Shown,
): readonly string[] {
  const here = shown.position(at);
  const facts = fieldFacts[field];
  const serves = rows.some(({ row }) => (row.backed ?? 0) > 0);
  return [
    ...(facts === undefined
      ? [`${here}  ${field}  no field is known there${rows.length === 0 ? ', and nobody has set a bit' : ''}`]
      : analysisLines(field, facts, serves, { here, width: shown.width })),
    ...rows.flatMap((each) => {
      const { row } = each;
      const before = row.host === '' || row.host === row.smmu ? '' : ` before ${row.host}`;
      return [`${here}  ${row.smmu}${before}`, ...cellLines(row, shown), ...auditLines(each, shown)];
    }),
  ];
}

function analysisLines(
  field: string,
  facts: FieldFacts,
  serves: boolean,
  { here, width }: { readonly here: string; readonly width: number | undefined },
): readonly string[] {
  return [
    ...wrap(here, field, `${facts.note} [${facts.source}]`, width),
    ...stepsOf(field, facts, serves).flatMap(({ step, question, answer, stops }) =>
      wrap(here, `step ${step} ${question}?`, `${answer}${stops ? ': stop' : ''}`, width),
    ),
    ...wrap(here, 'outcome', outcomeOf(field, facts, serves), width),
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

/** A cell in which two ledgers differ, and where the later one was set. */
export interface CapsDifference {
  readonly row: LedgerRow;
  readonly change: CellChange;
  readonly position: string;
}

/** A difference in a line. */
export function differenceLine(
  { row, change: { column, from, to }, position }: CapsDifference,
  width: number | undefined,
): string {
  const text = `${column} ${from?.value ?? '-'} -> ${to?.value ?? '-'}`;
  return clip(`${position}  ${row.field.padEnd(FIELD)} ${row.smmu}  ${text}`, width);
}

/** The same for programs. */
export function differenceJson({ row, change: { column, from, to }, position }: CapsDifference): object {
  const { field, smmu, host } = row;
  const values = { before: from?.value ?? null, after: to?.value ?? null };
  return { position, field, smmu, host, column, ...values };
}

/** A row with its verdict, for programs. */
export function rowJson({ row, judged, findings }: JudgedRow, position: Shown['position']): object {
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
    findings: findings.map(({ rule, position: at, title }) => ({ rule, position: at, title })),
    cells,
    later: row.later.map(({ what, value, seq, by }) => ({ what, guest: value, position: position(seq), by })),
  };
}

/** The rows as CSV (RFC 4180): a line of names, and a line for each row. */
export function csvOf(rows: readonly JudgedRow[], position: Shown['position']): string {
  const names = [
    'position',
    'verdict',
    'field',
    'vm',
    'smmu',
    'host',
    'step',
    ...columns,
    'later',
    'findings',
    'why',
  ];
  const lines = rows.map(({ row, judged, findings }) => [
    position(judged.seq),
    judged.verdict,
    row.field,
    row.vm,
    row.smmu,
    row.host,
    String(row.step),
    ...columns.map((column) => String(row.cells[column]?.value ?? '')),
    row.later.map(({ what, value, seq, by }) => `${what} ${by}: ${value} (${position(seq)})`).join('; '),
    findings.map(({ rule, position: at }) => `${rule} ${at}`).join('; '),
    judged.why,
  ]);
  return `${[names, ...lines].map((line) => line.map(quoted).join(',')).join('\r\n')}\r\n`;
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
