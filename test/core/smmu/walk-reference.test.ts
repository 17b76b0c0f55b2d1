/**
 * The stage 1 walk against a second walker that knows nothing of `core` (test/support/reference-walker.ts):
 * random contexts of all granules, regimes and sizes, tables that grow under the accesses that need them,
 * and accesses of all kinds. Every access is made twice, so that what the caches serve is held as well. The rule
 * that works out the base of each walk has nothing to say.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../core/event.ts';
import { decode } from '../../../core/layout/layout.ts';
import { openSession } from '../../../core/machine.ts';
import { CD } from '../../../core/smmu/cd.ts';
import { eventRecords } from '../../../core/smmu/event-record.ts';
import { at, cd, machine, reset, SID, ste, store, storeWords } from '../../support/build.ts';
import {
  type Access,
  type Answer,
  type Granule,
  type Half,
  type Read,
  type Setup,
  walk,
} from '../../support/reference-walker.ts';
import { idr, put } from '../../support/tables.ts';
import { openWalkRule } from '../../support/walk-rule.ts';

const FEATURES = 'S2P=1 Hyp=1 VAX=1 DS=1 OAS=6 EPAN=1 TTENDIAN=0';
const IDR = { 48: idr('S2P=1 Hyp=1 EPAN=1 TTENDIAN=0'), 52: idr(FEATURES) } as const;
const CODES = { TG0: { '4KB': 0, '16KB': 2, '64KB': 1 }, TG1: { '4KB': 2, '16KB': 1, '64KB': 3 } } as const;
const IPS = [32, 36, 40, 42, 44, 48, 52] as const;
// A hole in memory, so that some reads abort. Tables stand from 0x1000_0000 on, 64 KiB apart.
const RAM = [
  { base: 0, size: 0x8000_0000 },
  { base: 0xc000_0000, size: 2 ** 52 },
];
const inRam = (pa: bigint): boolean => pa < 0x8000_0000n || (pa >= 0xc000_0000n && pa < 2n ** 52n);
const TABLES = 0x1000_0000n;
const HOLE = 0x9000_0000n;

const rarely = fc.integer({ min: 0, max: 7 }).map((value) => value === 0);
const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

/** What a descriptor becomes when a walk first reads it. */
const descriptor = fc.record({
  noise: word,
  kind: fc.constantFrom('table', 'table', 'table', 'table', 'leaf', 'any', 'table', 'table', 'hole'),
  af: rarely.map((value) => !value),
  /** Address bits from 40 on, and those of bits [15:12] and [9:8]: mostly none. */
  high: rarely,
  pool: rarely.map((value) => !value),
  table: fc.bigInt({ min: 0n, max: 30n }),
});
type Plan = typeof descriptor extends fc.Arbitrary<infer T> ? T : never;

const half = (vas: 48 | 52) =>
  fc
    .record({
      epd: rarely,
      tsz: fc.oneof(fc.integer({ min: 12, max: 48 }), fc.constantFrom(16, 16, 25, 25, 21, 22, 17, 39, 12)),
      granule: fc.constantFrom<Granule>('4KB', '16KB', '64KB'),
      ttb: fc.bigInt({ min: 0n, max: 0xffffn }).map((low) => TABLES + 31n * 0x1_0000n + low * 16n),
      tbi: fc.boolean(),
      had: rarely,
      e0pd: rarely,
    })
    .map((made) => ({ ...made, tsz: Math.max(made.tsz, vas === 48 ? 16 : 12), vas }));

const setups = fc.constantFrom<48 | 52>(48, 52).chain((oas) =>
  fc
    .record({
      regime: fc.constantFrom<Setup['regime']>('EL1', 'EL1', 'EL2', 'EL2_E2H'),
      halves: fc.tuple(half(oas), half(oas)),
      ipsBits: fc.constantFrom(36, 40, 48, 52, 52),
      ds: fc.boolean(),
      affd: rarely,
      wxn: rarely,
      pan: rarely,
      epan: fc.boolean(),
      endi: fc.boolean(),
    })
    .map((made) => {
      const ds = made.ds && oas === 52;
      // Keep T0SZ and T1SZ legal: see the table of CD rules.
      const legal = (one: Half): Half => {
        const least = oas === 52 && (one.granule === '64KB' || ds) ? 12 : 16;
        const most = one.granule === '64KB' ? 47 : 48;
        return { ...one, tsz: Math.min(Math.max(one.tsz, least), most) };
      };
      const halves: [Half, Half] = [legal(made.halves[0]), legal(made.halves[1])];
      return { ...made, ds, oasBits: oas, halves };
    }),
);

