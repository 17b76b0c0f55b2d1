/**
 * What a kernel asks of the driver (linux: the ops tables of struct iommu_domain_ops and iommufd_viommu_ops).
 * A call checks and answers at once; what has to wait for hardware comes back as frames, to be done by the
 * caller's task. A domain is named by a number that is unique among all drivers.
 */
import { present } from '../assert.ts';
import type { Errno } from '../kernel/errno.ts';
import { allocates } from '../kernel/kernel.ts';
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import type { Frame } from '../tasks/task.ts';
import { type AttachOptions, driverOfEndpoint, planAttach, type Target } from './attach.ts';
import type { Cmd } from './commands.ts';
import type { Protection } from './descriptors.ts';
import { dirtyPages, physicalOf } from './dirty.ts';
import { findDomain, findPaging, makePaging, type PagingFlags } from './domains.ts';
import { resumeFrame } from './event-queues.ts';
import type { GuestView } from './guest-commands.ts';
import { hwInfoOf } from './hw-info.ts';
import { makeNested, type Vste } from './nested.ts';
import { driverOf } from './port.ts';
import type { DriverState } from './state.ts';
import { mapRuns, type PhysicalRun } from './table-map.ts';
import { unmapFrames } from './table-unmap.ts';
import type { InvalidateRules } from './viommu.ts';

interface Failed {
  readonly errno: Errno;
}

/** The SMMU's ID registers as GET_HW_INFO gives them. @param type asked for; 0 for the default */
export function hwInfo(
  state: State,
  smmu: string,
  type: number,
): { readonly type: number; readonly bytes: Uint8Array } | Failed {
  return hwInfoOf(state, smmu, type);
}

function runningDriver(state: State, smmu: string): DriverState | undefined {
  const driver = state.drivers[smmu];
  return driver?.running === true ? driver : undefined;
}

/** A paging domain: stage 1, or stage 2 for a nesting parent. */
export function allocPaging(
  context: Context,
  smmu: string,
  flags: PagingFlags,
): { readonly domain: number } | Failed {
  const driver = runningDriver(context.state, smmu);
  return driver === undefined ? { errno: 'ENODEV' } : makePaging(context, driver, flags);
}

/**
 * A nested domain of a vIOMMU.
 * @param parent.vetoAll bypass and abort vSTEs turn ATS off too (before 6.19)
 */
export function allocNested(
  context: Context,
  smmu: string,
  { parentDomain, vetoAll = false }: { readonly parentDomain: number; readonly vetoAll?: boolean },
  vste: Vste,
): { readonly domain: number; readonly wantsAts: boolean } | Failed {
  const driver = runningDriver(context.state, smmu);
  if (driver === undefined) return { errno: 'ENODEV' };
  if (!allocates(context, 'nested domain')) return { errno: 'ENOMEM' };
  return makeNested(context, driver, parentDomain, vste, vetoAll);
}

/** Frees a domain that nothing is attached to. */
export function freeDomain({ state }: Context, domain: number): readonly Frame[] {
  return [{ do: 'domain.free', driver: findDomain(state, domain).driver.name, domain }];
}

/** Whether a vIOMMU can be made on the SMMU: nesting, coherence that the VM cannot defeat, no forced CMD_SYNC. */
export function canNest(state: State, smmu: string): boolean {
  const driver = runningDriver(state, smmu);
  if (driver?.features === undefined) return false;
  const { nesting, fwb, forceSync } = driver.features;
  return nesting && (fwb || driver.setup.platform.canwbs) && !forceSync;
}

/** VMID of a stage 2 domain: what a vIOMMU over it has. */
export function vmidOf(state: State, domain: number): number {
  const found = findDomain(state, domain).domain;
  return found.kind === 's2' ? found.vmid : 0;
}

/** Page sizes, a bit each, and bits of its input addresses. */
export function geometry(
  state: State,
  domain: number,
): { readonly pageSizes: bigint; readonly inputBits: number } {
  const { pageSizes, ias } = findPaging(state, domain).domain.table;
  return { pageSizes, inputBits: ias };
}

