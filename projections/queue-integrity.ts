/**
 * I7, queue integrity: only published slots are read, and none changes before it is consumed; bases are aligned;
 * pointers are those of a queue; an error is acknowledged; whoever has work is awake (IHI 0070 3.5, 7.1, 7.4).
 */
import type { EntryOf } from '../core/event.ts';
import type { QueueName } from '../core/smmu/codes.ts';
import { queues } from '../core/smmu/codes.ts';
import { isConsistent, isEmpty } from '../core/smmu/queue.ts';
import { activeErrors, enabled, reg, regValue } from '../core/smmu/regs.ts';
import type { Finding } from './finding.ts';
import { hex } from './obligations/tell.ts';
import { commandSlots } from './protocol/command-slots.ts';
import { misuses } from './protocol/misuses.ts';
import { recordQueues } from './protocol/record-queues.ts';
import { byWriter, type Deed, tell } from './protocol/tell.ts';
import { isEager, type LogRule, type RuleRun, ringOf, type Unit, type World } from './protocol/world.ts';

export const queueIntegrity: LogRule = {
  rule: 'I7',
  name: 'queue-integrity',
  finds: 'slots that change while published, pointers no queue can have, errors and records left alone',
  start: (world) => [
    misuses(world, 'I7'),
    commandSlots(world),
    recordQueues(world),
    setUp(world),
    progress(world),
  ],
  guests: (world) => [
    misuses(world, 'I7'),
    commandSlots(world),
    recordQueues(world),
    setUp(world),
    progress(world),
  ],
};

const ENABLES: readonly (readonly [bit: bigint, queue: QueueName])[] = [
  [8n, 'CMDQ'],
  [4n, 'EVENTQ'],
  [2n, 'PRIQ'],
];

/** Registers that say where queues and the stream table stand. */
const PLACED = /^((E?CMDQ\d*|EVENTQ|PRIQ)_(BASE|PROD|CONS)|STRTAB_BASE(_CFG)?)$/;

/** How queues are placed: their bases, and writes that come while they run. */
function setUp(world: World): RuleRun {
  const told: Finding[] = [];
  return {
    told: () => told,
    handlers: {
      'register.written': (entry) => {
        if (entry.register !== 'CR0') return;
        const unit = world.units.get(entry.smmu);
        if (unit === undefined) return;
        for (const [bit, queue] of ENABLES)
          if ((entry.value & ~entry.old & bit) !== 0n) checkBase(world, told, unit, queue, entry);
      },
      'write.ignored': (entry) => {
        const placed = PLACED.test(entry.register);
        const unit = world.units.get(entry.smmu);
        if (!placed || unit === undefined || !entry.why.startsWith('guarded')) return;
        const held = regValue(unit.bare, entry.register as 'CMDQ_BASE');
        if (entry.value !== held) told.push(ignored(world, entry, held));
      },
    },
  };
}

function ignored(world: World, entry: EntryOf<'write.ignored'>, held: bigint): Finding {
  const { smmu, register, value, why } = entry;
  return tell(world, {
    rule: 'I7',
    title: `write-while-enabled: ${smmu}.${register}`,
    actor: smmu,
    blame: byWriter(world, entry, `${register} = ${hex(value)} was ignored: ${why}`),
    needed: register.startsWith('STRTAB')
      ? 'SMMUEN=0 in CR0, and CR0ACK to show it, before the stream table is moved (IHI 0070 6.3.24)'
      : 'the queue disabled in CR0, and CR0ACK to show it, before it is moved',
    notes: [`${register} still holds ${hex(held)}`],
  });
}

function checkBase(
  world: World,
  told: Finding[],
  unit: Unit,
  queue: QueueName,
  entry: EntryOf<'register.written'>,
): void {
  const base = regValue(unit.bare, `${queue}_BASE`);
  const { base: used, sizeLog2, entryBytes } = ringOf(unit, queue);
  const asked = Number(base & 0xff_ffff_ffff_ffe0n);
  if (asked === used) return;
  const finding = tell(world, {
    rule: 'I7',
    title: `queue-misaligned: ${unit.name}.${queue}`,
    consequence: 'isolation',
    blame: byWriter(world, entry, `${queue} enabled with ADDR ${hex(asked)}: hardware uses ${hex(used)}`),
    needed: `an address that is a multiple of ${hex(Math.max(32, entryBytes * 2 ** sizeLog2))} bytes`,
    notes: [`LOG2SIZE is ${sizeLog2}, an entry has ${queues[queue].entryBytes} bytes (IHI 0070 6.3.26)`],
  });
  told.push(finding);
}

interface Watched {
  readonly unit: Unit;
  /** The first write of CMDQ_PROD since the queue stopped. */
  goesOn: Deed | undefined;
  /** Where the queue stopped. */
  stopped: EntryOf<'command.rejected'> | undefined;
  /** A record lost while an abort of the Event queue was not acknowledged, and a deed of software after it. */
  lost: EntryOf<'record.dropped'> | undefined;
  after: Deed | undefined;
  lastProd: number;
  /** Loads of CMDQ_CONS since the queue stopped. */
  polls: number;
}

