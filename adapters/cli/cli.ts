/** From a command line to an exit code. Verbs are loaded when they are called. */
import { Command, CommanderError } from 'commander';
import { meant } from '../../core/path/near.ts';
import { messageOf } from '../../snapshots/store-error.ts';
import { InputError } from '../input-error.ts';
import { type ExitCode, exitCodes, type Io } from './io.ts';
import type { Options } from './verb.ts';
import { laterVerbs, type VerbRow, verbs } from './verbs.ts';

const VERSION = '0.1.0';

/** Errors of the outside: their message is enough. All others are bugs of ours. */
const OUTSIDE: readonly string[] = ['InputError', 'StoreError', 'ConflictError'];

/** Options that need no verb. */
const ABOUT: readonly string[] = ['-h', '--help', '-V', '--version'];

const rows: Readonly<Record<string, VerbRow>> = {
  ...verbs,
  help: { summary: 'help on a verb, or on scenario, paths, positions', load: () => import('./help.ts') },
};

/** @param args the command line without the program's name. */
export async function runCli(args: readonly string[], io: Io): Promise<ExitCode> {
  const { said, told } = listening(io);
  try {
    return await runVerb(args, told);
  } catch (error) {
    // A damaged cache is condemned when it is met, and made again when the store is next opened.
    if (!said() && isCacheDamage(error))
      return runVerb(args, io).catch((again: unknown) => report(again, io));
    return report(error, io);
  }
}

function isCacheDamage(error: unknown): boolean {
  return error instanceof Error && error.name === 'StoreError' && error.message.endsWith('try again');
}

/** The same outside, and whether anything was said there: what was said cannot be said anew. */
function listening(io: Io): { readonly told: Io; said(): boolean } {
  let spoken = false;
  const out = (line: string): void => {
    spoken = true;
    io.out(line);
  };
  return { told: Object.create(io, { out: { value: out } }) as Io, said: () => spoken };
}

async function runVerb(args: readonly string[], io: Io): Promise<ExitCode> {
  const called = verbOf(args);
  if (called === undefined && !args.some((arg) => ABOUT.includes(arg))) {
    await runVerb(['help'], Object.create(io, { out: { value: io.err } }) as Io);
    return exitCodes.badInput;
  }
  if (called !== undefined && !Object.hasOwn(rows, called)) throw new InputError(unknownVerb(called));
  let exit: ExitCode | undefined;
  let prepared = args;
  const program = programOf(io);
  for (const [name, row] of Object.entries(rows)) {
    const command = program
      .command(name)
      .description(row.summary)
      .configureOutput(outputTo(io))
      .exitOverride();
    if (name !== called) continue;
    const { verb } = await row.load();
    verb.define(command);
    prepared = verb.prepare?.(args) ?? args;
    command.action(async () => {
      const { store, json } = program.opts<{ store?: string; json?: boolean }>();
      const file = store ?? io.env['BACKWALK_STORE'] ?? './backwalk.bw';
      const needsFindings = args.some((arg) => arg.includes('first finding'));
      const context = { io, store: file, json: json === true, needsFindings, call: runCli };
      exit = await verb.run(context, command.args, command.opts<Options>());
    });
  }
  await program.parseAsync([...prepared], { from: 'user' });
  return exit ?? exitCodes.clean;
}

function programOf(io: Io): Command {
  return new Command('backwalk')
    .description('An event-sourced, time-travelling simulator of the Arm SMMUv3')
    .version(VERSION)
    .option('-s, --store <file>', 'the store (BACKWALK_STORE, or ./backwalk.bw)')
    .option('--json', 'one JSON object a line, with stable fields')
    .helpCommand(false)
    .configureOutput(outputTo(io))
    .exitOverride();
}

/** Commander's own words go where ours go; its errors come as exceptions and are said in our form. */
function outputTo(io: Io) {
  return {
    writeOut: (text: string) => io.out(text.trimEnd()),
    writeErr: () => {},
    getOutHelpWidth: () => io.width ?? 80,
    getOutHasColors: () => false,
  };
}

/** The first argument that is neither an option nor the value of one. */
function verbOf(args: readonly string[]): string | undefined {
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? '';
    if (arg === '-s' || arg === '--store') at += 1;
    else if (!arg.startsWith('-') || arg === '-') return arg;
  }
  return undefined;
}

function unknownVerb(name: string): string {
  if (laterVerbs.includes(name)) return `${name} is not in this version of Backwalk`;
  const known = Object.keys(rows);
  return `expected a verb (${known.join(', ')}), found "${name}"${meant(name, known)}`;
}

function report(error: unknown, io: Io): ExitCode {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCodes.clean;
    if (error.code === 'commander.help') return exitCodes.badInput;
    io.err(`backwalk: ${error.message.replace(/^error: /, '').replaceAll('\n', ' ')}`);
    return exitCodes.badInput;
  }
  const stack = error instanceof Error ? error.stack : undefined;
  if (io.env['BACKWALK_DEBUG'] === '1' && stack !== undefined) io.err(stack);
  if (error instanceof Error && OUTSIDE.includes(error.name)) {
    io.err(`backwalk: ${error.message}`);
    return exitCodes.badInput;
  }
  io.err(`backwalk: a bug in Backwalk: ${messageOf(error)} (BACKWALK_DEBUG=1 shows where)`);
  return exitCodes.cannotJudge;
}
