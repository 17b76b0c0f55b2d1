/**
 * The slots of the Command queue between PROD and CONS (IHI 0070 3.5.1, 3.5.2, 4.1.1): what was published
 * must have been stored before (I5), and must not change before it is consumed (I7). The slot at which the
 * queue has stopped with an error may be mended (7.1); the SMMU's own stores (an MSI into the slot of its
 * CMD_SYNC) come at consumption.
 */
import type { EntryOf } from '../../core/event.ts';
import { commandName } from '../../core/smmu/command.ts';
import { entryAddress, indexOf, pointer, type Queue, used } from '../../core/smmu/queue.ts';
import { activeErrors, reg } from '../../core/smmu/regs.ts';
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { byWriter, deed, tell } from './tell.ts';
import { type RuleRun, ringOf, type Unit, type World } from './world.ts';

interface Slot {
  readonly pointer: number;
  readonly words: readonly number[];
  /** seq of the write of PROD that passed it. */
  readonly published: number;
}

interface Slots {
  readonly unit: Unit;
  ring: Queue | undefined;
  /** Published and not consumed, by index. */
  readonly published: Map<number, Slot>;
  /** Slots stored since PROD was last written. */
  readonly fresh: Set<number>;
  /** seq of the last store to a slot, and of its last consumption, by index. */
  readonly stored: Map<number, number>;
  readonly consumed: Map<number, number>;
  prod: number;
}

const CMDQEN = 8;
const CMDQ_ERR = 1;

/** A run over all SMMUs of the machine. */
export function commandSlots(world: World): RuleRun {
  const told: Finding[] = [];
  const all = new Map<string, Slots>();
  for (const [name, unit] of world.units) {
    const none = { published: new Map(), stored: new Map(), consumed: new Map(), fresh: new Set<number>() };
    all.set(name, { unit, ring: undefined, prod: 0, ...none });
  }
  const store = (pa: number, bytes: number, seq: number, actor: string): void => {
    for (const slots of all.values()) storedTo(world, told, slots, { pa, bytes, seq, actor });
  };
  return {
    told: () => told,
    handlers: {
      'memory.written': ({ pa, seq, actor }) => store(pa, 8, seq, actor),
      'memory.loaded': ({ pa, bytes, seq, actor }) => store(pa, bytes.length, seq, actor),
      'register.written': (entry) => {
        const slots = all.get(entry.smmu);
        if (slots === undefined) return;
        const { unit } = slots;
        if (entry.register === 'CMDQ_BASE') restart(slots);
        if (entry.register === 'CMDQ_CONS') slots.published.clear();
        const on = (reg(unit.bare, 'CR0') & CMDQEN) !== 0;
        if (entry.register === 'CMDQ_PROD' && on) publish(world, told, slots, entry);
        else if (entry.register === 'CMDQ_PROD') slots.prod = Number(entry.value);
        if (entry.register === 'CR0' && on && (entry.old & 8n) === 0n) {
          slots.prod = reg(unit.bare, 'CMDQ_CONS');
          publish(world, told, slots, { ...entry, value: BigInt(reg(unit.bare, 'CMDQ_PROD')) });
        }
      },
      'command.consumed': ({ smmu, queue, index, seq }) => {
        const slots = all.get(smmu);
        const ring = slots?.ring;
        if (queue !== undefined || slots === undefined || ring === undefined) return;
        const at = indexOf(ring, index);
        if (slots.published.get(at)?.pointer === index) slots.published.delete(at);
        slots.consumed.set(at, seq);
      },
    },
  };
}

function restart(slots: Slots): void {
  slots.ring = ringOf(slots.unit, 'CMDQ');
  slots.published.clear();
  slots.stored.clear();
  slots.consumed.clear();
  slots.fresh.clear();
}

/** PROD moved on: the slots it passed are published as they stand in memory now. */
function publish(
  world: World,
  told: Finding[],
  slots: Slots,
  entry: Pick<EntryOf<'register.written'>, 'seq' | 'cause' | 'value' | 'register'>,
): void {
  const ring = slots.ring ?? ringOf(slots.unit, 'CMDQ');
  slots.ring = ring;
  const from = slots.prod;
  slots.prod = Number(entry.value);
  const count = used(ring, slots.prod, from);
  // Not where the queue is enabled with commands that stand there already.
  const forgotten = entry.register === 'CMDQ_PROD' && count === 0 && slots.fresh.has(indexOf(ring, from));
  if (entry.register === 'CMDQ_PROD') slots.fresh.clear();
  if (forgotten) told.push(nothing(world, slots, from, entry));
  if (count > 2 ** ring.sizeLog2) return;
  // One finding for a write of PROD, whatever it passed.
  let late = false;
  for (let step = 0; step < count; step += 1) {
    const at = pointer(ring, from + step);
    const index = indexOf(ring, at);
    const words = Array.from(world.watch.memory.readWords(entryAddress(ring, at), 4));
    if (!isUnwritten(slots, index, words)) {
      slots.published.set(index, { pointer: at, words, published: entry.seq });
    } else if (!late) {
      late = true;
      told.push(unwritten(world, slots, at, words, entry));
    }
  }
}

