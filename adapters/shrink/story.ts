/** What is to be shrunk, as lines: of a scenario file, or of a history in a store up to its finding. */
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { Branch, LogStore } from '../../core/history/store.ts';
import { checkHistory, seqOf } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { summaryOf } from '../../projections/summary.ts';
import { InputError } from '../input-error.ts';
import { plain } from '../scenario/compare.ts';
import { exportLines, needsTurns } from '../scenario/export.ts';
import { openPlayer } from '../scenario/played.ts';
import { readScenario } from '../scenario/reader.ts';
import type { ScenarioLine } from '../scenario/scenario.ts';
import { playLines, type Target, targetOf } from './trial.ts';

/** Lines that show a finding. */
export interface Story {
  readonly lines: readonly ScenarioLine[];
  readonly target: Target;
}

/** The story of a file; it is run once to know its lines, for a module makes them as it is answered. */
export async function fileStory(file: string, stdin: Readable, summary: string | undefined): Promise<Story> {
  if (!existsSync(file)) throw new InputError(`no file ${file}`);
  const player = openPlayer(() => {});
  const lines: ScenarioLine[] = [];
  for await (const chunk of readScenario(file, stdin))
    for (const { place, read } of chunk.lines) {
      const line = read();
      const { outcome } = player.play(line, place);
      chunk.answer?.(outcome);
      lines.push(plain(line) as ScenarioLine);
    }
  const { findings } = playLines(lines);
  return { lines, target: targetOf(chosen(findings, summary, undefined, file)) };
}

/**
 * The story of a history up to `seq`: the finding there, or the first one; an InputError when it cannot be told in lines.
 * @param where the position, for people
 */
export function historyStory(
  log: LogStore,
  branch: Branch,
  seq: number,
  { summary, where }: { readonly summary: string | undefined; readonly where: string },
): Story {
  const findings = checkHistory(log.read(branch.id, 1, seq), branch.machine, branch.name);
  const finding = chosen(findings, summary, seq, where);
  const read = () => log.read(branch.id, 1, seqOf(finding));
  const turns = branch.parent !== undefined && needsTurns(branch.machine, read());
  const made = exportLines(branch.machine, read(), { turns });
  const lines: ScenarioLine[] = [];
  for (;;) {
    const next = made.next();
    if (next.done !== true) lines.push(next.value);
    else if (next.value === undefined) return { lines, target: targetOf(finding) };
    else {
      const { seq: at, type } = next.value.recorded;
      throw new InputError(
        `${branch.name}@${at}: expected a history that runs again, found ${type} where the machine now says otherwise: shrink what \`backwalk rerun\` makes of it`,
      );
    }
  }
}

/** The finding with that SUMMARY; or that at the position; or the first. */
function chosen(
  findings: readonly Finding[],
  summary: string | undefined,
  seq: number | undefined,
  where: string,
): Finding {
  const wanted = summary?.replace(/^SUMMARY: /, '');
  const found =
    wanted === undefined
      ? (findings.find((each) => seqOf(each) === seq) ?? findings[0])
      : findings.find((each) => summaryOf(each) === wanted);
  if (found !== undefined) return found;
  if (findings.length === 0) throw new InputError(`${where}: expected a history with a finding, found none`);
  const known = [...new Set(findings.map(summaryOf))].map((each) => `"${each}"`).join(', ');
  throw new InputError(`--summary: expected one of ${known}, found "${wanted}"`);
}
