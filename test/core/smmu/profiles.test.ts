/** Hardware profiles: the values of their sources, and that they describe hardware the specification allows. */
import { describe, expect, it } from 'vitest';
import { choices } from '../../../core/smmu/choices.ts';
import { Features } from '../../../core/smmu/features.ts';
import { brokenIdrRules } from '../../../core/smmu/idr-rules.ts';
import { type ProfileName, profiles, smmuConfig } from '../../../core/smmu/profiles.ts';
import { resetRegisters } from '../../../core/smmu/regs.ts';
import { table } from '../../support/tables.ts';

const names = Object.keys(profiles) as ProfileName[];
const made = (name: ProfileName, overrides = {}) =>
  smmuConfig(name, { name: 's', base: 0x1000, ...overrides });

// Words as the sources print them or as a guest reads them; those of the parts are put together by hand
// from the bits of 6.3.1 to 6.3.8, least significant first.
//   mmu-600 IDR0: S2P S1P TTF=2 COHACC BTM | Hyp ATS NS1ATS | ASID16 MSI SEV | PRI VMW VMID16 CD2L | ST_LEVEL=1
//   mmu-700 IDR0: the same with HTTU=2 and without NS1ATS
//   everything IDR0: as mmu-700 with ATOS VATOS | TTENDIAN=2 ATSRECERR
const words = table<'profile' | 'IDR0' | 'IDR1' | 'IDR3' | 'IDR5' | 'IIDR' | 'AIDR'>(`
  profile  | IDR0       | IDR1       | IDR3       | IDR5       | IIDR       | AIDR
  ---------|------------|------------|------------|------------|------------|-----
  everything | 0x08dff6bb | 0x0e739d10 | 0x00007714 | 0x00400075 | 0 | 3
  minimal  | 0x0140101a | 0x01070006 | 0x00000004 | 0x00000014 |            | 1
  qemu-7.2 | 0x0d40101a | 0x02730010 | 0x00001404 | 0x00000074 | 0          | 1
  qemu-9   | 0x0d44101b | 0x02730010 | 0x00001414 | 0x00000074 | 0          | 1
  qemu-11  | 0x0d44101b | 0x02730010 | 0x00001414 | 0x00000074 | 0          | 1
  mmu-600  | 0x080f7e3b | 0x0e739d18 | 0x0000003c | 0x00400075 | 0x4830243b | 1
  mmu-700  | 0x080f76bb | 0x0e739d20 | 0x0000173c | 0x00400475 | 0x4871043b | 2
  fvp-rich | 0x080ff6bb | 0x0ce73d20 | 0x00001714 | 0xffff0475 | 0          | 2
`);

describe('profiles', () => {
  it.each(words.map(({ profile, ...row }) => [profile, row] as const))(
    '%s has the registers of its source',
    (name, row) => {
      const given = Object.entries(row).filter(([, value]) => value !== '');
      const idr = Object.fromEntries(given.map(([register, value]) => [register, Number(value)]));
      expect(profiles[name as ProfileName].idr).toMatchObject(idr);
    },
  );

  it.each(names)('%s breaks no rule of identification registers', (name) => {
    expect(brokenIdrRules(made(name).idr).map(({ name: rule }) => rule)).toEqual([]);
  });

  it.each(names)('%s changes only choices there are, and says where it comes from', (name) => {
    expect(Object.keys(choices)).toEqual(expect.arrayContaining(Object.keys(profiles[name].choices)));
    expect(profiles[name].source).not.toBe('');
  });

  it('have the errata of the revision in their IIDR', () => {
    const errata = (name: ProfileName) =>
      Object.entries(made(name).choices)
        .filter(([choice, value]) => choice.startsWith('erratum') && value === true)
        .map(([choice]) => choice);
    expect(Object.fromEntries(names.map((name) => [name, errata(name)]))).toEqual({
      everything: [],
      minimal: [],
      'qemu-7.2': [],
      'qemu-9': [],
      'qemu-11': [],
      'mmu-600': ['erratumFullQueueSev', 'erratumNestedInvalidation'],
      'mmu-700': ['erratumNestedInvalidation', 'erratumMixedRuns'],
      'fvp-rich': [],
    });
    expect(choices.erratumRangeInvalidation.default).toBe(false);
  });

  it('differ after reset by GBPA and CR2', () => {
    const reset = (name: ProfileName, overrides = {}) => {
      const { GBPA, CR2 } = resetRegisters(made(name, overrides));
      return { GBPA, CR2 };
    };
    expect(reset('minimal')).toEqual({ GBPA: 0, CR2: 0 });
    // SMMU_GBPA_RESET_VAL of QEMU; 7.2 had no GBPA.
    expect(reset('qemu-7.2')).toEqual({ GBPA: 0, CR2: 0 });
    expect(reset('qemu-9')).toEqual({ GBPA: 0x1000, CR2: 0 });
    expect(reset('qemu-9', { choices: { gbpaIncomingAtReset: false, gbpaAbortAtReset: true } })).toEqual({
      GBPA: 0x10_0000,
      CR2: 0,
    });
    // "When sup_btm is tied HIGH, the reset value of SMMU_CR2.PTM is 1": Arm 101412, 101542.
    expect(reset('mmu-700')).toEqual({ GBPA: 0, CR2: 4 });
    expect(reset('mmu-700', { choices: { ptmAtReset: false } })).toEqual({ GBPA: 0, CR2: 0 });
    expect(reset('minimal', { choices: { ptmAtReset: true } }), 'RES0 without IDR0.BTM').toEqual({
      GBPA: 0,
      CR2: 0,
    });
  });

  it.each(names)('%s gives its features', (name) => {
    const features = new Features(made(name).idr);
    expect(features.granules.size).toBeGreaterThan(0);
    expect(features.s1p).toBe(true);
  });

  it('are overridden value by value', () => {
    const config = made('qemu-7.2', { idr: { IDR5: 0x10 }, caches: { tlb: 4 } });
    expect(config).toMatchObject({ name: 's', base: 0x1000, profile: 'qemu-7.2', replacement: 'flush-all' });
    expect(config.idr).toMatchObject({ IDR0: 0x0d40101a, IDR5: 0x10 });
    expect(config.caches).toEqual({ ste: 'unbounded', cd: 'unbounded', tlb: 4, walk: 0 });
    expect(Object.keys(config.choices).sort()).toEqual(Object.keys(choices).sort());
  });
});
