/**
 * Where the stream table entry of a StreamID and the context descriptor of a SubstreamID stand in
 * memory now, as the registers say: IHI 0070 3.3, 5.1, 5.3. Nothing is cached and nothing faults; a
 * place that hardware would refuse is answered with the reason. Other than `core/smmu`, which
 * decides with what the hardware has cached, this looks at memory as it is.
 */

import { memoryKeys, registerKeys } from '../history/touch.ts';
import type { Words } from '../layout/field.ts';
import type { MemoryView } from '../memory/space.ts';
import { L1CD } from '../smmu/cd.ts';
import { registers } from '../smmu/registers.ts';
import { regWords } from '../smmu/regs.ts';
import type { SmmuState } from '../smmu/state.ts';
import { L1STD, STE, steConfig } from '../smmu/ste.ts';
import { type Bits, hex, type Span, type Watched } from './node.ts';

export const STE_BYTES = 64;
export const CD_BYTES = 64;
const L1_BYTES = 8;

/** A place found, with its words; or why there is none. Both with what the answer was read from. */
export type Placed =
  | {
      readonly pa: number;
      /** Where that is in the host's memory. */
      readonly place: number;
      readonly words: Words;
      readonly read: Watched;
      /** What led here, without the structure itself. */
      readonly before: Watched;
    }
  | { readonly why: string; readonly read: Watched };

/** The stream table's shape from STRTAB_BASE and STRTAB_BASE_CFG (6.3.24, 6.3.25). */
export function streamTable(smmu: SmmuState): {
  readonly base: number;
  readonly bits: number;
  /** StreamID bits of a level 2 table; undefined when the table is linear. */
  readonly split: number | undefined;
} {
  const cfg = regWords(smmu, 'STRTAB_BASE_CFG');
  const { LOG2SIZE, SPLIT, FMT } = registers.byName.STRTAB_BASE_CFG.fields;
  const log2Size = LOG2SIZE.read(cfg);
  const coded = SPLIT.read(cfg);
  const split = coded === 8 || coded === 10 ? coded : 6;
  const twoLevel = FMT.read(cfg) === 'TWO_LEVEL' && smmu.features.stLevel !== 0;
  const tableLog2 = twoLevel ? Math.max(5, log2Size - split - 1 + 3) + 1 : log2Size + 6;
  const address = registers.byName.STRTAB_BASE.fields.ADDR.read(regWords(smmu, 'STRTAB_BASE'));
  return {
    base: address - (address % 2 ** tableLog2),
    bits: Math.min(log2Size, smmu.features.sidBits),
    split: twoLevel ? split : undefined,
  };
}

/** The STE of a StreamID, in a linear or a two-level table. */
export function findSte(memory: MemoryView, smmu: SmmuState, streamId: number): Placed {
  const { base, bits, split } = streamTable(smmu);
  const read = registersRead(smmu, 'STRTAB_BASE', 'STRTAB_BASE_CFG');
  if (streamId >= 2 ** bits) return { why: `C_BAD_STREAMID: the table holds 2^${bits} StreamIDs`, read };
  if (split === undefined) return at(memory, base + STE_BYTES * streamId, STE_BYTES, read);
  const level1 = at(memory, base + L1_BYTES * Math.floor(streamId / 2 ** split), L1_BYTES, read);
  if ('why' in level1) return level1;
  const span = L1STD.fields.Span.read(level1.words);
  const low = streamId % 2 ** split;
  if (span === 0 || span > Math.min(11, split + 1) || low >= 2 ** (span - 1)) {
    return { why: `C_BAD_STREAMID: the L1STD at ${hex(level1.pa)} has Span=${span}`, read: level1.read };
  }
  const pointer = L1STD.fields.L2Ptr.read(level1.words);
  const table = pointer - (pointer % (STE_BYTES * 2 ** (span - 1)));
  return at(memory, table + STE_BYTES * low, STE_BYTES, level1.read);
}

/** The CD of a SubstreamID; 0 is also the one that serves when there is but one. */
export function findCd(memory: MemoryView, smmu: SmmuState, streamId: number, substreamId: number): Placed {
  const ste = findSte(memory, smmu, streamId);
  if ('why' in ste) return ste;
  const { read, words } = ste;
  const { V, Config, S1CDMax, S1Fmt, S1ContextPtr } = STE.fields;
  const config = steConfig({ Config: Config.read(words) });
  if (!V.read(words)) return { why: `C_BAD_STE: STE ${hex(streamId)} has V=0`, read };
  if (config === 'NESTED') return { why: 'the context descriptors of a nested stream are at an IPA', read };
  if (config !== 'S1') return { why: `STE ${hex(streamId)} has Config=${config}: no stage 1`, read };
  const bits = smmu.features.ssidBits === 0 ? 0 : S1CDMax.read(words);
  if (substreamId >= 2 ** bits) return { why: `C_BAD_SUBSTREAMID: S1CDMax allows 2^${bits}`, read };
  const pointer = S1ContextPtr.read(words);
  const format = S1Fmt.read(words);
  if (bits === 0 || (format !== 'TWO_LEVEL_4K' && format !== 'TWO_LEVEL_64K')) {
    const table = pointer - (pointer % 2 ** (bits + 6));
    return at(memory, table + CD_BYTES * substreamId, CD_BYTES, read);
  }
  const split = format === 'TWO_LEVEL_4K' ? 6 : 10;
  const l1Log2 = Math.max(6, bits - split + 3);
  const level1 = at(
    memory,
    pointer - (pointer % 2 ** l1Log2) + L1_BYTES * Math.floor(substreamId / 2 ** split),
    L1_BYTES,
    read,
  );
  if ('why' in level1) return level1;
  if (!L1CD.fields.V.read(level1.words)) {
    return { why: `C_BAD_SUBSTREAMID: the L1CD at ${hex(level1.pa)} has V=0`, read: level1.read };
  }
  const leaf = L1CD.fields.L2Ptr.read(level1.words);
  return at(
    memory,
    leaf - (leaf % 2 ** (split + 6)) + CD_BYTES * (substreamId % 2 ** split),
    CD_BYTES,
    level1.read,
  );
}

/** What watching registers of an SMMU takes. */
export function registersRead(smmu: SmmuState, ...names: readonly string[]): Watched {
  return { keys: names.flatMap((name) => registerKeys(`${smmu.config.name}.${name}`)), spans: [] };
}

/** What watching bits [hi:lo] of a register takes. */
export function bitsRead(smmu: SmmuState, name: string, { hi, lo }: Bits): Watched {
  return { keys: registerKeys(`${smmu.config.name}.${name}`, hi, lo), spans: [] };
}

/** What watching bits [hi:lo] of a structure at `pa` takes: the bytes that hold them. */
export function fieldRead(pa: number, { hi, lo }: Bits): Watched {
  const first = Math.floor(lo / 8);
  return memoryRead(pa + first, Math.floor(hi / 8) - first + 1);
}

/** What watching a range of memory takes. */
export function memoryRead(pa: number, size: number): Watched {
  return { keys: memoryKeys(pa, size), spans: [{ pa, size }] };
}

function at(memory: MemoryView, pa: number, size: number, before: Watched): Placed {
  if (!memory.isRam(pa, size)) return { why: `${hex(pa)} is not RAM`, read: before };
  const place = memory.place(pa);
  const span: Span = { pa: place, size };
  const read = { keys: [...before.keys, ...memoryKeys(place, size)], spans: [...before.spans, span] };
  return { pa, place, words: memory.readWords(pa, size / 4), read, before };
}
