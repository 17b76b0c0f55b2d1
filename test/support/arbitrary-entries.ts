/** Any entry of any type, made from the schemas, for property tests. */
import fc from 'fast-check';
import { type Entry, type EntryType, schemas } from '../../core/event.ts';
import type { Column, Kind } from '../../core/schema.ts';

const text = fc.oneof(
  fc.constantFrom('smmu0', 'nvme0', 'CMD_SYNC', ''),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
);

/** Plain data as msgpack keeps it: no lone surrogates, no `__proto__`. */
export const plainData: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.integer(),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    text,
    fc.bigInt({ min: 0n, max: (1n << 70n) - 1n }).filter((value) => value > BigInt(Number.MAX_SAFE_INTEGER)),
    fc.uint8Array({ maxLength: 20 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom('a', 'type', 'pa', 'words', 'x y'), tie('value'), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
  ),
})).value;

const integer = fc.oneof(
  fc.nat({ max: 300 }),
  fc.nat(),
  fc.maxSafeNat(),
  fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 53 - 1),
);
const wide = fc.oneof(
  fc.bigInt({ min: 0n, max: 0xffn }),
  fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
  fc.constantFrom(0n, 0x80000000n, 0x100000000n, 0xffffffffffffffffn),
);

const values: Record<Column, fc.Arbitrary<unknown>> = {
  int: integer,
  u64: wide,
  flag: fc.boolean(),
  text,
  bytes: fc.oneof(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ minLength: 8, maxLength: 8 })),
  json: plainData,
};

function payload(type: EntryType): fc.Arbitrary<Record<string, unknown>> {
  const fields = Object.entries(schemas[type] as Record<string, Kind<unknown, boolean>>);
  const required = fields.filter(([, kind]) => !kind.optional).map(([name]) => name);
  const model = Object.fromEntries(fields.map(([name, kind]) => [name, values[kind.column]]));
  return fc.record(model, { requiredKeys: required, noNullPrototype: true }) as fc.Arbitrary<
    Record<string, unknown>
  >;
}

const types = Object.keys(schemas) as EntryType[];

/** Entries with seqs from `first` on. */
export function arbitraryEntries(
  first: fc.Arbitrary<number>,
  { minLength = 0, maxLength = 60 } = {},
): fc.Arbitrary<Entry[]> {
  const one = fc.constantFrom(...types).chain((type) =>
    fc.record({
      type: fc.constant(type),
      payload: payload(type),
      tick: integer,
      back: integer,
      actor: text,
    }),
  );
  return fc.tuple(first, fc.array(one, { minLength, maxLength })).map(([start, made]) =>
    made.map(({ type, payload: fields, tick, back, actor }, index) => {
      const seq = start + index;
      const cause = back % 3 === 0 ? 0 : seq - 1 - (back % seq);
      return { seq, tick, cause, actor, type, ...fields } as unknown as Entry;
    }),
  );
}
