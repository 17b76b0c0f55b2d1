/** Kernels against VMMs: which cells give a guest what it is told, by what its device does, and by the ledger. */
import { describe, expect, it } from 'vitest';
import { kernels, runBroadcast, runLeak, runProfiles, runUpdates, vmms } from '../../adapters/caps-matrix.ts';
import { leakStories } from '../../adapters/caps-stories.ts';
import { type ProfileName, profiles } from '../../core/smmu/profiles.ts';
import { fieldNames } from '../../projections/caps/fields.ts';

describe('IDR0.BTM, kernel by VMM', () => {
  it.each`
    kernel   | vmm           | report         | told | good
    ${'old'} | ${'forwards'} | ${'raw'}       | ${1} | ${false}
    ${'old'} | ${'forwards'} | ${'sanitised'} | ${0} | ${true}
    ${'old'} | ${'masks'}    | ${'raw'}       | ${0} | ${true}
    ${'old'} | ${'masks'}    | ${'sanitised'} | ${0} | ${true}
    ${'old'} | ${'new'}      | ${'raw'}       | ${0} | ${true}
    ${'old'} | ${'new'}      | ${'sanitised'} | ${0} | ${true}
    ${'new'} | ${'forwards'} | ${'raw'}       | ${1} | ${false}
    ${'new'} | ${'forwards'} | ${'sanitised'} | ${1} | ${false}
    ${'new'} | ${'masks'}    | ${'raw'}       | ${0} | ${true}
    ${'new'} | ${'masks'}    | ${'sanitised'} | ${0} | ${true}
    ${'new'} | ${'new'}      | ${'raw'}       | ${1} | ${true}
    ${'new'} | ${'new'}      | ${'sanitised'} | ${1} | ${true}
  `('$kernel kernel, VMM $vmm, report $report', ({ kernel, vmm, report, told, good }) => {
    const cell = runBroadcast(kernel, report, vmm);
    expect(cell).toMatchObject({ told, good });
    // The ledger judges without the proof, from what was told and done before.
    expect(cell.verdict === 'leak').toBe(!good);
    expect(cell.seq).toBeGreaterThan(0);
    // A leak is proved by findings: the promise, and the stale translation that came of it.
    expect(cell.findings.map(({ rule }) => rule)).toEqual(good ? [] : ['I10', 'I2', 'I3']);
  });
});

describe('IDR0.HTTU, kernel by VMM, where firmware says 0 and the system loses updates (descriptorUpdates)', () => {
  it.each`
    kernel   | vmm           | report         | told | good
    ${'old'} | ${'forwards'} | ${'raw'}       | ${2} | ${false}
    ${'old'} | ${'forwards'} | ${'sanitised'} | ${0} | ${true}
    ${'old'} | ${'masks'}    | ${'raw'}       | ${0} | ${true}
    ${'old'} | ${'masks'}    | ${'sanitised'} | ${0} | ${true}
    ${'old'} | ${'new'}      | ${'raw'}       | ${0} | ${true}
    ${'old'} | ${'new'}      | ${'sanitised'} | ${0} | ${true}
    ${'new'} | ${'forwards'} | ${'raw'}       | ${2} | ${false}
    ${'new'} | ${'forwards'} | ${'sanitised'} | ${0} | ${true}
    ${'new'} | ${'masks'}    | ${'raw'}       | ${0} | ${true}
    ${'new'} | ${'masks'}    | ${'sanitised'} | ${0} | ${true}
    ${'new'} | ${'new'}      | ${'raw'}       | ${0} | ${true}
    ${'new'} | ${'new'}      | ${'sanitised'} | ${0} | ${true}
  `('$kernel kernel, VMM $vmm, report $report', ({ kernel, vmm, report, told, good }) => {
    const cell = runUpdates(kernel, report, vmm);
    expect(cell).toMatchObject({ told, good });
    expect(cell.verdict === 'leak').toBe(!good);
    expect(cell.findings.map(({ rule }) => rule)).toEqual(good ? [] : ['I10']);
  });

  it('a system that loses nothing marks the page: what makes the leak is the loss', () => {
    const cell = runUpdates('old', 'raw', 'forwards', 'overrides', false);
    expect(cell).toMatchObject({ told: 2, good: true, proof: 'the write made the page dirty' });
    // It works by accident: nobody has said that it would.
    expect(cell.verdict).toBe('leak');
  });
});

