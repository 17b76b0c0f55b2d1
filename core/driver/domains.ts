/**
 * Domains: made and freed (linux: arm_smmu_domain_alloc_paging_flags, arm_smmu_domain_finalise,
 * arm_smmu_domain_free_paging; arm-smmu-v3-iommufd.c, arm_vsmmu_alloc_domain_nested).
 */
import { present } from '../assert.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { freeAsid, freeVmid } from './ids.ts';
import { driverOf, portOf } from './port.ts';
import { behavioursOf } from './releases.ts';
import type { Domain, DriverState, PagingDomain } from './state.ts';
import { freeTable } from './table-free.ts';
import { shapeOf } from './table-shape.ts';
import { flushTag } from './tags.ts';

export interface PagingFlags {
  readonly nestParent?: boolean;
  readonly dirtyTracking?: boolean;
  readonly pasid?: boolean;
  /** Of a stage 2, shared with KVM; the lowest free one when absent. */
  readonly vmid?: number;
}

export interface Failure {
  readonly errno: Errno;
}

/** A new paging domain: stage 1, but for a nesting parent or where there is no stage 1. */
export function makePaging(
  context: Context,
  driver: DriverState,
  flags: PagingFlags,
): { domain: number } | Failure {
  const features = present(driver.features, 'features');
  const { nestParent = false, dirtyTracking = false, pasid = false } = flags;
  if (nestParent && (dirtyTracking || pasid || !features.nesting)) return { errno: 'EOPNOTSUPP' };
  if ((dirtyTracking || pasid) && !features.s1) return { errno: 'EOPNOTSUPP' };
  const stage = nestParent || !features.s1 ? 2 : 1;
  if (!portOf(driver).allocates(context, 'domain')) return { errno: 'ENOMEM' };
  const shape = shapeOf(features, driver.setup.platform, { stage, nestParent, dirty: dirtyTracking });
  const root = portOf(driver).take(context, driver, 2 ** shape.rootLog2, 'root table');
  if (root === undefined) return { errno: 'ENOMEM' };
  const table = { ...shape, root };
  const id = stage === 1 ? freeAsid(context.state, driver) : vmidFor(driver, flags.vmid);
  if (id === undefined) {
    portOf(driver).giveBack(context, driver, root, 2 ** shape.rootLog2);
    return { errno: stage === 1 ? 'EBUSY' : 'ENOSPC' };
  }
  const domain =
    stage === 1
      ? ({ kind: 's1', asid: id, ...sharing(driver), table, invs: [] } as const)
      : ({ kind: 's2', vmid: id, nestParent, table, invs: [] } as const);
  const made = context.emit(driver.setup.actor, { type: 'domain.made', driver: driver.name, domain });
  return { domain: made };
}

/** A driver that leaves its TLB commands out to broadcasts needs them to count. */
export function sharing(driver: DriverState): { readonly shared?: true } {
  const trusts = driver.features?.broadcast === true && portOf(driver).tlbi !== undefined;
  return trusts ? { shared: true } : {};
}

/** A VMID that somebody else's entries have would merge theirs with the new ones: it is refused. */
function vmidFor(driver: DriverState, shared: number | undefined): number | undefined {
  if (shared === undefined) return freeVmid(driver);
  const end = 2 ** (driver.features?.vmidBits ?? 0);
  return shared < end && driver.vmids.get(shared) === undefined ? shared : undefined;
}

/** The domain and its driver. */
export function findDomain(state: State, domain: number): { driver: DriverState; domain: Domain } {
  for (const driver of Object.values(state.drivers)) {
    const found = driver.domains.get(domain);
    if (found !== undefined) return { driver, domain: found };
  }
  return present<never>(undefined, `domain ${domain}`);
}

/** The same for a domain that has a page table. */
export function findPaging(state: State, domain: number): { driver: DriverState; domain: PagingDomain } {
  const found = findDomain(state, domain);
  return { driver: found.driver, domain: asPaging(found.domain) };
}

function asPaging(domain: Domain): PagingDomain {
  return domain.kind === 'nested' ? present<never>(undefined, 'page table of a nested domain') : domain;
}

export interface FreeFrame extends Frame {
  readonly do: 'domain.free';
  readonly driver: string;
  readonly domain: number;
  /** Its number is flushed already, in releases that do it here. */
  readonly flushed?: boolean;
}

/** Gives back the tables and the number of a domain that nobody is attached to. */
export const freeRow: FrameRow<FreeFrame> = {
  run: (context, { driver: name, domain: id, flushed }) => {
    const driver = driverOf(context.state, name);
    const domain = present(driver.domains.get(id), `domain ${id}`);
    const flush = flushed === true ? [] : flushBeforeFree(driver, domain);
    if (flush.length > 0) return [...flush, { do: 'domain.free', driver: name, domain: id, flushed: true }];
    if (domain.kind === 's1' && domain.cdTable !== undefined)
      portOf(driver).giveBack(context, driver, domain.cdTable.pa, domain.cdTable.bytes);
    // The tables of a process are its own.
    if (domain.kind === 's2' || (domain.kind === 's1' && domain.mm === undefined))
      freeTable(context, driver, domain.table, domain.table.startLevel, domain.table.root);
    context.emit(driver.setup.actor, { type: 'domain.freed', driver: name, domain: id });
    return [];
  },
};

/** linux before 7.0: io_pgtable_tlb_flush_all when the page table goes. */
function flushBeforeFree(driver: DriverState, domain: Domain): readonly Frame[] {
  if (domain.kind === 'nested' || behavioursOf(driver).tagFlush !== 'domain-free') return [];
  const tag = domain.invs.find(({ type }) => type === 'S1_ASID' || type === 'S2_VMID');
  return tag === undefined ? [] : flushTag(driver, tag);
}
