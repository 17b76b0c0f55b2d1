/**
 * Endpoints and domains of the guest's driver (linux: viommu_probe_endpoint, viommu_attach_dev,
 * viommu_replay_mappings, viommu_detach_dev). A domain that nobody is attached to exists in the driver only:
 * its mappings are sent again, each waited for, when it gets its first endpoint.
 */
import { firstAreaIn } from '../kernel/iommufd/areas.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { decodeProperties, encodeRequest } from './codec.ts';
import { actorOf, type Sent, sendFrame } from './requests.ts';
import { ADDRESS_LAST, hasFeature } from './space.ts';
import { names, TAIL_BYTES } from './structs.ts';
import { driverIn, guestDomain, guestEndpoint, virtioIn } from './virtio.ts';

/** A domain that there is, or a new one: of mappings, or one that lets everything through. */
export type AttachTarget = number | 'dma' | 'identity';

interface OfEndpoint extends Frame {
  readonly vm: string;
  readonly endpoint: string;
}

interface ProbeFrame extends OfEndpoint {
  readonly id: number;
}

export const probeRow: FrameRow<ProbeFrame> = {
  run: (context, { vm, endpoint, id }) => {
    const { probeSize } = driverIn(context.state, vm);
    const then = { do: 'vdriver.probed', vm, endpoint, id };
    if (probeSize > 0) return [sendFrame(vm, 'PROBE', encodeRequest('PROBE', { endpoint: id }), then)];
    return [{ ...then, status: 'OK', written: new Uint8Array() }];
  },
};

export const probedRow: FrameRow<ProbeFrame & Sent> = {
  run: (context, { vm, endpoint, id, status, written }) => {
    const actor = actorOf(context, vm);
    if (status !== 'OK') {
      context.emit(actor, { type: 'vdriver.failed', vm, what: `${endpoint}: PROBE`, why: status });
      return;
    }
    const reserved = decodeProperties(written.subarray(0, Math.max(0, written.length - TAIL_BYTES)));
    context.emit(actor, { type: 'vdriver.probed', vm, endpoint, id, reserved });
  },
};

export interface AttachFrame extends OfEndpoint {
  readonly do: 'vdriver.attach';
  readonly to: AttachTarget;
}

export const attachRow: FrameRow<AttachFrame> = {
  run: (context, { vm, endpoint, to }) => {
    const actor = actorOf(context, vm);
    const held = guestEndpoint(context.state, vm, endpoint);
    if (held === undefined) {
      context.emit(actor, { type: 'vdriver.failed', vm, what: `${endpoint}: attach`, why: 'ENODEV' });
      return;
    }
    const domain = typeof to === 'number' ? to : lowestFree(context.state, vm);
    if (typeof to !== 'number')
      context.emit(actor, { type: 'vdriver.domained', vm, domain, bypass: to === 'identity' });
    if (held.domain !== undefined) context.emit(actor, { type: 'vdriver.attached', vm, endpoint });
    const { bypass } = guestDomain(context.state, vm, domain);
    const flags = bypass ? names.attach.members.BYPASS[0] : 0;
    const bytes = encodeRequest('ATTACH', { domain, endpoint: held.id, flags });
    return [sendFrame(vm, 'ATTACH', bytes, { do: 'vdriver.attached', vm, endpoint, domain })];
  },
};

/** The lowest number that no domain of the driver has (linux: ida_alloc_range). */
export function lowestFree(state: State, vm: string): number {
  const { domains } = driverIn(state, vm);
  let id = virtioIn(state, vm).device.config.domainRange.start;
  while (domains[id] !== undefined) id += 1;
  return id;
}

interface AttachedFrame extends OfEndpoint {
  readonly domain: number;
}

export const attachedRow: FrameRow<AttachedFrame & Sent> = {
  run: (context, { vm, endpoint, domain, status }) => {
    if (status === 'OK') return [{ do: 'vdriver.replay', vm, endpoint, domain, from: 0n }];
    const what = `${endpoint}: ATTACH`;
    context.emit(actorOf(context, vm), { type: 'vdriver.failed', vm, what, why: status });
    return undefined;
  },
};

interface ReplayFrame extends AttachedFrame, Partial<Pick<Sent, 'status'>> {
  readonly from: bigint;
}

/** The first endpoint of a domain: the device has forgotten its mappings, or never knew them. */
export const replayRow: FrameRow<ReplayFrame> = {
  run: (context, { vm, endpoint, domain, from, status = 'OK' }) => {
    const actor = actorOf(context, vm);
    if (status !== 'OK') {
      context.emit(actor, { type: 'vdriver.failed', vm, what: `${endpoint}: MAP again`, why: status });
      return;
    }
    const { mappings, endpoints } = guestDomain(context.state, vm, domain);
    const next = endpoints > 0 ? undefined : firstAreaIn(mappings, { start: from, last: ADDRESS_LAST });
    if (next === undefined) {
      context.emit(actor, { type: 'vdriver.attached', vm, endpoint, domain });
      return;
    }
    const { iova, last, pa, flags } = next;
    const where = { domain, virt_start: iova, virt_end: last, phys_start: BigInt(pa), flags };
    const then = { do: 'vdriver.replay', vm, endpoint, domain, from: last + 1n };
    return [sendFrame(vm, 'MAP', encodeRequest('MAP', where), then)];
  },
};

export const detachRow: FrameRow<OfEndpoint> = {
  run: (context, { vm, endpoint }) => {
    const held = guestEndpoint(context.state, vm, endpoint);
    if (held?.domain === undefined) return;
    const bytes = encodeRequest('DETACH', { domain: held.domain, endpoint: held.id });
    return [sendFrame(vm, 'DETACH', bytes, { do: 'vdriver.detached', vm, endpoint })];
  },
};

export const detachedRow: FrameRow<OfEndpoint & Sent> = {
  run: (context, { vm, endpoint, status }) => {
    const actor = actorOf(context, vm);
    if (status !== 'OK')
      context.emit(actor, { type: 'vdriver.failed', vm, what: `${endpoint}: DETACH`, why: status });
    context.emit(actor, { type: 'vdriver.attached', vm, endpoint });
  },
};

/** Whether the guest's driver can make domains that let everything through. */
export function canBypass(state: State, vm: string): boolean {
  return hasFeature(virtioIn(state, vm).device, 'BYPASS_CONFIG');
}

/** A domain that nothing is attached to goes: the device does not know it any more. */
export const closeRow: FrameRow<Frame & { readonly vm: string; readonly domain: number }> = {
  run: (context, { vm, domain }) => {
    context.emit(actorOf(context, vm), { type: 'vdriver.closed', vm, domain });
  },
};

/** The driver forgets a device that goes (linux: viommu_release_device). */
export const forgetRow: FrameRow<OfEndpoint> = {
  run: (context, { vm, endpoint }) => {
    context.emit(actorOf(context, vm), { type: 'vdriver.removed', vm, endpoint });
  },
};
