/** What an access got, against what a machine without caches gives it. */
import type { EntryOf } from '../../core/event.ts';
import { CD } from '../../core/smmu/cd.ts';
import { STE } from '../../core/smmu/ste.ts';
import type { ConfigFill, TlbFill } from './fills.ts';
import type { Fresh, Shadow } from './shadow.ts';
import { structureWords } from './structures.ts';

export type AccessEntry = EntryOf<'access.completed'> | EntryOf<'access.terminated'>;

/** What an access rests on. */
export interface Basis {
  readonly ste: ConfigFill | undefined;
  readonly cd: ConfigFill | undefined;
  readonly tlb: TlbFill | undefined;
}

/** Whether a machine without caches gives the access the same answer. */
export function isSameAnswer({ watch, stallers }: Shadow, access: AccessEntry, fresh: Fresh): boolean {
  // What the walk of the access itself marked dirty is marked in memory by now.
  if (access.type === 'access.completed')
    return fresh.kind === 'ok' && fresh.pa === access.pa && fresh.marks === undefined;
  if (access.result === 'bus-error') return fresh.kind === 'ok' && !watch.memory.isRam(fresh.pa, access.size);
  return (
    fresh.kind === 'refused' &&
    recordOf(fresh.why) === recordOf(access.reason) &&
    isSameEnd(access.result, fresh.result, stallers.has(access.endpoint))
  );
}

/** An abort is no RAZ/WI (CD.A), and what waits would have to wait (CD.S), where the device can. */
function isSameEnd(was: string, is: string, canWait: boolean): boolean {
  return was === is || (is === 'stall' && !canWait);
}

/** Faults that CD.R and STE.S2R let be recorded. */
const RECORDED_BY_R = /^F_(TRANSLATION|ADDR_SIZE|ACCESS|PERMISSION)/;

/** Whether the fault is recorded as the STE and CD in memory say: R and S2R are held with the cached ones. */
export function isRecordedAlike(access: AccessEntry, basis: Basis, fresh: Fresh): boolean {
  if (fresh.kind !== 'refused' || access.type === 'access.completed') return true;
  if (!RECORDED_BY_R.test(access.reason)) return true;
  const recorded = recordsFaults(basis);
  return recorded === undefined || recorded === (fresh.fault !== undefined);
}

/** Undefined: where both stages translate, it depends on the stage of the fault. */
function recordsFaults({ ste, cd }: Basis): boolean | undefined {
  if (ste?.cache !== 'ste') return undefined;
  const words = structureWords(ste.words);
  const config = STE.fields.Config.read(words);
  if (config === 'S2') return STE.fields.S2R.read(words);
  if (config === 'S1' && cd?.cache === 'cd') return CD.fields.R.read(structureWords(cd.words));
  return undefined;
}

/** The record's name, or nothing for a refusal without one. */
function recordOf(reason: string): string {
  return /^[CF]_[A-Z_]+/.exec(reason)?.[0] ?? '';
}

/** The answer in words. */
export function showAnswer(fresh: Fresh): string {
  if (fresh.kind !== 'ok') return fresh.why;
  const marks = fresh.marks === undefined ? '' : `, and [0x${fresh.marks.toString(16)}] marked dirty`;
  return `PA 0x${fresh.pa.toString(16)}${marks}`;
}
