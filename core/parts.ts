/**
 * Persistent maps that stand anywhere in plain state: found, named, taken out and put back by their
 * paths, so that a part of the state may hold as many of them as it likes and nobody lists them.
 */
import { assert } from './assert.ts';
import { Radix } from './memory/radix.ts';

type Plain = Readonly<Record<string, unknown>>;
type Parts = Record<string, Radix<unknown>>;

/** No name in the state has one: what stands between two names of a path. */
const SEPARATOR = '/';

/** The value without its maps, which are added to `parts` by `PATH/NAME/NAME`. */
export function takeMaps(value: unknown, path: string, parts: Parts): unknown {
  if (value instanceof Radix) {
    parts[path] = value as Radix<unknown>;
    return null;
  }
  if (!holdsMaps(value)) return value;
  const taken = Object.entries(value).map(([name, each]) => {
    assert(!name.includes(SEPARATOR), `${name} is a name without ${SEPARATOR}`);
    return [name, takeMaps(each, `${path}${SEPARATOR}${name}`, parts)];
  });
  return Object.fromEntries(taken);
}

/** The value with those of `parts` that were taken from it, sealed. */
export function putMaps(value: unknown, path: string, parts: Readonly<Parts>): unknown {
  const inside = Object.keys(parts).filter((name) => name.startsWith(`${path}${SEPARATOR}`));
  if (inside.length === 0) return value;
  const whole = copyOf(value);
  for (const name of inside) {
    const steps = name.slice(path.length + 1).split(SEPARATOR);
    const last = steps.pop();
    assert(last !== undefined, `${name} names a part`);
    let holder = whole;
    for (const step of steps) {
      holder[step] = copyOf(holder[step]);
      holder = holder[step] as Record<string, unknown>;
    }
    const map = parts[name];
    assert(map !== undefined && holder[last] === null, `${name} has its place`);
    map.seal();
    holder[last] = map;
  }
  return whole;
}

/** From now on nobody writes the maps in the value. */
export function sealMaps(value: unknown): void {
  if (value instanceof Radix) value.seal();
  else if (holdsMaps(value)) for (const each of Object.values(value)) sealMaps(each);
}

/** The map under `name`, open for writing. */
export function openMap<H, K extends keyof H>(holder: H, name: K): H[K] {
  const map: unknown = holder[name];
  assert(map instanceof Radix, `${String(name)} is a map`);
  if (!map.open) holder[name] = map.fork() as H[K];
  return holder[name];
}

/** The map under `key` in an open map of maps, made where there is none; open while `outer` is. */
export function openInner<V>(outer: Radix<Radix<V>>, key: number): Radix<V> {
  const present = outer.get(key);
  if (present?.isOwnedBy(outer.owner)) return present;
  const inner = present === undefined ? new Radix<V>(undefined, outer.owner) : present.fork(outer.owner);
  outer.set(key, inner);
  return inner;
}

/** An empty map that nobody writes yet. */
export function sealedMap<V>(): Radix<V> {
  const map = new Radix<V>();
  map.seal();
  return map;
}

/** Arrays and bytes hold none. */
function holdsMaps(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function copyOf(value: unknown): Record<string, unknown> {
  assert(holdsMaps(value), 'what holds a map is a plain object');
  return { ...value };
}
