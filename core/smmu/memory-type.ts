/**
 * Memory type and shareability: what stage 1 gives (CD.MAIR, 5.4), what stage 2 adds with and without
 * S2FWB, and how they combine. IHI 0070 13.1.3 to 13.1.7, 3.23.1; Arm ARM D8.6. A type is a byte in MAIR format
 * without reserved values: 0b0000dd00 for Device, else an outer and an inner half.
 */

export type Shareability = 'NSH' | 'OSH' | 'ISH';

export interface MemoryType {
  readonly attr: number;
  readonly sh: Shareability;
}

/** What is taken where nothing says otherwise: Normal Write-Back, allocating, Non-shareable (13.1.3). */
export const DEFAULT_TYPE: MemoryType = { attr: 0xff, sh: 'NSH' };

type Policy = 'NC' | 'WT' | 'WB';

/** One half of a Normal type. `allocate`: bit 1 on reads, bit 0 on writes. */
interface Half {
  readonly policy: Policy;
  readonly allocate: number;
  readonly transient: boolean;
}

/** By how much one is stronger than another: the stronger is what two combine to (13.1.5). */
const STRENGTH: Readonly<Record<Policy | Shareability, number>> = {
  WB: 0,
  WT: 1,
  NC: 2,
  NSH: 0,
  ISH: 1,
  OSH: 2,
};

function stronger<T extends Policy | Shareability>(a: T, b: T): T {
  return STRENGTH[a] >= STRENGTH[b] ? a : b;
}

const ALLOCATE = 0b11;

/** The half that four bits mean; 0b0000 is reserved and is Write-Through, transient, RW=0b11 (5.4 MAIR0). */
function half(bits: number): Half {
  const allocate = bits === 0 ? ALLOCATE : bits & ALLOCATE;
  if (bits === 0b0100) return { policy: 'NC', allocate: 0, transient: false };
  return { policy: bits & 0b0100 ? 'WB' : 'WT', allocate, transient: bits < 0b1000 };
}

/** The four bits of a half: NC has no hints, and what allocates nothing is not transient (13.1.7). */
function bitsOf({ policy, allocate, transient }: Half): number {
  if (policy === 'NC') return 0b0100;
  return (transient && allocate !== 0 ? 0 : 0b1000) | (policy === 'WB' ? 0b0100 : 0) | allocate;
}

const outerOf = (attr: number): Half => half(attr >> 4);
const innerOf = (attr: number): Half => half(attr & 15);
const normal = (outer: Half, inner: Half): number => (bitsOf(outer) << 4) | bitsOf(inner);
const device = (kind: number): number => kind << 2;
const isDevice = (attr: number): boolean => attr >> 4 === 0;
/** 0 nGnRnE, 1 nGnRE, 2 nGRE, 3 GRE; the lower is the stronger. */
const kindOf = (attr: number): number => (attr >> 2) & 3;

/** Device memory and what no cache holds is Outer Shareable (13.1.7). */
function consistent(attr: number, sh: Shareability): MemoryType {
  return { attr, sh: isDevice(attr) || attr === 0x44 ? 'OSH' : sh };
}

/** SH[1:0] of a descriptor, a CD or an STE; 1 is reserved and is Non-shareable. */
export function shareability(code: number): Shareability {
  return code === 2 ? 'OSH' : code === 3 ? 'ISH' : 'NSH';
}

/** What stage 1 gives. @param mair the byte of CD.MAIR that AttrIndx selects. */
export function stage1Type(mair: number, sh: Shareability): MemoryType {
  const attr = isDevice(mair) ? device(kindOf(mair)) : normal(outerOf(mair), innerOf(mair));
  return consistent(attr, sh);
}

/** Policy of MemAttr[3:2] and [1:0]; 0 is reserved beside a Normal half, and is Non-cacheable. */
const POLICIES: readonly Policy[] = ['NC', 'NC', 'WT', 'WB'];

/** What a stage 2 MemAttr[3:0] means without FWB. */
function stage2Attr(memAttr: number, mtePerm: boolean): number {
  if (memAttr < 4) return device(memAttr);
  // 0b0100 is Write-Back, without access to tags (3.23.1).
  const code = memAttr === 0b0100 && mtePerm ? 0b1111 : memAttr;
  const of = (bits: number): Half => ({
    policy: POLICIES[bits] ?? 'NC',
    allocate: ALLOCATE,
    transient: false,
  });
  return normal(of(code >> 2), of(code & 3));
}

/** The stronger of two types; the hints are those of stage 1, which stage 2 has none to set against (13.1.5). */
function combined(first: number, second: number): number {
  if (isDevice(first) && isDevice(second)) return device(Math.min(kindOf(first), kindOf(second)));
  if (isDevice(first)) return first;
  if (isDevice(second)) return second;
  const both = (a: Half, b: Half): Half => ({ ...a, policy: stronger(a.policy, b.policy) });
  return normal(both(outerOf(first), outerOf(second)), both(innerOf(first), innerOf(second)));
}

/** Write-Back with the hints of stage 1, where it has some. */
function forced(first: number): number {
  const writeBack = (of: Half): Half =>
    isDevice(first) || of.policy === 'NC'
      ? { policy: 'WB', allocate: ALLOCATE, transient: false }
      : { ...of, policy: 'WB' };
  return normal(writeBack(outerOf(first)), writeBack(innerOf(first)));
}

/** What MemAttr[2:0] makes of a stage 1 type with S2FWB=1 (13.1.6); 0b100 is reserved and acts as 0b101. */
function withFwb(first: number, memAttr: number): number {
  if ((memAttr & 0b100) === 0) return combined(first, device(memAttr & 3));
  if ((memAttr & 3) === 0b11) return first;
  if ((memAttr & 3) === 0b10) return forced(first);
  return isDevice(first) ? first : 0x44;
}

export interface Stage2Type {
  readonly memAttr: number;
  readonly sh: Shareability;
  /** STE.S2FWB. */
  readonly fwb: boolean;
  /** IDR3.MTEPERM. */
  readonly mtePerm: boolean;
}

/** What comes out of stage 2 for a type that goes in. */
export function throughStage2(first: MemoryType, { memAttr, sh, fwb, mtePerm }: Stage2Type): MemoryType {
  const attr = fwb ? withFwb(first.attr, memAttr) : combined(first.attr, stage2Attr(memAttr, mtePerm));
  return consistent(attr, stronger(first.sh, sh));
}
