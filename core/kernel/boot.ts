/** The start of the host's kernel: the driver of each SMMU probes it, one after the other. */

import type { BootOptions } from '../driver/probe.ts';
import { bootFrames, bootOptions } from '../driver/probe.ts';
import type { Decider } from '../machine.ts';
import { beginTask } from '../tasks/begin.ts';
import { KERNEL_UNIT } from './begin-ioctl.ts';
import { switchOf } from './kernel.ts';

export const bootKernel: Decider<'kernel.boot'> = (machine) => {
  const { kernel } = machine.state;
  if (kernel === undefined) return;
  const frames = Object.keys(machine.state.smmus).flatMap((name) => [
    ...bootFrames(name, withBroadcast(bootOptions(kernel.driver), switchOf(kernel, 'vbtm'))),
  ]);
  beginTask(machine, KERNEL_UNIT, 'boot', [...frames, { do: 'kernel.booted' }]);
};

/** A kernel that ties VMIDs together lets broadcasts through. */
function withBroadcast(options: BootOptions, broadcast: boolean): BootOptions {
  return broadcast ? { ...options, platform: { ...options.platform, broadcast } } : options;
}
