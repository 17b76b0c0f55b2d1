/** A trace without memory lines becomes a history of facts: timeline, caches and commands can be travelled. */
import { describe, expect, it } from 'vitest';
import { fold } from '../../../core/fold.ts';
import { resetRegisters } from '../../../core/smmu/regs.ts';
import { initialState } from '../../../core/state.ts';
import { captureText, type Imported, importText } from '../../support/import-trace.ts';

const bare = (name: 'clean' | 'stale' | 'faults'): string =>
  captureText(name)
    .split('\n')
    .filter((line) => !/:cap_/.test(line))
    .join('\n');

function counted({ entries }: Imported): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { type } of entries) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}

describe('observing a trace', () => {
  it('takes the clean run: 220 commands, 699 accesses, 166 fills', async () => {
    const imported = await importText(bare('clean'), { observe: true });
    expect(counted(imported)).toMatchObject({
      'command.fetched': 220,
      'command.consumed': 220,
      'sync.completed': 111,
      'access.completed': 699,
      'tlb.filled': 166,
      'config.filled': 4,
      'register.read': 124,
      'descriptor.fetched': 664,
    });
    expect(imported.result).toMatchObject({ unknown: 0, compared: { translation: 0 } });
    const hits = imported.entries.filter((entry) => entry.type === 'access.completed' && entry.via === 'hit');
    expect(hits).toHaveLength(533);
    expect(
      hits.every(
        (entry) => entry.type === 'access.completed' && entry.tlb > 0 && entry.ste > 0 && entry.cd > 0,
      ),
    ).toBe(true);
  });

  it('takes faults, their records and the queue pointer', async () => {
    const imported = await importText(bare('faults'), { observe: true });
    expect(counted(imported)).toMatchObject({
      'record.raised': 10,
      'record.written': 10,
      'access.terminated': 10,
      'access.completed': 2,
    });
    expect(imported.simulation.state.smmus['smmu0']?.regs['EVENTQ_PROD']).toBe(10);
    expect(imported.simulation.state.smmus['smmu0']?.records).toEqual([]);
  });

  it('gives entries that fold to the same state', async () => {
    for (const text of [bare('clean'), captureText('faults')]) {
      const { entries, machine, simulation } = await importText(text, { observe: true });
      const folded = fold(initialState(machine, resetRegisters), entries);
      expect(folded.smmus['smmu0']?.regs).toEqual(simulation.state.smmus['smmu0']?.regs);
      expect(folded.smmus['smmu0']?.caches.tlb.size).toBe(simulation.state.smmus['smmu0']?.caches.tlb.size);
      expect(folded.smmus['smmu0']?.inFlight).toEqual([]);
    }
  });

  it('knows operands and records where memory lines tell them', async () => {
    const { entries } = await importText(captureText('faults'), { observe: true });
    const tlbi = entries.find(
      (entry) => entry.type === 'command.fetched' && entry.command === 'CMD_TLBI_NH_VA',
    );
    expect(tlbi).toMatchObject({ lo: 0x1_0000_0000_0012n, hi: 0xffff_f701n });
    const raised = entries.filter((entry) => entry.type === 'record.raised');
    expect(raised[4]?.type === 'record.raised' && [...raised[4].words.slice(0, 8)]).toEqual([
      0x13, 0, 0, 0, 0x20, 0, 0, 0,
    ]);
  });
});
