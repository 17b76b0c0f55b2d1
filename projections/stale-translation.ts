/**
 * The first rule: no device reaches memory through a translation or configuration that software has
 * taken away. It reads only the log. Each change of a structure that hardware may have cached makes
 * obligations; only commands that cover them, performed after the change and completed by a
 * CMD_SYNC, discharge them (IHI 0070 3.21, 4.3, 4.4; I1 to I3 of the catalogue).
 *
 * `used-stale`: an access was served from an entry that a fresh look at memory contradicts.
 * `could-be-used`: memory took a new role while an entry may still lead to it. Page frees are not in
 * the log yet: when a `page.freed` event exists, its handler calls `reused` as structures do now.
 *
 * Streams with stage 2 have `used-stale` only (`obligations/nested-use.ts`). Left out: ATCs.
 */
import type { MachineConfig } from '../core/config.ts';
import type { Entry, EntryOf } from '../core/event.ts';
import { own } from '../core/lookup.ts';
import { broadcastMessage, broadcastScope, broadcasts } from '../core/smmu/broadcast.ts';
import { vmidWildcard } from '../core/smmu/regs.ts';
import type { Request } from '../core/smmu/translate.ts';
import { type AccessEntry, explainReuse, explainUse, type Teller } from './explain.ts';
import type { Finding } from './finding.ts';
import { mapAround } from './obligations/around.ts';
import {
  broadcast,
  consumed,
  fetched,
  performed,
  rejected,
  synced,
  unissued,
} from './obligations/commands.ts';
import { accessEnded, configFilled, descriptorFetched, removed, tlbFilled } from './obligations/fills.ts';
import { judgeNestedUse } from './obligations/nested-use.ts';
import type { Change } from './obligations/obligation.ts';
import { leadingTo } from './obligations/outputs.ts';
import { settleRoots } from './obligations/roots.ts';
import {
  choiceSet,
  newShadow,
  noteStore,
  registerUpdated,
  registerWritten,
  type Shadow,
  scopeEnv,
  walked,
} from './obligations/shadow.ts';
import type { Claim } from './obligations/tables.ts';
import { judgeUse } from './obligations/use.ts';
import { isWatched, loaded, newWatch, stored, type Watch } from './obligations/watch.ts';
import { type Projection, type ProjectionHandlers, projection } from './projection.ts';

interface State {
  readonly watch: Watch;
  readonly shadows: ReadonlyMap<string, Shadow>;
  readonly teller: Teller;
  readonly findings: Finding[];
  /** The stimulus that the present entries follow from. */
  stimulus: Entry | undefined;
}

/** Findings that carry a map; making one costs as much as a hundred entries. */
const MAPS_MAX = 64;

/** The rule over the log of one branch. `branch` names positions. */
export function staleTranslation(machine: MachineConfig, branch: string): Projection<readonly Finding[]> {
  return projection<State, readonly Finding[]>({
    name: 'stale-translation',
    initial: () => initialState(machine, branch),
    handlers,
    answer: ({ findings }) => findings,
  });
}

function initialState(machine: MachineConfig, branch: string): State {
  const watch = newWatch(machine.ram);
  const teller: Teller = { branch, misses: new WeakMap() };
  const findings: Finding[] = [];
  const reused = (shadow: Shadow, pa: number, bytes: number, by: Claim, mapped: boolean): void => {
    for (const finding of reuses(teller, shadow, pa, bytes, by, mapped)) findings.push(finding);
  };
  const shadows = new Map(machine.smmus.map((smmu) => [smmu.name, newShadow(smmu, watch, reused)]));
  return { watch, shadows, teller, findings, stimulus: undefined };
}

const noteStimulus = (state: State, entry: Entry): void => {
  state.stimulus = entry;
  state.watch.tick = entry.tick;
};

const handlers: ProjectionHandlers<State> = {
  'mem.write': noteStimulus,
  'mmio.write': noteStimulus,
  dma: noteStimulus,
  turn: noteStimulus,
  observe: noteStimulus,
  'command.issue': noteStimulus,
  'cpu.tlbi': noteStimulus,

  'memory.written': (state, entry) => {
    const { pa, value, old } = entry;
    for (const shadow of state.shadows.values())
      if (shadow.walkedPages.size > 0)
        noteStore(shadow, pa, () => ({ ...originOf(state, entry), pa, before: old, after: value }));
    if (!isWatched(state.watch, pa)) state.watch.memory.write64(pa, value);
    else stored(state.watch, pa, value, { ...originOf(state, entry), pa, before: old, after: value });
  },
  'memory.loaded': (state, entry) => {
    noteLoad(state, entry);
    loaded(state.watch, entry.pa, entry.bytes, () => originOf(state, entry));
  },

  'register.written': (state, entry) =>
    withShadow(state, entry.smmu, (shadow) =>
      registerWritten(shadow, entry, () => {
        const { value, old } = entry;
        return { ...originOf(state, entry), pa: 0, before: old, after: value };
      }),
    ),
  'register.updated': (state, entry) =>
    withShadow(state, entry.smmu, (shadow) => registerUpdated(shadow, entry)),
  'value.set': (state, { path, value }) => {
    const [smmu = '', group, name = ''] = path.split('.');
    if (group === 'choices') withShadow(state, smmu, (shadow) => choiceSet(shadow, name, value));
  },

  'command.fetched': (state, entry) =>
    withShadow(state, entry.smmu, (shadow) => fetched(shadow.commands, scopeEnv(shadow), entry)),
  'command.consumed': (state, entry) =>
    withShadow(state, entry.smmu, ({ commands }) => consumed(commands, entry.fetched, entry.seq)),
  'command.performed': (state, entry) => {
    state.watch.hardwareTick = entry.tick;
    withShadow(state, entry.smmu, ({ commands, ledger }) =>
      performed(commands, ledger, entry.fetched, entry.seq),
    );
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
      settleRoots(streams.contexts.roots, broadcast(commands, ledger, scope, entry));
    });
  },
  'sync.completed': (state, entry) =>
    withShadow(state, entry.smmu, ({ commands, ledger, streams }) =>
      settleRoots(streams.contexts.roots, synced(commands, ledger, entry)),
    ),

  'descriptor.fetched': (state, entry) =>
    withShadow(state, entry.smmu, (shadow) => {
      descriptorFetched(shadow.fills, entry);
      if (entry.stage === 2 || shadow.walkedPages.size > 0) walked(shadow, entry.pa);
    }),
  'structure.fetched': (state, { smmu, ipa, pa }) =>
    withShadow(state, smmu, (shadow) => {
      if (ipa !== undefined) walked(shadow, pa);
    }),
  'fetch.aborted': (state, { smmu, structure, pa }) =>
    withShadow(state, smmu, ({ fills }) => {
      if (structure === 'descriptor') fills.aborted = pa;
    }),
  'config.filled': (state, entry) => {
    state.watch.hardwareTick = entry.tick;
    withShadow(state, entry.smmu, ({ fills }) => configFilled(fills, entry));
  },
  'tlb.filled': (state, entry) => {
    state.watch.hardwareTick = entry.tick;
    withShadow(state, entry.smmu, ({ fills }) => tlbFilled(fills, entry));
  },
  'cache.invalidated': (state, entry) =>
    withShadow(state, entry.smmu, ({ fills }) => removed(fills, entry.removed)),
  'cache.evicted': (state, entry) =>
    withShadow(state, entry.smmu, ({ fills }) => removed(fills, entry.removed)),

  'access.completed': checkAccess,
  'access.terminated': checkAccess,
};

