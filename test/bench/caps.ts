/**
 * Findings of I10 and rows of the ledger of capabilities, each from the other, in a history of BACKWALK_BENCH_ENTRIES
 * (default 1 million): a VM whose guest was promised coherent walks that hardware does not have, and whose device is
 * kept busy. The store is opened anew for each question; `run` and `check` have kept what they folded, as they do.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setAutoFreeze } from 'immer';
import { checkAndKeep, findingsAt, rowsAt } from '../../adapters/caps-links.ts';
import { openStores } from '../../adapters/cli/stores.ts';
import { Session } from '../../adapters/session.ts';
import { present } from '../../core/assert.ts';
import type { Branch } from '../../core/history/store.ts';
import { Simulation } from '../../core/simulation.ts';
import { smmuConfig } from '../../core/smmu/profiles.ts';
import { findingsOfRow, rowsOfFinding } from '../../projections/caps/links.ts';
import type { Finding } from '../../projections/finding.ts';
import { reset } from '../support/build.ts';
import { vmConfig } from '../support/vm.ts';
import { median, type Row, timed } from './row.ts';

const ENTRIES = Number(process.env['BACKWALK_BENCH_ENTRIES'] ?? 1_000_000);
const ROUNDS = 5;
const WANTED_MS = 100;
const COMMIT = 8192;
const FIELD = 'IDR0.COHACC';
const COHACC = 1 << 4;
const PAGE = 4096;

/** One row a direction, and one for a position in the middle. */
export async function rows(): Promise<readonly Row[]> {
  setAutoFreeze(false);
  const folder = mkdtempSync(join(tmpdir(), 'backwalk-bench-'));
  const file = join(folder, 'caps.bw');
  const head = await record(file);
  const first = await opened(file, (session, branch) => checkAndKeep(session, { branch, seq: head }));
  const finding = present(
    first.answer.find(({ capability }) => capability?.field === FIELD),
    `a finding about ${FIELD}`,
  );
  const out = [
    await measured(file, head, 'caps: from a finding of I10 to its rows', (session, branch) =>
      rowsOfFinding(rowsAt(session, { branch, seq: head }), finding),
    ),
    await measured(file, head, 'caps: from a row of the ledger to its findings', (session, branch) => {
      const row = rowsAt(session, { branch, seq: head }).find(({ field }) => field === FIELD);
      return findingsOfRow(
        findingsAt(session, { branch, seq: head }),
        present(row, FIELD),
      ) as readonly Finding[];
    }),
    await measured(file, head, 'caps: the ledger in the middle of the history', (session, branch) =>
      rowsAt(session, { branch, seq: Math.floor(head / 2) }),
    ),
  ];
  rmSync(folder, { recursive: true, force: true });
  return out;
}

/** A history on disk, with a snapshot and an index as any has. @returns its head */
async function record(file: string): Promise<number> {
  const { idr } = smmuConfig('everything', { name: 'smmu0', base: 0 });
  const smmu = smmuConfig('everything', {
    name: 'smmu0',
    base: 0x0905_0000,
    idr: { IDR0: (idr['IDR0'] ?? 0) & ~COHACC },
  });
  const nic = {
    name: 'nic0',
    smmu: 'smmu0',
    streamId: 8,
    ats: false,
    pri: false,
    ssidBits: 0,
    atc: 0,
  } as const;
  const machine = {
    ram: [{ base: 0x4000_0000, size: 0x4000_0000 }],
    smmus: [smmu],
    endpoints: [nic],
    kernel: { profile: 'linux-7.3', driver: { coherent: true } },
    schedule: 'eager',
    seed: 1,
  } as const;
  const session = new Session(await openStores(file));
  const branch = session.log.createRoot('main', machine, 'bench');
  const simulation = new Simulation(reset(machine));
  const recorder = session.appendFrom(simulation, branch);
  simulation.dispatch({ type: 'kernel.boot' });
  simulation.run();
  const of = { vm: 'vm0', endpoint: 'nic0' } as const;
  simulation.dispatch({ type: 'vm.create', vm: 'vm0', config: vmConfig('qemu-accel') });
  simulation.dispatch({ type: 'vm.plug', ...of, device: { streamId: 16 } });
  simulation.dispatch({ type: 'guest.boot', vm: 'vm0' });
  while (recorder.head < ENTRIES) {
    const { outcome } = simulation.dispatch({ type: 'guest.map', ...of, bytes: PAGE, access: 'read-write' });
    const iova = BigInt(String(outcome['iova']));
    simulation.dispatch({ type: 'dma', endpoint: 'nic0', iova, size: 64, access: 'read' });
    simulation.dispatch({ type: 'guest.unmap', ...of, iova, bytes: PAGE });
    if (recorder.waiting < COMMIT) continue;
    recorder.commit().catch(() => {});
    await recorder.room();
  }
  await recorder.finish();
  const { head } = recorder;
  await session.close();
  return head;
}

type Ask<T> = (session: Session, branch: Branch) => readonly T[];

async function opened<T>(
  file: string,
  ask: Ask<T>,
): Promise<{ readonly answer: readonly T[]; readonly ms: number; readonly cpuMs: number }> {
  const session = new Session(await openStores(file));
  const branch = present(session.log.branches()[0], 'a branch');
  const before = process.cpuUsage();
  let answer: readonly T[] = [];
  const ms = await timed(() => {
    answer = ask(session, branch);
  });
  const { user, system } = process.cpuUsage(before);
  await session.close();
  return { answer, ms, cpuMs: (user + system) / 1000 };
}

async function measured<T>(file: string, head: number, measure: string, ask: Ask<T>): Promise<Row> {
  const times: number[] = [];
  const cpus: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const { answer, ms, cpuMs } = await opened(file, ask);
    if (answer.length === 0) throw new Error(`${measure}: nothing was found`);
    times.push(ms);
    cpus.push(cpuMs);
  }
  return {
    measure,
    ours: `${median(times).toFixed(1)} ms, cpu ${median(cpus).toFixed(1)} ms`,
    against: `${head} entries`,
    ratio: '-',
    wanted: `<= ${WANTED_MS} ms`,
    // Others may be at work on the machine: the processor's time tells what the question takes.
    met: Math.min(median(times), median(cpus)) <= WANTED_MS,
  };
}
