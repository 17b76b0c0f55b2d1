/** How entries change what a ledger remembers. Constant work for each entry. */
import type { EntryOf } from '../../core/event.ts';
import { STE } from '../../core/smmu/ste.ts';
import type { ProjectionHandlers } from '../projection.ts';
import {
  type Chains,
  type DriverView,
  type GuestSmmu,
  type HostSmmu,
  hostOf,
  isBare,
  newView,
  type Report,
  type Way,
} from './chain.ts';
import { type IdRegister, idRegisters, fieldsOf as namesIn, valueIn } from './fields.ts';
import {
  isOffered,
  isTelling,
  type Used,
  usesOfCd,
  usesOfCommand,
  usesOfRegister,
  usesOfRejected,
  usesOfSte,
} from './uses.ts';

const ID_REGISTERS: ReadonlySet<string> = new Set(idRegisters);
/** Words of struct iommu_hw_info_arm_smmuv3 after flags and a reserved word. */
const WORDS = ['IDR0', 'IDR1', 'IDR2', 'IDR3', 'IDR4', 'IDR5', 'IIDR', 'AIDR'] as const;
const ARM_SMMUV3 = 2;
const PTM = 4n;
const REFUSAL = /^((?:IDR\d|IIDR|AIDR)\.\w+): /;

const viewOf = ({ guests, hosts }: Chains, name: string): DriverView | undefined =>
  guests.get(name) ?? hosts.get(name);

/** Whose uses of an SMMU are counted: a guest's of its own, and of one of the machine's what no VM stands before. */
const userOf = (state: Chains, name: string): DriverView | undefined =>
  state.guests.get(name) ?? (isBare(state) ? state.hosts.get(name) : undefined);

/** Drivers put SIG_SEV into each CMD_SYNC, and CPUs broadcast for their own MMUs: without the field, that asks for nothing. */
const ALWAYS: ReadonlySet<string> = new Set(['IDR0.SEV', 'IDR0.BTM']);

function use(user: DriverView, used: Used, seq: number): void {
  const { field, what, failed } = used;
  const told = user.fields.get(field)?.value ?? valueIn(user.idr, field);
  if (ALWAYS.has(field) && told === 0) return;
  const known = user.uses.get(field);
  const bad = failed === undefined ? undefined : { value: failed, what, seq };
  const beyond = isOffered(used, told) ? undefined : { value: what, seq };
  if (known === undefined)
    user.uses.set(field, { first: seq, last: seq, count: 1, what, failed: bad, beyond });
  else {
    known.last = seq;
    known.what = what;
    known.count += 1;
    known.failed ??= bad;
    known.beyond ??= beyond;
  }
}

/** What an access of a structure or a register says of fields, of whoever put it there. */
function useAll(user: DriverView | undefined, used: readonly Used[], seq: number): void {
  if (user !== undefined) for (const each of used) use(user, each, seq);
}

function made(state: Chains, { smmu, config, seq, actor }: EntryOf<'smmu.made'>): void {
  const known = state.guests.get(smmu);
  const vm = config.space ?? actor;
  const guest: GuestSmmu = known ?? { ...newView(smmu), vm };
  guest.idr = config.idr;
  for (const name of idRegisters.flatMap((register: IdRegister) => namesIn(register))) {
    const value = valueIn(config.idr, name);
    if (guest.fields.get(name)?.value !== value) guest.fields.set(name, { value, seq });
  }
  state.guests.set(smmu, guest);
}

function reportOf({ words, dataType, capabilities, maxPasidLog2, seq }: EntryOf<'hwinfo.reported'>): Report {
  const idr = Object.fromEntries(WORDS.map((name, at) => [name, words[at + 2] ?? 0]));
  return {
    idr: dataType === ARM_SMMUV3 ? idr : undefined,
    capabilities: Number(capabilities),
    maxPasidLog2,
    seq,
  };
}

/** Guests whose VMID a broadcast carries. */
function guestsOf({ guests, vms }: Chains, vmid: number | undefined): readonly GuestSmmu[] {
  return [...guests.values()].filter(({ vm }) => vmid !== undefined && vms.get(vm)?.vmid === vmid);
}

