/**
 * A CMD_ATC_INV that goes out before the TLB invalidation for the same change has completed: the endpoint may ask
 * again, and is answered from the TLB (IHI 0070 3.9.1, 4.5.1). One that is sent again in time is forgiven.
 */

import type { EntryOf } from '../../core/event.ts';
import { decode } from '../../core/layout/layout.ts';
import { quad } from '../../core/layout/words.ts';
import { CD } from '../../core/smmu/cd.ts';
import { scopesOf } from '../../core/smmu/command.ts';
import { commandLayouts } from '../../core/smmu/command-layout.ts';
import type { Scope } from '../../core/smmu/invalidate.ts';
import { isE2h } from '../../core/smmu/regs.ts';
import { STE, steConfig } from '../../core/smmu/ste.ts';
import type { Finding } from '../finding.ts';
import { viewSte } from '../obligations/structures.ts';
import { hex } from '../obligations/tell.ts';
import { steAddressOf } from './reach.ts';
import { makesUpFor, scopeEnvOf } from './scopes.ts';
import { deed, tell } from './tell.ts';
import { type RuleRun, ringOf, type Unit, type World } from './world.ts';

interface Tlbi {
  readonly entry: EntryOf<'command.fetched'>;
  readonly scopes: readonly Scope[];
  synced: boolean;
}

interface AtcInv {
  readonly entry: EntryOf<'command.fetched'>;
  readonly words: readonly number[];
  readonly tags: Tags;
  readonly unit: Unit;
  /** The last store before it. */
  readonly change: number;
  /** seqs at which the endpoint, and the SMMU, had done it. */
  readonly ends: number[];
  /** TLB invalidation it should have waited for. */
  tlbi: Tlbi | undefined;
}

interface Order {
  readonly unit: Unit;
  /** Since the last store. */
  tlbis: Tlbi[];
  atcs: AtcInv[];
  /** seq of the last store that is neither a command nor data. */
  change: number;
  early: AtcInv[];
}

/** Commands after one store that are remembered. */
const MOST = 256;

/** A run over all SMMUs. */
export function atcOrder(world: World): RuleRun {
  const all = new Map<string, Order>();
  for (const [name, unit] of world.units)
    if (unit.features.ats) all.set(name, { unit, tlbis: [], atcs: [], change: 0, early: [] });
  if (all.size === 0) return { told: () => [], handlers: {} };
  const stored = (pa: number, seq: number, actor: string): void => {
    if (all.has(actor) || world.machine.endpoints.some(({ name }) => name === actor)) return;
    for (const order of all.values()) {
      const { base, entryBytes, sizeLog2 } = ringOf(order.unit, 'CMDQ');
      if (pa >= base && pa < base + entryBytes * 2 ** sizeLog2) continue;
      // What is not complete yet may still be overtaken.
      order.tlbis = order.tlbis.filter(({ synced }) => !synced);
      order.atcs = [];
      order.change = seq;
    }
  };
  return {
    told: () => [...all.values()].flatMap(({ early }) => early.map((each) => tellEarly(world, each))),
    handlers: {
      'memory.written': ({ pa, seq, actor }) => stored(pa, seq, actor),
      'memory.loaded': ({ pa, seq, actor }) => stored(pa, seq, actor),
      'command.fetched': (entry) => {
        const order = all.get(entry.smmu);
        if (order === undefined || entry.queue !== undefined) return;
        if (entry.command.startsWith('CMD_TLBI')) tlbiFetched(order, entry);
        else if (entry.command === 'CMD_ATC_INV') atcFetched(world, order, entry);
      },
      'atc.invalidated': ({ smmu, fetched, seq }) => noteEnd(all.get(smmu), fetched, seq),
      'command.performed': ({ smmu, fetched, seq }) => noteEnd(all.get(smmu), fetched, seq),
      'sync.completed': ({ smmu, queue }) => {
        if (queue === undefined) for (const each of all.get(smmu)?.tlbis ?? []) each.synced = true;
      },
      'endpoint.reset': () => {
        for (const order of all.values()) order.early = [];
      },
    },
  };
}

function noteEnd(order: Order | undefined, fetched: number, seq: number): void {
  for (const { entry, ends } of order?.atcs ?? []) if (entry.seq === fetched) ends.push(seq);
}

function tlbiFetched(order: Order, entry: EntryOf<'command.fetched'>): void {
  const scopes = scopesOf(quad(entry.lo, entry.hi), scopeEnvOf(order.unit));
  const tlbi: Tlbi = { entry, scopes, synced: false };
  for (const atc of order.atcs) {
    if (atc.tlbi !== undefined || !meets(scopes, atc)) continue;
    // The same was clean already when the ATC was invalidated.
    if (order.tlbis.some((each) => each.entry.seq < atc.entry.seq && each.synced && meets(each.scopes, atc)))
      continue;
    atc.tlbi = tlbi;
    if (order.early.length < MOST) order.early.push(atc);
  }
  if (order.tlbis.length < MOST) order.tlbis.push(tlbi);
}