const accesses = fc.record({
  upper: fc.boolean(),
  low: word,
  outside: rarely,
  tag: fc.boolean(),
  write: fc.boolean(),
  exec: rarely,
  privileged: fc.boolean(),
});

/** An address in range of its half, unless it should be outside. */
function iovaOf(setup: Setup, made: typeof accesses extends fc.Arbitrary<infer T> ? T : never): bigint {
  if (made.outside) return made.low;
  const upper = made.upper && setup.regime !== 'EL2';
  const { tsz, tbi } = setup.halves[upper ? 1 : 0];
  const inside = BigInt.asUintN(64 - tsz, made.low);
  const canonical = upper ? ((2n ** BigInt(tsz) - 1n) << BigInt(64 - tsz)) | inside : inside;
  return tbi && made.tag ? (canonical & 0x00ff_ffff_ffff_ffffn) | (made.low & (0xffn << 56n)) : canonical;
}

/** Memory that makes up a descriptor when it is first read. */
function growing(setup: Setup, plans: readonly Plan[]): { read: Read; words: Map<bigint, bigint> } {
  const words = new Map<bigint, bigint>();
  let next = 0;
  const read: Read = (pa, level) => {
    if (!inRam(pa)) return undefined;
    const held = words.get(pa);
    if (held !== undefined) return held;
    const plan = plans[next % plans.length] as Plan;
    next += 1;
    words.set(pa, descriptorOf(setup, plan, level));
    return words.get(pa);
  };
  return { read, words };
}

function descriptorOf(setup: Setup, plan: Plan, level: number): bigint {
  if (plan.kind === 'any') return plan.noise;
  let d = plan.noise & ~3n & ~(1n << 10n);
  if (!plan.high) d &= ~((0xfffn << 40n) | (setup.oasBits === 52 ? 0xf000n | (setup.ds ? 0x300n : 0n) : 0n));
  if (plan.af) d |= 1n << 10n;
  if (plan.kind === 'leaf') return d | (level === 3 ? 3n : 1n);
  if (level === 3) return d | 3n;
  if (plan.kind === 'hole') return (d & ~0x000f_ffff_ffff_f000n) | HOLE | 3n;
  if (!plan.pool) return d | 3n;
  // Keeps what is not address: attributes above bit 51, and bits below 12.
  return (d & ~0x000f_ffff_ffff_f000n) | (TABLES + plan.table * 0x1_0000n) | 3n;
}

function swapped(value: bigint): bigint {
  let out = 0n;
  for (let at = 0n; at < 64n; at += 8n) out |= ((value >> at) & 0xffn) << (56n - at);
  return out;
}

/** The machine's words for the reference's setup. */
function structures(setup: Setup & { endi: boolean }): { cd: Uint32Array; ste: Uint32Array } {
  const [lower, upper] = setup.halves;
  const flags = Object.entries({
    EPD0: lower.epd,
    EPD1: upper.epd,
    TBI0: lower.tbi,
    TBI1: upper.tbi,
    HAD0: lower.had,
    HAD1: upper.had,
    E0PD0: lower.e0pd,
    E0PD1: upper.e0pd,
    DS: setup.ds,
    AFFD: setup.affd,
    WXN: setup.wxn,
    PAN: setup.pan,
    EPAN: setup.epan,
    ENDI: setup.endi,
  }).map(([name, value]) => `${name}=${value ? 1 : 0}`);
  const numbers = `T0SZ=${lower.tsz} T1SZ=${upper.tsz} TTB0=${lower.ttb} TTB1=${upper.ttb}
    TG0=${CODES.TG0[lower.granule]} TG1=${CODES.TG1[upper.granule]} IPS=${IPS.indexOf(setup.ipsBits as 48)}`;
  const strw = setup.regime === 'EL1' ? 'NS_EL1' : 'NS_EL2';
  return { cd: put(CD.fields, cd(), `${numbers} ${flags.join(' ')}`), ste: ste({ STRW: strw }) };
}

