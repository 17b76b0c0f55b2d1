/** `help findings`: what stands in a report, what repairs may come to, and the files that filter findings. */
import type { Verdict } from '../../projections/finding.ts';
import { baselineFields } from '../findings/baseline.ts';
import { suppressionFields } from '../findings/suppressions.ts';
import { fixVerdicts } from '../fix/fix.ts';
import type { Fields } from '../scenario/values.ts';

/** Worst first. */
const verdicts: Readonly<Record<Verdict, string>> = {
  'used-stale': 'an access was served from what should be gone',
  'could-be-used': 'memory or a tag took a new role while something legal may still reach it',
  'remade-dirty': 'a new entry was made before the old one was clean',
  protocol: 'a rule of a queue, of an error or of an order was broken',
  excess: 'more work than was needed; never fails a check',
};

const sections: Readonly<Record<string, string>> = {
  'Access, Entry': 'what was used, how it was filled, what it rests on',
  broken: 'the change that made it wrong, with line, CPU and pc where they are known',
  owed: 'which entries may be there, and how far they are from being gone',
  'Nearest miss': 'the command that came closest, and why it does not count',
  'Smallest change': 'what would have kept the rule; with --fix what was tried',
  meanwhile: 'who got and gave back the page, where a kernel says so',
  SUMMARY: 'the same for all findings of one bug: rule, verdict, structure, actor',
};

/** The lines of the topic. */
export function findingsHelp(): readonly string[] {
  return [
    'Verdicts, worst first (`help rules` tells of the rules):',
    '',
    ...rows(verdicts),
    '',
    'A report, and each finding with --json, tells:',
    '',
    ...rows(sections),
    '',
    'check --fix decides the history anew with each repair, in memory, and says:',
    '',
    ...rows(fixVerdicts),
    '',
    'check --suppress FILE: one object a line, // lines are skipped:',
    '',
    ...fieldRows(suppressionFields),
    '',
    'check --baseline FILE, as --write-baseline writes it:',
    '',
    ...fieldRows(baselineFields),
    '',
    'shrink makes a small scenario of a finding; export scenario keeps all of it.',
  ];
}

function rows(table: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(table).map(([name, text]) => `  ${name.padEnd(17)}${text}`);
}

function fieldRows(fields: Fields): readonly string[] {
  return Object.entries(fields).flatMap(([name, { kind, optional, doc }]) => [
    `  ${`${name}${optional === true ? '?' : ''}`.padEnd(17)}${doc}`,
    `  ${''.padEnd(17)}${kind.expected}`,
  ]);
}
