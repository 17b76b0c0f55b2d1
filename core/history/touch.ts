/**
 * The keys under which an entry can be found again. They follow from the kinds of its fields, so a
 * new event is indexed by declaring it.
 *
 * Keys: `type:tlb.filled`, `actor:cpu0`, `page:0x40001` (the 4 KiB page of an address; `page21:`, `page30:`
 * its 2 MiB and 1 GiB), `word:0x40001008` (a doubleword that a store of at most 64 bytes changed),
 * `block:0x40001` (a page that a longer one changed), `iova:0xfffff` (the page of an input address; `iova21:`, `iova30:`), `sid:0x10`,
 * `asid:0x1`, `vmid:0x0`, `register:smmu0.CR0` (read or written), `changed:smmu0.CR0` and `changed:smmu0.CR0/3`
 * (byte 3 of it), `cache:smmu0.tlb`, `cache:nvme0.atc`, `command:CMD_SYNC`, `endpoint:nvme0`,
 * `path:smmu0.choices.x`, `object:0x3`, `record:F_TRANSLATION`, `errno:EINVAL`, `rule:NAME`.
 */
import { type Entry, type EntryOf, type EntryType, schemas } from '../event.ts';
import type { IndexName } from '../schema.ts';

const PAGE = 4096;
/** Wider regions of addresses, log2: 2 MiB and 1 GiB. */
export const REGIONS = [21, 30] as const;

interface Indexed {
  readonly typeKey: string;
  readonly fields: readonly { readonly name: string; readonly index: IndexName }[];
}

/** The indexed fields of each type, and its own key: every entry of a history asks for them. */
const indexed: ReadonlyMap<string, Indexed> = new Map(
  Object.entries(schemas).map(([type, schema]) => [
    type,
    {
      typeKey: `type:${type}`,
      fields: Object.entries(schema).flatMap(([name, { index }]) =>
        index === undefined ? [] : [{ name, index }],
      ),
    },
  ]),
);

type More = { readonly [T in EntryType]?: (entry: EntryOf<T>, keys: string[]) => void };

/** Keys that follow from more than one field. */
const more: More = {
  'memory.written': (entry, keys) => keys.push(wordKey(entry.pa)),
  'memory.loaded': (entry, keys) => {
    pagesOf('page', entry.pa, entry.bytes.length, 1, keys);
    storeKeys(entry.pa, entry.bytes.length, keys);
  },
  'mem.write': (entry, keys) => pagesOf('page', entry.pa, entry.bytes.length, 1, keys),
  'mem.read': (entry, keys) => pagesOf('page', entry.pa, entry.size, 1, keys),
  'memory.read': (entry, keys) => pagesOf('page', entry.pa, entry.size, 1, keys),
  'memory.aborted': (entry, keys) => pagesOf('page', entry.pa, entry.size, 1, keys),
  'register.written': changeKeys,
  'register.updated': changeKeys,
  'atc.filled': atcKey,
  'atc.invalidated': atcKey,
  'atc.evicted': atcKey,
  'object.reserved': (entry, keys) => keys.push(touchKey('object', entry.object.id)),
};

/** Every key of one entry. */
export function touchKeys(entry: Entry): string[] {
  const known = indexed.get(entry.type);
  if (known === undefined) return [`type:${entry.type}`];
  const keys = [known.typeKey, `actor:${entry.actor}`];
  for (const { name, index } of known.fields) {
    const value = (entry as unknown as Record<string, number | bigint | string | undefined>)[name];
    if (value === undefined) continue;
    if (index === 'register' || index === 'cache')
      keys.push(touchKey(index, `${(entry as { smmu?: string }).smmu}.${value}`));
    else keys.push(touchKey(index, value));
    if (index === 'page' || index === 'iova') regionKeys(index, value as number | bigint, keys);
  }
  (more[entry.type] as ((entry: Entry, keys: string[]) => void) | undefined)?.(entry, keys);
  return keys;
}

/** The key of one thing, as `touchKeys` makes it. */
export function touchKey(index: IndexName, value: number | bigint | string): string {
  if (index === 'page') return `page:0x${Math.floor(Number(value) / PAGE).toString(16)}`;
  if (index === 'iova')
    return `iova:0x${(typeof value === 'bigint' ? value >> 12n : BigInt(value) >> 12n).toString(16)}`;
  if (typeof value === 'string') return `${index}:${value}`;
  return `${index}:0x${value.toString(16)}`;
}

/** Types whose entries can have a key that begins so; for all others nothing needs to be looked at. */
const holders: ReadonlyMap<string, ReadonlySet<string>> = holdersOf();

