/**
 * What is known of each identification field, as one table: what stands between the register and a guest that may
 * rely on it. The fields themselves come from the registers' layouts: one without a row here is told as `unknown`.
 * Sources: linux iommufd.h, the comment of struct iommu_hw_info_arm_smmuv3 (the fields a VMM may read); linux
 * arm-smmu-v3.c, arm_smmu_device_hw_probe (what a guest uses); QEMU hw/arm/smmuv3-accel.c.
 */
import type { DriverFeatures } from '../../core/driver/features.ts';
import { enums } from '../../core/kernel/uapi/enums.ts';
import type { Register } from '../../core/layout/register.ts';
import { registers } from '../../core/smmu/registers.ts';

/** Steps of the analysis that a field has to pass before a guest may be told of it. */
export type Need = 'software' | 'firmware' | 'request';

/**
 * What stands behind a guest's value. `least`: hardware has as much; `most`: hardware has no more; `bits`: every bit of
 * it; `exact or 0`: the same, or hardware that can do either (0); `vmm`: the VMM alone; `never`: nothing, no kernel
 * lets a guest have it; `any`: the value says nothing that could be wrong.
 */
export type Backing = 'least' | 'most' | 'bits' | 'exact or 0' | 'vmm' | 'never' | 'any';

export interface FieldFacts {
  readonly needs: readonly Need[];
  /** The kernel's documentation lets a VMM read it; a version: from there on. */
  readonly listed: boolean | string;
  readonly backing: Backing;
  /** What a Linux guest makes of it; none: it never looks. */
  readonly enables: readonly (keyof DriverFeatures)[];
  /** Why, in a few words. */
  readonly note: string;
  readonly source: string;
}

const LIST = 'linux iommufd.h, iommu_hw_info_arm_smmuv3';
const ACCEL = 'QEMU hw/arm/smmuv3-accel.c, smmuv3_accel_check_hw_compatible';
const PROBE = 'linux arm-smmu-v3.c, arm_smmu_device_hw_probe';
const NESTED = 'linux arm-smmu-v3-iommufd.c, arm_vsmmu_alloc';

type Rows = Readonly<Record<string, FieldFacts>>;
type Enables = readonly (keyof DriverFeatures)[];

/** Read from the report, no more asked. */
const plain = (
  backing: Backing,
  note: string,
  enables: Enables = [],
  listed: boolean | string = true,
): FieldFacts => ({ needs: [], listed, backing, enables, note, source: listed === false ? PROBE : LIST });

/** Emulated: whatever the host has. */
const own = (note: string, enables: Enables = [], listed = false): FieldFacts => ({
  needs: [],
  listed,
  backing: 'vmm',
  enables,
  note,
  source: 'QEMU hw/arm/smmuv3.c, smmuv3_init_id_regs',
});

/** Stopped by a step of the analysis. */
const stopped = (needs: readonly Need[], note: string, enables: Enables = [], source = LIST): FieldFacts => ({
  needs,
  listed: false,
  backing: 'never',
  enables,
  note,
  source,
});

// biome-ignore format: a table
const idr0: Rows = {
  'IDR0.S2P':         stopped(['software', 'request'], 'stage 2 is the host\'s', ['s2', 'nesting'], NESTED),
  'IDR0.S1P':         { ...plain('least', 'a nested HWPT can be made', ['s1'], false), source: NESTED },
  'IDR0.TTF':         plain('bits', 'table formats', ['s1']),
  'IDR0.COHACC':      { ...plain('least', 'firmware wins over the register; nesting needs it', ['coherent'], false), needs: ['firmware'], source: 'linux arm-smmu-v3-iommufd.c, arm_vsmmu_init; IORT node flags, bit 0' },
  'IDR0.BTM':         stopped(['software', 'request'], 'the kernel clears CR2.PTM and shares KVM\'s VMID, one VM at a time', ['broadcast']),
  'IDR0.HTTU':        stopped(['software', 'firmware'], 'firmware may say less than the register (IORT flags, bits 2:1)', ['ha', 'hd']),
  'IDR0.DORMHINT':    stopped(['software'], 'a hint of power states'),
  'IDR0.Hyp':         stopped(['software', 'request'], 'a guest has no EL2', ['hyp', 'e2h']),
  'IDR0.ATS':         { needs: ['software', 'firmware', 'request'], listed: false, backing: 'least', enables: ['ats'], note: 'of the device: root complex, hw_info flag, EATS of its STE', source: `${ACCEL}; linux iommufd.h, IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED` },
  'IDR0.NS1ATS':      plain('any', '1 says that split-stage ATS is not there', [], false),
  'IDR0.ASID16':      plain('least', 'guest ASIDs go to hardware', ['asidBits']),
  'IDR0.MSI':         own('the VMM completes CMD_SYNC', ['msiPolling']),
  'IDR0.SEV':         own('the VMM completes CMD_SYNC', ['sev']),
  'IDR0.ATOS':        stopped(['software', 'request'], 'registers of the host'),
  'IDR0.PRI':         stopped(['software', 'firmware', 'request'], 'page requests do not reach a guest', ['pri'], 'linux arm-smmu-v3.c, arm_smmu_handle_ppr'),
  'IDR0.VMW':         stopped(['software', 'request'], 'VMIDs are the host\'s'),
  'IDR0.VMID16':      own('unused without stage 2', ['vmidBits']),
  'IDR0.CD2L':        plain('least', 'hardware walks the guest\'s CD tables', ['twoLevelCd']),
  'IDR0.VATOS':       stopped(['software', 'request'], 'registers of the host'),
  'IDR0.TTENDIAN':    plain('exact or 0', 'hardware walks the guest\'s tables', []),
  'IDR0.ATSRECERR':   stopped(['software'], 'records of a host\'s configuration'),
  'IDR0.STALL_MODEL': { ...plain('exact or 0', 'forced stalls cannot be hidden', ['stalls', 'stallForce']), needs: ['firmware'] },
  'IDR0.TERM_MODEL':  plain('most', '1: CD.A must be 1, which a guest told so obeys; hardware with 1 refuses A=0'),
  'IDR0.ST_LEVEL':    own('the guest\'s stream table is read by the VMM', ['twoLevelStrtab'], true),
  'IDR0.RME_IMPL':    stopped(['software'], 'realms'),
};

