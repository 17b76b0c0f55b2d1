/** `branch`: lists, chooses and removes branches. */
import type { Branch, LogStore } from '../../core/history/store.ts';
import { InputError } from '../input-error.ts';
import { clip, exitCodes, printAll } from './io.ts';
import { withStore } from './open.ts';
import { type PositionSource, parsePosition, showPosition } from './position.ts';
import type { Verb } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('[name]', 'make this branch the current one')
      .option('-d, --delete', 'remove the branch and what only it holds');
  },
  async run(context, [name], options) {
    const { io, json } = context;
    if (options['delete'] === true && name === undefined)
      throw new InputError('--delete: expected the name of a branch');
    await withStore(context, async ({ session: { log }, source }) => {
      if (name !== undefined && options['delete'] === true) {
        const branch = byName(name, source);
        removeBranch(log, branch);
        await log.flush();
        io.out(
          json
            ? JSON.stringify({ removed: name })
            : `${showPosition({ branch, seq: branch.parent?.at ?? 0 })}  removed`,
        );
        return;
      }
      if (name !== undefined) {
        log.setCurrent(byName(name, source).id);
        await log.flush();
      }
      const current = log.current();
      const lines = log.branches().map((branch) => {
        const row = { ...rowOf(log, branch), current: branch.id === current };
        return json ? JSON.stringify(row) : clip(textOf(row), io.width);
      });
      await printAll(io, lines);
    });
    return exitCodes.clean;
  },
};

interface BranchRow {
  readonly position: string;
  readonly name: string;
  readonly head: number;
  readonly parent: string | null;
  readonly source: string;
}

function rowOf(log: LogStore, branch: Branch): BranchRow {
  const owner = log.branches().find(({ id }) => id === branch.parent?.branch);
  const head = log.head(branch.id);
  return {
    position: showPosition({ branch, seq: head }),
    name: branch.name,
    head,
    parent: owner === undefined ? null : showPosition({ branch: owner, seq: branch.parent?.at ?? 0 }),
    source: branch.source,
  };
}

function textOf(row: BranchRow & { readonly current: boolean }): string {
  const origin = row.parent === null ? `from ${row.source}` : `left ${row.parent}`;
  return `${row.position.padEnd(20)} ${row.current ? '*' : ' '} ${origin}`;
}

function byName(name: string, source: PositionSource): Branch {
  const { branch } = parsePosition(name, source);
  if (branch.name !== name) throw new InputError(`expected the name of a branch, found "${name}"`);
  return branch;
}

/** Not while others stand on it, and not the last. */
function removeBranch(log: LogStore, branch: Branch): void {
  const children = log.branches().filter(({ parent }) => parent?.branch === branch.id);
  if (children.length > 0) {
    const names = children.map((child) => child.name).join(', ');
    throw new InputError(`expected a branch that no other left, found ${branch.name}, which ${names} left`);
  }
  log.removeBranch(branch.id);
  const next = log.branches()[0];
  if (log.current() === undefined && next !== undefined) log.setCurrent(next.id);
}
