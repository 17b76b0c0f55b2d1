/** How entries change what a ledger remembers. Constant work for each entry. */
import type { EntryOf } from '../../core/event.ts';
import { STE } from '../../core/smmu/ste.ts';
import type { ProjectionHandlers } from '../projection.ts';
import { ownBacked } from './backing.ts';
import {
  type Chains,
  type DriverView,
  type GuestSmmu,
  type HostSmmu,
  hostOf,
  isBare,
  newView,
  type Report,
  type Use,
  type Way,
} from './chain.ts';
import { fieldFacts, type IdRegister, idRegisters, fieldsOf as namesIn, valueIn } from './fields.ts';
import { idrChanged, madeAnew, plugged, unplugged } from './lives.ts';
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
const ALWAYS: ReadonlySet<string> = new Set(['IDR0.SEV', 'IDR0.BTM', 'IDR0.COHACC']);
/** A guest that was told of coherent walks cleans no cache, as none can be seen to. */
const CACHED: Used = { field: 'IDR0.COHACC', what: 'a CD that no cache was cleaned for' };

/** Failed uses that are remembered, the latest: what went wrong after one of them is its proof. */
const FAILURES_MAX = 64;

function use(user: DriverView, used: Used, seq: number): void {
  const { field, what, failed } = used;
  const told = user.fields.get(field)?.value ?? valueIn(user.idr, field);
  if (ALWAYS.has(field) && told === 0) return;
  const known = user.uses.get(field);
  const made: Use = known ?? {
    first: seq,
    last: seq,
    count: 0,
    what,
    failed: undefined,
    failures: [],
    beyond: undefined,
  };
  made.last = seq;
  made.what = what;
  made.count += 1;
  if (failed !== undefined) {
    made.failed ??= { value: failed, what, seq };
    made.failures.push(seq);
    if (made.failures.length > FAILURES_MAX) made.failures.shift();
  }
  if (!isOffered(used, told)) made.beyond ??= { value: what, seq };
  if (known === undefined) user.uses.set(field, made);
}

/** What an access of a structure or a register says of fields, of whoever put it there. */
function useAll(user: DriverView | undefined, used: readonly Used[], seq: number): void {
  if (user !== undefined) for (const each of used) use(user, each, seq);
}

/** Uses of a guest that the host's SMMU is to serve: those it cannot have failed. */
function served(host: HostSmmu | undefined, used: readonly Used[]): readonly Used[] {
  if (host === undefined) return used;
  return used.map((each) => {
    const facts = fieldFacts[each.field];
    const value = facts && ownBacked(each.field, facts, host);
    if (value === undefined || isOffered(each, value)) return each;
    return { ...each, failed: `${host.name}: ${each.field} is ${value} there` };
  });
}

function made(state: Chains, { smmu, config, seq, actor }: EntryOf<'smmu.made'>): void {
  const known = state.guests.get(smmu);
  const vm = config.space ?? actor;
  const guest = known ?? newGuest(smmu, vm);
  guest.idr = config.idr;
  idrChanged(guest);
  for (const name of idRegisters.flatMap((register: IdRegister) => namesIn(register))) {
    const value = valueIn(config.idr, name);
    if (guest.fields.get(name)?.value !== value) guest.fields.set(name, { value, seq });
  }
  state.guests.set(smmu, guest);
}

