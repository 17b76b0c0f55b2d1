/**
 * Attaching as the driver of 6.1 does it (linux 6.1: arm_smmu_attach_dev, arm_smmu_detach_dev,
 * arm_smmu_domain_finalise_s1, arm_smmu_enable_ats): the endpoint leaves its domain first, to an STE that aborts;
 * the first attach of a domain makes its CD table, while no endpoint is known to use it, so that each of its
 * CMD_SYNCs goes out alone; ATS is switched on when all is written, off before anything is. A blocked domain is
 * that STE alone, where the real driver had a domain without mappings.
 */
import { present } from '../assert.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Context } from '../machine.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { CD_BYTES, emptyCd, masterOf, stage1Cd } from './cd.ts';
import { issueAndSync } from './cmdq.ts';
import { findPaging } from './domains.ts';
import { orderedSteps } from './entry-writer.ts';
import { invsOf, mergeInvs, unrefInvs } from './invalidations.ts';
import { driverOf, portOf } from './port.ts';
import { atcCommand } from './ranges.ts';
import { behavioursOf } from './releases.ts';
import type { Attachment, Domain, DriverState, Inv, Master, PagingDomain, Stage1Domain } from './state.ts';
import { abortSteOf, bypassSte, cdTableSte, stage2Ste } from './ste.ts';
import { storeFrame } from './stream-table.ts';

interface LeaveFrame extends Frame {
  readonly do: 'abort.leave';
  readonly driver: string;
  readonly endpoint: string;
}

interface EnterFrame extends Frame {
  readonly do: 'abort.enter' | 'abort.install' | 'abort.entered';
  readonly driver: string;
  readonly endpoint: string;
  readonly to: Attachment;
}

/** What such an attach has to do, or why it cannot be. */
export function planThroughAbort(
  driver: DriverState,
  endpoint: string,
  to: Attachment,
  domain: Domain | undefined,
): readonly Frame[] | { readonly errno: Errno } {
  if (domain?.kind === 'nested') return { errno: 'EOPNOTSUPP' };
  const about = { driver: driver.name, endpoint };
  const attached = masterOf(driver, endpoint).attached[0] ?? 'blocked';
  const leave = attached === 'blocked' ? [] : [{ do: 'abort.leave', ...about }];
  return to === 'blocked' ? leave : [...leave, { do: 'abort.enter', ...about, to }];
}

export const abortLeaveRow: FrameRow<LeaveFrame> = {
  run: (context, { driver: name, endpoint }) => {
    const driver = driverOf(context.state, name);
    const master = masterOf(driver, endpoint);
    const { attached, atsEnabled, streams } = master;
    const late = driver.quirks['ats-late-off'] === true;
    if (atsEnabled && !late) portOf(driver).switchAts(context, endpoint, false, driver);
    const old = attached[0];
    if (typeof old === 'number') {
      const { domain } = findPaging(context.state, old);
      publish(context, driver, domain, unrefInvs(domain.invs, invsOf(domain, master, 0, atsEnabled)));
    }
    context.emit(driver.setup.actor, {
      type: 'master.attached',
      driver: name,
      endpoint,
      ssid: 0,
      to: 'blocked',
      ats: false,
    });
    const flush = atsEnabled ? [issueAndSync(name, atcAll([master]))] : [];
    const stes = streams.map((sid) => ({ do: 'ste.write', driver: name, sid, target: abortSteOf(driver) }));
    const off = atsEnabled && late ? [{ do: 'ats.switch', driver: name, endpoint, on: false }] : [];
    return [...flush, ...stes, ...off];
  },
};

/** The CD table of a domain that has none; then the STEs. */
export const abortEnterRow: FrameRow<EnterFrame> = {
  run: (context, frame) => {
    const driver = driverOf(context.state, frame.driver);
    const install = { ...frame, do: 'abort.install' };
    if (typeof frame.to === 'string') return [install];
    const { domain } = findPaging(context.state, frame.to);
    if (domain.invs.length === 0) publish(context, driver, domain, [ownTag(domain)]);
    if (domain.kind === 's2' || domain.cdTable !== undefined) return [install];
    const stores = finalise(context, driver, masterOf(driver, frame.endpoint), domain);
    return stores === undefined ? undefined : [...stores, install];
  },
};

