/**
 * The life of each identification field: what hardware has, what the host's driver makes of it, what the kernel
 * reports, what the VMM decides, what the guest sees, what its driver enables, and what came of it when it was used.
 * One pass over the log, a bounded memory; may be asked at any position.
 */
import type { MachineConfig } from '../../core/config.ts';
import type { DriverFeatures, Platform } from '../../core/driver/features.ts';
import { policiesOf } from '../../core/vmm/profiles.ts';
import { type Projection, projection } from '../projection.ts';
import { backedValue } from './backing.ts';
import {
  type Chains,
  type DriverView,
  type GuestSmmu,
  type HostSmmu,
  hostOf,
  newChains,
  type Vm,
  type Way,
} from './chain.ts';
import { type Decided, decisionOf, stepOf } from './decide.ts';
import { fieldFacts, fieldNames, hwInfoFlags, valueIn } from './fields.ts';
import { ledgerHandlers } from './fold.ts';
import type { Cell, Column, LedgerRow } from './row.ts';

/** The ledger of a history. */
export function ledger(machine: MachineConfig): Projection<readonly LedgerRow[]> {
  return projection<Chains, readonly LedgerRow[]>({
    name: 'capability-ledger',
    initial: () => newChains(machine),
    handlers: ledgerHandlers,
    answer: rowsOf,
  });
}

/** One way from the host to a guest, of all devices that take it. */
interface Chain {
  readonly guest: GuestSmmu;
  readonly vm: Vm;
  readonly host: HostSmmu | undefined;
  readonly way: Way | undefined;
}

/** The rows as they are now; of one field when it is named. */
export function rowsOf(state: Chains, only?: string): readonly LedgerRow[] {
  const names = only === undefined ? fieldNames : [only];
  return chainsOf(state).flatMap((chain) => names.map((name) => rowOf(chain, name)));
}

function chainsOf(state: Chains): readonly Chain[] {
  return [...state.guests.values()].flatMap((guest): Chain[] => {
    const vm = state.vms.get(guest.vm);
    if (vm === undefined) return [];
    const found = new Map<string, Way>();
    // Of several devices behind one SMMU of the host, the last that was told of stands for all.
    for (const way of state.ways.values())
      if (way.smmu === guest.name && way.vm === guest.vm) {
        const host = hostOf(state, way.endpoint);
        if (way.report !== undefined || !found.has(host)) found.set(host, way);
      }
    if (found.size === 0) return [{ guest, vm, host: undefined, way: undefined }];
    return [...found].map(([host, way]) => ({ guest, vm, host: state.hosts.get(host), way }));
  });
}

function rowOf(chain: Chain, name: string): LedgerRow {
  const { guest, host } = chain;
  const facts = fieldFacts[name];
  const parts = name.startsWith('hw_info.')
    ? reportParts(chain, name.slice('hw_info.'.length))
    : name.startsWith('platform.')
      ? platformParts(chain, name.slice('platform.'.length) as keyof Platform)
      : registerParts(chain, name);
  const { decided, ...cells } = parts;
  const refused = guest.refused?.field === name ? guest.refused : undefined;
  const failed = guest.uses.get(name)?.failed;
  return {
    field: name,
    vm: guest.vm,
    smmu: guest.name,
    host: host?.name ?? '',
    facts,
    decision: decided?.decision,
    step: stepOf(facts),
    cells: Object.fromEntries(Object.entries(cells).filter(([, cell]) => cell !== undefined)),
    refused: refused && { value: refused.why, seq: refused.seq, by: 'vm.answered' },
    failed: failed && { value: failed.value, seq: failed.seq, by: 'use' },
    backed: backedOf(chain, name),
  };
}

function backedOf({ host, way, vm }: Chain, name: string): number | undefined {
  const facts = fieldFacts[name];
  // Without two stages in hardware the VMM serves the guest's SMMU by itself, whatever the host has.
  if (!policiesOf(vm.config).strategy.startsWith('nested')) return undefined;
  return facts === undefined || host === undefined ? undefined : backedValue(name, facts, { host, way, vm });
}

