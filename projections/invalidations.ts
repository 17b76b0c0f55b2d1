/**
 * The rules of invalidation, in one fold. They read only the log. Each change of a structure that
 * hardware may have cached makes obligations; only commands that cover them, performed after the change
 * and completed by a CMD_SYNC, discharge them (IHI 0070 3.21, 4.3, 4.4). Where each rule is told:
 * `stale-use.ts` (I1, I3, I8), `remade.ts` (I3), `shared-tags.ts`, `entry-of-another.ts`, `first-of-streams.ts` (I4),
 * `stale-atc.ts` (I9), `release.ts` (I2).
 */
import { changed } from '../core/changed.ts';
import type { MachineConfig } from '../core/config.ts';
import type { Entry, EntryOf } from '../core/event.ts';
import { own } from '../core/lookup.ts';
import { broadcastMessage, broadcastScope, broadcasts } from '../core/smmu/broadcast.ts';
import { vmidWildcard } from '../core/smmu/regs.ts';
import type { Teller } from './explain.ts';
import type { Finding } from './finding.ts';
import { newImages, vdeviceGone, vdeviceMade } from './first-of-streams.ts';
import { loadedInGuests, smmuMade, storedInGuests, vmBacked, vmEnded, vmMade } from './guests.ts';
import { handedBack, noteHanded, noteIssued } from './handed-over.ts';
import { noteLoad, originOf, type State, withShadow } from './invalidation-state.ts';
import { iovaFreed } from './iova-release.ts';
import { atcEvicted, endpointOf, settleAtcs } from './obligations/atcs.ts';
import {
  broadcast,
  consumed,
  fetched,
  performed,
  rejected,
  synced,
  timedOut,
  unissued,
} from './obligations/commands.ts';
import {
  accessEnded,
  configFilled,
  descriptorFetched,
  descriptorUpdated,
  portFilled,
  removed,
  replacing,
  tlbFilled,
} from './obligations/fills.ts';
import type { Change, Invalidation } from './obligations/obligation.ts';
import { settleRoots } from './obligations/roots.ts';
import {
  choiceSet,
  newShadow,
  noteStore,
  registerUpdated,
  registerWritten,
  type Shadow,
  scopeEnv,
  type Told,
  walked,
} from './obligations/shadow.ts';
import { isWatched, loaded, newWatch, stored } from './obligations/watch.ts';
import {
  changing,
  domainClosed,
  domainKind,
  newWindows,
  queued,
  released,
  settled,
  taken,
  unmapping,
} from './obligations/windows.ts';
import { type Projection, type ProjectionHandlers, projection } from './projection.ts';
import { taskBegun, taskEnded } from './put-off.ts';
import {
  backingHeld,
  backingMade,
  cameTooLate,
  guestFreed,
  newReleases,
  pagesReturned,
  pagesTaken,
  reuses,
  slotGone,
} from './release.ts';
import { noteRemade, tellRemadeOff } from './remade.ts';
import { domainFreed, domainMade, settleTags } from './shared-tags.ts';
import { atcInvalidated, keepAnswer } from './stale-atc.ts';
import { checkAccess, checkStalled, stallEnded } from './stale-use.ts';
import { judgeUnanswered } from './unanswered-atc.ts';

/** The rule over the log of one branch. `branch` names positions. */
export function invalidations(machine: MachineConfig, branch: string): Projection<readonly Finding[]> {
  return projection<State, readonly Finding[]>({
    name: 'invalidations',
    initial: () => initialState(machine, branch),
    handlers,
    answer: ({ findings }) => findings,
  });
}

