/** `help rules`, made from the table of the rules. */
import { rules } from '../../projections/rules.ts';

/** Each rule with its verdicts and what it rests on. */
export function rulesHelp(): string[] {
  return [
    'check tells where a history breaks them; --rule takes an id or a name, or several.',
    '',
    ...rules.flatMap(({ id, name, title, verdicts, section }) => [
      `  ${id.padEnd(4)}${name.padEnd(26)}${verdicts.join(', ')}`,
      `      ${title}`,
      `      (${section})`,
    ]),
  ];
}

/** One object for each rule. */
export function ruleRows(): object[] {
  return rules.map(({ projection, ...row }) => row);
}
