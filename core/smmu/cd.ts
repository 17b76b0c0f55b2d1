/**
 * The Context Descriptor and the level 1 Context Descriptor as bits: IHI 0070 5.3 and 5.4. Which
 * combinations are ILLEGAL stands elsewhere. The names that HAD and HWU bits take with VMSAv9-128
 * (DisCH, SKL) are left out.
 */
import { addr, flag, oneOf, uint } from '../layout/field.ts';
import { type Decoded, layout } from '../layout/layout.ts';
import { sixteen } from '../layout/register.ts';
import { GRANULE_TG0, GRANULE_TG1, SHAREABILITY, WALK_CACHEABILITY } from './codes.ts';

/** Level 1 Context Descriptor. */
// biome-ignore format: a table
export const L1CD = layout('L1CD', { bytes: 8, spec: '5.3' }, {
  V:     flag(0),
  L2Ptr: addr(55, 12),
});
export type L1cd = Decoded<typeof L1CD>;

/** Context Descriptor. MAIR0 and MAIR1 hold attributes 0 to 3 and 4 to 7, eight bits each. */
// biome-ignore format: a table
export const CD = layout('CD', { bytes: 64, spec: '5.4' }, {
  T0SZ:    uint(5, 0),
  TG0:     oneOf(7, 6, GRANULE_TG0),
  IR0:     oneOf(9, 8, WALK_CACHEABILITY),
  OR0:     oneOf(11, 10, WALK_CACHEABILITY),
  SH0:     oneOf(13, 12, SHAREABILITY),
  EPD0:    flag(14),
  ENDI:    flag(15),
  T1SZ:    uint(21, 16),
  TG1:     oneOf(23, 22, GRANULE_TG1),
  IR1:     oneOf(25, 24, WALK_CACHEABILITY),
  OR1:     oneOf(27, 26, WALK_CACHEABILITY),
  SH1:     oneOf(29, 28, SHAREABILITY),
  EPD1:    flag(30),
  V:       flag(31),
  IPS:     uint(34, 32),
  AFFD:    flag(35),
  WXN:     flag(36),
  UWXN:    flag(37),
  TBI0:    flag(38),
  TBI1:    flag(39),
  PAN:     flag(40),
  AA64:    flag(41),
  HD:      flag(42),
  HA:      flag(43),
  S:       flag(44),
  R:       flag(45),
  A:       flag(46),
  ASET:    flag(47),
  ASID:    uint(63, 48),

  NSCFG0:  flag(64),
  HAD0:    flag(65),
  E0PD0:   flag(66),
  HAFT:    flag(67),
  TTB0:    addr(119, 68),
  PnCH:    flag(122),
  EPAN:    flag(123),
  HWU059:  flag(124),
  HWU060:  flag(125),
  HWU061:  flag(126),
  HWU062:  flag(127),

  NSCFG1:  flag(128),
  HAD1:    flag(129),
  E0PD1:   flag(130),
  AIE:     flag(131),
  TTB1:    addr(183, 132),
  DS:      flag(186),
  PIE:     flag(187),
  HWU159:  flag(188),
  HWU160:  flag(189),
  HWU161:  flag(190),
  HWU162:  flag(191),

  MAIR0:   uint(223, 192),
  MAIR1:   uint(255, 224),
  AMAIR0:  uint(287, 256),
  AMAIR1:  uint(319, 288),
  IMPDEF:  uint(351, 320),
  PARTID:  uint(367, 352),
  PMG:     uint(375, 368),

  ...sixteen('PIIU', 384, 3),
  ...sixteen('PIIP', 448, 3),
});
export type Cd = Decoded<typeof CD>;
