/**
 * Attaching an endpoint, or a SubstreamID of it, to a domain (linux: arm_smmu_attach_dev and its relatives,
 * arm_smmu_attach_prepare, arm_smmu_attach_commit, arm_smmu_set_pasid): the invalidation array first, so that
 * both domains reach the endpoint while its STE changes; ATS off before the STE, on after it; the old domain's
 * number is flushed when its last user is gone.
 */
import { present } from '../assert.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Context } from '../machine.ts';
import type { Ste } from '../smmu/ste.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { planThroughAbort } from './attach-through-abort.ts';
import { emptyCd, extendCdTable, masterOf } from './cd.ts';
import { issueAndSync } from './cmdq.ts';
import { findDomain, findPaging } from './domains.ts';
import type { Entry } from './entry-writer.ts';
import { invsOf, mergeInvs, unrefInvs } from './invalidations.ts';
import { driverOf, portOf } from './port.ts';
import { atcCommand } from './ranges.ts';
import { behavioursOf } from './releases.ts';
import type { Attachment, Domain, DriverState, Inv, Master, PagingDomain, Vmaster } from './state.ts';
import { abortSte, bypassSte, cdTableSte, nestedSte, stage2Ste } from './ste.ts';
import { cdOf } from './sva.ts';
import { flushTag } from './tags.ts';

export type Target = { readonly domain: number } | 'blocked' | 'identity';

export interface AttachOptions {
  /** SubstreamID; 0 for requests without one. */
  readonly pasid?: number;
  /** Whose events the endpoint's are, where it has a vDEVICE. */
  readonly vmaster?: Vmaster;
  /** MEV=1 in nested STEs (from 6.15); true when absent. */
  readonly mev?: boolean;
  /** Whose driver: `host` when absent, or a VM. */
  readonly owner?: string;
}

interface AttachFrame extends Frame {
  readonly do: 'attach.prepare' | 'attach.commit';
  readonly driver: string;
  readonly endpoint: string;
  readonly ssid: number;
  readonly to: Attachment;
  readonly vmaster?: Vmaster;
  readonly mev: boolean;
  /** ATS of the endpoint when all is done; decided at the preparation. */
  readonly ats: boolean;
}

/** The owner's driver that serves an endpoint. */
export function driverOfEndpoint(
  { drivers }: State,
  endpoint: string,
  owner = 'host',
): DriverState | undefined {
  return Object.values(drivers).find(
    ({ setup, masters }) => setup.owner === owner && masters[endpoint] !== undefined,
  );
}

/** SubstreamIDs of the endpoint that have a domain. */
function pasidsOf({ attached }: Master): readonly number[] {
  return Object.keys(attached)
    .map(Number)
    .filter((ssid) => ssid !== 0);
}

/** Checks an attach. Returns what is to be done, or why it cannot be. */
export function planAttach(
  context: Context,
  endpoint: string,
  target: Target,
  { pasid = 0, vmaster, mev = true, owner }: AttachOptions,
): readonly Frame[] | { readonly errno: Errno } {
  const driver = driverOfEndpoint(context.state, endpoint, owner);
  if (driver === undefined || !driver.running) return { errno: 'ENODEV' };
  const master = masterOf(driver, endpoint);
  const to = typeof target === 'string' ? target : target.domain;
  const domain = domainOf(context.state, driver, to);
  if (domain === 'elsewhere') return { errno: 'EINVAL' };
  const errno =
    pasid === 0 ? refusal(master, domain) : pasidRefusal(context.state, driver, master, domain, to);
  if (errno !== undefined) return { errno };
  const { attach: way, substreams } = behavioursOf(driver);
  if (pasid !== 0 && !substreams) return { errno: 'EOPNOTSUPP' };
  if (way === 'through-abort') return planThroughAbort(driver, endpoint, to, domain);
  if (pasid >= 2 ** master.ssidBits && pasid !== 0) return { errno: 'EINVAL' };
  if (pasid !== 0 && to === 'blocked') return removePasid(driver, endpoint, pasid);
  // The place for the CD comes before all else; it may need a command of its own.
  const place = domain?.kind === 's1' ? extendCdTable(context, driver, endpoint, pasid) : [];
  if (place === undefined) return { errno: 'ENOMEM' };
  const known = vmaster === undefined ? {} : { vmaster };
  const frame = {
    do: 'attach.prepare',
    driver: driver.name,
    endpoint,
    ssid: pasid,
    to,
    ...known,
    mev,
    ats: false,
  };
  return [...place, frame];
}

