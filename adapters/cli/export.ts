/** `export`: a history as a scenario file. What was run runs again from it, with the same entries. */
import type { Branch, LogStore } from '../../core/history/store.ts';
import { InputError } from '../input-error.ts';
import { type ExportProblem, exportLines, needsTurns } from '../scenario/export.ts';
import { openWhole, type WholeFile } from '../whole-file.ts';
import { type ExitCode, exitCodes, type Io, wrap } from './io.ts';
import { withStore } from './open.ts';
import { type Position, showPosition } from './position.ts';
import { startProgress } from './progress.ts';
import { counted } from './run-text.ts';
import { textOption, type Verb, type VerbContext } from './verb.ts';

const KINDS: readonly string[] = ['scenario'];

export const verb: Verb = {
  define(command) {
    command
      .argument('<kind>', `what becomes of it: ${KINDS.join(', ')}`)
      .argument('[position]', 'up to here; the head of the current branch when left out')
      .option('-o, --output <file>', 'write this file, whole or not at all; else standard output');
  },
  run(context, [kind = '', text], options) {
    if (!KINDS.includes(kind)) throw new InputError(`expected one of ${KINDS.join(', ')}, found "${kind}"`);
    return withStore(context, ({ session: { log }, position }) =>
      exportScenario(context, log, position(text), textOption(options, 'output')),
    );
  },
};

/** Lines between two looks at whether somebody still listens. */
const DRAIN_EVERY = 512;

async function exportScenario(
  { io, json }: VerbContext,
  log: LogStore,
  to: Position,
  file: string | undefined,
): Promise<ExitCode> {
  const sink = file === undefined ? standardOutput(io) : openWhole(file);
  const progress = startProgress(io, 'export', to.seq);
  let lines = 0;
  let read = 0;
  const counting = function* () {
    for (const entry of log.read(to.branch.id, 1, to.seq)) {
      read = entry.seq;
      yield entry;
    }
  };
  const turns = to.branch.parent !== undefined && needsTurns(to.branch.machine, counting());
  const made = exportLines(to.branch.machine, counting(), { labels: labelsOf(log, to.branch), turns });
  try {
    sink.put(`// ${showPosition(to)} of ${to.branch.source}`);
    for (let next = made.next(); ; next = made.next()) {
      if (next.done === true) {
        if (next.value !== undefined) return untold(io, sink, to.branch, next.value);
        break;
      }
      sink.put(JSON.stringify(next.value));
      lines += 1;
      if (lines % DRAIN_EVERY !== 0) continue;
      progress.at(read);
      await io.drain();
      if (io.interrupted || io.outClosed) return stopped(io, sink);
    }
    sink.keep();
  } catch (error) {
    sink.drop();
    throw error;
  } finally {
    progress.stop();
  }
  const said = { position: showPosition(to), lines, entries: to.seq };
  if (file === undefined) return exitCodes.clean;
  if (json) io.out(JSON.stringify({ ...said, file }));
  else
    for (const line of wrap(said.position, file, `${counted(lines, 'line')}, ${to.seq} entries`, io.width))
      io.out(line);
  return exitCodes.clean;
}

/** Bookmarks of the branch itself: labels of the lines that made them. */
function labelsOf(log: LogStore, branch: Branch): ReadonlyMap<number, readonly string[]> {
  const labels = new Map<number, string[]>();
  for (const { name, branch: owner, seq } of log.bookmarks())
    if (owner === branch.id)
      labels.set(seq, [...(labels.get(seq) ?? []), name.replace(`${branch.name}/`, '')]);
  return labels;
}

function untold(io: Io, sink: WholeFile, branch: Branch, { recorded, rerun }: ExportProblem): ExitCode {
  sink.drop();
  const now = rerun === undefined ? 'nothing' : `${rerun.type} of ${rerun.actor}`;
  io.err(
    `backwalk: ${showPosition({ branch, seq: recorded.seq })} is ${recorded.type} of ${recorded.actor} where the machine now says ${now}: another version wrote it; export what \`backwalk rerun\` makes of it`,
  );
  return exitCodes.cannotJudge;
}

function stopped(io: Io, sink: WholeFile): ExitCode {
  sink.drop();
  io.err('backwalk: interrupted; nothing was written to a file');
  return io.interrupted ? exitCodes.interrupted : exitCodes.cannotJudge;
}

/** Lines that have gone out cannot be taken back. */
function standardOutput(io: Io): WholeFile {
  return { put: (line) => io.out(line), keep: () => {}, drop: () => {} };
}
