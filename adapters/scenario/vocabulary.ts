/**
 * The scenario's vocabulary: a public interface. One row for each op; what checks a
 * line, what `help scenario` prints, and the types of the lines all come from these rows.
 */

import { meant } from '../../core/path/near.ts';
import { registers } from '../../core/smmu/registers.ts';
import { machineFields } from './machine.ts';
import {
  anything,
  count,
  type Fields,
  flag,
  hexBytes,
  iova,
  kindOf,
  littleEndian,
  mapOf,
  name,
  type ObjectOf,
  oneOf,
  pa,
  text,
  u64,
  yes,
} from './values.ts';

export interface OpRow {
  readonly summary: string;
  readonly fields: Fields;
  /** What the line answers. */
  readonly outcome: string;
  /** Fields of which exactly one must be given. */
  readonly oneOf?: readonly string[];
}

/** Most bytes that one line stores, reads or transfers. */
export const BYTES_MAX = 0x100_0000;

const registerNames = registers.list.map((register) => register.name as string);
const smmu = { kind: name, doc: 'name of the SMMU' } as const;
const register = {
  kind: kindOf('a register name such as CR0 or CMDQ_PROD', (raw) =>
    typeof raw === 'string' && registerNames.includes(raw) ? raw : undefined,
  ),
  optional: true,
  doc: 'register, by the name of the specification',
} as const;
const offset = {
  kind: count(0, 0x3ffff),
  optional: true,
  doc: 'offset from the base of the SMMU; page 1 is at 0x10000',
} as const;
const size = {
  kind: kindOf('4 or 8', (raw) => (raw === 4 || raw === 8 ? raw : undefined)),
  optional: true,
  doc: 'bytes: the width of the register, 4 for an offset',
} as const;
const address = { kind: pa, doc: 'physical address' } as const;
const endpoint = { kind: name, doc: 'name of the endpoint' } as const;
const path = { kind: text, doc: 'see `help paths`' } as const;
const ssid = { kind: count(0, 0xfffff), optional: true, doc: 'SubstreamID' } as const;

