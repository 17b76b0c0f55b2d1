/**
 * The order in which an STE or a CD that hardware may be reading is changed (linux: arm_smmu_write_entry).
 * Where one doubleword holds all that changes, hardware sees the old entry or the new one; where more do,
 * the entry is invalid in between. Between the steps stands an invalidation that is waited for.
 */

export type Entry = readonly bigint[];

/** Doublewords that a step stores, in order, before its invalidation. */
export type Step = readonly (readonly [index: number, value: bigint])[];

/** Which bits hardware looks at in an entry. */
export type UsedBits = (entry: Entry) => Entry;
/** Bits that may change while hardware looks at them, from one entry to another. */
export type SafeBits = (current: Entry, target: Entry) => Entry;

const none: SafeBits = (current) => current.map(() => 0n);
const WIDE = 0xffff_ffff_ffff_ffffn;

/** The steps from one entry to another; none where they are equal. */
export function writeSteps(
  current: Entry,
  target: Entry,
  used: UsedBits,
  safe: SafeBits = none,
): readonly Step[] {
  const { update, differing } = compare(current, target, used, safe);
  const steps: Step[] = [];
  let entry = [...current];
  const put = (values: Entry, from: number, end: number): void => {
    const step: [number, bigint][] = [];
    for (let at = from; at < end; at += 1) {
      const value = values[at] ?? 0n;
      if (entry[at] !== value) step.push([at, value]);
    }
    entry = entry.map((old, at) => (at >= from && at < end ? (values[at] ?? 0n) : old));
    if (step.length > 0) steps.push(step);
  };
  const [critical] = differing;
  const count = current.length;
  if (critical === undefined) {
    put(target, 0, count);
  } else if (differing.length === 1) {
    put(
      update.map((value, at) => (at === critical ? (current[at] ?? 0n) : value)),
      0,
      count,
    );
    put(target, critical, critical + 1);
    put(target, 0, count);
  } else {
    put([0n], 0, 1);
    put(target, 1, count);
    put(target, 0, 1);
  }
  return steps;
}

/**
 * The change as drivers before 6.9 make it, over an entry that hardware does not use: all but the first
 * doubleword that differ, then the first (linux 6.1: arm_smmu_write_strtab_ent, arm_smmu_write_ctx_desc).
 */
export function orderedSteps(current: Entry, target: Entry): readonly Step[] {
  const rest = target.flatMap((value, at) =>
    at === 0 || value === current[at] ? [] : [[at, value] as const],
  );
  return [rest, [[0, target[0] ?? 0n]]];
}

/** The change as a careless driver makes it: every doubleword in ascending order, one invalidation at the end. */
export function carelessSteps(current: Entry, target: Entry): readonly Step[] {
  const step = target.flatMap((value, at) => (value === current[at] ? [] : [[at, value] as const]));
  return step.length === 0 ? [] : [step];
}

/** The entry with its unused and safe bits as the target has them, and the doublewords that still differ then. */
function compare(
  current: Entry,
  target: Entry,
  used: UsedBits,
  safe: SafeBits,
): { readonly update: Entry; readonly differing: readonly number[] } {
  const usedNow = used(current);
  const usedThen = used(target);
  const harmless = safe(current, target);
  const update: bigint[] = [];
  const differing: number[] = [];
  for (const [at, value] of current.entries()) {
    const now = usedNow[at] ?? 0n;
    const then = usedThen[at] ?? 0n;
    const wanted = target[at] ?? 0n;
    const free = (~now | ((harmless[at] ?? 0n) & now & then)) & WIDE;
    const next = (value & ~free & WIDE) | (wanted & free);
    update.push(next);
    if ((next & then) !== (wanted & then)) differing.push(at);
  }
  return { update, differing };
}
