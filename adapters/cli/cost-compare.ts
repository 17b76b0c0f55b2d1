/** `cost --compare`: one story on several VMMs, each line's counts side by side, with the formula where there is one. */
import { meant } from '../../core/path/near.ts';
import { isVmmProfile, type VmmProfileName, vmmProfiles } from '../../core/vmm/profiles.ts';
import { countOf, ofKinds, quantities } from '../../projections/cost/counts-of.ts';
import { formulas } from '../../projections/cost/formulas.ts';
import type { Prices } from '../../projections/cost/prices.ts';
import { type LineCost, runStory, type StoryLine, type StoryRun } from '../compare-run.ts';
import { InputError } from '../input-error.ts';
import { readScenario } from '../scenario/reader.ts';
import { showNs } from './cost-text.ts';
import { clip, type ExitCode, exitCodes, type Io, printAll, wrap } from './io.ts';
import type { VerbContext } from './verb.ts';

export interface Compared {
  readonly prices: Prices;
  /** Names with commas between; the three VMMs that nest when absent. */
  readonly vmms: string | undefined;
}

const DEFAULT = 'qemu-accel,openvmm,cloud-hypervisor';

/** Runs the scenario on each VMM and prints the table. Exit 1 where a count is not what its formula says. */
export async function compareCosts(
  { io, json }: VerbContext,
  file: string,
  { prices, vmms = DEFAULT }: Compared,
): Promise<ExitCode> {
  const profiles = vmms.split(',').map(profileOf);
  const story = await readAll(file, io);
  const runs = profiles.map((vmm) => runStory(story, vmm, prices));
  const told = json ? jsonLines(runs) : tableLines(runs, io.width);
  await printAll(io, told);
  return runs.some(({ lines }) => lines.some((line) => formulaRows(line).some(({ holds }) => !holds)))
    ? exitCodes.found
    : exitCodes.clean;
}

function profileOf(name: string): VmmProfileName {
  const known = Object.keys(vmmProfiles);
  if (!isVmmProfile(name))
    throw new InputError(`--vmm: expected one of ${known.join(', ')}, found "${name}"${meant(name, known)}`);
  return name;
}

/** A module's lines may depend on answers, which differ here: only files of lines are compared. */
async function readAll(file: string, io: Io): Promise<readonly StoryLine[]> {
  if (/\.[cm]?[tj]s$/.test(file))
    throw new InputError(`--compare: expected a .jsonl scenario, found ${file}`);
  const lines: StoryLine[] = [];
  for await (const chunk of readScenario(file, io.stdin))
    for (const line of chunk.lines) lines.push({ raw: line.read(), place: line.place });
  return lines;
}

interface FormulaRow {
  readonly quantity: string;
  readonly formula: string;
  readonly expected: number;
  readonly counted: number;
  /** The count may be less. */
  readonly atMost: boolean;
  readonly holds: boolean;
}

/** What the formulas of a line say beside what was counted. */
export function formulaRows({ formula, counts }: LineCost): readonly FormulaRow[] {
  if (formula === undefined) return [];
  const { case: of, design, sizes } = formula;
  return quantities.flatMap((quantity) => {
    const row = formulas[of][design]?.[quantity];
    if (row === undefined) return [];
    const [expected, counted] = [row.of(sizes), countOf(counts, quantity)];
    const atMost = row.atMost === true;
    const holds = atMost ? counted <= expected : counted === expected;
    return { quantity, formula: row.text, expected, counted, atMost, holds };
  });
}

function* jsonLines(runs: readonly StoryRun[]): Generator<string> {
  for (const { vmm, lines, total, failed } of runs) {
    for (const line of lines) {
      const { line: number, op, about, counts, ns, refused, formula } = line;
      const rows = formulaRows(line);
      yield JSON.stringify({
        vmm,
        line: number,
        op,
        about,
        ...(refused === undefined ? { counts, ns } : { refused }),
        ...(formula && { formula: { ...formula.sizes, design: formula.design, rows } }),
      });
    }
    yield JSON.stringify({ vmm, summary: { ns: total.total, checksFailed: failed } });
  }
}

const HEAD = 26;
const COLUMN = 17;

/** Lines whose costs are all nothing are left out, but for those that a formula speaks of. */
function* tableLines(runs: readonly StoryRun[], width = Number.POSITIVE_INFINITY): Generator<string> {
  const columns = Math.max(1, Math.floor((width - HEAD) / COLUMN));
  for (let from = 0; from < runs.length; from += columns) {
    const group = runs.slice(from, from + columns);
    if (from > 0) yield '';
    yield row(
      '',
      group.map(({ vmm }) => vmm),
    );
    const [first] = group;
    for (const [at] of (first?.lines ?? []).entries()) yield* lineRows(group, at, width);
    yield row(
      'total',
      group.map(({ total }) => showNs(total.total.typical)),
    );
    if (group.some(({ failed }) => failed > 0))
      yield row(
        'expectations not met',
        group.map(({ failed }) => String(failed)),
      );
  }
}

function* lineRows(group: readonly StoryRun[], at: number, width: number): Generator<string> {
  const cells = group.map(({ lines }) => lines[at]).filter((line) => line !== undefined);
  const [first] = cells;
  if (first === undefined) return;
  const isTold = cells.some(({ ns, refused, formula }) => ns.high > 0 || refused !== undefined || formula);
  if (!isTold) return;
  const position = `line ${first.line}`;
  yield row(
    `${position}  ${first.op} ${first.about}`,
    cells.map((cell) => (cell.refused === undefined ? '' : 'refused')),
  );
  for (const quantity of quantities)
    yield row(
      `${position}    ${quantity} ${ofKinds[quantity].short}`,
      cells.map((cell) => (cell.refused === undefined ? cellOf(cell, quantity) : '-')),
    );
  yield row(
    `${position}    time`,
    cells.map(({ ns, refused }) => (refused === undefined ? showNs(ns.typical) : '-')),
  );
  for (const [index, cell] of cells.entries()) {
    const vmm = group[index]?.vmm ?? '';
    if (cell.refused !== undefined) yield* wrap(position, `  ${vmm}`, `refused: ${cell.refused}`, width);
    else yield* formulaText(cell, `${position}    ${vmm}`, width);
  }
}

function cellOf(cell: LineCost, quantity: (typeof quantities)[number]): string {
  const wrong = formulaRows(cell).find((each) => each.quantity === quantity && !each.holds);
  const count = countOf(cell.counts, quantity);
  return wrong === undefined ? String(count) : `${count} (not ${wrong.expected})`;
}

/** The formulas that are more than 0, and what they are of. */
function* formulaText(cell: LineCost, head: string, width: number): Generator<string> {
  const rows = formulaRows(cell).filter(({ expected, counted }) => expected > 0 || counted > 0);
  if (cell.formula === undefined || rows.length === 0) return;
  const { n, a, k, d, e, ril, r, m } = cell.formula.sizes;
  yield clip(`${head}  n=${n} a=${a} k=${k} d=${d} e=${e} r=${r} m=${m} RIL=${ril ? 1 : 0}`, width);
  for (const { quantity, formula, expected, counted, atMost, holds } of rows) {
    const sign = atMost ? '<=' : '=';
    const found = holds ? '' : `, counted ${counted}`;
    yield clip(`${head}    ${quantity} ${sign} ${formula} = ${expected}${found}`, width);
  }
}

function row(head: string, cells: readonly string[]): string {
  return `${clip(head, HEAD).padEnd(HEAD)}${cells.map((cell) => clip(cell, COLUMN - 1).padStart(COLUMN)).join('')}`.trimEnd();
}
