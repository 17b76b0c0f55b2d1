/**
 * The other way round: which structure of an SMMU stands at a physical address now, so that a
 * change of memory can be told by the fields of what it changed.
 */
import type { Words } from '../layout/field.ts';
import type { AnyField, Layout } from '../layout/layout.ts';
import { addressIn, viewOf } from '../memory/space.ts';
import { CD, L1CD } from '../smmu/cd.ts';
import type { QueueName } from '../smmu/codes.ts';
import { enhancedCount } from '../smmu/ecmdq-registers.ts';
import type { Queue } from '../smmu/queue.ts';
import type { SmmuState } from '../smmu/state.ts';
import { L1STD, STE } from '../smmu/ste.ts';
import type { State } from '../state.ts';
import { enhancedQueueIn, entryLayout, queueIn } from './queue.ts';
import { findCd, findSte, streamTable } from './structures.ts';

export interface Located {
  /** Its path, where it has one; else words for people. */
  readonly path: string;
  readonly pa: number;
  readonly bytes: number;
  /** The layout of what stands there; queue entries differ in theirs. */
  layoutOf(words: Words): Layout<Record<string, AnyField>> | undefined;
}

/** The structure that holds the doubleword at `pa`, if any SMMU takes it for one. */
export function structureAt(state: State, pa: number): Located | undefined {
  for (const smmu of Object.values(state.smmus)) {
    const at = addressIn(state, smmu.config.space, pa);
    if (at === undefined) continue;
    const found = queueEntryAt(smmu, at) ?? streamEntryAt(state, smmu, at) ?? contextAt(state, smmu, at);
    if (found !== undefined) return { ...found, pa: pa - at + found.pa };
  }
  return undefined;
}

/** The queues of an SMMU, with what each holds and its path. */
function queuesOf(smmu: SmmuState): readonly (readonly [holds: QueueName, path: string, queue: Queue])[] {
  const { name } = smmu.config;
  return [
    ['CMDQ', `${name}.cmdq`, queueIn(smmu, 'CMDQ')],
    ['EVENTQ', `${name}.evtq`, queueIn(smmu, 'EVENTQ')],
    ...(smmu.features.pri ? [['PRIQ', `${name}.priq`, queueIn(smmu, 'PRIQ')] as const] : []),
    ...Array.from(
      { length: enhancedCount(smmu.features) },
      (_, index) => ['CMDQ', `${name}.ecmdq[${index}]`, enhancedQueueIn(smmu, index)] as const,
    ),
  ];
}

function queueEntryAt(smmu: SmmuState, pa: number): Located | undefined {
  for (const [name, path, queue] of queuesOf(smmu)) {
    const slot = Math.floor((pa - queue.base) / queue.entryBytes);
    if (queue.base === 0 || slot < 0 || slot >= 2 ** queue.sizeLog2) continue;
    return located(`${path}[${slot}]`, queue.base + slot * queue.entryBytes, queue.entryBytes, (words) =>
      entryLayout(name, words),
    );
  }
  return undefined;
}

function streamEntryAt(state: State, smmu: SmmuState, pa: number): Located | undefined {
  const { base, bits, split } = streamTable(smmu);
  const { name } = smmu.config;
  if (base === 0) return undefined;
  if (split === undefined) {
    const streamId = Math.floor((pa - base) / 64);
    return streamId >= 0 && streamId < 2 ** bits
      ? located(`${name}.ste[${streamId}]`, base + 64 * streamId, 64, () => STE)
      : undefined;
  }
  const count = 2 ** Math.max(0, bits - split);
  const index = Math.floor((pa - base) / 8);
  if (index >= 0 && index < count) return located(`${name} L1STD ${index}`, base + 8 * index, 8, () => L1STD);
  for (let at = 0; at < count; at += 1) {
    const first = findSte(viewOf(state, smmu.config.space), smmu, at * 2 ** split);
    if (!('pa' in first) || pa < first.pa || pa >= first.pa + 64 * 2 ** split) continue;
    const streamId = at * 2 ** split + Math.floor((pa - first.pa) / 64);
    const found = findSte(viewOf(state, smmu.config.space), smmu, streamId);
    if ('pa' in found) return located(`${name}.ste[${streamId}]`, found.pa, 64, () => STE);
  }
  return undefined;
}

/** Context tables are looked for behind the StreamIDs of the endpoints. */
function contextAt(state: State, smmu: SmmuState, pa: number): Located | undefined {
  for (const { config } of Object.values(state.endpoints)) {
    if (config.smmu !== smmu.config.name) continue;
    const ste = findSte(viewOf(state, smmu.config.space), smmu, config.streamId);
    if (!('words' in ste) || !STE.fields.V.read(ste.words)) continue;
    const bits = smmu.features.ssidBits === 0 ? 0 : STE.fields.S1CDMax.read(ste.words);
    const format = STE.fields.S1Fmt.read(ste.words);
    const leafLog2 = bits === 0 ? 0 : format === 'TWO_LEVEL_4K' ? 6 : format === 'TWO_LEVEL_64K' ? 10 : 0;
    const pointer = STE.fields.S1ContextPtr.read(ste.words);
    const tables = leafLog2 === 0 ? 1 : 2 ** Math.max(0, bits - leafLog2);
    const index = Math.floor((pa - pointer) / 8);
    if (leafLog2 > 0 && index >= 0 && index < tables) {
      return located(
        `${smmu.config.name} StreamID ${config.streamId} L1CD ${index}`,
        pointer + 8 * index,
        8,
        () => L1CD,
      );
    }
    const span = leafLog2 === 0 ? 2 ** bits : 2 ** leafLog2;
    for (let at = 0; at < tables; at += 1) {
      const first = findCd(viewOf(state, smmu.config.space), smmu, config.streamId, at * span);
      if (!('pa' in first) || pa < first.pa || pa >= first.pa + 64 * span) continue;
      const substreamId = at * span + Math.floor((pa - first.pa) / 64);
      const path = `${smmu.config.name}.cd[${config.streamId}][${substreamId}]`;
      return located(path, first.pa + 64 * (substreamId - at * span), 64, () => CD);
    }
  }
  return undefined;
}

function located(path: string, pa: number, bytes: number, layoutOf: Located['layoutOf']): Located {
  return { path, pa, bytes, layoutOf };
}
