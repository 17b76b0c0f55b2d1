/**
 * Repairs that may make a run clean, smallest first: the missing CMD_SYNC, the near command said right or again
 * after the change, a fault that was switched on switched off, another rule of the kernel, the missing commands.
 */
import { type Entry, isStimulus } from '../../core/event.ts';
import type { Branch, LogStore } from '../../core/history/store.ts';
import { switchOf } from '../../core/kernel/kernel.ts';
import { type SwitchName, switches } from '../../core/kernel/switches.ts';
import { choices } from '../../core/smmu/choices.ts';
import { queues } from '../../core/smmu/codes.ts';
import { entryAddress } from '../../core/smmu/queue.ts';
import { ring } from '../../core/smmu/rings.ts';
import type { State } from '../../core/state.ts';
import { seqOf } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { type Needed, showNeeded } from '../../projections/obligations/remedy.ts';
import { owedSince } from '../../projections/told.ts';
import { encodeFields } from '../scenario/command-fields.ts';
import type { ScenarioLine } from '../scenario/scenario.ts';
import { lineOf } from '../scenario/stimulus-line.ts';
import { type Fetched, rightForms } from './right-forms.ts';
import type { Edit } from './what-if.ts';

/** A change of the history, in words and as an edit. */
export interface Candidate {
  readonly change: string;
  readonly edit: Edit;
  /** A setting: what `rerun --set` takes. */
  readonly set?: string;
}

export interface Source {
  readonly log: LogStore;
  readonly branch: Branch;
  seek(seq: number): State;
}

