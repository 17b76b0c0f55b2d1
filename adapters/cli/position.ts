/**
 * Positions as people write them: `main@18234`, `@18234`, `main@18234~3`, `main`,
 * `@{label}`, `@{first finding}`, `@{last fault}`, `@{50%}`, and ranges `a..b`, `a...b`. A position
 * names the moment after its entry; 0 is the machine before the first one.
 */

import type { Branch, LogStore } from '../../core/history/store.ts';
import { meant } from '../../core/path/near.ts';
import { InputError } from '../input-error.ts';

export interface Position {
  readonly branch: Branch;
  readonly seq: number;
}

export interface Range {
  readonly from: Position;
  readonly to: Position;
  /** Written `a...b`: since the point where the two part. */
  readonly symmetric: boolean;
}

/** Positions that have to be found in the history: the seq on a branch, or undefined when there is none. */
export type Landmarks = Readonly<Record<string, (branch: Branch) => number | undefined>>;

export interface PositionSource {
  readonly log: Pick<LogStore, 'branches' | 'head' | 'bookmarks' | 'current'>;
  readonly landmarks: Landmarks;
}

const FORMS = 'BRANCH@SEQ, @SEQ, BRANCH, @{label}, @{50%}, @{first finding} or @{last fault}, each with ~N';
const BRANCH = String.raw`[A-Za-z_][\w./-]*?`;
const POSITION = new RegExp(
  String.raw`^(?<branch>${BRANCH})?(?:(?<at>@)(?:(?<seq>\d+)|\{(?<mark>[^{}]*)\})?)?(?<back>(?:~\d*|\^)*)$`,
);
const BRANCH_NAME = /^[A-Za-z_][\w./-]*$/;

/** How a position is printed: what is printed can be typed again. */
export function showPosition({
  branch,
  seq,
}: {
  readonly branch: { readonly name: string };
  readonly seq: number;
}): string {
  return `${branch.name}@${seq}`;
}

/** Why a branch cannot have this name, or undefined when it can. */
export function branchNameProblem(name: string): string | undefined {
  if (BRANCH_NAME.test(name) && !name.includes('..')) return undefined;
  return `expected a branch name (letters, digits, _ . / -, a letter first), found "${name}"`;
}

/** Why a bookmark cannot have this name, or undefined when it can. */
export function bookmarkNameProblem(
  name: string,
  source: Pick<PositionSource, 'landmarks'>,
): string | undefined {
  const taken =
    /[{}\n]/.test(name) ||
    /^\d+%?$/.test(name) ||
    Object.hasOwn(source.landmarks, name) ||
    name.trim() !== name ||
    name === '';
  return taken
    ? `expected a bookmark name without braces that is no number and no landmark, found "${name}"`
    : undefined;
}

/** The position a text means. `home` is the branch of `@SEQ`; the current one when not given. */
export function parsePosition(text: string, source: PositionSource, home?: Branch): Position {
  if (/^\d+$/.test(text)) return parsePosition(`@${text}`, source, home);
  const groups = POSITION.exec(text)?.groups;
  if (groups === undefined || (groups['branch'] === undefined && groups['at'] === undefined)) {
    throw new InputError(`expected a position (${FORMS}), found "${text}"`);
  }
  const { branch: name, seq, mark, back = '' } = groups;
  const branch = name === undefined ? (home ?? currentBranch(source)) : namedBranch(name, source);
  const head = source.log.head(branch.id);
  const found =
    mark !== undefined
      ? markedPosition(mark, name !== undefined, branch, source)
      : { branch, seq: seq === undefined ? head : Number(seq) };
  const at = found.seq - stepsBack(back);
  if (found.seq > source.log.head(found.branch.id)) {
    throw new InputError(`expected a position of ${branch.name} (0 to ${head}), found ${text}`);
  }
  if (at < 0)
    throw new InputError(
      `expected a position of ${branch.name} (0 to ${head}), found ${text}, ${-at} before its start`,
    );
  return { branch: found.branch, seq: at };
}

