/**
 * The commands as bits: opcode, section and layout of each, in opcode order. IHI 0070 chapter 4. Which
 * of them are CERROR_ILL where, and what they do, stands elsewhere.
 */
import { addr, type Field, flag, oneOf, u64, uint } from '../layout/field.ts';
import { type AnyField, type Decoded, encode, type Layout, layout } from '../layout/layout.ts';
import { GRANULE_TLBI, SHAREABILITY } from './codes.ts';

type Row = readonly [opcode: number, spec: string, fields: Record<string, AnyField>];

export interface CommandLayout<N extends string = string, F = Record<string, AnyField>> {
  readonly name: N;
  readonly opcode: number;
  readonly spec: string;
  readonly layout: Layout<F>;
}

type CommandTable<T extends Record<string, Row>> = {
  readonly [N in keyof T & string]: CommandLayout<N, { readonly Opcode: Field<number> } & T[N][2]>;
};

// Fields that commands share. Positions are in the 128-bit entry.
const SSEC = { SSec: flag(10) };
const SSV = { SSV: flag(11) };
const SSID = { SubstreamID: uint(31, 12) };
const SID = { StreamID: uint(63, 32) };
const VMID = { VMID: uint(47, 32) };
const ASID = { ASID: uint(63, 48) };
const LEAF = { Leaf: flag(64) };
/** A range has (NUM + 1) * 2^SCALE granules; bit 25 is part of SCALE only with IDR5.DS. 4.4.1.1. */
const RANGE = { NUM: uint(16, 12), SCALE: uint(25, 20) };
const HINT = { ...LEAF, TTL128: flag(71), TTL: uint(73, 72), TG: oneOf(75, 74, GRANULE_TLBI) };
const VA = { ...HINT, Address: addr(127, 76) };
const IPA = { ...HINT, Address: addr(119, 76) };

// biome-ignore format: a table
export const commandLayouts = commands({
  CMD_PREFETCH_CONFIG:  [0x01, '4.2.1',    { ...SSEC, ...SSV, ...SSID, ...SID }],
  // Stride and NS are not confirmed by a second source.
  CMD_PREFETCH_ADDR:    [0x02, '4.2.2',    { ...SSEC, ...SSV, ...SSID, ...SID, Size: uint(68, 64), Stride: uint(73, 69), NS: flag(74), Address: addr(127, 76) }],
  CMD_CFGI_STE:         [0x03, '4.3.1',    { ...SSEC, ...SID, ...LEAF }],
  CMD_CFGI_STE_RANGE:   [0x04, '4.3.2',    { ...SSEC, ...SID, Range: uint(68, 64) }],
  CMD_CFGI_CD:          [0x05, '4.3.3',    { ...SSEC, ...SSID, ...SID, ...LEAF }],
  CMD_CFGI_CD_ALL:      [0x06, '4.3.4',    { ...SSEC, ...SID }],
  CMD_CFGI_VMS_PIDM:    [0x07, '4.3.5',    { ...SSEC, ...VMID }],
  CMD_TLBI_NH_ALL:      [0x10, '4.4.2.1',  { ...VMID }],
  CMD_TLBI_NH_ASID:     [0x11, '4.4.2.2',  { ...VMID, ...ASID }],
  CMD_TLBI_NH_VA:       [0x12, '4.4.2.4',  { ...RANGE, ...VMID, ...ASID, ...VA }],
  CMD_TLBI_NH_VAA:      [0x13, '4.4.2.3',  { ...RANGE, ...VMID, ...VA }],
  CMD_TLBI_EL3_ALL:     [0x18, '4.4.2.5',  {}],
  CMD_TLBI_EL3_VA:      [0x1a, '4.4.2.6',  { ...RANGE, ...VA }],
  CMD_TLBI_EL2_ALL:     [0x20, '4.4.2.7',  {}],
  CMD_TLBI_EL2_ASID:    [0x21, '4.4.2.10', { ...ASID }],
  CMD_TLBI_EL2_VA:      [0x22, '4.4.2.8',  { ...RANGE, ...ASID, ...VA }],
  CMD_TLBI_EL2_VAA:     [0x23, '4.4.2.9',  { ...RANGE, ...VA }],
  CMD_TLBI_S12_VMALL:   [0x28, '4.4.3.2',  { ...VMID }],
  CMD_TLBI_S2_IPA:      [0x2a, '4.4.3.1',  { ...RANGE, ...VMID, ...IPA }],
  CMD_TLBI_NSNH_ALL:    [0x30, '4.4.4.1',  {}],
  CMD_ATC_INV:          [0x40, '4.5.1',    { G: flag(9), ...SSV, ...SSID, ...SID, Size: uint(69, 64), Address: addr(127, 76) }],
  CMD_PRI_RESP:         [0x41, '4.5.2',    { ...SSV, ...SSID, ...SID, PRGIndex: uint(72, 64), Resp: oneOf(77, 76, { RESPONSE_FAILURE: 0, INVALID_REQUEST: 1, SUCCESS: 2 }) }],
  CMD_RESUME:           [0x44, '4.7.1',    { ...SSEC, Ac: flag(12), Ab: flag(13), ...SID, STAG: uint(79, 64) }],
  CMD_STALL_TERM:       [0x45, '4.7.2',    { ...SSEC, ...SID }],
  // Position of MSI_NS not known.
  CMD_SYNC:             [0x46, '4.7.3',    { CS: oneOf(13, 12, { SIG_NONE: 0, SIG_IRQ: 1, SIG_SEV: 2 }), MSH: oneOf(23, 22, SHAREABILITY), MSIAttr: uint(27, 24), MSIData: uint(63, 32), MSIAddress: u64(119, 66) }],
  CMD_TLBI_S_EL2_ALL:   [0x50, '4.4.2.11', {}],
  CMD_TLBI_S_EL2_ASID:  [0x51, '4.4.2.14', { ...ASID }],
  CMD_TLBI_S_EL2_VA:    [0x52, '4.4.2.12', { ...RANGE, ...ASID, ...VA }],
  CMD_TLBI_S_EL2_VAA:   [0x53, '4.4.2.13', { ...RANGE, ...VA }],
  CMD_TLBI_S_S12_VMALL: [0x58, '4.4.3.4',  { ...VMID }],
  CMD_TLBI_S_S2_IPA:    [0x5a, '4.4.3.3',  { ...RANGE, ...VMID, ...IPA }],
  CMD_TLBI_SNH_ALL:     [0x60, '4.4.4.2',  {}],
  CMD_DPTI_ALL:         [0x70, '4.6.1',    {}],
  CMD_DPTI_PA:          [0x73, '4.6.2',    { ...LEAF, SIZE: uint(75, 72), Address: addr(119, 76) }],
});

