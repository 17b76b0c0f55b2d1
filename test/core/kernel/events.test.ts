/**
 * Wants to show: how event records of hardware reach the vEVENTQ of their vIOMMU and page faults a fault queue;
 * what reads and writes of those queues give; overflow and sequence numbers. How: faults of real DMA, through the
 * driver's event thread; depths and lengths as tables.
 */
import { describe, expect, it } from 'vitest';
import { fold } from '../../../core/fold.ts';
import { contextsText, type Outcome } from '../../support/kernel.ts';
import { add, named, nestedWorld, twoSmmus, type World } from '../../support/nesting.ts';
import { table } from '../../support/tables.ts';

/** V=1, Config=S1, the CD at 0x100000 of the guest, where all is zero: C_BAD_CD. */
const BAD_CD = '0b00100000000000'.padEnd(32, '0');
const BODY = 32;
const HEADER = 8;

const attach = (of: World, cell: string): Outcome =>
  of.line({
    op: 'ioctl',
    fd: 'vfio:dev0',
    name: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
    arg: named(cell, of.names),
  });
const dma = (of: World, more: object = {}): Outcome =>
  of.line({ op: 'dma', endpoint: 'dev0', iova: 0x1234_5678, bytes: 8, access: 'read', ...more });

interface Queue extends World {
  readonly fd: number;
  read(bytes: number): Outcome;
}

/** dev0 faults with each DMA, and a vEVENTQ of so many records waits for what comes of it. */
function queue(depth: number, kernel: object = {}, fd = true): Queue {
  const made = nestedWorld(kernel);
  add(
    made,
    's1',
    'IOMMU_HWPT_ALLOC',
    `dev_id=dev0 pt_id=viommu data_type=2 data_len=16 data_uptr=hex:${BAD_CD}`,
    'out_hwpt_id',
  );
  attach(made, 'pt_id=s1');
  const out = fd
    ? made.ask('IOMMU_VEVENTQ_ALLOC', `viommu_id=viommu type=1 veventq_depth=${depth}`)['out']
    : undefined;
  const file = (out as { out_veventq_fd?: number } | undefined)?.out_veventq_fd ?? -1;
  return Object.assign(made, {
    fd: file,
    read: (bytes: number) => made.line({ op: 'read', fd: file, bytes }),
  });
}

/** Records of a read: `3` is a record of that sequence number, `LOST(3)` a header without one. */
function shown({ errno, hex }: Outcome): string {
  if (errno !== undefined) return String(errno);
  const bytes = Buffer.from(String(hex), 'hex');
  const out: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const lost = bytes.readUInt32LE(at) === 1;
    const sequence = bytes.readUInt32LE(at + 4);
    out.push(lost ? `LOST(${sequence})` : String(sequence));
    at += lost ? HEADER : HEADER + BODY;
  }
  return out.join(' ');
}

