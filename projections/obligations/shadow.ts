/**
 * What the rule knows of one SMMU, folded from the log: its registers, the structures it can reach,
 * what is owed for them, its command queue and what its caches hold; and the answer a machine without
 * caches would give.
 */
import type { SmmuConfig } from '../../core/config.ts';
import type { EntryOf } from '../../core/event.ts';
import type { Context } from '../../core/machine.ts';
import type { ScopeEnv } from '../../core/smmu/command.ts';
import { Features } from '../../core/smmu/features.ts';
import { putReg, reg, regValue, resetRegisters, vmidWildcard } from '../../core/smmu/regs.ts';
import { initialSmmu, type SmmuState } from '../../core/smmu/state.ts';
import { type Request, type Translation, translate } from '../../core/smmu/translate.ts';
import type { State } from '../../core/state.ts';
import { type Atcs, newAtcs } from './atcs.ts';
import { oweCombined } from './combined.ts';
import { type Commands, commandQueueOf, newCommands, produce } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { type Fills, newFills } from './fills.ts';
import { type Ledger, newLedger } from './ledger.ts';
import type { Change, Obligation } from './obligation.ts';
import { newOutputs } from './outputs.ts';
import type { Roots } from './roots.ts';
import { linkStreams, type Streams, streamTableShape, unlinkStreams } from './streams.ts';
import { tableChanged } from './table-changes.ts';
import type { Claim, Tables } from './tables.ts';
import type { Watch } from './watch.ts';

export interface Shadow {
  readonly name: string;
  /** The VM whose memory it reads, where a VMM emulates it. */
  readonly space: string | undefined;
  /** Endpoints whose accesses can wait (3.12). */
  readonly stallers: ReadonlySet<string>;
  readonly features: Features;
  readonly watch: Watch;
  readonly ledger: Ledger;
  readonly commands: Commands;
  readonly fills: Fills;
  readonly atcs: Atcs;
  readonly tables: Tables;
  readonly streams: Streams;
  /** Pages from which descriptors and CDs of streams with stage 2 were read, and the last store to each word of them. */
  readonly walkedPages: Set<number>;
  readonly stores: Map<number, Change>;
  /** Valid descriptors made over dirty ones while SMMUEN=0. */
  readonly remadeOff: Remade[];
  /** The SMMU without caches: registers as the log says, tables as memory says. */
  readonly bare: SmmuState;
}

/** A valid descriptor that was made before the old one was clean, and why that matters. */
export interface Remade {
  readonly obligation: Obligation;
  readonly why: string;
  readonly change: Change;
}

/** Who is told of what changes of structures break by themselves. */
export interface Told {
  /** Memory takes a new role while something cached may still lead to it. */
  reused(shadow: Shadow, pa: number, bytes: number, by: Claim, mapped: boolean): void;
  /** A valid descriptor was made before the old one was clean. */
  remade(shadow: Shadow, remade: Remade): void;
}

/** An SMMU after reset: nothing reachable, nothing cached, nothing owed. */
export function newShadow(
  config: SmmuConfig,
  watch: Watch,
  told: Told,
  stallers: ReadonlySet<string>,
): Shadow {
  const features = new Features(config.idr);
  const ledger = newLedger();
  const tables: Tables = {
    smmu: config.name,
    bbml: features.bbml,
    watch,
    ledger,
    byKey: new Map(),
    roots: new Map(),
    live: newOutputs(),
    globals: new Map(),
    changed: (table, index, before, after, change) =>
      tableChanged(tables, table, index, before, after, change),
    remade: (obligation, why, change) => told.remade(shadow, { obligation, why, change }),
    combined: (owed, target, change) => oweCombined(shadow, owed, target, change),
    claimed: (pa, bytes, by) => told.reused(shadow, pa, bytes, by, false),
    mapped: (pa, bytes, by) => told.reused(shadow, pa, bytes, by, true),
  };
  const roots: Roots = {
    tables,
    ledger,
    dormant: new Map(),
    oas: features.oas,
    byTag: new Map(),
    shared: false,
    fresh: [],
  };
  const contexts: Contexts = { watch, roots, byKey: new Map(), lastChange: 0 };
  // Its watch shows memory as it sees it.
  const { space, ...seen } = config;
  const none = { ...seen, caches: { ste: 0, cd: 0, tlb: 0, walk: 0 } };
  const shadow: Shadow = {
    name: config.name,
    space,
    stallers,
    features,
    watch,
    ledger,
    commands: newCommands(),
    fills: newFills(),
    atcs: newAtcs(),
    tables,
    streams: { watch, contexts, features, linked: undefined, second: new Map(), e2h: false },
    walkedPages: new Set(),
    stores: new Map(),
    remadeOff: [],
    bare: initialSmmu(none, resetRegisters(config)),
  };
  return shadow;
}