/** Nothing was stored since the slot was last consumed, or ever. */
function isUnwritten({ stored, consumed }: Slots, index: number, words: readonly number[]): boolean {
  const last = consumed.get(index);
  if (last !== undefined) return (stored.get(index) ?? 0) < last;
  return words.every((word) => word === 0);
}

/** A command was stored at PROD, and PROD is written with the value it has: a wrap bit may be missing. */
function nothing(
  world: World,
  { unit }: Slots,
  at: number,
  by: { readonly seq: number; readonly cause: number },
): Finding {
  return tell(world, {
    rule: 'I7',
    title: `published-nothing: slot ${hex(at)} of ${unit.name}.cmdq`,
    consequence: 'isolation',
    blame: byWriter(world, by, `CMDQ_PROD = ${hex(at)} again, with new commands stored from that slot on`),
    needed: 'CMDQ_PROD behind the last command, with its wrap bit turned at each lap',
  });
}

function unwritten(
  world: World,
  { unit }: Slots,
  at: number,
  words: readonly number[],
  by: { readonly seq: number; readonly cause: number },
): Finding {
  const old = words.every((word) => word === 0) ? 'zeros' : `the ${commandName(words)} of the lap before`;
  return tell(world, {
    rule: 'I5',
    title: `published-before-written: slot ${hex(at)} of ${unit.name}.cmdq`,
    consequence: 'isolation',
    blame: byWriter(world, by, `CMDQ_PROD passed slot ${hex(at)}, where ${old} stood`),
    needed: 'the command in memory first, a barrier, then CMDQ_PROD',
    notes: ['what the slot holds when CMDQ_PROD passes it is what the SMMU may execute (IHI 0070 3.5.2)'],
  });
}

interface Store {
  readonly pa: number;
  readonly bytes: number;
  readonly seq: number;
  readonly actor: string;
}

function storedTo(world: World, told: Finding[], slots: Slots, { pa, bytes, seq, actor }: Store): void {
  const { ring, unit, published, stored } = slots;
  if (ring === undefined || pa >= ring.base + ring.entryBytes * 2 ** ring.sizeLog2 || pa + bytes <= ring.base)
    return;
  const first = Math.max(0, Math.floor((pa - ring.base) / ring.entryBytes));
  const last = Math.min(2 ** ring.sizeLog2 - 1, Math.floor((pa + bytes - 1 - ring.base) / ring.entryBytes));
  for (let index = first; index <= last; index += 1) {
    stored.set(index, seq);
    if (actor !== unit.name) slots.fresh.add(index);
    const slot = published.get(index);
    if (slot === undefined || actor === unit.name || isMended(slots, index)) continue;
    const now = world.watch.memory.readWords(entryAddress(ring, index), 4);
    if (slot.words.every((word, at) => word === now[at])) continue;
    published.delete(index);
    told.push(altered(world, unit, slot, Array.from(now), { seq, actor }));
  }
}

/** The queue has stopped at the slot. */
function isMended({ unit, ring }: Slots, index: number): boolean {
  const stopped = (activeErrors(unit.bare) & CMDQ_ERR) !== 0;
  return stopped && ring !== undefined && indexOf(ring, reg(unit.bare, 'CMDQ_CONS')) === index;
}

function altered(
  world: World,
  unit: Unit,
  { pointer: at, words, published }: Slot,
  now: readonly number[],
  by: { readonly seq: number; readonly actor: string },
): Finding {
  const [was, is] = [commandName(words), commandName(now)];
  return tell(world, {
    rule: 'I7',
    title: `slot-altered: slot ${hex(at)} of ${unit.name}.cmdq`,
    consequence: 'isolation',
    blame: deed(by, `stored ${is} over ${was === is ? `another ${was}` : was} before CMDQ_CONS passed it`),
    needed: `the slot left alone until CMDQ_CONS has passed ${hex(at)}`,
    notes: [`${world.at(published)} CMDQ_PROD passed the slot: the SMMU may have read either`],
  });
}
