/**
 * The default domain of an endpoint is changed, goes, or comes (linux: iommu_change_dev_def_domain,
 * iommu_dma_init_fq, iommu_setup_default_domain): from strict to lazy where it stands; to all else by way of a new
 * domain, when nothing is mapped.
 */

import type { Errno } from '../kernel/errno.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { isMapping } from './calls.ts';
import { emitOpened, openDma } from './domain.ts';
import { dmaDriverOf, findDmaDriver } from './drivers.ts';
import { type DefaultKind, opsOf } from './iommu.ts';
import type { DmaKind } from './state.ts';

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
    const { actor } = dmaDriverOf(context.state, driver).setup;
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
    const driver = dmaDriverOf(context.state, name);
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
    const now = domain === undefined ? undefined : findDmaDriver(context.state, name)?.dma?.[domain];
    if (ssid !== 0) {
      const plan = opsOf(driver).attachSubstream(context, driver, { endpoint, ssid }, to, now);
      return 'errno' in plan ? [answer(plan.errno)] : [...plan, answer()];
    }
    if (now !== undefined && now.kind === to) return [answer()];
    if (now?.kind === 'dma' && to === 'dma-fq') {
      context.emit(driver.setup.actor, { type: 'dma.kind', driver: name, domain: now.domain, kind: to });
      return [answer()];
    }
    const substreams = opsOf(driver).hasSubstreams(driver, endpoint);
    const used = now !== undefined && (now.maps.size > 0 || substreams);
    if (used || isMapping(context.state, name, endpoint)) return [answer('EBUSY')];
    const plan = opsOf(driver).attach(context, driver, endpoint, to);
    if ('errno' in plan) return [answer(plan.errno)];
    if (plan.domain !== undefined) emitOpened(context, driver, endpoint, plan.domain, to as DmaKind);
    const free = domain === undefined ? [] : [{ do: 'dma.close', driver: name, domain }];
    return [...plan.frames, ...free, answer()];
  },
};

export interface CloseFrame extends Frame {
  readonly do: 'dma.close';
  readonly driver: string;
  readonly domain: number;
}

/** The domain that nothing is attached to goes, with what waits in its flush queues. */
export const closeRow: FrameRow<CloseFrame> = {
  run: (context, { driver: name, domain }) => {
    const driver = dmaDriverOf(context.state, name);
    if (driver.dma?.[domain] !== undefined)
      context.emit(driver.setup.actor, { type: 'dma.closed', driver: name, domain });
    return opsOf(driver).free(context.state, driver, domain);
  },
};
