/**
 * Every S2TG, S2SL0, S2T0SZ, S2DS, STT and output size: which of them may stand together, where the walk
 * then starts, and how many tables stand side by side (IHI 0070 5.2 S2T0SZ and S2SL0; Arm ARM D8.1, D8.2).
 * The tables are the printed ones, a line for each number of tables.
 */
import { describe, expect, it } from 'vitest';
import { Features } from '../../../core/smmu/features.ts';
import { granuleByName } from '../../../core/smmu/granule.ts';
import {
  isStage2LevelConsistent,
  isStage2LevelSupported,
  isStage2SizeLegal,
  stage2StartLevel,
  stage2TableLog2,
} from '../../../core/smmu/stage2-geometry.ts';
import { firstRow, idr, table } from '../../support/tables.ts';

// SL0 is {S2SL0_2, S2SL0}.
const printed = table<'granule' | 'SL0' | 'level' | 'sizes' | 'tables' | 'needs'>(`
  granule | SL0 | level | sizes | tables | needs
  4KB     | 4   | -1    | 12-15 | 1      | DS
  4KB     | 2   | 0     | 16-24 | 1      |
  4KB     | 2   | 0     | 15    | 2      | DS
  4KB     | 2   | 0     | 14    | 4      | DS
  4KB     | 2   | 0     | 13    | 8      | DS
  4KB     | 2   | 0     | 12    | 16     | DS
  4KB     | 1   | 1     | 25-33 | 1      |
  4KB     | 1   | 1     | 24    | 2      |
  4KB     | 1   | 1     | 23    | 4      |
  4KB     | 1   | 1     | 22    | 8      |
  4KB     | 1   | 1     | 21    | 16     |
  4KB     | 0   | 2     | 34-39 | 1      |
  4KB     | 0   | 2     | 40-42 | 1      | STT
  4KB     | 0   | 2     | 33    | 2      |
  4KB     | 0   | 2     | 32    | 4      |
  4KB     | 0   | 2     | 31    | 8      |
  4KB     | 0   | 2     | 30    | 16     |
  4KB     | 3   | 3     | 43-48 | 1      | STT
  4KB     | 3   | 3     | 42    | 2      | STT
  4KB     | 3   | 3     | 41    | 4      | STT
  4KB     | 3   | 3     | 40    | 8      | STT
  4KB     | 3   | 3     | 39    | 16     | STT
  16KB    | 3   | 0     | 12-16 | 1      | DS
  16KB    | 2   | 1     | 17-27 | 1      |
  16KB    | 2   | 1     | 16    | 2      |
  16KB    | 2   | 1     | 15    | 4      | DS
  16KB    | 2   | 1     | 14    | 8      | DS
  16KB    | 2   | 1     | 13    | 16     | DS
  16KB    | 1   | 2     | 28-38 | 1      |
  16KB    | 1   | 2     | 27    | 2      |
  16KB    | 1   | 2     | 26    | 4      |
  16KB    | 1   | 2     | 25    | 8      |
  16KB    | 1   | 2     | 24    | 16     |
  16KB    | 0   | 3     | 39    | 1      |
  16KB    | 0   | 3     | 40-48 | 1      | STT
  16KB    | 0   | 3     | 38    | 2      |
  16KB    | 0   | 3     | 37    | 4      |
  16KB    | 0   | 3     | 36    | 8      |
  16KB    | 0   | 3     | 35    | 16     |
  64KB    | 2   | 1     | 12-21 | 1      |
  64KB    | 1   | 2     | 22-34 | 1      |
  64KB    | 1   | 2     | 21    | 2      |
  64KB    | 1   | 2     | 20    | 4      |
  64KB    | 1   | 2     | 19    | 8      |
  64KB    | 1   | 2     | 18    | 16     |
  64KB    | 0   | 3     | 35-39 | 1      |
  64KB    | 0   | 3     | 40-47 | 1      | STT
  64KB    | 0   | 3     | 34    | 2      |
  64KB    | 0   | 3     | 33    | 4      |
  64KB    | 0   | 3     | 32    | 8      |
  64KB    | 0   | 3     | 31    | 16     |
`);

// Arm ARM D8.1, "Implications of the effective minimum T0SZ value on the initial stage 2 lookup level".
const permitted = table<'bits' | 'code' | '4KB' | '16KB' | '64KB'>(`
  bits | code | 4KB        | 16KB    | 64KB
  32   | 0    | 3,2,1      | 3,2     | 3,2
  36   | 1    | 3,2,1      | 3,2     | 3,2
  40   | 2    | 3,2,1      | 3,2     | 3,2
  42   | 3    | 3,2,1      | 3,2,1   | 3,2
  44   | 4    | 3,2,1,0    | 3,2,1   | 3,2,1
  48   | 5    | 3,2,1,0    | 3,2,1   | 3,2,1
  52   | 6    | 3,2,1,0,-1 | 3,2,1,0 | 3,2,1
`);