describe('a record of a nested device', () => {
  it('reaches the vEVENTQ with its virtual StreamID, all else as hardware wrote it', () => {
    const made = queue(4);
    made.look();
    dma(made);
    const hex = String(made.read(64)['hex']);
    const body = Buffer.from(hex.slice(HEADER * 2), 'hex');
    const seen = made.look();
    const told = seen.filter(({ type }) => ['vevent.queued', 'vevents.read'].includes(type));
    expect(told).toMatchObject([{ sequence: 0, lost: false }, { count: 1 }]);
    const raised = seen.find(({ type }) => type === 'record.raised') as unknown as {
      words: Uint8Array;
    };
    const raw = Buffer.from(raised.words);
    expect(raw.readUInt32LE(4)).toBe(0x108);
    expect([body.readUInt8(0), body.readUInt32LE(4)]).toEqual([0x0a, 0x42]);
    raw.writeUInt32LE(0x42, 4);
    expect(body).toEqual(raw);
  });

  it('keeps the StreamID of the attach when the vDEVICE has gone, until the next attach', () => {
    const made = queue(4);
    made.says('IOMMU_DESTROY', 'id=vdev');
    dma(made);
    expect(shown(made.read(400))).toBe('0');
    expect(made.says('IOMMU_VDEVICE_ALLOC', 'viommu_id=viommu dev_id=dev0 virt_id=0x77')).toBe('ok');
    attach(made, 'pt_id=bypass');
    attach(made, 'pt_id=s1');
    dma(made);
    expect(String(made.read(400)['hex']).slice(24, 32)).toBe('77000000');
  });

  it("is the host's when it is of stage 2, of a device without a vDEVICE, or of a vIOMMU without a queue", () => {
    const stage2 = queue(4);
    attach(stage2, 'pt_id=bypass');
    dma(stage2);
    expect(shown(stage2.read(400))).toBe('');
    const alone = queue(4, {}, false);
    alone.look();
    dma(alone);
    expect(alone.look().some(({ type }) => type === 'driver.told')).toBe(true);
    const out = alone.ask('IOMMU_VEVENTQ_ALLOC', 'viommu_id=viommu type=1 veventq_depth=4')['out'] as {
      out_veventq_fd: number;
    };
    dma(alone);
    // The one before left no number.
    expect(shown(alone.line({ op: 'read', fd: out.out_veventq_fd, bytes: 400 }))).toBe('0');
  });
});

describe('a vEVENTQ of depth 2', () => {
  it.each(
    table<'does' | 'reads'>(`
does                                   | reads
2 events                               | 0 1
3 events                               | 0 1 LOST(2)
4 events                               | 0 1 LOST(3)
4 events, read one, an event           | 1 4
4 events, read one, 2 events           | 1 4 LOST(5)
3 events, read all, an event           | 3
`),
  )('$does: $reads', ({ does, reads }) => {
    const made = queue(2);
    for (const step of does.split(', ')) {
      if (step === 'read one') made.read(HEADER + BODY);
      else if (step === 'read all') made.read(400);
      else for (let count = Number.parseInt(step, 10) || 1; count > 0; count -= 1) dma(made);
    }
    expect(shown(made.read(400))).toBe(reads);
    expect(shown(made.read(400))).toBe('');
  });

  const lengths = table<'events' | 'bytes' | 'old' | 'now'>(`
events | bytes | old     | now
0      | 0     |         | EINVAL
0      | 7     |         | EINVAL
0      | 8     |         |
1      | 7     |         | EINVAL
1      | 39    |         | EINVAL
1      | 40    | 0       | 0
2      | 79    | 0       | 0
3      | 80    | 0 1     | 0 1
3      | 87    | 0 1     | 0 1
3      | 88    | 0 1 LOST(2) | 0 1 LOST(2)
`);
  it.each(lengths)(
    '$events events read into $bytes bytes: `$old`, from 7.3 on `$now`',
    ({ events, bytes, old, now }) => {
      for (const [profile, expected] of [
        ['linux-6.19', old],
        ['linux-7.3', now],
      ] as const) {
        const made = queue(2, { profile });
        for (let count = Number(events); count > 0; count -= 1) dma(made);
        expect(shown(made.read(Number(bytes))), profile).toBe(expected);
      }
    },
  );

  it('is EINVAL to write', () => {
    const made = queue(2);
    expect(made.line({ op: 'write', fd: made.fd, hex: '00'.repeat(8) })).toMatchObject({ errno: 'EINVAL' });
  });

  it('loses what there is no memory for', () => {
    const made = queue(2);
    made.line({ op: 'set', path: 'kernel.failNth', value: 1 });
    dma(made);
    dma(made);
    expect(shown(made.read(400))).toBe('1');
  });
});

