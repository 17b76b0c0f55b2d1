/**
 * Any stimulus as JSON, and back. What a field is comes from the table of stimuli; inside irregular fields
 * `{"$u64": "0x1"}`, `{"$bytes": "00ff"}` and `{"$text": bytes of UTF-8}` stand for what JSON, or a line with
 * its saved `$names`, cannot say.
 */
import { type EventType, events } from '../../core/event.ts';
import { type Column, hexOf, jsonValue, type Kind, type Schema } from '../../core/schema.ts';
import { type Stimulus, type StimulusType, stimuli } from '../../core/stimulus.ts';
import { showFound } from '../input-error.ts';
import { anything, BYTES_MAX, type Fields, kindOf, mapOf, wholeNumber } from './values.ts';

/** Fields of the op. */
export const rawFields = {
  type: {
    kind: kindOf(
      'a stimulus such as observe or note',
      (raw) => (typeof raw === 'string' && Object.hasOwn(stimuli, raw) ? raw : undefined),
      Object.keys(stimuli),
    ),
    doc: 'as `log --type` names it',
  },
  fields: {
    kind: mapOf(undefined, anything),
    optional: true,
    doc: 'its fields as `log --json` prints them; inside irregular ones {"$u64"}, {"$bytes"} and {"$text"} say what is no JSON',
  },
} as const satisfies Fields;

export type ReadStimulus =
  | { readonly stimulus: Stimulus }
  | { readonly field: string; readonly problem: string };

/** Where the stimulus came from: said on the line itself. */
const ORIGIN: readonly string[] = ['line', 'cpu', 'pc'];

/** The fields of a stimulus as JSON. */
export function stimulusFields(stimulus: Stimulus): Readonly<Record<string, unknown>> {
  const values = stimulus as unknown as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    Object.entries(schemaOf(stimulus.type)).flatMap(([name, kind]) => {
      const value = values[name];
      return value === undefined || ORIGIN.includes(name) ? [] : [[name, fieldJson(kind, value)]];
    }),
  );
}

function schemaOf(type: StimulusType): Schema {
  return stimuli[type];
}

function fieldJson(kind: Kind<unknown, boolean>, value: unknown): unknown {
  return kind.column === 'json' || kind.column === 'text' ? tagged(value) : jsonValue(kind, value);
}

function tagged(value: unknown): unknown {
  if (typeof value === 'bigint') return { $u64: `0x${value.toString(16)}` };
  if (value instanceof Uint8Array) return { $bytes: hexOf(value) };
  if (typeof value === 'string')
    return value.startsWith('$') ? { $text: hexOf(new TextEncoder().encode(value)) } : value;
  if (Array.isArray(value)) return value.map(tagged);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries.map(([name, each]) => [name, tagged(each)]));
}

/** The stimulus of such fields, or what is wrong with which. */
export function readStimulus(type: StimulusType, fields: Readonly<Record<string, unknown>>): ReadStimulus {
  const schema = schemaOf(type);
  const names = Object.keys(schema).filter((name) => !ORIGIN.includes(name));
  const values: Record<string, unknown> = { type };
  const unknown = Object.keys(fields).find((name) => !names.includes(name));
  if (unknown !== undefined)
    return { field: 'fields', problem: `expected ${names.join(', ')}, found ${showFound(unknown)}` };
  for (const name of names) {
    const kind = schema[name] as Kind<unknown, boolean>;
    const raw = fields[name];
    if (raw === undefined && kind.optional) continue;
    const value = raw === undefined ? undefined : readField(kind, raw);
    if (value === undefined)
      return {
        field: `fields.${name}`,
        problem: `expected ${EXPECTED[kind.column]}, found ${showFound(raw)}`,
      };
    const problem = contentProblem(type, name, value);
    if (problem !== undefined) return { field: `fields.${name}`, problem };
    values[name] = value;
  }
  return { stimulus: values as unknown as Stimulus };
}

/** Lengths that are asked for; no line may ask for more. */
const LENGTHS: readonly string[] = [
  'dma',
  'mem.read',
  'user.read',
  'ats.translate',
  'mmio.write',
  'mmio.read',
];

