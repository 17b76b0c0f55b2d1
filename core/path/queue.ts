/**
 * Queues in paths: `smmu0.cmdq.prod`, `smmu0.evtq.size`, `smmu0.cmdq[3]`. An index is a slot of the
 * queue, without the wrap bit. IHI 0070 3.5.
 */
import type { Words } from '../layout/field.ts';
import type { AnyField, Layout } from '../layout/layout.ts';
import { showRaw } from '../layout/layout.ts';
import type { MemoryView } from '../memory/space.ts';
import type { QueueName } from '../smmu/codes.ts';
import { commandByOpcode } from '../smmu/command-layout.ts';
import { enhancedCount } from '../smmu/ecmdq-registers.ts';
import { eventRecordByNumber, PRI_ENTRY } from '../smmu/event-record.ts';
import { entryAddress, indexOf, isConsistent, type Queue, used } from '../smmu/queue.ts';
import { ecmdqRegisters, registers } from '../smmu/registers.ts';
import { reg, regWords } from '../smmu/regs.ts';
import { baseNames, ring } from '../smmu/rings.ts';
import type { SmmuState } from '../smmu/state.ts';
import { absent, group, hex, joinWatched, leaf, type PathNode, structure, type Watched } from './node.ts';
import { bitsRead, fieldRead, memoryRead, registersRead } from './structures.ts';

/** The layout of an entry by its first words, and the name it is shown under. */
interface EntryKind {
  readonly label: 'command' | 'record' | 'request';
  layoutOf(words: Words): Layout<Record<string, AnyField>> | undefined;
}

// biome-ignore format: a table
const kinds: Readonly<Record<QueueName, EntryKind>> = {
  CMDQ:   { label: 'command', layoutOf: (words) => commandByOpcode((words[0] ?? 0) & 0xff)?.layout },
  EVENTQ: { label: 'record',  layoutOf: (words) => eventRecordByNumber((words[0] ?? 0) & 0xff)?.layout },
  PRIQ:   { label: 'request', layoutOf: () => PRI_ENTRY },
};

/** What a queue holds, and the start of its registers' names: `CMDQ`, `ECMDQ3`. */
interface Held {
  readonly kind: QueueName;
  readonly prefix: QueueName | `ECMDQ${number}`;
}

/** The queue with its pointers, and its entries by slot. */
export function queueNode(memory: MemoryView, smmu: SmmuState, name: QueueName): PathNode {
  return heldNode(memory, smmu, { kind: name, prefix: name });
}

/** `smmu0.ecmdq[3]`: the enhanced command queues by number (3.5.6). */
export function enhancedQueuesNode(memory: MemoryView, smmu: SmmuState): PathNode {
  const count = enhancedCount(smmu.features);
  const item = (index: number): PathNode | undefined =>
    index < count ? heldNode(memory, smmu, { kind: 'CMDQ', prefix: `ECMDQ${index}` }) : undefined;
  const all = Array.from({ length: count }, (_, index) => ({ index, node: item(index) }));
  return {
    json: () => all.map(({ node }) => node?.json()),
    lines: () =>
      all.flatMap(({ index, node }) =>
        (node?.lines(true) ?? []).map(({ text }) => ({ below: `[${index}]`, text })),
      ),
    watched: () => joinWatched(all.flatMap(({ node }) => (node === undefined ? [] : [node.watched()]))),
    names: [],
    index: 'number of the queue',
    child: () => undefined,
    item,
  };
}

