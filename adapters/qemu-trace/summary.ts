/** The result of an import for people, in lines of 80 columns. */
import { type Deviation, type DeviationName, deviations } from './deviations.ts';
import { comparedKeys, type ImportResult, showDifference } from './tally.ts';

const WIDTH = 80;
// biome-ignore format: a table
const words: Readonly<Record<(typeof comparedKeys)[number], string>> = {
  translation: 'translations', fault: 'faults', command: 'commands', register: 'register reads', eventRecord: 'event records',
};

/** The whole result, each line at most 80 columns. */
export function summaryLines(result: ImportResult): string[] {
  return [
    ...linesPart(result),
    ...comparedPart(result),
    ...deviationsPart(result),
    ...problemsPart(result),
  ].map(fit);
}

function linesPart({
  lines,
  understood,
  ignored,
  unknown,
  entries,
  damage,
  stopped,
}: ImportResult): string[] {
  const out = [
    `${lines} lines: ${understood} understood, ${ignored} ignored, ${unknown} unknown; ${entries} entries`,
  ];
  if (damage !== undefined) out.push(`incomplete: ${damage}; imported is what stands before`);
  if (stopped) out.push(`stopped after line ${lines}`);
  return out;
}

function comparedPart({ compared, differences, examples }: ImportResult): string[] {
  if (comparedKeys.every((key) => compared[key] === 0)) return [];
  const out = ['compared            outcomes  differences'];
  for (const key of comparedKeys) {
    out.push(
      `  ${words[key].padEnd(16)}${String(compared[key]).padStart(10)}${String(differences[key]).padStart(13)}`,
    );
  }
  return [...out, ...examples.map((example) => `  ${showDifference(example)}`)];
}

function deviationsPart({ deviations: counts }: ImportResult): string[] {
  const names = Object.keys(counts) as DeviationName[];
  if (names.length === 0) return [];
  const out = ['known habits of the emulator (not differences), section of IHI 0070 or the Arm ARM'];
  for (const name of names) {
    const { spec, qemu }: Deviation = deviations[name];
    const head = `  ${String(counts[name]).padStart(6)}  ${name} [${spec}]`;
    out.push(head, ...(head.length + qemu.length + 2 > WIDTH ? [`          ${qemu}`] : []));
    if (head.length + qemu.length + 2 <= WIDTH) out[out.length - 1] = `${head}: ${qemu}`;
  }
  return out;
}

function problemsPart({ problems, unknown, broken }: ImportResult): string[] {
  if (problems.length === 0) return [];
  const garbled = broken === 0 ? '' : `, ${broken} of them garbled`;
  return [
    `not understood: ${unknown} lines${garbled}; the first:`,
    ...problems.map(({ line, text, why }) => `  line ${line}: ${why}: ${text}`),
  ];
}

function fit(line: string): string {
  return line.length <= WIDTH ? line : `${line.slice(0, WIDTH - 3)}...`;
}
