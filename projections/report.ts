/**
 * A finding as text, in the habit of KASAN reports: class, access, entry, the change
 * that broke it, what was owed, the nearest miss. At most 80 columns; each fact begins with a position.
 */
import type { Blame, Finding, Step } from './finding.ts';
import { shellLines } from './shell-lines.ts';
import { summaryOf } from './summary.ts';

const WIDTH = 80;
/** Marks a line that is not to be folded. */
const PASTED = '\0';
const RULE = '='.repeat(66);

/** The report, lines ended by `\n`. */
export function report(finding: Finding): string {
  const lines = [
    RULE,
    `BUG: backwalk: ${finding.title}`,
    ...head(finding),
    '',
    ...access(finding),
    ...entry(finding),
    ...broken(finding),
    ...owed(finding),
    ...section('Needed:', needed(finding)),
    ...section('Nearest miss:', nearest(finding)),
    ...section('Smallest change:', finding.smallest === undefined ? [] : [` ${finding.smallest}`]),
    ...fixes(finding),
    ...owners(finding),
    ...section(
      'Notes:',
      finding.notes.map((note) => ` ${note}`),
    ),
    ...(finding.map === undefined ? [] : [...finding.map, '']),
    verdict(finding),
    ...(finding.twin === undefined ? [] : [`Fix twin: ${finding.twin}`]),
    `SUMMARY: ${summaryOf(finding)}`,
    ...finding.next.map((command, at) => `${at === 0 ? 'Next:      ' : '           '}${command}`),
    // A shell goes on after &&, so it can be pasted as it stands.
    ...reproduceLines(finding),
    RULE,
  ];
  return `${lines.flatMap(fit).join('\n')}\n`;
}

function reproduceLines({ reproduce }: Finding): readonly string[] {
  const commands = reproduce.split(' && ');
  if (commands.length === 1) return [`Reproduce: ${reproduce}`];
  return [
    'Reproduce:',
    ...commands.map((command, at) => ` ${command}${at < commands.length - 1 ? ' &&' : ''}`),
  ];
}

function head({ access, position, rule }: Finding): readonly string[] {
  if (access === undefined) return [` position ${position}   rule ${rule}`];
  const { size, iova, pa, result, substreamId, now } = access;
  const went = pa === undefined ? `ended: ${result}` : `went to PA ${pa}`;
  return [
    ` ${size} bytes at IOVA ${iova} ${went}   SSID ${substreamId ?? 'none'}`,
    ` a walk now would give: ${now}`,
    ` position ${position}   rule ${rule}`,
  ];
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines, ''];
}

function step({ position, actor, what }: Step): string {
  return ` ${position.padEnd(14)} ${actor.padEnd(10)} ${what}`;
}

function access({ access: used, entry: filled }: Finding): readonly string[] {
  if (used === undefined) return [];
  const { position, endpoint, size, iova, via, line } = used;
  const what = `${used.access === 'write' ? 'MemWr' : 'MemRd'} ${size}B iova=${iova}`;
  const place = line === undefined ? '' : `   line ${line}`;
  const lines = [step({ position, actor: endpoint, what: `${what}${place}` })];
  if (filled !== undefined) {
    const how = `${via ?? 'refused'}: ${filled.cache} ${filled.what}`;
    lines.push(step({ position, actor: '', what: how }));
  }
  return section('Access:', lines);
}

function entry({ entry: used }: Finding): readonly string[] {
  return used === undefined ? [] : section('Entry was filled:', used.rests.map(step));
}

/** Of a finding without an access: what its class says was done. */
function titleOf({ title, verdict }: Finding): string {
  if (title.startsWith('memory-released')) return 'Memory was released:';
  if (title.startsWith('memory-reused')) return 'Memory was reused:';
  if (title.startsWith('remade')) return 'Descriptor was made:';
  if (verdict === 'excess') return 'More was done than needed:';
  return 'What was done:';
}

function broken(finding: Finding): readonly string[] {
  const { access: used, blame, after } = finding;
  // Nothing changed: its look-up is the matter.
  const taken = finding.title.startsWith('entry-of-another')
    ? 'Wrong entry was taken:'
    : 'Mapping was broken:';
  return section(used === undefined ? titleOf(finding) : taken, [...told(blame), ...after.flatMap(told)]);
}