/** Who looks so often waits. */
const POLLS_MAX = 8;

const CMDQ_ERR = 1;
const EVENTQ_ABT_ERR = 4;

/** What stands still at the end, though it could move. */
function progress(world: World): RuleRun {
  const all = new Map<string, Watched>();
  const none = {
    goesOn: undefined,
    stopped: undefined,
    lost: undefined,
    after: undefined,
    lastProd: 0,
    polls: 0,
  };
  for (const [name, unit] of world.units) all.set(name, { unit, ...none });
  return {
    told: () => [...all.values()].flatMap((each) => [...errorsLeft(world, each), ...standing(world, each)]),
    handlers: {
      'command.rejected': (entry) => {
        const each = all.get(entry.smmu);
        if (each === undefined || entry.queue !== undefined) return;
        each.stopped = entry;
        each.goesOn = undefined;
        each.polls = 0;
      },
      'register.read': ({ smmu, register, seq, actor }) => {
        const each = all.get(smmu);
        if (each === undefined || register !== 'CMDQ_CONS') return;
        if (each.stopped === undefined || (activeErrors(each.unit.bare) & CMDQ_ERR) === 0) return;
        each.polls += 1;
        if (each.polls >= POLLS_MAX)
          each.goesOn ??= {
            seq,
            actor,
            what: `CMDQ_CONS loaded ${each.polls} times while the queue stands still`,
          };
      },
      'record.dropped': (entry) => {
        const each = all.get(entry.smmu);
        if (each !== undefined && entry.why.startsWith('EVENTQ_ABT_ERR')) each.lost = entry;
      },
      'register.written': (entry) => {
        const each = all.get(entry.smmu);
        if (each === undefined) return;
        if (each.lost !== undefined && entry.register !== 'GERRORN')
          each.after ??= byWriter(world, entry, entry.register);
        if (entry.register === 'GERRORN') each.after = undefined;
        if (entry.register !== 'CMDQ_PROD') return;
        each.lastProd = entry.seq;
        if ((activeErrors(each.unit.bare) & CMDQ_ERR) !== 0)
          each.goesOn ??= byWriter(
            world,
            entry,
            `CMDQ_PROD = ${hex(entry.value)} while the queue stands still`,
          );
      },
    },
  };
}

function errorsLeft(world: World, { unit, goesOn, stopped, lost, after }: Watched): readonly Finding[] {
  const active = activeErrors(unit.bare);
  const found: Finding[] = [];
  const needed = 'the cause mended, then GERRORN made equal to GERROR (IHI 0070 7.5)';
  if ((active & CMDQ_ERR) !== 0 && goesOn !== undefined && stopped !== undefined) {
    const finding = tell(world, {
      rule: 'I7',
      title: `error-not-acknowledged: ${unit.name} CMDQ_ERR, ${stopped.error}`,
      blame: goesOn,
      needed,
      notes: [`${world.at(stopped.seq)} the queue stopped at ${stopped.command}: ${stopped.why}`],
    });
    found.push(finding);
  }
  if ((active & EVENTQ_ABT_ERR) !== 0 && lost !== undefined && after !== undefined) {
    const finding = tell(world, {
      rule: 'I7',
      title: `error-not-acknowledged: ${unit.name} EVENTQ_ABT_ERR`,
      blame: { ...after, what: `wrote ${after.what}, and left the error active` },
      needed,
      notes: [`${world.at(lost.seq)} ${lost.record} was lost: ${lost.why}`],
    });
    found.push(finding);
  }
  return found;
}

/** The queue runs and holds commands, no error is active, and nothing moves. */
function standing(world: World, { unit, lastProd }: Watched): readonly Finding[] {
  const { bare } = unit;
  if (!isEager(world) || lastProd === 0 || !enabled.cmdq(bare) || (activeErrors(bare) & CMDQ_ERR) !== 0)
    return [];
  const ring = ringOf(unit, 'CMDQ');
  const [prod, cons] = [reg(bare, 'CMDQ_PROD'), reg(bare, 'CMDQ_CONS')];
  if (isEmpty(ring, prod, cons) || !isConsistent(ring, prod, cons)) return [];
  const finding = tell(world, {
    rule: 'I7',
    title: `no-progress: ${unit.name}.cmdq stands still with commands`,
    blame: {
      seq: lastProd,
      actor: unit.name,
      what: `CMDQ_PROD ${hex(prod)}, CMDQ_CONS ${hex(cons)}: not empty`,
    },
    needed: 'the commands executed: indices and wrap bits together say full or empty (IHI 0070 3.5.1)',
  });
  return [finding];
}
