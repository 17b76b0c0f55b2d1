/**
 * Commands of a guest on their way to the real Command queue (linux: arm-smmu-v3-iommufd.c,
 * arm_vsmmu_convert_user_cmd): which are let through, what is put in place of the guest's VMID and
 * StreamIDs, and which fields may be set.
 */
import { decode, mask } from '../layout/layout.ts';
import { type CommandName, commandByOpcode, commandLayouts } from '../smmu/command-layout.ts';
import { type Cmd, cmdOf, wordsOfCmd } from './commands.ts';
import type { DriverFeatures } from './features.ts';

/** The slice of the SMMU that a VM has. */
export interface GuestView {
  readonly vmid: number;
  /** Physical StreamIDs by virtual ones, in decimal. */
  readonly streams: Readonly<Record<string, number>>;
}

type Conversion = 'as NH_ALL' | 'VMID' | 'StreamID';

interface Row {
  readonly convert: Conversion;
  /** Fields that may be set besides the opcode, in strict kernels. */
  fields(features: DriverFeatures): readonly string[];
}

const range = ({ rangeInv }: DriverFeatures): readonly string[] =>
  rangeInv ? ['NUM', 'SCALE', 'TG', 'TTL'] : [];
const substream = ({ ssidBits }: DriverFeatures, ...names: string[]): readonly string[] =>
  ssidBits > 0 ? names : [];

// biome-ignore format: a table
const rows: Readonly<Partial<Record<CommandName, Row>>> = {
  CMD_TLBI_NSNH_ALL: { convert: 'as NH_ALL', fields: () => [] },
  CMD_TLBI_NH_ALL:   { convert: 'VMID',      fields: () => ['VMID'] },
  CMD_TLBI_NH_ASID:  { convert: 'VMID',      fields: () => ['VMID', 'ASID'] },
  CMD_TLBI_NH_VA:    { convert: 'VMID',      fields: (f) => ['VMID', 'ASID', 'Leaf', 'Address', ...range(f)] },
  CMD_TLBI_NH_VAA:   { convert: 'VMID',      fields: (f) => ['VMID', 'Leaf', 'Address', ...range(f)] },
  CMD_ATC_INV:       { convert: 'StreamID',  fields: (f) => ['StreamID', 'Size', 'Address', ...substream(f, 'SSV', 'SubstreamID', 'G')] },
  CMD_CFGI_CD:       { convert: 'StreamID',  fields: (f) => ['StreamID', 'Leaf', ...substream(f, 'SubstreamID')] },
  CMD_CFGI_CD_ALL:   { convert: 'StreamID',  fields: () => ['StreamID'] },
};

const VMID_BITS = 0xffff_0000_0000n;
const SID_BITS = 0xffff_ffff_0000_0000n;

/** The command for the real queue; undefined where it is refused (EIO). @param strict fields are checked */
export function convertCommand(
  command: Cmd,
  view: GuestView,
  features: DriverFeatures,
  strict: boolean,
): Cmd | undefined {
  const name = commandByOpcode(Number(command[0] & 0xffn))?.name;
  const row = name === undefined ? undefined : rows[name];
  if (name === undefined || row === undefined) return undefined;
  return strict && !isWellFormed(command, name, row, features) ? undefined : inView(command, view);
}

/** The same with no look at what its fields hold: the tags of the host in place of the guest's. */
export function inView(command: Cmd, view: GuestView): Cmd | undefined {
  const name = commandByOpcode(Number(command[0] & 0xffn))?.name;
  const row = name === undefined ? undefined : rows[name];
  if (row === undefined) return undefined;
  const [lo, hi] = command;
  if (row.convert === 'as NH_ALL') return cmdOf('CMD_TLBI_NH_ALL', { VMID: view.vmid });
  if (row.convert === 'VMID') return [(lo & ~VMID_BITS) | (BigInt(view.vmid) << 32n), hi];
  const sid = view.streams[String(lo >> 32n)];
  return sid === undefined ? undefined : [(lo & ~SID_BITS) | (BigInt(sid) << 32n), hi];
}

const ATC_SIZE_MAX = 52;

function isWellFormed(command: Cmd, name: CommandName, row: Row, features: DriverFeatures): boolean {
  const words = wordsOfCmd(command);
  const allowed = mask(commandLayouts[name].layout, ['Opcode', ...row.fields(features)]);
  for (let at = 0; at < words.length; at += 1)
    if (((words[at] ?? 0) & ~(allowed[at] ?? 0)) !== 0) return false;
  const fields = decode(commandLayouts[name].layout, words) as Readonly<Record<string, unknown>>;
  if (name === 'CMD_TLBI_NH_ASID' && features.asidBits === 8 && (fields['ASID'] as number) > 0xff)
    return false;
  if (name === 'CMD_ATC_INV') return features.ats && (fields['Size'] as number) <= ATC_SIZE_MAX;
  return !('TG' in fields) || isRange(fields as unknown as RangeFields, features.ds);
}

interface RangeFields {
  readonly TG: string;
  readonly NUM: number;
  readonly SCALE: number;
  readonly TTL: number;
}

function isRange({ TG, NUM, SCALE, TTL }: RangeFields, ds: boolean): boolean {
  const plain = NUM === 0 && SCALE === 0 && TTL === 0;
  if (TG === 'NONE') return plain;
  if (plain) return false;
  return ds || (!(TG === '16KB' && TTL === 1) && SCALE <= 31);
}
