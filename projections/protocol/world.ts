/**
 * What the rules of protocol see of a machine, folded from the log once for all of them: memory, the
 * registers of each SMMU, the stimulus under way. A rule gets each entry after it has been taken here.
 */
import type { MachineConfig } from '../../core/config.ts';
import type { Entry, EntryOf, EntryType } from '../../core/event.ts';
import type { QueueName } from '../../core/smmu/codes.ts';
import { Features } from '../../core/smmu/features.ts';
import type { Queue } from '../../core/smmu/queue.ts';
import { putReg, resetRegisters } from '../../core/smmu/regs.ts';
import { ring } from '../../core/smmu/rings.ts';
import { initialSmmu, type SmmuState } from '../../core/smmu/state.ts';
import type { Finding, Position } from '../finding.ts';
import { loaded, newWatch, stored, type Watch } from '../obligations/watch.ts';

/** One SMMU without caches: its registers as the log says. */
export interface Unit {
  readonly name: string;
  readonly features: Features;
  readonly bare: SmmuState;
}

export interface World {
  readonly machine: MachineConfig;
  readonly watch: Watch;
  readonly units: ReadonlyMap<string, Unit>;
  /** The stimulus that the present entries follow from. */
  stimulus: Entry | undefined;
  at(seq: number): Position;
}

export type RuleHandlers = { readonly [T in EntryType]?: (entry: EntryOf<T>) => void };

/** One run of a rule over one log. */
export interface RuleRun {
  readonly handlers: RuleHandlers;
  /** What is found so far; may be asked at any time, and changes nothing. */
  told(): readonly Finding[];
}

export interface LogRule {
  /** Of the catalogue: `I7`. */
  readonly rule: string;
  readonly name: string;
  /** What it looks for, in a line. */
  readonly finds: string;
  start(world: World): RuleRun;
}

/** A machine after reset. */
export function newWorld(machine: MachineConfig, branch: string): World {
  const units = machine.smmus.map((config): readonly [string, Unit] => {
    const none = { ...config, caches: { ste: 0, cd: 0, tlb: 0, walk: 0 } };
    const bare = initialSmmu(none, resetRegisters(config));
    return [config.name, { name: config.name, features: new Features(config.idr), bare }];
  });
  return {
    machine,
    watch: newWatch(machine.ram),
    units: new Map(units),
    stimulus: undefined,
    at: (seq) => `${branch}@${seq}`,
  };
}

const noteStimulus = (world: World, entry: Entry): void => {
  world.stimulus = entry;
  world.watch.tick = entry.tick;
};

const NONE = { pa: 0, before: 0n, after: 0n } as const;

function putRegister(
  { units }: World,
  { smmu, register, value }: { readonly smmu: string; readonly register: string; readonly value: bigint },
): void {
  const unit = units.get(smmu);
  if (unit !== undefined) putReg(unit.bare, register, value);
}

/** How entries change the world. */
export const worldHandlers: { readonly [T in EntryType]?: (world: World, entry: EntryOf<T>) => void } = {
  'mem.write': noteStimulus,
  'mem.read': noteStimulus,
  'mmio.write': noteStimulus,
  'mmio.read': noteStimulus,
  dma: noteStimulus,
  turn: noteStimulus,
  observe: noteStimulus,
  set: noteStimulus,
  ioctl: noteStimulus,
  'ats.translate': noteStimulus,
  'pri.request': noteStimulus,
  'endpoint.set': noteStimulus,
  'command.issue': noteStimulus,
  'cpu.tlbi': noteStimulus,
  'user.write': noteStimulus,
  'memory.written': ({ watch }, { pa, value, old, seq, actor }) =>
    stored(watch, pa, value, { seq, actor, pa, before: old, after: value }),
  'memory.loaded': ({ watch }, { pa, bytes, seq, actor }) =>
    loaded(watch, pa, bytes, () => ({ ...NONE, seq, actor })),
  'register.written': putRegister,
  'register.updated': putRegister,
  'value.set': ({ units }, { path, value }) => {
    const [smmu = '', group, name = ''] = path.split('.');
    const unit = units.get(smmu);
    if (group !== 'choices' || unit === undefined) return;
    const config = unit.bare.config as { choices: Readonly<Record<string, boolean | number | string>> };
    config.choices = { ...config.choices, [name]: value as boolean };
  },
};

/** The ring of a queue as its BASE says now. */
export function ringOf({ bare }: Unit, queue: QueueName): Queue {
  return ring(bare, queue);
}

/** Whether the machine does by itself, at once, all that it can do. */
export function isEager({ machine }: World): boolean {
  return machine.schedule === 'eager';
}

/** Several runs as one: each entry goes to all that care for it, in order. */
export function joinRuns(runs: readonly RuleRun[]): RuleRun {
  const handlers: { [T in EntryType]?: (entry: Entry) => void } = {};
  for (const run of runs) {
    for (const [type, handler] of Object.entries(run.handlers) as [EntryType, (entry: Entry) => void][]) {
      const before = handlers[type];
      handlers[type] =
        before === undefined
          ? handler
          : (entry) => {
              before(entry);
              handler(entry);
            };
    }
  }
  return { handlers: handlers as RuleHandlers, told: () => runs.flatMap((run) => [...run.told()]) };
}
