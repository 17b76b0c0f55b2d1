/**
 * The units of an SMMU that take turns, in the order of the `eager` schedule. A command goes through
 * `fetch`, `consume` and `perform` in turns of their own, so that its five positions can be apart.
 */
import { own } from '../lookup.ts';
import type { Context, Decider } from '../machine.ts';
import { acknowledge, acknowledgeReady } from './acknowledge.ts';
import { consume, consumeReady, fetch, fetchReady, perform, performReady } from './cmdq.ts';
import { writeRecord, writeRecordReady } from './eventq.ts';
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
  { name: 'stall', ready: stallReady, turn: endStall },
  { name: 'consume', ready: consumeReady, turn: consume },
  { name: 'perform', ready: performReady, turn: perform },
  { name: 'cmdq', ready: fetchReady, turn: fetch },
];

/** The unit a name like `smmu0.cmdq` means. */
export function findUnit(
  smmus: Readonly<Record<string, SmmuState>>,
  name: string,
): { unit: Unit; smmu: SmmuState } | undefined {
  const [owner = '', unitName] = name.split('.');
  const smmu = own(smmus, owner);
  const unit = smmuUnits.find((row) => row.name === unitName);
  return smmu === undefined || unit === undefined ? undefined : { unit, smmu };
}

export const takeTurn: Decider<'turn'> = (context, { unit: name }) => {
  const found = findUnit(context.state.smmus, name);
  if (found?.unit.ready(found.smmu)) found.unit.turn(context, found.smmu);
  else context.emit('scheduler', { type: 'turn.passed', unit: name });
};
