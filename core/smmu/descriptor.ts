/**
 * VMSAv8-64 translation table descriptors as bits: Arm ARM D8.3. The output address of a leaf is not a
 * field: where it starts depends on the granule and the level, and its high bits on the address size,
 * so the walker takes it. Table NLTA is bits [47:12]; its extension above bit 47 is the walker's too.
 */
import { addr, flag, uint } from '../layout/field.ts';
import { type Decoded, layout } from '../layout/layout.ts';

// biome-ignore format: a table
export const S1_TABLE = layout('S1_TABLE', { bytes: 8, spec: 'ARM D8.3' }, {
  Valid:      flag(0),
  Type:       flag(1),
  AF:         flag(10),  // only with HAFT
  NLTA:       addr(47, 12),
  PXNTable:   flag(59),
  UXNTable:   flag(60),
  APTable:    uint(62, 61),
  NSTable:    flag(63),
});
export type S1Table = Decoded<typeof S1_TABLE>;

// biome-ignore format: a table
export const S1_LEAF = layout('S1_LEAF', { bytes: 8, spec: 'ARM D8.3' }, {
  Valid:      flag(0),
  Type:       flag(1),
  AttrIndx:   uint(4, 2),
  NS:         flag(5),
  AP1:        flag(6),   // unprivileged access
  AP2:        flag(7),   // read-only
  SH:         uint(9, 8),  // bits [51:50] of the output address with DS
  AF:         flag(10),
  nG:         flag(11),
  nT:         flag(16),  // blocks only
  GP:         flag(50),
  DBM:        flag(51),
  Contiguous: flag(52),
  PXN:        flag(53),
  UXN:        flag(54),
  SW:         uint(58, 55),
  PBHA:       uint(62, 59),
});
export type S1Leaf = Decoded<typeof S1_LEAF>;

// biome-ignore format: a table
export const S2_TABLE = layout('S2_TABLE', { bytes: 8, spec: 'ARM D8.3' }, {
  Valid:      flag(0),
  Type:       flag(1),
  AF:         flag(10),  // only with HAFT
  NLTA:       addr(47, 12),
});
export type S2Table = Decoded<typeof S2_TABLE>;

// biome-ignore format: a table
export const S2_LEAF = layout('S2_LEAF', { bytes: 8, spec: 'ARM D8.3' }, {
  Valid:      flag(0),
  Type:       flag(1),
  MemAttr:    uint(5, 2),
  S2AP:       uint(7, 6),  // bit 0 read, bit 1 write
  SH:         uint(9, 8),  // bits [51:50] of the output address with DS
  AF:         flag(10),
  FnXS:       flag(11),
  nT:         flag(16),  // blocks only
  DBM:        flag(51),
  Contiguous: flag(52),
  XN:         uint(54, 53),
  SW:         uint(58, 55),
  PBHA:       uint(62, 59),
});
export type S2Leaf = Decoded<typeof S2_LEAF>;
