/**
 * The whole way: stimuli to durable entries with RxJS and snapshots, and then what people wait for:
 * opening, rewinding to drawn positions, looking up the last change, forking. The history is that of
 * a driver which maps, uses and unmaps pages; its length is BACKWALK_BENCH_ENTRIES (default 2 million).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setAutoFreeze } from 'immer';
import { openStores } from '../../adapters/cli/stores.ts';
import { Session } from '../../adapters/session.ts';
import type { Entry } from '../../core/event.ts';
import type { Branch } from '../../core/history/store.ts';
import { touchKey } from '../../core/history/touch.ts';
import { Simulation } from '../../core/simulation.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import {
  ASID,
  at,
  bringUp,
  command,
  dma,
  issue,
  leafPa,
  machine,
  map,
  reset,
  tables,
  unmap,
} from '../support/build.ts';
import { PlainReducer } from './plain.ts';
import { percentile, perSecond, type Row, timed } from './row.ts';

const ENTRIES = Number(process.env['BACKWALK_BENCH_ENTRIES'] ?? 2_000_000);
const COMMIT = 8_192;
const SEEKS = 200;

export async function rows(): Promise<readonly Row[]> {
  setAutoFreeze(false);
  const folder = mkdtempSync(join(tmpdir(), 'backwalk-bench-'));
  const file = join(folder, 'pipeline.bw');
  const out = [await record(file), ...(await travel(file)), processRow(file)];
  rmSync(folder, { recursive: true, force: true });
  return out;
}

/** A driver that never ends: map, two DMAs, unmap, invalidate, sync. */
function* driver(): Generator<Stimulus> {
  yield* bringUp();
  yield* tables();
  for (let index = 0, prod = 0; ; index += 1) {
    const iova = (index % 500) * 4096;
    yield map(iova, at.data + (index % 4096) * 4096);
    yield dma(iova, 'write', 64);
    yield dma(iova + 128, 'read', 64);
    yield unmap(iova);
    const invalidate = command('CMD_TLBI_NH_VA', { ASID, Address: iova, Leaf: true });
    yield* issue(prod, invalidate, command('CMD_SYNC'));
    prod = (prod + 2) % 512;
  }
}

/** Records the driver's history of at least `entries` in a new store; gives what it took. */
export async function recordDriver(
  file: string,
  entries: number,
): Promise<{ readonly stimuli: number; readonly head: number; readonly ms: number }> {
  const config = machine();
  const session = new Session(await openStores(file));
  const branch = session.log.createRoot('main', config, 'bench');
  const simulation = new Simulation(reset(config));
  const recorder = session.appendFrom(simulation, branch);
  let stimuli = 0;
  const ms = await timed(async () => {
    for (const stimulus of driver()) {
      simulation.dispatch(stimulus);
      stimuli += 1;
      if (recorder.waiting < COMMIT) continue;
      recorder.commit().catch(() => {});
      await recorder.room();
      if (recorder.head >= entries) break;
    }
    await recorder.finish();
  });
  const { head } = recorder;
  await session.close();
  return { stimuli, head, ms };
}

async function record(file: string): Promise<Row> {
  const { stimuli, head, ms } = await recordDriver(file, ENTRIES);
  const session = new Session(await openStores(file));
  const [branch] = session.log.branches();
  if (branch === undefined) throw new Error('the store has a branch');
  const plain = plainRate(session, branch, Math.min(head, 500_000));
  await session.close();
  const rate = (stimuli / ms) * 1000;
  const ratio = ((head / ms) * 1000) / plain;
  const bytes = statSync(file).size / head;
  const cache = statSync(`${file}.cache`).size / head;
  return {
    measure: `pipeline: ${stimuli} stimuli to ${head} durable entries, snapshots on`,
    ours: `${perSecond(rate)} stimuli, ${bytes.toFixed(1)} + ${cache.toFixed(1)} B/entry`,
    against: `${perSecond(plain)} plain mutable`,
    ratio: ratio.toFixed(3),
    wanted: '>= 0.02, >= 100k/s, <= 10 / 35 B',
    met: ratio >= 0.02 && rate >= 1e5 && bytes <= 10 && bytes + cache <= 35,
  };
}

/** The same entries through the plain reducer, a second. */
function plainRate(session: Session, branch: Branch, count: number): number {
  const entries: Entry[] = [...session.log.read(branch.id, 1, count)];
  const plain = new PlainReducer(16_384);
  const start = performance.now();
  plain.fold(entries);
  return (count / (performance.now() - start)) * 1000;
}

async function travel(file: string): Promise<readonly Row[]> {
  let session = new Session(await openStores(file));
  const [main] = session.log.branches();
  if (main === undefined) throw new Error('the store has a branch');
  const head = session.log.head(main.id);
  await session.close();
  const openMs = await timed(async () => {
    session = new Session(await openStores(file));
    session.seek(main, session.log.head(main.id));
  });
  const seeks: number[] = [];
  let random = 1;
  for (let count = 0; count < SEEKS; count += 1) {
    random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
    const seq = 1 + Math.floor((random / 2 ** 32) * head);
    seeks.push(await timed(() => session.seek(main, seq)));
  }
  const lasts: number[] = [];
  session.index.touching(main.id, 'type:dma', head)[Symbol.iterator]().next();
  for (let count = 0; count < 50; count += 1) {
    const key = touchKey('page', leafPa(((count * 37) % 500) * 4096));
    const before = Math.floor(((count + 1) / 51) * head);
    lasts.push(await timed(() => session.index.touching(main.id, key, before)[Symbol.iterator]().next()));
  }
  const before = statSync(file).size;
  const forkMs = await timed(async () => {
    session.log.fork('forked', main.id, Math.floor(head / 2));
    await session.log.flush();
  });
  const grown = statSync(file).size - before;
  await session.close();
  const [p50, p99] = [percentile(seeks, 0.5), percentile(seeks, 0.99)];
  return [
    row('open to first state, in process', openMs, `${head} entries`, 10),
    {
      ...row(`rewind to a drawn position, p50 / p99 of ${SEEKS}`, p50, `${head} entries`, 5),
      ours: `${p50.toFixed(1)} / ${p99.toFixed(1)} ms`,
      wanted: '<= 5 / 30 ms',
      met: p50 <= 5 && p99 <= 30,
    },
    row('last change of a page, p99 of 50', percentile(lasts, 0.99), `${head} entries`, 100),
    { ...row('fork, durable', forkMs, `${grown} bytes`, 10), met: forkMs <= 10 && grown <= 16_384 },
  ];
}

function row(measure: string, ms: number, against: string, mostMs: number): Row {
  return {
    measure,
    ours: `${ms.toFixed(1)} ms`,
    against,
    ratio: '-',
    wanted: `<= ${mostMs} ms`,
    met: ms <= mostMs,
  };
}

/** From the start of the process to the first answer. */
function processRow(file: string): Row {
  const cli = fileURLToPath(new URL('../../adapters/cli/main.js', import.meta.url));
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    spawnSync(process.execPath, [cli, 'show', '@{50%}', 'smmu0.regs.CR0', '-s', file]);
    return performance.now() - start;
  });
  return row('show @{50%} from process start', percentile(times, 0.5), 'store opened', 300);
}
