/** Hardware profiles: the values, and that they describe hardware the specification allows (6.3.1 to 6.3.6). */
import { describe, expect, it } from 'vitest';
import { choices } from '../../../core/smmu/choices.ts';
import { Features } from '../../../core/smmu/features.ts';
import { type ProfileName, profiles, smmuConfig } from '../../../core/smmu/profiles.ts';

const names = Object.keys(profiles) as ProfileName[];

describe('profiles', () => {
  it('have the registers of their sources', () => {
    expect(profiles['qemu-7.2'].idr).toMatchObject({
      IDR0: 0x0d40101a,
      IDR1: 0x02730010,
      IDR3: 0x1404,
      IDR5: 0x74,
    });
    expect(profiles.everything.idr['IDR5']).toBe(0x75);
  });

  it.each(names)('%s describes a possible SMMU', (name) => {
    const { idr } = smmuConfig(name, { name: 'smmu0', base: 0 });
    const features = new Features(idr);
    expect(features.s1p || features.s2p).toBe(true);
    expect(features.sidBits < 7 || features.stLevel > 0).toBe(true);
    expect(!features.pri || features.ats).toBe(true);
    expect(!features.hyp || (features.s1p && features.s2p)).toBe(true);
    expect(!features.vatos || features.atos).toBe(true);
    expect(features.granules.size).toBeGreaterThan(0);
    expect(features.cmdqsLog2).toBeLessThanOrEqual(19);
  });

  it('are overridden value by value', () => {
    const made = smmuConfig('qemu-7.2', { name: 's', base: 0x1000, idr: { IDR5: 0x10 }, caches: { tlb: 4 } });
    expect(made).toMatchObject({ name: 's', base: 0x1000, profile: 'qemu-7.2', replacement: 'flush-all' });
    expect(made.idr).toMatchObject({ IDR0: 0x0d40101a, IDR5: 0x10 });
    expect(made.caches).toEqual({ ste: 'unbounded', cd: 'unbounded', tlb: 4, walk: 0 });
    expect(Object.keys(made.choices).sort()).toEqual(Object.keys(choices).sort());
  });
});
