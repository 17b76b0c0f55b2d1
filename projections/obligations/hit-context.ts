/**
 * Whether the entries that served an access are of its context: IHI 0070 3.17, 16.2. An entry is tagged with all that
 * chooses the tables it came from (StreamWorld, VMID, ASID or global, stage) and with the address; a look-up that finds
 * one of another context walked other tables. A walk goes on from such an entry too, and what it fills has the right
 * tags and the wrong content. Without a TLB entry, of a nested stream nothing is known: its tables stand at IPAs.
 */
import { decode } from '../../core/layout/layout.ts';
import { CD, type Cd } from '../../core/smmu/cd.ts';
import { findCd, findSte, selectCd } from '../../core/smmu/configuration.ts';
import type { Regime } from '../../core/smmu/events.ts';
import { spanLog2 } from '../../core/smmu/granule.ts';
import { contextKey, pageKey, pageOf } from '../../core/smmu/keys.ts';
import { isE2h } from '../../core/smmu/regs.ts';
import { regimeOf, stage1Of } from '../../core/smmu/stage1.ts';
import { stage2Of } from '../../core/smmu/stage2.ts';
import { STE, type Ste } from '../../core/smmu/ste.ts';
import { type ConfigFill, configOf, type PathNode, type TlbFill } from './fills.ts';
import { looking, type Shadow } from './shadow.ts';
import { isWithin, type Stray } from './stray.ts';
import { structureWords } from './structures.ts';
import { hex } from './tell.ts';

/** What an access looks up. */
export interface Wanted {
  readonly ste: Ste;
  /** Absent: stage 1 does not translate. */
  readonly cd: Cd | undefined;
  readonly regime: Regime;
  readonly vmid: number;
  readonly asid: number;
  readonly aset: boolean;
}

/** What names an access, or a request of ATS, and what it rests on. */
export interface Asked {
  readonly streamId: number;
  readonly substreamId?: number;
  readonly iova: bigint;
  readonly ste: number;
  readonly cd: number;
  readonly tlb: number;
  readonly tlb2?: number;
}

/** The entry of another context that the access rests on, if there is one. */
export function strayOf(shadow: Shadow, asked: Asked): Stray | undefined {
  const { fills } = shadow;
  const used = asked.tlb === 0 ? undefined : fills.tlb.get(asked.tlb);
  const second = asked.tlb2 === undefined ? undefined : fills.tlb.get(asked.tlb2);
  const walked = used === undefined && (fills.walk ?? fills.walk2) !== undefined;
  if (used === undefined && second === undefined && !walked) return undefined;
  const wanted = wantedBy(shadow, asked);
  if (wanted === undefined) return undefined;
  if (walked && second === undefined) return strayWalk(shadow, wanted, asked);
  const { iova } = asked;
  const ipa =
    used === undefined ? undefined : BigInt(used.entry.pa) + BigInt.asUintN(used.entry.sizeLog2, iova);
  return (
    hit(used, wanted, used?.entry.stage === 2 && wanted.cd !== undefined ? undefined : iova) ??
    hit(second, wanted, ipa)
  );
}

function hit(fill: TlbFill | undefined, wanted: Wanted, address: bigint | undefined): Stray | undefined {
  if (fill === undefined) return undefined;
  const why = disagreement(fill, wanted, address);
  return why === undefined ? fill.stray : { fill, through: 0, why };
}

/** The first part of the tag in which the entry is not what was looked for. */
function disagreement(
  { entry }: TlbFill,
  { regime, vmid, asid, aset, ste }: Wanted,
  address: bigint | undefined,
): string | undefined {
  const first = entry.stage !== 2;
  if (first && entry.regime !== regime) return `${entry.regime}, not ${regime}`;
  if (entry.vmid !== vmid) return `VMID ${hex(entry.vmid)}, not ${hex(vmid)}`;
  if (first && entry.global && (entry.aset ?? false) !== aset)
    return `global of ASET ${Number(entry.aset ?? false)}, not ${Number(aset)}`;
  if (first && !entry.global && entry.asid !== asid) return `ASID ${hex(entry.asid)}, not ${hex(asid)}`;
  if (entry.stage === 12 && ste.Config !== 'NESTED') return 'of both stages, not of stage 1';
  // A stage 2 entry beside a CD was asked for an IPA, which may not be known.
  return address === undefined || isWithin(entry, address)
    ? undefined
    : `for ${hex(entry.va)}, not ${hex(address)}`;
}

