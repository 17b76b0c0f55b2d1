/**
 * Wants to show: whatever entries the schemas allow come back from a segment as they went in; a
 * segment decodes when the schemas have changed since; a changed byte is found.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Entry, schemas } from '../../core/event.ts';
import { int, optional, type Schema, text } from '../../core/schema.ts';
import { ByteReader, ByteWriter } from '../../snapshots/bytes.ts';
import { readNumbers, writeNumbers } from '../../snapshots/numbers.ts';
import { SchemaBook } from '../../snapshots/schema-book.ts';
import {
  decodeSegment,
  isIntact,
  type Segment,
  SegmentWriter,
  segmentHead,
} from '../../snapshots/segment.ts';
import { StoreError } from '../../snapshots/store-error.ts';
import { arbitraryEntries } from '../support/arbitrary-entries.ts';

const before = new Uint8Array(16).fill(7);

function encode(entries: readonly Entry[], book = new SchemaBook(schemas)): Segment {
  const writer = new SegmentWriter(book);
  for (const entry of entries) writer.push(entry);
  return writer.encode(before);
}

describe('a column of numbers', () => {
  const numbers = fc.oneof(
    fc.array(fc.nat({ max: 5 })),
    fc.array(fc.maxSafeNat()),
    fc.array(fc.nat({ max: 2 ** 33 })),
    fc.array(fc.constantFrom(0, 1, 2 ** 52, 2 ** 53 - 1)),
    fc
      .tuple(fc.nat(), fc.nat({ max: 70 }))
      .map(([from, count]) => Array.from({ length: count }, (_, i) => from + 8 * i)),
  );
  it('comes back', () => {
    fc.assert(
      fc.property(numbers, (values) => {
        const out = new ByteWriter(1);
        writeNumbers(out, Float64Array.from(values), values.length);
        const reader = new ByteReader(out.view());
        expect(readNumbers(reader, values.length)).toEqual(values);
        expect(reader.left).toBe(0);
      }),
    );
  });
});

describe('a segment', () => {
  it('gives back any entries of any type', () => {
    fc.assert(
      fc.property(arbitraryEntries(fc.integer({ min: 1, max: 2 ** 40 }), { minLength: 1 }), (entries) => {
        const { value } = encode(entries);
        expect(
          decodeSegment(value, new SchemaBook(schemas, (fingerprint) => textsOf(entries).get(fingerprint))),
        ).toStrictEqual(entries);
        expect(segmentHead(value)).toMatchObject({ first: entries[0]!.seq, count: entries.length, before });
      }),
      { numRuns: 150 },
    );
  });

  it('takes entries again after a reset, and more after an encode', () => {
    fc.assert(
      fc.property(arbitraryEntries(fc.constant(1), { minLength: 2 }), (entries) => {
        const book = new SchemaBook(schemas);
        const writer = new SegmentWriter(book);
        for (const entry of entries) writer.push(entry);
        writer.reset();
        const half = entries.length >> 1;
        for (const entry of entries.slice(0, half)) writer.push(entry);
        writer.encode(before);
        for (const entry of entries.slice(half)) writer.push(entry);
        expect(decodeSegment(writer.encode(before).value, book)).toStrictEqual(entries);
      }),
      { numRuns: 50 },
    );
  });

  it('leaves out types that are not asked for', () => {
    fc.assert(
      fc.property(arbitraryEntries(fc.constant(1), { minLength: 1 }), (entries) => {
        const only = new Set([entries[0]!.type]);
        const book = new SchemaBook(schemas);
        const { value } = encode(entries, book);
        expect(decodeSegment(value, book, only)).toStrictEqual(entries.filter(({ type }) => only.has(type)));
      }),
      { numRuns: 50 },
    );
  });

  it('decodes after its types have gained fields or gone', () => {
    const then: Record<string, Schema> = {
      'thing.done': { size: int(), name: optional(text()) },
      'thing.gone': { size: int() },
    };
    const entries = [
      { seq: 1, tick: 1, cause: 0, actor: 'a', type: 'thing.done', size: 3 },
      { seq: 2, tick: 1, cause: 1, actor: 'a', type: 'thing.gone', size: 4 },
    ] as unknown as Entry[];
    const old = new SchemaBook(then);
    const { value } = encode(entries, old);
    const kept = new Map(
      Object.keys(then).map((type) => [old.forType(type).fingerprint, old.forType(type).text]),
    );
    const now = new SchemaBook({ 'thing.done': { more: int(), size: int() } }, (fingerprint) =>
      kept.get(fingerprint),
    );
    expect(decodeSegment(value, now)).toStrictEqual(entries);
  });

  it('shows every flipped byte', () => {
    const entries = fc.sample(arbitraryEntries(fc.constant(1), { minLength: 20 }), {
      numRuns: 1,
      seed: 1,
    })[0]!;
    const { value } = encode(entries);
    for (let at = 0; at < value.length; at += 1) {
      const copy = value.slice();
      copy[at]! ^= 1 << (at % 8);
      expect(isIntact(copy)).toBe(false);
      expect(() => decodeSegment(copy, new SchemaBook(schemas))).toThrow(StoreError);
    }
  });
});

function textsOf(entries: readonly Entry[]): Map<number, string> {
  const book = new SchemaBook(schemas);
  return new Map(entries.map(({ type }) => [book.forType(type).fingerprint, book.forType(type).text]));
}
