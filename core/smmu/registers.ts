/**
 * The Non-secure registers: pages 0 and 1, and the blocks that stand elsewhere (VATOS page, enhanced
 * command queues). IHI 0070 6.2 and 6.3, in offset order. What a write sets in motion is not here, nor
 * which fields are RES0 without a feature.
 *
 * ADDR of an interrupt configuration, bits [55:2], is wider than an `addr` can hold: it is a bigint.
 */
import { addr, flag, oneOf, u64, uint, type Words } from '../layout/field.ts';
import { type AnyField, type Layout, layout } from '../layout/layout.ts';
import {
  type Guard,
  type Register,
  type RegisterFile,
  register,
  registerFile,
  sixteen,
} from '../layout/register.ts';
import {
  CR1_CACHEABILITY,
  cerrors,
  INSTRUCTION_CFG,
  PRIVILEGE_CFG,
  SHAREABILITY,
  SHAREABILITY_CFG,
} from './codes.ts';

/** Offset of page 1 from page 0. */
export const PAGE1 = 0x10000;

// biome-ignore format: a table
const IDR0 = {
  S2P:         flag(0),
  S1P:         flag(1),
  TTF:         uint(3, 2),    // bit 0 VMSAv8-32 LPAE, bit 1 VMSAv8-64
  COHACC:      flag(4),
  BTM:         flag(5),
  HTTU:        uint(7, 6),    // 1 AF, 2 and dirty state, 3 and AF of tables
  DORMHINT:    flag(8),
  Hyp:         flag(9),
  ATS:         flag(10),
  NS1ATS:      flag(11),      // 1: split-stage ATS is not supported
  ASID16:      flag(12),
  MSI:         flag(13),
  SEV:         flag(14),
  ATOS:        flag(15),
  PRI:         flag(16),
  VMW:         flag(17),
  VMID16:      flag(18),
  CD2L:        flag(19),
  VATOS:       flag(20),
  TTENDIAN:    uint(22, 21),  // 0 mixed, 2 little, 3 big
  ATSRECERR:   flag(23),
  STALL_MODEL: uint(25, 24),  // 0 stall and terminate, 1 terminate only, 2 stall forced
  TERM_MODEL:  flag(26),
  ST_LEVEL:    uint(28, 27),
  RME_IMPL:    flag(30),
};

// biome-ignore format: a table
const IDR1 = {
  SIDSIZE:        uint(5, 0),
  SSIDSIZE:       uint(10, 6),
  PRIQS:          uint(15, 11),
  EVENTQS:        uint(20, 16),
  CMDQS:          uint(25, 21),
  ATTR_PERMS_OVR: flag(26),
  ATTR_TYPES_OVR: flag(27),
  REL:            flag(28),
  QUEUES_PRESET:  flag(29),
  TABLES_PRESET:  flag(30),
  ECMDQ:          flag(31),
};

// biome-ignore format: a table
const IDR3 = {
  HAD:     flag(2),
  PBHA:    flag(3),
  XNX:     flag(4),
  PPS:     flag(5),
  MPAM:    flag(7),
  FWB:     flag(8),
  STT:     flag(9),
  RIL:     flag(10),
  BBML:    uint(12, 11),
  E0PD:    flag(13),
  PTWNNC:  flag(14),
  DPT:     flag(15),
  PASIDTT: flag(16),
  EPAN:    flag(17),
  S1PI:    flag(18),
  S2PI:    flag(19),
  S2PO:    flag(20),
  THE:     flag(21),
  MTEPERM: flag(22),
  AIE:     flag(23),
};

// biome-ignore format: a table
const IDR5 = {
  OAS:       uint(2, 0),
  GRAN4K:    flag(4),
  GRAN16K:   flag(5),
  GRAN64K:   flag(6),
  DS:        flag(7),
  D128:      flag(8),
  VAX:       uint(11, 10),
  STALL_MAX: uint(31, 16),
};

// biome-ignore format: a table
const CR0 = {
  SMMUEN:      flag(0),
  PRIQEN:      flag(1),
  EVENTQEN:    flag(2),
  CMDQEN:      flag(3),
  ATSCHK:      flag(4),
  VMW:         uint(8, 6),
  DPT_WALK_EN: flag(10),
};