/** What the scopes of a command depend on now. */
export function scopeEnv({ features, bare }: Shadow): ScopeEnv {
  return { features, e2h: (reg(bare, 'CR2') & 1) === 1, wildcard: vmidWildcard(bare) };
}

const SMMUEN = 1;
const CMDQEN = 1 << 3;

/** Whether CR0.SMMUEN is set, so that walks may begin. */
export function isOn({ bare }: Shadow): boolean {
  return (reg(bare, 'CR0') & SMMUEN) !== 0;
}

/** Registers that neither a walk nor a structure depends on, and that are written often. */
const ASIDE: ReadonlySet<string> = new Set(['CMDQ_PROD', 'CMDQ_CONS', 'EVENTQ_PROD', 'EVENTQ_CONS']);

/** Hardware changed a register. */
export function registerUpdated({ bare }: Shadow, { register, value }: EntryOf<'register.updated'>): void {
  if (!ASIDE.has(register)) putReg(bare, register, value);
}

/** Software wrote a register; some make structures reachable, or commands produced. */
export function registerWritten(
  shadow: Shadow,
  { register, value, old, seq }: EntryOf<'register.written'>,
  change: () => Change,
  actor: string,
): void {
  const { bare, streams } = shadow;
  if (!ASIDE.has(register)) putReg(bare, register, value);
  if (register === 'CMDQ_PROD') {
    // A queue that is off takes nothing: what stands in it is produced when it is fetched.
    if ((reg(bare, 'CR0') & CMDQEN) === 0) return;
    const queue = commandQueueOf(regValue(bare, 'CMDQ_BASE'), shadow.features.cmdqsLog2);
    const move = { from: Number(old), to: Number(value), seq, actor };
    produce(shadow.commands, shadow.watch.memory, queue, scopeEnv(shadow), move);
  } else if (register === 'CR0') {
    if ((value & 1n) === 1n && streams.linked === undefined) link(shadow, change());
  } else if (register === 'STRTAB_BASE' || register === 'STRTAB_BASE_CFG') {
    // Written only while SMMUEN=0; the next SMMUEN=1 links the new table.
    if (value !== old) unlinkStreams(streams, change());
  } else if (register === 'CMDQ_BASE' || register === 'CMDQ_CONS') {
    shadow.commands.pending.clear();
  }
}

function link({ bare, streams, features }: Shadow, change: Change): void {
  streams.e2h = (reg(bare, 'CR2') & 1) === 1;
  const shape = streamTableShape(regValue(bare, 'STRTAB_BASE'), reg(bare, 'STRTAB_BASE_CFG'), features);
  linkStreams(streams, shape, change);
}

/** An answer, and the descriptor that hardware would mark dirty on the way to it (3.13). */
export type Fresh = Translation & { readonly marks?: number };

/** What the access would get if nothing were cached: the walk oracle of the catalogue. */
export function freshAnswer({ bare, watch }: Shadow, request: Request): Fresh {
  let marks: number | undefined;
  const emit: Context['emit'] = (_, event) => {
    if (event.type === 'memory.written' && isMarked(event.old, event.value)) marks = event.pa;
    return 0;
  };
  const answer = translate(looking({ watch }, emit), bare, request);
  return marks === undefined ? answer : { ...answer, marks };
}

/** Memory as it stands, to be read by a machine that logs nothing. */
export function looking({ watch }: Pick<Shadow, 'watch'>, emit: Context['emit'] = () => 0): Context {
  return { state: { memory: watch.memory } as unknown as State, emit };
}

/** AF, as it stands in a little-endian and in a big-endian descriptor. */
const ACCESS_FLAGS = (1n << 10n) | (1n << 50n);

/**
 * More than AF changes. An access flag that a cached entry does not set again is what software puts up with that
 * clears it to see what is used (linux: ptep_clear_flush_young); a write that is not marked is lost to it.
 */
function isMarked(old: bigint, value: bigint): boolean {
  return ((old ^ value) & ~ACCESS_FLAGS) !== 0n;
}

const PAGE = 4096;

/** Something that stage 2 is part of was read there: from now on its last change is remembered. */
export function walked({ walkedPages }: Shadow, pa: number): void {
  walkedPages.add(Math.floor(pa / PAGE));
}

/** A store changed the doubleword at `pa`. */
export function noteStore({ walkedPages, stores }: Shadow, pa: number, change: () => Change): void {
  if (walkedPages.size > 0 && walkedPages.has(Math.floor(pa / PAGE))) stores.set(pa, change());
}

/** A profile choice changed on the way. */
export function choiceSet({ bare }: Shadow, name: string, value: unknown): void {
  const config = bare.config as { choices: SmmuConfig['choices'] };
  config.choices = { ...config.choices, [name]: value as boolean };
}
