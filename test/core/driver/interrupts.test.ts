/**
 * Handlers of interrupts: the Command queue mended after each CERROR, event records read and sorted, stalled
 * accesses answered, Page Requests refused.
 */
import { describe, expect, it } from 'vitest';
import { issueAndSync } from '../../../core/driver/cmdq.ts';
import { type Cmd, cmdOf } from '../../../core/driver/commands.ts';
import { allocNested, allocPaging, attach } from '../../../core/driver/ops.ts';
import {
  bootedHost,
  commandsOf,
  fieldOf,
  type Host,
  type HostOptions,
  of,
} from '../../support/smmu-driver.ts';

const told = (entries: Parameters<typeof of>[0]): string[] =>
  of(entries, 'driver.told').map(({ what }) => what);

function attached(options: HostOptions = {}, nested = false): Host {
  const host = bootedHost(options);
  host.context.emit('kernel', { type: 'context.opened', context: 1, accounting: 'user' });
  const made = allocPaging(host.context, 'smmu0', { nestParent: nested });
  if ('errno' in made) throw new Error(made.errno);
  let { domain } = made;
  if (nested) {
    const over = allocNested(host.context, 'smmu0', { parentDomain: domain }, [0x8000_000bn, 2n]);
    if ('errno' in over) throw new Error(over.errno);
    domain = over.domain;
  }
  const vmaster = { viommu: 4, context: 1, vsid: '7' };
  const plan = attach(host.context, 'dev0', { domain }, nested ? { vmaster } : {});
  if ('errno' in plan) throw new Error(plan.errno);
  host.run(plan);
  return host;
}

const dma = { type: 'dma', endpoint: 'dev0', iova: 0x1000n, size: 8, access: 'read' } as const;

describe('GERROR', () => {
  const ill: Cmd = cmdOf('CMD_TLBI_EL3_ALL');

  it('CERROR_ILL: the entry becomes a CMD_SYNC, the queue goes on, and nobody is told', () => {
    const host = bootedHost();
    const { pa, prod } = host.driver.queues.CMDQ!;
    const entries = host.run([issueAndSync('smmu0', [ill, cmdOf('CMD_TLBI_NSNH_ALL')])]);
    expect(of(entries, 'command.rejected').map(({ error }) => error)).toEqual(['CERROR_ILL']);
    expect(commandsOf(entries)).toEqual(['SYNC', 'TLBI_NSNH_ALL', 'SYNC']);
    expect(host.state.memory.read32(pa + prod * 16) & 0xff).toBe(0x46);
    expect(told(entries)).toEqual(['unexpected global error reported', 'skipping command in error state']);
    expect(of(entries, 'sync.timedout')).toEqual([]);
    const registers = of(entries, 'register.read').map(({ register }) => register);
    expect(registers).toEqual(['GERROR', 'GERRORN', 'CMDQ_CONS', 'CMDQ_CONS']);
    expect(host.state.tasks).toEqual([]);
  });

  it('CERROR_ATC_INV_SYNC: the acknowledgement lets the CMD_SYNC be repeated', () => {
    const host = attached({ endpoints: [{ ats: true }] });
    host.context.emit('test', { type: 'value.set', path: 'dev0.silent', value: true, old: false });
    const entries = host.run([issueAndSync('smmu0', [cmdOf('CMD_ATC_INV', { StreamID: 0x108, Size: 52 })])]);
    expect(of(entries, 'command.rejected').map(({ error }) => error)).toEqual(['CERROR_ATC_INV_SYNC']);
    expect(told(entries)).toContain('ATC invalidate timeout');
    expect(commandsOf(entries).at(-1)).toBe('SYNC');
    expect(host.state.tasks).toEqual([]);
  });

  it('an interrupt that finds nothing active does nothing', () => {
    const host = bootedHost();
    const entries = host.put({
      type: 'observe',
      events: [{ actor: 'smmu0', type: 'interrupt.raised', smmu: 'smmu0', source: 'GERROR' }],
    });
    expect(of(entries, 'interrupt.taken')).toHaveLength(1);
    expect(of(entries, 'register.written')).toEqual([]);
    expect(told(entries)).toEqual([]);
  });
});