// biome-ignore format: a table
const CR1 = {
  QUEUE_IC: oneOf(1, 0,   CR1_CACHEABILITY),
  QUEUE_OC: oneOf(3, 2,   CR1_CACHEABILITY),
  QUEUE_SH: oneOf(5, 4,   SHAREABILITY),
  TABLE_IC: oneOf(7, 6,   CR1_CACHEABILITY),
  TABLE_OC: oneOf(9, 8,   CR1_CACHEABILITY),
  TABLE_SH: oneOf(11, 10, SHAREABILITY),
};

// biome-ignore format: a table
const GBPA = {
  MemAttr:  uint(3, 0),
  MTCFG:    flag(4),
  ALLOCCFG: uint(11, 8),
  SHCFG:    oneOf(13, 12, SHAREABILITY_CFG),
  PRIVCFG:  oneOf(17, 16, PRIVILEGE_CFG),
  INSTCFG:  oneOf(19, 18, INSTRUCTION_CFG),
  ABORT:    flag(20),
  Update:   flag(31),
};

// biome-ignore format: a table
const GERROR = {
  CMDQ_ERR:           flag(0),
  EVENTQ_ABT_ERR:     flag(2),
  PRIQ_ABT_ERR:       flag(3),
  MSI_CMDQ_ABT_ERR:   flag(4),
  MSI_EVENTQ_ABT_ERR: flag(5),
  MSI_PRIQ_ABT_ERR:   flag(6),
  MSI_GERROR_ABT_ERR: flag(7),
  SFM_ERR:            flag(8),
  CMDQP_ERR:          flag(9),
  DPT_ERR:            flag(10),
};

// Fields that several registers share.
const IIDR = {
  Implementer: uint(11, 0),
  Revision: uint(15, 12),
  Variant: uint(19, 16),
  ProductID: uint(31, 20),
};
const AIDR = { ArchMinorRev: uint(3, 0), ArchMajorRev: uint(7, 4) };
const CR2 = { E2H: flag(0), RECINVSID: flag(1), PTM: flag(2), REC_CFG_ATS: flag(3) };
const IRQ_CTRL = { GERROR_IRQEN: flag(0), PRIQ_IRQEN: flag(1), EVENTQ_IRQEN: flag(2) };
const MSI_ADDRESS = { ADDR: u64(55, 2) };
const MSI_DATA = { DATA: uint(31, 0) };
const MSI_ATTR = { MemAttr: uint(3, 0), SH: oneOf(5, 4, SHAREABILITY) };
const STRTAB_CFG = {
  LOG2SIZE: uint(5, 0),
  SPLIT: uint(10, 6),
  FMT: oneOf(17, 16, { LINEAR: 0, TWO_LEVEL: 1 }),
};
const QUEUE = { LOG2SIZE: uint(4, 0), ADDR: addr(55, 5) };
const READ_QUEUE = { ...QUEUE, RA: flag(62) };
const WRITE_QUEUE = { ...QUEUE, WA: flag(62) };
const WR = { WR: uint(19, 0) };
const RD = { RD: uint(19, 0) };
const PROD = { ...WR, OVFLG: flag(31) };
const CONS = { ...RD, OVACKFLG: flag(31) };
const ATOS_SID = { STREAMID: uint(31, 0), SUBSTREAMID: uint(51, 32), SSID_VALID: flag(52) };
const ATOS_TYPE = oneOf(11, 10, { S1: 1, S2: 2, S1S2: 3 });
const ATOS_ACCESS = { HTTUI: flag(6), InD: flag(7), RnW: flag(8), PnU: flag(9), TYPE: ATOS_TYPE };
const ATOS_ADDR = { ...ATOS_ACCESS, ADDR: addr(63, 12) };
const ATOS_PAR = {
  FAULT: flag(0),
  SH: oneOf(9, 8, SHAREABILITY),
  Size: flag(11),
  ADDR: addr(55, 12),
  ATTR: uint(63, 56),
};
const ATOS_FAULT = { FAULT: flag(0), REASON: uint(2, 1), FAULTCODE: uint(11, 4), FADDR: addr(55, 12) };
const GMPAM = { SO_PARTID: uint(15, 0), SO_PMG: uint(23, 16), Update: flag(31) };
const GBPMPAM = { GBP_PARTID: uint(15, 0), GBP_PMG: uint(23, 16), Update: flag(31) };
const IDR6 = { CMDQ_CONTROL_PAGE_LOG2NUMQ: uint(19, 16), CMDQ_CONTROL_PAGE_LOG2NUMP: uint(27, 24) };
const DPT_CFG = { DPTPS: uint(2, 0), DPTGS: uint(15, 14), L0DPTSZ: uint(23, 20) };
const DPT_FAR = { FAULT: flag(0), LEVEL: uint(1, 1), DPT_FAULTCODE: uint(7, 4), FADDR: addr(55, 12) };
const CONTROL_PAGE = { CMDQ_CONTROL_PAGE_PRESET: flag(0), CMDQGS: uint(2, 1), ADDR: addr(55, 16) };

