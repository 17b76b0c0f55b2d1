/**
 * How long the configuration caches keep a structure that changed (IHI 0070 4.3, 8.1): until a command
 * that covers it, and no other.
 */
import { describe, expect, it } from 'vitest';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  at,
  bringUp,
  command,
  dma,
  issue,
  map,
  SID,
  ste,
  store,
  storeWords,
  tables,
  write,
} from '../../support/build.ts';
import { given } from '../../support/given.ts';
import { table } from '../../support/tables.ts';

const page = (index: number): number => (index + 1) * 0x1000;
const mapped = (count: number): Stimulus[] =>
  Array.from({ length: count }, (_, index) => map(page(index), at.data + page(index)));

describe('structures are stale until their command', () => {
  const cases = table<'command' | 'seen'>(`
    command                 | seen
    CMD_CFGI_STE SID        | yes
    CMD_CFGI_STE other      | no
    CMD_CFGI_STE_RANGE all  | yes
    CMD_CFGI_CD SID         | no
    CMD_TLBI_NSNH_ALL       | no
  `);
  it.each(cases)('an STE: $command $seen', ({ command: which, seen }) => {
    const words = {
      'CMD_CFGI_STE SID': command('CMD_CFGI_STE', { StreamID: SID, Leaf: true }),
      'CMD_CFGI_STE other': command('CMD_CFGI_STE', { StreamID: SID + 1, Leaf: true }),
      'CMD_CFGI_STE_RANGE all': command('CMD_CFGI_STE_RANGE', { Range: 31 }),
      'CMD_CFGI_CD SID': command('CMD_CFGI_CD', { StreamID: SID }),
      CMD_TLBI_NSNH_ALL: command('CMD_TLBI_NSNH_ALL'),
    }[which]!;
    given(bringUp(), tables(), mapped(1))
      .given(dma(page(0)), storeWords(at.strtab + SID * 64, ste({ Config: 'ABORT' })))
      .when(issue(0, words), dma(page(0)))
      .thenOutcome({ result: seen === 'yes' ? 'abort' : 'ok' });
  });

  it('CFGI_STE drops the CD that was fetched through it (4.3.1)', () => {
    const story = given(bringUp(), tables(), mapped(1), dma(page(0)))
      .when(issue(0, command('CMD_CFGI_STE', { StreamID: SID, Leaf: true })))
      .then({ type: 'cache.invalidated', cache: 'ste' }, { type: 'cache.invalidated', cache: 'cd' });
    expect(story.of('cache.invalidated').map(({ removed }) => removed.length)).toEqual([1, 1]);
  });

  it('an L1STD: Leaf=1 leaves it, Leaf=0 of any StreamID of its span drops it (4.3.1)', () => {
    const twoLevel = bringUp().map((each) =>
      each.type === 'mmio.write' && each.offset === 0x88 ? write('STRTAB_BASE_CFG', 0x1_0188) : each,
    );
    const story = given(twoLevel, store(at.strtab, 0), dma(page(0)), store(at.strtab, 0x5_0007n))
      .when(issue(0, command('CMD_CFGI_STE', { StreamID: SID, Leaf: true })), dma(page(0)))
      .thenOutcome({ event: 'C_BAD_STREAMID' })
      .when(issue(1, command('CMD_CFGI_STE', { StreamID: 63 })), dma(page(0)))
      .thenOutcome({ event: 'C_BAD_STE' });
    story.then(
      { type: 'cache.invalidated', cache: 'l1std' },
      { type: 'structure.fetched', structure: 'STE', pa: 0x5_0200 },
    );
  });
});
