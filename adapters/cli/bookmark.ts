/** `bookmark`: names a position, or lists the names. */
import { InputError } from '../input-error.ts';
import { clip, exitCodes, printAll } from './io.ts';
import { withStore } from './open.ts';
import { bookmarkNameProblem, showPosition } from './position.ts';
import type { Verb } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('[name]', 'the position is then @{name}; without a name, all bookmarks are listed')
      .argument('[position]', 'the head when left out')
      .option('--move', 'let an existing name mean the new position');
  },
  async run(context, [name, text], options) {
    const { io, json } = context;
    await withStore(context, async ({ session: { log }, source, position }) => {
      if (name !== undefined) {
        const at = position(text);
        const problem = bookmarkNameProblem(name, source);
        if (problem !== undefined) throw new InputError(problem);
        if (options['move'] !== true && log.bookmarks().some((each) => each.name === name)) {
          throw new InputError(
            `expected a new name, found "${name}", which there is already (--move moves it)`,
          );
        }
        log.setBookmark({ name, branch: at.branch.id, seq: at.seq });
        await log.flush();
      }
      const branches = new Map(log.branches().map((branch) => [branch.id, branch]));
      const lines = log.bookmarks().flatMap((mark) => {
        const branch = branches.get(mark.branch);
        if (branch === undefined || (name !== undefined && mark.name !== name)) return [];
        const shown = showPosition({ branch, seq: mark.seq });
        return [
          json
            ? JSON.stringify({ position: shown, name: mark.name })
            : clip(`${shown.padEnd(20)} @{${mark.name}}`, io.width),
        ];
      });
      await printAll(io, lines);
    });
    return exitCodes.clean;
  },
};