function initialState(machine: MachineConfig, branch: string): State {
  const watch = newWatch(machine.ram);
  const teller: Teller = { branch, misses: new WeakMap() };
  const findings: Finding[] = [];
  const stallers = new Set(machine.endpoints.filter(({ stall }) => stall !== false).map(({ name }) => name));
  const told: Told = {
    reused: (shadow, pa, bytes, by, mapped) => {
      for (const finding of reuses({ teller }, shadow, pa, bytes, by, mapped)) findings.push(finding);
    },
    remade: (shadow, remade) => noteRemade(teller, findings, shadow, remade),
  };
  const shadows = new Map(machine.smmus.map((smmu) => [smmu.name, newShadow(smmu, watch, told, stallers)]));
  const endpoints = new Map(
    machine.endpoints.map(({ name, smmu, streamId }) => [`${smmu}:${streamId}`, name]),
  );
  return {
    endpoints,
    watch,
    shadows,
    guests: new Map(),
    devices: new Map(),
    images: newImages(machine),
    stallers,
    putOff: [],
    tasks: new Map(),
    told,
    teller,
    findings,
    releases: newReleases(),
    handedOver: new Map(),
    windows: newWindows(),
    spaces: new Map(),
    tagOf: new Map(),
    stalled: new Map(),
    retried: undefined,
    stimulus: undefined,
  };
}

/** Who wrote a register: a scenario or a capture by itself, else the driver that works for the stimulus. */
function writerOf({ stimulus, shadows }: State, entry: EntryOf<'register.written'>): string {
  if (stimulus?.seq !== entry.cause) return entry.actor;
  if (stimulus.type !== 'ioctl' && stimulus.type !== 'turn' && stimulus.type !== 'close')
    return stimulus.actor;
  return shadows.get(entry.smmu)?.space ?? 'kernel';
}

const noteStimulus = (state: State, entry: Entry): void => {
  state.stimulus = entry;
  state.watch.clock.tick = entry.tick;
};

