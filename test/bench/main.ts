/**
 * `npm run bench [NAME...]`: measures ratios in one run, prints them as a table and, last, as one JSON
 * line. Each part runs in a process of its own, so that the garbage of one does not weigh on the next.
 * Figures in absolute terms are for orientation; the ratios are what is compared with the wanted ones.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Row } from './row.ts';

interface Part {
  rows(): Promise<readonly Row[]>;
}

const parts: Readonly<Record<string, () => Promise<Part>>> = {
  store: () => import('./store.ts'),
  machine: () => import('./machine.ts'),
  smmu: () => import('./smmu.ts'),
  pipeline: () => import('./pipeline.ts'),
  questions: () => import('./questions.ts'),
  import: () => import('./import.ts'),
  iommufd: () => import('./iommufd.ts'),
  rules: () => import('./rules.ts'),
  actors: () => import('./actors.ts'),
  caps: () => import('./caps.ts'),
};

const RESULT = 'rows ';

async function runPart(name: string): Promise<void> {
  const load = parts[name];
  if (load === undefined)
    throw new Error(`expected one of ${Object.keys(parts).join(', ')}, found "${name}"`);
  const part = await load();
  process.stdout.write(`${RESULT}${JSON.stringify(await part.rows())}\n`);
}

function measure(name: string): readonly Row[] {
  process.stderr.write(`measuring ${name} ...\n`);
  const self = fileURLToPath(import.meta.url);
  const ran = spawnSync(process.execPath, [...process.execArgv, self, '--part', name], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 26,
  });
  const line = ran.stdout.split('\n').find((each) => each.startsWith(RESULT));
  if (line === undefined) throw new Error(`${name} gave no rows (exit ${ran.status})`);
  return JSON.parse(line.slice(RESULT.length)) as readonly Row[];
}

function table(rows: readonly Row[]): string {
  const head = ['measure', 'ours', 'against', 'ratio', 'wanted', 'met'];
  const cells = rows.map((row) => [
    row.measure,
    row.ours,
    row.against,
    row.ratio,
    row.wanted,
    row.met ? 'yes' : 'NO',
  ]);
  const widths = head.map((title, at) =>
    Math.max(title.length, ...cells.map((row) => (row[at] ?? '').length)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n');
}

const [flag, ...names] = process.argv.slice(2);
if (flag === '--part') {
  await runPart(names[0] ?? '');
} else {
  const wanted = flag === undefined ? Object.keys(parts) : [flag, ...names];
  const rows = wanted.flatMap(measure);
  process.stdout.write(`${table(rows)}\n${JSON.stringify({ node: process.version, rows })}\n`);
}
