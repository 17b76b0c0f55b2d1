/**
 * Simpler forms of a line: fields left out, lists shorter, numbers smaller or rounder. Nothing here knows the
 * vocabulary: a form that is no line is refused when it is tried.
 */
import type { ScenarioLine } from '../scenario/scenario.ts';

/** Fields that say what a line is. */
const KEPT: readonly string[] = ['op', 'reg', 'name', 'type'];

/** Forms of a line that are simpler in one place, the boldest first. */
export function* simplerForms(line: ScenarioLine): Generator<ScenarioLine> {
  for (const form of simpler(line, true)) yield form as ScenarioLine;
}

function* simpler(value: unknown, top: boolean): Generator<unknown> {
  if (Array.isArray(value)) yield* shorterLists(value);
  else if (typeof value === 'object' && value !== null) yield* smallerObjects(value, top);
  else yield* smallerNumbers(value);
}

function* smallerObjects(value: object, top: boolean): Generator<unknown> {
  const entries = Object.entries(value);
  for (const [name] of entries) {
    if (!(top && KEPT.includes(name))) yield Object.fromEntries(entries.filter(([each]) => each !== name));
  }
  for (const [name, inner] of entries) {
    if (top && KEPT.includes(name)) continue;
    for (const form of simpler(inner, false)) yield { ...value, [name]: form };
  }
}

/** Lists longer than this are halved, not looked into. */
const LIST_MAX = 64;

function* shorterLists(value: readonly unknown[]): Generator<unknown> {
  for (let keep = value.length >> 1; keep > 0; keep >>= 1) yield value.slice(0, keep);
  if (value.length > LIST_MAX) return;
  if (value.length > 1) yield value.slice(0, -1);
  // A word that goes from the middle moves all behind it: no simpler, only another.
  const parts = value.length > 1 && value.every((each) => typeof each === 'object');
  for (let at = 0; parts && at < value.length; at += 1) yield [...value.slice(0, at), ...value.slice(at + 1)];
  for (const [at, each] of value.entries())
    for (const form of simpler(each, false)) yield value.map((other, index) => (index === at ? form : other));
}

const PAGE = 0x1000n;

/** 0, one doubleword, the half, the start of the page. */
function* smallerNumbers(value: unknown): Generator<unknown> {
  if (value === true) yield false;
  const text = typeof value === 'string';
  if (text ? !/^0x[0-9a-f]+$/.test(value) : typeof value !== 'number') return;
  const number = BigInt(value as string | number);
  for (const smaller of new Set([0n, 1n, 8n, number - (number % PAGE), number / 2n]))
    if (smaller < number) yield text ? `0x${smaller.toString(16)}` : Number(smaller);
}
