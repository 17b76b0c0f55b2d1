/** The edits of a rerun: where each takes hold, and where the two histories part. */
import { isQuirk, quirks } from '../../core/driver/quirks.ts';
import { isStimulus } from '../../core/event.ts';
import type { Branch } from '../../core/history/store.ts';
import { meant } from '../../core/path/near.ts';
import { InputError } from '../input-error.ts';
import type { Opened } from './open.ts';
import { type Position, parsePosition } from './position.ts';
import { listOption, type Options } from './verb.ts';

/** Between the two values of `--insert SEQ FILE`, which commander knows nothing of. */
const PAIR = '\0';

/** Joins the two values of each `--insert`. */
export function joinPairs(args: readonly string[]): readonly string[] {
  return args.flatMap((arg, at) => {
    if (args[at - 1] === '--insert') return [`${arg}${PAIR}${args[at + 1] ?? ''}`];
    return args[at - 2] === '--insert' ? [] : [arg];
  });
}

export type Insertion = { readonly set: string } | { readonly file: string };

export interface Edits {
  readonly branch: Branch;
  /** Last entry that both histories share: the end of a step. */
  readonly fork: number;
  readonly drop: ReadonlySet<number>;
  /** By the seq of the step's last entry. */
  readonly insert: ReadonlyMap<number, readonly Insertion[]>;
}

/** What the command line asks for; InputError when the history has no such place. */
export function editsOf(opened: Opened, text: string, options: Options): Edits {
  const at = opened.position(text);
  const insert = new Map<number, Insertion[]>();
  const add = (after: Position, insertion: Insertion): number => {
    const seq = endOfStep(opened, after);
    insert.set(seq, [...(insert.get(seq) ?? []), insertion]);
    return seq;
  };
  const forks: number[] = [];
  for (const set of listOption(options, 'set')) forks.push(add(at, { set }));
  for (const quirk of listOption(options, 'quirk'))
    for (const set of quirkSettings(opened, at, quirk)) forks.push(add(at, { set }));
  for (const pair of listOption(options, 'insert')) {
    const [seq = '', file = ''] = pair.split(PAIR);
    if (file === '') throw new InputError(`--insert: expected SEQ FILE, found "${seq}"`);
    forks.push(add(onBranch(opened, seq, at.branch, '--insert'), { file }));
  }
  const drop = new Set<number>();
  for (const dropped of listOption(options, 'drop')) {
    const { seq } = onBranch(opened, dropped, at.branch, '--drop');
    checkDropped(opened, at.branch, seq);
    drop.add(seq);
    forks.push(seq - 1);
  }
  return {
    branch: at.branch,
    fork: forks.length === 0 ? endOfStep(opened, at) : Math.min(...forks),
    drop,
    insert,
  };
}

/** `skip-tlbi`, `smmu0.skip-tlbi=off`: the settings of one driver, or of all there are. */
function quirkSettings({ session }: Opened, { branch, seq }: Position, text: string): readonly string[] {
  const found = /^(?:(?<driver>.+)\.)?(?<name>[\w-]+)(?:=(?<value>on|off))?$/.exec(text)?.groups;
  const drivers = Object.keys(session.seek(branch, seq).drivers);
  const { driver, name = '', value = 'on' } = found ?? {};
  if (!isQuirk(name)) {
    const known = Object.keys(quirks);
    throw new InputError(
      `--quirk: expected [DRIVER.]NAME[=off] with one of ${known.join(', ')}, found "${text}"${meant(name, known)}`,
    );
  }
  const of = driver === undefined ? drivers : drivers.filter((each) => each === driver);
  if (of.length === 0)
    throw new InputError(
      `--quirk: expected a driver (${drivers.join(', ') || 'there is none here'}), found "${text}"`,
    );
  return of.map((each) => `${each}.quirks.${name}=${value === 'on'}`);
}

function onBranch({ source }: Opened, text: string, branch: Branch, option: string): Position {
  const found = parsePosition(text, source, branch);
  if (found.branch.id !== branch.id)
    throw new InputError(`${option}: expected a position of ${branch.name}, found ${text}`);
  return found;
}

function checkDropped({ session: { log } }: Opened, branch: Branch, seq: number): void {
  for (const entry of log.read(branch.id, seq, seq)) {
    if (entry.type === 'turn')
      throw new InputError(`--drop: expected a stimulus from outside, found a turn at ${seq}`);
    if (isStimulus(entry)) return;
    throw new InputError(
      `--drop: expected a stimulus, found ${entry.type} at ${seq}, which follows from ${entry.cause}`,
    );
  }
  throw new InputError(`--drop: expected a stimulus, found ${seq}`);
}

/** The last entry of the step that holds the position's: between them nothing can be put. */
function endOfStep({ session: { log } }: Opened, { branch, seq }: Position): number {
  let end = seq;
  for (const entry of log.read(branch.id, seq + 1, log.head(branch.id))) {
    if (isStimulus(entry)) break;
    end = entry.seq;
  }
  return end;
}
