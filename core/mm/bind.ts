/**
 * Devices get the address space of a process (linux: iommu_sva_bind_device, iommu_sva_unbind_device, with
 * iommu_sva_lock held): one SubstreamID for a process, one domain for each SMMU, told of the process's changes
 * from before the CD names its tables until after the CD is cleared.
 */
import { driverOfEndpoint, planAttach } from '../driver/attach.ts';
import { findPaging } from '../driver/domains.ts';
import { driverOf, tell } from '../driver/port.ts';
import { behavioursOf } from '../driver/releases.ts';
import type { DriverState, Master } from '../driver/state.ts';
import { makeSva, svaLacks } from '../driver/sva.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { type Asked, answerFrame, dropMm, makeMm } from './made.ts';
import { type Bond, findMm, type Mm, mmOf, mmsOf } from './state.ts';

export interface BindFrame extends Asked {
  readonly do: 'sva.bind' | 'sva.unbind';
  readonly endpoint: string;
  /** SubstreamID asked for; the process's, or the lowest free one, when absent. */
  readonly ssid?: number;
}

/** Where an endpoint is, with the owner's driver of its SMMU. */
interface Place {
  readonly driver: DriverState;
  readonly master: Master;
}

function placeOf(state: State, { owner, endpoint }: BindFrame): Place | undefined {
  const driver = driverOfEndpoint(state, endpoint, owner);
  const master = driver?.masters[endpoint];
  return driver === undefined || master === undefined ? undefined : { driver, master };
}

function bondOf({ bonds }: Mm, { driver }: Place, endpoint: string): Bond | undefined {
  return bonds.find((bond) => bond.driver === driver.name && bond.endpoint === endpoint);
}

export const bindRow: FrameRow<BindFrame> = {
  run: (context, frame) => {
    const { endpoint, mm: key, owner } = frame;
    const fail = (errno: Errno): readonly Frame[] => [answerFrame(frame, { errno })];
    const place = placeOf(context.state, frame);
    if (place === undefined || !place.driver.running) return fail('EOPNOTSUPP');
    const refused = unsupported(context, place.driver);
    if (refused !== undefined) return fail(refused);
    const mm = findMm(context.state, key) ?? makeMm(context, frame);
    if (mm === undefined) return fail('ENOMEM');
    if (mm.exited) return fail('EINVAL');
    const ssid = pasidFor(context.state, mm, place.master, frame.ssid);
    if (typeof ssid === 'string') return fail(ssid);
    const bond = bondOf(mm, place, endpoint);
    if (bond !== undefined) {
      emitBound(context, key, { ...bond, users: bond.users + 1 }, ssid);
      return [answerFrame(frame, { value: { ssid } })];
    }
    if (place.master.attached[ssid] !== undefined) return fail('EBUSY');
    const domain = domainFor(context, key, place.driver);
    if (typeof domain === 'string') return fail(domain);
    const plan = planAttach(context, endpoint, { domain }, { pasid: ssid, owner });
    if ('errno' in plan) return [...leaveDomain(context, key, domain), ...fail(plan.errno)];
    const bound = { do: 'sva.bound', mm: key, driver: place.driver.name, endpoint, domain, ssid };
    return [...plan, bound, answerFrame(frame, { value: { ssid } })];
  },
};

/** The release may not have it, and the SMMU may lack what the CPUs have. */
function unsupported(context: Context, driver: DriverState): Errno | undefined {
  const { features, setup } = driver;
  if (!behavioursOf(driver).substreams || features === undefined) return 'EOPNOTSUPP';
  const lacks = svaLacks(features, setup.platform);
  if (lacks === undefined) return undefined;
  tell(context, driver, 'SVA is not offered, the SMMU lacks', lacks);
  return 'EOPNOTSUPP';
}

