/** The ops about address spaces of processes, of the host's or of a guest's. */

import { own } from '../../core/lookup.ts';
import { memoryDriver } from '../../core/mm/ask.ts';
import { served } from './guest-ops.ts';
import { kernelIn } from './kernel-ops.ts';
import { type Act, defined, dispatch, type OpContext } from './op.ts';
import { refuse, unknownName } from './parse.ts';

type MmOp = 'mm.map' | 'mm.unmap' | 'mm.protect' | 'mm.exit' | 'sva.bind' | 'sva.unbind';

export const mmOps: { readonly [O in MmOp]: Act<O> } = {
  'mm.map': ({ op: type, vm, mm, cpu, va, bytes, access }, context) => {
    withMemory(context, type, vm);
    return dispatch(context, { type, mm, va, bytes, ...defined({ vm, cpu, access }) });
  },
  'mm.unmap': ({ op: type, vm, mm, cpu, va, bytes }, context) => {
    withMemory(context, type, vm);
    return dispatch(context, { type, mm, va, bytes, ...defined({ vm, cpu }) });
  },
  'mm.protect': ({ op: type, vm, mm, cpu, va, bytes, access }, context) => {
    withMemory(context, type, vm);
    return dispatch(context, { type, mm, va, bytes, access, ...defined({ vm, cpu }) });
  },
  'mm.exit': ({ op: type, vm, mm, cpu }, context) => {
    withMemory(context, type, vm);
    return dispatch(context, { type, mm, ...defined({ vm, cpu }) });
  },
  'sva.bind': ({ op: type, vm, endpoint, mm, cpu, ssid }, context) => {
    withMemory(context, type, vm);
    served(context, type, vm, endpoint);
    return dispatch(context, { type, endpoint, mm, ...defined({ vm, cpu, ssid }) });
  },
  'sva.unbind': ({ op: type, vm, endpoint, mm, cpu }, context) => {
    withMemory(context, type, vm);
    served(context, type, vm, endpoint);
    return dispatch(context, { type, endpoint, mm, ...defined({ vm, cpu }) });
  },
};

/** Processes live in memory that a driver of an SMMU reaches. */
function withMemory(context: OpContext, op: MmOp, vm: string | undefined): void {
  const { glance } = context.simulation;
  if (vm === undefined) kernelIn(context, op);
  if (memoryDriver(glance, vm ?? 'host') !== undefined) return;
  if (vm !== undefined && own(glance.vms, vm) === undefined)
    throw refuse(context.place, op, 'vm', unknownName(vm, Object.keys(glance.vms)));
  const whose = vm === undefined ? 'a host' : 'a guest';
  throw refuse(
    context.place,
    op,
    vm === undefined ? '' : 'vm',
    `expected ${whose} that drives an SMMU, found none`,
  );
}
