/**
 * Random translation contexts for the reference walker and the machine alike: settings of both stages that
 * are legal, and tables that grow under the walks that read them. How much goes wrong is drawn for each
 * story, so that some walks get through both stages and some fail everywhere.
 */
import fc from 'fast-check';
import { descriptor, type Granule, START2, type Start2, swapped } from './reference-tables.ts';
import type { Access, Context, Half, Memory, Purpose, Setup, Stage2 } from './reference-types.ts';

export type Mode = 'S1' | 'S2' | 'NESTED' | 'NESTED, stage 1 bypassed';

/** A context, how its stage 1 is reached, and how often a new descriptor is a bad one, in 100. */
export interface Story {
  readonly mode: Mode;
  readonly context: Context;
  readonly trouble: number;
}

/** A hole in memory, so that some reads abort. */
export const RAM = [
  { base: 0, size: 0x8000_0000 },
  { base: 0xc000_0000, size: 2 ** 52 },
];
const inRam = (pa: bigint): boolean => pa < 0x8000_0000n || (pa >= 0xc000_0000n && pa < 2n ** 52n);
const HOLE = 0x9000_0000n;

// Tables of stage 2 stand in two parts of memory: those of the first lookup, and a pool of others.
const FIRST = 0x2000_0000n;
const POOL = 0x2100_0000n;
const GRANULES = ['4KB', '16KB', '64KB'] as const;
const SIZES = [32, 36, 40, 42, 44, 48, 52] as const;

const rarely = fc.integer({ min: 0, max: 7 }).map((value) => value === 0);
const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const below = (value: bigint, bits: number): bigint => BigInt.asUintN(bits, value);

interface Chosen {
  readonly granule: Granule;
  readonly row: Start2;
  readonly tsz: number;
}

// S2SL0 2 is reserved where physical addresses are smaller (Arm ARM, AArch64.S2InvalidSL).
const OAS_OF_SL0_2 = { '4KB': 44, '16KB': 42, '64KB': 44 } as const;

/** Every legal S2TG, S2SL0 and S2T0SZ (IHI 0070 5.2, S2T0SZ; IAS is OAS). */
function legal2(oas: number, ds: boolean): readonly Chosen[] {
  const all: Chosen[] = [];
  for (const granule of GRANULES) {
    const wide = granule === '64KB' ? oas === 52 : ds;
    const least = Math.max(wide ? 12 : 16, 64 - oas);
    for (const row of START2[granule]) {
      if (row.wide && !wide) continue;
      if (row.sl0 === 2 && oas < OAS_OF_SL0_2[granule]) continue;
      for (let tsz = Math.max(row.first, least); tsz <= row.last; tsz += 1) all.push({ granule, row, tsz });
    }
  }
  return all;
}

function stage2s(oas: number): fc.Arbitrary<Stage2> {
  return fc.boolean().chain((flag) => {
    const ds = flag && oas === 52;
    return fc
      .record({
        chosen: fc.constantFrom(...legal2(oas, ds)),
        low: fc.bigInt({ min: 0n, max: 0xffffn }),
        psBits: fc.constantFrom(...SIZES, 52, 52),
        ha: fc.boolean(),
        hd: fc.boolean(),
        haft: fc.boolean(),
        affd: rarely,
        ptw: fc.boolean(),
        fwb: rarely,
        bigEndian: rarely,
      })
      .map(({ chosen: { granule, row, tsz }, low, ...made }) => ({
        ...made,
        // S2HAFT without S2HA is ILLEGAL, as is CD.HAFT without HA.
        haft: made.haft && made.ha,
        granule,
        tsz,
        sl0: row.sl0,
        ds: ds && granule !== '64KB',
        // Where 5.2 and the Arm ARM do not say the same of a small table's alignment, keep to both.
        ttb: FIRST + (Math.min(made.psBits, oas) === 52 || ds ? low * 64n : low * 16n),
      }));
  });
}

const half = (vas: 48 | 52) =>
  fc.record({
    epd: rarely,
    tsz: fc.oneof(fc.integer({ min: 12, max: 48 }), fc.constantFrom(16, 25, 21, 22, 39, 12)),
    granule: fc.constantFrom<Granule>(...GRANULES),
    ttb: word,
    tbi: fc.boolean(),
    had: rarely,
    e0pd: rarely,
    vas: fc.constant(vas),
  });

