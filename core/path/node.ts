/**
 * What a path can lead to: a node has a value for JSON, lines for people, the index keys under which
 * its changes are found, and what may follow it in a path. Nodes are made when they are asked for.
 */
import type { Words } from '../layout/field.ts';
import { type AnyField, type Layout, show, showRaw } from '../layout/layout.ts';

/** A line for people: what stands below the path asked for (`.CR0`, `[3]`, or nothing), and its text. */
export interface PathLine {
  readonly below: string;
  readonly text: string;
}

/** A range of physical memory that a value is read from. */
export interface Span {
  readonly pa: number;
  readonly size: number;
}

/** Where changes are looked for: keys of `history/touch.ts`, and the memory behind `page` keys. */
export interface Watched {
  readonly keys: readonly string[];
  readonly spans: readonly Span[];
}

/** Where a field stands in its structure. */
export type Bits = Pick<AnyField, 'hi' | 'lo'>;

export interface PathNode {
  /** Plain data; `null` says that nothing is there now. */
  json(): unknown;
  /** `brief` asks for one line of a node that is a part of what is shown. */
  lines(brief: boolean): readonly PathLine[];
  watched(): Watched;
  /** Names that may follow after a dot. */
  readonly names: readonly string[];
  /** What an index in brackets means here, when one may follow. */
  readonly index?: string;
  child(name: string): PathNode | undefined;
  item(index: number): PathNode | undefined;
}

export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

export const NOTHING: Watched = { keys: [], spans: [] };

/** What watching several things at once takes. */
export function joinWatched(all: readonly Watched[]): Watched {
  return { keys: [...new Set(all.flatMap(({ keys }) => keys))], spans: all.flatMap(({ spans }) => spans) };
}

/** A value with nothing below it. */
export function leaf(value: unknown, watched: Watched, text = showPlain(value)): PathNode {
  return {
    json: () => value,
    lines: () => [{ below: '', text }],
    watched: () => watched,
    names: [],
    child: () => undefined,
    item: () => undefined,
  };
}

/** Nothing stands there now; `why` tells the reason. What is below is nothing too. */
export function absent(why: string, watched: Watched): PathNode {
  const node: PathNode = {
    ...leaf(null, watched, `- (${why})`),
    index: 'an index',
    child: () => node,
    item: () => node,
  };
  return node;
}

export type Children = Readonly<Record<string, () => PathNode>>;

/** Named parts. `brief` gives the one line that stands for all of them inside something larger. */
export function group(
  children: Children,
  more: {
    readonly brief?: () => string;
    readonly index?: string;
    item?(index: number): PathNode | undefined;
  } = {},
): PathNode {
  const names = Object.keys(children);
  const all = (): [string, PathNode][] => Object.entries(children).map(([name, make]) => [name, make()]);
  const { brief, index, item } = more;
  return {
    json: () => Object.fromEntries(all().map(([name, node]) => [name, node.json()])),
    lines: (asBrief) =>
      asBrief && brief !== undefined
        ? [{ below: '', text: brief() }]
        : all().flatMap(([name, node]) =>
            node.lines(true).map(({ below, text }) => ({ below: `.${name}${below}`, text })),
          ),
    watched: () => joinWatched(all().map(([, node]) => node.watched())),
    names,
    ...(index === undefined ? {} : { index }),
    child: (name) => (Object.hasOwn(children, name) ? children[name]?.() : undefined),
    item: (at) => item?.(at),
  };
}

/** The value of one field as JSON says it: names, `"0x..."` for addresses, numbers for counts and ids. */
export function fieldJson(field: AnyField, words: Words): unknown {
  const value = field.read(words);
  if (field.kind === 'flag') return value === true ? 1 : 0;
  if (field.kind === 'addr' || field.kind === 'u64') return hex(value as number | bigint);
  return value;
}

/** A structure with its fields below it. `value` stands for all of it in JSON; without it all fields do. */
export function structure(
  of: Layout<Record<string, AnyField>>,
  words: Words,
  watched: Watched,
  about: {
    readonly head?: Readonly<Record<string, unknown>>;
    readonly value?: unknown;
    readonly raw?: string;
    /** What watching one field takes, where that is less than watching all. */
    readonly narrow?: (field: Bits) => Watched;
  } = {},
): PathNode {
  const fields = (): Record<string, unknown> => {
    const out: Record<string, unknown> = { ...about.head };
    for (const [name, field] of Object.entries(of.fields)) out[name] = fieldJson(field, words);
    return out;
  };
  const text = `${about.raw ?? showRaw(words)}  ${show(of, words).slice(of.name.length + 1)}`;
  const head = about.head ?? {};
  return {
    json: () => about.value ?? fields(),
    lines: () => [{ below: '', text: `${about.value === undefined ? `${of.name} ` : ''}${text}` }],
    watched: () => watched,
    names: [...Object.keys(head), ...Object.keys(of.fields)],
    child: (name) => {
      const field = Object.hasOwn(of.fields, name) ? of.fields[name] : undefined;
      if (field !== undefined)
        return leaf(fieldJson(field, words), about.narrow?.(field) ?? watched, field.show(words));
      return Object.hasOwn(head, name) ? leaf(head[name], watched) : undefined;
    },
    item: () => undefined,
  };
}

function showPlain(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
