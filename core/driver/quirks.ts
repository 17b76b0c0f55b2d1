/**
 * Deliberate faults of a driver, each by name: what a scenario switches on to see what becomes of it. A
 * quirk that concerns commands says which of them it loses or spoils; the others are asked for by name
 * where the driver does the thing.
 */
import { type CommandName, commandByOpcode, commandLayouts } from '../smmu/command-layout.ts';
import type { Cmd } from './commands.ts';
import { cmdOf, fieldsOf } from './commands.ts';

export interface Quirk {
  readonly meaning: string;
  /** Class of the bug catalogue it belongs to. */
  readonly class: string;
  /** What becomes of a command; absent, commands stay as they are. */
  change?(command: Cmd, name: CommandName): Cmd | undefined;
}

const isTlbi = (name: CommandName): boolean => name.startsWith('CMD_TLBI_');
const isCfgi = (name: CommandName): boolean => name.startsWith('CMD_CFGI_');

const drop =
  (which: (name: CommandName) => boolean) =>
  (command: Cmd, name: CommandName): Cmd | undefined =>
    which(name) ? undefined : command;

/** The command with a field moved on by one, where it has that field. */
const spoil =
  (field: 'ASID' | 'VMID' | 'SubstreamID') =>
  (command: Cmd, name: CommandName): Cmd => {
    const declared = commandLayouts[name].layout.fields as Readonly<Record<string, unknown>>;
    if (!(field in declared)) return command;
    const fields = fieldsOf(command, name) as Readonly<Record<string, number>>;
    return cmdOf(name, { ...fields, [field]: (fields[field] ?? 0) ^ 1 } as never);
  };

// biome-ignore format: a table
export const quirks = {
  'skip-sync':        { class: 'missing-sync',         meaning: 'no CMD_SYNC is added to a batch, and nothing is waited for' },
  'skip-tlbi':        { class: 'missing-invalidation', meaning: 'CMD_TLBI_* are not put into the queue', change: drop(isTlbi) },
  'no-cfgi':          { class: 'config-cache',         meaning: 'CMD_CFGI_* are not put into the queue', change: drop(isCfgi) },
  'skip-atc':         { class: 'ATS/ATC',              meaning: 'CMD_ATC_INV are not put into the queue', change: drop((name) => name === 'CMD_ATC_INV') },
  'wrong-asid':       { class: 'wrong-tag',            meaning: 'invalidations name the neighbouring ASID', change: spoil('ASID') },
  'wrong-vmid':       { class: 'wrong-tag',            meaning: 'invalidations name the neighbouring VMID', change: spoil('VMID') },
  'wrong-ssid':       { class: 'wrong-tag',            meaning: 'invalidations name the neighbouring SubstreamID', change: spoil('SubstreamID') },
  'atc-before-sync':  { class: 'wrong-order',          meaning: 'CMD_ATC_INV goes out in the batch of the CMD_TLBI_* before it, with one CMD_SYNC for both' },
  'short-range':      { class: 'wrong-range',          meaning: 'the last granule of a range is not invalidated' },
  'leaf-only':        { class: 'wrong-range',          meaning: 'a table that is taken away is invalidated with Leaf=1' },
  'skip-walk-flush':  { class: 'missing-invalidation', meaning: 'a table that is taken away is not invalidated before its page is given back' },
  'keep-last-leaf':   { class: 'walker',               meaning: 'the last of several leaves is counted as unmapped and invalidated, and stays valid in its table' },
  'errno-as-size':    { class: 'overflow',             meaning: 'where nothing is mapped, the helper of an unmapping answers -ENOENT as an unsigned size: its caller goes on 2 bytes below, and is lost' },
  'unmap-as-told':    { class: 'overflow',             meaning: 'the DMA API removes as many bytes as an unmapping says, though fewer were mapped' },
  'skip-nested-clear': { class: 'missing-invalidation', meaning: 'a change of a nesting parent invalidates its IPAs alone, and no stage 1 entry of its guest' },
  'no-break':         { class: 'config-cache',         meaning: 'an STE or CD is stored over a valid one in ascending order, without V=0 or CMD_SYNC between' },
  'ats-late-off':     { class: 'ATS/ATC',              meaning: 'ATS of an endpoint is turned off after its STE has lost EATS' },
  'keep-tag':         { class: 'premature-reuse',      meaning: 'an ASID or VMID without users is not flushed when its last user leaves' },
  'iova-early-free':  { class: 'premature-reuse',      meaning: 'the DMA API gives an IOVA back before the invalidation, or the flush, of what it mapped' },
  'fq-no-flush':      { class: 'missing-invalidation', meaning: 'a flush queue is emptied without a flush' },
  'notifier-silent':  { class: 'missing-invalidation', meaning: 'changes of a process\'s tables are told to the CPUs alone: the mm notifier sends no command' },
  'notifier-skip-atc': { class: 'ATS/ATC',             meaning: 'the mm notifier invalidates the TLB, and no ATC' },
  'notifier-late':    { class: 'premature-reuse',      meaning: 'pages and tables of a process are given back before the mm notifier has invalidated them' },
  'release-silent':   { class: 'missing-invalidation', meaning: 'a process goes without its drivers letting go of its tables: CDs, TLBs and ATCs stay as they are' },
  'second-takes-all': { class: 'capability',           meaning: 'commands of every kind go to a guest\'s second queue, which takes three kinds' },
  'ignore-errors':    { class: 'error-path',           meaning: 'the GERROR handler looks at an error and leaves it: the Command queue stays stopped' },
} as const satisfies Readonly<Record<string, Quirk>>;

export type QuirkName = keyof typeof quirks;
export type Quirks = Readonly<Partial<Record<QuirkName, boolean>>>;

/** Whether there is a quirk of that name. */
export function isQuirk(name: string): name is QuirkName {
  return Object.hasOwn(quirks, name);
}

/** The commands that really go out. */
export function spoiled(commands: readonly Cmd[], on: Quirks): readonly Cmd[] {
  let left = commands;
  for (const [name, active] of Object.entries(on)) {
    const change = active === true ? (quirks[name as QuirkName] as Quirk).change : undefined;
    if (change === undefined) continue;
    left = left.flatMap((command) => {
      const of = commandByOpcode(Number(command[0] & 0xffn))?.name;
      const changed = of === undefined ? command : change(command, of);
      return changed === undefined ? [] : [changed];
    });
  }
  return left;
}
