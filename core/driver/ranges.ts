/**
 * Ranges as commands (linux: arm_smmu_cmdq_batch_add_range, arm_smmu_atc_inv_to_cmd): with range
 * invalidation few commands with SCALE and NUM, lowest pages first; without, one for each leaf, up to a
 * size from which all of the ASID or VMID is invalidated.
 */
import { pow2 } from '../pow2.ts';
import type { CommandName } from '../smmu/command-layout.ts';
import { type Cmd, cmdOf } from './commands.ts';

export type RangedName = Extract<
  CommandName,
  'CMD_TLBI_NH_VA' | 'CMD_TLBI_EL2_VA' | 'CMD_TLBI_S2_IPA' | 'CMD_TLBI_NH_VAA' | 'CMD_TLBI_EL2_VAA'
>;

/** A range of a domain to be invalidated. */
export interface Range {
  readonly iova: number;
  /** Bytes; 0 for everything. */
  readonly size: number;
  /** Bytes of a leaf, as far as known. */
  readonly granule: number;
  readonly leaf: boolean;
}

const GRANULE_NAMES = { 12: '4KB', 14: '16KB', 16: '64KB' } as const;
/** NUM and its bound. */
const NUM_MAX = 31;

/** One command for all of the ASID or VMID is better: Linux's bound without range invalidation. */
export function isTooBig(
  { size, granule }: Range,
  rangeInv: boolean,
  manyLeaves: 'all' | 'each' = 'all',
): boolean {
  if (size === 0) return true;
  if (rangeInv || manyLeaves === 'each') return false;
  const commandsMax = granule / 8;
  return size >= commandsMax * granule;
}

/** The commands of a range, ascending. @param granuleLog2 log2 of the smallest page of the tables */
export function rangeCommands(
  name: RangedName,
  tag: Readonly<Partial<Record<'ASID' | 'VMID', number>>>,
  { iova, size, granule, leaf }: Range,
  { rangeInv, granuleLog2 }: { readonly rangeInv: boolean; readonly granuleLog2: number },
): readonly Cmd[] {
  const command = (address: number, hint: object): Cmd =>
    cmdOf(name, { Leaf: leaf, Address: address, ...tag, ...hint } as never);
  const commands: Cmd[] = [];
  if (!rangeInv) {
    for (let at = iova; at < iova + size; at += granule) commands.push(command(at, {}));
    return commands;
  }
  const TG = GRANULE_NAMES[granuleLog2 as keyof typeof GRANULE_NAMES];
  let pages = size / pow2(granuleLog2);
  const TTL = leaf ? 4 - Math.floor((Math.log2(granule) - 3) / (granuleLog2 - 3)) : 0;
  // NUM, SCALE and TTL of 0 together are not allowed.
  if (!leaf && pages % (NUM_MAX + 1) === 1) pages += 1;
  let at = iova;
  while (pages > 0) {
    const SCALE = lowestBit(pages);
    const count = Math.floor(pages / pow2(SCALE)) % (NUM_MAX + 1);
    commands.push(command(at, { TG, TTL, SCALE, NUM: count - 1 }));
    const covered = count * pow2(SCALE);
    at += covered * pow2(granuleLog2);
    pages -= covered;
  }
  return commands;
}

function lowestBit(value: number): number {
  let bit = 0;
  while (Math.floor(value / pow2(bit)) % 2 === 0) bit += 1;
  return bit;
}

const ATC_ALL = 52;
const PAGE_LOG2 = 12;

/**
 * The CMD_ATC_INV for a range: the smallest naturally aligned power of two around it; size 0 for everything.
 * @param ssid 0 for requests without a PASID, which means those with one too
 */
export function atcCommand(
  streamId: number,
  ssid: number,
  { iova, size }: Pick<Range, 'iova' | 'size'>,
): Cmd {
  const pasid = ssid === 0 ? {} : { SSV: true, SubstreamID: ssid };
  if (size === 0) return cmdOf('CMD_ATC_INV', { StreamID: streamId, ...pasid, Size: ATC_ALL });
  const first = Math.floor(iova / pow2(PAGE_LOG2));
  const last = Math.floor((iova + size - 1) / pow2(PAGE_LOG2));
  let span = 0;
  while (Math.floor(first / pow2(span)) !== Math.floor(last / pow2(span))) span += 1;
  const start = Math.floor(first / pow2(span)) * pow2(span + PAGE_LOG2);
  return cmdOf('CMD_ATC_INV', { StreamID: streamId, ...pasid, Size: span, Address: start });
}
