/** `verify`: is the log what was written; with --rerun, would the same be decided again. */
import { existsSync } from 'node:fs';
import { verifyRerun } from '../../core/history/rerun.ts';
import type { Branch, LogStore } from '../../core/history/store.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { initialState } from '../../core/state.ts';
import { InputError } from '../input-error.ts';
import { differenceJson, differenceLines } from './diff.ts';
import { type ExitCode, exitCodes, printAll, wrap } from './io.ts';
import { type Opened, withStore } from './open.ts';
import { showPosition } from './position.ts';
import { counted } from './run-text.ts';
import type { Verb, VerbContext } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('[branch]', 'with --rerun: the history to rerun; the current one when left out')
      .option('--rerun', 'put the stimuli through the machine again and name the first entry that differs');
  },
  async run(context, [text], options) {
    if (!existsSync(context.store)) throw new InputError(`no store ${context.store}`);
    const damaged = await verifyPages(context);
    if (damaged !== exitCodes.clean || options['rerun'] !== true) return damaged;
    return withStore(context, async (opened) => rerun(context, opened, opened.position(text).branch));
  },
};

/** What keeps a file from being looked at is no damage. */
const UNREAD = /may not be (read|written)$|was written by a newer Backwalk/;

async function verifyPages({ io, json, store }: VerbContext): Promise<ExitCode> {
  const { verifyFile } = await import('../../snapshots/verify.ts');
  const { branches, segments, entries, damages } = await verifyFile(store);
  const unread = damages.find(({ what }) => UNREAD.test(what));
  if (unread !== undefined) throw new InputError(unread.what);
  if (json) io.out(JSON.stringify({ branches, segments, entries, damages }));
  else {
    await printAll(
      io,
      damages.flatMap(({ position, byte, what }) =>
        wrap(position ?? '-', byte === undefined ? 'damage' : `damage at byte ${byte}`, what, io.width),
      ),
    );
    const verdict = damages.length === 0 ? 'no damage' : `${damages.length} found`;
    for (const line of wrap(
      store,
      '',
      `${branches} branches, ${segments} segments, ${entries} entries: ${verdict}`,
      io.width,
    ))
      io.out(line);
  }
  return damages.length === 0 ? exitCodes.clean : exitCodes.found;
}

function rerun({ io, json }: VerbContext, { session: { log } }: Opened, branch: Branch): ExitCode {
  const head = log.head(branch.id);
  const found = verifyRerun(
    initialState(branch.machine, resetRegisters),
    log.read(branch.id, 1, head),
    cutsOf(branch, log),
  );
  const position = showPosition({ branch, seq: head });
  if (json)
    io.out(
      JSON.stringify({
        position,
        rerun: found === undefined,
        difference: differenceJson(found, branch, branch),
      }),
    );
  else {
    const verdict =
      found === undefined
        ? `rerun gives the same ${counted(head, 'entr').replace(/entrs?$/, 'entries')}`
        : 'rerun differs: recorded, and now';
    io.out(`${position}  ${verdict}`);
    for (const line of differenceLines(found, branch, branch, io.width)) io.out(line);
  }
  return found === undefined ? exitCodes.clean : exitCodes.found;
}

/** Where the branch and its ancestors left their parents: a step may be cut there. */
function cutsOf(branch: Branch, log: LogStore): ReadonlySet<number> {
  const byId = new Map(log.branches().map((each) => [each.id, each]));
  const cuts = new Set<number>();
  for (let parent = branch.parent; parent !== undefined; parent = byId.get(parent.branch)?.parent)
    cuts.add(parent.at);
  return cuts;
}
