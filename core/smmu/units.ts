/**
 * The units of an SMMU that take turns, in the order of the `eager` schedule. A command goes through
 * `fetch`, `consume` and `perform` in turns of their own, so that its five positions can be apart.
 */
import { queueCount } from '../cmdqv/param.ts';
import { own } from '../lookup.ts';
import type { Context } from '../machine.ts';
import { acknowledge, acknowledgeReady } from './acknowledge.ts';
import { answerAtos, atosReady } from './atos.ts';
import { consume, consumeReady, fetch, fetchReady, perform, performReady } from './cmdq.ts';
import { type CommandQueue, commandQueuesOf, furtherQueues, mainQueue } from './command-queues.ts';
import { enable, enableReady } from './ecmdq.ts';
import { writeRecord, writeRecordReady } from './eventq.ts';
import type { Features } from './features.ts';
import { writePage, writePageReady } from './priq.ts';
import { endStall } from './retry.ts';
import { stallReady } from './stalls.ts';
import type { SmmuState } from './state.ts';

export interface Unit {
  readonly name: string;
  ready(smmu: SmmuState): boolean;
  turn(context: Context, smmu: SmmuState): void;
}

export const smmuUnits: readonly Unit[] = [
  { name: 'acknowledge', ready: acknowledgeReady, turn: acknowledge },
  { name: 'evtq', ready: writeRecordReady, turn: writeRecord },
  { name: 'priq', ready: writePageReady, turn: writePage },
  { name: 'stall', ready: stallReady, turn: endStall },
  ...unitsOfQueue(mainQueue, ['consume', 'perform', 'cmdq']),
  { name: 'gatos', ready: atosReady('GATOS'), turn: answerAtos('GATOS') },
  { name: 'vatos', ready: atosReady('VATOS'), turn: answerAtos('VATOS') },
];

/** The units of each further queue: it takes its turns for itself (3.5.6.1). */
const unitsByQueue: ReadonlyMap<string, readonly Unit[]> = new Map(
  furtherQueues.map((queue) => {
    const name = queue.name.toLowerCase();
    const enabling = onQueue(queue, `${name}-acknowledge`, enableReady, enable);
    const units = unitsOfQueue(queue, [`${name}-consume`, `${name}-perform`, name]);
    // Queues of a vendor's unit are enabled by that unit.
    return [queue.name, queue.kind.take === undefined ? [enabling, ...units] : units];
  }),
);

type OfQueue<T> = (smmu: SmmuState, queue: CommandQueue) => T;

function onQueue(
  queue: CommandQueue,
  name: string,
  ready: OfQueue<boolean>,
  turn: (context: Context, smmu: SmmuState, queue: CommandQueue) => void,
): Unit {
  return {
    name,
    ready: (smmu) => ready(smmu, queue),
    turn: (context, smmu) => turn(context, smmu, queue),
  };
}

function unitsOfQueue(queue: CommandQueue, names: readonly [string, string, string]): readonly Unit[] {
  return [
    onQueue(queue, names[0], consumeReady, consume),
    onQueue(queue, names[1], performReady, perform),
    onQueue(queue, names[2], fetchReady, fetch),
  ];
}

/** `unitsOf` for an SMMU seen before: most have no further queues, some have hundreds. */
const memo = new WeakMap<Features | SmmuState['config'], readonly Unit[]>();

/**
 * What an emulated SMMU does by itself: records of what it refused. Its queues and handshakes are worked off
 * by the VMM, while the access that asks for it is trapped.
 */
const emulatedUnits = smmuUnits.filter(({ name }) => ['evtq', 'priq', 'stall'].includes(name));

/** The units that an SMMU has, in the order of the `eager` schedule. */
export function unitsOf({ features, config }: Pick<SmmuState, 'features' | 'config'>): readonly Unit[] {
  if (config.space !== undefined) return emulatedUnits;
  if (!features.ecmdq && queueCount(config.choices) === 0) return smmuUnits;
  const key = features.ecmdq ? features : config;
  let units = memo.get(key);
  if (units === undefined) {
    const further = commandQueuesOf(features, config.choices).flatMap(
      ({ name }) => unitsByQueue.get(name) ?? [],
    );
    units = [...smmuUnits, ...further];
    memo.set(key, units);
  }
  return units;
}

/** The unit a name like `smmu0.cmdq` means. */
export function findUnit(
  smmus: Readonly<Record<string, SmmuState>>,
  name: string,
): { unit: Unit; smmu: SmmuState } | undefined {
  const dot = name.lastIndexOf('.');
  const smmu = own(smmus, name.slice(0, dot));
  if (smmu === undefined) return undefined;
  const tail = name.slice(dot + 1);
  const unit = unitsOf(smmu).find((row) => row.name === tail);
  return unit === undefined ? undefined : { unit, smmu };
}
