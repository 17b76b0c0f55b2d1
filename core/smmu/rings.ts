/**
 * The rings that the *_BASE registers describe, whichever queue it is: IHI 0070 3.5.1, 6.3.26, 6.3.29, 6.3.33,
 * 6.3.107; and the bits of their pointers that are not there.
 */
import { pow2 } from '../pow2.ts';
import { type QueueName, queues } from './codes.ts';
import type { Features } from './features.ts';
import { type Queue, queueOf } from './queue.ts';
import type { SmmuState } from './state.ts';

type Owner = Pick<SmmuState, 'features' | 'regs'>;

// biome-ignore format: a table
const sizeLog2Max: Readonly<Record<QueueName, (features: Features) => number>> = {
  CMDQ:   (features) => features.cmdqsLog2,
  EVENTQ: (features) => features.eventqsLog2,
  PRIQ:   (features) => features.priqsLog2,
};

/** Names of the two words of a BASE register. */
export interface BaseNames {
  readonly low: string;
  readonly high: string;
}

/** The words of `PREFIX_BASE`: names are made once, for rings are looked at in every turn. */
export function baseNames(prefix: string): BaseNames {
  return { low: `${prefix}_BASE`, high: `${prefix}_BASE_HI` };
}

const ownBases: Readonly<Record<QueueName, BaseNames>> = {
  CMDQ: baseNames('CMDQ'),
  EVENTQ: baseNames('EVENTQ'),
  PRIQ: baseNames('PRIQ'),
};

/** The ring of a queue as its BASE says now. @param base where it is an enhanced queue: that of `ECMDQ3`. */
export function ring({ features, regs }: Owner, kind: QueueName, base: BaseNames = ownBases[kind]): Queue {
  const { low, high } = base;
  const { entryBytes } = queues[kind];
  return queueOf(regs[low] ?? 0, regs[high] ?? 0, entryBytes, sizeLog2Max[kind](features), features.oas);
}

/** Pointers that the SMMU moves, without the number of an enhanced queue: bits above the wrap bit are RAZ (6.3.28, 6.3.95, 6.3.97). */
const ownPointers: Readonly<Record<string, QueueName>> = {
  CMDQ_CONS: 'CMDQ',
  ECMDQ_CONS: 'CMDQ',
  EVENTQ_PROD: 'EVENTQ',
  PRIQ_PROD: 'PRIQ',
};
const POINTER = 0xf_ffff;

/** The bits of a register that are RAZ because its queue is smaller than the largest. */
export function absentPointerBits(smmu: Owner, register: string): number {
  const kind = ownPointers[register.replace(/\d+/, '')];
  if (kind === undefined) return 0;
  const { sizeLog2 } = ring(smmu, kind, baseNames(register.slice(0, register.lastIndexOf('_'))));
  return POINTER & ~(pow2(sizeLog2 + 1) - 1);
}
