/** `check --fix`: repairs beside the findings they are for. Nothing is stored, so Ctrl-C leaves nothing behind. */
import type { Branch } from '../../core/history/store.ts';
import { openCheck } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { tryFixes } from '../fix/fix.ts';
import type { Session } from '../session.ts';
import type { Io } from './io.ts';
import { startProgress } from './progress.ts';

/** The findings with the repairs that were tried; each bug is tried once, at its first finding. */
export async function withFixes(
  io: Io,
  session: Session,
  branch: Branch,
  told: readonly Finding[],
): Promise<readonly Finding[]> {
  const { log } = session;
  const source = { log, branch, seek: (seq: number) => session.seek(branch, seq) };
  const check = openCheck(branch.machine, branch.name);
  for (const entry of log.read(branch.id, 1, log.head(branch.id))) check.take(entry);
  // What a repair leaves may have been an echo of what it repaired.
  const all = check.findings(true);
  const tried = new Set<string>();
  const progress = startProgress(io, 'fix', told.length);
  const out: Finding[] = [];
  for (const finding of told) {
    const summary = finding.summary ?? '';
    const fixing = tried.has(summary) || io.interrupted ? undefined : tryFixes(finding, all, source);
    tried.add(summary);
    let next = fixing?.next();
    while (next?.done === false && !io.interrupted) {
      // Ctrl-C is heard between two turns of the loop only.
      await io.drain();
      next = fixing?.next();
    }
    out.push(next?.done === true ? { ...finding, fixes: next.value } : finding);
    progress.at(out.length);
  }
  progress.stop();
  return out;
}