function holdersOf(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  const put = (prefix: string, type: string): void => {
    found.set(prefix, (found.get(prefix) ?? new Set()).add(type));
  };
  for (const [type, { fields }] of indexed) {
    for (const { index } of fields) {
      put(index, type);
      if (index === 'page' || index === 'iova') for (const log2 of REGIONS) put(`${index}${log2}`, type);
    }
  }
  put('word', 'memory.written');
  for (const prefix of ['word', 'block']) put(prefix, 'memory.loaded');
  for (const type of ['register.written', 'register.updated']) put('changed', type);
  for (const type of ['atc.filled', 'atc.invalidated', 'atc.evicted']) put('cache', type);
  put('object', 'object.reserved');
  return found;
}

/** A test for entries that stand under a key. */
export function keyTest(key: string): (entry: Entry) => boolean {
  const colon = key.indexOf(':');
  const [prefix, value] = [key.slice(0, colon), key.slice(colon + 1)];
  if (prefix === 'type') return (entry) => entry.type === value;
  if (prefix === 'actor') return (entry) => entry.actor === value;
  if (prefix === 'word') return wordTest(Number(value));
  const types = holders.get(prefix);
  return (entry) => types?.has(entry.type) === true && touchKeys(entry).includes(key);
}

/** Types of entries that can stand under a key of that kind; undefined: all of them. */
export function typesUnder(prefix: string): ReadonlySet<string> | undefined {
  return prefix === 'type' || prefix === 'actor' ? undefined : (holders.get(prefix) ?? new Set());
}

/** Under which keys a change of `[pa, pa + size)` is found. */
export function memoryKeys(pa: number, size: number): readonly string[] {
  const keys: string[] = [];
  pagesOf('block', pa, size, 0, keys);
  for (let word = pa - (pa % 8); word < pa + size; word += 8) keys.push(wordKey(word));
  return keys;
}

/** Under which keys a change of bits [hi:lo] of a register is found; without them, of any of its bits. */
export function registerKeys(name: string, hi?: number, lo = 0): readonly string[] {
  if (hi === undefined) return [`changed:${name}`];
  const keys: string[] = [];
  for (let byte = Math.floor(lo / 8); byte * 8 <= hi; byte += 1) keys.push(`changed:${name}/${byte}`);
  return keys;
}

/** A store of so many bytes stands under its doublewords, a longer one under its pages. */
const SMALL_BYTES = 64;

function storeKeys(pa: number, size: number, keys: string[]): void {
  if (size > SMALL_BYTES) return pagesOf('block', pa, size, 0, keys);
  for (let word = pa - (pa % 8); word < pa + size; word += 8) keys.push(wordKey(word));
}

/** The same without the keys of each entry: a slot of a queue is stored to thousands of times. */
function wordTest(word: number): (entry: Entry) => boolean {
  return (entry) => {
    if (entry.type === 'memory.written') return entry.pa === word;
    if (entry.type !== 'memory.loaded' || entry.bytes.length > SMALL_BYTES) return false;
    return entry.pa - (entry.pa % 8) <= word && word < entry.pa + entry.bytes.length;
  };
}

function wordKey(pa: number): string {
  return `word:0x${pa.toString(16)}`;
}

/** Pages of a span, without the first `skip` of them. */
function pagesOf(name: 'page' | 'block', pa: number, size: number, skip: number, keys: string[]): void {
  for (let page = Math.floor(pa / PAGE) + skip; page * PAGE < pa + size; page += 1) {
    keys.push(`${name}:0x${page.toString(16)}`);
    if (name === 'page' && page % 512 === 0) regionKeys('page', page * PAGE, keys);
  }
}

function regionKeys(index: 'page' | 'iova', value: number | bigint, keys: string[]): void {
  for (const log2 of REGIONS) keys.push(regionKey(index, value, log2));
}

/** The key of the 2 MiB or 1 GiB that an address lies in. */
export function regionKey(
  index: 'page' | 'iova',
  value: number | bigint,
  log2: (typeof REGIONS)[number],
): string {
  const at = typeof value === 'bigint' ? value >> BigInt(log2) : Math.floor(value / 2 ** log2);
  return `${index}${log2}:0x${at.toString(16)}`;
}

/** What a register's change touched: all of it, and each byte that differs. */
function changeKeys(
  { smmu, register, value, old }: EntryOf<'register.written'> | EntryOf<'register.updated'>,
  keys: string[],
): void {
  const name = `changed:${smmu}.${register}`;
  keys.push(name);
  let left = value ^ old;
  for (let byte = 0; left !== 0n; byte += 1, left >>= 8n) {
    if ((left & 0xffn) !== 0n) keys.push(`${name}/${byte}`);
  }
}

function atcKey({ endpoint }: { readonly endpoint: string }, keys: string[]): void {
  keys.push(`cache:${endpoint}.atc`);
}
