/**
 * `demo`: the whole way on a real capture, each step a command that can be typed: import, find the
 * stale DMA, fork where the store was, insert what was missing, and find the fork clean.
 */
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { Finding } from '../../projections/finding.ts';
import { InputError } from '../input-error.ts';
import { type ExitCode, exitCodes, type Io } from './io.ts';
import { packaged } from './packaged.ts';
import type { Verb, VerbContext } from './verb.ts';

const CAPTURE = 'test/data/qemu/stale-after-unmap.trace.gz';
const FORK = 'with-tlbi';

export const verb: Verb = {
  define(command) {
    command.argument('[file]', 'a capture; the stale DMA of the Linux 6.1 driver');
  },
  async run(context, [given]) {
    const { io } = context;
    const file = given ?? relative(process.cwd(), packaged(CAPTURE));
    if (!existsSync(file)) throw new InputError(`no file ${file}`);
    const folder = mkdtempSync(join(tmpdir(), 'backwalk-'));
    const store = join(folder, 'demo.bw');
    const step = (args: readonly string[]): Promise<ExitCode> => spoken(context, [...args, '-s', store]);
    if ((await step(['import', 'qemu-trace', file])) !== exitCodes.clean) return exitCodes.badInput;
    const findings = await ask(context, ['check', '--json', '-s', store]);
    const first = findings.find((each) => each.verdict === 'used-stale');
    if (first === undefined) {
      await step(['check']);
      return exitCodes.clean;
    }
    await step(['check', '--explain', `main@0..${first.position}`]);
    const fix = join(folder, 'fix.jsonl');
    writeFileSync(fix, `${fixLines(first).join('\n')}\n`);
    io.out('');
    io.out(`$ cat ${fix}`);
    for (const line of fixLines(first)) io.out(line);
    const seq = first.blame.position.split('@')[1] ?? '';
    await step(['rerun', first.blame.position, '--insert', seq, fix, '--as', FORK]);
    const left = await step(['check', FORK]);
    io.out('');
    io.out(verdict(findings.length, left));
    io.out(`The store is ${store}: go on with \`npx backwalk log -s ${store}\`.`);
    return left === exitCodes.clean ? exitCodes.clean : exitCodes.found;
  },
};

function verdict(found: number, left: ExitCode): string {
  return left === exitCodes.clean
    ? `${found} findings before, none on the fork: the missing invalidation was the cause.`
    : `${found} findings before; the fork is not clean.`;
}

/** A file of the package, wherever it was started from. */
function fixLines({ missing }: Finding): readonly string[] {
  return missing.commands.map(({ command, fields }) =>
    JSON.stringify({ op: 'command.issue', smmu: 'smmu0', command, fields }),
  );
}

/** Runs a command and shows it as it would be typed. */
async function spoken({ io, call }: VerbContext, args: readonly string[]): Promise<ExitCode> {
  io.out('');
  io.out(`$ backwalk ${args.map(quoted).join(' ')}`);
  await io.drain();
  return call(args, io);
}

function quoted(arg: string): string {
  return /^[\w@./:~=+,-]+$/.test(arg) ? arg : `'${arg}'`;
}

/** Runs a command for its JSON lines. */
async function ask({ io, call }: VerbContext, args: readonly string[]): Promise<readonly Finding[]> {
  const lines: string[] = [];
  const listening: Io = {
    ...io,
    out: (line) => {
      lines.push(line);
    },
    get outClosed() {
      return io.outClosed;
    },
    get interrupted() {
      return io.interrupted;
    },
  };
  await call(args, listening);
  return lines.map((line) => JSON.parse(line) as Finding);
}
