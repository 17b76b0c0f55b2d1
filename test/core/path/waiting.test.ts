/** What waits in an SMMU, by path: stalled accesses, Page Requests, commands of enhanced queues. */
import { describe, expect, it } from 'vitest';
import { isPathProblem, resolvePath } from '../../../core/path.ts';
import { command, dma } from '../../support/build.ts';
import { atsWorld, IOVA, pageRequest, WITH_PRIQ } from '../../support/endpoints.ts';
import { fill, put, ready, ring } from '../../support/enhanced.ts';
import { turn, type When } from '../../support/given.ts';
import { resume, stalling } from '../../support/stalling.ts';

const MANUAL = { type: 'set', path: 'schedule', value: 'manual' } as const;

function at({ state }: When, path: string): { readonly value: unknown; readonly text: string } {
  const found = resolvePath(state, path);
  if (isPathProblem(found)) throw new Error(found.problem);
  return { value: found.value, text: found.lines.map(({ text }) => text).join('\n') };
}

describe('what waits', () => {
  it('is a stalled access with its STAG, and what was decided on it', () => {
    const stalled = stalling().given(MANUAL).when(dma(0x1000, 'write'));
    expect(at(stalled, 'smmu0.stalls').value).toEqual([
      { id: expect.any(Number), endpoint: 'dev0', streamId: 8, iova: '0x1000', access: 'write', stag: 0 },
    ]);
    expect(at(stalled, 'smmu0.stalls').text).toBe('dev0 write 0x1000 STAG=0');
    const decided = stalled.when(turn('evtq'), resume(0, 'abort'), turn('consume'));
    expect(at(decided, 'smmu0.stalls').text).toBe('dev0 write 0x1000 STAG=0 abort');
    expect(at(decided.when(turn('stall')), 'smmu0.stalls')).toEqual({ value: [], text: 'none' });
  });

  it('is an access that waits for room among the records (6.3.6)', () => {
    const two = stalling('STALL_MAX=1').when(dma(0x1000), dma(0x2000));
    expect(at(two, 'smmu0.stalls').text).toBe('dev0 read 0x1000 STAG=0, dev0 read 0x2000 held');
  });

  it('is a Page Request before its turn', () => {
    const asked = atsWorld([], {}, { cr0: WITH_PRIQ }).given(MANUAL).when(pageRequest(IOVA));
    expect(at(asked, 'smmu0.pageRequests').text).toBe('dev0 group 1 r');
    expect(at(asked.when(turn('priq')), 'smmu0.pageRequests').value).toEqual([]);
  });

  it('is a command, with the queue it came from', () => {
    const flush = command('CMD_TLBI_NSNH_ALL');
    const filled = ready(1).given(MANUAL, fill(1, 0, flush), put(1, 'PROD', 2 ** 31 + 1));
    const fetched = filled.when(turn('ecmdq1'));
    expect(at(fetched, 'smmu0.inFlight').text).toBe('ecmdq1[0] CMD_TLBI_NSNH_ALL fetched');
    expect(at(fetched, 'smmu0.inFlight').value).toMatchObject([{ queue: 'ECMDQ1', index: 0 }]);
  });
});

it('shows a pointer without the bits that its queue does not have (6.3.28)', () => {
  const written = ready().when(put(0, 'BASE', BigInt(ring(0)) | 3n), put(0, 'CONS', 0xf_ffff));
  expect(at(written, 'smmu0.regs.ECMDQ0_CONS').value).toBe('0xf');
});
