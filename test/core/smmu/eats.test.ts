/**
 * STE.EATS against every Config, IDR0.ATS, IDR3.DPT and CR0.ATSCHK (IHI 0070 5.2 EATS): all combinations,
 * each looked up in the table of effective values.
 */
import { expect, it } from 'vitest';
import { decode } from '../../../core/layout/layout.ts';
import { effectiveEats } from '../../../core/smmu/eats.ts';
import { Features } from '../../../core/smmu/features.ts';
import { STE } from '../../../core/smmu/ste.ts';
import { ste } from '../../support/build.ts';
import { firstRow, idr, put, table } from '../../support/tables.ts';

// The first row that covers a combination counts. Config 0 to 3 do not consult EATS.
const effective = table<'ats' | 'config' | 'eats' | 'dpt' | 'atschk' | 'is'>(`
  ats | config  | eats | dpt | atschk | is
  0   | -       | -    | -   | -      | OFF
  1   | 0,1,2,3 | -    | -   | -      | OFF
  1   | 4       | -    | -   | -      | OFF
  1   | 5,6,7   | 0    | -   | -      | OFF
  1   | 5,6,7   | 1    | -   | -      | FULL
  1   | 5,6,7   | 2    | -   | 0      | OFF
  1   | 5,6,7   | 2    | -   | 1      | SPLIT
  1   | 5,6,7   | 3    | 0   | -      | OFF
  1   | 5,6,7   | 3    | 1   | 0      | OFF
  1   | 5,6,7   | 3    | 1   | 1      | FULL_DPT
`);

const bits = [0, 1];
const points = bits.flatMap((ats) => bits.flatMap((dpt) => bits.map((atschk) => ({ ats, dpt, atschk }))));

it.each(points)('ATS $ats, DPT $dpt, ATSCHK $atschk', ({ ats, dpt, atschk }) => {
  const features = new Features(idr(`ATS=${ats} DPT=${dpt}`));
  for (let config = 0; config < 8; config += 1)
    for (let eats = 0; eats < 4; eats += 1) {
      const values = decode(STE, put(STE.fields, ste(), `Config=${config} EATS=${eats}`));
      const { is } = firstRow(effective, { ats, config, eats, dpt, atschk });
      expect({ config, eats, is: effectiveEats(values, features, atschk === 1) }).toEqual({
        config,
        eats,
        is,
      });
    }
});
