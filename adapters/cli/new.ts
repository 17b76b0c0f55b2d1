/** `new`: lists the scenarios that come with Backwalk, and copies one out to begin from. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { meant } from '../../core/path/near.ts';
import { InputError } from '../input-error.ts';
import { clip, exitCodes, printAll } from './io.ts';
import { packaged } from './packaged.ts';
import { textOption, type Verb } from './verb.ts';

const LIBRARY = 'test/scenario';
const ENDING = '.jsonl';

export const verb: Verb = {
  define(command) {
    command
      .argument('[file]', 'where the copy goes; NAME.jsonl here when left out')
      .option('--from <name>', 'a scenario of the library; without it, all are listed');
  },
  async run({ io, json }, [given], options) {
    const name = textOption(options, 'from');
    if (name === undefined) {
      if (given !== undefined)
        throw new InputError(`expected --from NAME with ${given}; \`backwalk new\` lists the names`);
      const rows = names().map((each) => ({ name: each, about: aboutOf(each) }));
      const width = Math.max(...rows.map((row) => row.name.length));
      await printAll(
        io,
        rows.map((row) =>
          json ? JSON.stringify(row) : clip(`${row.name.padEnd(width)}  ${row.about}`, io.width),
        ),
      );
      return exitCodes.clean;
    }
    if (!names().includes(name))
      throw new InputError(
        `expected a scenario of the library${meant(name, names())}, found "${name}"; \`backwalk new\` lists them`,
      );
    const file = given ?? `${name}${ENDING}`;
    if (existsSync(file)) throw new InputError(`expected a new file, found ${file}, which there is already`);
    writeFileSync(file, textOf(name));
    io.out(
      json ? JSON.stringify({ file, from: name }) : `${file}  from ${name}; run it: backwalk run ${file}`,
    );
    return exitCodes.clean;
  },
};

function names(): readonly string[] {
  return readdirSync(packaged(LIBRARY))
    .filter((file) => file.endsWith(ENDING))
    .map((file) => basename(file, ENDING))
    .sort();
}

function textOf(name: string): string {
  return readFileSync(join(packaged(LIBRARY), `${name}${ENDING}`), 'utf8');
}

/** The first comment of a scenario says what it is about. */
function aboutOf(name: string): string {
  const first = textOf(name).split('\n')[0] ?? '';
  return first.startsWith('//') ? first.slice(2).trim() : '';
}
