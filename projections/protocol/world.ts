/**
 * What the rules of protocol see of a machine, folded from the log once for all of them: memory, the
 * registers of each SMMU, the stimulus under way. A rule gets each entry after it has been taken here.
 */
import type { MachineConfig } from '../../core/config.ts';
import type { Entry, EntryOf, EntryType } from '../../core/event.ts';
import type { QueueName } from '../../core/smmu/codes.ts';
import { Features } from '../../core/smmu/features.ts';
import type { Queue } from '../../core/smmu/queue.ts';
import { registers } from '../../core/smmu/registers.ts';
import { putReg, resetRegisters } from '../../core/smmu/regs.ts';
import { ring } from '../../core/smmu/rings.ts';
import { initialSmmu, type SmmuState } from '../../core/smmu/state.ts';
import type { Finding, Position } from '../finding.ts';
import { loaded, newWatch, stored, type Watch } from '../obligations/watch.ts';
import { enableReach, newReach, type Reach } from './reach.ts';

/** One SMMU without caches: its registers as the log says. */
export interface Unit {
  readonly name: string;
  readonly features: Features;
  readonly bare: SmmuState;
  /** The rings that the BASE registers describe; a write of one is a new ring. */
  readonly rings: { [Q in QueueName]?: Queue | undefined };
}

export interface World {
  readonly machine: MachineConfig;
  readonly watch: Watch;
  readonly units: ReadonlyMap<string, Unit>;
  /** What each SMMU can read, for those who listen. */
  readonly reaches: ReadonlyMap<string, Reach>;
  /** seq of the last read of each identification register: `smmu0.IDR0`. */
  readonly idReads: Map<string, number>;
  /** The stimulus that the present entries follow from. */
  stimulus: Entry | undefined;
  /** Who gives turns, as a scenario has set it; a guest's world asks the machine's. */
  readonly pace: { schedule: MachineConfig['schedule'] };
  /** Whose driver writes registers, where no stimulus of the outside does. */
  readonly software?: string;
  at(seq: number): Position;
}

export type RuleHandlers = { readonly [T in EntryType]?: (entry: EntryOf<T>) => void };

/** One run of a rule over one log. */
export interface RuleRun {
  readonly handlers: RuleHandlers;
  /** What is found so far; may be asked at any time, and changes nothing. */
  told(): readonly Finding[];
  /** A device behind the SMMU of that name was served elsewhere. */
  used?(smmu: string): void;
}

export interface LogRule {
  /** Of the catalogue: `I7`. */
  readonly rule: string;
  readonly name: string;
  /** What it looks for, in a line. */
  readonly finds: string;
  /** Its parts, begun on one log. */
  start(world: World): readonly RuleRun[];
  /** Those of them that hold for the driver of a guest, begun on the world of its VM. */
  guests?(world: World): readonly RuleRun[];
}

/** What the architecture does not allow, no rule takes for granted. */
const isErratum = (choice: string): boolean => choice.startsWith('erratum');

/** A machine after reset. */
export function newWorld(
  machine: MachineConfig,
  branch: string,
  watch: Watch = newWatch(machine.ram),
): World {
  const units = machine.smmus.map((config): readonly [string, Unit] => {
    const choices = Object.fromEntries(Object.entries(config.choices).filter(([name]) => !isErratum(name)));
    const none = { ...config, choices, caches: { ste: 0, cd: 0, tlb: 0, walk: 0 } };
    const bare = initialSmmu(none, resetRegisters(config));
    return [config.name, { name: config.name, features: new Features(config.idr), bare, rings: {} }];
  });
  return {
    machine,
    watch,
    units: new Map(units),
    reaches: new Map(units.map(([name, unit]) => [name, newReach(unit, watch)])),
    idReads: new Map(),
    stimulus: undefined,
    pace: { schedule: machine.schedule },
    at: (seq) => `${branch}@${seq}`,
  };
}

const noteStimulus = (world: World, entry: Entry): void => {
  world.stimulus = entry;
  world.watch.clock.tick = entry.tick;
};

const NONE = { pa: 0, before: 0n, after: 0n } as const;

const WIDE: ReadonlySet<string> = new Set(
  registers.list.filter(({ width }) => width === 64).map(({ name }) => name),
);

function putRegister(
  { units }: World,
  { smmu, register, value }: { readonly smmu: string; readonly register: string; readonly value: bigint },
): void {
  const unit = units.get(smmu);
  if (unit === undefined) return;
  // Nearly all are pointers of queues.
  if (!WIDE.has(register) && value <= 0xffff_ffffn) {
    unit.bare.regs[register] = Number(value);
    return;
  }
  putReg(unit.bare, register, value);
  if (register.endsWith('_BASE')) unit.rings[register.slice(0, -5) as QueueName] = undefined;
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
  'register.written': (world, entry) => {
    putRegister(world, entry);
    const reach = world.reaches.get(entry.smmu);
    if (entry.register !== 'CR0' || reach === undefined) return;
    const { seq, actor, value, old } = entry;
    enableReach(reach, (value & 1n) === 1n, { seq, actor, pa: 0, before: old, after: value });
  },
  'register.updated': putRegister,
  'register.read': ({ idReads }, { smmu, register, seq }) => {
    if (/^(IDR\d|IIDR|AIDR)$/.test(register)) idReads.set(`${smmu}.${register}`, seq);
  },
  'hwinfo.reported': ({ idReads }, { smmu, seq }) => {
    for (const register of ['IDR0', 'IDR1', 'IDR2', 'IDR3', 'IDR4', 'IDR5', 'IIDR', 'AIDR'])
      idReads.set(`${smmu}.${register}`, seq);
  },
  'value.set': ({ units, pace }, { path, value }) => {
    if (path === 'schedule') pace.schedule = value as MachineConfig['schedule'];
    const [smmu = '', group, name = ''] = path.split('.');
    const unit = units.get(smmu);
    if (group !== 'choices' || unit === undefined || isErratum(name)) return;
    const config = unit.bare.config as { choices: Readonly<Record<string, boolean | number | string>> };
    config.choices = { ...config.choices, [name]: value as boolean };
  },
};

/** The ring of a queue as its BASE says now. */
export function ringOf({ bare, rings }: Unit, queue: QueueName): Queue {
  const known = rings[queue];
  if (known !== undefined) return known;
  const made = ring(bare, queue);
  rings[queue] = made;
  return made;
}

/** Whether the machine does by itself, at once, all that it can do. */
export function isEager({ pace }: World): boolean {
  return pace.schedule === 'eager';
}