/** The domain of this driver; undefined for identity and blocked. */
function domainOf(state: State, driver: DriverState, to: Attachment): Domain | undefined | 'elsewhere' {
  if (typeof to === 'string') return undefined;
  const found = findDomain(state, to);
  return found.driver.name === driver.name ? found.domain : 'elsewhere';
}

/** Stage 2 and nested STEs have no room for a CD table of the host's. */
function refusal(master: Master, domain: Domain | undefined): Errno | undefined {
  const withoutTable = domain?.kind === 's2' || domain?.kind === 'nested';
  return withoutTable && pasidsOf(master).length > 0 ? 'EBUSY' : undefined;
}

function pasidRefusal(
  state: State,
  driver: DriverState,
  master: Master,
  domain: Domain | undefined,
  to: Attachment,
): Errno | undefined {
  if (to === 'blocked') return undefined;
  if (domain?.kind !== 's1') return 'EINVAL';
  const rid = domainOf(state, driver, master.attached[0] ?? 'blocked');
  const ridFits = rid === undefined || (rid !== 'elsewhere' && rid.kind === 's1');
  return ridFits ? undefined : 'EINVAL';
}

export const prepareRow: FrameRow<AttachFrame> = {
  run: (context, frame) => {
    const driver = driverOf(context.state, frame.driver);
    const master = masterOf(driver, frame.endpoint);
    const domain = domainOf(context.state, driver, frame.to);
    if (domain === 'elsewhere') return;
    const ats = decideAts(master, domain, frame.ssid);
    const paging = pagingOf(context.state, domain);
    if (paging !== undefined)
      publish(context, driver, paging, mergeInvs(paging.invs, usedBy(paging, master, frame.ssid, ats)));
    const late = driver.quirks['ats-late-off'] === true;
    if (master.atsEnabled && !ats && !late) portOf(driver).switchAts(context, frame.endpoint, false, driver);
    return [
      ...entryFrames(context, driver, master, domain, { ...frame, ats }),
      { ...frame, do: 'attach.commit', ats },
    ];
  },
};

/** ATS where all the way has it, and the STE can carry it. */
function decideAts(master: Master, domain: Domain | undefined, ssid: number): boolean {
  if (domain === undefined) return master.canAts && (ssid !== 0 || pasidsOf(master).length > 0);
  if (domain.kind === 'nested' && !domain.wantsAts) return false;
  return master.canAts;
}

/** The domain whose array the endpoint is in: a nested one is in its parent's. */
function pagingOf(state: State, domain: Domain | undefined): PagingDomain | undefined {
  if (domain?.kind !== 'nested') return domain;
  return findPaging(state, domain.parent).domain;
}

function usedBy(paging: PagingDomain, master: Master, ssid: number, ats: boolean): readonly Inv[] {
  return invsOf(paging, master, ssid, ats);
}

function publish({ emit }: Context, driver: DriverState, { id }: PagingDomain, invs: readonly Inv[]): void {
  emit(driver.setup.actor, { type: 'invalidations.changed', driver: driver.name, domain: id, invs });
}

/** The stores of the CD and the STEs, in their order. */
function entryFrames(
  context: Context,
  driver: DriverState,
  master: Master,
  domain: Domain | undefined,
  { endpoint, ssid, to, ats, mev }: AttachFrame,
): readonly Frame[] {
  const features = present(driver.features, 'features');
  const { name } = driver;
  const cd = (target: Entry): Frame => ({ do: 'cd.write', driver: name, endpoint, ssid, target });
  const stes = (target: Entry, used: boolean): readonly Frame[] => {
    if (used !== master.cdInSte)
      context.emit(driver.setup.actor, { type: 'cdtab.used', driver: name, endpoint, used });
    return master.streams.map((sid) => ({ do: 'ste.write', driver: name, sid, target }));
  };
  const table = (s1dss: Ste['S1DSS']): Entry =>
    cdTableSte(features, master, present(master.cdTable, 'CD table'), { ats, s1dss });
  if (ssid !== 0 && domain?.kind === 's1') {
    const same = master.cdInSte && master.atsEnabled === ats;
    const rid = master.attached[0] ?? 'blocked';
    return [cd(cdOf(driver, master, domain)), ...(same ? [] : stes(table(s1dssFor(rid)), true))];
  }
  if (domain === undefined) {
    if (pasidsOf(master).length > 0) return stes(table(s1dssFor(to)), true);
    return stes(to === 'identity' ? bypassSte(features) : abortSte, false);
  }
  if (domain.kind === 's1') return [cd(cdOf(driver, master, domain)), ...stes(table('SUBSTREAM0'), true)];
  if (domain.kind === 's2') return [...stes(stage2Ste(features, master, domain, ats), false), cd(emptyCd)];
  const parent = findPaging(context.state, domain.parent).domain;
  if (parent.kind !== 's2') return [];
  return stes(nestedSte(stage2Ste(features, master, parent, ats), domain.vste, mev), false);
}

