/**
 * What an entry remembers of a stage 2 leaf, as bits, and the permission test on them: Arm ARM D8.4,
 * IHI 0070 5.2 and 13.4. Stage 2 has no hierarchical attributes.
 */

// biome-ignore format: a table
export const attribute2Bits = {
  READ:  1 << 0,  // S2AP[0]
  WRITE: 1 << 1,  // S2AP[1]
  DBM:   1 << 4,
  // What the STE said at the fill (5.2.1): an entry goes on with it until it is invalidated.
  CLEAN: 1 << 18,  // a writable-clean leaf, and dirty state was not managed: read-only
  NOPTW: 1 << 19,  // Device memory, and S2PTW=0
} as const;
const { READ, WRITE, DBM, CLEAN, NOPTW } = attribute2Bits;
const XN_SHIFT = 2;
const MEM_ATTR_SHIFT = 12;
const SH_SHIFT = 16;

/** Attributes of a stage 2 leaf: bits [7:6] S2AP, [5:2] MemAttr, [9:8] SH; above 32, [54:53] XN, [51] DBM. */
export function leafAttributes2(hi: number, lo: number): number {
  const ap = (lo >>> 6) & 3;
  const xn = (hi >>> 21) & 3;
  const dbm = hi & (1 << 19) ? DBM : 0;
  return ap | (xn << XN_SHIFT) | dbm | (((lo >>> 2) & 15) << MEM_ATTR_SHIFT) | (((lo >>> 8) & 3) << SH_SHIFT);
}

/** The attributes of a leaf together with what the STE it was reached by says of it. */
export function controlled2(
  attributes: number,
  { ptw, fwb, hd }: { readonly ptw: boolean; readonly fwb: boolean; readonly hd: boolean },
): number {
  const clean = !hd && isClean2(attributes) ? CLEAN : 0;
  return attributes | clean | (!ptw && isDevice2(attributes, fwb) ? NOPTW : 0);
}

/** Whether the entry refuses CDs and stage 1 tables, where the stream has them (S2PTW). */
export function refusesTables(attributes: number, fwb: boolean): boolean {
  return (attributes & NOPTW) === 0 && isDevice2(attributes, fwb);
}

export interface Access2 {
  readonly write: boolean;
  readonly exec: boolean;
  readonly privileged: boolean;
}

/** Whether stage 2 allows the access. @param hd writable-clean leaves count as writable. */
export function permits2(attributes: number, access: Access2, hd: boolean, xnx: boolean): boolean {
  if (access.write) return (attributes & WRITE) !== 0 || (hd && (attributes & (DBM | CLEAN)) === DBM);
  if (!access.exec) return (attributes & READ) !== 0;
  const xn = (attributes >>> XN_SHIFT) & 3;
  // Without XNX, bit 54 alone decides.
  if (!xnx) return (xn & 2) === 0;
  // 0 all, 1 unprivileged only, 2 none, 3 privileged only.
  return xn === 0 || xn === (access.privileged ? 3 : 1);
}

/** Whether a write finds the leaf writable-clean: it has to be marked dirty in memory first. */
export function isClean2(attributes: number): boolean {
  return (attributes & (WRITE | DBM)) === DBM;
}

/** MemAttr[3:0] of a leaf. */
export function memAttrOf(attributes2: number): number {
  return (attributes2 >>> MEM_ATTR_SHIFT) & 15;
}

/** SH[1:0] of a leaf. */
export function shareability2Of(attributes2: number): number {
  return (attributes2 >>> SH_SHIFT) & 3;
}

/** Whether the leaf maps Device memory: MemAttr[3:2] without FWB; with it, MemAttr[2] (13.1, Arm ARM D8.6). */
export function isDevice2(attributes2: number, fwb: boolean): boolean {
  const attr = memAttrOf(attributes2);
  return fwb ? (attr & 4) === 0 : (attr & 12) === 0;
}

/** `RW`, `R`, `W` or `none`, with the execute-never code where it is not 0. */
export function showAttributes2(attributes2: number): string {
  const ap = `${attributes2 & READ ? 'R' : ''}${attributes2 & WRITE ? 'W' : ''}` || 'none';
  const xn = (attributes2 >>> XN_SHIFT) & 3;
  return `${ap}${xn === 0 ? '' : ` XN=${xn}`}${attributes2 & DBM ? ' DBM' : ''}`;
}