type Parts = { readonly [C in Column]?: Cell | undefined } & { readonly decided?: Decided };

function registerParts({ guest, vm, host, way }: Chain, name: string): Parts {
  const [register = ''] = name.split('.');
  const seen = guest.fields.get(name);
  const report = way?.report;
  const reported = report?.idr === undefined ? undefined : valueIn(report.idr, name);
  const hardware = host === undefined ? undefined : valueIn(host.idr, name);
  const value = seen?.value ?? 0;
  const known = reported ?? hardware;
  const late = vm.booted > 0 && (report?.seq ?? 0) > vm.booted;
  const decided = decisionOf(vm, name, fieldFacts[name], { guest: value, host: known, late });
  const read = guest.reads.get(register);
  return {
    hardware:
      host && hardware !== undefined
        ? {
            value: hardware,
            seq: host.reads.get(register) ?? 0,
            by: host.reads.has(register) ? 'register.read' : 'machine',
          }
        : undefined,
    driver: enabledCell(host, name),
    report:
      report !== undefined && reported !== undefined
        ? { value: reported, seq: report.seq, by: 'hwinfo.reported' }
        : undefined,
    decision: {
      value: decided.decision,
      seq: Math.max(seen?.seq ?? vm.seq, report?.seq ?? 0),
      by: decided.why,
    },
    guest: seen && {
      value: seen.value,
      seq: seen.seq,
      by: read === undefined ? 'smmu.made' : `smmu.made, read at ${read}`,
    },
    enabled: enabledCell(guest, name),
    used: usedCell(guest, name),
    decided,
  };
}

function usedCell({ uses }: GuestSmmu, name: string): Cell | undefined {
  const use = uses.get(name);
  if (use === undefined) return undefined;
  const { failed, what, count, last } = use;
  if (failed !== undefined) return { value: `failed: ${failed.value}`, seq: failed.seq, by: what };
  return { value: `${count} times`, seq: last, by: what };
}

/** What a driver made of a field: the features that hang on it, without those that are off. */
function enabledCell(view: DriverView | undefined, name: string): Cell | undefined {
  const features = view?.features;
  const enables = fieldFacts[name]?.enables ?? [];
  if (features === undefined || enables.length === 0) return undefined;
  const on = enables.filter((each) => isOn(features.value, each));
  const value = on.map((each) => `${each}${shown(features.value[each])}`).join(' ');
  return { value: value === '' ? 'nothing' : value, seq: features.seq, by: 'driver.probed' };
}

/** What each SMMU has, whatever its registers say. */
const LEAST: Readonly<Partial<Record<keyof DriverFeatures, number>>> = { asidBits: 8, vmidBits: 8 };

function isOn(features: DriverFeatures, name: keyof DriverFeatures): boolean {
  const value = features[name];
  return typeof value === 'boolean' ? value : Number(value) > (LEAST[name] ?? 0);
}

function shown(value: boolean | number | bigint | undefined): string {
  if (value === true || value === undefined) return '';
  return `=${typeof value === 'bigint' ? `0x${value.toString(16)}` : value}`;
}

function reportParts({ way }: Chain, flag: string): Parts {
  const report = way?.report;
  if (report === undefined) return {};
  const bit = hwInfoFlags[flag];
  const value = bit === undefined ? report.maxPasidLog2 : (report.capabilities & bit) === 0 ? 0 : 1;
  return { report: { value, seq: report.seq, by: 'hwinfo.reported' } };
}

/** Firmware of the host, and what that of the guest says. */
function platformParts({ guest, host }: Chain, fact: keyof Platform): Parts {
  const told = (view: DriverView | undefined): Cell | undefined => {
    const platform = view?.platform;
    if (platform === undefined) return undefined;
    const value = platform.value[fact];
    return {
      value: value === undefined ? 'as the register' : Number(value),
      seq: platform.seq,
      by: 'driver.made',
    };
  };
  return {
    driver: told(host),
    guest: told(guest),
    enabled: enabledCell(guest, `platform.${fact}`),
  };
}
