/**
 * The default domain of an endpoint is changed, goes, or comes (linux: iommu_change_dev_def_domain,
 * iommu_dma_init_fq, iommu_setup_default_domain): from strict to lazy where it stands; to all else by way of a new
 * domain, when nothing is mapped.
 */
import { planAttach, type Target } from '../driver/attach.ts';
import { findDomain, makePaging } from '../driver/domains.ts';
import { driverOf } from '../driver/port.ts';
import type { DriverState } from '../driver/state.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Context } from '../machine.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { emitOpened, openDma } from './domain.ts';
import type { DmaDomain, DmaKind } from './state.ts';

export type DefaultKind = DmaKind | 'identity' | 'blocked';

interface Asked extends Frame {
  readonly driver: string;
  readonly endpoint: string;
  readonly call: number;
}

export interface AttachFrame extends Asked {
  readonly do: 'dma.attach';
  readonly to: DefaultKind;
  /** SubstreamID; 0 for the endpoint itself. */
  readonly ssid: number;
  readonly what: string;
}

export interface AnswerFrame extends Frame {
  readonly do: 'guest.answer';
  readonly driver: string;
  readonly call: number;
  readonly what: string;
  readonly errno?: Errno;
  readonly value?: Readonly<Record<string, number>>;
}

export const answerRow: FrameRow<AnswerFrame> = {
  run: (context, { driver, call, what, errno, value }) => {
    const { actor } = driverOf(context.state, driver).setup;
    context.emit(actor, {
      type: 'guest.answered',
      driver,
      call,
      what,
      ...(errno === undefined ? {} : { errno }),
      ...(value === undefined ? {} : { value }),
    });
    return [];
  },
};

export const attachRow: FrameRow<AttachFrame> = {
  run: (context, { driver: name, endpoint, call, to, ssid, what }) => {
    const driver = driverOf(context.state, name);
    const answer = (errno?: Errno): Frame => ({
      do: 'guest.answer',
      driver: name,
      call,
      what,
      ...(errno === undefined ? {} : { errno }),
    });
    const old = openDma(context, driver, endpoint);
    if (typeof old === 'object' && 'errno' in old && old.errno === 'EBUSY') return [answer('EBUSY')];
    const domain = typeof old === 'object' && 'domain' in old ? old.domain : undefined;
    const now = domain === undefined ? undefined : driverOf(context.state, name).dma?.[domain];
    if (ssid !== 0) {
      const plan = planSubstream(context, driver, endpoint, ssid, to, now);
      return 'errno' in plan ? [answer(plan.errno)] : [...plan, answer()];
    }
    if (now !== undefined && now.kind === to) return [answer()];
    if (now?.kind === 'dma' && to === 'dma-fq') {
      context.emit(driver.setup.actor, { type: 'dma.kind', driver: name, domain: now.domain, kind: to });
      return [answer()];
    }
    if (now !== undefined && (now.maps.size > 0 || hasSubstreams(driver, endpoint))) return [answer('EBUSY')];
    const target = targetOf(context, driver, to);
    if ('errno' in target) return [answer(target.errno)];
    const plan = planAttach(context, endpoint, target.to, { owner: driver.setup.owner });
    if ('errno' in plan) return [answer(plan.errno)];
    if (typeof target.to === 'object') emitOpened(context, driver, endpoint, target.to.domain, to as DmaKind);
    const free = domain === undefined ? [] : [{ do: 'dma.close', driver: name, domain }];
    return [...plan, ...free, answer()];
  },
};

/** A SubstreamID shares the default domain (linux: iommu_attach_device_pasid), or has none. */
function planSubstream(
  context: Context,
  driver: DriverState,
  endpoint: string,
  pasid: number,
  to: DefaultKind,
  now: DmaDomain | undefined,
): readonly Frame[] | { readonly errno: Errno } {
  const options = { pasid, owner: driver.setup.owner };
  if (to === 'blocked') return planAttach(context, endpoint, 'blocked', options);
  if (now === undefined || now.kind !== to) return { errno: 'EINVAL' };
  return planAttach(context, endpoint, { domain: now.domain }, options);
}

function hasSubstreams({ masters }: DriverState, endpoint: string): boolean {
  return Object.keys(masters[endpoint]?.attached ?? {}).some((ssid) => ssid !== '0');
}

function targetOf(
  context: Context,
  driver: DriverState,
  to: DefaultKind,
): { readonly to: Target } | { readonly errno: Errno } {
  if (to === 'identity' || to === 'blocked') return { to };
  const made = makePaging(context, driver, {});
  return 'errno' in made ? made : { to: { domain: made.domain } };
}

export interface CloseFrame extends Frame {
  readonly do: 'dma.close';
  readonly driver: string;
  readonly domain: number;
}

/** The domain that nothing is attached to goes, with what waits in its flush queues. */
export const closeRow: FrameRow<CloseFrame> = {
  run: (context, { driver: name, domain }) => {
    const driver = driverOf(context.state, name);
    if (driver.dma?.[domain] !== undefined)
      context.emit(driver.setup.actor, { type: 'dma.closed', driver: name, domain });
    const { driver: of } = findDomain(context.state, domain);
    return [{ do: 'domain.free', driver: of.name, domain }];
  },
};
