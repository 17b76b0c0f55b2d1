/**
 * The Stream Table Entry and the level 1 Stream Table Descriptor as bits: IHI 0070 5.1 and 5.2. Which
 * combinations are ILLEGAL, and which fields are IGNORED when, stands elsewhere.
 */
import { addr, flag, oneOf, uint } from '../layout/field.ts';
import { type Decoded, layout } from '../layout/layout.ts';
import { sixteen } from '../layout/register.ts';
import {
  CD_CACHEABILITY,
  GRANULE_TG0,
  INSTRUCTION_CFG,
  PRIVILEGE_CFG,
  SHAREABILITY,
  SHAREABILITY_CFG,
  WALK_CACHEABILITY,
} from './codes.ts';

/** Level 1 Stream Table Descriptor. Span 0 is invalid, 12 and above act as 0. */
// biome-ignore format: a table
export const L1STD = layout('L1STD', { bytes: 8, spec: '5.1' }, {
  Span:  uint(4, 0),
  L2Ptr: addr(55, 6),
});
export type L1std = Decoded<typeof L1STD>;

/** Stream Table Entry. A `RESERVED` Config is 0b001 to 0b011: see `steConfig`. */
// biome-ignore format: a table
export const STE = layout('STE', { bytes: 64, spec: '5.2' }, {
  V:            flag(0),
  Config:       oneOf(3, 1, { ABORT: 0b000, BYPASS: 0b100, S1: 0b101, S2: 0b110, NESTED: 0b111 }),
  S1Fmt:        oneOf(5, 4, { LINEAR: 0, TWO_LEVEL_4K: 1, TWO_LEVEL_64K: 2 }),  // 3 acts as LINEAR
  S1ContextPtr: addr(55, 6),
  S1CDMax:      uint(63, 59),

  S1DSS:        oneOf(65, 64, { TERMINATE: 0, BYPASS: 1, SUBSTREAM0: 2 }),  // 3 acts as TERMINATE
  S1CIR:        oneOf(67, 66, CD_CACHEABILITY),
  S1COR:        oneOf(69, 68, CD_CACHEABILITY),
  S1CSH:        oneOf(71, 70, SHAREABILITY),
  S2HWU59:      flag(72),
  S2HWU60:      flag(73),
  S2HWU61:      flag(74),
  S2HWU62:      flag(75),
  DRE:          flag(76),
  CONT:         uint(80, 77),
  DCP:          flag(81),
  PPAR:         flag(82),
  MEV:          flag(83),
  SW_RESERVED:  uint(87, 84),
  S1PIE:        flag(88),
  S2FWB:        flag(89),
  S1MPAM:       flag(90),
  S1STALLD:     flag(91),
  EATS:         oneOf(93, 92, { OFF: 0, FULL: 1, SPLIT: 2, FULL_DPT: 3 }),
  STRW:         oneOf(95, 94, { NS_EL1: 0, NS_EL2: 2 }),
  MemAttr:      uint(99, 96),
  MTCFG:        flag(100),
  ALLOCCFG:     uint(104, 101),
  SHCFG:        oneOf(109, 108, SHAREABILITY_CFG),
  NSCFG:        uint(111, 110),
  PRIVCFG:      oneOf(113, 112, PRIVILEGE_CFG),
  INSTCFG:      oneOf(115, 114, INSTRUCTION_CFG),
  IMPDEF0:      uint(127, 116),

  S2VMID:       uint(143, 128),
  IMPDEF1:      uint(159, 144),
  S2T0SZ:       uint(165, 160),
  S2SL0:        uint(167, 166),
  S2IR0:        oneOf(169, 168, WALK_CACHEABILITY),
  S2OR0:        oneOf(171, 170, WALK_CACHEABILITY),
  S2SH0:        oneOf(173, 172, SHAREABILITY),
  S2TG:         oneOf(175, 174, GRANULE_TG0),
  S2PS:         uint(178, 176),
  S2AA64:       flag(179),
  S2ENDI:       flag(180),
  S2AFFD:       flag(181),
  S2PTW:        flag(182),
  S2HD:         flag(183),
  S2HA:         flag(184),
  S2S:          flag(185),
  S2R:          flag(186),
  S2HAFT:       flag(187),
  S2PIE:        flag(188),
  S2POE:        flag(189),
  DPT_VMATCH:   uint(191, 190),

  S2NSW:        flag(192),
  S2NSA:        flag(193),
  S2SL0_2:      flag(194),
  S2DS:         flag(195),
  S2TTB:        addr(247, 196),
  S2SKL:        uint(254, 253),

  IMPDEF2:      uint(271, 256),
  PARTID:       uint(287, 272),
  S_S2T0SZ:     uint(293, 288),
  S_S2SL0:      uint(295, 294),
  S_S2TG:       uint(303, 302),
  MECID:        uint(319, 304),

  PMG:          uint(327, 320),
  MPAM_NS:      flag(328),
  AssuredOnly:  flag(329),
  TL0:          flag(330),
  TL1:          flag(331),
  VMSPtr:       addr(375, 332),

  S2SW:         flag(384),
  S2SA:         flag(385),
  S_S2SL0_2:    flag(386),
  S_S2TTB:      addr(439, 388),
  S_S2SKL:      uint(446, 445),

  ...sixteen('S2POI', 448, 4),
});
export type Ste = Decoded<typeof STE>;

/** What a valid STE asks for: every 0b0xx Config aborts. IHI 0070 5.2, Config. */
export function steConfig(ste: Pick<Ste, 'Config'>): Exclude<Ste['Config'], 'RESERVED'> {
  return ste.Config === 'RESERVED' ? 'ABORT' : ste.Config;
}
