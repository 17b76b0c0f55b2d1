/** Queues of a guest beside the main one: which a strategy offers, and the registers that trap to the VMM. */
import type { QueueRegister } from '../cmdqv/registers.ts';
import type { SecondOffer, SecondPlace } from '../driver/second-queue.ts';
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import { exitTo } from '../vm/exits.ts';
import { virtualSmmuOf, vmOf } from '../vm/vm.ts';
import { policiesOf, type StrategyName } from './profiles.ts';

/** One page of commands each. */
const offers: Readonly<Partial<Record<StrategyName, SecondOffer>>> = {
  'nested-swvcmdq': { kind: 'software', count: 1, sizeLog2: 8 },
};

/** What a guest finds; nothing while there is no vIOMMU that queues can be made for. */
export function offerOf(state: State, vm: string, smmu: string): SecondOffer | undefined {
  const owner = vmOf(state, vm);
  return virtualSmmuOf(owner, smmu).viommu === 0 ? undefined : offers[policiesOf(owner.config).strategy];
}

/** The guest writes a register of a queue that traps. */
export function writeSecond(
  context: Context,
  vm: string,
  smmu: string,
  { index, kind }: SecondPlace,
  register: QueueRegister | 'BASE',
  value: bigint,
): void {
  const what = `VCMDQ${index}_${register}`;
  if (register === 'CONFIG') {
    const on = (value & 1n) !== 0n;
    exitTo(context, vm, { why: 'mmio.write', what }, [{ do: 'second.written', vm, smmu, index, kind, on }]);
    return;
  }
  exitTo(context, vm, { why: 'mmio.write', what });
  if (register !== 'BASE') return;
  const { seconds = {} } = virtualSmmuOf(vmOf(context.state, vm), smmu);
  const queue = { base: value, object: seconds[index]?.object ?? 0 };
  context.emit(vm, { type: 'vsmmu.changed', vm, smmu, set: { seconds: { ...seconds, [index]: queue } } });
}
