/**
 * Every read and write of the SMMU's own, aborted one at a time: a story that goes well is told once, and
 * then again for each place it touched, with that place taken out of RAM. Each time the record or CERROR
 * of that place comes (IHI 0070 7.1, 7.2.2, 7.3.4, 7.3.10, 7.3.12), and nothing that aborted is cached.
 */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../../core/config.ts';
import type { Entry } from '../../../core/event.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  at,
  bringUp,
  cd,
  command,
  dma,
  issue,
  machine,
  map,
  SID,
  ste,
  store,
  storeWords,
  tables,
  write,
} from '../../support/build.ts';
import { on, type When } from '../../support/given.ts';
import { idr } from '../../support/tables.ts';

const STES = 0x5_0000;
const CDS = 0x6_0000;
const SSID = 70;
const ALL = 2 ** 32;

const config = (ram: MachineConfig['ram']): MachineConfig => machine({ ram }, { idr: idr('') });

// Two levels of STEs, of CDs, and four of translation tables; a command and a record at the end.
const setup: readonly Stimulus[] = [
  ...bringUp().map((each) =>
    each.type === 'mmio.write' && each.offset === 0x88 ? write('STRTAB_BASE_CFG', 0x1_0188) : each,
  ),
  ...tables(),
  map(0x1000, at.data),
  store(at.strtab, BigInt(STES) | 7n),
  storeWords(STES + SID * 64, ste({ S1Fmt: 'TWO_LEVEL_4K', S1CDMax: 10, S1ContextPtr: at.cd })),
  store(at.cd + 8, BigInt(CDS) | 1n),
  storeWords(CDS + (SSID - 64) * 64, cd()),
];
const story: readonly Stimulus[] = [
  { ...dma(0x1000), ssid: SSID } as Stimulus,
  { ...dma(0x3000), ssid: SSID } as Stimulus,
  ...issue(0, command('CMD_TLBI_NH_ALL'), command('CMD_SYNC')),
];

const tell = (ram: MachineConfig['ram']): When =>
  on(config(ram))
    .given(setup)
    .when(...story);
const told = tell([{ base: 0, size: ALL }]);

interface Touch {
  readonly what: string;
  readonly pa: number;
}

function touched(entry: Entry): readonly Touch[] {
  if (entry.type === 'structure.fetched') return [{ what: entry.structure, pa: entry.pa }];
  if (entry.type === 'descriptor.fetched') return [{ what: `level ${entry.level}`, pa: entry.pa }];
  if (entry.type === 'command.fetched') return [{ what: 'command', pa: at.cmdq + entry.index * 16 }];
  return entry.type === 'record.written' ? [{ what: 'record', pa: entry.pa }] : [];
}

const places = [...new Map(told.entries.flatMap(touched).map((touch) => [touch.pa, touch])).values()];

/** What an abort there must lead to. */
function consequence(what: string): string {
  if (what === 'command') return 'CERROR_ABT';
  if (what === 'record') return 'EVENTQ_ABT_ERR';
  return /STD|STE/.test(what) ? 'F_STE_FETCH' : /CD/.test(what) ? 'F_CD_FETCH' : 'F_WALK_EABT';
}

describe('a story that goes well', () => {
  it('touches every kind of place', () => {
    expect(places.map(({ what }) => what)).toEqual([
      'L1STD',
      'STE',
      'L1CD',
      'CD',
      'level 0',
      'level 1',
      'level 2',
      'level 3',
      'level 3',
      'record',
      'command',
      'command',
    ]);
    told.then(
      { type: 'access.completed' },
      { type: 'record.written', record: 'F_TRANSLATION' },
      { type: 'sync.completed' },
    );
  });
});

describe('with an abort at', () => {
  it.each(places)('$what, $pa', ({ what, pa }) => {
    const again = tell([
      { base: 0, size: pa },
      { base: pa + 8, size: ALL - pa - 8 },
    ]);
    const expected = consequence(what);
    if (expected === 'CERROR_ABT') {
      again.then(
        { type: 'command.rejected', error: 'CERROR_ABT' },
        { type: 'interrupt.raised', source: 'GERROR' },
      );
    } else if (expected === 'EVENTQ_ABT_ERR') {
      again.then({ type: 'record.dropped' }, { type: 'register.updated', register: 'GERROR', value: 4n });
    } else {
      again.then({ type: 'fetch.aborted', pa }, { type: 'record.raised', record: expected });
      const own = again.of('access.terminated').find(({ reason }) => reason.startsWith(expected));
      expect(own?.result).toBe('abort');
    }
    // What aborted is not cached; what was read before it is.
    expect(again.of('config.filled').some((fill) => fill.pa === pa)).toBe(false);
    expect(again.of('tlb.filled').some((fill) => fill.descriptorPa === pa)).toBe(false);
    // The Command queue works whatever happened to accesses.
    if (expected !== 'CERROR_ABT') again.then({ type: 'sync.completed', index: 1 });
    // Nothing stays undone.
    const smmu = again.state.smmus['smmu0'];
    expect([smmu?.inFlight.length, smmu?.records.length]).toEqual([0, 0]);
  });
});
