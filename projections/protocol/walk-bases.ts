/**
 * Where a walk of stage 1 begins, worked out anew from the CD and the address alone (IHI 0070 3.4.1, 5.4): bit 55
 * selects TTB0 or TTB1, the bits above TxSZ must be as it is, and EPDx lets no walk begin. Held against the first
 * descriptor that an access read, and against F_TRANSLATION of one that read none. What served an access from a cache is
 * not judged here: an entry may outlive EPDx=1.
 */
import type { EntryOf } from '../../core/event.ts';
import { decode } from '../../core/layout/layout.ts';
import { CD, type Cd } from '../../core/smmu/cd.ts';
import { effectiveIps } from '../../core/smmu/cd-rules.ts';
import { eventRecords } from '../../core/smmu/event-record.ts';
import { isE2h } from '../../core/smmu/regs.ts';
import { STE, type Ste } from '../../core/smmu/ste.ts';
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';
import { words32 } from './records-of-faults.ts';
import { tell } from './tell.ts';
import type { RuleRun, Unit, World } from './world.ts';

type Ended = EntryOf<'access.completed'> | EntryOf<'access.terminated'> | EntryOf<'access.stalled'>;
type Read = EntryOf<'structure.fetched'>;

/** How an access is translated: the tables of its CD, of which EL2 has one. */
interface Context {
  /** Of the STE. */
  readonly fill: number;
  readonly nested: boolean;
  readonly cd: Cd;
  readonly tables: readonly [Table, Table?];
}

interface Walks {
  readonly world: World;
  readonly told: Finding[];
  /** Words of STEs and CDs by the seq of their fill, for as long as a cache holds them. */
  readonly fills: Map<number, Uint8Array>;
  /** What they say, by the fill of the CD. */
  readonly contexts: Map<number, Context>;
  /** The STE and the CD read last. */
  ste: Read | undefined;
  cd: Read | undefined;
  /** The first descriptor of stage 1 that the access under way read. */
  first: EntryOf<'descriptor.fetched'> | undefined;
  said: EntryOf<'record.raised'> | undefined;
}

/** A run over all SMMUs. */
export function walkBases(world: World): RuleRun {
  const told: Finding[] = [];
  const none = { ste: undefined, cd: undefined, first: undefined, said: undefined };
  const walks: Walks = { world, told, fills: new Map(), contexts: new Map(), ...none };
  const { fills, contexts } = walks;
  const gone = ({ removed }: { readonly removed: readonly number[] }): void => {
    for (const seq of removed) if (fills.delete(seq)) contexts.delete(seq);
  };
  const ended = (entry: Ended): void => {
    const { first, said } = walks;
    walks.first = undefined;
    walks.said = undefined;
    if (entry.cause === first?.cause) afterWalk(walks, entry, first);
    else if (entry.type !== 'access.completed') withoutWalk(walks, entry, said);
  };
  return {
    told: () => told,
    handlers: {
      'structure.fetched': (entry) => {
        if (entry.structure === 'STE') walks.ste = entry;
        else if (entry.structure === 'CD') walks.cd = entry;
      },
      'config.filled': ({ cache, seq, words }) => {
        if (cache === 'ste' || cache === 'cd') fills.set(seq, words);
      },
      'cache.invalidated': gone,
      'cache.evicted': gone,
      'descriptor.fetched': (entry) => {
        if (entry.stage === 1 && walks.first?.cause !== entry.cause) walks.first = entry;
      },
      'record.raised': (entry) => {
        walks.said = entry;
      },
      'access.completed': ended,
      'access.terminated': ended,
      'access.stalled': ended,
    },
  };
}

/** An access read descriptors: the first of them is where its base says. */
function afterWalk(walks: Walks, entry: Ended, first: EntryOf<'descriptor.fetched'>): void {
  const unit = walks.world.units.get(entry.smmu);
  // What hardware reads ahead of its own accord follows an access, and looks like the walk of the next.
  if (unit === undefined || first.smmu !== entry.smmu) return;
  if (unit.bare.config.choices['prefetchTranslations'] === true) return;
  const context = contextOf(walks, unit, entry);
  if (context === undefined) return;
  const base = baseOf(context, entry.iova);
  if (base === 'maybe') return;
  // A level further down: the walk cache knew the rest. Of an IPA, stage 2 alone knows where it is.
  if ('first' in base && (first.level > base.level || context.nested || first.pa === base.first)) return;
  const read = `a walk for ${hex(entry.iova)} read [${hex(first.pa)}]${leadsTo(context.cd, first.pa)}`;
  if ('first' in base) tellWrong(walks, entry, first, read, walkFrom(base));
  else tellWrong(walks, entry, first, `${read}: ${base.none}`, 'F_TRANSLATION, and no walk');
}

const walkFrom = ({ name, first }: Base): string => `a walk from ${name}: [${hex(first)}] first`;

/** F_TRANSLATION without a walk: no base is selected, then. */
function withoutWalk(
  walks: Walks,
  entry: Exclude<Ended, EntryOf<'access.completed'>>,
  said: Walks['said'],
): void {
  if (!entry.reason.startsWith('F_TRANSLATION')) return;
  const unit = walks.world.units.get(entry.smmu);
  const context = unit && contextOf(walks, unit, entry);
  if (context === undefined) return;
  if (context.nested && !isOfStage1(said, entry)) return;
  const base = baseOf(context, entry.iova);
  if (base === 'maybe' || 'none' in base) return;
  const wrong = `F_TRANSLATION for ${hex(entry.iova)}, and no walk: ${base.name} is the base that it selects`;
  tellWrong(walks, entry, entry, wrong, walkFrom(base));
}

