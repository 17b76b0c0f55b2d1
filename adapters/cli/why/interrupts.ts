/** Why an interrupt did not come: each condition of IHI 0070 3.18.2, 6.3.16, 7.5 in its order, with what set it. */
import type { Entry } from '../../../core/event.ts';
import { commandLayouts } from '../../../core/smmu/command-layout.ts';
import { activeErrors } from '../../../core/smmu/regs.ts';
import type { SmmuState } from '../../../core/smmu/state.ts';
import { type Evidence, fact, hex, type Reason } from './reason.ts';

/** Bit of IRQ_CTRL by source (6.3.16). */
const enables = { GERROR: 1 << 0, PRIQ: 1 << 1, EVENTQ: 1 << 2 } as const;
export type IrqSource = keyof typeof enables | 'CMD_SYNC';
export const irqSources: readonly IrqSource[] = ['EVENTQ', 'GERROR', 'PRIQ', 'CMD_SYNC'];

/** What each source waits for, in words: the occurrence that would have raised it. */
const occurrences: Readonly<Record<IrqSource, { readonly type: string; readonly what: string }>> = {
  EVENTQ: { type: 'record.written', what: 'no event record was written' },
  GERROR: { type: 'register.updated', what: 'no global error was activated' },
  PRIQ: { type: 'page.queued', what: 'no Page Request was queued' },
  CMD_SYNC: { type: 'sync.completed', what: 'no CMD_SYNC completed' },
};

/**
 * Why `occurrence`, or the last one up to the moment where none is given, raised no interrupt.
 * @param occurrence an entry of the kind that can raise one.
 */
export function noInterrupt(
  name: string,
  source: IrqSource,
  occurrence: Entry | undefined,
  evidence: Evidence,
): readonly Reason[] {
  const found = occurrence ?? lastOccurrence(name, source, evidence);
  const { what } = occurrences[source];
  if (found === undefined)
    return [
      fact(evidence.moment, 'no interrupt', what, 'IHI 0070 3.18'),
      ...waitingFor(name, source, evidence),
    ];
  const raised = evidence.step(found).find(({ seq, type }) => seq > found.seq && type === 'interrupt.raised');
  if (raised !== undefined) return evidence.because('there was one', raised.seq);
  if (source === 'CMD_SYNC') return syncSignal(found, evidence);
  return missed(name, source, found, evidence);
}

/** Records that wait explain why none was written. */
function waitingFor(name: string, source: IrqSource, evidence: Evidence): readonly Reason[] {
  const smmu = evidence.state(evidence.moment).smmus[name];
  if (smmu === undefined || source !== 'EVENTQ') return [];
  return smmu.records.slice(0, 1).flatMap(({ raised }) => evidence.because('waits to be written', raised));
}

function lastOccurrence(name: string, source: IrqSource, evidence: Evidence): Entry | undefined {
  const key = source === 'GERROR' ? `register:${name}.GERROR` : `type:${occurrences[source].type}`;
  for (const each of evidence.newest(key, evidence.moment)) {
    if (each.type === occurrences[source].type && 'smmu' in each && each.smmu === name) return each;
  }
  return undefined;
}

function missed(
  name: string,
  source: Exclude<IrqSource, 'CMD_SYNC'>,
  found: Entry,
  evidence: Evidence,
): readonly Reason[] {
  const smmu = evidence.state(found.seq - 1).smmus[name];
  if (smmu === undefined) return [];
  const [ctrl, ack] = [smmu.regs['IRQ_CTRL'] ?? 0, smmu.regs['IRQ_CTRLACK'] ?? 0];
  const bit = enables[source];
  if ((ctrl & bit) === 0)
    return because(found, `IRQ_CTRL.${source}_IRQEN=0`, '6.3.16', name, 'IRQ_CTRL', evidence);
  if ((ack & bit) === 0) {
    const what = `IRQ_CTRLACK.${source}_IRQEN=0: the enable is not in force yet`;
    return because(found, what, '6.3.17', name, 'IRQ_CTRL', evidence);
  }
  if (source === 'GERROR') return sameError(found, smmu, evidence);
  const queue = `${source}_CONS`;
  const used = `the queue held entries already (CONS=${hex(smmu.regs[queue] ?? 0)}): only empty to non-empty raises one`;
  return because(found, used, source === 'PRIQ' ? '6.3.36' : '3.5.3', name, queue, evidence);
}

/** MSI_GERROR_ABT_ERR raises none; an error that is active is not logged again (7.5). */
function sameError(found: Entry, smmu: SmmuState, evidence: Evidence): readonly Reason[] {
  const active = hex(activeErrors(smmu));
  const what = `GERROR^GERRORN was ${active}: MSI_GERROR_ABT_ERR and errors that are active raise none`;
  return [
    fact(found.seq, 'no interrupt', what, 'IHI 0070 7.5.1'),
    ...evidence.setTo('acknowledged last by', smmu.config.name, 'GERRORN', found.seq),
  ];
}

function because(
  found: Entry,
  what: string,
  section: string,
  smmu: string,
  register: string,
  evidence: Evidence,
): readonly Reason[] {
  const below = (): readonly Reason[] => evidence.setTo(register, smmu, register, found.seq - 1);
  return [{ seq: found.seq, role: 'no interrupt', what, cite: `IHI 0070 ${section}`, below }];
}

/** CMD_SYNC has no enable in IRQ_CTRL: its CS field asks (4.7.3). */
function syncSignal(found: Entry, evidence: Evidence): readonly Reason[] {
  if (found.type !== 'sync.completed') return [];
  const command = evidence.entry(found.fetched);
  if (command.type !== 'command.fetched') return [];
  const signal = commandLayouts.CMD_SYNC.layout.fields.CS.read([
    Number(command.lo & 0xffff_ffffn),
    Number(command.lo >> 32n),
  ]);
  const below = (): readonly Reason[] => evidence.because('fetched', found.fetched);
  return [
    {
      seq: found.seq,
      role: 'no interrupt',
      what: `CMD_SYNC has CS=${signal}`,
      cite: 'IHI 0070 4.7.3',
      below,
    },
  ];
}
