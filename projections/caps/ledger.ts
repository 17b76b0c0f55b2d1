/**
 * The life of each identification field: what hardware has, what the host's driver makes of it, what the kernel
 * reports, what the VMM decides, what the guest sees, what its driver enables, and what came of it when it was used.
 * One pass over the log, a bounded memory; may be asked at any position.
 */
import type { MachineConfig } from '../../core/config.ts';
import {
  type DriverFeatures,
  decideFeatures,
  defaultPlatform,
  type Platform,
} from '../../core/driver/features.ts';
import { policiesOf } from '../../core/vmm/profiles.ts';
import { type Projection, projection } from '../projection.ts';
import { backedValue, ownBacked } from './backing.ts';
import {
  type Chains,
  type DriverView,
  type GuestSmmu,
  type Held,
  type HostSmmu,
  hostOf,
  isBare,
  newChains,
  type Vm,
  type Way,
} from './chain.ts';
import { type Decided, decisionOf, stepOf } from './decide.ts';
import { fieldFacts, fieldNames, hwInfoFlags } from './fields.ts';
import { ledgerHandlers } from './fold.ts';
import type { Cell, Column, LaterCell, LedgerRow } from './row.ts';
import { bitOf, unknownBits, wordAt } from './unknown.ts';

/** The ledger of a history. */
export function ledger(machine: MachineConfig): Projection<readonly LedgerRow[]> {
  return projection<Chains, readonly LedgerRow[]>({
    name: 'capability-ledger',
    initial: () => newChains(machine),
    handlers: ledgerHandlers,
    answer: rowsOf,
  });
}

/** One way from the host to a guest, of all devices that take it; or from hardware to the software that drives it. */
interface Chain {
  /** The SMMU that software sees. */
  readonly seen: DriverView;
  readonly guest?: GuestSmmu;
  /** Undefined where no VM stands between. */
  readonly vm: Vm | undefined;
  readonly host: HostSmmu | undefined;
  readonly way: Way | undefined;
}

/** The rows as they are now; of one field when it is named. */
export function rowsOf(state: Chains, only?: string): readonly LedgerRow[] {
  return chainsOf(state).flatMap((chain) => {
    const names = only === undefined ? [...fieldNames, ...strangersOf(chain)] : [only];
    return names.map((name) => rowOf(chain, name));
  });
}

/** Bits that somebody has set and no field is known at. */
function strangersOf({ seen, host, way }: Chain): readonly string[] {
  return unknownBits([seen.idr, host?.idr ?? {}, way?.report?.idr ?? {}], way?.report?.capabilities ?? 0);
}

function chainsOf(state: Chains): readonly Chain[] {
  if (isBare(state))
    return [...state.hosts.values()].map((host) => ({ seen: host, vm: undefined, host, way: undefined }));
  return [...state.guests.values()].flatMap((guest): Chain[] => {
    const vm = state.vms.get(guest.vm);
    if (vm === undefined) return [];
    const found = new Map<string, Way>();
    // Of several devices behind one SMMU of the host, the last that was told of stands for all.
    for (const way of state.ways.values())
      if (way.smmu === guest.name && way.vm === guest.vm) {
        const host = hostOf(state, way.endpoint);
        if ((way.report !== undefined && way.refused === undefined) || !found.has(host)) found.set(host, way);
      }
    if (found.size === 0) return [{ seen: guest, guest, vm, host: undefined, way: undefined }];
    return [...found].map(([host, way]) => ({ seen: guest, guest, vm, host: state.hosts.get(host), way }));
  });
}