/** What the machine answered, in the reference's words. */
function answerOf(entries: readonly Entry[]): { record: string; fetchAddr?: bigint } | { pa: bigint } {
  for (const entry of entries) {
    if (entry.type === 'record.raised') {
      const fields = decode(eventRecords.F_WALK_EABT.layout, new Uint32Array(entry.words.slice().buffer));
      return {
        record: entry.record,
        ...(entry.record === 'F_WALK_EABT' ? { fetchAddr: BigInt(fields.FetchAddr) } : {}),
      };
    }
    if (entry.type === 'access.completed') return { pa: BigInt(entry.pa) };
    if (entry.type === 'access.terminated') return { pa: BigInt(entry.reason.split(' ')[0] ?? '') };
  }
  throw new Error('no answer');
}

describe('the stage 1 walk', () => {
  it('agrees with the reference walker', () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(
        setups,
        fc.array(descriptor, { minLength: 6, maxLength: 40 }),
        fc.array(accesses, { minLength: 4, maxLength: 12 }),
        fc.constantFrom(0, 'unbounded' as const),
        (setup, plans, wanted, capacity) => {
          const memory = growing(setup, plans);
          const asked = wanted.map((made): Access => ({ ...made, iova: iovaOf(setup, made) }));
          const expected = asked.map((access) => walk(setup, access, memory.read));
          const caches = { ste: 'unbounded', cd: 'unbounded', tlb: capacity, walk: capacity } as const;
          const config = machine({ ram: RAM, schedule: 'manual' }, { idr: IDR[setup.oasBits], caches });
          const state = reset(config);
          const regs = state.smmus['smmu0']!.regs;
          Object.assign(regs, {
            CR0: 1,
            CR0ACK: 1,
            CR2: setup.regime === 'EL2_E2H' ? 3 : 2,
            STRTAB_BASE: at.strtab,
            STRTAB_BASE_CFG: 8,
          });
          const session = openSession(state);
          const rule = openWalkRule(config, state);
          const built = structures(setup);
          session.step(storeWords(at.strtab + SID * 64, built.ste));
          session.step(storeWords(at.cd, built.cd));
          for (const [pa, value] of memory.words)
            session.step(store(Number(pa), setup.endi ? swapped(value) : value));
          for (const again of [0, 1]) {
            for (const [index, { iova, write, exec, privileged }] of asked.entries()) {
              const entries = session.step({
                type: 'dma',
                endpoint: 'dev0',
                iova,
                size: 1,
                access: write ? 'write' : 'read',
                exec,
                privileged,
              });
              rule.take(entries);
              const { level, global, ...answer } = {
                level: 0,
                global: false,
                ...(expected[index] as Answer),
              };
              expect([again, index, answerOf(entries)]).toEqual([again, index, answer]);
              const name =
                'record' in answer
                  ? answer.record
                  : `level ${level}${entries.some((e) => e.type === 'access.completed' && e.via === 'hit') ? ' hit' : ''}`;
              seen.set(name, (seen.get(name) ?? 0) + 1);
              const fill = entries.find((entry) => entry.type === 'tlb.filled' && entry.leaf);
              if (fill?.type === 'tlb.filled' && 'pa' in answer)
                expect([fill.level, fill.global]).toEqual([level, global]);
            }
          }
          expect(rule.told()).toEqual([]);
        },
      ),
      { numRuns: 1000 },
    );
    // Every outcome was met, many times.
    for (const name of [
      'F_TRANSLATION',
      'F_ADDR_SIZE',
      'F_ACCESS',
      'F_PERMISSION',
      'F_WALK_EABT',
      'level 1',
      'level 2',
      'level 3',
      'level 2 hit',
      'level 3 hit',
    ])
      expect([name, (seen.get(name) ?? 0) > 20]).toEqual([name, true]);
  }, 60_000);
});
