/**
 * The registers of enhanced command queues (IHI 0070 3.5.6, 6.2.5, 6.3.45, 6.3.49 to 6.3.51, 6.3.107 to 6.3.109):
 * where they are, what a write may change, and how paths show them; and the table of queue kinds.
 */
import { describe, expect, it } from 'vitest';
import { resolvePath } from '../../../core/path.ts';
import { type CommandQueue, commandQueueKinds, commandQueuesOf } from '../../../core/smmu/command-queues.ts';
import { enhancedRegisterAt, enhancedRegisters } from '../../../core/smmu/ecmdq-registers.ts';
import { Features } from '../../../core/smmu/features.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { bringUp, write } from '../../support/build.ts';
import {
  config,
  ECMDQ,
  EN,
  get,
  inQueue,
  offsetOf,
  put,
  readAt,
  ready,
  submit,
} from '../../support/enhanced.ts';
import { on, written } from '../../support/given.ts';
import { idr, table } from '../../support/tables.ts';

const MANUAL: Stimulus = { type: 'set', path: 'schedule', value: 'manual' };
const ILL = new Uint32Array(4);

describe('the registers', () => {
  it('stand evenly in their pages (6.2.5)', () => {
    const places = table<'log2numq' | 'queue' | 'offset'>(`
      log2numq | queue | offset
      0        | 0     | 0x40000
      0        | 1     | 0x50000
      2        | 1     | 0x44000
      2        | 4     | 0x50000
      7        | 1     | 0x40200
      7        | 127   | 0x4fe00
      7        | 128   | 0x50000
      8        | 1     | 0x40100
      8        | 255   | 0x4ff00
    `);
    for (const { log2numq, queue, offset } of places) {
      const pages = log2numq === '8' ? 0 : 1;
      const features = new Features(
        idr(`ECMDQ=1 CMDQ_CONTROL_PAGE_LOG2NUMP=${pages} CMDQ_CONTROL_PAGE_LOG2NUMQ=${log2numq}`),
      );
      for (const which of ['BASE', 'PROD', 'CONS'] as const) {
        const found = enhancedRegisterAt(features, Number(offset) + inQueue[which]);
        expect(found).toMatchObject({ queue: Number(queue), which: `ECMDQ_${which}`, word: 0 });
        expect(found?.register.name).toBe(`ECMDQ${queue}_${which}`);
      }
      expect(enhancedRegisterAt(features, Number(offset) + 4)).toMatchObject({
        which: 'ECMDQ_BASE',
        word: 1,
      });
      expect(enhancedRegisterAt(features, Number(offset) + 16)).toBeUndefined();
    }
  });

  it('use no address bits beyond the OAS (3.4.3)', () => {
    const story = on(config(`${ECMDQ} OAS=4`)).when(put(0, 'BASE', (1n << 44n) + 0x7_0004n));
    story.then({ type: 'misuse.noted', rule: 'address-beyond-oas' }, written('ECMDQ0_BASE', 0x7_0004));
  });

  it('are all listed, and each is found where the list says', () => {
    const features = new Features(idr(ECMDQ));
    const all = enhancedRegisters(features);
    expect(all).toHaveLength(3 * 8);
    // ECMDQ_BASE, ECMDQ_PROD and ECMDQ_CONS of queue 0.
    expect(all.slice(0, 3).map(({ name }) => name)).toEqual(['ECMDQ0_BASE', 'ECMDQ0_PROD', 'ECMDQ0_CONS']);
    for (const { name, offset } of all)
      expect(enhancedRegisterAt(features, offset)?.register.name).toBe(name);
  });

  it('tell of the pages in page 0 (6.3.49 to 6.3.51)', () => {
    // CMDQ_CONTROL_PAGE_BASE0, _CFG0, _STATUS0, and those of page 1; PRESET=1 and CMDQGS=1.
    const pages = on(config()).given(bringUp()).when();
    pages.when(readAt(0x4000, 8)).thenOutcome({ value: 0x4_0003n });
    pages.when(readAt(0x4008)).thenOutcome({ value: 1n });
    pages.when(readAt(0x400c)).thenOutcome({ value: 1n });
    pages.when(readAt(0x4020, 8)).thenOutcome({ value: 0x5_0003n });
    pages.when(readAt(0x4028)).thenOutcome({ value: 1n });
    pages.when(readAt(0x4040, 8)).thenOutcome({ value: 0n });
    // IDR6: 2 pages of 4 queues.
    pages.when(readAt(0x190)).thenOutcome({ value: 0x0102_0000n });
    const change: Stimulus = { type: 'mmio.write', smmu: 'smmu0', offset: 0x4020, size: 8, value: 0n };
    pages.when(change).then({ type: 'write.ignored', why: 'read-only' });
  });

  it('are not there without IDR1.ECMDQ, nor beyond the last queue', () => {
    for (const [features, queue] of [
      ['MSI=1', 0],
      [ECMDQ, 8],
    ] as const) {
      const story = on(config(features))
        .given(bringUp())
        .when(put(queue, 'PROD', EN));
      story.then({ type: 'write.ignored', why: 'RES0' }).thenNo('register.written');
      story.when(get(queue, 'PROD')).thenOutcome({ value: 0n });
    }
    on(config('MSI=1')).when(readAt(0x4000, 8)).thenOutcome({ value: 0n });
  });

  it('hold what is written, under the name of their queue', () => {
    const story = on(config()).when(put(5, 'BASE', 0x4000_0000_0007_5004n), readAt(offsetOf(5, 'BASE'), 8));
    story.then(written('ECMDQ5_BASE', 0x4000_0000_0007_5004n)).thenOutcome({ value: 0x4000_0000_0007_5004n });
    expect(resolvePath(story.state, 'smmu0.regs.ECMDQ5_BASE.LOG2SIZE')).toMatchObject({ value: 4 });
  });

  it('of a queue that is on can be read alone, but for PROD (6.3.107 to 6.3.109)', () => {
    const story = ready(1).when(put(1, 'BASE', 0), put(1, 'CONS', 3), put(2, 'BASE', 0x9_0000n));
    expect(story.of('write.ignored').map(({ register }) => register)).toEqual(['ECMDQ1_BASE', 'ECMDQ1_CONS']);
    story.then(written('ECMDQ2_BASE', 0x9_0000));
  });

  it('let PROD alone while EN and ENACK differ (6.3.108)', () => {
    on(config())
      .given(bringUp(), MANUAL, put(0, 'PROD', EN))
      .when(put(0, 'PROD', EN + 1))
      .then({ type: 'write.ignored', register: 'ECMDQ0_PROD' });
  });

  it('do not let a write change ERR, ERR_REASON and ENACK', () => {
    const story = on(config())
      .given(put(0, 'BASE', 19))
      .when(put(0, 'CONS', 0xffff_ffff), get(0, 'CONS'));
    story.thenOutcome({ value: 0xf_ffffn });
  });

  it('guard CR1.QUEUE_* while any queue is on (6.3.11.2)', () => {
    const off = [write('CR0', 0)];
    on(config()).given(bringUp(), off).when(write('CR1', 0)).then(written('CR1', 0));
    const story = ready(3).given(off).when(write('CR1', 0));
    story.then({ type: 'misuse.noted', rule: 'guarded-bits' }, written('CR1', 0x35));
  });
});