function heldNode(memory: MemoryView, smmu: SmmuState, held: Held): PathNode {
  const name = held.prefix;
  const queue = ringIn(smmu, held);
  const prod = reg(smmu, `${name}_PROD`);
  const cons = reg(smmu, `${name}_CONS`);
  const size = used(queue, prod, cons);
  const pointers = registersRead(smmu, `${name}_PROD`, `${name}_CONS`, `${name}_BASE`);
  const base = registersRead(smmu, `${name}_BASE`);
  const consistent = isConsistent(queue, prod, cons);
  const slots = consistent ? Array.from({ length: size }, (_, at) => indexOf(queue, cons + at)) : [];
  const item = (slot: number): PathNode =>
    slot < 2 ** queue.sizeLog2
      ? entryNode(memory, smmu, held, queue, slot)
      : absent(`the queue has ${2 ** queue.sizeLog2} entries`, base);
  const flags: Record<string, () => PathNode> =
    held.kind === 'CMDQ' ? { err: () => commandError(smmu, name) } : {};
  return group(
    {
      base: () => leaf(hex(queue.base), base),
      capacity: () => leaf(2 ** queue.sizeLog2, base),
      prod: () => leaf(prod & 0xfffff, registersRead(smmu, `${name}_PROD`)),
      cons: () => leaf(cons & 0xfffff, registersRead(smmu, `${name}_CONS`)),
      size: () => leaf(size, pointers),
      ...flags,
      entries: () => entriesNode(slots, item, pointers),
    },
    {
      brief: () =>
        `${size} of ${2 ** queue.sizeLog2} at ${hex(queue.base)}  PROD=${prod & 0xfffff} CONS=${cons & 0xfffff}`,
      index: 'slot of the queue',
      item,
    },
  );
}

/** The layout of an entry, by the number it begins with. */
export function entryLayout(name: QueueName, words: Words): Layout<Record<string, AnyField>> | undefined {
  return kinds[name].layoutOf(words);
}

/** The queue as its BASE register describes it. */
export function queueIn(smmu: SmmuState, name: QueueName): Queue {
  return ringIn(smmu, { kind: name, prefix: name });
}

/** The enhanced command queue of that number. */
export function enhancedQueueIn(smmu: SmmuState, index: number): Queue {
  return ringIn(smmu, { kind: 'CMDQ', prefix: `ECMDQ${index}` });
}

function ringIn(smmu: SmmuState, { kind, prefix }: Held): Queue {
  return ring(smmu, kind, baseNames(prefix));
}

function commandError(smmu: SmmuState, prefix: Held['prefix']): PathNode {
  const { CMDQ_CONS } = registers.byName;
  const { ECMDQ_CONS } = ecmdqRegisters.byName;
  const field = prefix === 'CMDQ' ? CMDQ_CONS.fields.ERR : ECMDQ_CONS.fields.ERR_REASON;
  const cons = `${prefix}_CONS` as const;
  return leaf(field.read(regWords(smmu, cons)), bitsRead(smmu, cons, field));
}

/** The entries between CONS and PROD, oldest first. */
function entriesNode(
  slots: readonly number[],
  item: (slot: number) => PathNode,
  pointers: Watched,
): PathNode {
  const all = slots.map((slot) => ({ slot, node: item(slot) }));
  return {
    json: () => all.map(({ node }) => node.json()),
    lines: () =>
      all.flatMap(({ slot, node }) => node.lines(true).map(({ text }) => ({ below: `[${slot}]`, text }))),
    watched: () => joinWatched([pointers, ...all.map(({ node }) => node.watched())]),
    names: [],
    index: 'slot of the queue',
    child: () => undefined,
    item,
  };
}

function entryNode(
  memory: MemoryView,
  smmu: SmmuState,
  { kind: name, prefix }: Held,
  queue: Queue,
  slot: number,
): PathNode {
  const pa = entryAddress(queue, slot);
  const base = registersRead(smmu, `${prefix}_BASE`);
  const place = memory.place(pa);
  const watched = joinWatched([base, memoryRead(place, queue.entryBytes)]);
  if (!memory.isRam(pa, queue.entryBytes)) return absent(`${hex(pa)} is not RAM`, base);
  const words = memory.readWords(pa, queue.entryBytes / 4);
  const kind = kinds[name];
  const of = kind.layoutOf(words);
  const head = {
    [kind.label]: of?.name ?? 'RESERVED',
    index: slot,
    pa: hex(pa),
    words: showRaw(words).split(' '),
  };
  return of === undefined
    ? group({
        ...Object.fromEntries(Object.entries(head).map(([key, value]) => [key, () => leaf(value, watched)])),
      })
    : structure(of, words, watched, {
        head,
        // The first byte says what it is: which fields there are.
        narrow: (field) => joinWatched([base, fieldRead(place, { hi: 7, lo: 0 }), fieldRead(place, field)]),
      });
}
