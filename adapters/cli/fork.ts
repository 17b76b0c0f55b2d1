/** `fork`: a branch that leaves another at a position. Nothing is copied. */
import { exitCodes } from './io.ts';
import { checkNewName, withStore } from './open.ts';
import { showPosition } from './position.ts';
import type { Verb } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('<name>', 'of the new branch')
      .argument('[position]', 'where it leaves; the head when left out')
      .option('--use', 'make it the current branch');
  },
  async run(context, [name = '', text], options) {
    const { io, json } = context;
    await withStore(context, async ({ session, position }) => {
      const { log } = session;
      const at = position(text);
      checkNewName(
        name,
        log.branches().map((branch) => branch.name),
      );
      const branch = log.fork(name, at.branch.id, at.seq);
      if (options['use'] === true) log.setCurrent(branch.id);
      await log.flush();
      const shown = showPosition({ branch, seq: at.seq });
      if (json) io.out(JSON.stringify({ position: shown, parent: showPosition(at) }));
      else io.out(`${shown}  forked from ${showPosition(at)}`);
    });
    return exitCodes.clean;
  },
};
