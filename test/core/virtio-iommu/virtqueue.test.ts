/**
 * Both sides of a split virtqueue over one memory. A property: whatever order chains are added, kicked, taken,
 * given back and polled in, each comes back once, with its bytes and its length, and the device is told whenever
 * it would otherwise sleep on work. Then the chains that a driver must not make.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type DeviceQueue,
  hasAvailable,
  interruptNeeded,
  popChain,
  pushUsed,
} from '../../../core/virtio-iommu/queue-device.ts';
import {
  addChain,
  type DriverQueue,
  kick,
  openQueue,
  pollUsed,
} from '../../../core/virtio-iommu/queue-driver.ts';
import {
  availEntry,
  availEvent,
  type Descriptor,
  encodeDescriptor,
  gather,
  type Part,
  type QueueMemory,
  scatter,
  wrap16,
  write16,
  writeIndex,
} from '../../../core/virtio-iommu/virtqueue.ts';
import { placedAt, plainMemory } from '../../support/virtio.ts';

const BUFFERS = 0x1_0000;
const SLOT = 0x100;
const SEED = 20261121;

interface Flight {
  readonly number: number;
  readonly length: number;
}

/** A driver and a device that go at their own pace, and what is on its way between them. */
interface Pair {
  readonly memory: QueueMemory;
  readonly indirect: boolean;
  driver: DriverQueue;
  device: DeviceQueue;
  added: number;
  /** The device looks for chains; otherwise it waits until it is told. */
  awake: boolean;
  /** Numbers of chains by head; chains that the device has; those that it gave back; those that were polled. */
  readonly sent: Map<number, number>;
  readonly taken: { readonly head: number; readonly number: number; readonly writable: readonly Part[] }[];
  readonly given: Map<number, Flight>;
  readonly back: number[];
}

/** @param start where the indices of both sides stand, as after so many chains */
function openPair(size: number, eventIdx: boolean, indirect: boolean, start: number): Pair {
  const memory = plainMemory(0x4_0000);
  const place = placedAt(0, size, eventIdx);
  const driver = { ...openQueue(memory, place, true), availIdx: start, toldIdx: start, usedIdx: start };
  const device = { ...place, availIdx: start, usedIdx: start };
  writeIndex(memory, place.avail, start);
  writeIndex(memory, place.used, start);
  write16(memory, availEvent(place), start);
  const flights = { sent: new Map(), taken: [], given: new Map(), back: [] };
  return { memory, indirect, driver, device, added: 0, awake: false, ...flights };
}

function add(pair: Pair, parts: number): boolean {
  const { memory, added, indirect, sent } = pair;
  const buffer = BUFFERS + (added % 512) * SLOT;
  const readable = Array.from({ length: parts }, (_, at) => ({ gpa: buffer + at * 2, bytes: 2 }));
  for (const { gpa } of readable) write16(memory, gpa, added & 0xffff);
  const writable = [
    { gpa: buffer + 32, bytes: 3 },
    { gpa: buffer + 48, bytes: 5 },
  ];
  const result = addChain(memory, pair.driver, { readable, writable }, indirect ? buffer + 64 : undefined);
  if (result === undefined) return false;
  pair.driver = result.queue;
  expect(sent.has(result.head)).toBe(false);
  sent.set(result.head, added);
  pair.added += 1;
  return true;
}

function tell(pair: Pair): boolean {
  const { queue, needed } = kick(pair.memory, pair.driver);
  pair.driver = queue;
  pair.awake ||= needed;
  return needed;
}

function take(pair: Pair): void {
  if (!pair.awake) return;
  const popped = popChain(pair.memory, pair.device);
  if (popped.kind === 'none') pair.awake = false;
  if (popped.kind !== 'chain') return expect(popped.kind).toBe('none');
  pair.device = popped.queue;
  const { head, readable, writable } = popped.chain;
  const bytes = gather(pair.memory, readable, 2)!;
  const number = pair.sent.get(head)!;
  expect(bytes[0]! | (bytes[1]! << 8)).toBe(number & 0xffff);
  pair.taken.push({ head, number, writable });
}