function isOfStage1(said: Walks['said'], { cause }: Ended): boolean {
  if (said?.cause !== cause || said.record !== 'F_TRANSLATION') return false;
  return !decode(eventRecords.F_TRANSLATION.layout, words32(said.words)).S2;
}

function tellWrong(
  { world, told }: Walks,
  entry: Ended,
  { seq, smmu }: { readonly seq: number; readonly smmu: string },
  what: string,
  needed: string,
): void {
  const done = entry.type === 'access.completed';
  const kind = seq === entry.seq ? 'no-walk-from-its-base' : 'walk-from-the-wrong-base';
  told.push(
    tell(world, {
      rule: 'I11',
      title: `${kind}: ${entry.access} of ${hex(entry.iova)} by ${entry.endpoint}`,
      actor: entry.endpoint,
      seq: entry.seq,
      consequence: done ? 'isolation' : 'availability',
      blame: { seq, actor: smmu, what },
      needed,
    }),
  );
}

/** The STE and CD that an access used; undefined where stage 1 did not translate, or the log does not hold them. */
function contextOf(walks: Walks, unit: Unit, { ste, cd, cause, streamId }: Ended): Context | undefined {
  const { fills, contexts } = walks;
  const known = contexts.get(cd);
  if (known !== undefined && known.fill === ste) return known;
  const wordsOf = (fill: number, read: Read | undefined): Uint8Array | undefined => {
    if (fill !== 0) return fills.get(fill);
    return read?.cause === cause && read.streamId === streamId ? read.words : undefined;
  };
  const [steWords, cdWords] = [wordsOf(ste, walks.ste), wordsOf(cd, walks.cd)];
  if (steWords === undefined || cdWords === undefined) return undefined;
  const made = contextFrom(unit, ste, decode(STE, words32(steWords)), decode(CD, words32(cdWords)));
  if (ste !== 0 && cd !== 0) contexts.set(cd, made);
  return made;
}

function contextFrom(unit: Unit, fill: number, ste: Ste, cd: Cd): Context {
  const el2 = unit.features.hyp && ste.Config === 'S1' && ste.STRW === 'NS_EL2' && !isE2h(unit.bare);
  const lower = tableOf(unit, cd, false, el2);
  const tables: Context['tables'] = el2 ? [lower] : [lower, tableOf(unit, cd, true, el2)];
  return { fill, nested: ste.Config === 'NESTED', cd, tables };
}

interface Base {
  readonly name: 'TTB0' | 'TTB1';
  /** Level at which the walk begins, and the address of its first descriptor. */
  readonly level: number;
  readonly first: number;
}

/** One of the two tables of a CD: how an address that is in range becomes that of its first descriptor. */
interface Table {
  readonly name: 'TTB0' | 'TTB1';
  readonly upper: boolean;
  /** Why no address selects it. */
  readonly off: string | undefined;
  /** The privilege of the access decides, or the CD is of another kind. */
  readonly maybe: boolean;
  /** Input bits, and whether the top byte is ignored. */
  readonly bits: number;
  readonly tbi: boolean;
  readonly level: number;
  /** log2 of what a first descriptor stands for. */
  readonly indexed: number;
  readonly base: number;
}

const PAGE_LOG2: Readonly<Record<string, number>> = { '4KB': 12, '16KB': 14, '64KB': 16 };

function tableOf({ features }: Unit, cd: Cd, upper: boolean, el2: boolean): Table {
  const half = upper
    ? { epd: cd.EPD1, tsz: cd.T1SZ, tg: cd.TG1, ttb: cd.TTB1, tbi: cd.TBI1, e0pd: cd.E0PD1 }
    : { epd: cd.EPD0 && !el2, tsz: cd.T0SZ, tg: cd.TG0, ttb: cd.TTB0, tbi: cd.TBI0, e0pd: cd.E0PD0 };
  const pageLog2 = PAGE_LOG2[half.tg];
  const bits = 64 - half.tsz;
  const stride = (pageLog2 ?? 12) - 3;
  const levels = Math.ceil((bits - stride - 3) / stride);
  const indexed = stride + 3 + stride * (levels - 1);
  const align = Math.max(8 * 2 ** (bits - indexed), effectiveIps(cd, features) === 52 ? 64 : 16);
  return {
    name: upper ? 'TTB1' : 'TTB0',
    upper,
    off: half.epd ? `EPD${upper ? 1 : 0}=1` : undefined,
    maybe: !cd.AA64 || half.e0pd || pageLog2 === undefined,
    bits,
    tbi: half.tbi,
    level: 4 - levels,
    indexed,
    base: half.ttb - (half.ttb % align),
  };
}

/** `maybe`: what is known here does not say. */
function baseOf({ tables }: Context, iova: bigint): Base | { readonly none: string } | 'maybe' {
  const [lower, upper] = tables;
  const table = upper !== undefined && BigInt.asIntN(56, iova) < 0n ? upper : lower;
  const { name, off, maybe, bits, tbi, level, indexed, base } = table;
  if (off !== undefined) return { none: off };
  if (maybe) return 'maybe';
  // Bits [55:bits], and with TBI=0 those above them, are copies of bit 55.
  const signed = BigInt.asIntN(tbi ? 56 : 64, iova);
  const within = Number(table.upper ? signed + (1n << BigInt(bits)) : signed);
  if (within < 0 || within >= 2 ** bits) return { none: `the address is beyond T${table.upper ? 1 : 0}SZ` };
  return { name, level, first: base + 8 * Math.floor(within / 2 ** indexed) };
}

/** Whose table an address is in, as far as its page tells. */
function leadsTo({ TTB0, TTB1 }: Cd, pa: number): string {
  const page = (address: number): number => Math.floor(address / 4096);
  if (page(pa) === page(TTB1)) return ' of TTB1';
  return page(pa) === page(TTB0) ? ' of TTB0' : '';
}
