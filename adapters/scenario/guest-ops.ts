/** The ops that ask an operating system for something on behalf of its devices. */

import { driverBehind } from '../../core/dma-api/ask.ts';
import { dmaDrivers, driverFor, endpointsOf } from '../../core/dma-api/drivers.ts';

import { kernelIn } from './kernel-ops.ts';
import { type Act, defined, dispatch, type OpContext } from './op.ts';
import { refuse, unknownName } from './parse.ts';

type GuestOp =
  | 'guest.map'
  | 'guest.unmap'
  | 'guest.attach'
  | 'guest.detach'
  | 'guest.probe'
  | 'guest.work'
  | 'guest.shutdown';

const HOST = 'host';
const PAGE_BYTES = 0x1000;

export const guestOps: { readonly [O in GuestOp]: Act<O> } = {
  'guest.map': ({ op: type, vm, endpoint, cpu, pa, sg: given, bytes, access, device, iova }, context) => {
    served(context, type, vm, endpoint);
    const sg = given?.map((piece) => ({ pa: piece.pa, size: piece.bytes }));
    piecesFit(context, bytes, pa, sg);
    return dispatch(context, {
      type,
      endpoint,
      bytes,
      ...defined({ vm, cpu, pa, sg, access, device, iova }),
    });
  },
  'guest.unmap': ({ op: type, vm, endpoint, cpu, iova, bytes }, context) => {
    served(context, type, vm, endpoint);
    return dispatch(context, { type, endpoint, iova, bytes, ...defined({ vm, cpu }) });
  },
  'guest.attach': ({ op: type, vm, endpoint, cpu, to, ssid }, context) => {
    served(context, type, vm, endpoint);
    return dispatch(context, { type, endpoint, to, ...defined({ vm, cpu, ssid }) });
  },
  'guest.detach': ({ op: type, vm, endpoint, cpu }, context) => {
    served(context, type, vm, endpoint);
    return dispatch(context, { type, endpoint, ...defined({ vm, cpu }) });
  },
  'guest.probe': ({ op: type, vm, endpoint, cpu }, context) => {
    owned(context, type, vm);
    if (driverBehind(context.simulation.glance, vm ?? HOST, endpoint) === undefined) {
      const { endpoints, vms } = context.simulation.glance;
      const known = Object.keys(vm === undefined ? endpoints : (vms[vm]?.devices ?? {}));
      throw refuse(context.place, type, 'endpoint', unknownName(endpoint, known));
    }
    return dispatch(context, { type, endpoint, ...defined({ vm, cpu }) });
  },
  'guest.work': ({ op: type, vm, endpoint, cpu, kind, seed = 1, count }, context) => {
    served(context, type, vm, endpoint);
    return dispatch(context, { type, endpoint, kind, seed, count, ...defined({ vm, cpu }) });
  },
  'guest.shutdown': ({ op: type, vm }, context) => {
    owned(context, type, vm);
    return dispatch(context, { type, ...defined({ vm }) });
  },
};

/** Pieces are whole pages, and make up the whole. */
function piecesFit(
  { place }: OpContext,
  bytes: number,
  pa: number | undefined,
  sg: readonly { readonly pa: number; readonly size: number }[] | undefined,
): void {
  if (sg === undefined) return;
  if (pa !== undefined) throw refuse(place, 'guest.map', 'sg', 'expected pa or sg, found both');
  const part = sg.findIndex((piece) => piece.pa % PAGE_BYTES !== 0 || piece.size % PAGE_BYTES !== 0);
  if (part >= 0) throw refuse(place, 'guest.map', `sg[${part}]`, 'expected whole pages of 0x1000');
  const sum = sg.reduce((all, { size }) => all + size, 0);
  if (sum !== bytes)
    throw refuse(place, 'guest.map', 'bytes', `expected ${sum}, the sum of sg, found ${bytes}`);
}

/** The owner must have a driver that serves the endpoint. */
export function served(context: OpContext, op: string, vm: string | undefined, endpoint: string): void {
  owned(context, op, vm);
  const { glance } = context.simulation;
  const owner = vm ?? HOST;
  if (driverFor(glance, owner, endpoint) !== undefined) return;
  const drivers = dmaDrivers(glance).filter(({ setup }) => setup.owner === owner);
  const known = drivers.flatMap((driver) => Object.keys(endpointsOf(driver)));
  throw refuse(context.place, op, 'endpoint', unknownName(endpoint, known));
}

/** There must be such an operating system, with a driver. */
function owned(context: OpContext, op: string, vm: string | undefined): void {
  if (vm === undefined) kernelIn(context, op);
  const owners = new Set(dmaDrivers(context.simulation.glance).map(({ setup }) => setup.owner));
  if (owners.has(vm ?? HOST)) return;
  const message =
    vm === undefined
      ? 'expected a host whose kernel drives an SMMU, found none'
      : unknownName(vm, [...owners]);
  throw refuse(context.place, op, vm === undefined ? '' : 'vm', message);
}