/** Any of the chains that the device has, not only the oldest. */
function give(pair: Pair, which: number): void {
  const [chain] = pair.taken.splice(which % Math.max(1, pair.taken.length), 1);
  if (chain === undefined) return;
  const length = chain.number % 9;
  const data = Uint8Array.from({ length }, () => chain.number & 0xff);
  expect(scatter(pair.memory, chain.writable, data)).toBe(length);
  pair.device = pushUsed(pair.memory, pair.device, chain.head, length)!;
  pair.given.set(chain.head, { number: chain.number, length });
}

function poll(pair: Pair): void {
  const polled = pollUsed(pair.memory, pair.driver, true);
  if (polled === undefined) return expect(pair.given.size).toBe(0);
  pair.driver = polled.queue;
  const flight = pair.given.get(polled.head)!;
  expect(polled.length).toBe(flight.length);
  expect(pair.sent.get(polled.head)).toBe(flight.number);
  pair.sent.delete(polled.head);
  pair.given.delete(polled.head);
  pair.back.push(flight.number);
}

const action = fc.oneof(
  fc.record({ do: fc.constant('add' as const), by: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constantFrom('kick', 'take', 'take', 'poll', 'poll'), by: fc.constant(0) }),
  fc.record({ do: fc.constant('give' as const), by: fc.nat(7) }),
);

describe('a virtqueue', () => {
  it('loses and repeats no chain, and lets nobody sleep on work', () => {
    let full = 0;
    let rounds = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(4, 8, 256),
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom(0, 0xfffc),
        fc.array(action, { minLength: 20, maxLength: 300 }),
        (size, eventIdx, indirect, start, actions) => {
          const pair = openPair(size, eventIdx, indirect, start);
          for (const { do: name, by } of actions) {
            // A chain is no longer than the queue.
            if (name === 'add') full += add(pair, Math.min(by, size - 2)) ? 0 : 1;
            else if (name === 'take') take(pair);
            else if (name === 'give') give(pair, by);
            else if (name === 'poll') poll(pair);
            else {
              tell(pair);
              expect(pair.awake || !hasAvailable(pair.memory, pair.device)).toBe(true);
            }
          }
          tell(pair);
          for (let left = 0; left <= 2 * size; left += 1) take(pair);
          for (let left = 0; left <= size; left += 1) give(pair, left);
          for (let left = 0; left <= size; left += 1) poll(pair);
          expect(pair.sent.size).toBe(0);
          expect(pair.driver.freeCount).toBe(size);
          expect(pair.back.toSorted((a, b) => a - b)).toEqual(
            Array.from({ length: pair.added }, (_, at) => at),
          );
          if (start + pair.added > 0xffff) rounds += 1;
        },
      ),
      { seed: SEED, numRuns: 400 },
    );
    expect(full).toBeGreaterThan(100);
    expect(rounds).toBeGreaterThan(50);
  });

  it('holds 256 requests with indirect tables, and 85 of three parts without', () => {
    for (const [indirect, count] of [
      [true, 256],
      [false, 85],
    ] as const) {
      const pair = openPair(256, true, indirect, 0);
      let added = 0;
      while (add(pair, 1)) added += 1;
      expect(added).toBe(count);
    }
  });

  it('tells a device that follows by index once, until it has caught up', () => {
    const pair = openPair(8, true, true, 0);
    add(pair, 1);
    expect(tell(pair)).toBe(true);
    add(pair, 1);
    // It has not taken the first one, and will look again by itself.
    expect(tell(pair)).toBe(false);
    for (let count = 0; count < 3; count += 1) take(pair);
    expect(pair.back).toEqual([]);
    add(pair, 1);
    expect(tell(pair)).toBe(true);
    expect(tell(pair)).toBe(false);
  });

  it('interrupts who asked for it', () => {
    const memory = plainMemory(0x1000);
    for (const [eventIdx, quiet, wanted] of [
      [false, false, true],
      [false, true, false],
      [true, false, true],
    ] as const) {
      const place = placedAt(0, 4, eventIdx);
      const driver = openQueue(memory, place, quiet);
      const chain = { readable: [], writable: [{ gpa: 0x800, bytes: 24 }] };
      addChain(memory, driver, chain);
      const device = pushUsed(memory, { ...place, availIdx: 1, usedIdx: 0 }, 0, 24)!;
      expect(interruptNeeded(memory, device, 0)).toBe(wanted);
      expect(interruptNeeded(memory, device, 1)).toBe(false);
    }
  });
});

