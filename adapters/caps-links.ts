/**
 * The ledger of capabilities at a position of a store, and the findings of the history up to there: each from the
 * other. What was folded is kept beside the log, so that it takes no longer in a long history than in a short one.
 */
import type { MachineConfig } from '../core/config.ts';
import type { Entry } from '../core/event.ts';
import type { Branch } from '../core/history/store.ts';
import { type Chains, newChains } from '../projections/caps/chain.ts';
import { ledgerHandlers } from '../projections/caps/fold.ts';
import { rowsOf } from '../projections/caps/ledger.ts';
import type { LedgerRow } from '../projections/caps/row.ts';
import { openCheck } from '../projections/check.ts';
import type { Finding } from '../projections/finding.ts';
import type { Session } from './session.ts';

/** Raised when `Chains` has other fields, or the ledger takes entries otherwise; when rules find others. */
const LEDGER_VERSION = 2;
const FINDINGS_VERSION = 1;
/** Entries after which the ledger is kept: about 10 ms to fold. */
const KEEP_EVERY = 16_384;
/** More findings than this have causes of their own, and are found again. */
const FINDINGS_MAX = 4096;

export interface At {
  readonly branch: Branch;
  readonly seq: number;
}

type Handler = (state: Chains, entry: Entry) => void;

/** A ledger as it is kept: the machine is in the header of the log. */
type Kept = Omit<Chains, 'machine'>;

const withMachine = (kept: Kept, machine: MachineConfig): Chains => ({ ...kept, machine });

/** What the ledger of capabilities remembers at a position. */
function chainsAt({ memos, log }: Session, { branch, seq }: At): Chains {
  const { id, machine } = branch;
  const known = memos.nearest('ledger', LEDGER_VERSION, id, seq);
  const chains = known === undefined ? newChains(machine) : withMachine(known.value as Kept, machine);
  const from = (known?.seq ?? 0) + 1;
  if (from > seq) return chains;
  const keep = keeper({ memos }, branch, known?.seq ?? 0);
  for (const entry of log.read(id, from, seq)) {
    take(chains, entry);
    keep(chains, entry.seq);
  }
  return chains;
}

function take(chains: Chains, entry: Entry): void {
  (ledgerHandlers[entry.type] as Handler | undefined)?.(chains, entry);
}

/** Keeps a ledger now and then, as it is at that entry. */
function keeper({ memos }: Pick<Session, 'memos'>, { id }: Branch, from: number) {
  let last = from;
  return (chains: Chains, seq: number, now = false): void => {
    if (!now && seq - last < KEEP_EVERY) return;
    last = seq;
    const { machine: _, ...kept } = chains;
    memos.put('ledger', LEDGER_VERSION, id, { seq, value: kept });
  };
}

/** The rows of the ledger at a position. */
export function rowsAt(session: Session, at: At): readonly LedgerRow[] {
  return rowsOf(chainsAt(session, at));
}

/** All findings of the history up to a position, as `check` has them. */
export function findingsAt(session: Session, { branch, seq }: At): readonly Finding[] {
  const known = session.memos.nearest('findings', FINDINGS_VERSION, branch.id, seq);
  if (known?.seq !== seq) return checkAndKeep(session, { branch, seq });
  // A fork's positions are its own, whoever's entries they were found in.
  const { name, found } = known.value as { readonly name: string; readonly found: readonly Finding[] };
  return name === branch.name ? found : checkAndKeep(session, { branch, seq });
}

/** Checks a history by all rules, and keeps what is found, and the ledger beside it. */
export function checkAndKeep(session: Session, { branch, seq }: At): readonly Finding[] {
  const { id, machine, name } = branch;
  const check = openCheck(machine, name);
  const chains = newChains(machine);
  const keep = keeper(session, branch, 0);
  for (const entry of session.log.read(id, 1, seq)) {
    check.take(entry);
    take(chains, entry);
    keep(chains, entry.seq);
  }
  const found = check.findings();
  if (seq > 0) keep(chains, seq, true);
  if (found.length <= FINDINGS_MAX)
    session.memos.put('findings', FINDINGS_VERSION, id, { seq, value: { name, found } });
  return found;
}
