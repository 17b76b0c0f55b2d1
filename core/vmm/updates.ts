/**
 * Hardware update of descriptors for guests: what a VMM tells its guest of IDR0.HTTU. Firmware of the host may say
 * less than the register (IORT SMMUv3 node, flags), and only its kernel knows.
 */

import { workingHttu } from '../kernel/iommufd/listed-fields.ts';
import { kernelOf, switchOf } from '../kernel/kernel.ts';
import { registers } from '../smmu/registers.ts';
import type { State } from '../state.ts';
import type { VmConfig } from '../vm/state.ts';
import { policiesOf } from './profiles.ts';

/** IDR0.HTTU of the host's first SMMU, as a VMM of this policy believes it. */
function believed(state: State, policy: 'masked' | 'forwarded' | 'confirmed'): number {
  const host = Object.values(state.smmus).find(({ config }) => config.space === undefined);
  if (host === undefined || policy === 'masked') return 0;
  const kernel = kernelOf(state);
  const works = switchOf(kernel, 'vhttu') ? workingHttu(state, host.config.name) : 0;
  if (policy === 'confirmed') return works;
  return switchOf(kernel, 'hwInfoIdr') === 'raw' ? host.features.httu : works;
}

type Idr = Readonly<Record<string, number>>;

/** The ID registers that a guest is told, with the HTTU that its VMM lets through. */
export function withUpdates(state: State, config: VmConfig, idr: Idr): Idr {
  const { httu: policy } = policiesOf(config);
  if (policy === 'masked') return idr;
  const words = [idr['IDR0'] ?? 0];
  registers.byName.IDR0.fields.HTTU.write(words, believed(state, policy));
  return { ...idr, IDR0: (words[0] ?? 0) >>> 0 };
}