function newGuest(smmu: string, vm: string): GuestSmmu {
  const nothing = { command: undefined, waitsForEvent: undefined } as const;
  return { ...newView(smmu), vm, life: 0, host: '', later: [], ...nothing };
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
  'vm.made': (state, entry) => {
    const { vm, config, seq } = entry;
    madeAnew(state, entry);
    state.vms.set(vm, { name: vm, config, seq, booted: 0, vmid: config.vmid ?? 0, pinned: undefined });
  },
  'vm.changed': (state, { vm, set, seq }) => {
    const found = state.vms.get(vm);
    if (found !== undefined && set.booted === true) found.booted = seq;
  },
  'smmu.made': made,
  'device.unplugged': unplugged,
  'device.plugged': (state, entry) => {
    const { vm, endpoint, device, seq } = entry;
    if (device.kind !== 'assigned') return;
    plugged(state, entry);
    state.ways.set(endpoint, {
      vm,
      endpoint,
      smmu: device.smmu,
      ats: device.ats,
      streamId: device.streamId,
      vdevice: device.vdevice,
      refused: undefined,
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
    const last = [...state.ways.values()].findLast((way) => way.vm === vm);
    if (refused !== undefined && last !== undefined) last.refused = refused;
    const field = refused === undefined ? undefined : refusedFor(state, refused, last);
    if (field === undefined || refused === undefined) return;
    const guest = state.guests.get(last?.smmu ?? '');
    if (guest !== undefined) guest.refused = { field, seq, why: refused };
  },
  'command.fetched': (state, entry) => {
    const user = userOf(state, entry.smmu);
    if (user !== undefined) useAll(user, commandUses(state, user, entry), entry.seq);
    else if (state.hosts.has(entry.smmu)) forwarded(state, entry);
  },
  'command.rejected': (state, entry) => {
    useAll(userOf(state, entry.smmu), usesOfRejected(entry), entry.seq);
    refusedCommand(state, entry);
  },
  'structure.fetched': (state, entry) => {
    const { smmu, structure, streamId, words, ipa, seq } = entry;
    const way = wayOf(state, smmu, streamId);
    if (structure === 'STE' && way !== undefined) way.stage2Vmid = { value: s2vmidOf(words), seq };
    // A guest's CDs are read by the host's SMMU through stage 2; stage 1 of the STE before them is the guest's too.
    const behind = way === undefined ? undefined : state.guests.get(way.smmu);
    const own = userOf(state, smmu);
    const host = own === undefined ? state.hosts.get(smmu) : undefined;
    if (structure === 'STE')
      useAll(own ?? behind, served(host, usesOfSte(wordsIn(words), own === undefined)), seq);
    if (structure !== 'CD') return;
    const nested = ipa === undefined ? undefined : behind;
    useAll(own ?? nested, served(host, usesOfCd(wordsIn(words))), seq);
    if (own === undefined) useAll(nested, served(host, [CACHED]), seq);
  },
  'device.changed': (state, { endpoint, set }) => {
    const way = state.ways.get(endpoint);
    if (way !== undefined && set.vdevice !== undefined) way.vdevice = set.vdevice;
  },
  'record.raised': (state, { smmu, record, streamId, seq }) => {
    if (record !== 'C_BAD_SUBSTREAMID') return;
    const way = state.hosts.has(smmu) ? wayOf(state, smmu, streamId) : undefined;
    const guest = way && state.guests.get(way.smmu);
    const used = { field: 'IDR1.SSIDSIZE', what: 'a SubstreamID', failed: `${smmu}: ${record}` };
    if (guest !== undefined) use(guest, used, seq);
  },
  'sync.timedout': (state, { driver, seq }) => {
    const guest = state.guests.get(driver);
    if (guest?.features?.value.msiPolling !== true) return;
    use(guest, { field: 'IDR0.MSI', what: 'CMD_SYNC with an MSI', failed: 'no message came' }, seq);
  },
  'sync.completed': (state, { smmu, seq }) => {
    const guest = state.guests.get(smmu);
    if (guest?.waitsForEvent === undefined) return;
    guest.waitsForEvent = seq;
  },
  'event.sent': (state, { smmu, source }) => {
    const guest = state.guests.get(smmu);
    if (guest !== undefined && source === 'CMD_SYNC') guest.waitsForEvent = undefined;
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

/** The field that a device was refused for: VMMs name it; VFIO takes no device whose walks are not coherent. */
function refusedFor(state: Chains, refused: string, way: Way | undefined): string | undefined {
  const named = REFUSAL.exec(refused)?.[1];
  if (named !== undefined || !refused.startsWith('VFIO_DEVICE_BIND_IOMMUFD: EINVAL')) return named;
  const host = way && state.hosts.get(hostOf(state, way.endpoint));
  return host?.features?.value.coherent === false ? 'IDR0.COHACC' : undefined;
}

/** What a guest's command uses, and what the VMM is known to make of it. */
function commandUses(state: Chains, user: DriverView, entry: EntryOf<'command.fetched'>): readonly Used[] {
  const used = usesOfCommand(entry);
  const guest = state.guests.get(user.name);
  if (guest === undefined) return used;
  guest.command = { seq: entry.seq, used };
  const { command, lo } = entry;
  // Until its event is sent, a CMD_SYNC of SIG_SEV is one that nobody was told of.
  if (guest.waitsForEvent !== undefined && guest.waitsForEvent > 0)
    use(
      guest,
      { field: 'IDR0.SEV', what: 'CMD_SYNC with SIG_SEV', failed: 'no event came' },
      guest.waitsForEvent,
    );
  guest.waitsForEvent = used.some(({ field }) => field === 'IDR0.SEV') ? 0 : undefined;
  if (command !== 'CMD_ATC_INV') return used;
  const streamId = Number(lo >> 32n);
  const way = [...state.ways.values()].find((each) => each.smmu === guest.name && each.streamId === streamId);
  if (way === undefined || way.vdevice !== 0) return used;
  return used.map((each) => ({ ...each, failed: `no vDEVICE of ${way.endpoint}: it goes nowhere` }));
}

/** A command of a guest that the kernel refused: what it used was not to be had of the host, where that lacks it. */
function refusedCommand(state: Chains, { smmu, fetched, why, seq }: EntryOf<'command.rejected'>): void {
  const guest = state.guests.get(smmu);
  if (guest?.command === undefined || guest.command.seq !== fetched) return;
  const way = [...state.ways.values()].find((each) => each.smmu === smmu);
  const host = way && state.hosts.get(hostOf(state, way.endpoint));
  for (const each of served(host, guest.command.used))
    if (each.failed !== undefined) use(guest, { ...each, failed: `${each.failed}; ${why}` }, seq);
}

/** A range on an SMMU of the host that has none is taken for one page (4.4.1.1): what a guest forwarded was for more. */
function forwarded(state: Chains, entry: EntryOf<'command.fetched'>): void {
  const host = state.hosts.get(entry.smmu);
  if (host === undefined || valueIn(host.idr, 'IDR3.RIL') !== 0) return;
  const ranged = usesOfCommand(entry).filter(({ field }) => field === 'IDR3.RIL');
  if (ranged.length === 0) return;
  for (const way of state.ways.values()) {
    const guest = state.guests.get(way.smmu);
    if (hostOf(state, way.endpoint) !== host.name || guest?.fields.get('IDR3.RIL')?.value !== 1) continue;
    useAll(guest, served(host, ranged), entry.seq);
  }
}

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