// biome-ignore format: a table
const idr1: Rows = {
  'IDR1.SIDSIZE':        own('the guest\'s stream table is read by the VMM; vDEVICEs tell StreamIDs', ['sidBits'], true),
  'IDR1.SSIDSIZE':       plain('least', 'hardware walks the guest\'s CD tables', ['ssidBits']),
  'IDR1.PRIQS':          own('a queue of the VMM', ['priqLog2']),
  'IDR1.EVENTQS':        own('a queue of the VMM', ['evtqLog2']),
  'IDR1.CMDQS':          own('a queue of the VMM', ['cmdqLog2']),
  'IDR1.ATTR_PERMS_OVR': stopped(['software'], 'bits of the vSTE that the kernel refuses'),
  'IDR1.ATTR_TYPES_OVR': stopped(['software'], 'bits of the vSTE that the kernel refuses', ['attrTypesOvr']),
  'IDR1.REL':            own('addresses of the VMM'),
  'IDR1.QUEUES_PRESET':  own('queues of the VMM'),
  'IDR1.TABLES_PRESET':  own('tables of the VMM'),
  'IDR1.ECMDQ':          own('queues of the VMM'),
  'IDR2.BA_VATOS':       stopped(['software', 'request'], 'registers of the host'),
  'IDR4.IMPDEF':         stopped(['software'], 'IMPLEMENTATION DEFINED'),
};

// biome-ignore format: a table
const idr3: Rows = {
  'IDR3.HAD':     plain('least', 'CDs go to hardware as the guest wrote them', [], false),
  'IDR3.PBHA':    plain('least', 'no step stops it; not listed yet', [], false),
  'IDR3.XNX':     stopped(['software', 'request'], 'stage 2 is the host\'s'),
  'IDR3.PPS':     stopped(['software'], 'page requests do not reach a guest'),
  'IDR3.MPAM':    stopped(['software', 'request'], 'PARTIDs are the host\'s'),
  'IDR3.FWB':     stopped(['software', 'request'], 'stage 2 is the host\'s', ['fwb']),
  'IDR3.STT':     plain('least', 'CDs go to hardware as the guest wrote them', [], false),
  'IDR3.RIL':     plain('least', 'range invalidations go to hardware as they are', ['rangeInv']),
  'IDR3.BBML':    plain('least', 'tables of the guest are changed without a break'),
  'IDR3.E0PD':    plain('least', 'no step stops it; not listed yet', [], false),
  'IDR3.PTWNNC':  plain('any', 'what walks do; nothing to switch on', [], false),
  'IDR3.DPT':     stopped(['software'], 'tables of the host'),
  'IDR3.PASIDTT': stopped(['software'], 'PASIDs of Translated transactions'),
  'IDR3.EPAN':    plain('least', 'no step stops it; not listed yet', [], false),
  'IDR3.S1PI':    plain('least', 'no step stops it; not listed yet', [], false),
  'IDR3.S2PI':    stopped(['software', 'request'], 'stage 2 is the host\'s'),
  'IDR3.S2PO':    stopped(['software', 'request'], 'stage 2 is the host\'s'),
  'IDR3.THE':     stopped(['software'], 'not in the list'),
  'IDR3.MTEPERM': stopped(['software'], 'not in the list'),
  'IDR3.AIE':     plain('least', 'no step stops it; not listed yet', [], false),
};

// biome-ignore format: a table
const idr5: Rows = {
  'IDR5.OAS':       { ...plain('least', 'not in the list; VMMs read it all the same', ['oas'], false), source: ACCEL },
  'IDR5.GRAN4K':    plain('least', 'hardware walks the guest\'s tables', ['pageSizes']),
  'IDR5.GRAN16K':   plain('least', 'hardware walks the guest\'s tables', ['pageSizes']),
  'IDR5.GRAN64K':   plain('least', 'hardware walks the guest\'s tables', ['pageSizes']),
  'IDR5.DS':        plain('least', 'hardware walks the guest\'s tables', ['ds'], '7.3'),
  'IDR5.D128':      plain('least', 'no step stops it; not listed yet', [], false),
  'IDR5.VAX':       plain('least', 'hardware walks the guest\'s tables', ['vax']),
  'IDR5.STALL_MAX': own('records of the VMM'),
};