describe('a fault queue', () => {
  const stalling = {
    ...twoSmmus,
    endpoints: [{ name: 'dev0', streamId: 0x108, ssidBits: 5, stall: true }, ...twoSmmus.endpoints.slice(1)],
  };

  /** dev0 stalls at each DMA beyond what its IOAS maps. */
  function faulting(kernel: object = {}): Queue {
    const made = nestedWorld(kernel, stalling);
    const out = made.ask('IOMMU_FAULT_QUEUE_ALLOC', '')['out'] as {
      out_fault_id: number;
      out_fault_fd: number;
    };
    made.names['fault'] = out.out_fault_id;
    add(made, 'stalls', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=4 fault_id=fault', 'out_hwpt_id');
    attach(made, 'pt_id=stalls');
    return Object.assign(made, {
      fd: out.out_fault_fd,
      read: (bytes: number) => made.line({ op: 'read', fd: out.out_fault_fd, bytes }),
    });
  }
  const words = ({ hex }: Outcome): number[] => {
    const bytes = Buffer.from(String(hex), 'hex');
    return Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readUInt32LE(at * 4));
  };
  const respond = (of: Queue, ...pairs: number[]): Outcome =>
    of.line({ op: 'write', fd: of.fd, hex: Buffer.from(new Uint32Array(pairs).buffer).toString('hex') });
  const stalls = (of: World): number => of.state.smmus['smmu0']!.stalls.length;

  it('gives a record of 40 bytes: flags, device, PASID, group, permission, address, cookie', () => {
    const made = faulting();
    expect(dma(made)).toMatchObject({ result: 'stall' });
    dma(made, { access: 'write', iova: 0x2000_0000 });
    // Last page; read; then write.
    expect(words(made.read(80))).toEqual([
      2,
      made.device['dev0'],
      0,
      0,
      1,
      0,
      0x1234_5678,
      0,
      0,
      1,
      2,
      made.device['dev0'],
      0,
      1,
      2,
      0,
      0x2000_0000,
      0,
      0,
      2,
    ]);
    expect(words(made.read(80))).toEqual([]);
  });

  it('ends the access: retried on SUCCESS, aborted on INVALID', () => {
    const made = faulting();
    dma(made);
    dma(made, { iova: 0x2000_0000 });
    made.read(80);
    made.ioctl('IOMMU_IOAS_MAP', {
      ioas_id: made.ioas,
      flags: 7,
      user_va: made.va,
      length: 0x1000,
      iova: 0x1234_5000,
    });
    made.look();
    expect(respond(made, 1, 0, 2, 1)).toMatchObject({ count: 16 });
    expect(made.look()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ type: 'access.completed', iova: 0x1234_5678n }),
        expect.objectContaining({ type: 'access.terminated', iova: 0x2000_0000n, result: 'abort' }),
      ]),
    );
    expect(stalls(made)).toBe(0);
  });

  it('tells each step in the log, which folds to the same state', () => {
    const made = faulting();
    made.look();
    const start = made.state;
    dma(made);
    dma(made, { iova: 0x2000_0000 });
    made.read(40);
    respond(made, 1, 1);
    const entries = made.look();
    const told = entries.map(({ type }) => type).filter((type) => type.startsWith('fault'));
    expect(told).toEqual(['fault.queued', 'fault.queued', 'faults.read', 'faults.answered']);
    expect(contextsText(fold(start, entries))).toBe(contextsText(made.state));
  });

  it('gives out the lowest cookie that is free', () => {
    const made = faulting();
    const cookies = (bytes: number): (number | undefined)[] => {
      const all = words(made.read(bytes));
      return Array.from({ length: all.length / 10 }, (_, at) => all[at * 10 + 9]);
    };
    for (const iova of [0x2000_0000, 0x3000_0000, 0x4000_0000]) dma(made, { iova });
    expect(cookies(80)).toEqual([1, 2]);
    respond(made, 1, 1);
    expect(cookies(40)).toEqual([1]);
  });

  it.each(
    table<'case' | 'pairs' | 'answer'>(`
case                        | pairs       | answer
a code that is none         | 1,2         | EINVAL
an unknown cookie           | 7,0         | EINVAL
a cookie twice              | 1,0,1,0     | 8
the second is bad           | 1,0,9,0     | 8
`),
  )('takes responses up to the first bad one: $case, $answer', ({ pairs, answer }) => {
    const made = faulting();
    dma(made);
    made.read(40);
    const done = respond(
      made,
      ...pairs
        .split(',')
        .filter((each) => each !== '')
        .map(Number),
    );
    expect(done['errno'] ?? String(done['count'])).toBe(answer);
  });

  it('is ESPIPE for odd lengths, and EINVAL (0 before 7.3) where the first group does not fit', () => {
    for (const [profile, short] of [
      ['linux-7.3', 'EINVAL'],
      ['linux-6.19', ''],
    ] as const) {
      const made = faulting({ profile });
      expect(made.read(39)).toMatchObject({ errno: 'ESPIPE' });
      expect(made.line({ op: 'write', fd: made.fd, hex: '00'.repeat(7) })).toMatchObject({ errno: 'ESPIPE' });
      expect(made.read(0)['errno'] ?? '').toBe('');
      dma(made);
      expect(made.read(0)['errno'] ?? '').toBe(short);
    }
  });

  it('answers what waits when the device is detached, moved or gone', () => {
    for (const end of ['detach', 'replace', 'close']) {
      const made = faulting();
      dma(made);
      made.read(40);
      dma(made, { iova: 0x2000_0000 });
      expect(stalls(made)).toBe(2);
      if (end === 'detach')
        made.line({ op: 'ioctl', fd: 'vfio:dev0', name: 'VFIO_DEVICE_DETACH_IOMMUFD_PT', arg: {} });
      if (end === 'replace') attach(made, 'pt_id=parent');
      if (end === 'close') made.line({ op: 'close', fd: 'vfio:dev0' });
      expect(stalls(made), end).toBe(0);
      expect(words(made.read(80))).toEqual([]);
      expect(respond(made, 1, 0)).toMatchObject({ errno: 'EINVAL' });
    }
  });

  it('is kept by its HWPTs and its fd', () => {
    const made = faulting();
    expect(made.says('IOMMU_DESTROY', 'id=fault')).toBe('EBUSY');
    made.line({ op: 'close', fd: made.fd });
    expect(made.says('IOMMU_DESTROY', 'id=fault')).toBe('EBUSY');
    attach(made, 'pt_id=parent');
    expect(made.says('IOMMU_DESTROY', 'id=stalls')).toBe('ok');
    expect(made.says('IOMMU_DESTROY', 'id=fault')).toBe('ok');
  });

  it('is not for a virtual function with PRI', () => {
    const made = nestedWorld(
      {},
      { endpoints: [{ name: 'dev0', streamId: 8, pri: true, virtualFunction: true }] },
    );
    add(made, 'fault', 'IOMMU_FAULT_QUEUE_ALLOC', '', 'out_fault_id');
    add(made, 'stalls', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=4 fault_id=fault', 'out_hwpt_id');
    expect(attach(made, 'pt_id=stalls')['errno']).toBe('EINVAL');
    expect(attach(made, 'pt_id=parent')['errno']).toBeUndefined();
  });

  it('refuses flags', () => {
    expect(nestedWorld().says('IOMMU_FAULT_QUEUE_ALLOC', 'flags=1')).toBe('EOPNOTSUPP');
    expect(nestedWorld({ profile: 'linux-6.13' }).says('IOMMU_FAULT_QUEUE_ALLOC', '')).toBe('ok');
  });

  it('makes the driver refuse a stall where there is no queue', () => {
    const made = nestedWorld({}, stalling);
    attach(made, 'pt_id=ioas');
    made.look();
    dma(made);
    expect(made.look()).toContainEqual(
      expect.objectContaining({ type: 'access.terminated', result: 'abort' }),
    );
  });
});
