/**
 * Halving a range to the first place at which something holds. That is right where it goes on holding from
 * there; whether it does is looked at in further places, and what contradicts it is told.
 */

export interface FirstTrue {
  /** Holds here and not one before. */
  readonly first: number;
  /** How many places were looked at. */
  readonly looked: number;
  /** A place that contradicts the assumption: it holds before `first`, or not after it. */
  readonly against: number | undefined;
}

export type NotFound = 'holds at the start' | 'does not hold at the end' | 'stopped';

/** Whether something holds at a place; undefined: somebody stopped the work. */
export type Look = (at: number) => Promise<boolean | undefined>;

/**
 * The first of `from` + 1 to `to` at which it holds, when it does not at `from`.
 * @param samples further places looked at on each side.
 */
export async function firstTrue(
  from: number,
  to: number,
  samples: number,
  look: Look,
): Promise<FirstTrue | NotFound> {
  const known = new Map<number, boolean>();
  const at = async (place: number): Promise<boolean | undefined> => {
    const before = known.get(place);
    if (before !== undefined) return before;
    const now = await look(place);
    if (now !== undefined) known.set(place, now);
    return now;
  };
  const [start, end] = [await at(from), await at(to)];
  if (start === undefined || end === undefined) return 'stopped';
  if (start) return 'holds at the start';
  if (!end) return 'does not hold at the end';
  let [low, high] = [from, to];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const there = await at(middle);
    if (there === undefined) return 'stopped';
    if (there) high = middle;
    else low = middle;
  }
  for (const place of [...spread(from, low, samples), ...spread(high, to, samples)]) {
    if ((await at(place)) === undefined) return 'stopped';
  }
  const against = [...known].find(([place, there]) => there !== place >= high)?.[0];
  return { first: high, looked: known.size, against };
}

/** So many places between two, evenly. */
function spread(from: number, to: number, count: number): readonly number[] {
  const step = (to - from) / (count + 1);
  return Array.from({ length: count }, (_, at) => Math.round(from + step * (at + 1)));
}