/** The domain's own use of its number, as long as it lives: what is unmapped is invalidated, attached or not. */
function ownTag(domain: PagingDomain): Inv {
  return domain.kind === 's1'
    ? { type: 'S1_ASID', id: domain.asid, ssid: 0, users: 1 }
    : { type: 'S2_VMID', id: domain.vmid, ssid: 0, users: 1 };
}

function finalise(
  context: Context,
  driver: DriverState,
  master: Master,
  domain: Stage1Domain,
): readonly Frame[] | undefined {
  const maxLog2 = master.ssidBits;
  const bytes = 2 ** maxLog2 * CD_BYTES;
  const pa = portOf(driver).take(context, driver, bytes, 'CD table');
  if (pa === undefined) return undefined;
  const table = { pa, twoLevel: false, bytes, maxLog2, leaves: {} };
  const { name, setup } = driver;
  context.emit(setup.actor, { type: 'domain.finalised', driver: name, domain: domain.id, table });
  const cd = stage1Cd(master, domain, behavioursOf(driver).mair);
  return orderedSteps(emptyCd, cd).flatMap((step) => [storeFrame(name, pa, step), issueAndSync(name, [])]);
}

export const abortInstallRow: FrameRow<EnterFrame> = {
  run: (context, frame) => {
    const driver = driverOf(context.state, frame.driver);
    const master = masterOf(driver, frame.endpoint);
    const target = steFor(context, driver, master, frame.to);
    const stes = master.streams.map((sid) => ({ do: 'ste.write', driver: driver.name, sid, target }));
    return [...stes, { ...frame, do: 'abort.entered' }];
  },
};

function steFor(
  context: Context,
  driver: DriverState,
  master: Master,
  to: Attachment,
): ReturnType<typeof bypassSte> {
  const features = present(driver.features, 'features');
  if (typeof to === 'string') return bypassSte(features, behavioursOf(driver).shcfg === 'incoming');
  const { domain } = findPaging(context.state, to);
  const ats = master.canAts;
  if (domain.kind === 's2') {
    const always = behavioursOf(driver).shcfg === 'incoming';
    return stage2Ste({ ...features, attrTypesOvr: features.attrTypesOvr || always }, master, domain, ats);
  }
  return cdTableSte(features, master, present(domain.cdTable, 'CD table'), { ats, s1dss: 'SUBSTREAM0' });
}

/** Only now the domain knows the endpoint, and invalidates its ATC. */
export const abortEnteredRow: FrameRow<EnterFrame> = {
  run: (context, { driver: name, endpoint, to }) => {
    const driver = driverOf(context.state, name);
    const master = masterOf(driver, endpoint);
    const ats = typeof to === 'number' && master.canAts;
    if (typeof to === 'number') {
      const { domain } = findPaging(context.state, to);
      publish(context, driver, domain, mergeInvs(domain.invs, invsOf(domain, master, 0, ats)));
    }
    context.emit(driver.setup.actor, { type: 'master.attached', driver: name, endpoint, ssid: 0, to, ats });
    if (!ats) return;
    const { masters } = driverOf(context.state, name);
    const users = Object.values(masters).filter((each) => each.attached[0] === to && each.atsEnabled);
    return [issueAndSync(name, atcAll(users)), { do: 'ats.switch', driver: name, endpoint, on: true }];
  },
};

function atcAll(masters: readonly Master[]): ReturnType<typeof atcCommand>[] {
  return masters.flatMap(({ streams }) => streams.map((sid) => atcCommand(sid, 0, { iova: 0, size: 0 })));
}

function publish({ emit }: Context, driver: DriverState, { id }: PagingDomain, invs: readonly Inv[]): void {
  emit(driver.setup.actor, { type: 'invalidations.changed', driver: driver.name, domain: id, invs });
}
