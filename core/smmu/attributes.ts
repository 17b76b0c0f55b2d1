/**
 * What a TLB entry remembers of the descriptors it came from, as bits of its `attributes`, and the
 * permission test on them: Arm ARM D8.4, IHI 0070 13.4. Hierarchical attributes are applied at the
 * fill, so an entry needs no look at the tables above.
 */

// biome-ignore format: a table
export const attributeBits = {
  AP1:      1 << 0,  // unprivileged access
  AP2:      1 << 1,  // read-only
  PXN:      1 << 2,
  UXN:      1 << 3,
  DBM:      1 << 4,
  APTable0: 1 << 5,  // of a table: no unprivileged access below
  APTable1: 1 << 6,  // of a table: no writes below
  PXNTable: 1 << 7,
  UXNTable: 1 << 8,
  // What the CD said at the fill (5.4.1): an entry goes on with it until it is invalidated.
  WXN:      1 << 17,
  PAN:      1 << 18,
  EPAN:     1 << 19,
  CLEAN:    1 << 20,  // a writable-clean leaf, and dirty state was not managed: read-only
} as const;
const { AP1, AP2, PXN, UXN, DBM, APTable0, APTable1, PXNTable, UXNTable, WXN, PAN, EPAN, CLEAN } =
  attributeBits;
/** MAIR index and shareability of a leaf, above the permission bits. */
const ATTR_INDEX_SHIFT = 12;
const SH_SHIFT = 15;

/** Hierarchical attributes of a table descriptor, added to those of the tables above it. */
export function tableAttributes(above: number, hi: number): number {
  let out = above;
  if (hi & (1 << 29)) out |= APTable0;
  if (hi & (1 << 30)) out |= APTable1;
  if (hi & (1 << 27)) out |= PXNTable;
  if (hi & (1 << 28)) out |= UXNTable;
  return out;
}

/** Attributes of a leaf below tables with `above` (0 when hierarchical attributes are off). */
export function leafAttributes(above: number, hi: number, lo: number): number {
  let out = (((lo >>> 2) & 7) << ATTR_INDEX_SHIFT) | (((lo >>> 8) & 3) << SH_SHIFT);
  if (lo & (1 << 6) && !(above & APTable0)) out |= AP1;
  if (lo & (1 << 7) || above & APTable1) out |= AP2;
  if (hi & (1 << 21) || above & PXNTable) out |= PXN;
  if (hi & (1 << 22) || above & UXNTable) out |= UXN;
  // Writes that a table takes away no dirty state gives back (Arm ARM D8.5).
  if (hi & (1 << 19) && !(above & APTable1)) out |= DBM;
  return out;
}

/** What a CD says of permissions, as an entry keeps it. */
export interface PermissionControls {
  readonly wxn: boolean;
  readonly pan: boolean;
  readonly epan: boolean;
  readonly hd: boolean;
}

/** The attributes of a leaf together with what the CD it was reached by says of permissions. */
export function controlled(attributes: number, { wxn, pan, epan, hd }: PermissionControls): number {
  let out = attributes;
  if (wxn) out |= WXN;
  if (pan) out |= PAN;
  if (pan && epan) out |= EPAN;
  if (!hd && isClean(attributes)) out |= CLEAN;
  return out;
}

/** The attributes of the leaf alone. */
export function uncontrolled(attributes: number): number {
  return attributes & ~(WXN | PAN | EPAN | CLEAN);
}

export interface PermissionContext {
  /** EL2 has no privilege levels: only the privileged column counts. */
  readonly el2: boolean;
  /** Dirty state is managed: a writable-clean leaf counts as writable (Arm ARM D8.5). */
  readonly hd: boolean;
}

export interface PermissionAccess {
  readonly write: boolean;
  readonly exec: boolean;
  readonly privileged: boolean;
}

/** Whether the access is allowed (direct permission scheme). */
export function permits(attributes: number, access: PermissionAccess, context: PermissionContext): boolean {
  const privileged = access.privileged || context.el2;
  const unprivileged = (attributes & AP1) !== 0;
  const writable = (attributes & AP2) === 0 || (context.hd && (attributes & (DBM | CLEAN)) === DBM);
  if (access.exec && !access.write)
    return mayExecute(attributes, privileged, unprivileged, writable, context);
  if (!privileged) return unprivileged && (!access.write || writable);
  if (attributes & PAN && !context.el2 && (unprivileged || (attributes & EPAN && (attributes & UXN) === 0)))
    return false;
  return !access.write || writable;
}

function mayExecute(
  attributes: number,
  privileged: boolean,
  unprivileged: boolean,
  writable: boolean,
  context: PermissionContext,
): boolean {
  const wxn = (attributes & WXN) !== 0;
  if (context.el2) return (attributes & UXN) === 0 && !(wxn && writable);
  if (!privileged) return (attributes & UXN) === 0 && !(wxn && unprivileged && writable);
  return (attributes & PXN) === 0 && !(unprivileged && writable) && !(wxn && writable);
}

/** Whether a write finds the leaf writable-clean: it has to be marked dirty in memory first. */
export function isClean(attributes: number): boolean {
  return (attributes & (AP2 | DBM)) === (AP2 | DBM);
}

/** MAIR index of a leaf. */
export function attrIndexOf(attributes: number): number {
  return (attributes >>> ATTR_INDEX_SHIFT) & 7;
}

/** SH[1:0] of a leaf. */
export function shareabilityOf(attributes: number): number {
  return (attributes >>> SH_SHIFT) & 3;
}

/** `RW`, `RO`, with `priv` where unprivileged accesses are refused. */
export function showAttributes(attributes: number): string {
  const parts = [attributes & AP2 ? 'RO' : 'RW'];
  if (!(attributes & AP1)) parts.push('priv');
  if (attributes & PXN) parts.push('PXN');
  if (attributes & UXN) parts.push('UXN');
  if (attributes & DBM) parts.push('DBM');
  if (attributes & WXN) parts.push('WXN');
  if (attributes & PAN) parts.push('PAN');
  return parts.join(' ');
}
