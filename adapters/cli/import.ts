/** `import`: brings a foreign trace in. Each kind has an importer of its own. */
import { InputError } from '../input-error.ts';
import type { Verb } from './verb.ts';

const KINDS: readonly string[] = ['qemu-trace'];

export const verb: Verb = {
  define(command) {
    command
      .argument('<kind>', `${KINDS.join(', ')}`)
      .argument('<file>', 'the trace; .gz too')
      .option('--as <name>', 'name of the new history');
  },
  async run(_context, [kind = ''], _options) {
    if (!KINDS.includes(kind))
      throw new InputError(`expected a kind of trace (${KINDS.join(', ')}), found "${kind}"`);
    throw new InputError('import is not in this version of Backwalk');
  },
};