/** Nothing is owed: what was done is the matter, or what it was done for. */
const isDeed = ({ obligations }: Finding): boolean => obligations.length === 0;

function told(blame: Blame): readonly string[] {
  const place = [
    ...(blame.cpu === undefined ? [] : [`cpu ${blame.cpu}`]),
    ...(blame.pc === undefined ? [] : [`pc ${blame.pc}`]),
    ...(blame.line === undefined ? [] : [`line ${blame.line}`]),
  ];
  const first = step(blame);
  return place.length === 0 ? [first] : [first, `${' '.repeat(27)}${place.join('  ')}`];
}

/** More than this is counted, not listed. */
const OWED_MAX = 6;

function owed({ obligations }: Finding): readonly string[] {
  const lines = obligations
    .slice(0, OWED_MAX)
    .flatMap(({ since, owes, structure, where, state, remade }) => [
      ` ${since.padEnd(14)} ${owes}`,
      `${' '.repeat(16)}for the ${structure} at ${where}: ${state}`,
      ...(remade === undefined ? [] : [` ${remade.padEnd(14)} made valid again before that`]),
    ]);
  const more = obligations.length - OWED_MAX;
  return section('What was owed:', more > 0 ? [...lines, ` and ${more} more`] : lines);
}

function needed({ missing }: Finding): readonly string[] {
  if (missing.commands.length === 0) return [` ${missing.needed}`];
  return missing.needed.split('; ').map((text, at) => {
    const words = missing.commands[at]?.words.join(' ') ?? '';
    return ` ${text}   [${words}]`;
  });
}

function nearest({ missing }: Finding): readonly string[] {
  const { position, why, command } = missing.nearest;
  if (position === null) return why === '' ? [] : [` none: ${why}`];
  return [` ${position.padEnd(14)} ${command ?? ''}`, `${' '.repeat(16)}${why}`];
}

function fixes({ fixes: tried }: Finding): readonly string[] {
  if (tried === undefined) return [];
  if (tried.length === 0) return section('Repairs tried:', [' none: nothing is known that could help']);
  return section(
    'Repairs tried:',
    tried.flatMap(({ verdict: end, change, findings, rerun }) => [
      ` ${ENDS[end] ?? end}${end === 'clean' ? '' : `, ${findings} left`}: ${change}`,
      ...shellLines(rerun).map((line) => `${PASTED}${line}`),
    ]),
  );
}

/** What came of a repair, in words. */
const ENDS: Readonly<Record<string, string>> = {
  clean: 'clean',
  gone: 'this one gone',
  other: 'gone, but more changes',
  left: 'no help',
  refused: 'refused by the machine',
};

function owners({ access: used, owners: steps }: Finding): readonly string[] {
  if (used?.pa === undefined || steps === undefined) return [];
  return section(`PA ${used.pa} meanwhile:`, steps.map(step));
}

function verdict(finding: Finding): string {
  const { verdict: name, consequence, rule, dirtyEvents, dirtyTicks } = finding;
  const line = `Verdict: ${name} (${consequence})   rule ${rule}`;
  if (isDeed(finding)) return line;
  const ticks = dirtyTicks === undefined ? '' : `, ${dirtyTicks} ticks`;
  return `${line}   dirty for ${dirtyEvents} events${ticks}`;
}

/** Breaks a line that is too long at blanks; what goes on is indented. */
function fit(line: string): readonly string[] {
  // A key is compared as a whole, so it stays on one line.
  if (line.startsWith(PASTED)) return [line.slice(1)];
  if (line.length <= WIDTH || line.startsWith('SUMMARY: ')) return [line.trimEnd()];
  // Under the third column of a step, else a little further in.
  const column = /^ \S+@\d+ +\S* {2,}/.exec(line)?.[0].length ?? (/^ */.exec(line)?.[0].length ?? 0) + 4;
  const indent = ' '.repeat(Math.min(column, 40));
  const lines: string[] = [];
  let rest = line;
  for (let round = 0; round < 64 && rest.length > WIDTH; round += 1) {
    const blank = rest.lastIndexOf(' ', WIDTH);
    const least = lines.length === 0 ? (/\S/.exec(rest)?.index ?? 0) : indent.length;
    const cut = blank > least ? blank : WIDTH;
    lines.push(rest.slice(0, cut).trimEnd());
    rest = `${indent}${rest.slice(cut).trimStart()}`;
  }
  return [...lines, rest.trimEnd()];
}