describe('the Event queue', () => {
  it('is read entry by entry, each with a write of CONS', () => {
    const host = attached();
    const entries = host.put(dma, dma);
    expect(of(entries, 'record.written')).toHaveLength(2);
    const writes = of(entries, 'register.written').filter(({ register }) => register === 'EVENTQ_CONS');
    expect(writes.map(({ value }) => value)).toEqual([1n, 2n]);
    expect(told(entries)).toEqual(['event', 'event']);
    expect(host.driver.queues.EVENTQ).toMatchObject({ prod: 2, cons: 2 });
  });

  it('tells of an overflow, and acknowledges it when all is read', () => {
    const host = attached();
    host.put({ type: 'set', path: 'schedule', value: 'manual' });
    const size = 2 ** host.driver.queues.EVENTQ!.sizeLog2;
    for (let at = 0; at <= size; at += 1) host.put(dma, { type: 'turn', unit: 'smmu0.evtq' });
    expect(of(host.entries, 'record.dropped')).toHaveLength(1);
    const entries = host.put({ type: 'turn', unit: 'smmu0.evtq-irq' });
    expect(told(entries)).toContain('EVENTQ overflow detected -- events lost');
    expect(told(entries).filter((what) => what === 'event')).toHaveLength(size);
    const last = of(entries, 'register.written').at(-1);
    expect(last).toMatchObject({ register: 'EVENTQ_CONS', value: BigInt(2 ** 31 + size) });
  });

  it('gives a nested endpoint its record, and prints a fault of stage 2', () => {
    const host = attached({}, true);
    // The context pointer leads to an IPA that is not mapped.
    const entries = host.put(dma);
    expect(of(entries, 'record.written').map(({ record }) => record)).toEqual(['F_TRANSLATION']);
    expect(told(entries)).toEqual(['event']);
    // A record that is the guest's own: C_BAD_CD, without S2.
    const record = [0x0000_0108_0000_000an, 0n, 0n, 0n];
    const bytes = new Uint8Array(new BigUint64Array(record).buffer);
    const { pa, cons } = host.driver.queues.EVENTQ!;
    const events = [
      { actor: 'test', type: 'memory.loaded', pa: pa + cons * 32, bytes },
      {
        actor: 'test',
        type: 'register.updated',
        smmu: 'smmu0',
        register: 'EVENTQ_PROD',
        value: BigInt(cons + 1),
        old: 0n,
      },
      { actor: 'test', type: 'interrupt.raised', smmu: 'smmu0', source: 'EVENTQ' },
    ];
    const raised = host.put({ type: 'observe', events });
    expect(told(raised)).toEqual(['event without a vEVENTQ']);
  });

  it('ends a stalled access that nobody serves with an abort', () => {
    const host = attached({ endpoints: [{ stall: true }] });
    const entries = host.put(dma);
    expect(of(entries, 'access.stalled')).toHaveLength(1);
    expect(commandsOf(entries)).toEqual(['RESUME']);
    expect(fieldOf(entries, 'CMD_RESUME', 'Ac')).toEqual([false]);
    expect(of(entries, 'access.terminated').map(({ result }) => result)).toEqual(['abort']);
  });
});

describe('the PRI queue', () => {
  it('is refused: only the last of a group is answered', () => {
    const host = attached({ endpoints: [{ ats: true, pri: true }] });
    const page = {
      type: 'pri.request',
      endpoint: 'dev0',
      iova: 0x1000n,
      access: 'read',
      prgIndex: 3,
    } as const;
    const entries = host.put({ ...page, last: false }, { ...page, iova: 0x2000n, last: true });
    expect(told(entries)).toEqual(['unexpected PRI request', 'unexpected PRI request']);
    expect(commandsOf(entries)).toEqual(['PRI_RESP']);
    expect(of(entries, 'page.responded').map(({ response, prgIndex }) => [response, prgIndex])).toEqual([
      ['RESPONSE_FAILURE', 3],
    ]);
  });
});