describe('the table of queue kinds', () => {
  it('names each queue once, and the Command queue is there always', () => {
    const most = commandQueueKinds.flatMap((kind) =>
      Array.from({ length: kind.most }, (_, index) => kind.names(index).name),
    );
    expect(new Set(most).size).toBe(most.length);
    const names = (features: string): readonly string[] =>
      commandQueuesOf(new Features(idr(features))).map(({ name }: CommandQueue) => name);
    expect(names('')).toEqual(['CMDQ']);
    expect(names(ECMDQ)).toEqual(['CMDQ', ...Array.from({ length: 8 }, (_, index) => `ECMDQ${index}`)]);
    expect(names('ECMDQ=1 CMDQ_CONTROL_PAGE_LOG2NUMP=8 CMDQ_CONTROL_PAGE_LOG2NUMQ=8')).toHaveLength(257);
  });

  it('paths show the queues', () => {
    const { state } = stoppedAt();
    expect(resolvePath(state, 'smmu0.ecmdq[0].err')).toMatchObject({ value: 'CERROR_ILL' });
    expect(resolvePath(state, 'smmu0.ecmdq[0].size')).toMatchObject({ value: 1 });
    expect(resolvePath(state, 'smmu0.ecmdq[0][0]')).toMatchObject({
      value: { command: 'RESERVED', pa: '0x70000' },
    });
    expect(resolvePath(state, 'smmu0.ecmdq[8]')).toMatchObject({ problem: expect.any(String) });
  });
});

function stoppedAt() {
  return ready(0).when(submit(0, ILL));
}