/** Doublewords of a load that something cached may rest on. */
function noteLoad(state: State, entry: EntryOf<'memory.loaded'>): void {
  const { pa, bytes } = entry;
  const watching = [...state.shadows.values()].filter(({ walkedPages }) => walkedPages.size > 0);
  if (watching.length === 0) return;
  const after = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = (8 - (pa % 8)) % 8; at + 8 <= bytes.length; at += 8) {
    const before = state.watch.memory.read64(pa + at);
    const value = after.getBigUint64(at, true);
    if (before === value) continue;
    for (const shadow of watching)
      noteStore(shadow, pa + at, () => ({ ...originOf(state, entry), pa: pa + at, before, after: value }));
  }
}

function withShadow({ shadows }: State, name: string, work: (shadow: Shadow) => void): void {
  const shadow = shadows.get(name);
  if (shadow !== undefined) work(shadow);
}

/** Who made the change: the entry, and what its stimulus tells of the place. */
function originOf({ stimulus }: State, entry: Entry): Pick<Change, 'seq' | 'actor' | 'line' | 'cpu' | 'pc'> {
  const { seq, actor } = entry;
  if (stimulus === undefined || stimulus.seq !== entry.cause || !('pc' in stimulus || 'line' in stimulus))
    return { seq, actor };
  const { line, cpu, pc } = stimulus;
  return {
    seq,
    actor,
    ...(line === undefined ? {} : { line }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(pc === undefined ? {} : { pc }),
  };
}

function checkAccess(state: State, entry: EntryOf<'access.completed'> | EntryOf<'access.terminated'>): void {
  state.watch.hardwareTick = entry.tick;
  // A Translated transaction rests on an answer of before, not on what the tables say now.
  const asked = state.stimulus;
  if (asked?.type === 'dma' && asked.seq === entry.cause && asked.translated === true) return;
  const shadow = state.shadows.get(entry.smmu);
  if (shadow === undefined) return;
  const request = requestOf(state, entry);
  const stale = judgeUse(shadow, entry, request) ?? judgeNestedUse(shadow, entry, request);
  accessEnded(shadow.fills);
  if (stale === undefined) return;
  const { stimulus, findings, teller } = state;
  const tags = stale.stale === 'tlb' ? stale.tlb?.entry : undefined;
  const map =
    tags === undefined || findings.length >= MAPS_MAX ? undefined : mapAround(shadow, request, tags);
  const line = stimulus?.type === 'dma' && stimulus.seq === entry.cause ? stimulus.line : undefined;
  findings.push(explainUse(teller, { ...stale, shadow, access: entry, line, map }));
}

/** The access as it was asked; privilege and kind stand with the DMA. */
function requestOf(
  { stimulus }: State,
  { streamId, substreamId, iova, access, cause }: AccessEntry,
): Request {
  const dma = stimulus?.type === 'dma' && stimulus.seq === cause ? stimulus : undefined;
  const { exec = false, privileged = false } = dma ?? {};
  return { streamId, substreamId, iova, access, exec, privileged };
}

/** I2: each obligation whose entry may lead into the memory is told once. */
function reuses(
  teller: Teller,
  shadow: Shadow,
  pa: number,
  bytes: number,
  by: Claim,
  mapped: boolean,
): readonly Finding[] {
  if (by.change.initial === true || shadow.ledger.size === 0) return [];
  const tables = leadingTo(shadow.ledger.tables, pa, bytes);
  // A page may be mapped twice; only as a table it must not be.
  const pages = mapped ? [] : leadingTo(shadow.ledger.pages, pa, bytes);
  const findings: Finding[] = [];
  for (const obligation of [...pages, ...tables]) {
    if (obligation.reported || obligation.kind === 'relaxed' || obligation.where === by.where) continue;
    obligation.reported = true;
    const at = obligation.output?.pa ?? pa;
    findings.push(explainReuse(teller, { shadow, obligation, pa: Math.max(pa, at), bytes, by }));
  }
  return findings;
}
