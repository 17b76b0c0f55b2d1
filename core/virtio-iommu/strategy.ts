/** The strategy `virtio-iommu`: no SMMU for the guest, its mappings come as requests, the VMM maps them in the host. */
import type { Context } from '../machine.ts';
import { beginTask } from '../tasks/begin.ts';
import { cpuUnit } from '../tasks/cpu.ts';
import type { Frame, FrameRow, Next } from '../tasks/task.ts';
import { vmmUnit } from '../vm/state.ts';
import type { Strategy } from '../vmm/strategies.ts';
import { makeVirtio, plugVirtio, resetFrames, unplugFrames, unplugVirtio } from './plug.ts';
import { endpointIdOf, findVirtio } from './virtio.ts';

export const virtioStrategy: Strategy = {
  device: 'assigned',
  noSmmus: true,
  create: makeVirtio,
  plugEmulated: plugVirtio,
  unplugEmulated: unplugVirtio,
  plug: (vm, endpoint) => [{ do: 'virtio.plug', vm, endpoint }],
  unplug: unplugFrames,
  reset: resetFrames,
  boot: (vm, platform) => [{ do: 'vdriver.boot', vm, platform }],
  found: (context, vm, endpoint, after) => {
    const virtio = findVirtio(context.state, vm);
    const id = virtio && endpointIdOf(virtio, endpoint);
    if (virtio?.driver === undefined || id === undefined) return undefined;
    return inGuest(context, vm, 'device found', [{ do: 'vdriver.found', vm, endpoint, id }], after);
  },
  lost: (context, vm, endpoint, after) => {
    if (findVirtio(context.state, vm)?.driver?.endpoints[endpoint] === undefined) return undefined;
    const frames = [
      { do: 'vdriver.detach', vm, endpoint },
      { do: 'vdriver.forget', vm, endpoint },
    ];
    return inGuest(context, vm, 'device lost', frames, after);
  },
};

/** The guest works while the VMM does not wait: it serves the guest's requests. Then the VMM goes on. */
function inGuest(
  context: Context,
  vm: string,
  what: string,
  frames: readonly Frame[],
  after: readonly Frame[],
): Next {
  beginTask(context, cpuUnit(vm, 0), what, [...frames, { do: 'vdriver.resume', vm, what, frames: after }]);
  return { instead: [] };
}

interface ResumeFrame extends Frame {
  readonly vm: string;
  readonly what: string;
  readonly frames: readonly Frame[];
}

export const resumeRow: FrameRow<ResumeFrame> = {
  run: (context, { vm, what, frames }) => {
    if (frames.length > 0) beginTask(context, vmmUnit(vm), what, frames);
  },
};
