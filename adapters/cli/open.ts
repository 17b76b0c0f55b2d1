/** Opens the store a command works on, and says what positions mean in it. */
import { existsSync } from 'node:fs';
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import type { Branch } from '../../core/history/store.ts';
import { InputError } from '../input-error.ts';
import { Session } from '../session.ts';
import {
  branchNameProblem,
  currentBranch,
  type Landmarks,
  type Position,
  type PositionSource,
  parsePosition,
  parseRange,
  type Range,
} from './position.ts';
import type { VerbContext } from './verb.ts';

export interface Opened {
  readonly session: Session;
  readonly source: PositionSource;
  /** The position a text means; without a text, the head of the current branch. */
  position(text?: string): Position;
  /** The range a text means; without a text, all of the current branch. A single position: all up to it. */
  range(text?: string): Range;
}

/** Opens an existing store. */
export async function openExisting(context: VerbContext): Promise<Session> {
  if (!existsSync(context.store)) {
    throw new InputError(
      `no store ${context.store}: \`backwalk run FILE\` makes one, -s or BACKWALK_STORE names another`,
    );
  }
  return openOrMake(context);
}

/** The store, if there is one. */
export async function openIfThere(context: VerbContext): Promise<Session | undefined> {
  return existsSync(context.store) ? openOrMake(context) : undefined;
}

/** Opens the store, which is made when there is none. */
export async function openOrMake(context: VerbContext): Promise<Session> {
  const { openStores } = await import('./stores.ts');
  return new Session(await openStores(context.store));
}

/** A new root history that becomes the current branch; never one that is there already. */
export function newRoot(
  { io }: VerbContext,
  { log }: Session,
  machine: MachineConfig,
  { as, file }: { readonly as: string | undefined; readonly file: string },
): Branch {
  const names = log.branches().map((branch) => branch.name);
  if (as !== undefined) checkNewName(as, names);
  const name = as ?? freeName(names);
  const branch = log.createRoot(name, machine, file);
  log.setCurrent(branch.id);
  if (names.length > 0) {
    const held = names.length === 1 ? names[0] : `${names.length} branches`;
    io.err(`backwalk: the store holds ${held} already; this run is ${name}, now the current branch`);
  }
  return branch;
}

/** `main`, or the next of `run-2`, `run-3`, ... in a store that holds something already. */
function freeName(names: readonly string[]): string {
  if (!names.includes('main')) return 'main';
  let number = 2;
  while (names.includes(`run-${number}`)) number += 1;
  return `run-${number}`;
}

/** Throws when no new branch can have this name. */
export function checkNewName(name: string, taken: readonly string[]): void {
  const problem = branchNameProblem(name);
  if (problem !== undefined) throw new InputError(problem);
  if (taken.includes(name))
    throw new InputError(`expected a new branch name, found "${name}", which there is already`);
}

/** Opens an existing store, does the work, and closes it whatever happens. */
export async function withStore<T>(context: VerbContext, work: (opened: Opened) => Promise<T>): Promise<T> {
  const findings = context.needsFindings
    ? (await import('../../projections/check.ts')).checkHistory
    : undefined;
  const session = await openExisting(context);
  try {
    return await work(openedOn(session, findings));
  } finally {
    await session.close();
  }
}

type FindFindings = (
  entries: Iterable<Entry>,
  machine: MachineConfig,
  branch: string,
) => readonly { readonly position: string }[];

/** What positions mean in this store. Without `findings`, `@{first finding}` finds none. */
export function sourceOf(session: Session, findings?: FindFindings): PositionSource {
  return {
    log: session.log,
    landmarks: {
      ...landmarksOf(session),
      'first finding': (branch) => firstFinding(session, branch, findings),
    },
  };
}

function openedOn(session: Session, findings: FindFindings | undefined): Opened {
  const source = sourceOf(session, findings);
  const head = (): Position => parsePosition('@', source);
  return {
    session,
    source,
    position: (text) => (text === undefined ? head() : parsePosition(text, source)),
    range: (text) => {
      if (text === undefined)
        return { from: { branch: currentBranch(source), seq: 0 }, to: head(), symmetric: false };
      const range = parseRange(text, source);
      if (range !== undefined) return forward(range, text);
      const end = parsePosition(text, source);
      return { from: { branch: end.branch, seq: 0 }, to: end, symmetric: false };
    },
  };
}

/** A range that ends before it begins holds nothing, and nothing looks like clean: InputError. */
function forward(range: Range, text: string): Range {
  const { from, to } = range;
  if (from.branch.id !== to.branch.id || from.seq <= to.seq) return range;
  throw new InputError(`expected A..B with A before B, found ${text}: try ${to.seq}..${from.seq}`);
}

function firstFinding(
  { log }: Session,
  branch: Branch,
  findings: FindFindings | undefined,
): number | undefined {
  const [first] = findings?.(log.read(branch.id, 1, log.head(branch.id)), branch.machine, branch.name) ?? [];
  return first === undefined ? undefined : Number(first.position.slice(first.position.lastIndexOf('@') + 1));
}

const FAULTS = ['type:record.raised', 'type:access.terminated'] as const;

function landmarksOf(session: Session): Landmarks {
  const newest = (branch: Branch, key: string): number => {
    for (const seq of session.index.touching(branch.id, key, session.log.head(branch.id))) return seq;
    return 0;
  };
  return { 'last fault': (branch) => Math.max(...FAULTS.map((key) => newest(branch, key))) || undefined };
}