/** `a..b` and `a...b`; a side left out is the start and the head. A number after `..` is on the branch of `a`. */
export function parseRange(text: string, source: PositionSource): Range | undefined {
  const split = /^(.*?)(\.{2,3})(?!\.)(.*)$/.exec(
    text.replaceAll(/\{[^{}]*\}/g, (mark) => mark.replaceAll('.', '\0')),
  );
  if (split === null) return undefined;
  const [left = '', dots = '', right = ''] = split.slice(1).map((part) => part.replaceAll('\0', '.'));
  const ahead = right === '' || /^@|^\d/.test(right) ? undefined : parsePosition(right, source);
  const from =
    left === '' ? { branch: ahead?.branch ?? currentBranch(source), seq: 0 } : parsePosition(left, source);
  const to =
    right === ''
      ? parsePosition(from.branch.name, source)
      : (ahead ?? parsePosition(right, source, from.branch));
  return { from, to, symmetric: dots === '...' };
}

/** The branch that `@SEQ` means; InputError when the store is empty. */
export function currentBranch({ log }: Pick<PositionSource, 'log'>): Branch {
  const id = log.current();
  const branches = log.branches();
  const found = branches.find((branch) => branch.id === id) ?? branches[0];
  if (found === undefined)
    throw new InputError('expected a history, found an empty store (see `backwalk help run`)');
  return found;
}

function namedBranch(name: string, { log }: PositionSource): Branch {
  const found = log.branches().find((branch) => branch.name === name);
  if (found !== undefined) return found;
  const names = log.branches().map((branch) => branch.name);
  if (names.length === 0)
    throw new InputError('expected a history, found an empty store (see `backwalk help run`)');
  throw new InputError(`expected a branch (${listed(names)}), found "${name}"${meant(name, names)}`);
}

function markedPosition(mark: string, onBranch: boolean, branch: Branch, source: PositionSource): Position {
  const percent = /^(\d{1,3})%$/.exec(mark);
  if (percent !== null && Number(percent[1]) <= 100) {
    return { branch, seq: Math.floor((source.log.head(branch.id) * Number(percent[1])) / 100) };
  }
  const landmark = Object.hasOwn(source.landmarks, mark) ? source.landmarks[mark] : undefined;
  if (landmark !== undefined) {
    const seq = landmark(branch);
    if (seq === undefined) throw new InputError(`expected @{${mark}} on ${branch.name}, found none there`);
    return { branch, seq };
  }
  return bookmarked(mark, onBranch, branch, source);
}

/** A bookmark of the branch itself is meant before one of another branch. */
function bookmarked(
  mark: string,
  onBranch: boolean,
  branch: Branch,
  { log, landmarks }: PositionSource,
): Position {
  const named = log.bookmarks().filter(({ name }) => name === mark);
  const full = log.bookmarks().find(({ name }) => name === `${branch.name}/${mark}`);
  const own = named.find((each) => each.branch === branch.id) ?? full;
  if (own !== undefined) return { branch, seq: own.seq };
  const other = onBranch ? undefined : named.at(-1);
  const owner = log.branches().find(({ id }) => id === other?.branch);
  if (other !== undefined && owner !== undefined) return { branch: owner, seq: other.seq };
  const known = [...new Set(log.bookmarks().map(({ name }) => name)), ...Object.keys(landmarks), '50%'];
  const where = onBranch ? ` on ${branch.name}` : '';
  throw new InputError(
    `expected a bookmark${where} (${listed(known)}), found "${mark}"${meant(mark, known)}`,
  );
}

function stepsBack(back: string): number {
  let steps = 0;
  for (const [part] of back.matchAll(/~\d*|\^/g)) steps += part.length === 1 ? 1 : Number(part.slice(1));
  return steps;
}

const LISTED_MAX = 8;

function listed(names: readonly string[]): string {
  return names.length <= LISTED_MAX
    ? names.join(', ')
    : `${names.slice(0, LISTED_MAX).join(', ')}, ... ${names.length} in all`;
}
