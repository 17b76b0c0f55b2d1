/**
 * The schemas a log was written with. A segment names each by a fingerprint and the log keeps its
 * text once, so that what was written today decodes when a type has gained fields or is gone.
 */
import { createHash } from 'node:crypto';
import type { Column, Schema } from '../core/schema.ts';
import { StoreError } from './store-error.ts';

export interface FieldShape {
  readonly name: string;
  readonly column: Column;
  readonly optional: boolean;
}

/** What a segment needs to know of one type. */
export interface TypeShape {
  /** 48 bits of the hash of `text`. */
  readonly fingerprint: number;
  readonly type: string;
  readonly fields: readonly FieldShape[];
  /** The type's name, then a line `name column` for each field, `?` behind an optional one. */
  readonly text: string;
}

const columns: ReadonlySet<string> = new Set<Column>(['int', 'u64', 'flag', 'text', 'bytes', 'json']);

function fingerprintOf(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6);
}

export function shapeOf(type: string, schema: Schema): TypeShape {
  const fields = Object.entries(schema).map(([name, { column, optional }]) => ({ name, column, optional }));
  const lines = fields.map(({ name, column, optional }) => `${name} ${column}${optional ? '?' : ''}`);
  const text = [type, ...lines].join('\n');
  return { fingerprint: fingerprintOf(text), type, fields, text };
}

/** The shape that a text kept in a log describes; StoreError when it is not what was kept. */
export function parseShape(fingerprint: number, text: string): TypeShape {
  if (fingerprintOf(text) !== fingerprint) throw new StoreError('a schema does not match its fingerprint');
  const [type = '', ...lines] = text.split('\n');
  const fields = lines.map((line) => {
    const [name = '', kind = ''] = line.split(' ');
    const optional = kind.endsWith('?');
    const column = optional ? kind.slice(0, -1) : kind;
    if (!columns.has(column)) throw new StoreError(`a schema has a column ${column}`);
    return { name, column: column as Column, optional };
  });
  return { fingerprint, type, fields, text };
}

/** Shapes by type, for writing, and by fingerprint, for reading. */
export class SchemaBook {
  readonly #schemas: Readonly<Record<string, Schema>>;
  readonly #byType = new Map<string, TypeShape>();
  readonly #byFingerprint = new Map<number, TypeShape>();
  readonly #load: (fingerprint: number) => string | undefined;

  /** @param load the text kept under a fingerprint that this program does not know. */
  constructor(
    schemas: Readonly<Record<string, Schema>>,
    load: (fingerprint: number) => string | undefined = () => undefined,
  ) {
    this.#schemas = schemas;
    this.#load = load;
  }

  forType(type: string): TypeShape {
    const known = this.#byType.get(type);
    if (known !== undefined) return known;
    const schema = this.#schemas[type];
    if (schema === undefined) throw new Error(`invariant: ${type} has a schema`);
    const shape = shapeOf(type, schema);
    this.#byType.set(type, shape);
    this.#byFingerprint.set(shape.fingerprint, shape);
    return shape;
  }

  forFingerprint(fingerprint: number): TypeShape {
    const known = this.#byFingerprint.get(fingerprint);
    if (known !== undefined) return known;
    const text = this.#load(fingerprint);
    if (text === undefined) throw new StoreError(`the schema ${fingerprint.toString(16)} is missing`);
    const shape = parseShape(fingerprint, text);
    this.#byFingerprint.set(fingerprint, shape);
    return shape;
  }
}
