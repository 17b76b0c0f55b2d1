/** The shape of a verb: what it takes, and what it does. Each stands in a file of its own, loaded when called. */
import type { Command } from 'commander';
import type { ExitCode, Io } from './io.ts';

/** What every verb is given besides its own arguments and options. */
export interface VerbContext {
  readonly io: Io;
  /** The store's file. */
  readonly store: string;
  readonly json: boolean;
  /** An argument asks for `@{first finding}`: the rules have to be at hand. */
  readonly needsFindings: boolean;
  /** Runs a command line as if it had been typed. */
  call(args: readonly string[], io: Io): Promise<ExitCode>;
}

export type Options = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

export interface Verb {
  /** Declares arguments and options. */
  define(command: Command): void;
  /** Rewrites the command line before it is parsed. */
  prepare?(args: readonly string[]): readonly string[];
  run(context: VerbContext, args: readonly string[], options: Options): Promise<ExitCode>;
}

/** The text of an option that takes one. */
export function textOption(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

/** All texts of an option that may be given several times. */
export function listOption(options: Options, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? value : [];
}

/** For commander: gathers an option that may be given several times. */
export function gather(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}
