/**
 * Merging of event records (IHI 0070 3.5.5, 7.3.1; the choice `mergeRecords`): two accesses fault before the first
 * record is written, and one record or two come of it.
 */
import { describe, expect, it } from 'vitest';
import { CD } from '../../../core/smmu/cd.ts';
import { STE } from '../../../core/smmu/ste.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { at, bringUp, cd, machine, SID, ste, storeWords, tables, write } from '../../support/build.ts';
import { type Given, on } from '../../support/given.ts';
import { idr, pairs, put, table } from '../../support/tables.ts';

const SECOND = SID + 1;

/** Two streams with one CD; nothing is mapped, and records wait for their turn. */
function world(steFields: string, cdFields: string, mergeRecords: boolean): Given {
  const endpoint = { smmu: 'smmu0', ats: false, pri: false, ssidBits: 4, atc: 0 } as const;
  const endpoints = [
    { ...endpoint, name: 'dev0', streamId: SID },
    { ...endpoint, name: 'dev1', streamId: SECOND },
    { ...endpoint, name: 'far', streamId: 0x1000 },
  ];
  const words = put(STE.fields, ste(), steFields);
  const stes = [SID, SECOND].map((sid) => storeWords(at.strtab + sid * 64, words));
  const cds = [0, 1].map((index) => storeWords(at.cd + index * 64, put(CD.fields, cd(), cdFields)));
  return on(
    machine({ endpoints }, { idr: idr('STALL_MODEL=0 STALL_MAX=4'), choices: { mergeRecords } }),
  ).given(bringUp(), tables(), stes, cds, { type: 'set', path: 'schedule', value: 'manual' });
}

/** An access in words: `0x1000 write priv ssid=1 dev=far`. */
function access(text: string): Stimulus {
  const [iova = '0', ...rest] = text.split(' ');
  const of = new Map(pairs(rest.join(' ')));
  return {
    type: 'dma',
    endpoint: of.get('dev') ?? 'dev0',
    iova: BigInt(iova),
    size: 4,
    access: of.has('write') ? 'write' : 'read',
    privileged: of.has('priv'),
    exec: of.has('exec'),
    ...(of.has('ssid') ? { ssid: Number(of.get('ssid')) } : {}),
  };
}

const rows = table<'ste' | 'cd' | 'first' | 'second' | 'record' | 'count'>(`
  ste                | cd         | first           | second                | record            | count
  MEV=1              |            | 0x1000          | 0x1000                | F_TRANSLATION     | 1
  MEV=1              |            | 0x1000          | 0x1ffc                | F_TRANSLATION     | 1
  MEV=0              |            | 0x1000          | 0x1000                | F_TRANSLATION     | 2
  MEV=1              |            | 0x1000          | 0x2000                | F_TRANSLATION     | 2
  MEV=1              |            | 0x1000          | 0x100001000           | F_TRANSLATION     | 2
  MEV=1              |            | 0x1000          | 0x1000 write          | F_TRANSLATION     | 2
  MEV=1              |            | 0x1000          | 0x1000 priv           | F_TRANSLATION     | 2
  MEV=1              |            | 0x1000          | 0x1000 exec           | F_TRANSLATION     | 2
  MEV=1              |            | 0x1000          | 0x1000 dev=dev1       | F_TRANSLATION     | 2
  MEV=1 S1CDMax=1 S1DSS=2 |       | 0x1000          | 0x1000 ssid=1         | F_TRANSLATION     | 2
  MEV=1 S1CDMax=1 S1DSS=2 |       | 0x1000 ssid=1   | 0x1004 ssid=1         | F_TRANSLATION     | 1
  MEV=1              | S=1        | 0x1000          | 0x1000                | F_TRANSLATION     | 2
  MEV=1              | TTB0=0x2000000000 | 0x1000   | 0x1008                | F_WALK_EABT       | 1
  MEV=0              | TTB0=0x2000000000 | 0x1000   | 0x1008                | F_WALK_EABT       | 2
  MEV=1              | V=0        | 0x1000          | 0x5000                | C_BAD_CD          | 1
  MEV=0              | V=0        | 0x1000          | 0x5000                | C_BAD_CD          | 2
  MEV=1 S1CDMax=1    |            | 0x1000          | 0x5000                | F_STREAM_DISABLED | 1
  MEV=0 V=0          |            | 0x1000          | 0x5000                | C_BAD_STE         | 1
  MEV=0 V=0          |            | 0x1000          | 0x5000 ssid=1         | C_BAD_STE         | 2
  MEV=0 V=0          |            | 0x1000          | 0x1000 dev=dev1       | C_BAD_STE         | 2
                     |            | 0x1000 dev=far  | 0x5000 dev=far        | C_BAD_STREAMID    | 1
`);

describe('two accesses that fault', () => {
  it.each(rows)('$ste $cd: $first and $second, $count of $record', (row) => {
    const faults = [access(row.first), access(row.second)];
    const story = world(row.ste, row.cd, true).when(faults);
    const raised = story.of('record.raised');
    expect(raised.map(({ record }) => record)).toEqual(
      Array.from({ length: Number(row.count) }, () => row.record),
    );
    if (row.count === '1') story.then({ type: 'record.merged', record: row.record, into: raised[0]!.seq });
    else story.thenNo('record.merged');
    // Each is ended as it would be without.
    expect(story.of('access.terminated').length + story.of('access.stalled').length).toBe(2);
    story.when({ type: 'set', path: 'schedule', value: 'eager' }).then({ type: 'record.written', index: 0 });
  });

  it.each(rows)('are told of twice where records are not merged: $ste $cd $first, $second', (row) => {
    const story = world(row.ste, row.cd, false).when(access(row.first), access(row.second));
    expect(story.of('record.raised')).toHaveLength(2);
    story.thenNo('record.merged');
  });

  it('are told of twice when the first record is written already', () => {
    const story = world('MEV=1', '', true)
      .given({ type: 'set', path: 'schedule', value: 'eager' })
      .when(access('0x1000'), access('0x1000'));
    expect(story.of('record.written').map(({ index }) => index)).toEqual([0, 1]);
    story.thenNo('record.merged');
  });

  it('F_STE_FETCH is merged whatever STE.MEV says, for no STE was read', () => {
    const ram = [
      { base: 0, size: at.strtab },
      { base: at.cd, size: 2 ** 32 },
    ];
    const config = machine({ ram }, { idr: idr(''), choices: { mergeRecords: true } });
    const story = on(config)
      .given(
        write('STRTAB_BASE', at.strtab),
        write('STRTAB_BASE_CFG', 8),
        write('EVENTQ_BASE', at.evtq + 7),
        write('CR0', 5),
      )
      .given({ type: 'set', path: 'schedule', value: 'manual' })
      .when(access('0x1000'), access('0x2000'));
    expect(story.of('record.raised').map(({ record }) => record)).toEqual(['F_STE_FETCH']);
    story.then({ type: 'record.merged', record: 'F_STE_FETCH' });
  });
});
