/**
 * A small part of `npm run mutants`: one mistake in the story of a correct driver. All that the twin without caches
 * answers otherwise is named, nothing else is, and the blame falls on the change with the mistake.
 */
import { describe, expect, it } from 'vitest';
import { hostMutantOf, measureHost } from '../simulation/host-mutants.ts';
import { measure, mutantOf } from '../simulation/mutants.ts';
import { mutationKinds } from '../support/mutations.ts';

const FIRST = 1;
const RUNS = Number(process.env['MUTANT_RUNS'] ?? 80);
const HOSTS = Number(process.env['MUTANT_RUNS'] ?? 60);
const BLAME_MIN = 0.95;

describe('one mistake of a correct driver', () => {
  const measured = Array.from({ length: RUNS }, (_, index) => measure(mutantOf(FIRST + index)));

  it('is of every kind, and many are seen by the twin', () => {
    expect(new Set(measured.map(({ mutant }) => mutant.mutation.kind)).size).toBe(mutationKinds.length);
    expect(measured.filter(({ differ }) => differ.length > 0).length).toBeGreaterThan(RUNS / 20);
  });

  it('is named at each access that the twin answers otherwise, and at no other', () => {
    const wrong = measured.filter(({ missed, extra }) => missed.length + extra.length > 0);
    expect(wrong).toEqual([]);
  });

  it('is what the findings blame', () => {
    const findings = measured.reduce((sum, each) => sum + each.findings, 0);
    const astray = measured.flatMap((each) => each.astray);
    expect(findings).toBeGreaterThan(RUNS / 4);
    expect(1 - astray.length / findings).toBeGreaterThanOrEqual(BLAME_MIN);
  });

  it('is all that is found: the same stories without it are clean', () => {
    expect(measured.flatMap(({ falseAlarms }) => falseAlarms)).toEqual([]);
  });
});

describe('a quirk of the driver of a host', () => {
  const measured = Array.from({ length: HOSTS }, (_, index) => measureHost(hostMutantOf(FIRST + index)));

  it('is seen by the twin now and then, and found more often', () => {
    const seen = measured.filter(({ differ }) => differ.length > 0).length;
    expect(seen).toBeGreaterThan(0);
    expect(measured.filter(({ findings }) => findings > 0).length).toBeGreaterThan(seen);
  });

  it('is named at each access that the twin answers otherwise, at no other, and never without it', () => {
    const wrong = measured.filter(
      ({ missed, extra, falseAlarms }) => missed.length + extra.length + falseAlarms.length > 0,
    );
    expect(wrong).toEqual([]);
  });
});