function stage1s(oas: number, reach: number, nested: boolean): fc.Arbitrary<Setup> {
  const vas = oas === 52 ? 52 : 48;
  return fc
    .record({
      regime: nested ? fc.constant('EL1' as const) : fc.constantFrom('EL1', 'EL2', 'EL2_E2H'),
      halves: fc.tuple(half(vas), half(vas)),
      ipsBits: fc.constantFrom(36, 40, 48, 52, 52),
      ds: fc.boolean(),
      affd: rarely,
      wxn: rarely,
      pan: rarely,
      epan: fc.boolean(),
      ha: fc.boolean(),
      hd: fc.boolean(),
      haft: fc.boolean(),
      bigEndian: rarely,
    })
    .map((made) => {
      const ds = made.ds && oas === 52;
      const size = Math.min(made.ipsBits, oas, reach, 47);
      const legal = (one: Half): Half => {
        const least = oas === 52 && (one.granule === '64KB' || ds) ? 12 : 16;
        const most = one.granule === '64KB' ? 47 : 48;
        const ttb = nested ? below(one.ttb, size) : FIRST + below(one.ttb, 20);
        return { ...one, ttb: ttb - (ttb % 64n), tsz: Math.min(Math.max(one.tsz, least), most) };
      };
      const halves: [Half, Half] = [legal(made.halves[0]), legal(made.halves[1])];
      return { ...made, haft: made.haft && made.ha, ds, oasBits: oas, halves };
    });
}

/** The structures of a nested stream: one CD, or an L1CD and a CD, at IPAs that stage 2 mostly takes. */
function structures(oas: number, reach: number): fc.Arbitrary<Context['structures']> {
  const address = fc
    .tuple(word, rarely, rarely)
    .map(([value, far, too]) => below(value, Math.min(far && too ? oas : reach, oas, 52)));
  return fc.tuple(address, address, fc.boolean()).map(([one, two, levels]) => {
    const l1 = { structure: 'L1CD', address: one - (one % 64n) } as const;
    if (!levels) return [{ structure: 'CD', address: l1.address }];
    return [l1, { structure: 'CD', address: two - (two % 4096n) }];
  });
}

const modes = fc.constantFrom<Mode>(
  'S1',
  'S2',
  'S2',
  'NESTED',
  'NESTED',
  'NESTED',
  'NESTED',
  'NESTED, stage 1 bypassed',
);

/** Streams of all kinds. */
export const stories: fc.Arbitrary<Story> = fc
  .record({
    mode: modes,
    oasBits: fc.constantFrom(40, 44, 48, 48, 52, 52),
    xnx: fc.boolean(),
    trouble: fc.constantFrom(1, 1, 3, 10, 40),
  })
  .chain(({ mode, oasBits, xnx, trouble }): fc.Arbitrary<Story> => {
    const base = { oasBits, xnx, structures: [] };
    if (mode === 'S1') {
      return stage1s(oasBits, oasBits, false).map((stage1) => ({
        mode,
        trouble,
        context: { ...base, stage1 },
      }));
    }
    return stage2s(oasBits).chain((stage2): fc.Arbitrary<Story> => {
      if (mode !== 'NESTED') return fc.constant({ mode, trouble, context: { ...base, stage2 } });
      const reach = 64 - stage2.tsz;
      return fc.tuple(stage1s(oasBits, reach, true), structures(oasBits, reach)).map(([stage1, fetched]) => ({
        mode,
        trouble,
        context: { ...base, stage1, stage2, structures: fetched },
      }));
    });
  });

/** What a descriptor becomes when a walk first reads it. */
export const plans = fc.record({
  noise: word,
  luck: fc.integer({ min: 0, max: 99 }),
  bad: fc.constantFrom('any', 'hole', 'high', 'hard', 'hard', 'no flag'),
  leaf: rarely,
  table: fc.bigInt({ min: 0n, max: 30n }),
});
export type Plan = typeof plans extends fc.Arbitrary<infer T> ? T : never;

const kind = { write: fc.boolean(), exec: rarely, privileged: fc.boolean() };
/** An access, and another one that is made nearby a little later. */
export const accesses = fc.record({
  low: word,
  upper: fc.boolean(),
  outside: rarely,
  beyond: rarely,
  tag: fc.boolean(),
  ...kind,
  later: fc.record({ ...kind, near: fc.constantFrom(0n, 0xabcn, 0x1_2345n, 0x3456_789an) }),
});
export type Asked = typeof accesses extends fc.Arbitrary<infer T> ? T : never;

