/** Where explanations get their facts: the log by its indexes, and the state at a moment by travelling there. */
import { present } from '../../../core/assert.ts';
import { type Entry, isStimulus } from '../../../core/event.ts';
import type { Branch } from '../../../core/history/store.ts';
import { memoryKeys } from '../../../core/history/touch.ts';
import { inSpace } from '../../../core/memory/space.ts';
import { touchingBack } from '../../changes.ts';
import type { Session } from '../../session.ts';
import { entryText } from '../entry-text.ts';
import { originText } from './origin.ts';
import { type Evidence, fact, type Reason, type Row, type Rows } from './reason.ts';

/** Entries looked at for one stretch of memory, and entries of a register that are no changes. */
const LOOKED_MAX = 4096;
/** Entries of a step that are looked at around one of them. */
const STEP_MAX = 4096;

/** What can be known of a branch up to `moment`. */
export function openEvidence(session: Session, branch: Branch, moment: number, rows: Rows): Evidence {
  const facts = factsOf(session, branch, moment);
  const reason = (role: string, of: Entry): Reason => {
    const row = rows[of.type] as Row | undefined;
    return {
      seq: of.seq,
      role,
      what: `${of.actor} ${entryText(of)}${originText(of, evidence)}`,
      entry: of,
      cite: row?.cite,
      below: () => row?.below(of, evidence) ?? [],
    };
  };
  const evidence: Evidence = {
    ...facts,
    because: (role, seq) => (seq === 0 ? [] : [reason(role, facts.entry(seq))]),
    setTo(role, smmu, name, until) {
      const found = facts.register(smmu, name, until);
      if (found !== undefined) return [reason(role, found)];
      return [fact(0, role, `${smmu}.${name} was not changed since reset`, 'IHI 0070 6.3')];
    },
  };
  return evidence;
}

function factsOf(session: Session, branch: Branch, moment: number): Omit<Evidence, 'because' | 'setTo'> {
  const { log, index } = session;
  const read = (from: number, to: number): Iterable<Entry> =>
    log.read(branch.id, Math.max(1, from), Math.min(to, moment));

  function entry(seq: number): Entry {
    const [found] = log.read(branch.id, seq, seq);
    return present(found, `entry ${seq} of ${branch.name}`);
  }

  function* newest(key: string, until: number, from = 0): Generator<Entry> {
    yield* index.matching(branch.id, [[key]], { from, to: until }, 'newest');
  }

  return {
    branch,
    moment,
    entry,
    state: (seq) => session.seek(branch, seq),
    step: (of) => stepAt(read, isStimulus(of) ? of.seq : of.cause),
    between: (from, to) => [...read(from, Math.min(to, from + STEP_MAX))],
    newest,
    stores: (pa, size, until) => storesOf(session, branch, pa, size, until),
    storesSince: (pa, size, from, until) => storesSince(session, branch, { pa, size }, from, until),
    // Only SMMUs of VMs have a dot in their names, and a space of their own.
    place: (smmu, address, seq) => {
      if (!smmu.includes('.')) return address;
      const state = session.seek(branch, seq);
      return inSpace(state, state.smmus[smmu]?.config.space, address);
    },
    register: (smmu, name, until) => changeOf(newest(`register:${smmu}.${name}`, until)),
  };
}

/** The stimulus at `first` and the events up to the next one. */
function stepAt(read: (from: number, to: number) => Iterable<Entry>, first: number): readonly Entry[] {
  const found: Entry[] = [];
  for (const each of read(first, first + STEP_MAX)) {
    if (found.length > 0 && isStimulus(each)) break;
    found.push(each);
  }
  return found;
}

/** The first of a register's entries that changed it: reads and ignored writes stand under its key, too. */
function changeOf(entries: Iterable<Entry>): Entry | undefined {
  let looked = 0;
  for (const found of entries) {
    if (found.type === 'register.written' || found.type === 'register.updated') return found;
    looked += 1;
    if (looked === LOOKED_MAX) return undefined;
  }
  return undefined;
}

function storesOf(
  session: Session,
  branch: Branch,
  pa: number,
  size: number,
  until: number,
): readonly Entry[] {
  const left = new Set<number>();
  for (let word = pa - (pa % 8); word < pa + size; word += 8) left.add(word);
  const found = new Map<number, Entry>();
  let looked = 0;
  for (const each of touchingBack(session, branch, memoryKeys(pa, size), [{ pa, size }], 0, until)) {
    const held = left.size;
    for (const word of wordsOf(each)) left.delete(word);
    if (left.size < held && !found.has(each.cause)) found.set(each.cause, each);
    looked += 1;
    if (left.size === 0 || looked === LOOKED_MAX) break;
  }
  return [...found.values()];
}

function storesSince(
  session: Session,
  branch: Branch,
  span: { readonly pa: number; readonly size: number },
  from: number,
  until: number,
): readonly Entry[] {
  const found: Entry[] = [];
  const keys = memoryKeys(span.pa, span.size);
  for (const each of touchingBack(session, branch, keys, [span], from, until)) {
    if (each.type === 'memory.loaded' || (each.type === 'memory.written' && each.value !== each.old))
      found.unshift(each);
    if (found.length === LOOKED_MAX) break;
  }
  return found;
}

/** The doublewords that a store changed. */
function* wordsOf(entry: Entry): Generator<number> {
  if (entry.type === 'memory.written') yield entry.pa;
  if (entry.type !== 'memory.loaded') return;
  const end = entry.pa + entry.bytes.length;
  for (let word = entry.pa - (entry.pa % 8); word < end; word += 8) yield word;
}
