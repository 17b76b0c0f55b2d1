/** The table of fields has a row for each field of the registers and each flag of hw_info, and no other. */
import { describe, expect, it } from 'vitest';
import { sanitised } from '../../../core/kernel/iommufd/listed-fields.ts';
import { registers } from '../../../core/smmu/registers.ts';
import { fieldFacts, fieldNames, idRegisters, valueIn } from '../../../projections/caps/fields.ts';
import { ledger } from '../../../projections/caps/ledger.ts';
import { judge } from '../../../projections/caps/verdict.ts';
import { runProjections } from '../../../projections/projection.ts';
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

  it('has a row for bits at which no field is known, of registers and of hw_info: unknown, never ok', () => {
    const told = tell({ idr: { IDR3: 0x0700_7714, IDR5: 0x0040_0875 } });
    const reported = told.entries.map((entry) =>
      entry.type === 'hwinfo.reported' ? { ...entry, capabilities: entry.capabilities | 0x200n } : entry,
    );
    const [rows] = runProjections(reported, [ledger(told.machine)]);
    const strangers = rows.filter(({ field }) => !fieldNames.includes(field));
    expect(strangers.map(({ field }) => field)).toEqual(['IDR3[26:24]', 'hw_info[9]']);
    expect(strangers.map((row) => judge(row).verdict)).toEqual(['unknown', 'unknown']);
    expect(strangers[0]?.cells).toMatchObject({
      hardware: { value: 7 },
      report: { value: 7 },
      guest: { value: 0 },
    });
    expect(rows.length).toBe(fieldNames.length + 2);
  });

  it('tells of what firmware says: overrides, model id, RMR', () => {
    const host = {
      kernel: { profile: 'linux-7.3', driver: { httu: 1, model: 0, rmr: false, rootAts: false } },
    };
    const told = tell({ machine: host });
    expect(
      ['httu', 'model', 'rmr', 'rootAts'].map((fact) => told.row(`platform.${fact}`).cells.driver?.value),
    ).toEqual([1, 0, 0, 0]);
    expect(told.row('platform.rmr').cells.guest?.value).toBe('not told');
    expect(told.row('platform.coherent').cells.guest?.value).toBe('as the register');
  });
});
