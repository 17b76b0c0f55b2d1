/** The four-step analysis for the features of the threads, as `actors.md` has it worked out; and where the steps end. */
import { describe, expect, it } from 'vitest';
import { fieldFacts } from '../../../projections/caps/fields.ts';
import { outcomeOf, stepsOf } from '../../../projections/caps/procedure.ts';

/** Answers to steps 1 to 4: does it need the kernel, firmware, a request, and may the report be read. */
function answers(field: string): string {
  const facts = fieldFacts[field];
  if (facts === undefined) throw new Error(`no ${field}`);
  const need = (each: 'software' | 'firmware' | 'request'): string =>
    facts.needs.includes(each) ? 'yes' : '-';
  const read = facts.backing === 'vmm' ? 'own' : facts.listed === false ? '-' : 'raw';
  return [need('software'), need('firmware'), need('request'), read].join(' ');
}

describe('the four-step analysis', () => {
  it.each([
    ['IDR3.RIL', '- - - raw', 'a guest may be told what the host has, or less'],
    ['IDR3.BBML', '- - - raw', 'a guest may be told what the host has, or less'],
    ['IDR5.GRAN4K', '- - - raw', 'a guest may be told what the host has, or less'],
    ['IDR5.VAX', '- - - raw', 'a guest may be told what the host has, or less'],
    ['IDR1.SSIDSIZE', '- - - raw', 'a guest may be told what the host has, or less'],
    ['IDR0.ASID16', '- - - raw', 'a guest may be told what the host has, or less'],
    // Practically readable, and not listed.
    ['IDR5.OAS', '- - - -', 'a guest may be told what the host has, or less'],
    // By the device's flag, and opted into through EATS of the vSTE.
    ['IDR0.ATS', 'yes yes yes -', 'a guest may be told what the host has, or less'],
    ['IDR0.HTTU', 'yes yes - -', 'stopped at step 1: a guest is told 0'],
    ['IDR0.BTM', 'yes - yes -', 'stopped at step 1: a guest is told 0'],
    ['IDR0.PRI', 'yes yes yes -', 'stopped at step 1: a guest is told 0'],
    ['IDR3.MPAM', 'yes - yes -', 'stopped at step 1: a guest is told 0'],
    ['IDR0.MSI', '- - - own', "the VMM's choice"],
    ['IDR0.SEV', '- - - own', "the VMM's choice"],
  ])('%s: %s', (field, steps, outcome) => {
    expect(answers(field)).toBe(steps);
    const facts = fieldFacts[field];
    expect(facts && outcomeOf(field, facts)).toBe(outcome);
  });

  it('goes on where the kernel at hand does its part', () => {
    for (const field of ['IDR0.BTM', 'IDR0.HTTU']) {
      const facts = fieldFacts[field];
      expect(facts && stepsOf(field, facts, true).map(({ step }) => step)).not.toEqual([1]);
    }
  });

  it('has a citation for every field', () => {
    for (const [field, { source, note }] of Object.entries(fieldFacts)) {
      expect([field, source.length > 8]).toEqual([field, true]);
      expect([field, note.length > 5]).toEqual([field, true]);
    }
  });
});
