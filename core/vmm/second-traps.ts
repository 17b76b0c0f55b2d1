/** Queues of a guest beside the main one: which a strategy offers, and the registers that trap to the VMM. */
import type { QueueRegister } from '../cmdqv/registers.ts';
import type { SecondOffer, SecondPlace } from '../driver/second-queue.ts';
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import { exitTo } from '../vm/exits.ts';
import type { SecondOfGuest, VirtualSmmu } from '../vm/state.ts';
import { virtualSmmuOf, vmOf } from '../vm/vm.ts';
import { policiesOf, type StrategyName } from './profiles.ts';

/** One page of commands each. */
const offers: Readonly<Partial<Record<StrategyName, SecondOffer>>> = {
  'nested-cmdqv': { kind: 'hardware', count: 2, sizeLog2: 8 },
  'nested-swvcmdq': { kind: 'software', count: 1, sizeLog2: 8 },
};

/** What a guest finds; nothing while there is no vIOMMU that queues can be made for. */
export function offerOf(state: State, vm: string, smmu: string): SecondOffer | undefined {
  const owner = vmOf(state, vm);
  return virtualSmmuOf(owner, smmu).viommu === 0 ? undefined : offers[policiesOf(owner.config).strategy];
}

/** Registers that are never mapped into a guest: of the unit, of its interface, and where a queue lies. */
export type UnitRegister = 'BASE' | 'ALLOC' | 'CMDQV_CONFIG' | 'VINTF_CONFIG';
type Trapped = QueueRegister | UnitRegister;

/** The guest writes a register that traps; after some, a queue may have all that it needs, in whatever order. */
export function writeSecond(
  context: Context,
  vm: string,
  smmu: string,
  { index, kind }: SecondPlace,
  register: Trapped,
  value: bigint,
): void {
  const what = register.includes('_') ? register : `VCMDQ${index}_${register}`;
  const set = changed(virtualSmmuOf(vmOf(context.state, vm), smmu), index, register, value);
  const work = set === undefined ? [] : [{ do: 'second.written', vm, smmu, index, kind }];
  exitTo(context, vm, { why: 'mmio.write', what }, work);
  if (set !== undefined) context.emit(vm, { type: 'vsmmu.changed', vm, smmu, set });
}

const NONE = { base: 0n, enabled: false, allocated: false, object: 0 } as const;

/** What the VMM keeps of the write; undefined where it only takes note. */
function changed(
  { seconds = {}, secondUnit = { unit: false, vintf: false } }: VirtualSmmu,
  index: number,
  register: Trapped,
  value: bigint,
): Partial<VirtualSmmu> | undefined {
  const on = (value & 1n) !== 0n;
  const queue = (more: Partial<SecondOfGuest>): Partial<VirtualSmmu> => ({
    seconds: { ...seconds, [index]: { ...NONE, ...seconds[index], ...more } },
  });
  if (register === 'BASE') return queue({ base: value });
  if (register === 'ALLOC') return queue({ allocated: on });
  if (register === 'CONFIG') return queue({ enabled: on });
  if (register === 'CMDQV_CONFIG') return { secondUnit: { ...secondUnit, unit: on } };
  if (register === 'VINTF_CONFIG') return { secondUnit: { ...secondUnit, vintf: on } };
  return undefined;
}
