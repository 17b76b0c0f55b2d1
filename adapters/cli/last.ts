/** `last`: the last change of something before a position. */
import { changesBack } from '../changes.ts';
import { changeJson, changeLines } from './change-text.ts';
import { exitCodes, printAll } from './io.ts';
import { withStore } from './open.ts';
import { showPosition } from './position.ts';
import type { Verb } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('<path>', 'what changed')
      .argument('[position]', 'the last change up to here; the head when left out');
  },
  async run(context, [path = '', text], _options) {
    const { io, json } = context;
    await withStore(context, async ({ session, position }) => {
      const at = position(text);
      const [change] = changesBack(session, at.branch, path, 0, at.seq);
      if (change !== undefined) {
        await printAll(
          io,
          json ? [JSON.stringify(changeJson(change, at))] : changeLines(change, at, io.width),
        );
      } else if (json) io.out(JSON.stringify({ position: null, path }));
      else
        io.out(
          `${showPosition({ branch: at.branch, seq: 0 })}  ${path}  has not changed up to ${showPosition(at)}`,
        );
    });
    return exitCodes.clean;
  },
};
