/** Looking at the kernel: its state where there is one, its profile, and allocations that may be made to fail. */
import { present } from '../assert.ts';
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import { kernelProfiles, ownSwitches } from './profiles.ts';
import type { KernelState } from './state.ts';
import type { SwitchName, SwitchValues } from './switches.ts';
import type { Version } from './uapi/versions.ts';

/** The kernel of a machine that has one. */
export function kernelOf(state: State): KernelState {
  return present(state.kernel, 'kernel in this machine');
}

/** The switch as this kernel has it. */
export function switchOf<N extends SwitchName>({ profile, switches }: KernelState, name: N): SwitchValues[N] {
  return (switches[name] ?? ownSwitches(profile)[name]) as SwitchValues[N];
}

/** The release of Linux that the profile is of. */
export function releaseOf({ profile }: KernelState): Version {
  return kernelProfiles[profile].release;
}

/**
 * Whether an allocation of the kernel succeeds. Each place that can run out of memory asks, so that a
 * scenario can let the n-th of them fail (`set kernel.failNth`).
 */
export function allocates({ state, emit }: Context, what: string): boolean {
  const kernel = kernelOf(state);
  if (kernel.failNth === 0) return true;
  const left = kernel.failNth - 1;
  emit('kernel', { type: 'allocation.counted', what, left });
  return left > 0;
}