/** CR1 has two owners: tables while the SMMU is enabled, queues while any queue is. 6.3.11.1-2. */
const CR1_QUEUE_FIELDS = ['QUEUE_IC', 'QUEUE_OC', 'QUEUE_SH'] as const;
// biome-ignore format: a table
const CR1_GUARDS = {
  SMMUEN:     ['TABLE_IC', 'TABLE_OC', 'TABLE_SH'],
  CMDQEN:     CR1_QUEUE_FIELDS,
  EVENTQEN:   CR1_QUEUE_FIELDS,
  PRIQEN:     CR1_QUEUE_FIELDS,
  'ECMDQ.EN': CR1_QUEUE_FIELDS,
} as const;

/** The registers of pages 0 and 1. The guards are those of v3.2: a guarded write is IGNORED. */
// biome-ignore format: a table
export const registers = registerFile([
  register('IDR0',             { offset: 0x000, width: 32, access: 'RO', reset: 'constant', spec: '6.3.1' }, IDR0),
  register('IDR1',             { offset: 0x004, width: 32, access: 'RO', reset: 'constant', spec: '6.3.2' }, IDR1),
  register('IDR2',             { offset: 0x008, width: 32, access: 'RO', reset: 'constant', spec: '6.3.3' }, { BA_VATOS: uint(9, 0) }),
  register('IDR3',             { offset: 0x00c, width: 32, access: 'RO', reset: 'constant', spec: '6.3.4' }, IDR3),
  register('IDR4',             { offset: 0x010, width: 32, access: 'RO', reset: 'constant', spec: '6.3.5' }, { IMPDEF: uint(31, 0) }),
  register('IDR5',             { offset: 0x014, width: 32, access: 'RO', reset: 'constant', spec: '6.3.6' }, IDR5),
  register('IIDR',             { offset: 0x018, width: 32, access: 'RO', reset: 'constant', spec: '6.3.7' }, IIDR),
  register('AIDR',             { offset: 0x01c, width: 32, access: 'RO', reset: 'constant', spec: '6.3.8' }, AIDR),
  register('CR0',              { offset: 0x020, width: 32, access: 'RW', reset: 0,          spec: '6.3.9' }, CR0),
  register('CR0ACK',           { offset: 0x024, width: 32, access: 'RO', reset: 0,          spec: '6.3.10' }, CR0),
  register('CR1',              { offset: 0x028, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.11', fieldGuards: CR1_GUARDS }, CR1),
  register('CR2',              { offset: 0x02c, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.12', guard: ['SMMUEN'] }, CR2),
  register('S2PII',            { offset: 0x030, width: 64, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.17' }, sixteen('S2PII', 0, 4)),
  register('STATUSR',          { offset: 0x040, width: 32, access: 'RO', reset: 0,          spec: '6.3.13' }, { DORMANT: flag(0) }),
  register('GBPA',             { offset: 0x044, width: 32, access: 'RW', reset: 'IMPDEF',   spec: '6.3.14', guard: ['GBPA.Update'] }, GBPA),
  register('AGBPA',            { offset: 0x048, width: 32, access: 'RW', reset: 'IMPDEF',   spec: '6.3.15' }, { IMPDEF: uint(31, 0) }),
  register('IRQ_CTRL',         { offset: 0x050, width: 32, access: 'RW', reset: 0,          spec: '6.3.16' }, IRQ_CTRL),
  register('IRQ_CTRLACK',      { offset: 0x054, width: 32, access: 'RO', reset: 0,          spec: '6.3.18' }, IRQ_CTRL),
  register('GERROR',           { offset: 0x060, width: 32, access: 'RO', reset: 0,          spec: '6.3.19' }, GERROR),
  register('GERRORN',          { offset: 0x064, width: 32, access: 'RW', reset: 0,          spec: '6.3.20' }, GERROR),
  register('GERROR_IRQ_CFG0',  { offset: 0x068, width: 64, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.21', guard: ['GERROR_IRQEN'] }, MSI_ADDRESS),
  register('GERROR_IRQ_CFG1',  { offset: 0x070, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.22', guard: ['GERROR_IRQEN'] }, MSI_DATA),
  register('GERROR_IRQ_CFG2',  { offset: 0x074, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.23', guard: ['GERROR_IRQEN'] }, MSI_ATTR),
  register('STRTAB_BASE',      { offset: 0x080, width: 64, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.24', guard: ['SMMUEN', 'TABLES_PRESET'] }, { ADDR: addr(55, 6), RA: flag(62) }),
  register('STRTAB_BASE_CFG',  { offset: 0x088, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.25', guard: ['SMMUEN', 'TABLES_PRESET'] }, STRTAB_CFG),
  register('CMDQ_BASE',        { offset: 0x090, width: 64, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.26', guard: ['CMDQEN', 'QUEUES_PRESET'] }, READ_QUEUE),
  register('CMDQ_PROD',        { offset: 0x098, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.27' }, WR),
  // 6.3.28 lets ERR be stored or ignored by a write while the queue is disabled; we ignore it.
  register('CMDQ_CONS',        { offset: 0x09c, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.28', guard: ['CMDQEN'], readOnly: ['ERR'] }, { ...RD, ERR: oneOf(30, 24, cerrors) }),
  register('EVENTQ_BASE',      { offset: 0x0a0, width: 64, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.29', guard: ['EVENTQEN', 'QUEUES_PRESET'] }, WRITE_QUEUE),
  register('EVENTQ_IRQ_CFG0',  { offset: 0x0b0, width: 64, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.30', guard: ['EVENTQ_IRQEN'] }, MSI_ADDRESS),
  register('EVENTQ_IRQ_CFG1',  { offset: 0x0b8, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.31', guard: ['EVENTQ_IRQEN'] }, MSI_DATA),
  register('EVENTQ_IRQ_CFG2',  { offset: 0x0bc, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.32', guard: ['EVENTQ_IRQEN'] }, MSI_ATTR),
  // The written PRIQEN counts, not its value qualified by SMMUEN: 6.3.9.5.
  register('PRIQ_BASE',        { offset: 0x0c0, width: 64, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.33', guard: ['PRIQEN', 'QUEUES_PRESET'] }, WRITE_QUEUE),
  register('PRIQ_IRQ_CFG0',    { offset: 0x0d0, width: 64, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.34', guard: ['PRIQ_IRQEN'] }, MSI_ADDRESS),
  register('PRIQ_IRQ_CFG1',    { offset: 0x0d8, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.35', guard: ['PRIQ_IRQEN'] }, MSI_DATA),
  register('PRIQ_IRQ_CFG2',    { offset: 0x0dc, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.36', guard: ['PRIQ_IRQEN'] }, { ...MSI_ATTR, LO: flag(31) }),
  register('GATOS_CTRL',       { offset: 0x100, width: 32, access: 'RW', reset: 0,          spec: '6.3.37', guard: ['GATOS.RUN'] }, { RUN: flag(0) }),
  register('GATOS_SID',        { offset: 0x108, width: 64, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.38', guard: ['GATOS.RUN'] }, ATOS_SID),
  register('GATOS_ADDR',       { offset: 0x110, width: 64, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.39', guard: ['GATOS.RUN'] }, ATOS_ADDR),
  register('GATOS_PAR',        { offset: 0x118, width: 64, access: 'RO', reset: 'UNKNOWN',  spec: '6.3.40' }, ATOS_PAR),
  register('MPAMIDR',          { offset: 0x130, width: 32, access: 'RO', reset: 'constant', spec: '6.3.41' }, { PARTID_MAX: uint(15, 0), PMG_MAX: uint(23, 16) }),
  register('GMPAM',            { offset: 0x138, width: 32, access: 'RW', reset: 0,          spec: '6.3.42', guard: ['GMPAM.Update'] }, GMPAM),
  register('GBPMPAM',          { offset: 0x13c, width: 32, access: 'RW', reset: 0,          spec: '6.3.43', guard: ['GBPMPAM.Update'] }, GBPMPAM),
  register('VATOS_SEL',        { offset: 0x180, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.44', guard: ['VATOS.RUN'] }, { VMID: uint(15, 0) }),
  register('IDR6',             { offset: 0x190, width: 32, access: 'RO', reset: 'constant', spec: '6.3.45' }, IDR6),
  register('DPT_BASE',         { offset: 0x200, width: 64, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.46', guard: ['DPT_WALK_EN'] }, { BADDR: addr(55, 12), RA: flag(62) }),
  register('DPT_BASE_CFG',     { offset: 0x208, width: 32, access: 'RW', reset: 'UNKNOWN',  spec: '6.3.47', guard: ['DPT_WALK_EN'] }, DPT_CFG),
  // Nothing here sets FAULT, and a write can only clear it.
  register('DPT_CFG_FAR',      { offset: 0x210, width: 64, access: 'RW', reset: 0,          spec: '6.3.48', readOnly: ['FAULT', 'LEVEL', 'DPT_FAULTCODE', 'FADDR'] }, DPT_FAR),
  // The first of the control pages; page n stands 32 * n further on.
  register('CMDQ_CONTROL_PAGE_BASE0',   { offset: 0x4000, width: 64, access: 'RO', reset: 'constant', spec: '6.3.49' }, CONTROL_PAGE),
  register('CMDQ_CONTROL_PAGE_CFG0',    { offset: 0x4008, width: 32, access: 'RO', reset: 1,          spec: '6.3.50' }, { EN: flag(0) }),
  register('CMDQ_CONTROL_PAGE_STATUS0', { offset: 0x400c, width: 32, access: 'RO', reset: 1,          spec: '6.3.51' }, { ENACK: flag(0) }),
  register('EVENTQ_PROD',      { offset: PAGE1 + 0xa8, width: 32, access: 'RW', reset: 'UNKNOWN', spec: '6.3.95', guard: ['EVENTQEN'] }, PROD),
  register('EVENTQ_CONS',      { offset: PAGE1 + 0xac, width: 32, access: 'RW', reset: 'UNKNOWN', spec: '6.3.96' }, CONS),
  register('PRIQ_PROD',        { offset: PAGE1 + 0xc8, width: 32, access: 'RW', reset: 'UNKNOWN', spec: '6.3.97', guard: ['PRIQEN'] }, PROD),
  register('PRIQ_CONS',        { offset: PAGE1 + 0xcc, width: 32, access: 'RW', reset: 'UNKNOWN', spec: '6.3.98' }, CONS),
]);

export type RegisterName = keyof typeof registers.byName;

/** The VATOS page, at 0x20000 + IDR2.BA_VATOS * 0x10000. TYPE may only be S1. */
// biome-ignore format: a table
export const vatosRegisters = registerFile([
  register('VATOS_CTRL', { offset: 0xa00, width: 32, access: 'RW', reset: 0,         spec: '6.3.99',  guard: ['VATOS.RUN'] }, { RUN: flag(0) }),
  register('VATOS_SID',  { offset: 0xa08, width: 64, access: 'RW', reset: 'UNKNOWN', spec: '6.3.100', guard: ['VATOS.RUN'] }, ATOS_SID),
  register('VATOS_ADDR', { offset: 0xa10, width: 64, access: 'RW', reset: 'UNKNOWN', spec: '6.3.101', guard: ['VATOS.RUN'] }, ATOS_ADDR),
  register('VATOS_PAR',  { offset: 0xa18, width: 64, access: 'RO', reset: 'UNKNOWN', spec: '6.3.102' }, ATOS_PAR),
]);

/** One enhanced command queue. Not modelled; the spacing of queues in their page is in doubt. */
// biome-ignore format: a table
export const ecmdqRegisters = registerFile([
  register('ECMDQ_BASE', { offset: 0x0, width: 64, access: 'RW', reset: 'UNKNOWN', spec: '6.3.107', guard: ['ECMDQ.EN'] }, READ_QUEUE),
  register('ECMDQ_PROD', { offset: 0x8, width: 32, access: 'RW', reset: 0,         spec: '6.3.108' }, { ...WR, ERRACK: flag(23), EN: flag(31) }),
  register('ECMDQ_CONS', { offset: 0xc, width: 32, access: 'RW', reset: 0,         spec: '6.3.109', guard: ['ECMDQ.EN'], readOnly: ['ERR', 'ERR_REASON', 'ENACK'] }, { ...RD, ERR: flag(23), ERR_REASON: oneOf(26, 24, cerrors), ENACK: flag(31) }),
]);

export type VatosRegisterName = keyof typeof vatosRegisters.byName;

export type EcmdqRegisterName = keyof typeof ecmdqRegisters.byName;
/** `ECMDQ3_PROD`: the register of one of the enhanced queues. */
type EnhancedName = EcmdqRegisterName extends `ECMDQ_${infer R}` ? `ECMDQ${number}_${R}` : never;

/** The name under which `SmmuState.regs` has a register. */
export type HeldName = RegisterName | VatosRegisterName | EnhancedName;

/** The declaration of a register, in whatever block it stands; `ECMDQ3_PROD` is declared as ECMDQ_PROD. */
export function registerNamed(name: string): Register | undefined {
  const byName = (file: RegisterFile<Register>, own = name): Register | undefined =>
    Object.hasOwn(file.byName, own) ? file.byName[own] : undefined;
  const ofQueue = name.replace(/^ECMDQ\d+_/, 'ECMDQ_');
  return byName(registers) ?? byName(vatosRegisters) ?? byName(ecmdqRegisters, ofQueue);
}

/** What the PAR registers hold when FAULT=1; the register itself has the fields of FAULT=0. 6.3.40. */
// biome-ignore format: a table
export const parFault = {
  GATOS_PAR: layout('GATOS_PAR', { bytes: 8, spec: '6.3.40' }, { ...ATOS_FAULT, IMPDEF: uint(63, 60) }),
  VATOS_PAR: layout('VATOS_PAR', { bytes: 8, spec: '6.3.102' }, ATOS_FAULT),
};

/** The fields that a register has with these words: FAULT decides what PAR holds. */
export function viewOf(of: Register, words: Words): Layout<Record<string, AnyField>> {
  if (of.name !== 'GATOS_PAR' && of.name !== 'VATOS_PAR') return of;
  return ((words[0] ?? 0) & 1) === 0 ? of : parFault[of.name];
}

/** Where the bits of a guard stand: it holds while any of them is 1. */
// biome-ignore format: a table
export const guardBits: Readonly<Record<Guard, readonly (readonly [register: string, field: string])[]>> = {
  SMMUEN:           [['CR0', 'SMMUEN'], ['CR0ACK', 'SMMUEN']],
  CMDQEN:           [['CR0', 'CMDQEN'], ['CR0ACK', 'CMDQEN']],
  EVENTQEN:         [['CR0', 'EVENTQEN'], ['CR0ACK', 'EVENTQEN']],
  PRIQEN:           [['CR0', 'PRIQEN'], ['CR0ACK', 'PRIQEN']],
  GERROR_IRQEN:     [['IRQ_CTRL', 'GERROR_IRQEN'], ['IRQ_CTRLACK', 'GERROR_IRQEN']],
  EVENTQ_IRQEN:     [['IRQ_CTRL', 'EVENTQ_IRQEN'], ['IRQ_CTRLACK', 'EVENTQ_IRQEN']],
  PRIQ_IRQEN:       [['IRQ_CTRL', 'PRIQ_IRQEN'], ['IRQ_CTRLACK', 'PRIQ_IRQEN']],
  TABLES_PRESET:    [['IDR1', 'TABLES_PRESET']],
  QUEUES_PRESET:    [['IDR1', 'QUEUES_PRESET']],
  DPT_WALK_EN:      [['CR0', 'DPT_WALK_EN'], ['CR0ACK', 'DPT_WALK_EN']],
  'GBPA.Update':    [['GBPA', 'Update']],
  'GMPAM.Update':   [['GMPAM', 'Update']],
  'GBPMPAM.Update': [['GBPMPAM', 'Update']],
  'GATOS.RUN':      [['GATOS_CTRL', 'RUN']],
  'VATOS.RUN':      [['VATOS_CTRL', 'RUN']],
  'ECMDQ.EN':       [['ECMDQ_PROD', 'EN'], ['ECMDQ_CONS', 'ENACK']],
};