/** The accesses of a story: each, the one nearby, and all of them again. */
export function accessesOf(story: Story, wanted: readonly Asked[]): readonly Access[] {
  const once = wanted.flatMap((made) => {
    const { write, exec, privileged, later } = made;
    const { near, ...kinds } = later;
    const second = { ...made, low: made.low ^ near };
    return [
      { iova: iovaOf(story, made), write, exec, privileged },
      { iova: iovaOf(story, second), ...kinds },
    ];
  });
  return [...once, ...once];
}

/** An address in range of its table, unless it should be outside. */
function iovaOf({ context: { stage1, stage2, oasBits } }: Story, made: Asked): bigint {
  if (stage1 === undefined) {
    // One bit more than any IPA has, or far beyond.
    if (made.outside) return below(made.low, made.beyond ? 64 : oasBits + 1);
    return below(made.low, 64 - (stage2?.tsz ?? 16));
  }
  if (made.outside) return made.low;
  const upper = made.upper && stage1.regime !== 'EL2' && !stage1.halves[1].epd;
  const { tsz, tbi } = stage1.halves[upper ? 1 : 0];
  const inside = below(made.low, 64 - tsz);
  const canonical = upper ? ((2n ** BigInt(tsz) - 1n) << BigInt(64 - tsz)) | inside : inside;
  return tbi && made.tag ? (canonical & 0x00ff_ffff_ffff_ffffn) | (made.low & (0xffn << 56n)) : canonical;
}

/** Memory that makes up a descriptor when it is first read, and lays down a structure where it is fetched. */
export interface Growing extends Memory {
  /** What stood there before any write of HTTU. */
  readonly first: ReadonlyMap<bigint, bigint>;
  /** Descriptors read, each once, in the order of first reading since `restart`. */
  readonly fetched: readonly string[];
  restart(): void;
  /**
   * A doubleword that HTTU wrote serves in more than one way: `stale` when as a descriptor of both
   * stages (a cache may then rightly hold what memory no longer says), `spoiled` when as a structure.
   */
  readonly overlap: 'none' | 'stale' | 'spoiled';
}

export function growing(
  { context, trouble, mode }: Story,
  drawn: readonly Plan[],
  structureWords: (name: 'L1CD' | 'CD') => readonly bigint[],
  fixed: ReadonlyMap<bigint, bigint>,
): Growing {
  const first = new Map(fixed);
  const now = new Map(fixed);
  const uses = new Map<bigint, Set<string>>();
  const written = new Set<bigint>();
  let fetched: string[] = [];
  let next = 0;
  for (const pa of fixed.keys()) uses.set(pa, new Set(['structure']));
  const use = (pa: bigint, how: string): void => {
    uses.set(pa, (uses.get(pa) ?? new Set()).add(how));
  };
  const lay = (name: 'L1CD' | 'CD', pa: bigint): void => {
    for (const [index, value] of structureWords(name).entries()) {
      const at = pa + 8n * BigInt(index);
      // Too late to lay it down where something else has been read.
      if (now.has(at) && now.get(at) !== value) written.add(at);
      if (!now.has(at)) first.set(at, value);
      if (!now.has(at)) now.set(at, value);
      use(at, 'structure');
    }
  };
  const grow = (pa: bigint, purpose: Extract<Purpose, { level: number }>): void => {
    const plan = drawn[next % drawn.length] as Plan;
    next += 1;
    const stage = purpose.stage === 1 ? context.stage1 : context.stage2;
    const value = descriptorOf({ context, trouble, mode }, plan, purpose.stage, purpose.level);
    const raw = stage?.bigEndian ? swapped(value) : value;
    first.set(pa, raw);
    now.set(pa, raw);
  };
  return {
    first,
    get fetched() {
      return fetched;
    },
    restart: () => {
      fetched = [];
    },
    get overlap() {
      const doubled = [...written]
        .map((pa) => uses.get(pa) ?? new Set<string>())
        .filter((how) => how.size > 1);
      const spoiled = [...written].some((pa) => uses.get(pa)?.has('structure'));
      return spoiled ? 'spoiled' : doubled.length > 0 ? 'stale' : 'none';
    },
    read(pa, purpose) {
      if (!inRam(pa)) return undefined;
      if ('structure' in purpose) lay(purpose.structure, pa);
      else {
        if (!now.has(pa)) grow(pa, purpose);
        use(pa, `stage ${purpose.stage}`);
        const text = `${purpose.stage}/${purpose.level} ${pa.toString(16)}`;
        if (!fetched.includes(text)) fetched.push(text);
      }
      return now.get(pa);
    },
    write(pa, value) {
      written.add(pa);
      now.set(pa, value);
    },
  };
}

