/** The `cpu.tlbi` line: what it needs, by its operation, and that it reaches the SMMU (IHI 0070 3.17). */
import { describe, expect, it } from 'vitest';
import { ScenarioRunner } from '../../../adapters/scenario/runner.ts';
import { Simulation } from '../../../core/simulation.ts';
import { profiles } from '../../../core/smmu/profiles.ts';
import { resetRegisters } from '../../../core/smmu/regs.ts';
import { initialState } from '../../../core/state.ts';
import { table, withFields } from '../../support/tables.ts';
import { boot, dma, machine, map, unmap } from '../story.ts';

const IDR = withFields(profiles.everything.idr, 'BTM=1');
const listening = { ...machine, smmus: [{ name: 'smmu0', profile: 'everything', idr: IDR }] };
const OPERANDS = { vmid: 0, asid: 7, va: '0x1000', ipa: '0x1000', tg: '4KB', num: 1, scale: 0, ttl: 3 };

function results(...lines: readonly object[]) {
  const runner = new ScenarioRunner({
    begin: (config) => new Simulation(initialState(config, resetRegisters)),
    label: (name) => ({ position: `main@{${name}}` }),
  });
  return lines.map((line, index) => runner.run(line, { file: 'test', line: index + 1 }));
}

/** The line with the operands named in `text`, and the flags of the PE. */
function tlbi(operation: string, text: string): object {
  const names = text.split(' ').filter((name) => name !== '');
  const value = (name: string): unknown => {
    if (name.includes('=')) return name.endsWith('=1');
    return OPERANDS[name as keyof typeof OPERANDS];
  };
  return {
    op: 'cpu.tlbi',
    operation,
    ...Object.fromEntries(names.map((name) => [name.split('=')[0], value(name)])),
  };
}

describe('a cpu.tlbi line', () => {
  it('takes a translation out of the TLB', () => {
    const line = { op: 'cpu.tlbi', operation: 'VAAE1', vmid: 0, va: '0x1000' };
    const outcomes = results(listening, ...boot(), map, dma, unmap, dma, line, dma).map(
      ({ outcome }) => outcome,
    );
    expect(outcomes.slice(-3)).toEqual([
      { result: 'ok', pa: '0x40100000', hex: expect.any(String) },
      {},
      { result: 'abort', event: 'F_TRANSLATION' },
    ]);
  });

  const lines = table<'operation' | 'operands' | 'problem'>(`
    operation  | operands                      | problem
    VAE1       | vmid asid va                  |
    VAE1       | vmid va                       | asid: expected a value: VAE1 takes it
    VAE1       | vmid asid                     | va: expected a value: VAE1 takes it
    VAE1       | asid va                       | vmid: expected a value: VAE1 takes it
    VAE1       | asid va el2=0                 |
    VAE1       | vmid asid va el2=0            | vmid: expected no value: VAE1 does not take it
    VAE1       | vmid asid va ipa              | ipa: expected no value: VAE1 does not take it
    VAE1       | vmid asid va num              | num: expected no value: VAE1 does not take it
    VAE1       | vmid asid va ttl              | ttl: expected no value: VAE1 does not take it
    VAAE1      | vmid asid va                  | asid: expected no value: VAAE1 does not take it
    ALLE1      |                               |
    ALLE1      | vmid                          | vmid: expected no value: ALLE1 does not take it
    IPAS2E1    | vmid ipa                      |
    IPAS2E1    | vmid va                       | va: expected no value: IPAS2E1 does not take it
    RVAE1      | vmid asid va tg num scale     |
    RVAE1      | vmid asid va tg num scale ttl |
    RVAE1      | vmid asid va num scale        | tg: expected a value: RVAE1 takes it
    VAE2       | va                            |
    VAE2       | asid va                       | asid: expected no value: VAE2 does not take it
    VAE2       | asid va e2h=1                 |
    VAE2       | va e2h=1                      | asid: expected a value: VAE2 takes it
    VAE2       | asid va e2h=1 el2=0           | e2h: expected false with el2 false
    ASIDE2     | asid e2h=1                    |
    ASIDE2     | asid                          | e2h: expected true: ASIDE2 comes from a PE in EL2-E2H alone
    VAE3       | va                            | operation: expected a TLBI such as VAE1
  `);
  it.each(lines)('$operation with $operands: $problem', ({ operation, operands, problem }) => {
    const run = (): unknown => results(listening, tlbi(operation, operands)).at(-1)?.outcome;
    if (problem === '') expect(run()).toEqual({});
    else expect(run).toThrow(`cpu.tlbi: ${problem}`);
  });
});
