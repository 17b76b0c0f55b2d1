/**
 * Calls that were proposed on the list and not merged so: the rows that a proposal adds to, or puts in
 * place of, those of the release it was made for. What no mail gives (a number, a struct that was only
 * named) is `derived`.
 */
import type { IoctlName, IoctlRow } from './ioctls.ts';
import { proposedStructs as s } from './proposed-structs.ts';
import type { Struct } from './struct.ts';
import { ioctlStructs } from './structs.ts';

/** Mails by the name that rows use: date, subject. Archives: lore.kernel.org, linux-iommu. */
// biome-ignore format: a table
export const mails = {
  tlbiOnMap:   ['2017-08-23', 'Re: [RFC v2 2/4] iommu/arm-smmu-v3: Add tlbi_on_map option'],
  rawCommands: ['2023-03-10', 'Re: [PATCH v1 14/14] iommu/arm-smmu-v3: Add arm_smmu_cache_invalidate_user'],
  guestQueue:  ['2023-05-09', '[PATCH v2 03/17] iommufd: Add nesting related data structures for ARM SMMUv3'],
  readQueue:   ['2023-05-09', '[PATCH v2 17/17] iommu/arm-smmu-v3: Add arm_smmu_cache_invalidate_user'],
  devData:     ['2023-07-27', '[PATCH v5 2/4] iommufd: Add IOMMUFD_CMD_SET_DEV_DATA and IOMMUFD_CMD_UNSET_DEV_DATA'],
  invalidate:  ['2023-11-17', '[PATCH v6 2/6] iommufd: Add IOMMU_HWPT_INVALIDATE'],
  eventFd:     ['2023-11-30', 'Re: [PATCH v6 2/6] iommufd: Add IOMMU_HWPT_INVALIDATE'],
  viommu:      ['2024-04-12', '[PATCH RFCv1 05/14] iommufd: Add IOMMUFD_OBJ_VIOMMU and IOMMUFD_CMD_VIOMMU_ALLOC'],
  setDevId:    ['2024-04-12', '[PATCH RFCv1 08/14] iommufd: Add IOMMU_VIOMMU_SET_DEV_ID ioctl'],
  vqueue:      ['2024-04-12', '[PATCH RFCv1 12/14] iommufd: Add IOMMUFD_OBJ_VQUEUE and IOMMUFD_CMD_VQUEUE_ALLOC'],
  viommuParts: ['2024-05-21', 'Re: [PATCH RFCv1 07/14] iommufd: Add viommu set/unset_dev_id ops'],
  vdevId:      ['2024-08-07', '[PATCH v1 05/16] iommufd/viommu: Add IOMMU_VIOMMU_SET/UNSET_VDEV_ID ioctl'],
  hwInfo:      ['2024-11-06', 'Re: [PATCH v4 05/12] iommu/arm-smmu-v3: Support IOMMU_GET_HW_INFO via struct arm_smmu_hw_info'],
} as const satisfies Readonly<Record<string, readonly [date: string, subject: string]>>;

export type MailName = keyof typeof mails;

export interface ProposedRow extends Omit<IoctlRow, 'struct' | 'since'> {
  readonly struct: Struct;
  readonly mail: MailName;
  /** What the mails leave open and was chosen here. */
  readonly derived?: string;
  /** Another name for a call that is there already. */
  readonly alias?: IoctlName;
}

/** The calls of each proposal. A name that the release has too stands in place of its row. */
// biome-ignore format: a table
export const proposedIoctls = {
  guestQueue: {
    IOMMU_HWPT_ALLOC:       { nr: 0x89, file: 'iommufd', struct: s['iommu_hwpt_alloc 2023-05'],      min: 24, mail: 'guestQueue' },
    IOMMU_GET_HW_INFO:      { nr: 0x8a, file: 'iommufd', struct: s['iommu_hw_info 2023-05'],         min: 32, mail: 'guestQueue' },
    IOMMU_RESV_IOVA_RANGES: { nr: 0x8b, file: 'iommufd', struct: s.iommu_resv_iova_ranges,           min: 24, mail: 'devData' },
    IOMMU_HWPT_INVALIDATE:  { nr: 0x8c, file: 'iommufd', struct: s['iommu_hwpt_invalidate 2023-05'], min: 24, mail: 'guestQueue' },
    IOMMU_SET_DEV_DATA:     { nr: 0x8d, file: 'iommufd', struct: s.iommu_set_dev_data,               min: 20, mail: 'devData' },
    IOMMU_UNSET_DEV_DATA:   { nr: 0x8e, file: 'iommufd', struct: s.iommu_unset_dev_data,             min:  8, mail: 'devData' },
  },
  driverCode: {
    IOMMU_HWPT_INVALIDATE:  { nr: 0x8d, file: 'iommufd', struct: s['iommu_hwpt_invalidate 2023-11'], min: 32, mail: 'invalidate' },
  },
  eventFd: {
    IOMMU_HWPT_INVALIDATE:  { nr: 0x8d, file: 'iommufd', struct: s['iommu_hwpt_invalidate 2023-11'], min: 32, mail: 'invalidate' },
    IOMMU_HWPT_EVENT_ALLOC: { nr: 0x8e, file: 'iommufd', struct: s.iommu_hwpt_event_alloc,           min: 16, mail: 'eventFd',     derived: 'number, name and struct' },
  },
  viommu: {
    IOMMU_VIOMMU_ALLOC:         { nr: 0x8e, file: 'iommufd', struct: s['iommu_viommu_alloc 2024-05'], min: 24, mail: 'viommu' },
    IOMMU_VIOMMU_SET_VDEV_ID:   { nr: 0x8f, file: 'iommufd', struct: s.iommu_viommu_set_vdev_id,      min: 24, mail: 'setDevId' },
    IOMMU_VQUEUE_ALLOC:         { nr: 0x90, file: 'iommufd', struct: s.iommu_vqueue_alloc,            min: 32, mail: 'vqueue' },
    IOMMU_VIOMMU_UNSET_VDEV_ID: { nr: 0x91, file: 'iommufd', struct: s.iommu_viommu_unset_vdev_id,    min: 24, mail: 'vdevId',      derived: 'number: the next free one' },
    IOMMU_VIOMMU_ATTACH:        { nr: 0x92, file: 'iommufd', struct: s.iommu_viommu_attach,           min: 16, mail: 'viommuParts', derived: 'number and struct' },
    IOMMU_DEV_INVALIDATE:       { nr: 0x93, file: 'iommufd', struct: s.iommu_dev_invalidate,          min: 32, mail: 'viommuParts', derived: 'number and struct' },
    IOMMU_VIOMMU_INVALIDATE:    { nr: 0x8d, file: 'iommufd', struct: ioctlStructs.iommu_hwpt_invalidate, min: 32, mail: 'viommuParts', alias: 'IOMMU_HWPT_INVALIDATE' },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, ProposedRow>>>>;

export type Proposal = keyof typeof proposedIoctls;
export type ProposedName = { [P in Proposal]: keyof (typeof proposedIoctls)[P] & string }[Proposal];
