/** `help scenario`, made from the tables that check the lines. */

import { commonFields } from '../scenario/common-fields.ts';
import type { Fields } from '../scenario/values.ts';
import { type OpRow, vocabulary } from '../scenario/vocabulary.ts';

const INTRODUCTION = [
  'A scenario is JSON Lines: one object a line; blank lines and // lines are skipped.',
  'Or a TypeScript module whose default export scenario() made. Numbers are JSON',
  'numbers or "0x..." strings. A bad line stops before anything of it has happened.',
  '',
];

/** Every op with its fields, what they take and what the line answers. */
export function scenarioHelp(): string[] {
  const ops = Object.entries(vocabulary as Readonly<Record<string, OpRow>>).flatMap(([op, row]) => [
    `{"op":"${op}", ...}`,
    `  ${row.summary}.`,
    ...fieldLines(row.fields),
    ...(row.oneOf === undefined ? [] : [`  exactly one of ${row.oneOf.join(', ')}`]),
    `  answers ${row.outcome}`,
    '',
  ]);
  return [...INTRODUCTION, ...ops, 'on any line', ...fieldLines(commonFields)];
}

function fieldLines(fields: Fields): string[] {
  return Object.entries(fields).flatMap(([name, { kind, optional, doc }]) => [
    `  ${`${name}${optional === true ? '?' : ''}`.padEnd(14)} ${doc}`,
    `  ${''.padEnd(14)} ${kind.expected}`,
  ]);
}
