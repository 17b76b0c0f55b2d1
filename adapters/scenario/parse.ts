/** From a JSON object to a checked line. What is wrong names the field, what was expected, and what stood there. */
import type * as z from 'zod';
import { meant } from '../../core/path/near.ts';
import { InputError, type Place, showFound } from '../input-error.ts';
import { commonFields } from './common-fields.ts';
import { type Fields, strict } from './values.ts';
import { isOp, type Line, laterFields, type Op, opProblem, vocabulary } from './vocabulary.ts';

/** Refuses a field of a line. */
export function refuse(place: Place, op: string, field: string, message: string): InputError {
  return new InputError(`${op}: ${field === '' ? '' : `${field}: `}${message}`, place);
}

/** The line, or an InputError with its place. */
export function parseLine(raw: unknown, place: Place): Line {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw new InputError(`expected an object with "op", found ${showFound(raw)}`, place);
  }
  const { op, ...fields } = raw as Record<string, unknown>;
  if (typeof op !== 'string')
    throw new InputError(`op: expected the name of an op, found ${showFound(op)}`, place);
  if (!isOp(op)) throw new InputError(`op: ${opProblem(op)}`, place);
  const later = laterFields[op]?.find((field) => field in fields);
  if (later !== undefined) throw refuse(place, op, later, 'is not in this version of Backwalk');
  const parsed = schemaOf(op).safeParse(fields);
  if (!parsed.success) throw firstIssue(parsed.error, fields, op, place);
  const alternatives = (vocabulary[op] as { oneOf?: readonly string[] }).oneOf ?? [];
  const given = alternatives.filter((field) => fields[field] !== undefined);
  if (alternatives.length > 0 && given.length !== 1) {
    const found = given.length === 0 ? 'none' : given.join(' and ');
    throw refuse(place, op, '', `expected exactly one of ${alternatives.join(', ')}, found ${found}`);
  }
  return { op, ...parsed.data } as Line;
}

const schemas = new Map<Op, z.ZodType<Record<string, unknown>>>();

function schemaOf(op: Op): z.ZodType<Record<string, unknown>> {
  const known = schemas.get(op);
  if (known !== undefined) return known;
  const own = vocabulary[op].fields;
  // What an op says of a field goes before what is said of all lines.
  const made = strict({ ...own, ...commonFields, ...own } as Fields);
  schemas.set(op, made);
  return made;
}

function firstIssue(error: z.ZodError, fields: Record<string, unknown>, op: Op, place: Place): InputError {
  const issue = error.issues[0];
  if (issue === undefined) return refuse(place, op, '', 'expected another line');
  const where = issue.path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('');
  let found: unknown = fields;
  for (const step of issue.path) found = (found as Record<PropertyKey, unknown> | undefined)?.[step];
  const shown = issue.code === 'unrecognized_keys' ? '' : `, found ${showFound(found)}`;
  return refuse(place, op, where.slice(1), `${issue.message}${shown}`);
}

/** An SMMU with enhanced queues has hundreds of units. */
const NAMES_SHOWN = 12;

/** `found` is not among `known`: with the names that may have been meant. */
export function unknownName(found: string, known: readonly string[]): string {
  if (known.length === 0) return `expected one that was made before, found "${found}", and none was`;
  const shown = known.length > NAMES_SHOWN ? [...known.slice(0, NAMES_SHOWN), '...'] : known;
  return `expected one of ${shown.join(', ')}, found "${found}"${meant(found, known)}`;
}
