/** ASIDs and VMIDs: the lowest free number from 1 on. ASIDs are one pool for all drivers of an owner. */
import type { State } from '../state.ts';
import type { DriverState } from './state.ts';

/** The lowest ASID that no domain of the owner's drivers has; undefined when all are taken. */
export function freeAsid(state: State, driver: DriverState): number | undefined {
  const end = 2 ** (driver.features?.asidBits ?? 0);
  const all = Object.values(state.drivers).filter(({ setup }) => setup.owner === driver.setup.owner);
  const first = Math.max(...all.map(({ asidHint }) => asidHint));
  for (let asid = first; asid < end; asid += 1)
    if (all.every(({ asids }) => asids.get(asid) === undefined)) return asid;
  return undefined;
}

/** The lowest VMID that no stage 2 domain of the SMMU has; 0 is for streams without stage 2. */
export function freeVmid({ features, vmids, vmidHint }: DriverState): number | undefined {
  const end = 2 ** (features?.vmidBits ?? 0);
  for (let vmid = vmidHint; vmid < end; vmid += 1) if (vmids.get(vmid) === undefined) return vmid;
  return undefined;
}
