/**
 * What can be searched for: a row for each option, with the keys of the index under which matching entries
 * stand and, where keys are coarser than the question, the test that decides. Fields are found by their kinds
 * in the schemas, so an event that is declared can be searched.
 */
import type { MachineConfig } from '../../core/config.ts';
import { type Entry, schemas } from '../../core/event.ts';
import { REGIONS, regionKey, touchKey, typesUnder } from '../../core/history/touch.ts';
import { errnos } from '../../core/kernel/errno.ts';
import { meant } from '../../core/path/near.ts';
import type { IndexName } from '../../core/schema.ts';
import { UNKNOWN_COMMAND } from '../../core/smmu/command.ts';
import { commandLayouts } from '../../core/smmu/command-layout.ts';
import { eventRecords } from '../../core/smmu/event-record.ts';
import { registerNamed } from '../../core/smmu/registers.ts';
import { memoryOf } from '../changes.ts';
import { InputError } from '../input-error.ts';

/** One condition: entries stand under one of the keys, and pass the test where there is one. */
export interface Term {
  readonly keys: readonly string[];
  readonly test?: (entry: Entry) => boolean;
}

export interface TermRow {
  readonly option: string;
  readonly value: string;
  readonly says: string;
  term(text: string, machine: MachineConfig): Term;
}

// biome-ignore format: a table
export const termRows: readonly TermRow[] = [
  { option: 'type',     value: 'types',    says: 'types with commas; tlb.* for all that begin so',        term: typeTerm },
  { option: 'actor',    value: 'name',     says: 'who did it',                                            term: (text) => ({ keys: [`actor:${text}`] }) },
  { option: 'sid',      value: 'number',   says: 'a StreamID',                                            term: numbered('sid') },
  { option: 'asid',     value: 'number',   says: 'an ASID',                                               term: numbered('asid') },
  { option: 'vmid',     value: 'number',   says: 'a VMID',                                                term: numbered('vmid') },
  { option: 'iova',     value: 'a[..b]',   says: 'an input address in a range, both ends included',       term: (text) => iovaTerm(rangeOf('iova', text)) },
  { option: 'pa',       value: 'a[..b]',   says: 'memory in a range of physical addresses, both included', term: (text) => paTerm(rangeOf('pa', text)) },
  { option: 'register', value: 'name',     says: 'a register, as in CR0 or smmu0.CR0',                    term: registerTerm },
  { option: 'command',  value: 'name',     says: 'a command, as in CMD_SYNC',                             term: nameOf('command', 'CMD_SYNC', () => [...Object.keys(commandLayouts), UNKNOWN_COMMAND]) },
  { option: 'record',   value: 'name',     says: 'an event record, as in F_TRANSLATION',                  term: nameOf('record', 'F_TRANSLATION', () => Object.keys(eventRecords)) },
  { option: 'errno',    value: 'name',     says: 'how a call of the kernel failed, as in EINVAL',         term: nameOf('errno', 'EINVAL', () => Object.keys(errnos)) },
  { option: 'object',   value: 'id',       says: 'an object of an iommufd context',                       term: numbered('object') },
  { option: 'endpoint', value: 'name',     says: 'an endpoint',                                           term: endpointTerm },
  { option: 'cache',    value: 'name',     says: 'a cache, as in smmu0.tlb or nvme0.atc',                 term: (text) => ({ keys: [touchKey('cache', text)] }) },
  { option: 'path',     value: 'path',     says: 'a setting, as in smmu0.caches.tlb',                     term: (text) => ({ keys: [touchKey('path', text)] }) },
  { option: 'rule',     value: 'name',     says: 'a misuse that was noted; or where a rule of help rules was broken, for which all is checked', term: (text) => ({ keys: [touchKey('rule', text)] }) },
  { option: 'field',    value: 'name=value', says: 'a field as `log --json` shows it; looked at one by one', term: fieldTerm },
];

function typeTerm(text: string): Term {
  return { keys: typesOf('--type', text).map((type) => `type:${type}`) };
}

/** The types that a list with commas and `*` names. */
export function typesOf(option: string, text: string): readonly string[] {
  const known = Object.keys(schemas);
  return text.split(',').flatMap((each) => {
    const found = each.endsWith('*')
      ? known.filter((type) => type.startsWith(each.slice(0, -1)))
      : known.filter((type) => type === each);
    if (found.length === 0)
      throw new InputError(
        `${option}: expected a type such as tlb.filled, found "${each}"${meant(each, known)}`,
      );
    return found;
  });
}

const NUMBER = /^(0[xX][0-9a-fA-F]+|\d+)$/;

function numbered(index: IndexName) {
  return (text: string): Term => {
    if (!NUMBER.test(text)) throw new InputError(`--${index}: expected a number, found "${text}"`);
    return { keys: [touchKey(index, BigInt(text))] };
  };
}

