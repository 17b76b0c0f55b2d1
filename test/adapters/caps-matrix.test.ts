/** Kernels against VMMs: which cells give a guest what it is told, by what its device does, and by the ledger. */
import { describe, expect, it } from 'vitest';
import { runBroadcast } from '../../adapters/caps-matrix.ts';

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
