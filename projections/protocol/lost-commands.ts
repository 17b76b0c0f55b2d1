/**
 * Invalidations that a queue lost, though a later CMD_SYNC completes: refused and replaced in the error handler,
 * skipped while the queue was off, not answered by the endpoint. One that is made up for in time is forgiven.
 */

import type { EntryOf } from '../../core/event.ts';
import { quad } from '../../core/layout/words.ts';
import { commandName } from '../../core/smmu/command.ts';
import { entryAddress, isConsistent, pointer, used } from '../../core/smmu/queue.ts';
import { reg } from '../../core/smmu/regs.ts';
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { invalidates, makesUpFor } from './scopes.ts';
import { byWriter, type Deed, deed, tell } from './tell.ts';
import { type RuleRun, ringOf, type Unit, type World } from './world.ts';

interface Lost {
  readonly unit: Unit;
  readonly words: readonly number[];
  /** seqs of its fetch and of its end. */
  readonly about: readonly number[];
  readonly index: number;
  readonly why: string;
  /** `refused`: it may still be mended in its slot. */
  state: 'refused' | 'gone';
  /** Who made it go. */
  blame: Deed;
  /** Nothing had to be dropped: only its slot is looked at. */
  readonly needless?: boolean;
  /** Endpoint that did not answer. */
  readonly endpoint?: string;
  /** The CMD_SYNC that completed all the same. */
  confirmed: number;
}

const CMDQEN = 8n;
const CMDQ_ERR = 1n;
/** More than these are not remembered: a driver that loses so many has been told. */
const LOST_MAX = 256;

interface Losses {
  readonly world: World;
  readonly lost: Set<Lost>;
  readonly told: Finding[];
  /** Commands in flight, by the seq of the fetch. */
  readonly fetched: Map<number, EntryOf<'command.fetched'>>;
}

/** A run over all SMMUs. */
export function lostCommands(world: World): RuleRun {
  const losses: Losses = { world, lost: new Set(), told: [], fetched: new Map() };
  const { lost, told, fetched } = losses;
  return {
    told: () => [
      ...told,
      ...[...lost].filter(({ confirmed }) => confirmed !== 0).map((each) => tellLost(world, each)),
    ],
    handlers: {
      'command.fetched': (entry) => {
        if (entry.command !== 'CMD_SYNC') fetched.set(entry.seq, entry);
      },
      'command.performed': (entry) => {
        const command = fetched.get(entry.fetched);
        fetched.delete(entry.fetched);
        const unit = lost.size === 0 ? undefined : world.units.get(entry.smmu);
        if (command !== undefined && unit !== undefined) forgive(losses, unit, quad(command.lo, command.hi));
      },
      'command.rejected': (entry) => refused(losses, entry),
      'atc.timedout': (entry) => {
        const command = fetched.get(entry.fetched);
        const unit = world.units.get(entry.smmu);
        fetched.delete(entry.fetched);
        if (command === undefined || unit === undefined) return;
        const words = quad(command.lo, command.hi);
        add(losses, {
          unit,
          words,
          about: [entry.fetched, entry.seq],
          index: -1,
          why: `${entry.endpoint} did not answer in time`,
          state: 'gone',
          blame: deed(entry, `the CMD_ATC_INV of ${world.at(entry.fetched)} timed out at ${entry.endpoint}`),
          endpoint: entry.endpoint,
          confirmed: 0,
        });
      },
      'endpoint.reset': ({ endpoint }) => {
        for (const each of lost) if (each.endpoint === endpoint) lost.delete(each);
      },
      'register.written': (entry) => registerWritten(losses, entry),
      'sync.completed': (entry) => {
        if (entry.queue !== undefined) return;
        for (const each of lost)
          if (each.state === 'gone' && each.unit.name === entry.smmu && each.confirmed === 0)
            each.confirmed = entry.seq;
      },
    },
  };
}

function add({ lost }: Losses, one: Lost): void {
  if (lost.size < LOST_MAX) lost.add(one);
}

function forgive({ lost }: Losses, unit: Unit, words: readonly number[]): void {
  for (const each of lost) if (each.unit === unit && makesUpFor(words, each.words, unit)) lost.delete(each);
}

