/**
 * The key by which reports of one bug are one: what went wrong, by whose doing, and what would have helped.
 * Nothing in it varies between two runs of the same software: no address, no position, no line.
 */
import type { Finding } from './finding.ts';

/** `stale-translation-used I3 used-stale leaf by guest: TLBI_NH_VA`: short, for it is never folded. */
export function summaryOf({ title, rule, verdict, blame, missing, obligations }: Finding): string {
  const [kind = title] = title.split(/[ :]/, 1);
  const structure = obligations[0]?.structure.replace('stage 2', 'S2').replace(' descriptor', '');
  const what = [kind, rule, verdict, ...(structure === undefined ? [] : [structure])].join(' ');
  const lost =
    missing.commands[0]?.command.replace('CMD_', '') ??
    (verdict === 'used-stale' && obligations.length > 0 ? OUTLIVED : undefined);
  const end = [lost, wayOf(missing.nearest.why)].flatMap((part) => part ?? []).join(' ');
  return `${what} by ${steady(blame.actor)}${end === '' ? '' : `: ${end}`}`;
}

/** How the command that was right in all else was lost; that another was near says nothing about the bug. */
const WAYS: readonly (readonly [why: RegExp, way: string])[] = [
  [/^counted as handled by/, 'unsent'],
  [/^done for \S+ alone/, 'unsent'],
  [/^refused with/, 'refused'],
  [/^queued, not performed/, 'queued'],
  [/^no CMD_SYNC has completed/, 'unsynced'],
];

function wayOf(why: string): string | undefined {
  return WAYS.find(([pattern]) => pattern.test(why))?.[1];
}

const OUTLIVED = 'outlived it';

/** Names without the numbers that another run gives otherwise. */
function steady(text: string): string {
  return text.replace(/0x[0-9a-f]+/gi, '0x*');
}
