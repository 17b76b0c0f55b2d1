/** Which operands a `cpu.tlbi` line must and must not have: the row of its operation says. */
import { broadcasts } from '../../core/smmu/broadcast.ts';
import type { LineOf } from './vocabulary.ts';

export interface OperandProblem {
  readonly field: string;
  readonly message: string;
}

const RANGE = ['tg', 'num', 'scale'] as const;

/** What is wrong with the operands of a line, or undefined. */
export function operandProblem(line: LineOf<'cpu.tlbi'>): OperandProblem | undefined {
  const row = broadcasts[line.operation];
  if (row === undefined)
    return { field: 'operation', message: `expected an operation, found "${line.operation}"` };
  const e2h = line.e2h === true;
  if (e2h && line.el2 === false) return { field: 'e2h', message: 'expected false with el2 false' };
  if (row.e2hOnly === true && !e2h)
    return { field: 'e2h', message: `expected true: ${line.operation} comes from a PE in EL2-E2H alone` };
  const needed: readonly string[] = [
    // EL2 without E2H has no ASIDs, a PE without EL2 no VMIDs.
    ...row.takes.filter(
      (operand) =>
        !(operand === 'asid' && row.level === 'EL2' && !e2h) && !(operand === 'vmid' && line.el2 === false),
    ),
    ...(row.range === true ? RANGE : []),
  ];
  for (const field of ['vmid', 'asid', 'va', 'ipa', ...RANGE, 'ttl'] as const) {
    const given = line[field] !== undefined;
    if (needed.includes(field) && !given)
      return { field, message: `expected a value: ${line.operation} takes it` };
    if (given && !needed.includes(field) && !(field === 'ttl' && row.range === true))
      return { field, message: `expected no value: ${line.operation} does not take it` };
  }
  return undefined;
}
