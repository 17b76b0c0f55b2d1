/**
 * How a careful driver replaces an STE or a CD that hardware may read at any time: it stores one doubleword at a
 * time, and never lets the used bits of two doublewords stand half old, half new; where that cannot be, it goes
 * through V=0 (IHI 0070 3.21.3.1). A plan is the list of its stores and synchronizations.
 */
import { type MutableWords, writeBits } from '../../core/layout/field.ts';
import type { AnyField } from '../../core/layout/layout.ts';
import { CD } from '../../core/smmu/cd.ts';
import { STE } from '../../core/smmu/ste.ts';

export type Qwords = readonly bigint[];

export type UpdateStep = { readonly store: number; readonly value: bigint } | 'sync';

export interface UpdatePlan {
  readonly kind: 'hitless' | 'breaking' | 'none';
  readonly steps: readonly UpdateStep[];
}

/** Of one kind of entry: which bits hardware looks at, and which of those may change at any time. */
export interface EntryRules {
  used(entry: Qwords): Qwords;
  safe(current: Qwords, target: Qwords): Qwords;
}

export function qwordsOf(words: Uint32Array): Qwords {
  return [...new BigUint64Array(words.slice().buffer)];
}

/** The stores, in order, and where everything so far must be seen by hardware. */
export function planUpdate(current: Qwords, target: Qwords, rules: EntryRules): UpdatePlan {
  const now = rules.used(current);
  const then = rules.used(target);
  const safe = rules.safe(current, target).map((bits, at) => bits & (now[at] ?? 0n) & (then[at] ?? 0n));
  // Bits that nobody looks at yet, or that may change, take their new values first.
  const between = current.map((value, at) => {
    const kept = (now[at] ?? 0n) & ~(safe[at] ?? 0n);
    return (value & kept) | ((target[at] ?? 0n) & ~kept);
  });
  const differing = target.flatMap((value, at) =>
    ((between[at] ?? 0n) & (then[at] ?? 0n)) === value ? [] : [at],
  );
  const writer = openWriter(current);
  const [critical] = differing;
  if (critical === undefined) {
    writer.store(target);
    return { kind: writer.steps.length === 0 ? 'none' : 'hitless', steps: writer.steps };
  }
  if (differing.length === 1) {
    writer.store(between, (at) => at !== critical);
    writer.store(target, (at) => at === critical);
    writer.store(target);
    return { kind: 'hitless', steps: writer.steps };
  }
  // V stands in the first doubleword.
  writer.store([0n, ...target.slice(1)], (at) => at === 0);
  writer.store(target, (at) => at !== 0);
  writer.store(target);
  return { kind: 'breaking', steps: writer.steps };
}

function openWriter(current: Qwords) {
  const held = [...current];
  const steps: UpdateStep[] = [];
  return {
    steps,
    /** Stores the doublewords that differ, and synchronizes if there were any. */
    store(values: Qwords, which: (at: number) => boolean = () => true): void {
      const changed = values.flatMap((value, at) =>
        which(at) && held[at] !== value ? [{ store: at, value }] : [],
      );
      for (const { store, value } of changed) held[store] = value;
      if (changed.length > 0) steps.push(...changed, 'sync');
    },
  };
}

/** All bits of the named fields. */
function bitsOf(fields: Readonly<Record<string, AnyField>>, names: string): Qwords {
  const words: MutableWords = new Uint32Array(16);
  for (const name of names.split(/\s+/).filter((each) => each !== '')) {
    const field = fields[name];
    if (field === undefined) throw new Error(`no field ${name}`);
    for (let bit = field.lo; bit <= field.hi; bit += 1) writeBits(words, bit, bit, 1);
  }
  return qwordsOf(words as Uint32Array);
}

const either = (a: Qwords, b: Qwords): Qwords => a.map((bits, at) => bits | (b[at] ?? 0n));
const without = (a: Qwords, b: Qwords): Qwords => a.map((bits, at) => bits & ~(b[at] ?? 0n));
const ste = (names: string): Qwords => bitsOf(STE.fields, names);
const wordsOf = (entry: Qwords): Uint32Array => new Uint32Array(BigUint64Array.from(entry).buffer);

const STAGE_1 = ste('S1Fmt S1ContextPtr S1CDMax S1DSS S1CIR S1COR S1CSH S1STALLD STRW EATS MEV S2VMID');
const STAGE_2 = ste(
  `S2FWB EATS SHCFG MEV S2VMID S2T0SZ S2SL0 S2IR0 S2OR0 S2SH0 S2TG S2PS S2AA64 S2ENDI S2PTW S2S S2R S2HA S2HD S2AFFD
   S2TTB`,
);
const NONE: Qwords = Array.from({ length: 8 }, () => 0n);

/** The STE: what is used goes by V, Config and S1DSS (5.2); MEV, and full ATS where nothing depends on it, may change. */
export const steRules: EntryRules = {
  used(entry) {
    const words = wordsOf(entry);
    if (!STE.fields.V.read(words)) return ste('V');
    const config = STE.fields.Config.read(words);
    let used = ste('V Config');
    if (config === 'S1' || config === 'NESTED') {
      used = either(used, STAGE_1);
      if (STE.fields.S1DSS.read(words) === 'BYPASS') used = either(used, ste('SHCFG'));
    }
    if (config === 'S2' || config === 'NESTED') used = either(used, STAGE_2);
    return config === 'BYPASS' ? either(used, ste('SHCFG')) : used;
  },
  safe(current, target) {
    const bound = [current, target].some((entry) => {
      const words = wordsOf(entry);
      return STE.fields.EATS.read(words) === 'SPLIT' || STE.fields.S2S.read(words);
    });
    // Bit 0 of EATS: full ATS or none.
    const full = bound ? NONE : [0n, 1n << 28n, 0n, 0n, 0n, 0n, 0n, 0n];
    return either(ste('MEV'), full);
  },
};

/** The CD: all of a valid one is used, but for what EPD0 turns off (5.4). */
export const cdRules: EntryRules = {
  used(entry) {
    const words = wordsOf(entry);
    if (!CD.fields.V.read(words)) return bitsOf(CD.fields, 'V');
    const all = NONE.map(() => 2n ** 64n - 1n);
    return CD.fields.EPD0.read(words) ? without(all, bitsOf(CD.fields, 'T0SZ TG0 IR0 OR0 SH0 TTB0')) : all;
  },
  safe: () => NONE,
};
