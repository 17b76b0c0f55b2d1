/** What the rules found at a position, as reasons: the change to blame, what was owed, what came nearest. */
import type { Finding } from '../../../projections/finding.ts';
import type { Session } from '../../session.ts';
import type { Position } from '../position.ts';
import { type Evidence, fact, type Reason } from './reason.ts';

/** The findings at the position; the rules see all of the history before it. */
export async function findingReasons(
  { log }: Session,
  { branch, seq }: Position,
  evidence: Evidence,
): Promise<readonly Reason[]> {
  const { checkHistory } = await import('../../../projections/check.ts');
  const all = checkHistory(log.read(branch.id, 1, seq), branch.machine, branch.name);
  return all.filter((each) => seqOf(each.position) === seq).map((each) => findingReason(each, evidence));
}

function seqOf(position: string | null): number {
  return position === null ? 0 : Number(position.slice(position.lastIndexOf('@') + 1));
}

function findingReason(
  { rule, verdict, title, position, blame, missing }: Finding,
  evidence: Evidence,
): Reason {
  const seq = seqOf(position);
  const nearest = seqOf(missing.nearest.position);
  const miss = `${missing.nearest.command ?? ''} ${missing.nearest.why}`.trim();
  return {
    seq,
    role: `finding ${rule}`,
    what: `${verdict}: ${title}`,
    below: () => [
      ...evidence.because('blame', seqOf(blame.position)),
      fact(seq, 'needed', missing.needed),
      nearest === 0 ? fact(seq, 'nearest', miss) : nearMiss(nearest, miss, evidence),
    ],
  };
}

function nearMiss(seq: number, what: string, evidence: Evidence): Reason {
  return { seq, role: 'nearest', what, below: () => evidence.because('entry', seq) };
}