const part = (gpa: number, bytes: number, more: Partial<Descriptor> = {}): Descriptor => ({
  gpa,
  bytes,
  next: undefined,
  write: false,
  indirect: false,
  ...more,
});

// biome-ignore format: a table
const badChains: readonly (readonly [string, readonly Descriptor[], string])[] = [
  ['a circle',                     [part(0x800, 4, { next: 1 }), part(0x804, 4, { next: 0 })], 'more than 4 descriptors, or a circle of them'],
  ['a next beyond the table',      [part(0x800, 4, { next: 9 })], 'descriptor 9 of 4'],
  ['no bytes',                     [part(0x800, 0)], 'descriptor 0 without bytes'],
  ['to read behind to write',      [part(0x800, 4, { next: 1, write: true }), part(0x804, 4)], 'a part to read behind one to write'],
  ['an indirect table with a next', [part(0x800, 16, { next: 1, indirect: true }), part(0x804, 4)], 'an indirect table inside of a chain'],
  ['a table in a table',           [part(0x900, 16, { indirect: true })], 'an indirect table inside of a chain'],
  ['a table of 17 bytes',          [part(0x800, 17, { indirect: true })], 'an indirect table of 17 bytes'],
  ['a table that is no memory',    [part(0xf_0000, 16, { indirect: true })], 'descriptor 0 is not in memory'],
];

describe('a chain that cannot be', () => {
  const place = placedAt(0, 4, false);
  const offer = (memory: QueueMemory, descriptors: readonly Descriptor[], head: number, index: number) => {
    for (const [at, each] of descriptors.entries()) memory.write(at * 16, encodeDescriptor(each));
    memory.write(0x900, encodeDescriptor(part(0x800, 16, { indirect: true })));
    write16(memory, availEntry(place, 0), head);
    writeIndex(memory, place.avail, index);
    return popChain(memory, { ...place, availIdx: 0, usedIdx: 0 });
  };

  it.each(badChains)('%s', (_, descriptors, why) => {
    expect(offer(plainMemory(0x1000), descriptors, 0, 1)).toEqual({ kind: 'bad', why });
  });

  it('a head that is no descriptor, an index that jumps, rings that are no memory', () => {
    expect(offer(plainMemory(0x1000), [], 4, 1)).toEqual({ kind: 'bad', why: 'head 4 of 4 descriptors' });
    const why = 'avail index moved by 5, more than 4';
    expect(offer(plainMemory(0x1000), [part(0x800, 4)], 0, 5)).toEqual({ kind: 'bad', why });
    const nowhere = plainMemory(0x10);
    expect(offer(nowhere, [], 0, 1)).toMatchObject({ kind: 'bad', why: 'the avail ring is not in memory' });
    expect(pushUsed(nowhere, { ...place, availIdx: 0, usedIdx: 0 }, 0, 4)).toBeUndefined();
    expect(wrap16(0x1_0001)).toBe(1);
  });

  it('is no chain for the driver either: a used ring that names none is not polled', () => {
    const memory = plainMemory(0x1000);
    const driver = openQueue(memory, place, true);
    pushUsed(memory, { ...place, availIdx: 0, usedIdx: 0 }, 77, 4);
    expect(pollUsed(memory, driver, true)).toBeUndefined();
  });
});
