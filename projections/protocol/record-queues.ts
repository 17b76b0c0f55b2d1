/**
 * Software as the consumer of the Event queue and of the PRI queue (IHI 0070 3.5.1, 3.5.3, 7.2, 7.4, 8.1): a
 * record is read after it was written, an overflow is acknowledged, and nobody goes to rest over records that
 * no interrupt will tell of. Hardware as the producer: one interrupt when the queue becomes non-empty.
 */
import type { EntryOf } from '../../core/event.ts';
import type { QueueName } from '../../core/smmu/codes.ts';
import {
  entryAddress,
  indexOf,
  isConsistent,
  isEmpty,
  pointer,
  type Queue,
  used,
} from '../../core/smmu/queue.ts';
import { reg } from '../../core/smmu/regs.ts';
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { byWriter, type Deed, deed, tell } from './tell.ts';
import { type RuleRun, ringOf, type Unit, type World } from './world.ts';

type Name = Exclude<QueueName, 'CMDQ'>;

interface Consumer {
  readonly unit: Unit;
  readonly name: Name;
  /** By index: seq of the record's store, and of software's last load of it. */
  readonly written: Map<number, number>;
  readonly loaded: Map<number, number>;
  /** By index: seq of the write of CONS that passed it. */
  readonly passed: Map<number, number>;
  /** The last record's store; the interrupt after it. */
  lastRecord: number;
  lastInterrupt: number;
  /** Software's last load of PROD, and write of CONS. */
  lastLook: number;
  lastCons: Deed | undefined;
  /** PROD as software's last load of it showed. */
  snapshot: number | undefined;
  /** The write of CONS that left an overflow unacknowledged. */
  overflown: Deed | undefined;
  /** The queue became non-empty here, and no interrupt has come. */
  silent: number;
}

const OVFLG = 2 ** 31;
const ENABLE: Readonly<Record<Name, number>> = { EVENTQ: 4, PRIQ: 2 };

/** A run over both queues of all SMMUs. */
export function recordQueues(world: World): RuleRun {
  const told: Finding[] = [];
  const consumers: Consumer[] = [];
  for (const unit of world.units.values())
    for (const name of ['EVENTQ', 'PRIQ'] as const) consumers.push(newConsumer(unit, name));
  const of = (smmu: string, name: string): Consumer | undefined =>
    consumers.find((each) => each.unit.name === smmu && each.name === name);
  return {
    told: () => [...told, ...consumers.flatMap((each) => atRest(world, each))],
    handlers: {
      'memory.read': (entry) => {
        for (const each of consumers) if (each.written.size > 0) readSlot(each, entry);
      },
      'register.read': ({ smmu, register, seq, value }) => {
        const consumer = register.endsWith('_PROD') ? of(smmu, register.slice(0, -5)) : undefined;
        if (consumer === undefined) return;
        consumer.lastLook = seq;
        consumer.snapshot = Number(value);
      },
      'register.written': (entry) => {
        const consumer = entry.register.endsWith('_CONS')
          ? of(entry.smmu, entry.register.slice(0, -5))
          : undefined;
        if (consumer !== undefined) consumed(world, told, consumer, entry);
      },
      'record.written': ({ smmu, index, seq }) => recorded(world, told, of(smmu, 'EVENTQ'), index, seq),
      'page.queued': ({ smmu, index, seq }) => recorded(world, told, of(smmu, 'PRIQ'), index, seq),
      'register.updated': ({ smmu, register, seq }) => {
        const consumer = register.endsWith('_PROD') ? of(smmu, register.slice(0, -5)) : undefined;
        if (consumer !== undefined) becameFuller(consumer, seq);
      },
      'interrupt.raised': (entry) => {
        const consumer = of(entry.smmu, entry.source);
        if (consumer !== undefined) interrupted(world, told, consumer, entry);
      },
      turn: ({ seq }) => {
        for (const each of consumers) if (each.silent !== 0) withoutInterrupt(world, told, each, seq);
      },
    },
  };
}

