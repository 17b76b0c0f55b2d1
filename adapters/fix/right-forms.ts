/** What the near command might have said instead: its fields put right, its range widened, its context, or the needed one. */
import type { EntryOf } from '../../core/event.ts';
import { decode } from '../../core/layout/layout.ts';
import { type CommandName, commandLayouts } from '../../core/smmu/command-layout.ts';
import type { FieldDiffers } from '../../projections/finding.ts';
import type { Needed } from '../../projections/obligations/remedy.ts';

export type Fetched = EntryOf<'command.fetched'>;
/** A command by its fields; absent ones are 0. */
export type Form = Pick<Needed, 'command' | 'fields'>;

/** The forms to try, the smallest change first. @param differs what `told.ts` says of the near command. */
export function rightForms(
  fetched: Fetched,
  needed: Needed,
  differs: readonly FieldDiffers[],
): readonly Form[] {
  const near = formOf(fetched);
  const wide = needed.command.startsWith('CMD_TLBI_NH_VA') ? wholeContext(needed) : [];
  if (near === undefined || near.command !== needed.command) return [needed, ...wide];
  if (differs.some(({ field }) => field === 'Address')) return [...widened(near, needed), ...wide];
  const right = Object.fromEntries(differs.map(({ field }) => [field, needed.fields[field] ?? 0]));
  return differs.length === 0 ? [needed] : [{ ...near, fields: withoutZeros({ ...near.fields, ...right }) }];
}

function formOf({ command, lo, hi }: Fetched): Form | undefined {
  const known = Object.hasOwn(commandLayouts, command) ? commandLayouts[command as CommandName] : undefined;
  if (known === undefined) return undefined;
  const words = [lo, hi].flatMap((each) => [Number(each & 0xffff_ffffn), Number(each >> 32n)]);
  const { Opcode, ...values } = decode(known.layout as never, words) as Readonly<Record<string, unknown>>;
  const fields = Object.entries(values).map(([name, value]) => [
    name,
    name === 'Address' ? `0x${BigInt(value as number).toString(16)}` : value,
  ]);
  return { command: command as CommandName, fields: withoutZeros(Object.fromEntries(fields)) };
}

const ZEROS: readonly unknown[] = [0, false, '0x0', 'NONE'];

function withoutZeros(fields: Needed['fields']): Needed['fields'] {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !ZEROS.includes(value)));
}

const PAGE_LOG2: Readonly<Record<string, number>> = { '4KB': 12, '16KB': 14, '64KB': 16 };
const NUM_MAX = 31n;

/** A range that goes on to the address, as its scale lets it (4.4.1.1). */
function widened({ command, fields }: Form, needed: Needed): readonly Form[] {
  const pageLog2 = PAGE_LOG2[String(fields['TG'])];
  if (pageLog2 === undefined) return [];
  const step = 1n << BigInt(pageLog2 + Number(fields['SCALE'] ?? 0));
  const [start, address] = [BigInt(fields['Address'] as string), BigInt(needed.fields['Address'] as string)];
  const num = (address - start) / step;
  return address < start || num > NUM_MAX ? [] : [{ command, fields: { ...fields, NUM: Number(num) } }];
}

/** All addresses of the ASID; of the VMID where entries may be global. */
function wholeContext({ fields }: Needed): readonly Form[] {
  const tags = { VMID: fields['VMID'] ?? 0 };
  return 'ASID' in fields
    ? [{ command: 'CMD_TLBI_NH_ASID', fields: withoutZeros({ ...tags, ASID: fields['ASID'] ?? 0 }) }]
    : [{ command: 'CMD_TLBI_NH_ALL', fields: withoutZeros(tags) }];
}
