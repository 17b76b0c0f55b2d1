/** The words of entries about stalls, ATS, PRI and interrupts: what people look for comes first, nothing twice. */
import { expect, it } from 'vitest';
import { entryText } from '../../../adapters/cli/entry-text.ts';
import type { EntryType } from '../../../core/event.ts';
import { command, dma } from '../../support/build.ts';
import { atsWorld, IOVA, pageRequest, translate, WITH_PRIQ } from '../../support/endpoints.ts';
import type { When } from '../../support/given.ts';
import { give, resume, stalling } from '../../support/stalling.ts';

const said = (when: When, type: EntryType): string[] =>
  when.entries.filter((entry) => entry.type === type).map((entry) => entryText(entry));

it('says what a stall is about, and how it ends', () => {
  const stall = stalling().when(dma(0x1000), resume(0, 'abort'));
  expect(said(stall, 'access.stalled')).toEqual([
    'read iova=0x1000 STAG=0 F_TRANSLATION: level 3 descriptor is invalid',
  ]);
  const [{ seq } = { seq: 0 }] = stall.of('access.stalled');
  expect(said(stall, 'stall.decided')).toEqual([`abort @${seq}`]);
  expect(said(stall, 'stall.ended')).toEqual([`abort @${seq}`]);
  expect(said(stall, 'interrupt.raised')).toEqual(['EVENTQ']);
  expect(said(stall, 'command.issue')).toEqual(['CMD_RESUME { Ab=1 StreamID=8 }']);
  expect(said(stall, 'command.fetched')).toEqual(['beside CMD_RESUME { Ab=1 StreamID=8 }']);
});

it('says what was asked of ATS and PRI, and the answers', () => {
  const world = atsWorld([], {}, { cr0: WITH_PRIQ, priqLog2: 0 });
  const answer = command('CMD_PRI_RESP', { StreamID: 8, PRGIndex: 1, Resp: 'SUCCESS' });
  const asked = world.when(
    translate(IOVA),
    pageRequest(IOVA),
    pageRequest(IOVA, { prgIndex: 2 }),
    give(answer),
  );
  expect(said(asked, 'ats.translate')).toEqual(['read 1B iova=0x4000']);
  expect(said(asked, 'ats.answered')).toEqual(['success 0x4000/4K -> 0x1000000 rw walk']);
  expect(said(asked, 'atc.filled')).toEqual(['0x4000/4K -> 0x1000000 rw']);
  const [first = { seq: 0 }, second = { seq: 0 }] = asked.of('page.requested');
  expect(said(asked, 'pri.request')[0]).toBe('read iova=0x4000 group 1 last');
  expect(said(asked, 'page.requested')[0]).toBe('group 1 r last iova=0x4000 sid=0x8');
  expect(said(asked, 'page.queued')).toEqual([`priq[0] group 1 dev0 @${first.seq}`]);
  expect(said(asked, 'page.dropped')).toEqual([`group 2 dev0 @${second.seq}: the queue is full`]);
  const [fetched = { seq: 0 }] = asked.of('command.fetched');
  expect(said(asked, 'page.responded')).toEqual([
    'group 2 dev0 SUCCESS by itself',
    `group 1 dev0 SUCCESS @${fetched.seq}`,
  ]);
});
