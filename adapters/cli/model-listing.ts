/**
 * What of the SMMU is modelled, as rows made from the model's own tables: `help smmu` prints them as text, and
 * with --json one object a row.
 */

import { writeBits } from '../../core/layout/field.ts';
import type { Register } from '../../core/layout/register.ts';
import { broadcastNeeds, broadcasts } from '../../core/smmu/broadcast.ts';
import { cdRules } from '../../core/smmu/cd-rules.ts';
import { choices } from '../../core/smmu/choices.ts';
import { cerrors, queueSizeLog2Max, queues } from '../../core/smmu/codes.ts';
import { commands, illegalReason } from '../../core/smmu/command.ts';
import { type CommandName, commandLayouts } from '../../core/smmu/command-layout.ts';
import { commandNotes } from '../../core/smmu/command-notes.ts';
import { commandQueueKinds } from '../../core/smmu/command-queues.ts';
import { effectMoment } from '../../core/smmu/effects.ts';
import { eventRecords } from '../../core/smmu/event-record.ts';
import { Features } from '../../core/smmu/features.ts';
import { capacityOf } from '../../core/smmu/fills.ts';
import { gerrorBits } from '../../core/smmu/gerror.ts';
import { idrRules } from '../../core/smmu/idr-rules.ts';
import { profiles } from '../../core/smmu/profiles.ts';
import { ecmdqRegisters, registers, vatosRegisters } from '../../core/smmu/registers.ts';
import { cacheNames } from '../../core/smmu/state.ts';
import { steRules } from '../../core/smmu/ste-rules.ts';
import { smmuUnits } from '../../core/smmu/units.ts';

export interface ModelRow {
  readonly name: string;
  /** Section of IHI 0070. */
  readonly spec?: string;
  readonly [field: string]: string | number | boolean | readonly string[] | undefined;
}

export interface ModelSection {
  readonly name: string;
  readonly title: string;
  readonly rows: readonly ModelRow[];
}

