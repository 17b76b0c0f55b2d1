/** Kernels against VMMs: which cells give a guest what it is told, by what its device does, and by the ledger. */
import { describe, expect, it } from 'vitest';
import { runBroadcast, runUpdates } from '../../adapters/caps-matrix.ts';

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
  });

  it('a system that loses nothing marks the page: what makes the leak is the loss', () => {
    const cell = runUpdates('old', 'raw', 'forwards', false);
    expect(cell).toMatchObject({ told: 2, good: true, proof: 'the write made the page dirty' });
    // It works by accident: nobody has said that it would.
    expect(cell.verdict).toBe('leak');
  });
});