const identity = (note: string): FieldFacts => ({
  needs: [],
  listed: false,
  backing: 'vmm',
  enables: [],
  note,
  source: 'linux arm-smmu-v3.c, arm_smmu_device_iidr_probe',
});

// biome-ignore format: a table
const identities: Rows = {
  'IIDR.Implementer':  identity('a guest that sees the part works around its errata'),
  'IIDR.Revision':     identity('a guest that sees the part works around its errata'),
  'IIDR.Variant':      identity('a guest that sees the part works around its errata'),
  'IIDR.ProductID':    identity('a guest that sees the part works around its errata'),
  'AIDR.ArchMinorRev': identity('Linux never reads it'),
  'AIDR.ArchMajorRev': identity('Linux never reads it'),
};

const flagOf = (note: string, needs: readonly Need[], since: string): FieldFacts => ({
  needs,
  listed: since,
  backing: 'any',
  enables: [],
  note,
  source: 'linux iommufd.h, iommufd_hw_capabilities',
});

const platformOf = (note: string, enables: Enables, source: string): FieldFacts => ({
  needs: ['firmware'],
  listed: false,
  backing: 'any',
  enables,
  note,
  source,
});

// biome-ignore format: a table
const beyond: Rows = {
  'hw_info.DIRTY_TRACKING':        flagOf('the host can track what devices write', ['software'], '6.7'),
  'hw_info.PCI_PASID_EXEC':        flagOf('PASIDs of the device may execute', ['software'], '6.15'),
  'hw_info.PCI_PASID_PRIV':        flagOf('PASIDs of the device may be privileged', ['software'], '6.15'),
  'hw_info.PCI_ATS_NOT_SUPPORTED': flagOf('1: not for this device; 0 of an older kernel says nothing', ['firmware'], '7.2'),
  'hw_info.out_max_pasid_log2':    { ...flagOf('bits of PASIDs that the device may use', ['software'], '6.15'), source: 'linux iommufd.h, iommu_hw_info' },
  'platform.coherent':             platformOf('IORT flags, bit 0; dma-coherent', ['coherent'], 'IORT SMMUv3 node, flags'),
  'platform.httu':                 platformOf('IORT flags, bits 2:1', ['ha', 'hd'], 'IORT SMMUv3 node, flags'),
  'platform.rootAts':              platformOf('ATS attribute of the root complex', ['ats'], 'IORT root complex node'),
  'platform.model':                platformOf('1, HiSilicon: no prefetch; 2, Cavium: page 0 alone; must be 0 for a guest', [], 'IORT SMMUv3 node, model'),
  'platform.rmr':                  platformOf('the MSI window, one to one: MSIs behind stage 1 need it', [], 'IORT RMR node'),
  'platform.canwbs':               platformOf('gates the vIOMMU', [], 'IORT root complex node, memory access flags, bit 2'),
};

/** What is known, by the name of the field. */
export const fieldFacts: Rows = { ...idr0, ...idr1, ...idr3, ...idr5, ...identities, ...beyond };

export const idRegisters = ['IDR0', 'IDR1', 'IDR2', 'IDR3', 'IDR4', 'IDR5', 'IIDR', 'AIDR'] as const;
export type IdRegister = (typeof idRegisters)[number];

const CAP = 'IOMMU_HW_CAP_';

/** Every flag of GET_HW_INFO, as its uAPI names it, and its bit. */
export const hwInfoFlags: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(enums.iommufd_hw_capabilities.members).map(([name, [bit]]) => [name.replace(CAP, ''), bit]),
);

/** Facts of the platform that registers do not hold. */
export const platformFacts = ['coherent', 'httu', 'rootAts', 'model', 'rmr', 'canwbs'] as const;

/** The fields of a register, as `IDR0.BTM`. */
export function fieldsOf(register: IdRegister): readonly string[] {
  return Object.keys(registers.byName[register].fields).map((field) => `${register}.${field}`);
}

/** Every field that a ledger has a row for. */
export const fieldNames: readonly string[] = [
  ...idRegisters.flatMap(fieldsOf),
  ...Object.keys(hwInfoFlags).map((name) => `hw_info.${name}`),
  'hw_info.out_max_pasid_log2',
  ...platformFacts.map((name) => `platform.${name}`),
];

/** The value of a field (`IDR0.BTM`) in the words of ID registers; absent registers are 0. */
export function valueIn(idr: Readonly<Record<string, number>>, name: string): number {
  const [register = '', field = ''] = name.split('.');
  const { fields }: Register = registers.byName[register as IdRegister];
  return Number(fields[field]?.read([idr[register] ?? 0]) ?? 0);
}