const hex = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`;

/** Everything, in the order of the specification's chapters. */
export function modelSections(): readonly ModelSection[] {
  // biome-ignore format: a table
  return [
    { name: 'registers',       title: 'Registers, from page 0', rows: registers.list.map(registerRow) },
    { name: 'vatos registers', title: 'Registers of the VATOS page, from its start', rows: vatosRegisters.list.map(registerRow) },
    { name: 'ecmdq registers', title: 'Registers of each enhanced command queue', rows: ecmdqRegisters.list.map(registerRow) },
    { name: 'commands',        title: 'Commands: what makes each CERROR_ILL, and what it does', rows: commandRows() },
    { name: 'command notes',   title: 'Commands that are noted (misuse.noted), and those that have no effect then', rows: commandNotes.map(({ name, spec, voids = false }) => ({ name, spec, voids })) },
    { name: 'cerrors',         title: 'Command errors', rows: Object.entries(cerrors).map(([name, code]) => ({ name, spec: '7.1', code })) },
    { name: 'gerrors',         title: 'Global errors', rows: Object.entries(gerrorBits).map(([name, bit]) => ({ name, spec: '6.3.19', bit: Math.log2(bit) })) },
    { name: 'event records',   title: 'Event records', rows: eventRows() },
    { name: 'ste rules',       title: 'An STE is ILLEGAL (C_BAD_STE) by', rows: steRules.map(({ name, spec }) => ({ name, spec })) },
    { name: 'cd rules',        title: 'A CD is ILLEGAL (C_BAD_CD) by', rows: cdRules.map(({ name, spec }) => ({ name, spec })) },
    { name: 'idr rules',       title: 'Identification registers that a machine is refused for, or that are noted', rows: idrRules.map(({ name, spec, needs, verdict }) => ({ name, spec, verdict, needs })) },
    { name: 'queues',          title: 'Queues', rows: queueRows() },
    { name: 'caches',          title: 'Caches, and the capacity of the machine line that bounds each', rows: cacheNames.map((name) => ({ name, capacity: capacityOf[name] })) },
    { name: 'units',           title: 'Units that take turns', rows: smmuUnits.map(({ name }) => ({ name })) },
    { name: 'broadcasts',      title: 'Broadcast TLB maintenance (cpu.tlbi): what a message carries, and what it needs', rows: broadcastRows() },
    { name: 'choices',         title: 'Choices (`help choices`)', rows: Object.entries(choices).map(([name, { spec, default: usual, meaning }]) => ({ name, spec, default: usual, meaning })) },
    { name: 'profiles',        title: 'Profiles (`help profiles`)', rows: Object.entries(profiles).map(([name, { source }]) => ({ name, source })) },
  ];
}

function registerRow({ name, spec, offset, width, access, reset, fields, guards }: Register): ModelRow {
  return {
    name,
    spec,
    offset: hex(offset),
    width,
    access,
    reset,
    fields: Object.keys(fields),
    // IGNORED while one of these, or its acknowledge copy, is 1.
    guards: guards.map(({ guard }) => guard),
  };
}

/** Nothing but the stall model that has no stalls: what a command lacks here, it needs. */
const BARE = new Features({ IDR0: 1 << 24 });
const ALL = 0xffff_ffff;
/** Everything, and stalls that may be chosen. */
const WHOLE = new Features({ IDR0: ALL - 3 * 2 ** 24, IDR1: ALL, IDR3: ALL, IDR5: ALL });

function commandRows(): readonly ModelRow[] {
  return Object.values(commandLayouts).map(({ name, opcode, spec }) => {
    const lacking = commands[name].illegal?.(BARE);
    const illegal = [...(lacking === undefined ? [] : [lacking]), ...illegalValues(name)];
    return { name, spec, opcode: hex(opcode), does: effectOf(name), illegal };
  });
}

function effectOf(name: CommandName): string {
  if (commands[name].illegal?.(WHOLE) !== undefined) return 'always CERROR_ILL';
  if (name === 'CMD_SYNC') return 'waits for all before it';
  if (commands[name].scopes !== undefined) return 'invalidates';
  const moment = effectMoment(name);
  return moment === undefined ? 'checked, no effect' : `acts ${moment}`;
}

/** The values of single fields that are refused where nothing is lacking: asked of the model, one at a time. */
function illegalValues(name: CommandName): readonly string[] {
  const { opcode, layout } = commandLayouts[name];
  const reasons = new Set<string>();
  for (const { hi, lo } of Object.values(layout.fields)) {
    if (hi - lo > 5 || lo < 8) continue;
    for (let value = 1; value < 2 ** (hi - lo + 1); value += 1) {
      const words = new Uint32Array(4);
      words[0] = opcode;
      writeBits(words, hi, lo, value);
      const reason = commands[name].illegal?.(WHOLE) === undefined ? illegalReason(words, WHOLE) : undefined;
      if (reason !== undefined) reasons.add(reason);
    }
  }
  return [...reasons];
}

function eventRows(): readonly ModelRow[] {
  return Object.values(eventRecords).map(({ name, number, spec, mayStall, layout }) => ({
    name,
    spec,
    number: hex(number),
    stall: mayStall,
    fields: Object.keys(layout.fields).filter((field) => field !== 'EventID'),
  }));
}

function queueRows(): readonly ModelRow[] {
  const plain = Object.entries(queues).map(([name, { entryBytes }]) => ({
    name,
    spec: '3.5.1',
    entryBytes,
    entriesMax: 2 ** queueSizeLog2Max,
  }));
  const enhanced = commandQueueKinds
    .filter(({ most }) => most > 1)
    .map(({ spec, most, names }) => ({
      name: names(0).name.replace('0', ''),
      spec,
      entryBytes: queues.CMDQ.entryBytes,
      entriesMax: 2 ** queueSizeLog2Max,
      queuesMax: most,
    }));
  return [...plain, ...enhanced];
}

function broadcastRows(): readonly ModelRow[] {
  return Object.entries(broadcasts).map(([name, row]) => ({
    name,
    spec: '3.17',
    takes: [...row.takes, ...(row.range === true ? ['tg', 'num', 'scale', 'ttl'] : [])],
    stages: row.stages.map(String),
    needs: ['IDR0.BTM', ...broadcastNeeds(row), ...(row.e2hOnly === true ? ['a PE in EL2-E2H'] : [])],
  }));
}
