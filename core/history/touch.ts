/**
 * The keys under which an entry can be found again. They follow from the kinds of its fields, so a
 * new event is indexed by declaring it.
 *
 * Keys: `page:0x40001` (the 4 KiB page of an address), `iova:0xfffff` (the page of an input address),
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
  if ('bytes' in entry && entry.bytes instanceof Uint8Array && 'pa' in entry)
    pagesOf(entry.pa, entry.bytes.length, keys);
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

function pagesOf(pa: number, size: number, keys: string[]): void {
  for (let page = Math.floor(pa / PAGE) + 1; page * PAGE < pa + size; page += 1)
    keys.push(`page:0x${page.toString(16)}`);
}
