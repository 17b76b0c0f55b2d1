/** How much of a field stands behind what a guest is told, by hardware, firmware and kernel; and whether it is enough. */
import { policiesOf } from '../../core/vmm/profiles.ts';
import type { DriverView, HostSmmu, Report, Vm, Way } from './chain.ts';
import { type FieldFacts, hwInfoFlags, valueIn } from './fields.ts';

export interface Behind {
  readonly host: HostSmmu;
  readonly way: Way | undefined;
  readonly vm: Vm;
  /** The guest's SMMU. */
  readonly seen: DriverView;
}

/** What software that drives the SMMU itself can rely on: the register, but for what firmware or the system takes away. */
export function ownBacked(
  name: string,
  facts: FieldFacts,
  { idr, platform, losesUpdates }: HostSmmu,
): number | undefined {
  if (facts.backing === 'vmm' || facts.backing === 'any') return undefined;
  const hardware = valueIn(idr, name);
  const said = platform?.value;
  if (name === 'IDR0.COHACC' && said?.coherent === false) return 0;
  if (name === 'IDR0.HTTU') return losesUpdates ? 0 : Math.min(hardware, said?.httu ?? hardware);
  return name === 'IDR0.ATS' && said?.rootAts === false ? 0 : hardware;
}

/** What a guest can rely on: a value of the field; undefined where nothing can be said. */
export function backedValue(name: string, facts: FieldFacts, behind: Behind): number | undefined {
  const { host, way, vm, seen } = behind;
  const { syncMsi, vdevice } = policiesOf(vm.config);
  // Signals of a CMD_SYNC are the emulator's, whatever the host has.
  if ((name === 'IDR0.MSI' || name === 'IDR0.SEV') && syncMsi === 'never') return 0;
  if (facts.backing === 'vmm' || facts.backing === 'any') return undefined;
  const hardware = valueIn(host.idr, name);
  const platform = host.platform?.value;
  if (name === 'IDR0.COHACC') return platform?.coherent === false ? 0 : hardware;
  if (name === 'IDR0.HTTU') return host.saysHttu ? Math.min(hardware, platform?.httu ?? hardware) : 0;
  if (name === 'IDR0.ATS') {
    // CMD_ATC_INV names a virtual StreamID, which only a vDEVICE makes known to the kernel.
    if (platform?.rootAts === false || isAtsDenied(way?.report) || vdevice === 'never') return 0;
    return hardware;
  }
  if (name === 'IDR0.BTM') {
    const shared = way?.stage2Vmid === undefined || way.stage2Vmid.value === vm.vmid;
    return hardware !== 0 && !host.ptm.value && vm.pinned?.value === true && shared ? 1 : 0;
  }
  // A driver has no more than a page table of CDs in a row, and this VMM tells of no second level.
  if (name === 'IDR1.SSIDSIZE' && valueIn(seen.idr, 'IDR0.CD2L') === 0)
    return Math.min(hardware, LINEAR_CD_BITS);
  return facts.backing === 'never' ? 0 : hardware;
}

/** SubstreamIDs of a linear CD table (linux: arm-smmu-v3.c, arm_smmu_device_hw_probe, CTXDESC_LINEAR_CDMAX). */
const LINEAR_CD_BITS = 10;

function isAtsDenied(report: Report | undefined): boolean {
  const flag = hwInfoFlags['PCI_ATS_NOT_SUPPORTED'] ?? 0;
  return report !== undefined && (report.capabilities & flag) !== 0;
}

/** Whether what stands behind is enough for what the guest is told. */
export function isBacked({ backing }: FieldFacts, guest: number, backed: number | undefined): boolean {
  if (backed === undefined || backing === 'any') return true;
  if (backing === 'exact or 0') return backed === guest || backed === 0;
  if (backing === 'bits') return (guest & ~backed) === 0;
  return backing === 'most' ? backed <= guest : guest <= backed;
}

/** Whether more stands behind than the guest is told. */
export function isWithheld({ backing }: FieldFacts, guest: number, backed: number | undefined): boolean {
  if (backed === undefined) return false;
  if (backing === 'bits') return (backed & ~guest) !== 0;
  return (backing === 'least' || backing === 'never') && guest < backed;
}