/** The handlers of a ledger. */
export const ledgerHandlers: ProjectionHandlers<Chains> = {
  'driver.made': (state, { driver, setup, seq }) => {
    const view = viewOf(state, driver);
    if (view !== undefined) view.platform = { value: setup.platform, seq };
  },
  'driver.probed': (state, { driver, features, seq }) => {
    const view = viewOf(state, driver);
    if (view !== undefined) view.features = { value: features, seq };
  },
  'register.read': (state, { smmu, register, value, seq }) => {
    if (!ID_REGISTERS.has(register)) return;
    const view = viewOf(state, smmu);
    if (view !== undefined && !view.reads.has(register))
      view.reads.set(register, { value: Number(value & 0xffff_ffffn), seq });
  },
  'register.written': (state, { smmu, register, value, seq }) => {
    const host: HostSmmu | undefined = register === 'CR2' ? state.hosts.get(smmu) : undefined;
    if (host !== undefined) host.ptm = { value: (value & PTM) !== 0n, seq };
    if (isTelling(register)) useAll(userOf(state, smmu), usesOfRegister(register, value), seq);
  },
  'vm.made': (state, { vm, config, seq }) => {
    state.vms.set(vm, { name: vm, config, seq, booted: 0, vmid: config.vmid ?? 0, pinned: undefined });
  },
  'vm.changed': (state, { vm, set, seq }) => {
    const found = state.vms.get(vm);
    if (found !== undefined && set.booted === true) found.booted = seq;
  },
  'smmu.made': made,
  'device.plugged': (state, { vm, endpoint, device, seq }) => {
    if (device.kind !== 'assigned') return;
    state.ways.set(endpoint, {
      vm,
      endpoint,
      smmu: device.smmu,
      ats: device.ats,
      seq,
      report: undefined,
      stage2Vmid: undefined,
    });
  },
  'hwinfo.reported': (state, entry) => {
    const way = state.ways.get(entry.endpoint);
    if (way !== undefined) way.report = reportOf(entry);
  },
  'vm.answered': (state, { vm, refused, seq }) => {
    const field = REFUSAL.exec(refused ?? '')?.[1];
    if (field === undefined || refused === undefined) return;
    const last = [...state.ways.values()].findLast((way) => way.vm === vm);
    const guest = state.guests.get(last?.smmu ?? '');
    if (guest !== undefined) guest.refused = { field, seq, why: refused };
  },
  'command.fetched': (state, entry) => {
    const user = userOf(state, entry.smmu);
    if (user !== undefined) useAll(user, usesOfCommand(entry), entry.seq);
  },
  'command.rejected': (state, entry) => {
    useAll(userOf(state, entry.smmu), usesOfRejected(entry), entry.seq);
  },
  'structure.fetched': (state, entry) => {
    const { smmu, structure, streamId, words, ipa, seq } = entry;
    const way = wayOf(state, smmu, streamId);
    if (structure === 'STE' && way !== undefined) way.stage2Vmid = { value: s2vmidOf(words), seq };
    // A guest's CDs are read by the host's SMMU through stage 2; stage 1 of the STE before them is the guest's too.
    const behind = way === undefined ? undefined : state.guests.get(way.smmu);
    const own = userOf(state, smmu);
    if (structure === 'STE') useAll(own ?? behind, usesOfSte(wordsIn(words), own === undefined), seq);
    if (structure !== 'CD') return;
    const nested = ipa === undefined ? undefined : behind;
    useAll(own ?? nested, usesOfCd(wordsIn(words)), seq);
  },
  'kvm.vmid': (state, { vm, vmid, pinned, seq }) => {
    const found = state.vms.get(vm);
    if (found === undefined) return;
    found.vmid = vmid;
    found.pinned = { value: pinned, seq };
  },
  'cpu.tlbi': (state, { vmid, operation, seq }) => {
    for (const guest of guestsOf(state, vmid))
      use(guest, { field: 'IDR0.BTM', what: `TLBI ${operation}` }, seq);
  },
  'broadcast.received': (state, { smmu, vmid, operation, why, seq }) => {
    for (const guest of guestsOf(state, vmid))
      for (const way of state.ways.values()) {
        if (way.smmu !== guest.name || hostOf(state, way.endpoint) !== smmu) continue;
        const own = way.stage2Vmid?.value;
        const other = own === undefined || own === vmid ? undefined : `entries have VMID ${own}, not ${vmid}`;
        const failed = why ?? other;
        const used = { field: 'IDR0.BTM', what: `TLBI ${operation}` };
        use(guest, failed === undefined ? used : { ...used, failed: `${smmu}: ${failed}` }, seq);
      }
  },
};

/** The device of a guest that has this StreamID on the host. */
function wayOf(state: Chains, host: string, streamId: number): Way | undefined {
  const endpoint = state.machine.endpoints.find(
    (each) => each.smmu === host && each.streamId === streamId,
  )?.name;
  return endpoint === undefined ? undefined : state.ways.get(endpoint);
}

/** S2VMID, bits [143:128] of an STE. */
function s2vmidOf(words: Uint8Array): number {
  return STE.fields.S2VMID.read(wordsIn(words));
}

/** The words of a structure as it stood in memory. */
function wordsIn(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint32Array.from({ length: bytes.byteLength >> 2 }, (_, at) => view.getUint32(at * 4, true));
}
