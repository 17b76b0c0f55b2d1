/** A machine whose faults stall, for the tests of stalls: CD.S=1, and what software does about it. */
import type { MachineConfig } from '../../core/config.ts';
import { CD } from '../../core/smmu/cd.ts';
import { encodeCommand } from '../../core/smmu/command-layout.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { at, bringUp, cd, machine, SID, storeWords, tables, write } from './build.ts';
import { type Given, on } from './given.ts';
import { idr, put } from './tables.ts';

export const SECOND = SID + 1;

/** Two endpoints, `dev0` and `dev1`, of streams 8 and 9; `features` change the identification registers. */
export function stallMachine(features = '', overrides: Partial<MachineConfig> = {}): MachineConfig {
  const endpoint = { smmu: 'smmu0', ats: false, pri: false, ssidBits: 0, atc: 0 } as const;
  return machine(
    {
      endpoints: [
        { ...endpoint, name: 'dev0', streamId: SID },
        { ...endpoint, name: 'dev1', streamId: SECOND },
      ],
      ...overrides,
    },
    { idr: idr(`STALL_MODEL=0 TERM_MODEL=0 STALL_MAX=8 ${features}`) },
  );
}

/** Both streams share one CD, whose faults stall; no page is mapped. */
export function stallWorld(cdFields = 'S=1'): readonly Stimulus[] {
  const setup = bringUp();
  const first = setup[0];
  if (first?.type !== 'mem.write') throw new Error('the STE comes first');
  return [
    ...setup,
    { ...first, pa: at.strtab + SECOND * 64 },
    ...tables(),
    storeWords(at.cd, put(CD.fields, cd(), cdFields)),
  ];
}

/** The machine with its world, ready. */
export function stalling(features = '', overrides: Partial<MachineConfig> = {}): Given {
  return on(stallMachine(features, overrides)).given(stallWorld());
}

/** A command given beside the queue, so that its indices stay as they are. */
export function give(...words: readonly Uint32Array[]): Stimulus[] {
  return words.map(([a = 0, b = 0, c = 0, d = 0]) => ({
    type: 'command.issue',
    smmu: 'smmu0',
    lo: (BigInt(b) << 32n) | BigInt(a),
    hi: (BigInt(d) << 32n) | BigInt(c),
  }));
}

/** CMD_RESUME of stream 8, or another. */
export function resume(STAG: number, how: 'retry' | 'abort' | 'raz-wi', StreamID: number = SID): Stimulus[] {
  return give(encodeCommand('CMD_RESUME', { StreamID, STAG, Ac: how === 'retry', Ab: how === 'abort' }));
}

/** Room in an Event queue of `2^log2` entries: it is full when nothing was read. */
export function eventQueueOf(log2: number): Stimulus[] {
  return [
    write('CR0', 0x9),
    write('EVENTQ_BASE', BigInt(at.evtq) | BigInt(log2)),
    write('EVENTQ_PROD', 0),
    write('EVENTQ_CONS', 0),
    write('CR0', 0xd),
  ];
}