/** CERROR_ILL. What the SMMU has no feature for had nothing to drop: that is told elsewhere (I10). */
function refused(losses: Losses, entry: EntryOf<'command.rejected'>): void {
  const { fetched, world } = losses;
  const command = fetched.get(entry.fetched);
  const unit = world.units.get(entry.smmu);
  fetched.delete(entry.fetched);
  if (
    command === undefined ||
    unit === undefined ||
    entry.error !== 'CERROR_ILL' ||
    entry.queue !== undefined
  )
    return;
  const words = quad(command.lo, command.hi);
  const lacking = /=\d+$/.test(entry.why) && !entry.why.startsWith('TG');
  // It is met again after an acknowledgement that mended nothing.
  for (const each of losses.lost) if (each.index === entry.index && each.state === 'refused') return;
  add(losses, {
    unit,
    words,
    about: [entry.fetched, entry.seq],
    index: entry.index,
    why: `it was refused with ${entry.error}: ${entry.why}`,
    state: 'refused',
    blame: deed(entry, `${entry.command}: ${entry.why}`),
    needless: lacking || !invalidates(words, unit),
    confirmed: 0,
  });
}

function registerWritten(losses: Losses, entry: EntryOf<'register.written'>): void {
  const unit = losses.world.units.get(entry.smmu);
  if (unit === undefined) return;
  const { register, value, old } = entry;
  if (register === 'GERRORN' && ((value ^ old) & CMDQ_ERR) !== 0n) acknowledged(losses, unit, entry);
  if (register === 'CR0' && (old & CMDQEN) !== 0n && (value & CMDQEN) === 0n) disabled(losses, unit, entry);
  if (register !== 'CMDQ_CONS' && register !== 'CMDQ_BASE') return;
  for (const each of losses.lost) if (each.unit === unit && each.index >= 0) each.state = 'gone';
}

/** The queue goes on: the slot holds another command by now, or the same again. */
function acknowledged(losses: Losses, unit: Unit, entry: EntryOf<'register.written'>): void {
  const { world, told, lost } = losses;
  for (const each of lost) {
    if (each.unit !== unit || each.state !== 'refused') continue;
    const ring = ringOf(unit, 'CMDQ');
    if (pointer(ring, reg(unit.bare, 'CMDQ_CONS')) !== each.index) continue;
    const now = world.watch.memory.readWords(entryAddress(ring, each.index), 4);
    if (!each.words.every((word, at) => word === now[at])) {
      if (each.needless === true) {
        lost.delete(each);
        continue;
      }
      each.state = 'gone';
      const [was, is] = [commandName(each.words), commandName(Array.from(now))];
      each.blame = byWriter(
        world,
        entry,
        `acknowledged CMDQ_ERR with ${is} in the slot of the refused ${was}`,
      );
      continue;
    }
    lost.delete(each);
    told.push(
      tell(world, {
        rule: 'I6',
        title: `error-not-mended: ${unit.name} CMDQ_ERR at slot ${hex(each.index)}`,
        blame: byWriter(
          world,
          entry,
          `acknowledged CMDQ_ERR with the refused ${commandName(each.words)} still in its slot`,
        ),
        needed: 'a legal command in the slot at CMDQ_CONS before GERRORN is written',
        notes: [each.why],
      }),
    );
  }
}

/** CMDQEN=0 with commands in the queue: they are lost when the queue begins elsewhere. */
function disabled(losses: Losses, unit: Unit, entry: EntryOf<'register.written'>): void {
  const ring = ringOf(unit, 'CMDQ');
  const [prod, cons] = [reg(unit.bare, 'CMDQ_PROD'), reg(unit.bare, 'CMDQ_CONS')];
  if (!isConsistent(ring, prod, cons)) return;
  const count = Math.min(used(ring, prod, cons), LOST_MAX);
  for (let step = 0; step < count; step += 1) {
    const index = pointer(ring, cons + step);
    const words = Array.from(losses.world.watch.memory.readWords(entryAddress(ring, index), 4));
    if (!invalidates(words, unit)) continue;
    const why = 'the queue was disabled before it was consumed';
    const blame = byWriter(
      losses.world,
      entry,
      `CMDQEN=0 with ${commandName(words)} of slot ${hex(index)} not consumed`,
    );
    add(losses, { unit, words, about: [entry.seq], index, why, state: 'refused', blame, confirmed: 0 });
  }
}

function tellLost(world: World, { unit, words, about, why, blame, confirmed, endpoint }: Lost): Finding {
  const name = commandName(words);
  return tell(world, {
    rule: 'I6',
    seq: confirmed,
    title: `invalidation-lost: ${name} on ${unit.name}, and a CMD_SYNC after it completed`,
    consequence: 'isolation',
    blame,
    needed:
      endpoint === undefined
        ? `${name} again in a legal form, or a wider one, and CMD_SYNC, before anyone is told that it is done`
        : `a reset of ${endpoint} or ATS off, or CMD_ATC_INV again, before anyone is told that it is done`,
    nearest: { seq: about[0] ?? null, why },
    notes: [`${world.at(confirmed)} the CMD_SYNC completed: its issuer takes all before it for done`],
    lost: about,
  });
}
