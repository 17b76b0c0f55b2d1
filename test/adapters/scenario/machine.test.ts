/** Machine lines: where SMMUs stand when the line does not say, and which identification registers are taken. */
import { describe, expect, it } from 'vitest';
import { machineConfig, machineFields } from '../../../adapters/scenario/machine.ts';
import { objectOf } from '../../../adapters/scenario/values.ts';
import { idrRules } from '../../../core/smmu/idr-rules.ts';
import { type ProfileName, profiles } from '../../../core/smmu/profiles.ts';
import { withFields } from '../../support/tables.ts';

interface Given {
  readonly profile: ProfileName;
  readonly base?: number;
  readonly idr?: Record<string, number>;
}

const asked = (...smmus: Given[]) => machineConfig(objectOf(machineFields).schema.parse({ smmus }));
const QEMU = profiles['qemu-9'].idr;
/** A third page of registers behind the two (6.1). */
const withVatos: Given = { profile: 'qemu-9', idr: withFields(QEMU, 'ATOS=1 VATOS=1') };
const withFarVatos: Given = { profile: 'qemu-9', idr: withFields(QEMU, 'ATOS=1 VATOS=1 BA_VATOS=2') };

describe('register pages', () => {
  it('of SMMUs without a base follow one another, VATOS pages with them', () => {
    const made = asked({ profile: 'qemu-9' }, withVatos, withFarVatos, { profile: 'minimal' });
    if (!('smmus' in made)) throw new Error(made.message);
    expect(made.smmus.map(({ name, base }) => [name, base])).toEqual([
      ['smmu0', 0x0905_0000],
      ['smmu1', 0x0907_0000],
      ['smmu2', 0x090a_0000],
      ['smmu3', 0x090f_0000],
    ]);
  });

  it('may not overlap', () => {
    const plain: Given = { profile: 'qemu-9', base: 0x902_0000 };
    expect(asked({ ...withVatos, base: 0x900_0000 }, plain)).toEqual({
      field: 'smmus[1].base',
      message: 'expected 0x20000 bytes of its own, found smmus[0] there',
    });
    expect(asked(plain, { ...withVatos, base: 0x900_0000 })).toEqual({
      field: 'smmus[1].base',
      message: 'expected 0x30000 bytes of its own, found smmus[0] there',
    });
    expect(asked({ profile: 'qemu-9', base: 0x900_0000 }, plain)).toHaveProperty('smmus');
  });
});

describe('identification registers', () => {
  it.each([
    ['SIDSIZE=33', 'IDR1', 'SIDSIZE of at most 32 (IHI 0070 6.3.2), found 0x2730021'],
    ['STALL_MODEL=3', 'IDR0', 'STALL_MODEL of 0, 1 or 2 (IHI 0070 6.3.1), found 0xf44101b'],
  ])('with %s cannot be modelled', (fields, register, message) => {
    expect(asked({ profile: 'qemu-9', idr: withFields(QEMU, fields) })).toEqual({
      field: `smmus[0].idr.${register}`,
      message: `expected ${message}`,
    });
  });

  it.each(['Hyp=1 S1P=0 HAD=0', 'MPAM=1', 'ArchMinorRev=3'])('with %s are taken as they are', (fields) => {
    const idr = withFields(QEMU, fields);
    expect(asked({ profile: 'qemu-9', idr })).toMatchObject({ smmus: [{ idr }] });
  });

  it('are refused by rules of the table, and not by all of them', () => {
    expect(new Set(idrRules.map(({ verdict }) => verdict))).toEqual(new Set(['refused', 'noted']));
  });
});