// biome-ignore format: a table
export const vocabulary = {
  machine: { summary: 'What the machine is made of; the first line, and only there', fields: machineFields, outcome: '{}' },
  'mmio.write': {
    summary: 'Software writes a register', outcome: '{}', oneOf: ['reg', 'offset'],
    fields: { smmu, reg: register, offset, size, value: { kind: u64, doc: 'what is written' } },
  },
  'mmio.read': {
    summary: 'Software reads a register', outcome: '{value}', oneOf: ['reg', 'offset'],
    fields: { smmu, reg: register, offset, size },
  },
  'mem.write': {
    summary: 'Software stores to memory', outcome: '{}, or {result:"bus-error"} where there is none', oneOf: ['hex', 'u64', 'u32'],
    fields: {
      pa: address,
      hex: { kind: hexBytes(BYTES_MAX), optional: true, doc: 'bytes in the order of their addresses' },
      u64: { kind: littleEndian(8, BYTES_MAX / 8), optional: true, doc: 'doublewords, little-endian' },
      u32: { kind: littleEndian(4, BYTES_MAX / 4), optional: true, doc: 'words, little-endian' },
    },
  },
  'mem.read': {
    summary: 'Software reads memory', outcome: '{hex}, or {result:"bus-error"}',
    fields: { pa: address, bytes: { kind: count(1, BYTES_MAX), doc: 'how many' } },
  },
  dma: {
    summary: 'An endpoint accesses memory', outcome: '{result:"ok"|"abort"|"stall"|"bus-error", pa?, hex?, event?, pieces?}',
    fields: {
      endpoint,
      iova: { kind: iova, doc: 'address the endpoint uses' },
      bytes: { kind: count(1, BYTES_MAX), doc: 'how many' },
      access: { kind: oneOf('read', 'write'), doc: 'direction' },
      ssid,
      exec: { kind: flag, optional: true, doc: 'an instruction fetch' },
      privileged: { kind: flag, optional: true, doc: 'a privileged access' },
      translated: { kind: flag, optional: true, doc: 'the address is already translated (ATS)' },
      hex: { kind: hexBytes(BYTES_MAX), optional: true, doc: 'data written, as many bytes as `bytes`' },
    },
  },
  'endpoint.set': {
    summary: 'Switches of an endpoint', outcome: '{}',
    fields: {
      endpoint,
      ats: { kind: flag, optional: true, doc: 'ATS enabled' },
      pri: { kind: flag, optional: true, doc: 'PRI enabled' },
      reset: { kind: yes, optional: true, doc: 'back to what the machine line said' },
    },
  },
  'command.issue': {
    summary: 'A what-if: gives the SMMU a command beside its Command queue, whose indices stay as they are', outcome: '{}',
    fields: {
      smmu,
      command: { kind: text, doc: 'by the name of the specification, as in CMD_TLBI_NH_VA' },
      fields: { kind: mapOf(undefined, anything), optional: true, doc: 'its fields by name; absent ones are 0' },
    },
  },
  turn: { summary: 'Gives one unit its turn', outcome: '{moved}', fields: { unit: { kind: text, doc: 'as in smmu0.cmdq' } } },
  run: {
    summary: 'Gives turns until all is quiet', outcome: '{turns, quiet}',
    fields: { turnsMax: { kind: count(1, 10_000_000), optional: true, doc: 'stop after so many' } },
  },
  set: {
    summary: 'Changes a profile value, a capacity or a switch from here on', outcome: '{}',
    fields: { path, value: { kind: anything, doc: 'the new value' } },
  },
  label: { summary: 'A bookmark here: a position is then @{name}', outcome: '{position}', fields: { name: { kind: text, doc: 'of the bookmark' } } },
  check: {
    summary: 'Compares what stands at a path; a failed check makes the run exit 1', outcome: '{pass, actual}',
    oneOf: ['equals', 'notEquals', 'contains', 'size', 'present'],
    fields: {
      path,
      equals: { kind: anything, optional: true, doc: 'the same value' },
      notEquals: { kind: anything, optional: true, doc: 'another value' },
      contains: { kind: anything, optional: true, doc: 'a list has such an element, an object such fields, a text such a part' },
      size: { kind: count(0, 2 ** 40), optional: true, doc: 'number of elements' },
      present: { kind: flag, optional: true, doc: 'whether there is anything' },
    },
  },
} as const satisfies Readonly<Record<string, OpRow>>;

/** Fields that any line may have. */
export const commonFields = {
  expect: { kind: mapOf(undefined, anything), optional: true, doc: 'outcome fields that must be equal' },
  save: {
    kind: mapOf(undefined, text),
    optional: true,
    doc: '{NAME: field of the outcome}: later lines may say "$NAME" for any value',
  },
} as const satisfies Fields;

export type Vocabulary = typeof vocabulary;
export type Op = keyof Vocabulary;
/** A checked line. */
export type LineOf<O extends Op> = { readonly op: O } & ObjectOf<Vocabulary[O]['fields']> &
  ObjectOf<typeof commonFields>;
export type Line = { [O in Op]: LineOf<O> }[Op];

/** Ops of the design that later versions will have. */
// biome-ignore format: a table
export const laterOps: readonly string[] = [
  'mem.alloc', 'mem.free', 'mem.memfd', 'ats.translate', 'pri.request', 'ioctl', 'open', 'close', 'read', 'write',
  'vm.create', 'guest.attach', 'guest.map', 'guest.unmap',
];

/** Fields of the design that later versions will have, by op. */
export const laterFields: Readonly<Record<string, readonly string[]>> = {
  'mem.write': ['vm', 'gpa', 'process', 'va'],
  'mem.read': ['vm', 'gpa', 'process', 'va'],
};

/** Whether the vocabulary has the op. */
export function isOp(op: string): op is Op {
  return Object.hasOwn(vocabulary, op);
}

/** Why there is no such op. */
export function opProblem(op: string): string {
  if (laterOps.includes(op)) return `${op} is not in this version of Backwalk`;
  const ops = Object.keys(vocabulary);
  return `expected one of ${ops.join(', ')}, found "${op}"${meant(op, ops)}`;
}
