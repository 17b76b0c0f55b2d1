/** `caps matrix`: the cells as tables, the proof of each, and the findings that are linked with it. */
import {
  cellName,
  kernels,
  type LeakCell,
  leakCells,
  type MatrixCell,
  matrixCells,
  type ProfileCell,
  profileCells,
  type ReportPolicy,
  type Shown,
  type VmmKind,
  vmms,
} from '../caps-matrix.ts';
import { InputError } from '../input-error.ts';
import { type ExitCode, exitCodes, type Io, printAll, wrap } from './io.ts';

const KINDS: readonly VmmKind[] = ['forwards', 'masks', 'new'];
const REPORTS: readonly ReportPolicy[] = ['raw', 'sanitised'];
const WIDTH = 22;

/** What can be asked for alone. */
const parts = ['features', 'leaks', 'profiles'] as const;
type Part = (typeof parts)[number];

/**
 * Runs every cell, or those of one part. Exit 1 where a run shows other than the ledger says, or a good twin fails:
 * one of the two is wrong.
 */
export async function tellMatrix(io: Io, json: boolean, part: string | undefined): Promise<ExitCode> {
  if (part !== undefined && !parts.some((each) => each === part))
    throw new InputError(`caps matrix: expected ${parts.join(', ')} or nothing, found "${part}"`);
  const wants = (name: Part): boolean => part === undefined || part === name;
  const wrong: string[] = [];
  if (wants('features')) {
    const cells = [...matrixCells()];
    wrong.push(...cells.filter(isWrong).map(cellName));
    await printAll(io, json ? cells.map((cell) => jsonOf(cellName(cell), cell)) : featureLines(cells, io));
  }
  if (wants('leaks')) {
    const cells = [...leakCells()];
    wrong.push(
      ...cells.filter((cell) => isWrong(cell) || (cell.twin && !cell.good)).map(({ story }) => story),
    );
    await printAll(io, json ? cells.map((cell) => jsonOf(cell.story, cell)) : leakLines(cells, io));
  }
  if (wants('profiles')) {
    const cells = [...profileCells()];
    await printAll(io, json ? cells.map((cell) => JSON.stringify(cell)) : profileLines(cells, io));
  }
  for (const name of wrong) io.err(`backwalk: ${name}: the run shows other than the ledger says`);
  return wrong.length === 0 ? exitCodes.clean : exitCodes.found;
}

/** The guest did not get what it was told, and the ledger knows nothing of it. */
function isWrong({ good, verdict }: Shown): boolean {
  return !good && verdict !== 'leak';
}

function jsonOf(name: string, cell: Shown): string {
  return JSON.stringify({ ...cell, position: `${name}@${cell.seq}` });
}

function* featureLines(cells: readonly MatrixCell[], io: Io): Generator<string> {
  const groups = new Set(cells.map(({ feature, firmware }) => `${feature} ${firmware ?? ''}`));
  for (const group of groups) {
    const own = cells.filter(({ feature, firmware }) => `${feature} ${firmware ?? ''}` === group);
    const [{ feature = '', firmware = undefined } = {}] = own;
    if (firmware !== undefined) yield `firmware ${firmware} the register:`;
    yield `${feature.padEnd(WIDTH)}${REPORTS.map((report) => `report ${report}`.padEnd(WIDTH)).join('')}`.trimEnd();
    for (const kernel of ['old', 'new'])
      for (const vmm of KINDS) {
        const row = REPORTS.map((report) => {
          const cell = own.find(
            (each) => each.kernel === kernel && each.report === report && each.vmm === vmm,
          );
          return cell === undefined ? '-' : `${wordOf(cell)}, told ${cell.told}`;
        });
        const head = `${kernel} kernel, ${vmm}`.padEnd(WIDTH);
        yield `${head}${row.map((text) => text.padEnd(WIDTH)).join('')}`.trimEnd();
      }
    for (const cell of own) if (!cell.good) yield* proofLines(cellName(cell), cell, io);
  }
}

/** `luck`: it works on this platform, and nobody has said that it would. */
function wordOf({ good, verdict }: Shown): string {
  if (!good) return 'leak';
  return verdict === 'leak' ? 'luck' : 'ok';
}

function* proofLines(name: string, cell: Shown, { width }: Io): Generator<string> {
  yield* wrap(`${name}@${cell.seq}`, cell.verdict, cell.proof, width);
  for (const { rule, position, title } of cell.findings) yield* wrap(position, rule, title, width);
}

function* leakLines(cells: readonly LeakCell[], io: Io): Generator<string> {
  for (const cell of cells) {
    const { story, feature, about, twin } = cell;
    if (!twin) yield* wrap(story, feature, about, io.width);
    yield* proofLines(twin ? `${story}/twin` : story, cell, io);
  }
}

const PART = 12;
const COLUMN = 17;

function* profileLines(cells: readonly ProfileCell[], { width }: Io): Generator<string> {
  for (const kernel of Object.keys(kernels)) {
    const own = cells.filter((cell) => cell.kernel === kernel);
    yield kernel;
    yield `${''.padEnd(PART)}${vmms.map((name) => name.replace('hypervisor', 'hv').padEnd(COLUMN)).join('')}`.trimEnd();
    for (const hardware of new Set(own.map((cell) => cell.hardware))) {
      const row = vmms.map((vmm) => {
        const cell = own.find((each) => each.vmm === vmm && each.hardware === hardware);
        return (cell === undefined ? '-' : briefly(cell)).padEnd(COLUMN);
      });
      yield `${hardware.padEnd(PART)}${row.join('')}`.trimEnd();
    }
    for (const cell of own)
      if (cell.refused !== undefined)
        yield* wrap(`${cell.vmm}/${cell.hardware}`, 'refused', cell.refused, width);
      else if (cell.fields.leak !== undefined)
        yield* wrap(`${cell.vmm}/${cell.hardware}`, 'leak', cell.fields.leak.join(', '), width);
  }
}

function briefly({ refused, works, fields }: ProfileCell): string {
  if (refused !== undefined) return 'refused';
  const leaks = fields.leak?.length ?? 0;
  return `${works ? 'works' : 'fails'}${leaks === 0 ? '' : `, ${leaks} leak${leaks === 1 ? '' : 's'}`}`;
}
