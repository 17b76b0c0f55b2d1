/**
 * One mistake put into what a correct driver queues for one change: which commands really go out, and when. A twin
 * never differs for `un-synced` and `reordered` here: until a CMD_SYNC completes a device may be served (N1), and
 * nothing on a bare SMMU says that the driver relies on it sooner. Where a driver's work has an end, that says it:
 * quirk `skip-sync` of a host (`host-mutants.ts`).
 */
import { decode } from '../../core/layout/layout.ts';
import {
  type CommandFields,
  type CommandName,
  commandByOpcode,
  commandLayouts,
} from '../../core/smmu/command-layout.ts';
import { command } from './build.ts';

export const mutationKinds = [
  'dropped',
  'narrowed',
  'retagged',
  'reordered',
  'un-synced',
  'store-moved',
] as const;
export type MutationKind = (typeof mutationKinds)[number];

export interface Mutation {
  readonly kind: MutationKind;
  /** Which of the commands, counted round. */
  readonly which: number;
}

type Fields = Readonly<Record<string, unknown>>;
type Words = Uint32Array;

/** The commands and their CMD_SYNC as the mutation leaves them. `store-moved` changes no command. */
export function mutated(commands: readonly Words[], { kind, which }: Mutation): readonly Words[] {
  const sync = command('CMD_SYNC', {});
  const at = which % commands.length;
  const one = (change: (name: CommandName, fields: Fields) => Words | undefined): readonly Words[] => [
    ...commands.map((words, index) => (index === at ? changed(words, change) : words)),
    sync,
  ];
  switch (kind) {
    case 'dropped':
      return [...commands.filter((_, index) => index !== at), sync];
    case 'narrowed':
      return one(narrower);
    case 'retagged':
      return one(otherTag);
    case 'reordered':
      return [...commands.slice(0, at), sync, ...commands.slice(at)];
    case 'un-synced':
      return commands;
    case 'store-moved':
      return [...commands, sync];
  }
}

function changed(words: Words, change: (name: CommandName, fields: Fields) => Words | undefined): Words {
  const name = commandByOpcode((words[0] ?? 0) & 0xff)?.name;
  if (name === undefined) return words;
  const { Opcode, ...fields } = decode(commandLayouts[name].layout, words) as Fields;
  return change(name, fields) ?? words;
}

const again = (name: CommandName, fields: Fields): Words =>
  command(name, fields as Partial<CommandFields<CommandName>>);

/** Half the range, one level too few, one page for an ASID; undefined where nothing is less. */
function narrower(name: CommandName, fields: Fields): Words | undefined {
  const number = (field: string): number => Number(fields[field] ?? 0);
  if (name === 'CMD_CFGI_STE_RANGE') return again(name, { ...fields, Range: 2 });
  if (name === 'CMD_CFGI_STE') return fields['Leaf'] ? undefined : again(name, { ...fields, Leaf: true });
  if (name === 'CMD_TLBI_NH_ALL' || name === 'CMD_TLBI_NSNH_ALL')
    return command('CMD_TLBI_NH_ASID', { ASID: 5 });
  if (name === 'CMD_TLBI_NH_ASID')
    return command('CMD_TLBI_NH_VA', { ASID: number('ASID'), Address: 0x4000_0000, Leaf: false });
  if (!('Address' in fields)) return undefined;
  if (!fields['Leaf']) return again(name, { ...fields, Leaf: true });
  // A range of one granule is no range (4.4.1.1).
  if (number('SCALE') === 1) return again(name, { ...fields, SCALE: 0, TG: 'NONE' });
  if (number('SCALE') > 0) return again(name, { ...fields, SCALE: number('SCALE') - 1 });
  // Another level, where the address allows the hint; another page elsewhere.
  const aligned = number('Address') % 0x20_0000 === 0;
  return again(name, {
    ...fields,
    ...(aligned ? { TG: '4KB', TTL: 2 } : { Address: number('Address') ^ 0x2000 }),
  });
}

/** The same for the neighbouring ASID, StreamID or VMID; undefined where a command has no tag. */
function otherTag(name: CommandName, fields: Fields): Words | undefined {
  const tag = ['ASID', 'StreamID', 'VMID'].find((field) => field in fields);
  return tag === undefined || name === 'CMD_CFGI_STE_RANGE'
    ? undefined
    : again(name, { ...fields, [tag]: Number(fields[tag]) ^ 1 });
}
