/**
 * The scenario's vocabulary: a public interface. One row for each op; what checks a
 * line, what `help scenario` prints, and the types of the lines all come from these rows.
 */

import { memoryKinds } from '../../core/kernel/process/state.ts';
import { meant } from '../../core/path/near.ts';
import { broadcasts } from '../../core/smmu/broadcast.ts';
import { registerNamed, registers, vatosRegisters } from '../../core/smmu/registers.ts';
import { type commonFields, endpoint, ssid, vm } from './common-fields.ts';
import { guestVocabulary } from './guest-vocabulary.ts';
import { tlbiRange } from './kvm-vocabulary.ts';
import { machineFields } from './machine.ts';
import { mmVocabulary } from './mm-vocabulary.ts';
import { rawFields } from './raw-stimulus.ts';
import {
  anything,
  BYTES_MAX,
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
  smmuName,
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

/** Largest offset of a register: the last that IDR2.BA_VATOS can put the VATOS page to (6.3.3). */
const OFFSET_MAX = 0x401_ffff;

const smmu = { kind: smmuName, doc: 'name of the SMMU; VM.smmu is an access of the VM' } as const;
const register = {
  kind: kindOf(
    'a register name such as CR0 or CMDQ_PROD',
    (raw) => (typeof raw === 'string' && registerNamed(raw) !== undefined ? raw : undefined),
    [...registers.list, ...vatosRegisters.list].map((each) => each.name),
  ),
  optional: true,
  doc: 'register, by the name of the specification',
} as const;
const offset = {
  kind: count(0, OFFSET_MAX),
  optional: true,
  doc: 'offset from the base of the SMMU; page 1 is at 0x10000',
} as const;
const size = {
  kind: kindOf('4 or 8', (raw) => (raw === 4 || raw === 8 ? raw : undefined)),
  optional: true,
  doc: 'bytes: the width of the register, 4 for an offset',
} as const;
const tlbi = kindOf(
  'a TLBI such as VAE1, ASIDE1 or RVALE1 (`help smmu` lists them)',
  (raw) => (typeof raw === 'string' && Object.hasOwn(broadcasts, raw) ? raw : undefined),
  Object.keys(broadcasts),
);
const address = { kind: pa, doc: 'physical address' } as const;
const process = { kind: name, optional: true, doc: 'name of a process; proc0 when left out' } as const;
const guestAddress = { kind: pa, optional: true, doc: 'guest physical address, with vm' } as const;
const va = { kind: u64, optional: true, doc: 'address of the process, in place of pa' } as const;
/** What a file can be called: see `openFile` of core/kernel/files.ts. */
const FILE_NAME = /^(iommu|container|vfio:.)/;
const fileName = (raw: unknown): string | undefined =>
  typeof raw === 'string' && FILE_NAME.test(raw) ? raw : undefined;
const fd = {
  kind: kindOf('the name of a file (iommu0, container, vfio:ENDPOINT) or the number of an open one', (raw) =>
    typeof raw === 'number' && Number.isSafeInteger(raw) && raw >= 0
      ? String(raw)
      : typeof raw === 'string' && /^[0-9]+$/.test(raw)
        ? raw
        : fileName(raw),
  ),
  doc: 'name that opened it, or its number',
} as const;
const path = { kind: text, doc: 'see `help paths`' } as const;

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
    summary: 'Software stores to memory, at pa, at the va of a process or at the gpa of a VM',
    outcome: '{}, or {result:"bus-error"} where there is none, {errno} of a process', oneOf: ['hex', 'u64', 'u32'],
    fields: {
      pa: { ...address, optional: true },
      process,
      va,
      vm,
      gpa: guestAddress,
      hex: { kind: hexBytes(BYTES_MAX), optional: true, doc: 'bytes in the order of their addresses' },
      u64: { kind: littleEndian(8, BYTES_MAX / 8), optional: true, doc: 'doublewords, little-endian' },
      u32: { kind: littleEndian(4, BYTES_MAX / 4), optional: true, doc: 'words, little-endian' },
    },
  },
  'mem.read': {
    summary: 'Software reads memory, at pa, at the va of a process or at the gpa of a VM', outcome: '{hex}, or {result:"bus-error"}, {errno}',
    fields: { pa: { ...address, optional: true }, process, va, vm, gpa: guestAddress, bytes: { kind: count(1, BYTES_MAX), doc: 'how many' } },
  },
  'mem.alloc': {
    summary: 'A process gets memory, zeroed', outcome: '{va}, or {errno}',
    fields: {
      process,
      bytes: { kind: count(1, 2 ** 46), doc: 'how many; whole pages are mapped' },
      kind: { kind: oneOf(...memoryKinds), optional: true, doc: 'how it lies physically; anon-shared when left out' },
    },
  },
  'mem.free': {
    summary: 'A process gives memory back; what is pinned stays until it is not', outcome: '{}, or {errno}',
    fields: { process, va: { kind: u64, doc: 'what mem.alloc answered' } },
  },
  'mem.memfd': {
    summary: 'A process makes a memfd and maps it', outcome: '{fd, va}, or {errno}',
    fields: { process, bytes: { kind: count(1, 2 ** 46), doc: 'its size' } },
  },
  open: {
    summary: 'A process opens a file', outcome: '{fd}, or {errno}',
    fields: { process, fd: { kind: kindOf('iommu0, iommu1, ..., container or vfio:ENDPOINT', fileName), doc: 'iommu0, iommu1, ...: /dev/iommu; vfio:ENDPOINT: the device; container: /dev/vfio/vfio' } },
  },
  close: { summary: 'Closes a file', outcome: '{}, or {errno}', fields: { fd } },
  read: {
    summary: 'Reads an event or fault queue', outcome: '{hex}, or {errno}',
    fields: { fd, bytes: { kind: count(0, BYTES_MAX), doc: 'size of the buffer' } },
  },
  write: {
    summary: 'Answers faults', outcome: '{count}, or {errno}',
    fields: { fd, hex: { kind: hexBytes(BYTES_MAX), doc: 'records' } },
  },
  mmap: {
    summary: 'Maps a region of an iommufd, which keeps its vIOMMU', outcome: '{}, or {errno}',
    fields: {
      fd,
      offset: { kind: u64, doc: 'what VIOMMU_ALLOC has given out' },
      length: { kind: u64, doc: 'bytes' },
      private: { kind: flag, optional: true, doc: 'not shared' },
      exec: { kind: flag, optional: true, doc: 'to be executed too' },
    },
  },
  munmap: { summary: 'Takes a mapping away', outcome: '{}, or {errno}', fields: { fd, offset: { kind: u64, doc: 'what was mapped' } } },
  'process.exit': { summary: 'A process ends: its files are closed, its memory goes', outcome: '{}', fields: { process } },
  ioctl: {
    summary: 'A process asks the kernel', outcome: '{ret, errno?, out, buffers, hex}, or {pending} where turns are due',
    oneOf: ['name', 'code'],
    fields: {
      fd, process: { ...process, doc: 'who calls; who opened the file when left out' },
      thread: { kind: count(1, 64), optional: true, doc: 'another thread than that of all other calls: its IOMMU_IOAS_MAP may come between the turns of an IOMMU_IOAS_UNMAP' },
      name: { kind: text, optional: true, doc: 'as in IOMMU_IOAS_MAP' },
      code: { kind: count(0, 0xffff_ffff), optional: true, doc: 'request code' },
      arg: { kind: anything, optional: true, doc: 'fields of the struct and `tail` (hex) behind it; or a number, passed as it is' },
      hex: { kind: hexBytes(BYTES_MAX), optional: true, doc: 'bytes of the struct' },
    },
  },
  ...guestVocabulary,
  ...mmVocabulary,
  dma: {
    summary: 'An endpoint accesses memory', outcome: '{result:"ok"|"abort"|"stall"|"bus-error"|"off", pa?, hex?, event?, pieces?}',
    fields: {
      endpoint,
      iova: { kind: iova, doc: 'address the endpoint uses' },
      bytes: { kind: count(1, BYTES_MAX), doc: 'how many' },
      access: { kind: oneOf('read', 'write'), doc: 'direction' },
      ssid,
      exec: { kind: flag, optional: true, doc: 'an instruction fetch' },
      privileged: { kind: flag, optional: true, doc: 'a privileged access' },
      translated: { kind: flag, optional: true, doc: 'sent with the address that the ATC holds for it, or as it stands where the ATC holds none' },
      hex: { kind: hexBytes(BYTES_MAX), optional: true, doc: 'data written, as many bytes as `bytes`' },
    },
  },
  'ats.translate': {
    summary: 'An endpoint sends a Translation Request; its ATC keeps what is granted',
    outcome: '{result:"ok"|"ur"|"ca"|"off", pa?, bytes?, perms?, entries?, event?}',
    fields: {
      endpoint,
      iova: { kind: iova, doc: 'address to translate; pa is its translation, bytes the span that it holds for' },
      bytes: { kind: count(1, BYTES_MAX), optional: true, doc: 'how many are asked for; 1 when left out' },
      access: { kind: oneOf('read', 'write'), doc: 'what is meant; write: NW=0' },
      ssid,
      exec: { kind: flag, optional: true, doc: 'to execute too (with ssid only)' },
      privileged: { kind: flag, optional: true, doc: 'for privileged accesses (with ssid only)' },
    },
  },
  'pri.request': {
    summary: 'An endpoint sends a Page Request', outcome: '{}, or {result:"off"} where PRI is off',
    fields: {
      endpoint,
      iova: { kind: iova, doc: 'address in the page' },
      access: { kind: oneOf('read', 'write', 'read-write', 'none'), doc: 'what is asked for; none with last and ssid is a Stop PASID marker' },
      prgIndex: { kind: count(0, 511), doc: 'Page Request Group' },
      last: { kind: flag, doc: 'last of its group' },
      ssid,
      exec: { kind: flag, optional: true, doc: 'to execute (with ssid only)' },
      privileged: { kind: flag, optional: true, doc: 'for privileged accesses (with ssid only)' },
    },
  },
  'msi.send': {
    summary: 'A device sends a message (MSI): 4 bytes to the address that it was given', outcome: '{result} as dma has it; {result: "off"}',
    fields: { endpoint, data: { kind: count(0, 0xffff_ffff), optional: true, doc: 'EventID; 0 when left out' } },
  },
  'endpoint.set': {
    summary: 'Switches of an endpoint', outcome: '{}',
    fields: {
      endpoint,
      ats: { kind: flag, optional: true, doc: 'ATS enabled' },
      pri: { kind: flag, optional: true, doc: 'PRI enabled' },
      silent: { kind: flag, optional: true, doc: 'answers no CMD_ATC_INV: each of them times out' },
      reset: { kind: yes, optional: true, doc: 'function level reset, before all else: ATS and PRI off, ATC and Page Requests gone' },
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
  'cpu.tlbi': {
    summary: 'A PE broadcasts a TLBI; every SMMU with IDR0.BTM=1 and CR2.PTM=0 acts on it', outcome: '{}',
    fields: {
      operation: { kind: tlbi, doc: 'as the instruction, without IS or OS; R... take a range' },
      vmid: { kind: count(0, 0xffff), optional: true, doc: 'of the PE, where the operation is for one VMID' },
      asid: { kind: count(0, 0xffff), optional: true, doc: 'where it is for one ASID' },
      va: { kind: iova, optional: true, doc: 'where it is for a virtual address' },
      ipa: { kind: pa, optional: true, doc: 'where it is for an intermediate address' },
      ...tlbiRange,
      el2: { kind: flag, optional: true, doc: 'the PE has EL2 (true when left out); without it the VMID is 0' },
      e2h: { kind: flag, optional: true, doc: 'the PE is in EL2-E2H' },
    },
  },
  stimulus: { summary: 'Puts any stimulus as the log has it: what `export` says where no other op can', outcome: '{} or what the op of that stimulus answers', fields: rawFields },
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

export type Vocabulary = typeof vocabulary;
export type Op = keyof Vocabulary;
/** A checked line. */
export type LineOf<O extends Op> = { readonly op: O } & ObjectOf<Vocabulary[O]['fields']> &
  ObjectOf<typeof commonFields>;
export type Line = { [O in Op]: LineOf<O> }[Op];

/** Ops of the design that later versions will have. */
// biome-ignore format: a table
export const laterOps: readonly string[] = [
];

/** Fields of the design that later versions will have, by op. */
export const laterFields: Readonly<Record<string, readonly string[]>> = {};

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