interface Shape {
  readonly level: number;
  readonly tables: number;
}

/** What the printed tables say. */
function expected(
  granule: '4KB' | '16KB' | '64KB',
  sl0: number,
  size: number,
  ds: boolean,
  stt: boolean,
  oas: number,
): Shape | undefined {
  const line = printed.find(({ granule: of, SL0, sizes, needs }) => {
    const [from = '', to = from] = sizes.split('-');
    const has = needs === '' || (needs === 'DS' ? ds : stt);
    return of === granule && Number(SL0) === sl0 && size >= Number(from) && size <= Number(to) && has;
  });
  const row = firstRow(permitted, { bits: oas });
  if (line === undefined || size < 64 - oas || !row[granule].split(',').includes(line.level))
    return undefined;
  return { level: Number(line.level), tables: Number(line.tables) };
}

/** What the model says. */
function modelled(
  name: string,
  sl0: number,
  size: number,
  ds: boolean,
  features: Features,
): Shape | undefined {
  const granule = granuleByName[name];
  if (granule === undefined) throw new Error(`no granule ${name}`);
  const level = stage2StartLevel(granule, sl0 & 3, sl0 > 3, ds);
  if (level === undefined || !isStage2LevelSupported(granule, level, features)) return undefined;
  if (!isStage2SizeLegal(granule, size, ds, features)) return undefined;
  if (!isStage2LevelConsistent(granule, level, 64 - size)) return undefined;
  return { level, tables: Math.max(1, 2 ** (stage2TableLog2(granule, level, 64 - size) - granule.pageLog2)) };
}

describe('the shape of stage 2', () => {
  const granules = ['4KB', '16KB', '64KB'] as const;
  const points = permitted.flatMap(({ bits, code }) =>
    granules.flatMap((granule) => [false, true].map((stt) => ({ bits: Number(bits), code, granule, stt }))),
  );
  it.each(points)('of $granule tables, $bits bits, STT $stt', ({ bits, code, granule, stt }) => {
    const features = new Features(idr(`OAS=${code} STT=${Number(stt)} DS=1 TTF=2`));
    const seen = new Set<string>();
    // S2DS is RES0 with 64KB, and S2SL0_2 without 4KB and S2DS.
    for (const ds of granule === '64KB' ? [false] : [false, true])
      for (let sl0 = 0; sl0 < (granule === '4KB' && ds ? 8 : 4); sl0 += 1)
        for (let size = 0; size < 64; size += 1) {
          const shape = modelled(granule, sl0, size, ds, features);
          expect({ ds, sl0, size, shape }).toEqual({
            ds,
            sl0,
            size,
            shape: expected(granule, sl0, size, ds, stt, bits),
          });
          if (shape !== undefined) seen.add(`${shape.level}`);
        }
    expect(seen.size).toBeGreaterThan(0);
  });

  it.each(permitted)('starts at no other level with $bits bits (D8.1)', ({ code, ...row }) => {
    const features = new Features(idr(`OAS=${code} STT=1`));
    for (const name of granules) {
      const granule = granuleByName[name];
      if (granule === undefined) throw new Error('no granule');
      const levels = [3, 2, 1, 0, -1].filter((level) => isStage2LevelSupported(granule, level, features));
      // Levels that a granule has not at all are no encoding of S2SL0.
      const encoded = levels.filter((level) => level >= (name === '4KB' ? -1 : name === '16KB' ? 0 : 1));
      expect(encoded.join(',')).toBe(row[name]);
    }
  });

  it('has first tables of as many bytes as they have entries, times 8', () => {
    const granule = granuleByName['4KB'];
    if (granule === undefined) throw new Error('no granule');
    // 40 bits: level 1 resolves 9 bits of one table, so two tables; 34 bits: 16 entries.
    expect(stage2TableLog2(granule, 1, 40)).toBe(13);
    expect(stage2TableLog2(granule, 1, 34)).toBe(7);
  });

  it('leaves S2SL0_2 out where it is RES0', () => {
    for (const name of granules) {
      const granule = granuleByName[name];
      if (granule === undefined) throw new Error('no granule');
      for (const sl0 of [0, 1, 2, 3])
        for (const ds of name === '4KB' ? [false] : [false, true])
          expect(stage2StartLevel(granule, sl0, true, ds)).toBe(stage2StartLevel(granule, sl0, false, ds));
    }
  });
});
