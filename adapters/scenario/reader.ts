/**
 * Reads scenarios as they come: JSON Lines from a file or a pipe in chunks of whole lines, and
 * TypeScript modules. Memory does not grow with the length of the file.
 */
import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { messageOf } from '../../snapshots/store-error.ts';
import { InputError, type Place } from '../input-error.ts';
import { isScenario, type ScenarioOutcome } from './scenario.ts';

export interface SourceLine {
  readonly place: Place;
  /** The line's object, parsed when asked: a broken line is a problem only when its turn comes. */
  read(): unknown;
}

/** Lines that came together; `answer` tells a module what its line gave. */
export interface Chunk {
  readonly lines: Iterable<SourceLine>;
  /** How much of the source they are: bytes of a file, objects of a module. */
  readonly size: number;
  answer?(outcome: ScenarioOutcome): void;
}

/** No line of a scenario is longer: 16 MiB of bytes as hexadecimal digits, and some. */
const LINE_MAX = 48 * 1024 * 1024;

/** The scenario in `file`; `-` is `stdin`. */
export async function* readScenario(file: string, stdin: Readable): AsyncGenerator<Chunk> {
  if (file === '-') yield* jsonLines(stdin, '<stdin>');
  else if (/\.[cm]?[tj]s$/.test(file)) yield* moduleLines(file);
  else yield* jsonLines(openFile(file), file);
}

function openFile(file: string): Readable {
  return createReadStream(file, { highWaterMark: 256 * 1024 });
}

/** Whole lines of each chunk that the stream gives; blank lines and `//` lines are skipped. */
export async function* jsonLines(stream: Readable, file: string): AsyncGenerator<Chunk> {
  const decoder = new TextDecoder('utf-8');
  let rest = '';
  let line = 0;
  const cut = (text: string): SourceLine[] => {
    const lines: SourceLine[] = [];
    for (const each of text.split('\n')) {
      line += 1;
      const content = each.trim();
      if (content !== '' && !content.startsWith('//')) lines.push(sourceLine(content, { file, line }));
    }
    return lines;
  };
  try {
    for await (const data of stream) {
      const text =
        rest + (typeof data === 'string' ? data : decoder.decode(data as Uint8Array, { stream: true }));
      const end = text.lastIndexOf('\n');
      rest = text.slice(end + 1);
      if (rest.length > LINE_MAX)
        throw new InputError(`expected a line of at most ${LINE_MAX} characters`, { file, line: line + 1 });
      if (end >= 0) yield { lines: cut(text.slice(0, end)), size: end + 1 };
    }
  } catch (error) {
    if (error instanceof InputError || (error as { syscall?: string }).syscall === undefined) throw error;
    throw new InputError(`cannot read ${file}: ${messageOf(error)}`);
  }
  rest += decoder.decode();
  if (rest.trim() !== '') yield { lines: cut(rest), size: rest.length };
}

function sourceLine(content: string, place: Place): SourceLine {
  return {
    place,
    read: () => {
      try {
        return JSON.parse(content);
      } catch (error) {
        throw new InputError(`expected a JSON object, found what is no JSON (${messageOf(error)})`, place);
      }
    },
  };
}

/** A module's lines, one at a time, so that each can be answered before the next is made. */
async function* moduleLines(file: string): AsyncGenerator<Chunk> {
  const found = await load(file);
  if (!isScenario(found)) throw new InputError('expected a default export made by scenario()', { file });
  const lines = found.lines()[Symbol.iterator]() as Iterator<unknown, unknown, ScenarioOutcome | undefined>;
  let outcome: ScenarioOutcome | undefined;
  for (let line = 1; ; line += 1) {
    const next = nextOf(lines, outcome, { file, line });
    if (next.done === true) return;
    const { value } = next;
    yield {
      lines: [{ place: { file, line }, read: () => value }],
      size: 1,
      answer: (given) => {
        outcome = given;
      },
    };
  }
}

function nextOf(
  lines: Iterator<unknown, unknown, ScenarioOutcome | undefined>,
  outcome: ScenarioOutcome | undefined,
  place: Place,
): IteratorResult<unknown, unknown> {
  try {
    return lines.next(outcome);
  } catch (error) {
    throw new InputError(`the scenario's own code failed: ${messageOf(error)}`, place);
  }
}

async function load(file: string): Promise<unknown> {
  const url = pathToFileURL(resolve(file)).href;
  try {
    const { tsImport } = await import('tsx/esm/api');
    const loaded = (await tsImport(url, import.meta.url)) as { default?: unknown };
    const found = loaded.default;
    // A CommonJS module's exports come as one more default.
    return isScenario(found) ? found : (found as { default?: unknown } | undefined)?.default;
  } catch (error) {
    throw new InputError(`cannot load ${file}: ${messageOf(error)}`);
  }
}
