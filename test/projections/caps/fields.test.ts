/** The table of fields has a row for each field of the registers and each flag of hw_info, and no other. */
import { describe, expect, it } from 'vitest';
import { sanitised } from '../../../core/kernel/iommufd/listed-fields.ts';
import { registers } from '../../../core/smmu/registers.ts';
import { fieldFacts, fieldNames, idRegisters, valueIn } from '../../../projections/caps/fields.ts';
import { judge } from '../../../projections/caps/verdict.ts';
import { tell } from './story.ts';

describe('the table of fields', () => {
  it('has a row for every field that a ledger tells of, and for nothing else', () => {
    expect(Object.keys(fieldFacts).sort()).toEqual([...fieldNames].sort());
  });

  it('tells of every field of the ID registers, as their layouts name them', () => {
    const all = idRegisters.flatMap((name) =>
      Object.keys(registers.byName[name].fields).map((field) => `${name}.${field}`),
    );
    expect(fieldNames.filter((name) => /^(IDR|IIDR|AIDR)/.test(name))).toEqual(all);
    expect(all.length).toBeGreaterThan(65);
  });

  it('lists what the kernel lets a VMM read, as a kernel that sanitises has it', () => {
    const works = ['IDR0.S1P', 'IDR0.COHACC', 'IDR5.OAS'];
    for (const name of fieldNames.filter((each) => each.startsWith('IDR'))) {
      const [register = ''] = name.split('.');
      const left = valueIn({ [register]: sanitised(register, 0xffff_ffff, true) }, name) !== 0;
      expect([name, left]).toEqual([name, fieldFacts[name]?.listed !== false || works.includes(name)]);
    }
  });

  it('is not needed for a row: a field without facts is unknown, never ok', () => {
    const { facts: _, ...row } = tell().row('IDR3.RIL');
    expect(judge({ ...row, facts: undefined })).toMatchObject({ verdict: 'unknown' });
    expect(judge({ ...row, facts: fieldFacts['IDR3.RIL'] })).toMatchObject({ verdict: 'ok' });
  });
});
