/** `watch`: every change of something in a range, oldest first. */
import { changesBack, resolveAt } from '../changes.ts';
import { changeJson, changeLines } from './change-text.ts';
import { exitCodes, printAll } from './io.ts';
import { withStore } from './open.ts';
import type { Verb } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('<path>', 'what changes')
      .argument('[range]', 'positions A..B; all of the branch when left out');
  },
  async run(context, [path = '', text], _options) {
    const { io, json } = context;
    await withStore(context, async ({ session, range }) => {
      const { from, to } = range(text);
      resolveAt(session.seek(to.branch, to.seq), path);
      const changes = [...changesBack(session, to.branch, path, from.seq, to.seq)].reverse();
      const lines = changes.flatMap((change) =>
        json ? [JSON.stringify(changeJson(change, to))] : changeLines(change, to, io.width),
      );
      await printAll(io, lines);
    });
    return exitCodes.clean;
  },
};
