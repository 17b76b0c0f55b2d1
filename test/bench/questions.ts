/**
 * The questions people ask of a history: the last change of a path, a search, the first position at which
 * something holds, why. Each is asked of a store that was just opened, in process: what the machine's own
 * file cache holds is warm, Backwalk's memory is not. The history is that of a driver which maps, uses and unmaps
 * pages; its length is BACKWALK_BENCH_ENTRIES (default 1 million). Wanted is under 100 ms at 10^6, 1 s at 10^7.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setAutoFreeze } from 'immer';
import { changesBack } from '../../adapters/changes.ts';
import { firstTrue } from '../../adapters/cli/first-true.ts';
import { lookupAt } from '../../adapters/cli/moments.ts';
import { holds, parsePredicate } from '../../adapters/cli/predicate.ts';
import { termRows } from '../../adapters/cli/search-terms.ts';
import { openStores } from '../../adapters/cli/stores.ts';
import { openEvidence } from '../../adapters/cli/why/evidence.ts';
import { rows as reasons } from '../../adapters/cli/why/rows.ts';
import { unfold } from '../../adapters/cli/why/tree.ts';
import { Session } from '../../adapters/session.ts';
import { present } from '../../core/assert.ts';
import type { Branch } from '../../core/history/store.ts';
import { recordDriver } from './pipeline.ts';
import { median, type Row, timed } from './row.ts';

const ENTRIES = Number(process.env['BACKWALK_BENCH_ENTRIES'] ?? 1_000_000);
const ROUNDS = 5;
const WANTED_MS = ENTRIES > 1_500_000 ? 1000 : 100;

/** Questions that go to many moments. */
const LONGER = 5;

type Ask = (session: Session, branch: Branch, head: number) => unknown;

const last =
  (path: string): Ask =>
  (session, branch, head) =>
    changesBack(session, branch, path, 0, head).next().value;

const search =
  (newest: boolean, ...asked: readonly (readonly [option: string, text: string])[]): Ask =>
  (session, branch, head) => {
    const groups = asked.map(([option, text]) => {
      const row = present(
        termRows.find((each) => each.option === option),
        option,
      );
      return row.term(text, branch.machine).keys;
    });
    const found = session.index.matching(
      branch.id,
      groups,
      { from: 0, to: head },
      newest ? 'newest' : 'oldest',
    );
    return [...take(found, 20)];
  };

function* take<T>(all: Iterable<T>, count: number): Generator<T> {
  let left = count;
  for (const each of all) {
    yield each;
    left -= 1;
    if (left === 0) return;
  }
}

const bisect =
  (expression: string): Ask =>
  (session, branch, head) => {
    const predicate = parsePredicate(expression);
    const at = async (seq: number): Promise<boolean> =>
      holds(predicate, lookupAt(session, { branch, seq }, new Map()));
    return firstTrue(0, head, 0, at);
  };

const why: Ask = (session, branch, head) => {
  const evidence = openEvidence(session, branch, head, reasons);
  const [access] = session.index.matching(
    branch.id,
    [['type:access.completed']],
    { from: 0, to: head },
    'newest',
  );
  const [root] = evidence.because('', present(access, 'an access').seq);
  return unfold(present(root, 'a reason'), { depth: 5, breadth: 8 });
};

// biome-ignore format: a table
const questions: readonly (readonly [name: string, ask: Ask, factor?: number])[] = [
  ['last: a register that changes all the time', last('smmu0.cmdq.cons')],
  ['last: a field that changed once, at the start', last('smmu0.regs.CR0.SMMUEN')],
  ['last: a field that never changed (cmdq.err)', last('smmu0.cmdq.err')],
  ['last: a cache that was filled at the start', last('smmu0.ste')],
  ['last: an entry of the TLB', last('smmu0.tlb')],
  ['last: a decoded field of an STE', last('smmu0.ste[8].Config')],
  ['last: a slot that is rewritten with the same', last('smmu0.cmdq[3].Opcode')],
  ['search: a page, last 20', search(true, ['iova', '0x1f3000..0x1f3fff'])],
  ['search: 2 MiB of addresses, first 20', search(false, ['iova', '0x100000..0x2fffff'])],
  ['search: type and address together, last 20', search(true, ['type', 'dma'], ['iova', '0x1f3080'])],
  ['search: an ASID that nobody has', search(true, ['asid', '77'])],
  ['search: a record that never was', search(false, ['record', 'F_TRANSLATION'])],
  ['search: CR0, all', search(false, ['register', 'CR0'])],
  ['bisect: halving by a register', bisect('smmu0.regs.CR0.SMMUEN'), LONGER],
  ['why: the last access', why, LONGER],
];

/** One row a question: the median of several openings. */
export async function rows(): Promise<readonly Row[]> {
  setAutoFreeze(false);
  const folder = mkdtempSync(join(tmpdir(), 'backwalk-bench-'));
  const file = join(folder, 'questions.bw');
  await recordDriver(file, ENTRIES);
  const out: Row[] = [];
  for (const [name, ask, factor = 1] of questions)
    out.push(await measured(file, name, ask, factor * WANTED_MS));
  rmSync(folder, { recursive: true, force: true });
  return out;
}

async function measured(file: string, name: string, ask: Ask, wantedMs: number): Promise<Row> {
  const times: number[] = [];
  const cpus: number[] = [];
  let head = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const session = new Session(await openStores(file));
    const main = present(session.log.branches()[0], 'a branch');
    head = session.log.head(main.id);
    const before = process.cpuUsage();
    times.push(await timed(async () => ask(session, main, head)));
    const { user, system } = process.cpuUsage(before);
    cpus.push((user + system) / 1000);
    await session.close();
  }
  // Others may be at work on the machine: the processor's time tells what the question takes.
  const ms = Math.min(median(times), median(cpus));
  return {
    measure: name,
    ours: `${median(times).toFixed(1)} ms, cpu ${median(cpus).toFixed(1)} ms`,
    against: `${head} entries`,
    ratio: '-',
    wanted: `<= ${wantedMs} ms`,
    met: ms <= wantedMs,
  };
}
