/** `caps matrix`: the cells as a table, and the proof of each. */
import { type MatrixCell, matrixCells, type ReportPolicy, type VmmKind } from '../caps-matrix.ts';
import { type ExitCode, exitCodes, type Io, printAll, wrap } from './io.ts';

const KINDS: readonly VmmKind[] = ['forwards', 'masks', 'new'];
const REPORTS: readonly ReportPolicy[] = ['raw', 'sanitised'];
const WIDTH = 22;

/** Runs every cell. Exit 1 where a run shows other than the ledger says: one of the two is wrong. */
export async function tellMatrix(io: Io, json: boolean): Promise<ExitCode> {
  const cells = [...matrixCells()];
  await printAll(
    io,
    json ? cells.map((cell) => JSON.stringify({ ...cell, position: nameOf(cell) })) : linesOf(cells, io),
  );
  return cells.every(({ good, verdict }) => good === (verdict !== 'leak'))
    ? exitCodes.clean
    : exitCodes.found;
}

/** The run of a cell, and the entry in it. */
function nameOf({ feature, kernel, report, vmm, seq }: MatrixCell): string {
  return `${feature}/${kernel}-${report}/${vmm}@${seq}`;
}

function* linesOf(cells: readonly MatrixCell[], { width }: Io): Generator<string> {
  for (const feature of new Set(cells.map((cell) => cell.feature))) {
    const own = cells.filter((cell) => cell.feature === feature);
    yield `${feature.padEnd(WIDTH)}${REPORTS.map((report) => `report ${report}`.padEnd(WIDTH)).join('')}`.trimEnd();
    for (const kernel of ['old', 'new'])
      for (const vmm of KINDS) {
        const row = REPORTS.map((report) => {
          const cell = own.find(
            (each) => each.kernel === kernel && each.report === report && each.vmm === vmm,
          );
          return cell === undefined ? '-' : `${cell.good ? 'ok' : 'leak'}, told ${cell.told}`;
        });
        const head = `${kernel} kernel, ${vmm}`.padEnd(WIDTH);
        yield `${head}${row.map((text) => text.padEnd(WIDTH)).join('')}`.trimEnd();
      }
    for (const cell of own) if (!cell.good) yield* wrap(nameOf(cell), cell.verdict, cell.proof, width);
  }
}
