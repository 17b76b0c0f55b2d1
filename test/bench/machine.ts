/**
 * What the machine costs: the fold against a plain mutable reducer of the same logic, and how that
 * quotient moves with the size of memory; the bare step.
 */
import { setAutoFreeze } from 'immer';
import type { Entry } from '../../core/event.ts';
import { openSession } from '../../core/machine.ts';
import { Simulation } from '../../core/simulation.ts';
import { at, bringUp, dma, machine, map, reset, tables } from '../support/build.ts';
import { PlainReducer } from './plain.ts';
import { type Pair, paired, perSecond, type Row, timed } from './row.ts';
import { type Locality, Trace } from './traces.ts';

const BATCH = 256;
const ENTRIES = 1024 * 256;
const ROUNDS = 5;

export async function rows(): Promise<readonly Row[]> {
  setAutoFreeze(false);
  const out: Row[] = [];
  for (const locality of ['local', 'random'] as const) {
    const big = await foldPair(locality, 100_000);
    const floor = locality === 'local' ? 0.1 : 0.06;
    out.push(ratioRow(`fold, batches of ${BATCH}, 10^5 pages, ${locality}`, big, floor, 3e5));
    const small = await foldPair(locality, 1_000);
    const huge = await foldPair(locality, 400_000);
    const kept = huge.ratio / small.ratio;
    out.push({
      measure: `fold, 4x10^5 pages over 10^3, ${locality}`,
      ours: perSecond(huge.ours),
      against: perSecond(small.ours),
      ratio: kept.toFixed(2),
      wanted: '>= 0.8 of the plain quotient',
      met: kept >= 0.8,
    });
  }
  out.push(await stepRow());
  return out;
}

/** Commands and records in pairs, so that what waits stays as short as in a machine that runs. */
export function folding(trace: Trace, count: number): Entry[] {
  let command = 0;
  let record = 0;
  return trace.take(count).map((entry) => {
    if (entry.type === 'command.fetched' && command !== 0) {
      const { seq, tick, cause, actor, smmu, index } = entry;
      const performed = {
        seq,
        tick,
        cause,
        actor,
        type: 'command.performed',
        smmu,
        index,
        command: 'CMD_SYNC',
        fetched: command,
      };
      command = 0;
      return performed as Entry;
    }
    if (entry.type === 'command.fetched') command = entry.seq;
    if (entry.type === 'record.raised' && record !== 0) {
      const { seq, tick, cause, actor, smmu } = entry;
      record = 0;
      return {
        seq,
        tick,
        cause,
        actor,
        type: 'record.written',
        smmu,
        record: 'F_TRANSLATION',
        index: 0,
        pa: at.evtq,
      } as Entry;
    }
    if (entry.type === 'record.raised') record = entry.seq;
    return entry;
  });
}

/** Entries a second of both, over the same entries; memory is touched beforehand. */
async function foldPair(locality: Locality, pages: number): Promise<Pair> {
  const config = machine({ ram: [{ base: 0, size: 2 ** 40 }] });
  const trace = new Trace(locality, pages);
  const session = openSession(reset(config));
  const plain = new PlainReducer(pages);
  const warm = Array.from({ length: pages }, (_, page) => touch(page));
  session.fold(renumbered(warm, 0));
  session.publish();
  plain.fold(warm);
  let folded = pages;
  let batches: Entry[][] = [];
  const prepare = (): void => {
    const entries = renumbered(folding(trace, ENTRIES), folded);
    folded += ENTRIES;
    batches = [];
    for (let from = 0; from < ENTRIES; from += BATCH) batches.push(entries.slice(from, from + BATCH));
  };
  return paired(
    ROUNDS,
    async () => {
      prepare();
      const ms = await timed(() => {
        for (const batch of batches) {
          session.fold(batch);
          session.publish();
        }
      });
      return (ENTRIES / ms) * 1000;
    },
    async () => {
      const ms = await timed(() => {
        for (const batch of batches) plain.fold(batch);
      });
      return (ENTRIES / ms) * 1000;
    },
  );
}

function touch(page: number): Entry {
  return {
    type: 'memory.written',
    pa: 0x4000_0000 + page * 4096,
    value: 1n,
    old: 0n,
    seq: 0,
    tick: 1,
    cause: 0,
    actor: 'cpu0',
  };
}

function renumbered(entries: readonly Entry[], after: number): Entry[] {
  const shift = after + 1 - (entries[0]?.seq ?? 1);
  return entries.map((entry, index) => {
    const moved = 'fetched' in entry && entry.fetched > 0 ? { fetched: entry.fetched + shift } : {};
    return { ...entry, ...moved, seq: after + 1 + index } as Entry;
  });
}

function ratioRow(measure: string, pair: Pair, floor: number, absolute: number): Row {
  return {
    measure,
    ours: perSecond(pair.ours),
    against: `${perSecond(pair.against)} plain mutable`,
    ratio: pair.ratio.toFixed(3),
    wanted: `>= ${floor}, >= ${perSecond(absolute)}`,
    met: pair.ratio >= floor && pair.ours >= absolute,
  };
}

/** Stimuli a second through `step` and RxJS alone: half of them stores, half DMA that hits. */
async function stepRow(): Promise<Row> {
  const simulation = new Simulation(reset(machine()));
  for (const stimulus of [...bringUp(), ...tables()]) simulation.dispatch(stimulus);
  for (let page = 0; page < 256; page += 1) simulation.dispatch(map(page * 4096, at.data + page * 4096));
  let seen = 0;
  simulation.entries$.subscribe((entries) => {
    seen += entries.length;
  });
  const count = 100_000;
  const run = (): Promise<number> =>
    timed(() => {
      for (let index = 0; index < count; index += 2) {
        simulation.dispatch(map(0x10_0000 + (index % 128) * 4096, at.data));
        simulation.dispatch(dma((index % 256) * 4096, 'write', 64));
      }
    });
  await run();
  const ms = await run();
  const rate = (count / ms) * 1000;
  return {
    measure: 'step: stimuli to entries, in memory',
    ours: perSecond(rate),
    against: `${perSecond((seen / 2 / ms) * 1000)} entries`,
    ratio: '-',
    wanted: `>= ${perSecond(1e5)}`,
    met: rate >= 1e5,
  };
}