/** linux: iommu_alloc_mm_data. A process has one for all devices; it is its owner's alone. */
function pasidFor(state: State, mm: Mm, { ssidBits }: Master, asked: number | undefined): number | Errno {
  const end = ssidBits === 0 ? 0 : 2 ** ssidBits;
  if (mm.pasid !== 0) {
    if (asked !== undefined && asked !== mm.pasid) return 'EINVAL';
    return mm.pasid < end ? mm.pasid : 'EOVERFLOW';
  }
  const taken = new Set(mmsOf(state, mm.owner).map(({ pasid }) => pasid));
  if (asked !== undefined) {
    if (asked === 0 || asked >= end) return 'EINVAL';
    return taken.has(asked) ? 'EBUSY' : asked;
  }
  for (let ssid = 1; ssid < end; ssid += 1) if (!taken.has(ssid)) return ssid;
  return 'ENOSPC';
}

/** The process's domain on this SMMU; a new one is told of changes before a CD leads to the tables. */
function domainFor(context: Context, key: string, driver: DriverState): number | Errno {
  const mm = mmOf(context.state, key);
  const held = mm.notifiers.find((id) => findPaging(context.state, id).driver.name === driver.name);
  if (held !== undefined) return held;
  const made = makeSva(context, driver, key, mm.table);
  if ('errno' in made) return made.errno;
  context.emit(driver.setup.actor, { type: 'notifier.added', mm: key, domain: made.domain });
  return made.domain;
}

/** A domain that no device has any more goes, and with it perhaps the last of the process. */
function leaveDomain(context: Context, key: string, domain: number): readonly Frame[] {
  const mm = mmOf(context.state, key);
  if (mm.bonds.some((bond) => bond.domain === domain)) return [];
  const { driver } = findPaging(context.state, domain);
  context.emit(driver.setup.actor, { type: 'notifier.removed', mm: key, domain });
  dropMm(context, key);
  return [{ do: 'domain.free', driver: driver.name, domain }];
}

interface BoundFrame extends Frame {
  readonly do: 'sva.bound' | 'sva.unbound';
  readonly mm: string;
  readonly driver: string;
  readonly endpoint: string;
  readonly domain: number;
  readonly ssid: number;
}

function emitBound(context: Context, mm: string, bond: Bond, ssid: number): void {
  const { actor } = driverOf(context.state, bond.driver).setup;
  context.emit(actor, { type: 'sva.bound', mm, ...bond, ssid });
}

export const boundRow: FrameRow<BoundFrame> = {
  run: (context, { mm, driver, endpoint, domain, ssid }) =>
    emitBound(context, mm, { driver, endpoint, domain, users: 1 }, ssid),
};

export const unbindRow: FrameRow<BindFrame> = {
  run: (context, frame) => {
    const { endpoint, mm: key, owner } = frame;
    const place = placeOf(context.state, frame);
    const mm = findMm(context.state, key);
    const bond = mm === undefined || place === undefined ? undefined : bondOf(mm, place, endpoint);
    if (mm === undefined || place === undefined || bond === undefined)
      return [answerFrame(frame, { errno: 'EINVAL' })];
    const { domain, driver } = bond;
    if (bond.users > 1) {
      const { actor } = place.driver.setup;
      context.emit(actor, { type: 'sva.unbound', mm: key, driver, endpoint, users: bond.users - 1 });
      return [answerFrame(frame, {})];
    }
    const plan = planAttach(context, endpoint, 'blocked', { pasid: mm.pasid, owner });
    if ('errno' in plan) return [answerFrame(frame, plan)];
    const last = { do: 'sva.unbound', mm: key, driver, endpoint, domain, ssid: mm.pasid };
    return [...plan, last, answerFrame(frame, {})];
  },
};

export const unboundRow: FrameRow<BoundFrame> = {
  run: (context, { mm, driver, endpoint, domain }) => {
    const { actor } = driverOf(context.state, driver).setup;
    context.emit(actor, { type: 'sva.unbound', mm, driver, endpoint, users: 0 });
    return leaveDomain(context, mm, domain);
  },
};
