/** Where two JSON values differ, as far down as they can be compared field by field. */
import { isSame } from '../../core/history/same.ts';

export interface LeafDifference {
  /** Path below the values compared: `.CR0`, `[33].asid`, or nothing. */
  readonly below: string;
  /** undefined: nothing stood there. */
  readonly before: unknown;
  readonly after: unknown;
}

/** The differences in the order of the fields. List elements with an `id` are matched by it. */
export function leavesOf(before: unknown, after: unknown): LeafDifference[] {
  const found: LeafDifference[] = [];
  collect('', before, after, found);
  return found;
}

function collect(below: string, before: unknown, after: unknown, found: LeafDifference[]): void {
  if (isSame(before, after)) return;
  const [old, now] = [partsOf(before), partsOf(after)];
  if (old === undefined || now === undefined) {
    found.push({ below, before, after });
    return;
  }
  for (const key of new Set([...old.keys(), ...now.keys()]))
    collect(`${below}${key}`, old.get(key), now.get(key), found);
}

function partsOf(value: unknown): Map<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!Array.isArray(value)) return new Map(Object.entries(value).map(([name, each]) => [`.${name}`, each]));
  return new Map(value.map((each, at) => [`[${keyOf(each) ?? at}]`, each]));
}

/** A cache's entry is named by the seq that filled it, an entry of a queue by its slot. */
function keyOf(element: unknown): unknown {
  const named = element as { readonly id?: unknown; readonly index?: unknown } | null;
  return named?.id ?? named?.index;
}

const SHOWN_MAX = 120;

/** A value in a line of text; `-` for nothing. */
export function showLeaf(value: unknown): string {
  if (value === undefined || value === null) return '-';
  if (typeof value !== 'object') return String(value);
  const text = Array.isArray(value) ? JSON.stringify(value) : fieldsOf(value);
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX - 3)}...`;
}

/** `{asid=0x7 va=0x1000}`: fields that are not zero. */
function fieldsOf(value: object): string {
  const held = Object.entries(value).filter(([, each]) => each !== 0 && each !== '0x0' && each !== false);
  return `{${held.map(([name, each]) => `${name}=${typeof each === 'object' ? JSON.stringify(each) : each}`).join(' ')}}`;
}
