/**
 * What software gets wrong in a command that is legal all the same: hardware ignores it, or the result is
 * CONSTRAINED UNPREDICTABLE. Each case is a row with our choice; IHI 0070 3.4.3, 4.1.5, 4.1.7, 4.4, 4.5.
 */

import type { Words } from '../layout/field.ts';
import { type AnyField, mask } from '../layout/layout.ts';
import { pow2 } from '../pow2.ts';
import { commandLayouts } from './command-layout.ts';
import type { Features } from './features.ts';
import { type Granule, granuleByName, spanLog2 } from './granule.ts';

/** A command as its rows look at it: only the fields they ask for are read. */
interface Written {
  readonly words: Words;
  readonly fields: Readonly<Record<string, AnyField>>;
  /** The bits of its fields. */
  readonly used: Uint32Array;
}

export interface CommandNote {
  /** The `rule` of its misuse.noted. */
  readonly name: string;
  readonly spec: string;
  /** The command has no effect then. */
  readonly voids?: boolean;
  /** It is about RES0 bits, for which hardware may refuse the command (4.1.5). */
  readonly reserved?: boolean;
  /** The commands that it can be about: those with this field, or of these names. */
  readonly about: string | RegExp;
  /** What is wrong, or undefined when nothing is. */
  when(command: Written, features: Features): string | undefined;
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

// biome-ignore format: a table
export const commandNotes: readonly CommandNote[] = [
  { name: 'command-reserved-bits',     spec: '4.1.5',   about: 'Opcode',       reserved: true, when: reservedUse },
  { name: 'command-streamid-range',    spec: '4.1.7',   about: 'StreamID',     voids: true, when: (c, { sidBits }) => above('StreamID', firstStream(c), sidBits) },
  { name: 'command-substreamid-range', spec: '4.1.7',   about: 'SubstreamID',  voids: true, when: (c, { ssidBits }) => flag(c, 'SSV', true) && !(ssidBits === 0 && 'SSV' in c.fields) ? above('SubstreamID', number(c, 'SubstreamID'), ssidBits) : undefined },
  { name: 'command-no-substreams',     spec: '4.5.1',   about: 'SSV',          voids: true, when: (c, { ssidBits }) => ssidBits === 0 && flag(c, 'SSV') ? 'SSV=1 with SSIDSIZE=0' : undefined },
  { name: 'command-asid-8-bit',        spec: '4.4',     about: 'ASID',         voids: true, reserved: true, when: (c, { asid16 }) => asid16 ? undefined : above('ASID', number(c, 'ASID'), 8) },
  { name: 'command-vmid-8-bit',        spec: '4.4',     about: 'VMID',         voids: true, reserved: true, when: (c, { s2p, vmid16 }) => vmid16 || !s2p ? undefined : above('VMID', number(c, 'VMID'), 8) },
  { name: 'command-vmid-no-stage-2',   spec: '4.4.2',   about: 'VMID',         reserved: true, when: (c, { s2p }) => s2p ? undefined : above('VMID', number(c, 'VMID'), 0) },
  { name: 'command-va-not-canonical',  spec: '4.4.2',   about: /^CMD_TLBI_(NH|EL2)_VAA?$/, when: (c, { vax }) => notCanonical(number(c, 'Address'), vax) },
  { name: 'command-range-misaligned',  spec: '4.4.1.1', about: 'TG',           when: misaligned },
  { name: 'address-beyond-oas',        spec: '3.4.3',   about: 'MSIAddress',   when: (c, { oas }) => c.fields['CS']?.read(c.words) === 'SIG_IRQ' ? beyond(c.fields['MSIAddress']?.read(c.words) as bigint, oas) : undefined },
];

/** The command with the rows that can be about it. */
interface Known extends Omit<Written, 'words'> {
  readonly name: string;
  readonly notes: readonly CommandNote[];
  readonly voids: readonly CommandNote[];
  readonly reserved: readonly CommandNote[];
}

const byOpcode: ReadonlyMap<number, Known> = new Map(
  Object.values(commandLayouts).map(({ name, opcode, layout }) => {
    const fields: Readonly<Record<string, AnyField>> = layout.fields;
    const notes = commandNotes.filter(({ about }) =>
      typeof about === 'string' ? about in fields : about.test(name),
    );
    const voids = notes.filter((note) => note.voids === true);
    const reserved = notes.filter((note) => note.reserved === true);
    return [opcode, { name, fields, used: mask(layout), notes, voids, reserved }];
  }),
);

function known(words: Words): Known | undefined {
  return byOpcode.get((words[0] ?? 0) & 0xff);
}

const NOTHING: readonly { readonly note: CommandNote; readonly detail: string }[] = [];

/** The rows that hold for a command, with what is wrong. An unknown opcode has none. */
export function notesOf(words: Words, features: Features): typeof NOTHING {
  const command = known(words);
  if (command === undefined) return NOTHING;
  const { name, fields, used, notes } = command;
  let found: { note: CommandNote; detail: string }[] | undefined;
  for (const note of notes) {
    const detail = note.when({ words, fields, used }, features);
    if (detail === undefined) continue;
    found ??= [];
    found.push({ note, detail: `${name}: ${detail}` });
  }
  return found ?? NOTHING;
}

/** Whether the command is without effect for what is wrong in it. */
export function hasNoEffect(words: Words, features: Features): boolean {
  const command = known(words);
  if (command === undefined) return false;
  const { fields, used, voids } = command;
  for (const note of voids) if (note.when({ words, fields, used }, features) !== undefined) return true;
  return false;
}

/** Which reserved bits are set; hardware may refuse the command for it (4.1.5). */
export function reservedIn(words: Words, features: Features): string | undefined {
  const command = known(words);
  if (command === undefined) return undefined;
  for (const note of command.reserved) {
    const detail = note.when({ ...command, words }, features);
    if (detail !== undefined) return detail;
  }
  return undefined;
}

/**
 * The address of a range has to be a multiple of this many bytes (4.4.1.1).
 * @param ttl the level hint in force, 0 for none
 */
export function rangeAlignBytes(granule: Granule, ttl: number): number {
  return 2 ** spanLog2(granule, ttl === 0 ? 3 : ttl);
}

function number({ fields, words }: Written, name: string): number {
  return (fields[name]?.read(words) as number | undefined) ?? 0;
}

/** @param otherwise for a command without the field */
function flag({ fields, words }: Written, name: string, otherwise = false): boolean {
  return (fields[name]?.read(words) as boolean | undefined) ?? otherwise;
}

function above(field: string, value: number, bits: number): string | undefined {
  return value < pow2(bits) ? undefined : `${field} ${hex(value)} has more than ${bits} bits`;
}

function beyond(address: bigint, oas: number): string | undefined {
  return address >> BigInt(oas) === 0n ? undefined : `MSIAddress ${hex(address)} has more than ${oas} bits`;
}

/** The first StreamID; CMD_CFGI_STE_RANGE does not look at the bits that the range spans (4.3.2). */
function firstStream(command: Written): number {
  const streamId = number(command, 'StreamID');
  if (!('Range' in command.fields)) return streamId;
  const range = number(command, 'Range');
  return range >= 31 ? 0 : streamId - (streamId % pow2(range + 1));
}

/** Fields that are RES0, some of their bits at least, for want of a feature or of another field (4.1.6, 4.2.2, 4.4.1.1). */
// biome-ignore format: a table
const res0: readonly (readonly [field: string, isRes0: (command: Written, value: number, features: Features) => boolean])[] = [
  ['TG',     (_, __, { ril }) => !ril],
  ['NUM',    (c, _, { ril }) => !ranges(c, ril)],
  ['SCALE',  (c, value, { ril, ds }) => !ranges(c, ril) || (value > 31 && !ds)],
  ['TTL',    (c, _, { ril }) => !ranges(c, ril)],
  ['TTL128', (c, _, { ril, d128 }) => !d128 || !ranges(c, ril) || number(c, 'TTL') === 0],
  ['NS',     () => true],
  ['Stride', (_, __, { archMinor }) => archMinor === 0],
  ['Address',    (c, value, features) => c.fields['Address']?.hi === IPA_TOP && value >= physicalEnd(features)],
  ['MSIAddress', (_, value, features) => value >= physicalEnd(features)],
];

/** Where Address holds an IPA or a PA, bits [55:12], this is its last bit. */
const IPA_TOP = 119;

/** The first address whose bits a command has no place for: 48 bits in v3.0, 52 up to v3.3 (4.1.6). */
function physicalEnd({ archMinor }: Features): number {
  return pow2(archMinor === 0 ? 48 : archMinor < 4 ? 52 : 56);
}

function ranges({ fields, words }: Written, ril: boolean): boolean {
  return ril && fields['TG']?.read(words) !== 'NONE';
}

function reservedUse(command: Written, features: Features): string | undefined {
  const { words, fields, used } = command;
  for (let at = 0; at < used.length; at += 1) {
    const stray = ((words[at] ?? 0) & ~(used[at] ?? 0)) >>> 0;
    if (stray !== 0) return `bits ${hex(stray)} of word ${at}`;
  }
  for (const [field, isRes0] of res0) {
    const value = fields[field]?.read(words);
    if (value === undefined || value === 'NONE' || Number(value) === 0) continue;
    if (isRes0(command, Number(value), features)) return `${field} is RES0 here`;
  }
  return undefined;
}

/** VA[63:48], or [63:52], is a copy of the bit below in no address of the two halves (3.4.1). */
function notCanonical(address: number, vax: number): string | undefined {
  const [top, ones] =
    vax === 0 ? [Math.floor(address / 2 ** 48), 0xffff] : [Math.floor(address / 2 ** 52), 0xfff];
  return top === 0 || top === ones ? undefined : `Address ${hex(address)} is in neither half`;
}

function misaligned(command: Written, { ril, ds }: Features): string | undefined {
  const { fields, words } = command;
  const name = fields['TG']?.read(words) as string;
  const granule = ril ? granuleByName[name] : undefined;
  if (granule === undefined) return undefined;
  const ttl = number(command, 'TTL');
  const align = rangeAlignBytes(granule, name === '16KB' && ttl === 1 && !ds ? 0 : ttl);
  const address = number(command, 'Address');
  return address % align === 0 ? undefined : `Address ${hex(address)} is not a multiple of ${hex(align)}`;
}
