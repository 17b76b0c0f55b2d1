/** The strategies: what each does at the points where VMMs differ. A point that a strategy leaves out is not its business. */
import type { Platform } from '../driver/features.ts';
import { own } from '../lookup.ts';
import type { Context } from '../machine.ts';
import type { SmmuState } from '../smmu/state.ts';
import type { State } from '../state.ts';
import type { Frame, Next } from '../tasks/task.ts';
import { virtioStrategy } from '../virtio-iommu/strategy.ts';
import type { VmDevice } from '../vm/state.ts';
import type { Before, GuestCommand } from './guest-command.ts';
import { nestedStrategy } from './nested.ts';
import type { StrategyName } from './profiles.ts';
import { shadowStrategy } from './shadow.ts';

export interface Strategy {
  /** What a device is, where the scenario does not say. */
  readonly device: VmDevice['kind'];
  /** Why an assigned device cannot be served; it can, when absent. */
  readonly refusesAssigned?: string;
  /** The VM has no emulated SMMU, whatever a scenario says. */
  readonly noSmmus?: true;
  /** Devices that the VMM has besides SMMUs, when the VM is made. */
  create?(context: Context, vm: string): void;
  /** A device that the VMM emulates comes. */
  plugEmulated?(context: Context, vm: string, endpoint: string): void;
  /** It goes. */
  unplugEmulated?(context: Context, vm: string, endpoint: string): void;
  /**
   * The guest's drivers of what it has besides SMMUs: at power-on, for a new device, and before one goes.
   * `after` is what the VMM does then; nothing is the answer where it is to go on at once.
   */
  boot?(vm: string, platform: Partial<Platform>): readonly Frame[];
  found?(context: Context, vm: string, endpoint: string, after: readonly Frame[]): Next;
  lost?(context: Context, vm: string, endpoint: string, after: readonly Frame[]): Next;
  /** Makes an assigned device ready, after its file is bound. */
  plug?(vm: string, endpoint: string): readonly Frame[];
  /** Takes it away again, before its file is closed. */
  unplug?(state: State, vm: string, endpoint: string): readonly Frame[];
  /** After its file is closed. */
  unplugged?(vm: string, smmu: string): readonly Frame[];
  /** Power-on of the guest. */
  reset?(state: State, vm: string): readonly Frame[];
  /** GBPA or SMMUEN changed: where the devices of the SMMU are attached then, or only those that the guest has named. */
  reattach?(vm: string, smmu: string, only?: 'seen'): readonly Frame[];
  /** CR0 was written. */
  enabled?(state: State, vm: string, smmu: string): readonly Frame[];
  /** What comes before the next command of the guest, and perhaps those behind it, are consumed. */
  before?(state: State, vm: string, smmu: SmmuState, ahead: readonly GuestCommand[]): Before | undefined;
}

const strategies: Readonly<Partial<Record<StrategyName, Strategy>>> = {
  'trap-emulate': {
    device: 'emulated',
    refusesAssigned:
      'an emulated SMMUv3 has no MAP notifications: a device of the host cannot stand behind it',
  },
  nested: nestedStrategy,
  'nested-cmdqv': nestedStrategy,
  'nested-swvcmdq': nestedStrategy,
  'virtio-iommu': virtioStrategy,
  'tlbi-on-map': shadowStrategy,
};

/** The strategy of a name; what is not built yet does nothing. */
export function strategyOf(name: StrategyName): Strategy {
  return (
    own(strategies, name) ?? {
      device: 'assigned',
      refusesAssigned: `the strategy ${name} is not modelled yet`,
    }
  );
}
