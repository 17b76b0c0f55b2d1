/** What `cost` prints: tables in 80 columns, a position before each line that is about one, and the same as JSON. */
import type { Cost, CountRow, OperationCost, OperationSum } from '../../projections/cost/cost.ts';
import { type Counts, countOf, ofKinds, quantities } from '../../projections/cost/counts-of.ts';
import { type Ns, nothing, type Prices, plus, priced } from '../../projections/cost/prices.ts';
import { clip, wrap } from './io.ts';

/** How costs are summed up for a table. */
export type View = 'kind' | 'actor' | 'op';
export const views: readonly View[] = ['kind', 'actor', 'op'];

export interface Shown {
  readonly json: boolean;
  readonly width: number | undefined;
  readonly prices: Prices;
  /** How a position of the history is printed. */
  position(seq: number): string;
}

/** The lines of a table, its sum last. */
export function costLines(cost: Cost, view: View, shown: Shown): string[] {
  const lines = { kind: kindLines, actor: actorLines, op: opLines }[view];
  return lines(cost, shown);
}

/** Nanoseconds as people say them: three digits and a unit. */
export function showNs(ns: number): string {
  const units = [
    [1e9, 's'],
    [1e6, 'ms'],
    [1e3, 'us'],
  ] as const;
  const [size, name] = units.find(([each]) => ns >= each) ?? [1, 'ns'];
  const value = ns / size;
  return `${value >= 100 || size === 1 ? Math.round(value) : value.toPrecision(3)} ${name}`;
}

/** The sum of a history: the four counts that designs are compared by, and the time. */
export function totalLines({ rows, total }: Cost, head: string, width: number | undefined): string[] {
  const counts: Counts = sumOf(rows);
  // Only DMA reads memory by walks: elsewhere a count of 0 says nothing.
  const told = quantities
    .filter((each) => each !== 'R' || countOf(counts, each) > 0)
    .map((each) => `${countOf(counts, each)} ${ofKinds[each].short}`);
  const range = `${showNs(total.typical)} (${showNs(total.low)} to ${showNs(total.high)})`;
  return wrap(head, '', `${told.join(', ')}; ${range}`, width);
}

function sumOf(rows: readonly CountRow[]): Counts {
  const sum: Partial<Record<CountRow['kind'], number>> = {};
  for (const { kind, count } of rows) sum[kind] = (sum[kind] ?? 0) + count;
  return sum;
}

function kindLines({ rows }: Cost, { json, width, prices, position }: Shown): string[] {
  const sorted = [...rows].sort((a, b) => compare(keyOf(a), keyOf(b)));
  const nsOf = ({ kind, detail, count }: CountRow): Ns => priced(prices, kind, detail, count);
  if (json)
    return sorted.map((row) =>
      JSON.stringify({
        position: position(row.first),
        kind: row.kind,
        who: row.who,
        detail: row.detail,
        count: row.count,
        ns: nsOf(row),
      }),
    );
  return table(
    sorted.map((row) => [
      position(row.first),
      row.kind,
      row.who,
      row.detail,
      String(row.count),
      showNs(nsOf(row).typical),
    ]),
    width,
  );
}

function keyOf({ kind, who, detail }: CountRow): string {
  return `${kind}\n${who}\n${detail}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function actorLines({ rows }: Cost, { json, width, prices, position }: Shown): string[] {
  const actors = new Map<string, { first: number; counts: Record<string, number>; ns: Ns }>();
  for (const { kind, who, detail, count, first } of rows) {
    const held = actors.get(who) ?? { first, counts: {}, ns: nothing };
    held.first = Math.min(held.first, first);
    held.counts[kind] = (held.counts[kind] ?? 0) + count;
    held.ns = plus(held.ns, priced(prices, kind, detail, count));
    actors.set(who, held);
  }
  const sorted = [...actors].sort(([a], [b]) => compare(a, b));
  if (json)
    return sorted.map(([who, { first, counts, ns }]) =>
      JSON.stringify({ position: position(first), who, counts, ns }),
    );
  return sorted.flatMap(([who, { first, counts, ns }]) =>
    counted(position(first), `${who}  ${showNs(ns.typical)}`, counts, width),
  );
}

function opLines({ operations }: Cost, shown: Shown): string[] {
  const told = operations.filter(({ what, counts }) => what.startsWith('guest.') || isAny(counts));
  return told.flatMap((each) => (shown.json ? [sumJson(each, shown)] : sumText(each, shown)));
}

function isAny(counts: Counts): boolean {
  return Object.keys(counts).length > 0;
}

function sumJson({ seq, worst, ...rest }: OperationSum, { position }: Shown): string {
  const dearest = { position: position(worst.seq), ns: worst.ns };
  return JSON.stringify({ position: position(seq), ...rest, worst: dearest });
}

function sumText(sum: OperationSum, { position, width }: Shown): string[] {
  const { what, about, seq, times, counts, ns, worst } = sum;
  const often = times === 1 ? '' : ` x${times}, dearest ${position(worst.seq)} ${showNs(worst.ns.typical)}`;
  return counted(position(seq), `${what} ${about}${often}  ${showNs(ns.typical)}`, counts, width);
}

/** One operation, told by itself. */
export function eachLines(cost: OperationCost, { json, position, width }: Shown): string[] {
  const { seq, ...rest } = cost;
  if (json) return [JSON.stringify({ position: position(seq), ...rest })];
  const { what, about, counts, ns } = cost;
  return counted(position(seq), `${what} ${about}  ${showNs(ns.typical)}`, counts, width);
}

/** A head, and below it what was counted; each line begins with the position. */
function counted(position: string, head: string, counts: Counts, width: number | undefined): string[] {
  const lines = [clip(`${position}  ${head}`, width)];
  let line = '';
  const put = (): void => {
    if (line !== '') lines.push(`${position}    ${line}`);
    line = '';
  };
  for (const [kind, count] of Object.entries(counts)) {
    const text = `${kind} ${count}`;
    const room = (width ?? Number.POSITIVE_INFINITY) - position.length - 4;
    if (line.length + text.length + 2 > room) put();
    line = line === '' ? text : `${line}  ${text}`;
  }
  put();
  return lines;
}

/** Columns as wide as their widest cell; the last two, numbers, stand to the right. */
function table(rows: readonly (readonly string[])[], width: number | undefined): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  const spare = (width ?? Number.POSITIVE_INFINITY) - widths.reduce((sum, each) => sum + each + 2, -2);
  const detail = 3;
  if (spare < 0) widths[detail] = Math.max(8, (widths[detail] ?? 0) + spare);
  return rows.map((row) =>
    clip(
      row
        .map((cell, at) => {
          const room = widths[at] ?? 0;
          return at >= row.length - 2 ? cell.padStart(room) : clip(cell, room).padEnd(room);
        })
        .join('  '),
      width,
    ),
  );
}
