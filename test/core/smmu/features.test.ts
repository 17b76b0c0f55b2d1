/**
 * What an SMMU can do, from its identification registers (IHI 0070 6.3.1 to 6.3.6): no field is forgotten,
 * and the sizes that follow from several fields.
 */
import { describe, expect, it } from 'vitest';
import { Features } from '../../../core/smmu/features.ts';
import { registers } from '../../../core/smmu/registers.ts';
import { idr, table, withFields } from '../../support/tables.ts';

const told = (values: Readonly<Record<string, number>>): string => {
  const { granules, ...rest } = new Features(values);
  return JSON.stringify([[...granules].sort(), rest]);
};

describe('features', () => {
  // Realm state is out of scope.
  const fields = (['IDR0', 'IDR1', 'IDR3', 'IDR5'] as const)
    .flatMap((register) => Object.keys(registers.byName[register].fields))
    .filter((name) => name !== 'RME_IMPL');
  it.each(fields)('tell of %s', (name) => {
    const seen = new Set([0, 1].map((value) => told(withFields({}, `OAS=6 TTF=2 ${name}=${value}`))));
    expect(seen.size).toBe(2);
  });

  const sizes = table<'features' | 'oas' | 'ias'>(`
    features    | oas | ias
    TTF=2 OAS=0 | 32  | 32
    TTF=2 OAS=1 | 36  | 36
    TTF=2 OAS=2 | 40  | 40
    TTF=2 OAS=3 | 42  | 42
    TTF=2 OAS=4 | 44  | 44
    TTF=2 OAS=5 | 48  | 48
    TTF=2 OAS=6 | 52  | 52
    TTF=3 OAS=1 | 36  | 40
    TTF=3 OAS=5 | 48  | 48
    TTF=1 OAS=5 | 48  | 40
  `);
  it.each(sizes)(
    'with $features: addresses of $oas bits, IPAs of $ias bits (3.4)',
    ({ features, oas, ias }) => {
      const made = new Features(idr(features));
      expect([made.oas, made.ias]).toEqual([Number(oas), Number(ias)]);
    },
  );
});