describe('IDR0.HTTU, kernel by VMM, where firmware confirms the register', () => {
  it.each`
    kernel   | vmm           | report         | told | verdict
    ${'old'} | ${'forwards'} | ${'raw'}       | ${2} | ${'leak'}
    ${'old'} | ${'forwards'} | ${'sanitised'} | ${0} | ${'ok'}
    ${'old'} | ${'masks'}    | ${'raw'}       | ${0} | ${'ok'}
    ${'old'} | ${'masks'}    | ${'sanitised'} | ${0} | ${'ok'}
    ${'old'} | ${'new'}      | ${'raw'}       | ${0} | ${'ok'}
    ${'old'} | ${'new'}      | ${'sanitised'} | ${0} | ${'ok'}
    ${'new'} | ${'forwards'} | ${'raw'}       | ${2} | ${'ok'}
    ${'new'} | ${'forwards'} | ${'sanitised'} | ${2} | ${'ok'}
    ${'new'} | ${'masks'}    | ${'raw'}       | ${0} | ${'lost'}
    ${'new'} | ${'masks'}    | ${'sanitised'} | ${0} | ${'lost'}
    ${'new'} | ${'new'}      | ${'raw'}       | ${2} | ${'ok'}
    ${'new'} | ${'new'}      | ${'sanitised'} | ${2} | ${'ok'}
  `('$kernel kernel, VMM $vmm, report $report', ({ kernel, vmm, report, told, verdict }) => {
    // Nowhere is a dirty page missed; an old kernel has only said nothing of it.
    expect(runUpdates(kernel, report, vmm, 'confirms')).toMatchObject({ told, good: true, verdict });
  });
});

describe('leaks', () => {
  /** What the rules find in each bad run about its field: the promise, and the harm, where there is a rule for it. */
  const found: Readonly<Record<string, readonly string[]>> = {
    'ats-without-vdevice': ['I10', 'I9'],
    'ril-absent': ['I10', 'I10', 'I2', 'I3'],
    'ril-refused': ['I10', 'I2', 'I2', 'I3'],
    'ssidsize-wider-than-table': ['I10'],
    'msi-never-sent': ['I10'],
    'sev-never-sent': ['I10'],
    'stalls-absent': ['I10'],
    'stalls-forced': ['I10'],
    'granule-absent': ['I10'],
    'oas-narrower': ['I10'],
    'coherence-promised': ['I10'],
  };
  const told = leakStories.filter(({ name }) => name !== 'coherence-denied');

  it('has a story for each of them', () => {
    expect(told.map(({ name }) => name)).toEqual(Object.keys(found));
  });

  it.each(told.map((story) => [story.name, story] as const))(
    '%s: the wrong thing happens, and not in its twin',
    (name, story) => {
      const bad = runLeak(story, false);
      expect(bad).toMatchObject({ good: false, verdict: 'leak' });
      expect(bad.findings.map(({ rule }) => rule)).toEqual(found[name]);
      for (const { position } of bad.findings) expect(position).toMatch(new RegExp(`^${name}@\\d+$`));
      const good = runLeak(story, true);
      expect(good).toMatchObject({ good: true, findings: [] });
      expect(['ok', 'lost']).toContain(good.verdict);
    },
  );

  it('a device whose walks firmware calls incoherent is refused, whatever the register says', () => {
    const story = leakStories.find(({ name }) => name === 'coherence-denied');
    expect(story && runLeak(story, false)).toMatchObject({ verdict: 'refused' });
    expect(story && runLeak(story, true)).toMatchObject({ verdict: 'ok' });
  });
});

describe('kernel x VMM x hardware', { timeout: 120_000 }, () => {
  const nests = ['everything', 'qemu-9', 'qemu-11', 'fvp-rich'];

  it.each(Object.keys(kernels) as (keyof typeof kernels)[])(
    '%s serves what can nest, and refuses the rest',
    (kernel) => {
      for (const vmm of vmms)
        for (const hardware of Object.keys(profiles) as ProfileName[]) {
          const cell = runProfiles(kernel, vmm, hardware);
          const at = `${kernel} ${vmm} ${hardware}`;
          // Without a second stage, or with an erratum of nesting (MMU-600 before r2, MMU-700 before r1p1), there is no parent.
          expect([at, cell.refused]).toEqual([
            at,
            nests.includes(hardware) ? undefined : 'no nesting parent: EOPNOTSUPP',
          ]);
          expect([at, cell.works]).toEqual([at, nests.includes(hardware)]);
          const fields = Object.values(cell.fields).flat();
          expect([at, fields.length]).toEqual([at, fieldNames.length]);
          // Cloud Hypervisor tells of TERM_MODEL 0 whatever the host has; the others leak nothing.
          const termModel = vmm.startsWith('cloud-hypervisor') && hardware.startsWith('qemu-') && cell.works;
          expect([at, cell.fields.leak ?? []]).toEqual([at, termModel ? ['IDR0.TERM_MODEL'] : []]);
          expect([at, cell.fields.mismatch ?? []]).toEqual([at, []]);
        }
    },
  );
});
