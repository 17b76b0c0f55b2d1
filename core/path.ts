/**
 * Paths name the things of a machine the way an engineer would:
 * `smmu0.regs.CR0.SMMUEN`, `smmu0.cmdq[3]`, `smmu0.ste[8].Config`, `mem[0x40001000]`. Resolving one
 * over a state gives its value, its text, and where to look for its changes.
 */
import { machineNode } from './path/machine.ts';
import { meant, nearNames } from './path/near.ts';
import type { PathLine, PathNode, Span } from './path/node.ts';
import type { State } from './state.ts';

export interface Resolved {
  readonly path: string;
  /** Plain JSON data; `null` when nothing is there now. */
  readonly value: unknown;
  /** Each with the part of the path below `path` that it tells of. */
  readonly lines: readonly PathLine[];
  /** Keys of `history/touch.ts` under which an entry that changes the value stands. */
  readonly touchKeys: readonly string[];
  /** Memory behind the `page:` keys among them: an entry elsewhere in the page is no change. */
  readonly spans: readonly Span[];
}

/** Why a path leads nowhere. */
export interface PathProblem {
  readonly path: string;
  /** What was expected, and at which part of the path. */
  readonly problem: string;
  readonly near: readonly string[];
}

/** Tells the two answers of `resolvePath` apart. */
export function isPathProblem(found: Resolved | PathProblem): found is PathProblem {
  return 'problem' in found;
}

/** What stands at `path` in `state`; an empty path means the whole machine. */
export function resolvePath(state: State, path: string): Resolved | PathProblem {
  const found = findNode(state, path);
  if ('problem' in found) return found;
  const { keys, spans } = found.watched();
  return { path, value: found.json(), lines: found.lines(false), touchKeys: keys, spans };
}

type Step = { readonly name: string } | { readonly index: number };

const STEP = /\.?([A-Za-z_][\w-]*)|\[(0[xX][0-9a-fA-F]+|\d+)\]/y;

function findNode(state: State, path: string): PathNode | PathProblem {
  const steps = parse(path);
  if ('problem' in steps) return steps;
  let node: PathNode = machineNode(state);
  let at = '';
  for (const step of steps) {
    const next: PathNode | undefined = 'name' in step ? node.child(step.name) : node.item(step.index);
    if (next === undefined) return refusal(path, at, node, step);
    at += 'name' in step ? `${at === '' ? '' : '.'}${step.name}` : `[${step.index}]`;
    node = next;
  }
  return node;
}

function parse(path: string): readonly Step[] | PathProblem {
  const steps: Step[] = [];
  let at = 0;
  while (at < path.length) {
    STEP.lastIndex = at;
    const found = STEP.exec(path);
    const dotted = path[at] === '.' || path[at] === '[';
    if (found === null || dotted === (at === 0)) {
      return { path, problem: `expected NAME.NAME or NAME[INDEX] at "${path.slice(at)}"`, near: [] };
    }
    steps.push(found[1] === undefined ? { index: Number(found[2]) } : { name: found[1] });
    at = STEP.lastIndex;
  }
  return steps;
}

const LISTED_MAX = 12;

function refusal(path: string, at: string, node: PathNode, step: Step): PathProblem {
  const where = at === '' ? '' : ` after ${at}`;
  const may: string[] = [];
  if (node.names.length > 0) may.push(`one of ${listed(node.names)}`);
  if (node.index !== undefined) may.push(`[${node.index}]`);
  const expected = may.length === 0 ? 'nothing more' : may.join(', or ');
  if ('index' in step)
    return { path, problem: `expected ${expected}${where}, found [${step.index}]`, near: [] };
  const near = nearNames(step.name, node.names);
  return {
    path,
    problem: `expected ${expected}${where}, found ${step.name}${meant(step.name, node.names)}`,
    near,
  };
}

function listed(names: readonly string[]): string {
  return names.length <= LISTED_MAX ? names.join(', ') : `${names.slice(0, LISTED_MAX).join(', ')}, ...`;
}
