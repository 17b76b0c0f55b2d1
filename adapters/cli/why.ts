/** `why`: the chain that led to an entry, to a value at a path, or to something that did not happen. */
import type { Branch } from '../../core/history/store.ts';
import { changesBack, resolveAt } from '../changes.ts';
import { InputError } from '../input-error.ts';
import type { Session } from '../session.ts';
import { exitCodes, printAll } from './io.ts';
import { type Opened, withStore } from './open.ts';
import { type Position, showPosition } from './position.ts';
import { showLeaf } from './value-diff.ts';
import { type Options, textOption, type Verb, type VerbContext } from './verb.ts';
import { openEvidence } from './why/evidence.ts';
import { findingReasons } from './why/finding.ts';
import { isQuestion, questions, whyNot } from './why/not.ts';
import { type Evidence, fact, type Reason } from './why/reason.ts';
import { rows } from './why/rows.ts';
import { treeLines } from './why/text.ts';
import { type Bounds, type Told, unfold } from './why/tree.ts';

const DEPTH = 5;
const BREADTH = 8;

export const verb: Verb = {
  define(command) {
    command
      .argument(
        '<what...>',
        'POSITION; PATH [POSITION]; or `not` and a question, with a POSITION: see help questions',
      )
      .option('--depth <levels>', `levels of reasons; ${DEPTH} when left out`)
      .option('--all', `all reasons of a line, not only the first ${BREADTH}`)
      .option('--findings', 'with the findings of the rules at that position');
  },
  async run(context, args, options) {
    const bounds = boundsOf(options);
    const wanted = { ...context, needsFindings: context.needsFindings || options['findings'] === true };
    await withStore(wanted, async (opened) => {
      const { at, root } = await rootOf(opened, args, wanted);
      const told = unfold(root, bounds);
      const lines = context.json
        ? [JSON.stringify(toldJson(told, at.branch))]
        : treeLines(told, at.branch, context.io.width);
      await printAll(context.io, lines);
    });
    return exitCodes.clean;
  },
};

interface Rooted {
  readonly at: Position;
  readonly root: Reason;
}

async function rootOf(opened: Opened, args: readonly string[], context: VerbContext): Promise<Rooted> {
  const { session } = opened;
  const [what = '', second, third] = args;
  const evidenceAt = ({ branch }: Position): Evidence =>
    openEvidence(session, branch, session.log.head(branch.id), rows);
  if (what === 'not') {
    if (!isQuestion(second)) throw new InputError(`why not: expected ${listed()}, found "${second ?? ''}"`);
    const at = opened.position(third);
    return { at, root: whyNot(second, at.seq, evidenceAt(at), args[3]) };
  }
  if (args.length > 2) throw new InputError(`why: expected PATH POSITION, found ${args.length} arguments`);
  if (isPosition(what)) {
    const at = opened.position(what);
    if (at.seq === 0) throw new InputError(`why: expected an entry (1 on), found ${showPosition(at)}`);
    if (second !== undefined) throw new InputError(`why: expected one position, found "${second}" after it`);
    const evidence = evidenceAt(at);
    const [root = fact(at.seq, '', '')] = evidence.because('', at.seq);
    const found = context.needsFindings ? await findingReasons(session, at, evidence) : [];
    return {
      at,
      root: found.length === 0 ? root : { ...root, below: () => [...found, ...(root.below?.() ?? [])] },
    };
  }
  const at = opened.position(second);
  return { at, root: whyValue(session, at, what, evidenceAt(at)) };
}

function listed(): string {
  return questions.map(({ name }) => name).join(', ');
}

/** Paths begin with a letter and go on with a dot or bracket; positions have an `@`, or are a branch or number. */
function isPosition(text: string): boolean {
  return text.includes('@') || /^\d/.test(text) || !/[.[]/.test(text);
}

/** The value at a path: the entry that made it what it is. */
function whyValue(session: Session, at: Position, path: string, evidence: Evidence): Reason {
  const { value, lines } = resolveAt(session.seek(at.branch, at.seq), path);
  const shown = lines.length === 1 ? (lines[0]?.text ?? '') : showLeaf(value);
  const cached = /\.(?:tlb|walk|atc)\[(\d+)\]$/.exec(path);
  const below = (): readonly Reason[] => {
    if (cached !== null && value !== null) return evidence.because('filled by', Number(cached[1]));
    return madeBy(session, at.branch, path, at.seq, evidence);
  };
  return { seq: at.seq, role: path, what: shown, below };
}

function madeBy(
  session: Session,
  branch: Branch,
  path: string,
  until: number,
  evidence: Evidence,
): readonly Reason[] {
  for (const { entry, before, after } of changesBack(session, branch, path, 0, until)) {
    const what = `${showLeaf(before.value)} -> ${showLeaf(after.value)}`;
    const change = evidence.because('by', entry.seq);
    return typeof after.value === 'object'
      ? change
      : [{ seq: entry.seq, role: 'changed', what, below: () => change }];
  }
  return [fact(0, 'unchanged', 'as the machine was made: nothing has changed it')];
}

function boundsOf(options: Options): Bounds {
  const text = textOption(options, 'depth');
  if (text !== undefined && !/^\d{1,3}$/.test(text))
    throw new InputError(`--depth: expected a count, found "${text}"`);
  return {
    depth: text === undefined ? DEPTH : Number(text),
    breadth: options['all'] === true ? Number.POSITIVE_INFINITY : BREADTH,
  };
}

/** The same tree with stable names. */
function toldJson(
  { seq, role, what, cite, below, more, again }: Told,
  branch: Branch,
): Record<string, unknown> {
  return {
    position: showPosition({ branch, seq }),
    role,
    what,
    ...(cite === undefined ? {} : { cite }),
    ...(again ? { again } : {}),
    ...(more > 0 ? { more } : {}),
    below: below.map((each) => toldJson(each, branch)),
  };
}
