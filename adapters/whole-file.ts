/** Files that appear when they are whole: written beside their place, then put there, or taken away. */
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { messageOf } from '../snapshots/store-error.ts';
import { InputError } from './input-error.ts';

export interface WholeFile {
  put(line: string): void;
  /** All is there: the file takes its place. */
  keep(): void;
  /** It was not to be: nothing stays. */
  drop(): void;
}

/** Begins a file; an InputError when it cannot be written. */
export function openWhole(file: string): WholeFile {
  const temporary = `${file}.${process.pid}.tmp`;
  const attempt = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw new InputError(`cannot write ${file}: ${messageOf(error)}`);
    }
  };
  const open = attempt(() => openSync(temporary, 'w'));
  let closed = false;
  const close = (): void => {
    if (!closed) closeSync(open);
    closed = true;
  };
  return {
    put: (line) => {
      attempt(() => writeSync(open, `${line}\n`));
    },
    keep() {
      close();
      attempt(() => renameSync(temporary, file));
    },
    drop() {
      close();
      rmSync(temporary, { force: true });
    },
  };
}

/** Writes the whole file or leaves the old one. */
export function writeWhole(file: string, lines: readonly string[]): void {
  const whole = openWhole(file);
  try {
    for (const line of lines) whole.put(line);
    whole.keep();
  } catch (error) {
    whole.drop();
    throw error;
  }
}