function nameOf(index: IndexName, example: string, known: () => readonly string[]) {
  return (text: string): Term => {
    const names = known();
    if (!names.includes(text))
      throw new InputError(
        `--${index}: expected a name such as ${example}, found "${text}"${meant(text, names)}`,
      );
    return { keys: [touchKey(index, text)] };
  };
}

function endpointTerm(text: string, { endpoints }: MachineConfig): Term {
  const names = endpoints.map(({ name }) => name);
  if (!names.includes(text))
    throw new InputError(
      `--endpoint: expected one of ${names.join(', ')}, found "${text}"${meant(text, names)}`,
    );
  return { keys: [touchKey('endpoint', text)] };
}

/** `CR0` of every SMMU of the machine; `smmu0.CR0`, and `vm0.smmu.CR0` of one that a VM made. */
function registerTerm(text: string, { smmus }: MachineConfig): Term {
  const names = smmus.map(({ name }) => name);
  const dot = text.lastIndexOf('.');
  const [owner, register] = [text.slice(0, Math.max(0, dot)), text.slice(dot + 1)];
  if (registerNamed(register) === undefined)
    throw new InputError(`--register: expected a register such as CR0 or ${names[0]}.CR0, found "${text}"`);
  if (owner !== '' && !owner.includes('.') && !names.includes(owner))
    throw new InputError(`--register: expected one of ${names.join(', ')} before the dot, found "${text}"`);
  const of = owner === '' ? names : [owner];
  return { keys: of.map((name) => touchKey('register', `${name}.${register}`)) };
}

interface AddressRange {
  readonly first: bigint;
  readonly last: bigint;
}

function rangeOf(option: string, text: string): AddressRange {
  const [first = '', last = first, ...more] = text.split('..');
  if (!NUMBER.test(first) || !NUMBER.test(last) || more.length > 0)
    throw new InputError(`--${option}: expected an address or A..B, found "${text}"`);
  const range = { first: BigInt(first), last: BigInt(last) };
  if (range.first > range.last)
    throw new InputError(`--${option}: expected a range whose end is not below its start, found "${text}"`);
  return range;
}

/** Keys asked for at most before a wider region is taken. */
const KEYS_MAX = 64;

/** The keys of pages or regions that cover a range; where it is too wide, of all types that have such a field. */
function rangeKeys(index: 'page' | 'iova', { first, last }: AddressRange): readonly string[] {
  for (const log2 of [12, ...REGIONS] as const) {
    const [from, to] = [first >> BigInt(log2), last >> BigInt(log2)];
    if (to - from >= BigInt(KEYS_MAX)) continue;
    return Array.from({ length: Number(to - from) + 1 }, (_, at) => {
      const address = (from + BigInt(at)) << BigInt(log2);
      return log2 === 12 ? touchKey(index, address) : regionKey(index, address, log2);
    });
  }
  return [...(typesUnder(index) ?? [])].map((type) => `type:${type}`);
}

function iovaTerm(range: AddressRange): Term {
  const test = (entry: Entry): boolean =>
    Object.entries(schemas[entry.type]).some(([name, { index }]) => {
      const value = index === 'iova' ? (entry as unknown as Record<string, unknown>)[name] : undefined;
      return typeof value === 'bigint' && value >= range.first && value <= range.last;
    });
  return { keys: rangeKeys('iova', range), test };
}

function paTerm(range: AddressRange): Term {
  const test = (entry: Entry): boolean =>
    memoryOf(entry).some(({ pa, size }) => BigInt(pa) <= range.last && BigInt(pa + size) > range.first);
  return { keys: rangeKeys('page', range), test };
}

/** Values are compared as JSON shows them; a number may be written either way. */
function fieldTerm(text: string): Term {
  const at = text.indexOf('=');
  const [name, value] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)];
  const types = Object.entries(schemas).flatMap(([type, schema]) =>
    Object.hasOwn(schema, name) ? [type] : [],
  );
  if (at < 0 || types.length === 0)
    throw new InputError(`--field: expected NAME=VALUE with the name of a field, found "${text}"`);
  const number = NUMBER.test(value) ? BigInt(value) : undefined;
  const test = (entry: Entry): boolean => {
    const held = (entry as unknown as Record<string, unknown>)[name];
    if (typeof held === 'number' || typeof held === 'bigint')
      return number !== undefined && BigInt(held) === number;
    return held !== undefined && String(held) === value;
  };
  return { keys: types.map((type) => `type:${type}`), test };
}

/** Why no entry can match all of the terms at once: their fields never stand in one entry. Undefined when some can. */
export function neverTogether(terms: readonly Term[]): boolean {
  let left: Set<string> | undefined;
  for (const { keys } of terms) {
    const types = new Set<string>();
    for (const key of keys) {
      const [prefix, value] = [key.slice(0, key.indexOf(':')), key.slice(key.indexOf(':') + 1)];
      const under = prefix === 'type' ? [value] : (typesUnder(prefix) ?? Object.keys(schemas));
      for (const type of under) types.add(type);
    }
    left = left === undefined ? types : new Set([...left].filter((type) => types.has(type)));
  }
  return left?.size === 0;
}
