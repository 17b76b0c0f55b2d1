/** The part of the vocabulary about address spaces of processes, and the devices that have them. */
import { endpoint, ssid, vm } from './common-fields.ts';
import { count, iova, name, oneOf } from './values.ts';

/** Most bytes that one line maps. */
const BYTES_MAX = 2 ** 32;
const mm = { kind: name, doc: 'name of the process; it is there from its first use on' } as const;
const va = { kind: iova, doc: 'of a page' } as const;
const bytes = { kind: count(1, BYTES_MAX), doc: 'how many; whole pages' } as const;
const cpu = {
  kind: count(0, 255),
  optional: true,
  doc: 'CPU that does it, a unit of its own; 0 when left out',
} as const;
const rights = oneOf('read', 'read-write');

/** Rows as those of `vocabulary.ts`. */
// biome-ignore format: a table
export const mmVocabulary = {
  'mm.map': {
    summary: 'A process maps new memory, present at once', outcome: '{va, pa}, or {errno}; {pending} where turns are due',
    fields: { vm, mm, cpu, va, bytes, access: { kind: rights, optional: true, doc: 'what it may do; read-write when left out' } },
  },
  'mm.unmap': {
    summary: 'It takes memory away: who walks its tables is told before the pages are free', outcome: '{}, or {errno}, {pending}',
    fields: { vm, mm, cpu, va, bytes },
  },
  'mm.protect': {
    summary: 'It changes what it may do with its memory', outcome: '{}, or {errno}, {pending}',
    fields: { vm, mm, cpu, va, bytes, access: { kind: rights, doc: 'what it may do from now on' } },
  },
  'mm.exit': { summary: 'A process goes, with all its memory; devices may be bound to it still', outcome: '{}, or {errno}, {pending}', fields: { vm, mm, cpu } },
  'sva.bind': {
    summary: 'A device gets the address space of a process under a SubstreamID', outcome: '{ssid}, or {errno} (EOPNOTSUPP where the SMMU lacks what the CPUs have), {pending}',
    fields: { vm, endpoint, mm, cpu, ssid: { ...ssid, doc: 'the process\'s on all devices, from its first bind on; the lowest free one when left out' } },
  },
  'sva.unbind': { summary: 'It gives it back: the CD is cleared, the ASID flushed and freed', outcome: '{}, or {errno}, {pending}', fields: { vm, endpoint, mm, cpu } },
} as const;