function atcFetched(world: World, order: Order, entry: EntryOf<'command.fetched'>): void {
  const words = quad(entry.lo, entry.hi);
  const { unit } = order;
  order.early = order.early.filter(
    (each) => !(each.tlbi?.synced === true && (makesUpFor(words, each.words, unit) || isPairOf(words, each))),
  );
  const tags = tagsOf(world, unit, words);
  if (tags === undefined) return;
  const pending = order.tlbis.findLast(({ synced, scopes }) => !synced && meets(scopes, { words, tags }));
  const atc: AtcInv = { entry, words, tags, unit, change: order.change, ends: [], tlbi: pending };
  if (order.atcs.length < MOST) order.atcs.push(atc);
  if (pending !== undefined && order.early.length < MOST) order.early.push(atc);
}

/**
 * Whether it is the one that goes with the TLB invalidation: then the early one was another CPU's, for a change of
 * its own (a SubstreamID that is taken away while its process unmaps).
 */
function isPairOf(words: readonly number[], { words: early, tlbi }: AtcInv): boolean {
  const { layout } = commandLayouts.CMD_ATC_INV;
  const [late, first] = [decode(layout, words), decode(layout, early)];
  if (late.StreamID !== first.StreamID) return false;
  if (late.SSV && !(first.SSV && (late.G || late.SubstreamID === first.SubstreamID))) return false;
  const { start, size } = spanOf(words);
  return (tlbi?.scopes ?? []).every(
    (scope) =>
      scope.kind === 'tlb' &&
      scope.range !== undefined &&
      scope.range.start >= start &&
      scope.range.start < start + size,
  );
}

function spanOf(words: readonly number[]): { readonly start: bigint; readonly size: bigint } {
  const { Size, Address } = decode(commandLayouts.CMD_ATC_INV.layout, words);
  if (Size >= 52) return { start: 0n, size: 2n ** 64n };
  const size = 2n ** BigInt(12 + Size);
  return { start: (BigInt.asUintN(56, BigInt(Address)) / size) * size, size };
}

/** What TLB entries the endpoint may be answered from are tagged with. */
interface Tags {
  readonly vmid: number;
  /** Absent: any. */
  readonly asids?: ReadonlySet<number>;
}

/** CDs of a stream that are looked at; where there are more, any ASID may be theirs. */
const CDS_MAX = 64;

/** Undefined: the stream's STE, as memory has it, does not let the endpoint ask for translations. */
function tagsOf(world: World, { name, features, bare }: Unit, words: readonly number[]): Tags | undefined {
  const { StreamID, SSV, G, SubstreamID } = decode(commandLayouts.CMD_ATC_INV.layout, words);
  const reach = world.reaches.get(name);
  const pa = reach === undefined ? undefined : steAddressOf(reach, StreamID);
  if (pa === undefined) return undefined;
  const ste = world.watch.memory.readWords(pa, 16);
  if (!STE.fields.V.read(ste) || STE.fields.EATS.read(ste) === 'OFF') return undefined;
  const config = steConfig({ Config: STE.fields.Config.read(ste) });
  if (config === 'ABORT' || config === 'BYPASS') return undefined;
  const vmid = features.s2p ? STE.fields.S2VMID.read(ste) : 0;
  const view = viewSte(ste, features, isE2h(bare));
  if (view === undefined || view.leafLog2 !== 0 || 2 ** view.cdMax > CDS_MAX) return { vmid };
  const asids = new Set<number>();
  // With SSV=1 it is for the answers of one SubstreamID: other CDs are others' business.
  const only = SSV && !G ? SubstreamID : undefined;
  if (only !== undefined && only >= 2 ** view.cdMax) return { vmid, asids };
  for (let at = only ?? 0; at < (only === undefined ? 2 ** view.cdMax : only + 1); at += 1) {
    const cd = world.watch.memory.readWords(view.contexts + at * 64, 16);
    if (CD.fields.V.read(cd)) asids.add(CD.fields.ASID.read(cd));
  }
  return { vmid, asids };
}

/** Whether the TLB invalidation is for what the endpoint may ask in the span. Stage 2 by IPA may be for any. */
function meets(scopes: readonly Scope[], { words, tags }: Pick<AtcInv, 'words' | 'tags'>): boolean {
  const { start, size } = spanOf(words);
  return scopes.some((scope) => {
    if (scope.kind !== 'tlb') return false;
    const { range, stages, vmid, asid } = scope;
    if (vmid !== undefined && vmid !== tags.vmid) return false;
    if (asid !== undefined && tags.asids?.has(asid) === false) return false;
    if (range === undefined || !stages.includes(1)) return true;
    return range.start < start + size && range.end > start;
  });
}

function tellEarly(world: World, { entry, tlbi, change, ends }: AtcInv): Finding {
  const { StreamID } = decode(commandLayouts.CMD_ATC_INV.layout, quad(entry.lo, entry.hi));
  const other = tlbi?.entry;
  const after = other !== undefined && other.seq > entry.seq;
  return tell(world, {
    rule: 'I5',
    title: `atc-before-tlb: CMD_ATC_INV of StreamID ${hex(StreamID)} before its TLB invalidation completed`,
    consequence: 'isolation',
    blame: deed(
      entry,
      `CMD_ATC_INV ${after ? 'before' : 'with no CMD_SYNC after'} ${other?.command ?? 'it'}`,
    ),
    needed: `${other?.command ?? 'CMD_TLBI_*'}; CMD_SYNC; CMD_ATC_INV; CMD_SYNC`,
    nearest: { seq: other?.seq ?? null, why: 'the TLB invalidation had not completed' },
    notes: ['in between the endpoint may ask again, and is answered from the TLB'],
    lost: [change, entry.seq, ...ends, ...(other === undefined ? [] : [other.seq])],
  });
}