const handlers: ProjectionHandlers<State> = {
  'mem.write': noteStimulus,
  'mmio.write': noteStimulus,
  dma: noteStimulus,
  turn: noteStimulus,
  observe: noteStimulus,
  'command.issue': noteStimulus,
  'cpu.tlbi': noteStimulus,
  ioctl: noteStimulus,
  'mem.free': noteStimulus,
  'user.write': noteStimulus,
  close: noteStimulus,
  'ats.translate': (state, entry) => {
    noteStimulus(state, entry);
    for (const { fills } of state.shadows.values()) accessEnded(fills);
  },

  'dma.opened': (state, entry) => domainKind(state.windows, entry),
  'dma.kind': (state, entry) => domainKind(state.windows, entry),
  'mm.changing': (state, entry) => changing(state.windows, entry),
  'mm.settled': (state, entry) => settled(state.windows, entry),
  'dma.closed': (state, entry) => domainClosed(state.windows, entry),
  'dma.unmapping': (state, entry) => unmapping(state.windows, entry),
  'fq.queued': (state, entry) => queued(state.windows, entry),
  'fq.released': (state, entry) => released(state.windows, entry),
  'iova.taken': (state, entry) => taken(state.windows, entry),

  'memory.written': (state, entry) => {
    const { pa, value, old } = entry;
    const updates = state.shadows.get(entry.actor);
    if (updates !== undefined) descriptorUpdated(updates.fills, entry);
    const by = updates === undefined ? {} : { byHardware: true };
    const change = (): Change => changed(originOf(state, entry), { pa, before: old, after: value, ...by });
    for (const shadow of state.shadows.values())
      if (shadow.space === undefined && shadow.walkedPages.size > 0) noteStore(shadow, pa, change);
    const watched = isWatched(state.watch, pa);
    if (watched) stored(state.watch, pa, value, change());
    else state.watch.memory.write64(pa, value);
    const inGuest = state.guests.size > 0 && storedInGuests(state, change());
    if (watched || inGuest) settleTags(state);
  },
  'memory.loaded': (state, entry) => {
    noteLoad(state, entry);
    loaded(state.watch, entry.pa, entry.bytes, () => originOf(state, entry));
    if (state.guests.size > 0) loadedInGuests(state, entry, () => originOf(state, entry));
    settleTags(state);
  },

  'register.written': (state, entry) => {
    withShadow(state, entry.smmu, (shadow) =>
      registerWritten(
        shadow,
        entry,
        () => {
          const { smmu, register, value, old } = entry;
          const named = { register: `${smmu}.${register}`, before: old, after: value };
          return changed(originOf(state, entry), { pa: 0, ...named });
        },
        writerOf(state, entry),
      ),
    );
    if (entry.register === 'CR0') {
      withShadow(state, entry.smmu, (shadow) => tellRemadeOff(state.teller, state.findings, shadow));
      settleTags(state);
    }
  },
  'register.updated': (state, entry) =>
    withShadow(state, entry.smmu, (shadow) => registerUpdated(shadow, entry)),
  'value.set': (state, { path, value }) => {
    const [smmu = '', group, name = ''] = path.split('.');
    if (group === 'choices') withShadow(state, smmu, (shadow) => choiceSet(shadow, name, value));
    // ATS comes back: the reset is over.
    if (group !== 'ats' || value !== true) return;
    for (const { atcs } of state.shadows.values())
      if (atcs.endpoints.has(smmu)) endpointOf(atcs, smmu).inReset = false;
  },

  'command.fetched': (state, entry) => {
    if (state.handedOver.size > 0) noteIssued(state.handedOver, entry);
    withShadow(state, entry.smmu, (shadow) => fetched(shadow.commands, scopeEnv(shadow), entry));
  },
  'command.consumed': (state, entry) =>
    withShadow(state, entry.smmu, ({ commands }) => consumed(commands, entry.fetched, entry.seq)),
  'command.performed': (state, entry) => {
    state.watch.clock.hardwareTick = entry.tick;
    withShadow(state, entry.smmu, (shadow) => {
      const command = performed(shadow.commands, shadow.ledger, entry.fetched, entry.seq);
      if (command?.atc !== undefined) judgeAsked(state, shadow, command, entry.seq);
    });
  },
  'command.rejected': (state, entry) =>
    withShadow(state, entry.smmu, ({ commands }) =>
      rejected(commands, entry.fetched, entry.error, entry.seq),
    ),
  'commands.unissued': (state, entry) =>
    withShadow(state, entry.smmu, (shadow) => unissued(shadow.commands, scopeEnv(shadow), entry)),
  'broadcast.received': (state, entry) => {
    const { stimulus } = state;
    const row = own(broadcasts, entry.operation);
    if (entry.why !== undefined || row === undefined || stimulus?.type !== 'cpu.tlbi') return;
    withShadow(state, entry.smmu, ({ commands, ledger, streams, features, bare }) => {
      const scope = broadcastScope(row, broadcastMessage(row, stimulus), features, vmidWildcard(bare));
      const discharged = broadcast(commands, ledger, scope, entry);
      settleRoots(streams.contexts.roots, discharged);
      cameTooLate(state, discharged);
    });
  },
  'sync.completed': (state, entry) =>
    withShadow(state, entry.smmu, ({ commands, ledger, streams, atcs }) => {
      const discharged = synced(commands, ledger, entry);
      settleRoots(streams.contexts.roots, discharged);
      cameTooLate(state, discharged);
      if (atcs.going.size > 0) settleAtcs(atcs, entry.queue ?? 'CMDQ');
    }),

  'atc.filled': (state, entry) => withShadow(state, entry.smmu, (shadow) => keepAnswer(shadow, entry)),
  'atc.invalidated': (state, entry) =>
    withShadow(state, entry.smmu, (shadow) => atcInvalidated(shadow, entry)),
  'atc.evicted': (state, entry) => withShadow(state, entry.smmu, ({ atcs }) => atcEvicted(atcs, entry)),
  'atc.timedout': (state, entry) =>
    withShadow(state, entry.smmu, (shadow) => {
      const command = timedOut(shadow.commands, entry.fetched, entry.seq);
      if (command !== undefined) judgeAsked(state, shadow, command, entry.seq);
    }),
  'endpoint.reset': (state, { smmu, endpoint }) =>
    withShadow(state, smmu, ({ atcs }) => {
      endpointOf(atcs, endpoint).inReset = true;
    }),

  'descriptor.fetched': (state, entry) =>
    withShadow(state, entry.smmu, (shadow) => {
      descriptorFetched(shadow.fills, entry);
      if (entry.stage === 2 || shadow.walkedPages.size > 0) walked(shadow, entry.pa);
    }),
  'structure.fetched': (state, entry) =>
    withShadow(state, entry.smmu, (shadow) => {
      if (entry.structure === 'CD') shadow.fills.fetchedCd = entry;
      if (entry.ipa !== undefined) walked(shadow, entry.pa);
    }),
  'fetch.aborted': (state, { smmu, structure, pa }) =>
    withShadow(state, smmu, ({ fills }) => {
      if (structure === 'descriptor') fills.aborted = pa;
    }),
  'config.filled': (state, entry) => {
    state.watch.clock.hardwareTick = entry.tick;
    withShadow(state, entry.smmu, ({ fills }) => configFilled(fills, entry));
  },
  'tlb.filled': (state, entry) => {
    state.watch.clock.hardwareTick = entry.tick;
    withShadow(state, entry.smmu, ({ fills, ledger }) => tlbFilled(fills, entry, ledger.config.size > 0));
  },
  'port.filled': (state, entry) => withShadow(state, entry.smmu, ({ fills }) => portFilled(fills, entry)),
  'cache.invalidated': (state, entry) =>
    withShadow(state, entry.smmu, ({ fills }) => removed(fills, entry.removed)),
  'cache.evicted': (state, entry) =>
    withShadow(state, entry.smmu, ({ fills }) => {
      replacing(fills, entry);
      removed(fills, entry.removed);
    }),

  'object.reserved': vdeviceMade,
  'object.removed': vdeviceGone,
  'domain.made': domainMade,
  'domain.freed': domainFreed,
  'vm.made': vmMade,
  'vm.answered': slotGone,
  'vm.backed': (state, entry) => {
    state.spaces.set(entry.vm, entry.windows);
    vmBacked(state, entry);
  },
  'vm.ended': vmEnded,
  'smmu.made': (state, entry) => smmuMade(state, state.told, entry),
  'device.plugged': ({ devices }, { seq, vm, endpoint, device: { smmu, streamId } }) =>
    void devices.set(endpoint, { vm, smmu, streamId, plugged: seq }),
  'device.changed': ({ devices }, { seq, endpoint, set: { attached } }) => {
    const device = devices.get(endpoint);
    if (device === undefined || attached === undefined) return;
    devices.set(endpoint, { ...device, aborts: attached === 'abort' ? seq : undefined });
  },
  'device.unplugged': ({ devices }, { endpoint }) => void devices.delete(endpoint),
  'task.begun': taskBegun,
  'task.paused': ({ handedOver }, entry) => noteHanded(handedOver, entry),
  'ioctl.completed': (state, entry) => {
    const { handedOver } = state;
    const left = handedBack(handedOver, entry, (smmu) => state.shadows.get(smmu)?.commands.pending);
    if (left === undefined) return;
    const { seq, actor, name } = entry;
    withShadow(state, left.smmu, (shadow) =>
      unissued(shadow.commands, scopeEnv(shadow), { seq, actor, name, commands: left.commands }),
    );
  },
  'task.ended': taskEnded,
  'endpoint.made': ({ endpoints, stallers }, { endpoint, config }) => {
    endpoints.set(`${config.smmu}:${config.streamId}`, endpoint);
    if (config.stall !== false) stallers.add(endpoint);
  },
  'iova.freed': iovaFreed,
  'page.freed': guestFreed,
  'pages.returned': pagesReturned,
  'pages.taken': pagesTaken,
  'backing.made': backingMade,
  'backing.held': backingHeld,

  'access.completed': checkAccess,
  'access.terminated': checkAccess,
  'access.stalled': checkStalled,
  'stall.ended': stallEnded,
};

function judgeAsked(
  { endpoints, teller, findings }: State,
  shadow: Shadow,
  command: Invalidation,
  seq: number,
): void {
  const name = endpoints.get(`${shadow.name}:${command.atc?.streamId}`);
  const found = name === undefined ? undefined : judgeUnanswered(shadow, teller, command, name, seq);
  if (found !== undefined) findings.push(found);
}
