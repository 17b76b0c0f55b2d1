/**
 * What a finding gains when its log is at hand: how long things were dirty, who had the page meanwhile,
 * and the smallest change that would have kept the rule. It asks nothing of the rule that found it, so
 * findings of all rules are told alike.
 */
import type { Entry } from '../core/event.ts';
import { seqOf } from './check.ts';
import type { Finding, Missing, Position, Step } from './finding.ts';
import { hex } from './obligations/tell.ts';
import { ownersOf } from './owners.ts';
import { summaryOf } from './summary.ts';

/** Reads entries `from <= seq <= to` of the findings' branch. */
export type ReadEntries = (from: number, to: number) => Iterable<Entry>;

/** The findings with everything that their log can add. The log is read once more, and only if a kernel wrote it. */
export function tellMore(
  findings: readonly Finding[],
  read: ReadEntries,
  kernel: boolean,
): readonly Finding[] {
  const last = findings.reduce((most, each) => Math.max(most, seqOf(each)), 0);
  const owners = kernel ? ownersOf(findings, read(1, last)) : new Map<Finding, readonly Step[]>();
  return findings.map((finding) => ({
    ...finding,
    missing: { ...finding.missing, nearest: { ...finding.missing.nearest, ...differing(finding.missing) } },
    ...dirtyPart(finding, read),
    ...(kernel ? ownerPart(finding, owners.get(finding)) : {}),
    ...smallestPart(finding),
    summary: summaryOf(finding),
  }));
}

/** The change is so many entries before the finding. */
function dirtyPart(finding: Finding, read: ReadEntries): Pick<Finding, 'dirtyTicks'> {
  const seq = seqOf(finding);
  const [since, now] = [tickAt(seq - finding.dirtyEvents, read), tickAt(seq, read)];
  return since === undefined || now === undefined ? {} : { dirtyTicks: now - since };
}

function tickAt(seq: number, read: ReadEntries): number | undefined {
  for (const { tick } of read(seq, seq)) return tick;
  return undefined;
}

/** Said of logs without page frees; not true where the log has them. */
const UNKNOWN_OWNER = /^page frees are not in this log/;

function ownerPart({ notes, access }: Finding, owners: readonly Step[] | undefined): Partial<Finding> {
  const kept = notes.filter((note) => !UNKNOWN_OWNER.test(note));
  if (owners !== undefined) return { owners, notes: kept };
  return kept.length === notes.length
    ? {}
    : { notes: [...kept, `nobody was given ${access?.pa ?? 'the page'} or gave it back meanwhile`] };
}

/** The fields by which the nearest command differs from the one that was needed. */
function differing({ nearest, commands: [first] }: Missing): Pick<Missing['nearest'], 'differs'> {
  if (nearest.command === undefined || first === undefined) return {};
  const [name = '', ...parts] = nearest.command.split(' ');
  if (name !== first.command) return { differs: [{ field: 'command', found: name, needed: first.command }] };
  const found = new Map(parts.map((part) => part.split('=', 2) as [string, string]));
  const differs = Object.entries(first.fields).flatMap(([field, value]) => {
    const [is, wanted] = [numberOf(found.get(field) ?? '0'), numberOf(value)];
    return is === wanted || !isTold(field, nearest.why)
      ? []
      : [{ field, found: hex(is), needed: hex(wanted) }];
  });
  return differs.length === 0 ? {} : { differs };
}

/** Whether the reason why the command does not count has to do with the field: an address in its range may differ. */
function isTold(field: string, why: string): boolean {
  return why.includes(field === 'Address' ? 'does not hold' : field);
}

/** Fields are told as numbers, flags or `0x...`; names of values count as different from all numbers. */
function numberOf(value: string | number | boolean): bigint {
  if (typeof value === 'boolean') return value ? 1n : 0n;
  return /^(0x[0-9a-f]+|\d+)$/.test(String(value)) ? BigInt(value) : -1n;
}

/**
 * Where what is owed began: a command that comes later than this discharges it. Where memory was reused, or tags do
 * not agree, that is not what is to blame.
 */
export function owedSince({ rule, verdict, blame, obligations: [first] }: Finding): Position {
  const elsewhere = verdict === 'could-be-used' || rule === 'I4';
  return elsewhere && first !== undefined ? first.since : blame.position;
}

function smallestPart(finding: Finding): Pick<Finding, 'smallest'> {
  const { missing } = finding;
  const { nearest, commands } = missing;
  const since = owedSince(finding);
  if (commands.length === 0) return {};
  const names = commands.map(({ command }) => command).join(', ');
  const add = `add ${names} after ${since}`;
  if (nearest.position === null) return { smallest: add };
  if (/^too early/.test(nearest.why) && nearest.position === since)
    return { smallest: `say the command of ${nearest.position} later, when what it waits for is done` };
  if (/^too early/.test(nearest.why))
    return {
      smallest: `move the command of ${nearest.position} behind ${since}, with its CMD_SYNC`,
    };
  if (/^no CMD_SYNC/.test(nearest.why)) return { smallest: `add CMD_SYNC after ${nearest.position}` };
  if (/^counted as handled/.test(nearest.why))
    return { smallest: `issue the command of ${nearest.position}, which was told to be handled` };
  if (/^done for/.test(nearest.why))
    return { smallest: `hand the command of ${nearest.position} on to hardware: ${names}` };
  const { differs } = differing(missing);
  if (differs === undefined || differs.some(({ field }) => field === 'command')) return { smallest: add };
  const changes = differs.map(({ field, found, needed }) => `${field} ${found} -> ${needed}`).join(', ');
  const where = differs.find(({ field }) => field === 'Address');
  if (where !== undefined)
    return { smallest: `widen the command of ${nearest.position} to hold ${where.needed}, or ${add}` };
  return { smallest: `change the command of ${nearest.position}: ${changes}` };
}