const stes = new WeakMap<ConfigFill, Ste>();
const wants = new WeakMap<
  ConfigFill,
  { readonly ste: Ste; readonly e2h: boolean; readonly wanted: Wanted }
>();

/** What the look-up compares, by the STE and CD that the access rests on, or that stand in memory where none is cached. */
function wantedBy(shadow: Shadow, asked: Asked): Wanted | undefined {
  const { bare, fills } = shadow;
  const ste = steOf(shadow, asked);
  if (ste === undefined) return undefined;
  const e2h = isE2h(bare);
  const cdFill = configOf(fills, asked.cd);
  const known = cdFill === undefined ? undefined : wants.get(cdFill);
  if (known !== undefined && known.ste === ste && known.e2h === e2h) return known.wanted;
  const cd = cdFill === undefined ? readCd(shadow, asked, ste) : decode(CD, structureWords(cdFill.words));
  if (cd === 'none') return undefined;
  const regime = regimeOf(ste, bare.features, e2h);
  const wanted: Wanted = {
    ste,
    cd,
    regime,
    vmid: bare.features.s2p && regime === 'EL1' ? ste.S2VMID : 0,
    asid: cd === undefined || regime === 'EL2' ? 0 : cd.ASID,
    aset: cd?.ASET ?? false,
  };
  if (cdFill !== undefined) wants.set(cdFill, { ste, e2h, wanted });
  return wanted;
}

function steOf(shadow: Shadow, asked: Asked): Ste | undefined {
  const fill = configOf(shadow.fills, asked.ste);
  if (fill === undefined) return readSte(shadow, asked);
  const known = stes.get(fill);
  if (known !== undefined) return known;
  const ste = decode(STE, structureWords(fill.words));
  stes.set(fill, ste);
  return ste;
}

function readSte(shadow: Shadow, { streamId }: Asked): Ste | undefined {
  const found = findSte(looking(shadow), shadow.bare, streamId);
  return found.ok ? found.held.value : undefined;
}

/** Undefined: stage 1 does not translate. */
function readCd(shadow: Shadow, { streamId, substreamId }: Asked, ste: Ste): Cd | undefined | 'none' {
  const selected = selectCd(ste, substreamId, shadow.bare);
  if (selected.kind === 'bypass') return undefined;
  if (selected.kind === 'fault') return 'none';
  const found = findCd(looking(shadow), shadow.bare, streamId, ste, selected.index);
  return found.ok ? found.held.value : 'none';
}

/** A walk that left no TLB entry: it began at its first table, or at a walk-cache entry of its own context. */
function strayWalk({ fills, bare }: Shadow, wanted: Wanted, { iova }: Asked): Stray | undefined {
  const { ste, cd, regime, vmid, asid } = wanted;
  const stage2 = cd === undefined;
  if (!stage2 && ste.Config !== 'S1') return undefined;
  const first = firstRead(stage2 ? fills.walk2 : fills.walk);
  if (first === undefined) return undefined;
  const { features } = bare;
  const { walk } = stage2 ? stage2Of(ste, features) : stage1Of(cd, ste, isE2h(bare), features, iova);
  const { pa, level } = first;
  if (level === walk.start && pa >= walk.base && pa < walk.base + walk.firstEntries * 8) return undefined;
  const holds = ({ entry }: TlbFill): boolean =>
    pa >= entry.pa && pa < entry.pa + 2 ** walk.granule.pageLog2 && entry.level === level - 1;
  const sizeLog2 = spanLog2(walk.granule, level - 1);
  const context = fills.walkPlaces.get(contextKey(regime, walk.stage, vmid, asid, false));
  const own = fills.tlb.get(context?.get(pageKey(pageOf(iova), sizeLog2)) ?? 0);
  if (own !== undefined && holds(own)) return own.stray;
  for (const fill of fills.tlb.values()) {
    const why = fill.entry.leaf || !holds(fill) ? undefined : disagreement(fill, wanted, iova);
    if (why !== undefined) return { fill, through: 0, why };
  }
  return undefined;
}

/** The read it began with. What a prefetch read before stands above that in no walk. */
function firstRead(last: PathNode | undefined): PathNode | undefined {
  let first = last;
  while (first?.up !== undefined && first.up.level === first.level - 1) first = first.up;
  return first;
}