/** All candidates for a finding; an edit is there once. */
export function candidatesFor(finding: Finding, source: Source): readonly Candidate[] {
  const all = [
    ...missingSync(finding, source),
    ...replaced(finding, source),
    ...switchedOff(finding, source),
    ...again(finding, source),
    ...added(finding, source),
    ...kernelRules(finding, source),
  ];
  const seen = new Set<string>();
  return all.filter(({ edit }) => {
    const key = JSON.stringify(edit);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** The SMMU that served the access, or the only one. */
function smmuOf({ access, position }: Finding, { log, branch }: Source): string | undefined {
  const { smmus, endpoints } = branch.machine;
  const named = endpoints.find(({ name }) => name === access?.endpoint)?.smmu;
  if (named !== undefined) return named;
  for (const entry of log.read(branch.id, seqOf({ position }), seqOf({ position })))
    if ('smmu' in entry) return entry.smmu;
  return smmus.length === 1 ? smmus[0]?.name : undefined;
}

function issue(smmu: string, { command, fields }: Needed): ScenarioLine {
  const told = Object.entries(fields).filter(([, value]) => value !== 0 && value !== false);
  return {
    op: 'command.issue',
    smmu,
    command,
    ...(told.length === 0 ? {} : { fields: Object.fromEntries(told) }),
  };
}

const SYNC: Needed = { command: 'CMD_SYNC', fields: {}, words: ['0x46', '0x0'] };

/** The command was there and complete but for its CMD_SYNC. */
function missingSync(finding: Finding, source: Source): readonly Candidate[] {
  const { position, why } = finding.missing.nearest;
  const smmu = smmuOf(finding, source);
  if (position === null || smmu === undefined || !why.startsWith('no CMD_SYNC')) return [];
  const at = endOfStep(source, seqOf({ position }));
  return [{ change: `add CMD_SYNC after ${position}`, edit: inserted(at, [issue(smmu, SYNC)]) }];
}

function inserted(at: number, lines: readonly ScenarioLine[]): Edit {
  return { fork: at, after: at, lines };
}

/** The near command, once more behind the change. */
function again(finding: Finding, source: Source): readonly Candidate[] {
  const { position, why } = finding.missing.nearest;
  if (position === null || !why.startsWith('too early')) return [];
  const since = owedSince(finding);
  const change =
    position === since
      ? `say the command of ${position} once more`
      : `move the command of ${position} behind ${since}`;
  return added(finding, source).map((each) => ({ ...each, change }));
}

/** What was owed, right after the change. */
function added(finding: Finding, source: Source): readonly Candidate[] {
  const { commands } = finding.missing;
  const smmu = smmuOf(finding, source);
  if (commands.length === 0 || smmu === undefined) return [];
  const at = endOfStep(source, seqOf({ position: owedSince(finding) }));
  const change = `add after ${owedSince(finding)}: ${commands.map(showNeeded).join('; ')}`;
  return [
    {
      change,
      edit: inserted(
        at,
        commands.map((each) => issue(smmu, each)),
      ),
    },
  ];
}

/** The near command as it should have been, or wider: its store into the queue is made anew. */
function replaced({ missing: { nearest, commands } }: Finding, source: Source): readonly Candidate[] {
  const [needed] = commands;
  if (nearest.position === null || needed === undefined || /^(too early|no CMD|queued)/.test(nearest.why))
    return [];
  const found = queueStore(source, seqOf({ position: nearest.position }));
  if (found === undefined) return [];
  return rightForms(found.fetched, needed, nearest.differs ?? []).flatMap((form) => {
    const encoded = encodeFields(form.command, form.fields);
    if ('problem' in encoded) return [];
    const { seq, tick, cause, line, ...rest } = found.stimulus;
    const bytes = found.stimulus.bytes.slice();
    const view = new DataView(bytes.buffer);
    view.setBigUint64(found.offset, encoded.lo, true);
    view.setBigUint64(found.offset + 8, encoded.hi, true);
    const lines = [lineOf({ ...rest, bytes }, source.seek(seq - 1))];
    const edit = { fork: seq - 1, drop: seq, after: endOfStep(source, seq), lines };
    return [{ change: `say instead of the command of ${nearest.position}: ${showNeeded(form)}`, edit }];
  });
}

type MemoryStore = Extract<Entry, { readonly type: 'mem.write' }>;

interface QueueStore {
  readonly fetched: Fetched;
  readonly stimulus: MemoryStore;
  readonly offset: number;
}

/** The stimulus that put a command into its slot, and where in its bytes. */
function queueStore({ log, branch, seek }: Source, at: number): QueueStore | undefined {
  const [entry] = log.read(branch.id, at, at);
  const from = entry !== undefined && 'fetched' in entry ? Number(entry.fetched) : at;
  const [fetched] = log.read(branch.id, from, from);
  if (fetched?.type !== 'command.fetched' || fetched.queue !== undefined || fetched.beside === true)
    return undefined;
  const smmu = seek(from).smmus[fetched.smmu];
  if (smmu === undefined) return undefined;
  const slot = entryAddress(ring(smmu, 'CMDQ'), fetched.index);
  for (const each of log.readBack(branch.id, 1, from)) {
    if (each.type !== 'mem.write') continue;
    if (each.pa <= slot && slot + queues.CMDQ.entryBytes <= each.pa + each.bytes.length)
      return { fetched, stimulus: each, offset: slot - each.pa };
  }
  return undefined;
}

/** Faults that were switched on, by a line or by the machine: each off again. */
function switchedOff(finding: Finding, source: Source): readonly Candidate[] {
  const { log, branch } = source;
  const sets: Candidate[] = [];
  for (const entry of log.read(branch.id, 1, seqOf(finding))) {
    if (entry.type !== 'value.set' || !FAULTS.test(entry.path) || entry.value === entry.old) continue;
    const at = endOfStep(source, entry.seq);
    sets.push(setting(branch, at, entry.path, entry.old));
  }
  const errata = branch.machine.smmus.flatMap(({ name, choices: chosen }) =>
    Object.entries(choices)
      .filter(
        ([choice, row]) => choice.startsWith('erratum') && (chosen[choice] ?? row.default) !== row.default,
      )
      .map(([choice, row]) =>
        setting(branch, endOfStep(source, 1), `${name}.choices.${choice}`, row.default),
      ),
  );
  return [...sets.reverse(), ...errata];
}

const FAULTS = /\.(quirks|choices|switches)\.|\.(failNth|silent)$/;

function setting({ name }: Branch, at: number, path: string, value: unknown): Candidate {
  return {
    change: `set ${path}=${value} at ${name}@${at}`,
    edit: inserted(at, [{ op: 'set', path, value }]),
    set: `${path}=${value}`,
  };
}

/** A command that the kernel counted and did not issue: its other rules for batches. */
function kernelRules({ missing }: Finding, source: Source): readonly Candidate[] {
  if (!missing.nearest.why.startsWith('counted as handled')) return [];
  const { branch } = source;
  const at = endOfStep(source, 1);
  const { kernel } = source.seek(at);
  if (kernel === undefined) return [];
  return BATCH_RULES.flatMap((name) =>
    switches[name].values
      .filter((value) => value !== switchOf(kernel, name))
      .map((value) => setting(branch, at, `kernel.switches.${name}`, value)),
  );
}

const BATCH_RULES = [
  'batchRule',
  'invalidateErrors',
  'unknownCommand',
] as const satisfies readonly SwitchName[];

/** The last entry of the step that an entry is of. */
function endOfStep({ log, branch }: Source, seq: number): number {
  let end = seq;
  for (const entry of log.read(branch.id, seq + 1, log.head(branch.id))) {
    if (isStimulus(entry)) break;
    end = entry.seq;
  }
  return end;
}