function newConsumer(unit: Unit, name: Name): Consumer {
  return {
    unit,
    name,
    written: new Map(),
    loaded: new Map(),
    passed: new Map(),
    lastRecord: 0,
    lastInterrupt: 0,
    lastLook: 0,
    lastCons: undefined,
    snapshot: undefined,
    overflown: undefined,
    silent: 0,
  };
}

const isInterruptOn = ({ unit, name }: Consumer): boolean =>
  (reg(unit.bare, 'IRQ_CTRL') & reg(unit.bare, 'IRQ_CTRLACK') & ENABLE[name]) !== 0;

const pointers = ({ unit, name }: Consumer): readonly [ring: Queue, prod: number, cons: number] => [
  ringOf(unit, name),
  reg(unit.bare, `${name}_PROD`),
  reg(unit.bare, `${name}_CONS`),
];

function recorded(
  world: World,
  told: Finding[],
  consumer: Consumer | undefined,
  index: number,
  seq: number,
): void {
  if (consumer === undefined) return;
  if (consumer.silent !== 0) withoutInterrupt(world, told, consumer, seq);
  consumer.written.set(indexOf(ringOf(consumer.unit, consumer.name), index), seq);
  consumer.lastRecord = seq;
}

/** PROD moved by hardware: with one record in the queue, it was empty before. */
function becameFuller(consumer: Consumer, seq: number): void {
  const [ring, prod, cons] = pointers(consumer);
  const lastOnly = consumer.name === 'PRIQ' && reg(consumer.unit.bare, 'PRIQ_IRQ_CFG2') >= OVFLG;
  if (used(ring, prod, cons) === 1 && consumer.lastRecord === seq - 1 && isInterruptOn(consumer) && !lastOnly)
    consumer.silent = seq;
}

function interrupted(
  world: World,
  told: Finding[],
  consumer: Consumer,
  entry: EntryOf<'interrupt.raised'>,
): void {
  const { name, unit } = consumer;
  consumer.silent = 0;
  consumer.lastInterrupt = entry.seq;
  const [ring, prod, cons] = pointers(consumer);
  if (!isEmpty(ring, prod, cons) || consumer.lastRecord === 0) return;
  told.push(
    tell(world, {
      rule: 'I7',
      title: `interrupt-without-record: ${unit.name}.${name}`,
      blame: deed(entry, `${name} interrupt while the queue was empty`),
      needed: 'the interrupt when the queue goes from empty to non-empty',
    }),
  );
}

function withoutInterrupt(world: World, told: Finding[], consumer: Consumer, now: number): void {
  const at = consumer.silent;
  if (at >= now) return;
  consumer.silent = 0;
  const { name, unit } = consumer;
  told.push(
    tell(world, {
      rule: 'I7',
      title: `no-interrupt: ${unit.name}.${name} became non-empty`,
      blame: { seq: at, actor: unit.name, what: `${name}_PROD moved from empty, with the interrupt enabled` },
      needed: `${name} interrupt on the edge from empty to non-empty (IHI 0070 3.5.1, 7.2.1)`,
    }),
  );
}

function readSlot({ unit, name, loaded }: Consumer, { pa, size, seq }: EntryOf<'memory.read'>): void {
  const ring = ringOf(unit, name);
  const first = Math.floor((pa - ring.base) / ring.entryBytes);
  const last = Math.floor((pa + size - 1 - ring.base) / ring.entryBytes);
  if (last < 0 || first >= 2 ** ring.sizeLog2) return;
  for (let at = Math.max(0, first); at <= Math.min(last, 2 ** ring.sizeLog2 - 1); at += 1)
    loaded.set(at, seq);
}

