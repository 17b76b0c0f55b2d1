/** A VM on a host, and the ledger of its capabilities. */
import type { MachineConfig } from '../../../core/config.ts';
import type { Entry } from '../../../core/event.ts';
import { smmuConfig } from '../../../core/smmu/profiles.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import type { VmConfig } from '../../../core/vm/state.ts';
import { ledger } from '../../../projections/caps/ledger.ts';
import type { LedgerRow } from '../../../projections/caps/row.ts';
import { type Judged, judge } from '../../../projections/caps/verdict.ts';
import { runProjections } from '../../../projections/projection.ts';
import { bootHost, vmConfig } from '../../support/vm.ts';

export interface Told {
  readonly machine: MachineConfig;
  readonly entries: readonly Entry[];
  readonly rows: readonly LedgerRow[];
  row(field: string): LedgerRow;
  verdict(field: string): Judged;
}

export interface Story {
  readonly profile?: VmConfig['profile'];
  readonly vm?: Partial<VmConfig>;
  /** ID registers of the host's SMMU that differ from the profile `everything`. */
  readonly idr?: Readonly<Record<string, number>>;
  readonly machine?: Partial<MachineConfig>;
  /** After the guest has booted. */
  readonly after?: readonly Stimulus[];
}

/** A host with one device, a VM that gets it, and the ledger of it all. */
export function tell({
  profile = 'qemu-accel',
  vm = {},
  idr = {},
  machine = {},
  after = [],
}: Story = {}): Told {
  const smmus = [smmuConfig('everything', { name: 'smmu0', base: 0x0905_0000, idr })];
  const host = bootHost({ nvme0: 8 }, { smmus, ...machine });
  const entries: Entry[] = [...host.entries];
  const stimuli: readonly Stimulus[] = [
    { type: 'vm.create', vm: 'vm0', config: vmConfig(profile, vm) },
    { type: 'vm.plug', vm: 'vm0', endpoint: 'nvme0', device: { streamId: 8 } },
    { type: 'guest.boot', vm: 'vm0' },
    ...after,
  ];
  for (const stimulus of stimuli) {
    host.ask(stimulus);
    entries.push(...host.entries);
  }
  const config: MachineConfig = {
    ram: [],
    smmus,
    endpoints: [{ name: 'nvme0', smmu: 'smmu0', streamId: 8, ats: false, pri: false, ssidBits: 0, atc: 0 }],
    schedule: 'eager',
    seed: 1,
    ...machine,
  };
  const [rows] = runProjections(entries, [ledger(config)]);
  const row = (field: string): LedgerRow => {
    const found = rows.find((each) => each.field === field);
    if (found === undefined) throw new Error(`no row ${field}`);
    return found;
  };
  return { machine: config, entries, rows, row, verdict: (field) => judge(row(field)) };
}
