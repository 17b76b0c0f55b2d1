/**
 * What the driver makes of the identification registers, of the errata of known parts, and of what firmware
 * says. linux: arm-smmu-v3.c, arm_smmu_device_hw_probe and arm_smmu_device_iidr_probe. IDR2, IDR4 and AIDR
 * are never read.
 */
import type { Errno } from '../kernel/errno.ts';
import { decode } from '../layout/layout.ts';
import { registers } from '../smmu/registers.ts';

/** What the driver knows besides the registers. */
export interface Platform {
  /** The CPUs run the kernel at EL2: with IDR0.Hyp, streams of the kernel are EL2-E2H. */
  readonly vhe: boolean;
  /** Firmware says that walks and queues are coherent; absent, IDR0.COHACC does. */
  readonly coherent?: boolean;
  /** Firmware's HTTU: 0 none, 1 access flag, 2 and dirty state; absent, IDR0.HTTU. */
  readonly httu?: number;
  /** CMD_SYNC tells of itself by a store into its own slot, where the SMMU can (`disable_msipolling` clears it). */
  readonly msiPolling: boolean;
  /** log2 of the CPUs' page. */
  readonly pageLog2: number;
  /** Bits of the CPUs' virtual addresses. */
  readonly vaBits: number;
  /** log2 of the bytes of the largest piece of contiguous memory: queues are no larger. */
  readonly contiguousLog2: number;
  /** The root complex has ATS, by firmware. */
  readonly rootAts: boolean;
  /** PCI writes of the path are coherent whatever the attributes (firmware's CANWBS). */
  readonly canwbs: boolean;
  /** What an endpoint that no driver has taken is attached to. */
  readonly defaultDomain: 'dma' | 'dma-fq' | 'identity' | 'blocked';
  /** Endpoints are probed when their own drivers come (modules), each by a `guest.probe`; at once when absent. */
  readonly lateProbe?: boolean;
  /** The PREFETCH_CFG after an STE is left out (HiSilicon). */
  readonly skipPrefetch: boolean;
  /** Model id of the IORT node; 1 is HiSilicon Hi161x, whose PREFETCH_CFG is left out. Absent: none was told. */
  readonly model?: number;
  /** Firmware reserves the MSI window one to one (IORT RMR nodes), and preserves the boot configuration of PCI. */
  readonly rmr?: boolean;
  /**
   * Firmware says that mappings are invalidated too (RFC of August 2017): by page, or with the command that the RFC
   * invented. Each command is told to PROD for itself.
   */
  readonly tlbiOnMap?: 'page' | 'mask';
  /** Where IDR0.BTM=1 it takes part in broadcast maintenance (CR2.PTM=0); a guest's driver then leaves CMD_TLBI_* out. */
  readonly broadcast?: boolean;
  /** Bits of the CPUs' physical addresses and ASIDs; 44 and 16 when absent. */
  readonly paBits?: number;
  readonly asidBits?: 8 | 16;
  /** The CPUs change the size of a mapping without break-before-make (level 2): who shares their tables must bear it. */
  readonly bbml2?: boolean;
}

/** Bits of the CPUs' physical addresses. */
export function physicalBits({ paBits = 44 }: Pick<Platform, 'paBits'>): number {
  return paBits;
}

export const defaultPlatform: Platform = {
  vhe: true,
  msiPolling: true,
  pageLog2: 12,
  vaBits: 48,
  contiguousLog2: 20,
  rootAts: true,
  canwbs: true,
  defaultDomain: 'dma',
  skipPrefetch: false,
};

/** What the driver uses, from the probe on. */
export interface DriverFeatures {
  readonly twoLevelStrtab: boolean;
  readonly twoLevelCd: boolean;
  readonly pri: boolean;
  readonly ats: boolean;
  readonly sev: boolean;
  readonly msiPolling: boolean;
  readonly hyp: boolean;
  readonly e2h: boolean;
  readonly ha: boolean;
  readonly hd: boolean;
  readonly coherent: boolean;
  readonly stalls: boolean;
  readonly stallForce: boolean;
  readonly s1: boolean;
  readonly s2: boolean;
  readonly nesting: boolean;
  readonly asidBits: number;
  readonly vmidBits: number;
  readonly attrTypesOvr: boolean;
  readonly cmdqLog2: number;
  readonly evtqLog2: number;
  readonly priqLog2: number;
  readonly ssidBits: number;
  readonly sidBits: number;
  readonly rangeInv: boolean;
  readonly fwb: boolean;
  readonly ds: boolean;
  readonly vax: boolean;
  readonly oas: number;
  /** Page and block sizes of all granules, a bit each. */
  readonly pageSizes: bigint;
  /** Every batch ends in a CMD_SYNC of its own at 63 commands (MMU-700 erratum). */
  readonly forceSync: boolean;
  /** CR2.PTM=0: TLB maintenance of CPUs reaches the SMMU. */
  readonly broadcast?: true;
  /** IDR3.BBML=2, where the CPUs count on it. */
  readonly bbml2?: true;
}

/** A batch of 64 commands and its CMD_SYNC have to fit the Command queue. */
const CMDQ_LOG2_MIN = 7;
/** SubstreamIDs of a linear CD table. */
const LINEAR_CD_BITS = 10;
const SPLIT = 8;
const ARM = 0x43b;
const MMU_600 = 0x483;
const MMU_700 = 0x487;