/** What requests without a SubstreamID meet while SubstreamIDs are in use. */
function s1dssFor(rid: Attachment): Ste['S1DSS'] {
  if (rid === 'identity') return 'BYPASS';
  return rid === 'blocked' ? 'TERMINATE' : 'SUBSTREAM0';
}

export const commitRow: FrameRow<AttachFrame> = {
  run: (context, { driver: name, endpoint, ssid, to, ats, vmaster }) => {
    const driver = driverOf(context.state, name);
    const master = masterOf(driver, endpoint);
    const had = master.atsEnabled;
    const old = master.attached[ssid];
    const frames: Frame[] = [];
    // Enabling flushes all; a change flushes what the SubstreamID may have; disabling flushes all.
    if (ats || had) frames.push(issueAndSync(name, atcAll(master, ats && had ? ssid : 0)));
    const late = had && !ats && driver.quirks['ats-late-off'] === true;
    if (ats !== had && (ats || late)) frames.push({ do: 'ats.switch', driver: name, endpoint, on: ats });
    const known = vmaster === undefined || ssid !== 0 ? {} : { vmaster };
    const left = leave(context, driver, master, { old, ssid, ats: had });
    context.emit(driver.setup.actor, {
      type: 'master.attached',
      driver: name,
      endpoint,
      ssid,
      to,
      ats,
      ...known,
    });
    frames.push(...left);
    if (ssid === 0 && typeof to === 'string')
      frames.push({ do: 'cd.write', driver: name, endpoint, ssid, target: emptyCd });
    return frames;
  },
};

export interface AtsFrame extends Frame {
  readonly do: 'ats.switch';
  readonly driver: string;
  readonly endpoint: string;
  readonly on: boolean;
}

export const atsRow: FrameRow<AtsFrame> = {
  run: (context, { driver: name, endpoint, on }) => {
    const driver = driverOf(context.state, name);
    portOf(driver).switchAts(context, endpoint, on, driver);
  },
};

function atcAll({ streams }: Master, ssid: number): ReturnType<typeof atcCommand>[] {
  return streams.map((sid) => atcCommand(sid, ssid, { iova: 0, size: 0 }));
}

/** Takes the endpoint out of the old domain's array; a number that nobody uses then is flushed. */
function leave(
  context: Context,
  driver: DriverState,
  master: Master,
  { old, ssid, ats }: { readonly old: Attachment | undefined; readonly ssid: number; readonly ats: boolean },
): readonly Frame[] {
  if (typeof old !== 'number') return [];
  const paging = pagingOf(context.state, driver.domains.get(old));
  if (paging === undefined) return [];
  const invs = unrefInvs(paging.invs, usedBy(paging, master, ssid, ats));
  publish(context, driver, paging, invs);
  const tag = paging.invs.find(({ type }) => type === 'S1_ASID' || type === 'S2_VMID');
  const lives = invs.some(({ type }) => type === tag?.type);
  return tag === undefined || lives ? [] : flushTag(driver, tag);
}

function removePasid(driver: DriverState, endpoint: string, ssid: number): readonly Frame[] {
  const master = masterOf(driver, endpoint);
  if (master.attached[ssid] === undefined) return [];
  const atc = master.atsEnabled ? [issueAndSync(driver.name, atcAll(master, ssid))] : [];
  return [
    { do: 'cd.write', driver: driver.name, endpoint, ssid, target: emptyCd },
    ...atc,
    { do: 'pasid.leave', driver: driver.name, endpoint, ssid },
  ];
}

interface LeaveFrame extends Frame {
  readonly do: 'pasid.leave';
  readonly driver: string;
  readonly endpoint: string;
  readonly ssid: number;
}

/** The last SubstreamID gone, an STE without translation is what it was before. */
export const leaveRow: FrameRow<LeaveFrame> = {
  run: (context, { driver: name, endpoint, ssid }) => {
    const driver = driverOf(context.state, name);
    const master = masterOf(driver, endpoint);
    const frames = leave(context, driver, master, {
      old: master.attached[ssid],
      ssid,
      ats: master.atsEnabled,
    });
    context.emit(driver.setup.actor, { type: 'pasid.removed', driver: name, endpoint, ssid });
    const rid = master.attached[0] ?? 'blocked';
    if (pasidsOf(master).length > 0 || typeof rid === 'number') return frames;
    const prepare = { do: 'attach.prepare', driver: name, endpoint, ssid: 0, to: rid, mev: true, ats: false };
    return [...frames, prepare];
  },
};
