/**
 * Wants to show: whatever is mapped, copied and unmapped in whatever order, an IOAS holds what a plain list of
 * areas holds, and answers as it does. How: drawn calls go to the kernel and to the model, in a space so small
 * that ranges meet, and their answers and areas are compared after each. Then the same with a million.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fold } from '../../../core/fold.ts';
import { stateText } from '../../support/content.ts';
import {
  emptyIoas,
  type ModelAnswer,
  type ModelIoas,
  modelCopy,
  modelMap,
  modelUnmap,
} from '../../support/ioas-model.ts';
import { areas, type Host, hostWithIoas } from '../../support/kernel.ts';

const bytes = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 6 }).map((pages) => pages * 0x1000) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 0x2000 }) },
  { weight: 1, arbitrary: fc.constantFrom(0x20_0000, 0x1_8000, 0x800, 0x1800) },
);
const iova = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 40 }).map((page) => page * 0x1000) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0x2_8000 }) },
);
const address = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 8 }).map((page) => page * 0x1000) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0x8000 }) },
);
const ioas = fc.constantFrom(1, 2);
const span = fc.tuple(iova, bytes).map(([start, length]) => ({ start, last: start + length + 1 }));

const command = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('map' as const),
      ioas,
      fixed: fc.boolean(),
      iova,
      address,
      length: bytes,
      writeable: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('unmap' as const), ioas, iova, length: bytes }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('copy' as const),
      ioas,
      from: iova,
      source: ioas,
      fixed: fc.boolean(),
      iova,
      length: bytes,
      writeable: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('allow' as const),
      ioas,
      spans: fc.array(span, { maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('huge' as const), ioas, on: fc.boolean() }) },
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

const rights = (writeable: boolean): number => (writeable ? 6 : 4);

function ask(of: Host, one: Command): ModelAnswer {
  const asked = request(one);
  const answer = of.ioctl(asked.name, asked.arg);
  if (answer['errno'] !== undefined) return { errno: String(answer['errno']) };
  return { value: BigInt(String((answer['out'] as Record<string, unknown>)[asked.field])) };
}

function request(one: Command): {
  readonly name: string;
  readonly arg: Record<string, unknown>;
  readonly field: string;
} {
  switch (one.do) {
    case 'map':
      return {
        name: 'IOMMU_IOAS_MAP',
        arg: {
          ioas_id: one.ioas,
          flags: rights(one.writeable) + Number(one.fixed),
          user_va: one.address,
          length: one.length,
          iova: one.iova,
        },
        field: 'iova',
      };
    case 'unmap':
      return {
        name: 'IOMMU_IOAS_UNMAP',
        arg: { ioas_id: one.ioas, iova: one.iova, length: one.length },
        field: 'length',
      };
    case 'copy':
      return {
        name: 'IOMMU_IOAS_COPY',
        arg: {
          dst_ioas_id: one.ioas,
          src_ioas_id: one.source,
          flags: rights(one.writeable) + Number(one.fixed),
          length: one.length,
          dst_iova: one.iova,
          src_iova: one.from,
        },
        field: 'dst_iova',
      };
    case 'allow':
      return {
        name: 'IOMMU_IOAS_ALLOW_IOVAS',
        arg: {
          ioas_id: one.ioas,
          num_iovas: one.spans.length,
          allowed_iovas: { array: 'iommu_iova_range', values: one.spans },
        },
        field: 'num_iovas',
      };
    case 'huge':
      return {
        name: 'IOMMU_OPTION',
        arg: { option_id: 1, op: 0, object_id: one.ioas, val64: one.on },
        field: 'val64',
      };
  }
}

function answerOf(model: readonly ModelIoas[], one: Command): ModelAnswer {
  const at = model[one.ioas]!;
  switch (one.do) {
    case 'map':
      return modelMap(at, {
        ...one,
        iova: BigInt(one.iova),
        address: BigInt(one.address),
        length: BigInt(one.length),
      });
    case 'unmap':
      return modelUnmap(at, BigInt(one.iova), BigInt(one.length));
    case 'copy':
      return modelCopy(at, model[one.source]!, {
        ...one,
        from: BigInt(one.from),
        iova: BigInt(one.iova),
        length: BigInt(one.length),
      });
    case 'allow': {
      const spans = one.spans.map(({ start, last }) => ({ start: BigInt(start), last: BigInt(last) }));
      const meet = spans.some((a, i) =>
        spans.some((b, j) => i < j && a.start <= b.last && b.start <= a.last),
      );
      if (meet) return { errno: 'EINVAL' };
      const sorted = [...spans].sort((a, b) => (a.start < b.start ? -1 : 1));
      // Neighbours count as one.
      const joined: { start: bigint; last: bigint }[] = [];
      for (const each of sorted) {
        const before = joined.at(-1);
        if (before !== undefined && before.last === each.start - 1n) before.last = each.last;
        else joined.push({ ...each });
      }
      at.allowed = joined;
      return { value: BigInt(spans.length) };
    }
    case 'huge': {
      if (one.on) at.alignment = 1n;
      else if (at.areas.some(({ iova, last, address }) => (iova | (last + 1n) | address) % 0x1000n !== 0n))
        return { errno: 'EADDRINUSE' };
      else at.alignment = 0x1000n;
      return { value: BigInt(one.on) };
    }
  }
}

describe('an IOAS', () => {
  it('holds what a plain list of areas holds', () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 60 }), (commands) => {
        const of = hostWithIoas();
        of.ioctl('IOMMU_IOAS_ALLOC', {});
        const model = [emptyIoas(), emptyIoas(), emptyIoas()];
        for (const one of commands) {
          const wanted = answerOf(model, one);
          expect([one, ask(of, one)]).toEqual([one, wanted]);
          const held = model[one.ioas]!.areas.map(({ iova, last }) => ({ iova, last }));
          expect(areas(of, one.ioas)).toEqual(held);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('folds to what it is, and an earlier state is never changed', () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 30 }), (commands) => {
        const of = hostWithIoas();
        of.ioctl('IOMMU_IOAS_ALLOC', {});
        of.look();
        const start = of.state;
        const before = stateText(start);
        for (const one of commands) ask(of, one);
        expect(stateText(start)).toBe(before);
        expect(stateText(fold(start, of.look()))).toBe(stateText(of.state));
      }),
      { numRuns: 25 },
    );
  });

  it('finds a place among many areas, and among those that came back', () => {
    const of = hostWithIoas();
    const map = (): bigint =>
      BigInt(
        String(
          (
            of.ioctl('IOMMU_IOAS_MAP', 'ioas_id=1 flags=6 user_va=0x1000 length=0x1000')['out'] as {
              iova: string;
            }
          ).iova,
        ),
      );
    const unmap = (iova: bigint): void =>
      void of.ioctl('IOMMU_IOAS_UNMAP', { ioas_id: 1, iova, length: 0x1000 });
    const count = 3000n;
    for (let page = 1n; page <= count; page += 1n) expect(map()).toBe(page * 0x1000n);
    for (const page of [2000n, 7n, 1000n]) unmap(page * 0x1000n);
    for (const page of [7n, 1000n, 2000n, count + 1n]) expect(map()).toBe(page * 0x1000n);
  });
});
