/**
 * The keys under which an entry can be found again. They follow from the kinds of its fields, so a
 * new event is indexed by declaring it.
 *
 * Keys: `page:0x40001` (the 4 KiB page of an address), `word:0x40001008` (a doubleword that was stored
 * to), `block:0x40001` (a page that a longer store changed), `iova:0xfffff` (the page of an input address),
 * `sid:0x10`, `asid:0x1`, `vmid:0x0`, `register:smmu0.CR0`, `command:CMD_SYNC`, `endpoint:nvme0`,
 * `path:smmu0.choices.x`, and `type:tlb.filled`.
 */
import { type Entry, schemas } from '../event.ts';
import type { IndexName } from '../schema.ts';

const PAGE = 4096;

/** The indexed fields of each type, and its own key: every entry of a history asks for them. */
const indexed = new Map(
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

/** Every key of one entry. */
export function touchKeys(entry: Entry): string[] {
  const known = indexed.get(entry.type);
  if (known === undefined) return [`type:${entry.type}`];
  const keys = [known.typeKey];
  for (const { name, index } of known.fields) {
    const value = (entry as unknown as Record<string, number | bigint | string | undefined>)[name];
    if (value === undefined) continue;
    if (index === 'register') keys.push(touchKey(index, `${(entry as { smmu?: string }).smmu}.${value}`));
    else keys.push(touchKey(index, value));
  }
  if (entry.type === 'memory.written') keys.push(wordKey(entry.pa));
  if ('bytes' in entry && entry.bytes instanceof Uint8Array && 'pa' in entry) {
    pagesOf('page', entry.pa, entry.bytes.length, 1, keys);
    if (entry.type === 'memory.loaded') pagesOf('block', entry.pa, entry.bytes.length, 0, keys);
  }
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

/** Under which keys a change of `[pa, pa + size)` is found. */
export function memoryKeys(pa: number, size: number): readonly string[] {
  const keys: string[] = [];
  pagesOf('block', pa, size, 0, keys);
  for (let word = pa - (pa % 8); word < pa + size; word += 8) keys.push(wordKey(word));
  return keys;
}

function wordKey(pa: number): string {
  return `word:0x${pa.toString(16)}`;
}

/** Pages of a span, without the first `skip` of them. */
function pagesOf(name: 'page' | 'block', pa: number, size: number, skip: number, keys: string[]): void {
  for (let page = Math.floor(pa / PAGE) + skip; page * PAGE < pa + size; page += 1)
    keys.push(`${name}:0x${page.toString(16)}`);
}
