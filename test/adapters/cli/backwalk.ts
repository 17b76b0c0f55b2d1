/** Calls the command line inside the test's process, with a store in a folder of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll } from 'vitest';
import { runCli } from '../../../adapters/cli/cli.ts';
import type { Io } from '../../../adapters/cli/io.ts';

export interface Said {
  readonly code: number;
  readonly out: readonly string[];
  readonly err: readonly string[];
}

export interface Shell {
  readonly folder: string;
  readonly store: string;
  /** Writes a file into the folder and gives its path. */
  file(name: string, text: string): string;
  /** `backwalk ARGS`, with the shell's store. */
  backwalk(...args: readonly string[]): Promise<Said>;
  /** The same with lines on standard input. */
  piped(input: string, ...args: readonly string[]): Promise<Said>;
  /** The same, but Ctrl-C is pressed after so many looks at whether it was. */
  stopped(looks: number, ...args: readonly string[]): Promise<Said>;
}

export function openShell(): Shell {
  const folder = mkdtempSync(join(tmpdir(), 'backwalk-cli-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const store = join(folder, 'test.bw');
  const call = async (input: string, looks: number, args: readonly string[]): Promise<Said> => {
    let looked = 0;
    const out: string[] = [];
    const err: string[] = [];
    const io: Io = {
      stdin: Readable.from([Buffer.from(input)]),
      env: { BACKWALK_STORE: store },
      out: (line) => out.push(...line.split('\n')),
      err: (line) => err.push(...line.split('\n')),
      drain: async () => {},
      outClosed: false,
      get interrupted() {
        looked += 1;
        return looked > looks;
      },
      width: 80,
      showsProgress: false,
    };
    const code = await runCli(args, io);
    return { code, out, err };
  };
  return {
    folder,
    store,
    file: (name, text) => {
      const path = join(folder, name);
      writeFileSync(path, text);
      return path;
    },
    backwalk: (...args) => call('', Number.POSITIVE_INFINITY, args),
    piped: (input, ...args) => call(input, Number.POSITIVE_INFINITY, args),
    stopped: (looks, ...args) => call('', looks, args),
  };
}
