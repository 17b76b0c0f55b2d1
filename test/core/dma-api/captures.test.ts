/**
 * The DMA API against a capture: the mappings that the captured kernel made, asked for without addresses, get the
 * IOVAs that the kernel gave, and all the driver does is the same again, now on a CPU that shares the Command queue.
 */
import { describe, expect, it } from 'vitest';
import { type Asked, capturedDriver, type Leaf } from '../../support/captured-driver.ts';
import { firstDifference } from '../../support/driver-steps.ts';
import { openBoard } from '../../support/our-driver.ts';

interface Call {
  readonly at: number;
  readonly sid: number;
  readonly iova: number;
  readonly pages: Leaf[];
  unmapped?: boolean;
}

const PAGE = 0x1000;

/**
 * Mappings as they were asked for: what was unmapped in one piece was mapped so. What stays is one where its pages
 * were stored upwards, one after the other: new places for two would go downwards, and a range that was freed is
 * given again as it was.
 */
function callsOf(asked: readonly Asked[]): readonly Call[] {
  const calls: Call[] = [];
  const open = new Map<string, Call>();
  const joined = new Map<Call, Call>();
  for (const [at, each] of asked.entries()) {
    if (each.ask === 'map') {
      const call = { at, sid: each.sid, iova: each.iova, pages: [each.leaf] };
      open.set(`${each.sid} ${each.iova}`, call);
      calls.push(call);
    } else if (each.ask === 'unmap') {
      const first = open.get(`${each.sid} ${each.iova}`)!;
      for (let offset = PAGE; offset < each.size; offset += PAGE) {
        const next = open.get(`${each.sid} ${each.iova + offset}`)!;
        first.pages.push(...next.pages);
        joined.set(next, first);
      }
      first.unmapped = true;
    }
  }
  for (const [at, call] of calls.entries()) {
    const before = calls[at - 1];
    const into = before === undefined ? undefined : (joined.get(before) ?? before);
    if (into === undefined || joined.has(call) || into.unmapped || call.unmapped) continue;
    if (wasFreed(asked.slice(0, call.at), call)) continue;
    const follows = call.iova === into.iova + into.pages.length * PAGE;
    if (!follows || call.sid !== into.sid || asked[call.at - 1]?.ask !== 'map') continue;
    into.pages.push(...call.pages);
    joined.set(call, into);
  }
  return calls.filter((call) => !joined.has(call));
}

const wasFreed = (before: readonly Asked[], { sid, iova }: Call): boolean =>
  before.some((each) => each.ask === 'unmap' && each.sid === sid && each.iova === iova);

describe('the DMA API of linux-6.1', () => {
  it('gives the IOVAs that the captured kernel gave, and the driver does what it did', () => {
    const { steps, asked } = capturedDriver('clean');
    const calls = new Map(callsOf(asked).map((call) => [call.at, call]));
    const board = openBoard(asked, 'linux-6.1');
    const given: string[] = [];
    for (const [at, each] of asked.entries()) {
      const call = calls.get(at);
      if (call !== undefined) given.push(`${call.sid} ${board.map(call.sid, call.pages, call.pages[0]!)}`);
      else if (each.ask === 'unmap') board.unmap(each.sid, each.iova, each.size);
      else if (each.ask !== 'map') board.do(each);
    }
    expect(given).toEqual([...calls.values()].map(({ sid, iova }) => `${sid} 0x${iova.toString(16)}`));
    expect(given.length).toBeGreaterThan(100);
    expect(firstDifference(steps, board.steps)).toBeUndefined();
  });
});