export type CommandName = keyof typeof commandLayouts;
/** The fields of a command, decoded; of all commands, a union, when no name is given. */
export type CommandFields<N extends CommandName = CommandName> = {
  [K in N]: (typeof commandLayouts)[K] extends CommandLayout<K, infer F extends Record<string, AnyField>>
    ? Decoded<Layout<F>>
    : never;
}[N];

/** Names for a command with some fixed fields. */
// biome-ignore format: a table
export const commandAliases = {
  CMD_CFGI_ALL: { of: 'CMD_CFGI_STE_RANGE', when: { Range: 31 }, spec: '4.3.6' },
} as const satisfies Record<string, { of: CommandName; when: Record<string, number>; spec: string }>;

const byOpcode = new Map<number, CommandLayout<CommandName>>(
  Object.values(commandLayouts).map((command) => [command.opcode, command]),
);

/** The command of an opcode, or undefined when it is reserved or IMPLEMENTATION DEFINED. */
export function commandByOpcode(opcode: number): CommandLayout<CommandName> | undefined {
  return byOpcode.get(opcode);
}

/** The four words of a command, opcode included. */
export function encodeCommand<N extends CommandName>(
  name: N,
  fields: Partial<Omit<CommandFields<N>, 'Opcode'>>,
): Uint32Array {
  const { layout: of, opcode }: CommandLayout = commandLayouts[name];
  return encode(of, { Opcode: opcode, ...fields });
}

function commands<const T extends Record<string, Row>>(rows: T): CommandTable<T> {
  const table: Record<string, CommandLayout> = {};
  for (const [name, [opcode, spec, fields]] of Object.entries(rows)) {
    table[name] = {
      name,
      opcode,
      spec,
      layout: layout(name, { bytes: 16, spec }, { Opcode: uint(7, 0), ...fields }),
    };
  }
  return table as CommandTable<T>;
}
