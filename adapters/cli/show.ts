/** `show`: the state at a moment, decoded. */
import { resolveAt } from '../changes.ts';
import { exitCodes, printAll, wrap } from './io.ts';
import { withStore } from './open.ts';
import { showPosition } from './position.ts';
import type { Verb } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('[position]', 'the moment after this entry; the head when left out')
      .argument('[path...]', 'what to show; all of the machine when left out');
  },
  async run(context, [text, ...paths], _options) {
    const { io, json } = context;
    await withStore(context, async ({ session, position }) => {
      const at = position(text);
      const state = session.seek(at.branch, at.seq);
      const shown = showPosition(at);
      const found = (paths.length === 0 ? [''] : paths).map((path) => resolveAt(state, path));
      const lines = found.flatMap(({ path, value, lines }) =>
        json
          ? [JSON.stringify({ position: shown, path, value })]
          : lines.flatMap(({ below, text }) =>
              wrap(shown, `${path}${below}`.replace(/^\./, ''), text, io.width),
            ),
      );
      await printAll(io, lines);
    });
    return exitCodes.clean;
  },
};