/** What the kind of a field does not say about its content. */
function contentProblem(type: StimulusType, name: string, value: unknown): string | undefined {
  if (name === 'size' && LENGTHS.includes(type) && (value as number) > BYTES_MAX)
    return `expected at most ${BYTES_MAX} bytes, found ${value}`;
  if (name === 'events') return eventsProblem(value);
  if (name === 'buffers') return buffersProblem(value);
  if (name !== 'set') return undefined;
  const switches = Object.values((value ?? {}) as object);
  return isRecord(value) && switches.every((each) => typeof each === 'boolean')
    ? undefined
    : `expected {NAME: true or false}, found ${showFound(value)}`;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

function buffersProblem(value: unknown): string | undefined {
  const fits = (each: unknown): boolean =>
    isRecord(each) &&
    typeof each['field'] === 'string' &&
    Number.isSafeInteger(each['offset']) &&
    each['bytes'] instanceof Uint8Array;
  if (Array.isArray(value) && value.every(fits)) return undefined;
  return `expected a list of {field, offset, bytes}, found ${showFound(value)}`;
}

/** Observed events are taken as they are, so they must be events of the log, whole. */
function eventsProblem(value: unknown): string | undefined {
  if (!Array.isArray(value)) return `expected a list of events, found ${showFound(value)}`;
  for (const event of value) {
    const type = isRecord(event) ? event['type'] : undefined;
    if (typeof type !== 'string' || !Object.hasOwn(events, type))
      return `expected events of the log, found ${showFound(type)}`;
    const schema: Schema = events[type as EventType];
    for (const [name, { column, optional }] of Object.entries(schema)) {
      const field = (event as Record<string, unknown>)[name];
      if (field === undefined ? !optional : !HOLDS[column](field))
        return `expected ${type} with ${name}, ${EXPECTED[column]}, found ${showFound(field)}`;
    }
  }
  return undefined;
}

const HOLDS: Readonly<Record<Column, (value: unknown) => boolean>> = {
  int: (value) => Number.isSafeInteger(value),
  u64: (value) => typeof value === 'bigint' && value >= 0n && value < 1n << 64n,
  flag: (value) => typeof value === 'boolean',
  text: (value) => typeof value === 'string',
  bytes: (value) => value instanceof Uint8Array,
  json: () => true,
};

const EXPECTED = {
  int: 'a whole number',
  u64: 'a value of at most 64 bits',
  flag: 'true or false',
  text: 'a text',
  bytes: 'bytes as hexadecimal digits',
  json: 'plain data',
} as const;

function readField({ column }: Kind<unknown, boolean>, raw: unknown): unknown {
  const number = wholeNumber(raw);
  switch (column) {
    case 'int':
      return number !== undefined && number <= Number.MAX_SAFE_INTEGER ? Number(number) : undefined;
    case 'u64':
      return number !== undefined && number < 1n << 64n ? number : undefined;
    case 'flag':
      return typeof raw === 'boolean' ? raw : undefined;
    case 'bytes':
      return readBytes(raw);
    case 'text': {
      const text = untagged(raw);
      return typeof text === 'string' ? text : undefined;
    }
    default:
      return untagged(raw);
  }
}

function readBytes(raw: unknown): Uint8Array | undefined {
  if (typeof raw !== 'string' || !/^([0-9a-fA-F]{2})*$/.test(raw)) return undefined;
  return Uint8Array.from(raw.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
}

/** Undefined where a tag holds what it should not. */
function untagged(raw: unknown): unknown {
  if (Array.isArray(raw)) return raw.map(untagged);
  if (typeof raw !== 'object' || raw === null) return raw;
  const { $u64, $bytes, $text } = raw as Readonly<Record<string, unknown>>;
  if ($u64 !== undefined) return wholeNumber($u64);
  if ($bytes !== undefined) return readBytes($bytes);
  if ($text !== undefined) {
    const bytes = readBytes($text);
    return bytes && new TextDecoder().decode(bytes);
  }
  return Object.fromEntries(Object.entries(raw).map(([name, each]) => [name, untagged(each)]));
}