/** Software freed slots: what it took for their records must have been loaded after they were written. */
function consumed(
  world: World,
  told: Finding[],
  consumer: Consumer,
  entry: EntryOf<'register.written'>,
): void {
  const { unit, name, written, loaded, passed } = consumer;
  const [ring, prod] = pointers(consumer);
  const [cons, before] = [Number(entry.value), Number(entry.old)];
  const by = byWriter(world, entry, `${name}_CONS = ${hex(cons)}`);
  const count = isConsistent(ring, prod, cons) ? used(ring, cons, before) : 0;
  for (let step = 0; step < Math.min(count, 2 ** ring.sizeLog2); step += 1) {
    const at = indexOf(ring, pointer(ring, before + step));
    const [store, load, last] = [written.get(at), loaded.get(at), passed.get(at) ?? 0];
    passed.set(at, entry.seq);
    if (store === undefined || load === undefined || load <= last || load > store) continue;
    told.push(readTooEarly(world, consumer, at, { load, store }, by));
  }
  consumer.lastCons = by;
  if (prod >= OVFLG === cons >= OVFLG) consumer.overflown = undefined;
  else
    consumer.overflown ??= byWriter(
      world,
      entry,
      `${by.what}: OVACKFLG does not follow OVFLG of ${unit.name}.${name}_PROD`,
    );
}

function readTooEarly(
  world: World,
  { unit, name }: Consumer,
  at: number,
  { load, store }: { readonly load: number; readonly store: number },
  by: Deed,
): Finding {
  const pa = entryAddress(ringOf(unit, name), at);
  return tell(world, {
    rule: 'I7',
    seq: by.seq,
    title: `stale-record-consumed: slot ${hex(at)} of ${unit.name}.${name}`,
    actor: by.actor,
    blame: { seq: load, actor: by.actor, what: `loaded [${hex(pa)}] before its record was there` },
    after: [by],
    needed: `${name}_PROD loaded first, with acquire order, and only then the slot`,
    nearest: { seq: store, why: `${unit.name} wrote the record here, after the load` },
  });
}

/** The end: an overflow that is left, and records that nobody will look at. */
function atRest(world: World, consumer: Consumer): readonly Finding[] {
  const { unit, name, overflown, lastCons, lastLook, lastRecord, lastInterrupt, silent } = consumer;
  const found: Finding[] = [];
  if (silent !== 0) withoutInterrupt(world, found, { ...consumer }, Number.MAX_SAFE_INTEGER);
  const [ring, prod, cons] = pointers(consumer);
  if (overflown !== undefined && prod >= OVFLG !== cons >= OVFLG) {
    const finding = tell(world, {
      rule: 'I7',
      title: `overflow-not-acknowledged: ${unit.name}.${name}`,
      blame: overflown,
      needed: `${name}_CONS.OVACKFLG made equal to ${name}_PROD.OVFLG, so that the next overflow shows`,
    });
    found.push(finding);
  }
  if (lastCons === undefined || isEmpty(ring, prod, cons) || !isConsistent(ring, prod, cons)) return found;
  const asleep = isInterruptOn(consumer) && lastRecord < lastCons.seq && lastInterrupt < lastCons.seq;
  if (!asleep || lastLook > lastCons.seq || lastRecord === 0) return found;
  const left = used(ring, prod, cons);
  const stale = consumer.snapshot !== undefined && pointer(ring, consumer.snapshot) === pointer(ring, cons);
  const finding = tell(world, {
    rule: 'I7',
    title: `idle-with-records: ${left} left in ${unit.name}.${name}`,
    blame: { ...lastCons, what: `${lastCons.what}, and no look at ${name}_PROD after it` },
    needed: `${name}_PROD loaded again after draining; rest only when it equals ${name}_CONS`,
    notes: [
      'the interrupt comes when the queue goes from empty to non-empty: none is to come now',
      ...(stale ? [`${world.at(lastLook)} the load of ${name}_PROD that was taken for the end`] : []),
    ],
  });
  return [...found, finding];
}
