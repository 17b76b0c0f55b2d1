/** Descriptors as the driver writes them, VMSAv8-64 (linux: io-pgtable-arm.c, arm_lpae_prot_to_pte). */
import type { TableShape, UnplacedShape } from './table-shape.ts';

export interface Protection {
  readonly read: boolean;
  readonly write: boolean;
  /** Device memory. */
  readonly device?: boolean;
  /** Not to be executed. */
  readonly noExecute?: boolean;
}

export const LAST_LEVEL = 3;

const TYPE_BLOCK = 1n;
const TYPE_TABLE = 3n;
const TYPE_MASK = 3n;
const AP_UNPRIV = 1n << 6n;
const AP_RDONLY = 1n << 7n;
const HAP_READ = 1n << 6n;
const HAP_WRITE = 1n << 7n;
const SH_IS = 3n << 8n;
const SH_OS = 2n << 8n;
const AF = 1n << 10n;
const NG = 1n << 11n;
const DBM = 1n << 51n;
const XN = 3n << 53n;
/** AttrIndx of the MAIR that the CD has: 1 write-back, 2 device. */
const ATTR_CACHE = 1n << 2n;
const ATTR_DEVICE = 2n << 2n;
/** MemAttr of stage 2: write-back inside and out, device; with S2FWB the code for write-back is another. */
const MEM_WB = 0xfn << 2n;
const MEM_FWB_WB = 6n << 2n;
const MEM_DEVICE = 1n << 2n;

/** The bits of a leaf besides its address and type. */
export function leafBits({ stage, fwb, dirty }: TableShape, prot: Protection): bigint {
  const execute = prot.noExecute === true ? XN : 0n;
  const shared = prot.device === true ? SH_OS : SH_IS;
  if (stage === 1) {
    const readOnly = prot.write ? (dirty ? DBM : 0n) : AP_RDONLY;
    const attributes = prot.device === true ? ATTR_DEVICE : ATTR_CACHE;
    return NG | AP_UNPRIV | readOnly | attributes | shared | AF | execute;
  }
  const rights = (prot.read ? HAP_READ : 0n) | (prot.write ? HAP_WRITE : 0n);
  const cached = fwb ? MEM_FWB_WB : MEM_WB;
  return rights | (prot.device === true ? MEM_DEVICE : cached) | shared | AF | execute;
}

/** A leaf of a level. @param bits of `leafBits` */
export function leafOf(pa: number, bits: bigint, level: number): bigint {
  return addressBits(pa) | bits | (level === LAST_LEVEL ? TYPE_TABLE : TYPE_BLOCK);
}

/** A descriptor that leads to the next table. */
export function tableOf(pa: number): bigint {
  return addressBits(pa) | TYPE_TABLE;
}

/** Whether the descriptor is a leaf of its level. */
export function isLeaf(descriptor: bigint, level: number): boolean {
  return (descriptor & TYPE_MASK) === (level === LAST_LEVEL ? TYPE_TABLE : TYPE_BLOCK);
}

/** Where a descriptor leads. */
export function addressOf(descriptor: bigint, { granuleLog2 }: UnplacedShape): number {
  const low = (descriptor & 0xffff_ffff_ffffn) >> BigInt(granuleLog2);
  const high = granuleLog2 === 16 ? (descriptor >> 12n) & 0xfn : 0n;
  return Number(low) * 2 ** granuleLog2 + Number(high) * 2 ** 48;
}

/** A leaf that hardware has written through since it was made clean. */
export function isDirty(descriptor: bigint): boolean {
  return (descriptor & (DBM | AP_RDONLY)) === DBM;
}

/** The leaf, writable and clean. */
export function cleaned(descriptor: bigint): bigint {
  return descriptor | AP_RDONLY;
}

/** With 64 KiB pages, bits 51 to 48 stand in 15 to 12. */
function addressBits(pa: number): bigint {
  const high = Math.floor(pa / 2 ** 48);
  return high === 0 ? BigInt(pa) : BigInt(pa - high * 2 ** 48) | (BigInt(high) << 12n);
}