/**
 * Maps physical runs one behind the other; stores only. What is not aligned to the smallest page is EINVAL (linux:
 * iommu_map).
 * @param after takes what must be done before the reply: an invalidation, where a table stood in the way, and
 * the rest of the mapping. Without it a unit of the driver does that.
 */
export function mapPages(
  context: Context,
  domain: number,
  iova: bigint,
  runs: readonly PhysicalRun[],
  prot: Protection,
  after?: Frame[],
): Errno | undefined {
  if (!prot.read && !prot.write) return 'EINVAL';
  const page = 2 ** findPaging(context.state, domain).domain.table.granuleLog2;
  if (Number(iova) % page !== 0 || runs.some(({ pa, size }) => pa % page !== 0 || size % page !== 0))
    return 'EINVAL';
  const frames: Frame[] = after ?? [];
  const errno = mapRuns(context, domain, Number(iova), runs, prot, frames);
  if (after === undefined && frames.length > 0) {
    const unit = `${findDomain(context.state, domain).driver.name}.map`;
    context.emit(unit, { type: 'task.begun', unit, what: 'rest of a mapping', frames });
  }
  return errno;
}

/** Clears a range at once, as far as no table goes with it; the frames invalidate, and finish it. */
export function unmapPages(
  context: Context,
  domain: number,
  iova: bigint,
  size: bigint | number,
): readonly Frame[] {
  return unmapFrames(context, domain, Number(iova), Number(size));
}

/** Whether a domain maps an address. */
export function isMapped(state: State, domain: number, iova: bigint): boolean {
  return physicalOf(state, domain, Number(iova)) !== undefined;
}

/** Answers a stalled access: it is tried again, or it ends with an abort. */
export function respond(
  { state }: Context,
  endpoint: string,
  {
    streamId,
    stag,
    granted,
  }: { readonly streamId: number; readonly stag: number; readonly granted: boolean },
): readonly Frame[] {
  const driver = driverOfEndpoint(state, endpoint);
  return driver === undefined ? [] : [resumeFrame(driver.name, streamId, stag, granted)];
}

/** Attaches an endpoint, or one of its SubstreamIDs, to a domain. */
export function attach(
  context: Context,
  endpoint: string,
  target: Target,
  options: AttachOptions = {},
): readonly Frame[] | Failed {
  return planAttach(context, endpoint, target, options);
}

/**
 * Invalidates for a guest. The last frame done is `invalidate.done` { handled, errno? } with what `about` holds.
 */
export function viommuInvalidate(
  { state }: Context,
  smmu: string,
  view: GuestView,
  commands: readonly Cmd[],
  rules: InvalidateRules,
  about: Readonly<Record<string, unknown>> = {},
): readonly Frame[] {
  const { name: driver } = driverOf(state, smmu);
  return [{ do: 'viommu.invalidate', driver, view, commands, rules, at: 0, issued: 0, about }];
}

interface DirtyRange {
  readonly iova: bigint;
  readonly size: bigint;
  readonly pageSize: bigint;
}

/** Pages written through a domain, by their number in the range. */
export function dirtyBitmap(context: Context, domain: number, range: DirtyRange): readonly number[] {
  return dirtyPages(context, domain, numbersOf(range), false);
}

/** The same, and they are clean from now on. */
export function clearDirty(context: Context, domain: number, range: DirtyRange): readonly number[] {
  return dirtyPages(context, domain, numbersOf(range), true);
}

/** Whether hardware keeps dirty state for the domain. */
export function tracksDirty(state: State, domain: number): boolean {
  return findPaging(state, domain).domain.table.dirty;
}

/** Whether the SMMU can: IDR0.HTTU and coherent walks. */
export function canTrackDirty(state: State, smmu: string): boolean {
  const features = present(state.drivers[smmu], `driver ${smmu}`).features;
  return features?.hd === true && features.coherent;
}

function numbersOf({ iova, size, pageSize }: DirtyRange): { iova: number; size: number; pageSize: number } {
  return { iova: Number(iova), size: Number(size), pageSize: Number(pageSize) };
}
