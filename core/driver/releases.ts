/**
 * What differs between releases of the driver, each difference by a name, and which release has which. A
 * release that a driver does not name is the present one.
 */
import type { DriverState } from './state.ts';

export interface Behaviours {
  /** Stores of STEs and CDs: so that hardware sees the old or the new one, or always in one order. */
  readonly entries: 'hitless' | 'in-order';
  /** An attach changes the STE where it stands, or goes through an STE that aborts. */
  readonly attach: 'in-place' | 'through-abort';
  /** Whose the CD table is. */
  readonly cdTable: 'endpoint' | 'domain';
  /** When an ASID or VMID is flushed: its last user leaves, or its domain is freed. */
  readonly tagFlush: 'last-detach' | 'domain-free';
  /** A default domain is flushed after an endpoint's reserved regions were looked at, mapped or not. */
  readonly flushDefault: boolean;
  /** Without range invalidation, a range of very many leaves becomes an invalidation of all. */
  readonly manyLeaves: 'all' | 'each';
  /** SHCFG of STEs without stage 1: use incoming always, or where IDR1.ATTR_TYPES_OVR lets it count. */
  readonly shcfg: 'incoming' | 'where-overridable';
  /** Bits 63:32 of the CD's MAIR doubleword: bit 31 again, or 0. */
  readonly mair: 'sign-extended' | 'plain';
  /** IOVAs that a magazine holds, and magazines of a depot (0: any number). */
  readonly magazine: number;
  readonly depotMax: number;
  /** Domains for SubstreamIDs and nested domains can be attached. */
  readonly substreams: boolean;
}

export interface ReleaseRow extends Behaviours {
  /** What the behaviours were taken from. */
  readonly source: string;
}

export const releases = {
  'linux-6.1': {
    source:
      'linux 6.1: arm_smmu_attach_dev, arm_smmu_write_strtab_ent, arm_smmu_write_ctx_desc, arm_smmu_tlb_inv_context; captures of 6.1.192',
    entries: 'in-order',
    attach: 'through-abort',
    cdTable: 'domain',
    tagFlush: 'domain-free',
    flushDefault: true,
    manyLeaves: 'each',
    shcfg: 'incoming',
    mair: 'sign-extended',
    magazine: 128,
    depotMax: 32,
    substreams: false,
  },
  'linux-7.0': {
    source: 'linux 7.0: arm_smmu_write_entry, arm_smmu_attach_prepare, arm_smmu_domain_inv_range',
    entries: 'hitless',
    attach: 'in-place',
    cdTable: 'endpoint',
    tagFlush: 'last-detach',
    flushDefault: false,
    manyLeaves: 'all',
    shcfg: 'where-overridable',
    mair: 'plain',
    magazine: 127,
    depotMax: 0,
    substreams: true,
  },
} as const satisfies Readonly<Record<string, ReleaseRow>>;

export type ReleaseName = keyof typeof releases;
export const defaultRelease: ReleaseName = 'linux-7.0';
export const releaseNames = Object.keys(releases) as readonly ReleaseName[];

/** How a driver's release behaves. */
export function behavioursOf({ setup }: Pick<DriverState, 'setup'>): Behaviours {
  return releases[setup.release ?? defaultRelease];
}

/** Whether there is such a release. */
export function isRelease(name: string | undefined): name is ReleaseName {
  return name !== undefined && Object.hasOwn(releases, name);
}
