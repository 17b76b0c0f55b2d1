/**
 * What software gets wrong in a command that is legal all the same: hardware ignores it, or the result is
 * CONSTRAINED UNPREDICTABLE. Each case is a row with our choice; IHI 0070 3.4.3, 4.1.5, 4.1.7, 4.4, 4.5.
 */
import type { Words } from '../layout/field.ts';
import { decode, mask } from '../layout/layout.ts';
import { commandByOpcode } from './command-layout.ts';
import type { Features } from './features.ts';
import { type Granule, granuleByName, spanLog2 } from './granule.ts';

/** A command as its rows look at it; a field that the command does not have is undefined. */
interface Written {
  readonly name: string;
  readonly words: Words;
  readonly mask: Uint32Array;
  readonly fields: {
    readonly [field: string]: unknown;
    readonly StreamID?: number;
    readonly SubstreamID?: number;
    readonly SSV?: boolean;
    readonly Range?: number;
    readonly VMID?: number;
    readonly ASID?: number;
    readonly NUM?: number;
    readonly SCALE?: number;
    readonly TTL?: number;
    readonly TG?: string;
    readonly TTL128?: boolean;
    readonly Address?: number;
    readonly MSIAddress?: bigint;
  };
}

export interface CommandNote {
  /** The `rule` of its misuse.noted. */
  readonly name: string;
  readonly spec: string;
  /** The command has no effect then. */
  readonly voids?: boolean;
  /** What is wrong, or undefined when nothing is. */
  when(command: Written, features: Features): string | undefined;
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
const VA_COMMANDS = /^CMD_TLBI_(NH|EL2)_VAA?$/;

// biome-ignore format: a table
export const commandNotes: readonly CommandNote[] = [
  { name: 'command-reserved-bits',     spec: '4.1.5',   when: reservedUse },
  { name: 'command-streamid-range',    spec: '4.1.7',   voids: true, when: ({ fields }, { sidBits }) => above('StreamID', rangeStart(fields), sidBits) },
  { name: 'command-substreamid-range', spec: '4.1.7',   voids: true, when: ({ fields }, { ssidBits }) => fields.SSV === undefined || (fields.SSV && ssidBits > 0) ? above('SubstreamID', fields.SubstreamID, ssidBits) : undefined },
  { name: 'command-no-substreams',     spec: '4.5.1',   voids: true, when: ({ fields }, { ssidBits }) => fields.SSV === true && ssidBits === 0 ? 'SSV=1 with SSIDSIZE=0' : undefined },
  { name: 'command-asid-8-bit',        spec: '4.4',     voids: true, when: ({ fields }, { asid16 }) => asid16 ? undefined : above('ASID', fields.ASID, 8) },
  { name: 'command-vmid-8-bit',        spec: '4.4',     voids: true, when: ({ fields }, { s2p, vmid16 }) => vmid16 || !s2p ? undefined : above('VMID', fields.VMID, 8) },
  { name: 'command-vmid-no-stage-2',   spec: '4.4.2',   when: ({ fields }, { s2p }) => s2p ? undefined : above('VMID', fields.VMID, 0) },
  { name: 'command-va-not-canonical',  spec: '4.4.2',   when: ({ name, fields }, { vax }) => VA_COMMANDS.test(name) ? notCanonical(fields.Address ?? 0, vax) : undefined },
  { name: 'command-range-misaligned',  spec: '4.4.1.1', when: misaligned },
  { name: 'address-beyond-oas',        spec: '3.4.3',   when: ({ fields }, { oas }) => fields['CS'] === 'SIG_IRQ' ? above('MSIAddress', (fields.MSIAddress ?? 0n) << 2n, oas) : undefined },
];

/** The rows that hold for a command, with what is wrong. An unknown opcode has none. */
export function notesOf(
  words: Words,
  features: Features,
): readonly { readonly note: CommandNote; readonly detail: string }[] {
  const written = read(words);
  if (written === undefined) return [];
  return commandNotes.flatMap((note) => {
    const detail = note.when(written, features);
    return detail === undefined ? [] : [{ note, detail: `${written.name}: ${detail}` }];
  });
}

/** Whether the command is without effect for what is wrong in it. */
export function hasNoEffect(words: Words, features: Features): boolean {
  const written = read(words);
  if (written === undefined) return false;
  return commandNotes.some((note) => note.voids === true && note.when(written, features) !== undefined);
}

/** Which reserved bits are set; hardware may refuse the command for it (4.1.5). */
export function reservedIn(words: Words, features: Features): string | undefined {
  const written = read(words);
  return written === undefined ? undefined : reservedUse(written, features);
}

/**
 * The address of a range has to be a multiple of this many bytes (4.4.1.1).
 * @param ttl the level hint in force, 0 for none
 */
export function rangeAlignBytes(granule: Granule, ttl: number): number {
  return 2 ** spanLog2(granule, ttl === 0 ? 3 : ttl);
}

function read(words: Words): Written | undefined {
  const of = commandByOpcode((words[0] ?? 0) & 0xff);
  if (of === undefined) return undefined;
  const fields = decode(of.layout, words) as Written['fields'];
  return { name: of.name, words, mask: mask(of.layout), fields };
}

function above(field: string, value: number | bigint | undefined, bits: number): string | undefined {
  if (value === undefined || BigInt(value) >> BigInt(bits) === 0n) return undefined;
  return `${field} ${hex(value)} has more than ${bits} bits`;
}

/** The first StreamID; CMD_CFGI_STE_RANGE does not look at the bits that the range spans (4.3.2). */
function rangeStart({ StreamID, Range }: Written['fields']): number | undefined {
  if (StreamID === undefined || Range === undefined) return StreamID;
  return Range >= 31 ? 0 : StreamID - (StreamID % 2 ** (Range + 1));
}

/** Fields that are RES0 for want of a feature or of another field (4.4.1.1). */
// biome-ignore format: a table
const res0: readonly (readonly [field: string, set: (fields: Written['fields'], features: Features) => boolean])[] = [
  ['TG',     ({ TG = 'NONE' }, { ril }) => !ril && TG !== 'NONE'],
  ['NUM',    ({ NUM = 0, ...of }, { ril }) => NUM !== 0 && !ranges(of, ril)],
  ['SCALE',  ({ SCALE = 0, ...of }, { ril, ds }) => SCALE !== 0 && (!ranges(of, ril) || (SCALE > 31 && !ds))],
  ['TTL',    ({ TTL = 0, ...of }, { ril }) => TTL !== 0 && !ranges(of, ril)],
  ['TTL128', ({ TTL128 = false, TTL = 0, ...of }, { ril, d128 }) => TTL128 && !(d128 && TTL !== 0 && ranges(of, ril))],
];

function ranges({ TG }: { readonly TG?: string }, ril: boolean): boolean {
  return ril && TG !== 'NONE';
}

function reservedUse({ words, mask: used, fields }: Written, features: Features): string | undefined {
  for (const [at, bits] of used.entries()) {
    const stray = ((words[at] ?? 0) & ~bits) >>> 0;
    if (stray !== 0) return `bits ${hex(stray)} of word ${at}`;
  }
  const field = res0.find(([, set]) => set(fields, features));
  return field === undefined ? undefined : `${field[0]} is RES0 here`;
}

/** VA[63:48], or [63:52], is a copy of the bit below in no address of the two halves (3.4.1). */
function notCanonical(address: number, vax: number): string | undefined {
  const top = BigInt.asUintN(64, BigInt(address)) >> (vax === 0 ? 48n : 52n);
  const ones = vax === 0 ? 0xffffn : 0xfffn;
  return top === 0n || top === ones ? undefined : `Address ${hex(address)} is in neither half`;
}

function misaligned({ fields }: Written, features: Features): string | undefined {
  const { TG = 'NONE', TTL = 0, Address = 0 } = fields;
  const granule = features.ril && TG !== 'NONE' ? granuleByName[TG] : undefined;
  if (granule === undefined) return undefined;
  const ttl = TG === '16KB' && TTL === 1 && !features.ds ? 0 : TTL;
  const align = rangeAlignBytes(granule, ttl);
  return Address % align === 0 ? undefined : `Address ${hex(Address)} is not a multiple of ${hex(align)}`;
}