function rowOf(chain: Chain, name: string): LedgerRow {
  const { seen, vm, host } = chain;
  const facts = fieldFacts[name];
  const { decided, ...cells } = partsOf(chain, name);
  const refused = seen.refused?.field === name ? seen.refused : undefined;
  const use = seen.uses.get(name);
  return {
    field: name,
    vm: vm?.name ?? '',
    smmu: seen.name,
    host: host?.name ?? '',
    facts,
    decision: decided?.decision,
    step: stepOf(facts),
    cells: Object.fromEntries(Object.entries(cells).filter(([, cell]) => cell !== undefined)),
    refused: refused && { value: refused.why, seq: refused.seq, by: 'vm.answered' },
    failed: use?.failed && { value: use.failed.value, seq: use.failed.seq, by: use.failed.what },
    later: laterOf(chain, name),
    isRead:
      seen.reads.has(name.split(/[.[]/)[0] ?? '') ||
      (name.startsWith('platform.') && seen.platform !== undefined),
    failures: use?.failures ?? [],
    beyond: use?.beyond && { value: use.beyond.value, seq: use.beyond.seq, by: 'use' },
    backed: backedOf(chain, name),
  };
}

/** What became of a guest's field later. */
function laterOf({ guest }: Chain, name: string): readonly LaterCell[] {
  if (guest === undefined || !/^(IDR\d|IIDR|AIDR)/.test(name)) return [];
  const { read } = wordAt(name);
  return guest.later.map(({ what, about, seq, idr }) => ({ what, value: read(idr), seq, by: about }));
}

function partsOf(chain: Chain, name: string): Parts {
  if (name.startsWith('hw_info')) return reportParts(chain, name.replace(/^hw_info\./, ''));
  if (name.startsWith('platform.'))
    return platformParts(chain, name.slice('platform.'.length) as keyof Platform);
  return chain.vm === undefined ? ownParts(chain, name) : registerParts(chain, chain.vm, name);
}

function backedOf({ host, way, vm, seen }: Chain, name: string): number | undefined {
  const facts = fieldFacts[name];
  if (facts === undefined || host === undefined) return undefined;
  if (vm === undefined) return ownBacked(name, facts, host);
  if (way?.refused !== undefined) return undefined;
  // Without two stages in hardware the VMM serves the guest's SMMU by itself, whatever the host has.
  if (!policiesOf(vm.config).strategy.startsWith('nested')) return undefined;
  return backedValue(name, facts, { host, way, vm, seen });
}

type Parts = { readonly [C in Column]?: Cell | undefined } & { readonly decided?: Decided };

/** A field of an SMMU that software drives itself: what it is told is what hardware has. */
function ownParts({ seen, host }: Chain, name: string): Parts {
  const { register, read } = wordAt(name);
  const value = read(seen.idr);
  const at = seen.reads.get(register);
  const set = { value, seq: at?.seq ?? 0, by: at === undefined ? 'machine' : 'register.read' };
  return {
    hardware: host && set,
    guest:
      at === undefined
        ? { ...set, by: 'machine, not read' }
        : { ...set, value: read({ [register]: at.value }) },
    enabled: enabledCell(seen, name),
    used: usedCell(seen, name),
  };
}

function registerParts({ seen: guest, host, way }: Chain, vm: Vm, name: string): Parts {
  const { register, read: valueIn } = wordAt(name);
  const seen = guest.fields.get(name);
  const report = way?.report;
  const reported = report?.idr === undefined ? undefined : valueIn(report.idr);
  const hardware = host === undefined ? undefined : valueIn(host.idr);
  const value = seen?.value ?? valueIn(guest.idr);
  const known = reported ?? hardware;
  const late = vm.booted > 0 && (report?.seq ?? 0) > vm.booted;
  const decided = decisionOf(vm, name, fieldFacts[name], { guest: value, host: known, late });
  const read = guest.reads.get(register);
  return {
    hardware:
      host && hardware !== undefined
        ? {
            value: hardware,
            seq: host.reads.get(register)?.seq ?? 0,
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
    guest: {
      value,
      seq: seen?.seq ?? vm.seq,
      by: read === undefined ? 'smmu.made' : `smmu.made, read at ${read.seq}`,
    },
    enabled: enabledCell(guest, name),
    used: usedCell(guest, name),
    decided,
  };
}

function usedCell({ uses }: DriverView, name: string): Cell | undefined {
  const use = uses.get(name);
  if (use === undefined) return undefined;
  const { failed, what, count, last } = use;
  if (failed !== undefined) return { value: `failed: ${failed.value}`, seq: failed.seq, by: failed.what };
  return { value: `${count} times`, seq: last, by: what };
}

/** What a driver made of a field: the features that hang on it, without those that are off. */
function enabledCell(view: DriverView | undefined, name: string): Cell | undefined {
  const features = view?.features ?? (view && asLinuxWould(view));
  const enables = fieldFacts[name]?.enables ?? [];
  if (features === undefined || enables.length === 0) return undefined;
  const on = enables.filter((each) => isOn(features.value, each));
  const value = on.map((each) => `${each}${shown(features.value[each])}`).join(' ');
  const by = view?.features === undefined ? 'register.read, as Linux makes of it' : 'driver.probed';
  return { value: value === '' ? 'nothing' : value, seq: features.seq, by };
}

/** Registers that the probe of Linux cannot do without; it reads IIDR for errata, if it does. */
const PROBED = ['IDR0', 'IDR1', 'IDR3', 'IDR5'] as const;

/** What Linux makes of the registers that software has read, where no driver says it: a capture, another's software. */
function asLinuxWould({ reads, platform }: DriverView): Held<DriverFeatures> | undefined {
  if (platform !== undefined) return undefined;
  const read = PROBED.map((name) => reads.get(name));
  const last = read.reduce((seq, each) => Math.max(seq, each?.seq ?? Number.POSITIVE_INFINITY), 0);
  if (!Number.isFinite(last)) return undefined;
  const value = (name: string): number => reads.get(name)?.value ?? 0;
  const [IDR0, IDR1, IDR3, IDR5, IIDR] = [...PROBED, 'IIDR'].map(value) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return { value: decideFeatures({ IDR0, IDR1, IDR3, IDR5, IIDR }, UNLIMITED), seq: last };
}

/** Memory for the largest queues: what the kernel could allocate is not told by registers. */
const UNLIMITED: Platform = { ...defaultPlatform, contiguousLog2: 32 };

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
  const bit = hwInfoFlags[flag] ?? bitOf(flag);
  const value = bit === undefined ? report.maxPasidLog2 : (report.capabilities & bit) === 0 ? 0 : 1;
  return { report: { value, seq: report.seq, by: 'hwinfo.reported' } };
}

/** Facts that a register holds where firmware is silent. */
const OF_REGISTERS: ReadonlySet<keyof Platform> = new Set(['coherent', 'httu']);

/** Firmware of the host, and what that of the guest says. */
function platformParts({ seen: guest, host }: Chain, fact: keyof Platform): Parts {
  const told = (view: DriverView | undefined): Cell | undefined => {
    const platform = view?.platform;
    if (platform === undefined) return undefined;
    const value = platform.value[fact];
    return {
      value: value === undefined ? (OF_REGISTERS.has(fact) ? 'as the register' : 'not told') : Number(value),
      seq: platform.seq,
      by: 'driver.made',
    };
  };
  return {
    driver: told(host),
    // Where no VM stands between, there is one firmware.
    guest: told(guest),
    enabled: enabledCell(guest, `platform.${fact}`),
  };
}
