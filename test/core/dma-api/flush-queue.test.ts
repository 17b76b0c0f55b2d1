/** Lazy domains: what waits, when it is flushed, and when an IOVA is free again. Sources: linux, queue_iova. */
import { describe, expect, it } from 'vitest';
import { type DmaHost, dmaHost, PAGE, story } from '../../support/dma-api.ts';
import { of } from '../../support/smmu-driver.ts';

const lazy = (more: object = {}): DmaHost => dmaHost({ driver: { defaultDomain: 'dma-fq', ...more } });
const timer = (host: DmaHost): string => {
  host.look();
  host.line({ op: 'turn', unit: 'smmu0.fq-timer' });
  host.line({ op: 'run' });
  return story(host.look(), 'iova.freed');
};
const dma = (host: DmaHost, iova: string): unknown =>
  host.line({ op: 'dma', endpoint: 'nvme0', iova, bytes: 8, access: 'read' })['result'];

describe('a lazy unmap', () => {
  it('sends nothing, and keeps the IOVA until the timer has flushed', () => {
    const host = lazy();
    const iova = host.map();
    dma(host, iova);
    host.look();
    expect(host.unmap(iova)).toEqual({});
    expect(story(host.look(), 'fq.queued', 'iova.freed')).toBe('fq.queued');
    // The window: the TLB still serves what is unmapped.
    expect(dma(host, iova)).toBe('ok');
    expect(host.map()).not.toBe(iova);
    expect(timer(host)).toBe('TLBI_NH_ASID SYNC iova.freed');
    expect(dma(host, iova)).toBe('abort');
    expect(host.map()).toBe(iova);
  });

  it('gives memory back at once, before the flush', () => {
    const host = lazy();
    const iova = host.map();
    host.look();
    host.unmap(iova);
    expect(of(host.look(), 'pages.returned')).toHaveLength(1);
  });

  it('arms the timer once; a timer that runs out is off until something waits again', () => {
    const host = lazy();
    const all = [host.map(), host.map(), host.map()];
    host.look();
    host.unmap(all[0] ?? '');
    host.unmap(all[1] ?? '', PAGE, { cpu: 1 });
    expect(of(host.look(), 'fq.timer').map(({ on, cpu }) => [on, cpu])).toEqual([[true, 0]]);
    expect(timer(host)).toBe('TLBI_NH_ASID SYNC iova.freed iova.freed');
    expect(host.line({ op: 'turn', unit: 'smmu0.fq-timer' })).toEqual({ moved: false });
    host.unmap(all[2] ?? '');
    expect(host.dma.timer).toBe(0);
  });

  it('flushes at the 256th, when 255 wait, and frees those', () => {
    const host = lazy();
    const all = Array.from({ length: 256 }, () => host.map({ pa: '0x10000' }));
    host.look();
    for (const iova of all.slice(0, 255)) host.unmap(iova);
    expect(story(host.look(), 'fq.flushing')).toBe('');
    host.unmap(all[255] ?? '');
    const entries = host.look();
    expect(story(entries, 'fq.flushing', 'fq.flushed')).toBe('fq.flushing TLBI_NH_ASID SYNC fq.flushed');
    expect(of(entries, 'fq.released')).toMatchObject([{ count: 255 }]);
    expect(host.dma).toMatchObject({
      flushesBegun: 1,
      flushesEnded: 1,
      rings: { 0: { head: 255, tail: 0 } },
    });
    // What came after the flush began waits for the next one.
    expect(of(entries, 'fq.queued')).toMatchObject([{ counter: 1 }]);
  });

  it('has a ring for each CPU: none is full', () => {
    const host = lazy();
    const all = Array.from({ length: 300 }, () => host.map({ pa: '0x10000' }));
    host.look();
    for (const [at, iova] of all.entries()) host.unmap(iova, PAGE, { cpu: at % 2 });
    expect(of(host.look(), 'fq.flushing')).toEqual([]);
    expect(
      timer(host)
        .split(' ')
        .filter((each) => each === 'iova.freed'),
    ).toHaveLength(300);
  });

  it('of a whole block still flushes the walk of the table that goes', () => {
    const host = lazy();
    const bytes = 0x20_0000;
    // Not aligned to a block: 512 pages in a table of their own.
    const iova = host.map({ pa: '0x101000', bytes });
    expect(iova).toBe('0xffe00000');
    host.look();
    host.unmap(iova, bytes);
    expect(story(host.look())).toBe('TLBI_NH_VA SYNC');
  });
});

describe('quirks', () => {
  it('iova-early-free: the IOVA is given again while the TLB still has it', () => {
    const host = lazy();
    host.line({ op: 'set', path: 'smmu0.quirks.iova-early-free', value: true });
    const iova = host.map({ pa: '0x10000' });
    dma(host, iova);
    host.unmap(iova);
    expect(host.map({ pa: '0x20000' })).toBe(iova);
    expect(host.line({ op: 'dma', endpoint: 'nvme0', iova, bytes: 8, access: 'read' })).toMatchObject({
      pa: '0x10000',
    });
    // It is not freed a second time.
    expect(timer(host)).toBe('TLBI_NH_ASID SYNC');
  });

  it('fq-no-flush: the queue is emptied and nothing is invalidated', () => {
    const host = lazy();
    host.line({ op: 'set', path: 'smmu0.quirks.fq-no-flush', value: true });
    const iova = host.map();
    dma(host, iova);
    host.unmap(iova);
    expect(timer(host)).toBe('iova.freed');
    expect(dma(host, iova)).toBe('ok');
  });
});

describe('the type of the default domain', () => {
  const attach = (host: DmaHost, to: string) => {
    host.look();
    const answer = host.line({ op: 'guest.attach', endpoint: 'nvme0', to });
    return { answer, did: story(host.look(), 'dma.kind', 'dma.opened', 'dma.closed', 'domain.freed') };
  };

  it('goes from strict to lazy where it stands, and back by way of a new domain', () => {
    const host = dmaHost();
    const iova = host.map();
    expect(attach(host, 'dma-fq')).toEqual({ answer: {}, did: 'dma.kind' });
    expect(attach(host, 'dma-fq')).toEqual({ answer: {}, did: '' });
    expect(attach(host, 'dma').answer).toEqual({ errno: 'EBUSY' });
    host.unmap(iova);
    const { answer, did } = attach(host, 'dma');
    expect(answer).toEqual({});
    expect(did).toMatch(/^dma.opened CFGI_CD.* TLBI_NH_ASID SYNC dma.closed domain.freed$/);
    expect(host.map()).toBe('0xfffff000');
  });

  it('goes to identity and back; a detach leaves nothing', () => {
    const host = dmaHost();
    host.map({ iova: '0x1000', pa: '0x10000' });
    host.unmap('0x1000');
    expect(attach(host, 'identity').did).toMatch(/dma.closed domain.freed$/);
    expect(dma(host, '0x10000')).toBe('ok');
    expect(attach(host, 'dma-fq').answer).toEqual({});
    expect(host.dma.kind).toBe('dma-fq');
    host.look();
    expect(host.line({ op: 'guest.detach', endpoint: 'nvme0' })).toEqual({});
    expect(of(host.look(), 'guest.answered')).toMatchObject([{ what: 'detach' }]);
    expect(dma(host, '0x10000')).toBe('abort');
    expect(host.map()).toBe('ENODEV');
  });
});