type Idr = Readonly<Record<'IDR0' | 'IDR1' | 'IDR3' | 'IDR5' | 'IIDR', number>>;

/** The registers that the probe reads, in its order. */
export const probedRegisters = ['IDR0', 'IDR1', 'IDR3', 'IDR5', 'IIDR'] as const;

/** Errors of the probe: why the driver does not take the SMMU. */
export function probeProblem(idr: Idr): { readonly errno: Errno; readonly why: string } | undefined {
  const idr0 = decode(registers.byName.IDR0, [idr.IDR0]);
  const idr1 = decode(registers.byName.IDR1, [idr.IDR1]);
  const refuse = (why: string): { errno: Errno; why: string } => ({ errno: 'ENXIO', why });
  if (idr0.TTENDIAN !== 0 && idr0.TTENDIAN !== 2) return refuse('unknown/unsupported TT endianness');
  if (!idr0.S1P && !idr0.S2P) return refuse('no translation support');
  if ((idr0.TTF & 2) === 0) return refuse('AArch64 table format not supported');
  if (idr1.TABLES_PRESET || idr1.QUEUES_PRESET || idr1.REL)
    return refuse('embedded implementation not supported');
  if (idr1.CMDQS < CMDQ_LOG2_MIN) return refuse('command queue size too small');
  return undefined;
}

/** What the driver uses of an SMMU that it takes. */
export function decideFeatures(idr: Idr, platform: Platform): DriverFeatures {
  const idr0 = decode(registers.byName.IDR0, [idr.IDR0]);
  const idr1 = decode(registers.byName.IDR1, [idr.IDR1]);
  const idr3 = decode(registers.byName.IDR3, [idr.IDR3]);
  const idr5 = decode(registers.byName.IDR5, [idr.IDR5]);
  const errata = errataOf(idr.IIDR);
  const coherent = platform.coherent ?? idr0.COHACC;
  const httu = platform.httu ?? idr0.HTTU;
  const queueLog2 = (log2: number, entryLog2: number): number =>
    Math.min(log2, platform.contiguousLog2 - entryLog2);
  return {
    twoLevelStrtab: idr0.ST_LEVEL === 1 && idr1.SIDSIZE > SPLIT,
    twoLevelCd: idr0.CD2L,
    pri: idr0.PRI,
    ats: idr0.ATS,
    sev: idr0.SEV && !errata.noSev,
    msiPolling: idr0.MSI && coherent && platform.msiPolling,
    hyp: idr0.Hyp,
    e2h: idr0.Hyp && platform.vhe,
    ha: httu >= 1,
    hd: httu >= 2,
    coherent,
    stalls: idr0.STALL_MODEL === 0 || idr0.STALL_MODEL === 2,
    stallForce: idr0.STALL_MODEL === 2,
    s1: idr0.S1P,
    s2: idr0.S2P,
    nesting: idr0.S1P && idr0.S2P && !errata.noNesting,
    asidBits: idr0.ASID16 ? 16 : 8,
    vmidBits: idr0.VMID16 ? 16 : 8,
    attrTypesOvr: idr1.ATTR_TYPES_OVR,
    cmdqLog2: queueLog2(idr1.CMDQS, 4),
    evtqLog2: queueLog2(idr1.EVENTQS, 5),
    priqLog2: queueLog2(idr1.PRIQS, 4),
    ssidBits: idr0.CD2L ? idr1.SSIDSIZE : Math.min(idr1.SSIDSIZE, LINEAR_CD_BITS),
    sidBits: idr1.SIDSIZE,
    rangeInv: idr3.RIL,
    fwb: idr3.FWB,
    ds: idr5.DS,
    vax: idr5.VAX === 1,
    oas: OAS_BITS[idr5.OAS] ?? 48,
    pageSizes: pageSizes(idr5),
    forceSync: errata.forceSync,
    ...(idr0.BTM && platform.broadcast === true ? { broadcast: true } : {}),
    ...(idr3.BBML === 2 && platform.bbml2 === true ? { bbml2: true } : {}),
  };
}

const OAS_BITS: readonly number[] = [32, 36, 40, 42, 44, 48, 52];

function pageSizes(idr5: { GRAN4K: boolean; GRAN16K: boolean; GRAN64K: boolean; OAS: number }): bigint {
  let sizes = 0n;
  const add = (...log2s: number[]): void => {
    for (const log2 of log2s) sizes |= 1n << BigInt(log2);
  };
  if (idr5.GRAN64K) add(16, 29);
  if (idr5.GRAN16K) add(14, 25);
  if (idr5.GRAN4K) add(12, 21, 30);
  if (idr5.OAS === 6) add(42);
  return sizes;
}

interface Errata {
  readonly noSev: boolean;
  readonly noNesting: boolean;
  readonly forceSync: boolean;
}

/** Errata by product, variant and revision of Arm's parts. */
function errataOf(iidr: number): Errata {
  const { Implementer, ProductID, Variant, Revision } = decode(registers.byName.IIDR, [iidr]);
  const is = (product: number): boolean => Implementer === ARM && ProductID === product;
  // MMU-600: erratum 1076982 up to r0p2, 1209401 before r2. MMU-700: 2268618 and 2812531 before r1p1.
  const early700 = is(MMU_700) && (Variant < 1 || Revision < 1);
  return {
    noSev: is(MMU_600) && Variant === 0 && Revision <= 2,
    noNesting: (is(MMU_600) && Variant < 2) || early700,
    forceSync: early700,
  };
}