const ADDRESS = 0x000f_ffff_ffff_f000n;
const AF = 1n << 10n;
const DBM = 1n << 51n;

function descriptorOf(story: Story, plan: Plan, stage: 1 | 2, level: number): bigint {
  const { stage1, stage2 } = story.context;
  const bad = plan.luck < story.trouble ? plan.bad : 'none';
  if (bad === 'any') return plan.noise;
  const shape = level === 3 ? 'page' : plan.leaf && takesBlock(story, stage, level) ? 'block' : 'table';
  const kind = shape === 'block' ? 1n : 3n;
  if (bad === 'hole') return (plan.noise & ~ADDRESS & ~3n) | HOLE | kind;
  let value = plan.noise & ~3n & ~(1n << 31n);
  if (bad !== 'high') value = inReach(story, stage, value);
  const settings = stage === 1 ? stage1 : stage2;
  const updates = { flag: settings?.ha ?? false, dirty: (settings?.ha && settings.hd) ?? false };
  if (shape === 'table') {
    if (bad !== 'hard') value &= ~(0x1fn << 59n);
    if (bad !== 'high') value = (value & ~ADDRESS) | tableAt(story, stage, plan.table);
    return value | kind;
  }
  if (bad === 'no flag') value &= ~AF;
  else if (!updates.flag) value |= AF;
  if (stage === 2) value = normal(value, stage2?.fwb ?? false, bad === 'hard');
  if (bad === 'hard') return value | kind;
  const clean = updates.dirty && (plan.noise & DBM) !== 0n;
  if (stage === 1) return (clean ? value | 0x40n : (value | 0x40n) & ~0x80n) | kind;
  // Some pages are for reading only, so that an update of a stage 1 descriptor there is refused.
  const readOnly = (plan.noise & (3n << 56n)) === 0n;
  return (clean || readOnly ? (value | 0x40n) & ~0x80n : value | 0xc0n) | kind;
}

function takesBlock({ context }: Story, stage: 1 | 2, level: number): boolean {
  const { stage1, stage2, oasBits } = context;
  // Which half walks is not known here: a level that the one takes a block at may be a fault of the other.
  const granule = (stage === 1 ? stage1?.halves[0].granule : stage2?.granule) ?? '4KB';
  const ds = (stage === 1 ? stage1?.ds : stage2?.ds) ?? false;
  return descriptor(1n, level, { granule, ds, oasBits, sizeBits: 52 }).kind === 'leaf';
}

/** Takes away the output bits that the next stage, or memory, would refuse. */
function inReach({ context, mode }: Story, stage: 1 | 2, value: bigint): bigint {
  const { stage1, stage2, oasBits } = context;
  const own = (stage === 1 ? stage1?.ipsBits : stage2?.psBits) ?? 52;
  const taken = stage === 1 && mode === 'NESTED' ? 64 - (stage2?.tsz ?? 16) : 52;
  const size = Math.min(own, taken, oasBits);
  const kept = BigInt.asUintN(Math.min(size, 48), value) & 0x0000_ffff_ffff_0000n;
  const low = value & 0xfffn & ~(size < 52 ? 0x300n : 0n);
  // Bits [15:12]: address of small pages, or address[51:48] of 64KB.
  const middle = size < 52 ? BigInt.asUintN(Math.min(size, 16), value) & 0xf000n : value & 0xf000n;
  const wide = size < 52 ? 0n : value & (3n << 48n);
  const is64 = (stage === 1 ? stage1?.halves[0].granule : stage2?.granule) === '64KB';
  return (value & (0x3fffn << 50n)) | wide | kept | (is64 && size < 52 ? 0n : middle) | low;
}

function tableAt({ context, mode }: Story, stage: 1 | 2, index: bigint): bigint {
  if (stage === 2 || mode !== 'NESTED') return POOL + index * 0x1_0000n;
  const size = Math.min(64 - (context.stage2?.tsz ?? 16), context.stage1?.ipsBits ?? 48, context.oasBits, 47);
  return BigInt.asUintN(size, index * 0x1_0000n);
}

/** A memory type that is not reserved: Normal write-back, unless it may be any. */
function normal(value: bigint, fwb: boolean, any: boolean): bigint {
  if (!any) return (value & ~0x3cn) | (fwb ? 0x18n : 0x3cn);
  if (fwb) return (value & ~0x20n) | ((value & 0x1cn) === 0x10n ? 4n : 0n);
  return (value & 0x30n) !== 0n && (value & 0xcn) === 0n ? value | 4n : value;
}
