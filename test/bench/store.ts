/**
 * What keeping costs, each against a ceiling measured in the same run: LMDB itself, a bare file, the
 * whole state packed. Variants take turns, medians count; opening and closing is not timed.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { Packr } from 'msgpackr';
import type { MachineConfig } from '../../core/config.ts';
import { type Entry, schemas } from '../../core/event.ts';
import type { Memory } from '../../core/memory/memory.ts';
import { initialState, type State } from '../../core/state.ts';
import { CacheFile } from '../../snapshots/cache-file.ts';
import { storeKey } from '../../snapshots/lmdb.ts';
import { openLogStore } from '../../snapshots/log-store.ts';
import { SchemaBook } from '../../snapshots/schema-book.ts';
import { SEGMENT_ENTRIES, SegmentWriter } from '../../snapshots/segment.ts';
import { DiskSnapshots } from '../../snapshots/snapshot-store.ts';
import { median, type Row as Printed, timed } from './row.ts';
import { type Locality, Trace } from './traces.ts';

/** One measure against its ceiling. */
export interface Row {
  readonly measure: string;
  /** What Backwalk reaches, in `unit`. */
  readonly ours: number;
  /** What it is held against, in the same unit. */
  readonly ceiling: number;
  /** `ours / ceiling`. */
  readonly ratio: number;
  readonly unit: string;
  /** What is wanted of the ratio: `>= 0.15`, `<= 3.5`. */
  readonly wanted: string;
  readonly note: string;
}

const ROUNDS = 5;
const INGEST_ENTRIES = 1024 * 512;
const BATCH_ENTRIES = 512;
/** Entries of a durable commit of the ceilings; ours group by bytes and time. */
const COMMIT_ENTRIES = 16384;
const PAGES = 20_000;
const config: MachineConfig = {
  ram: [{ base: 0, size: 2 ** 40 }],
  smmus: [],
  endpoints: [],
  schedule: 'eager',
  seed: 1,
};

const folder = (): string => mkdtempSync(join(tmpdir(), 'backwalk-bench-'));

function row(
  measure: string,
  ours: number,
  ceiling: number,
  unit: string,
  wanted: string,
  note: string,
): Row {
  return { measure, ours, ceiling, ratio: ours / ceiling, unit, wanted, note };
}

/** Everything this file measures. */
export async function storeRows(): Promise<Row[]> {
  const all: Row[] = [];
  for (const locality of ['local', 'random'] as const) all.push(...(await ingestRows(locality)));
  all.push(await commitRow(), await forkRow());
  all.push(...(await snapshotRows()), await openRow());
  return all;
}

/** The same, as `npm run bench` prints them. */
export async function rows(): Promise<readonly Printed[]> {
  return (await storeRows()).map(({ measure, ours, ceiling, ratio, unit, wanted, note }) => ({
    measure,
    ours: `${ours.toPrecision(3)} ${unit}`,
    against: `${ceiling.toPrecision(3)} ${unit} (${note})`,
    ratio: ratio.toPrecision(3),
    wanted,
    met: wanted.startsWith('>=') ? ratio >= Number(wanted.slice(3)) : ratio <= Number(wanted.slice(3)),
  }));
}

function rawDatabase(path: string): RootDatabase<Uint8Array, Uint8Array> {
  return open<Uint8Array, Uint8Array>(path, {
    encoding: 'binary',
    keyEncoding: 'binary',
    noSubdir: true,
    mapSize: 2 ** 34,
    overlappingSync: false,
  });
}

/** Puts values in transactions of 16384 entries each. */
function appendRaw(
  db: RootDatabase<Uint8Array, Uint8Array>,
  values: readonly Uint8Array[],
  valuesPerCommit: number,
): void {
  for (let at = 0; at < values.length; at += valuesPerCommit) {
    db.transactionSync(() => {
      values.slice(at, at + valuesPerCommit).forEach((value, index) => {
        db.putSync(storeKey(5, 1, at + index), value);
      });
    });
  }
}

function segmentsOf(entries: readonly Entry[]): Uint8Array[] {
  const writer = new SegmentWriter(new SchemaBook(schemas));
  const values: Uint8Array[] = [];
  for (const entry of entries) {
    writer.push(entry);
    if (!writer.full) continue;
    values.push(writer.encode(new Uint8Array(16)).value);
    writer.reset();
  }
  return values;
}

/** Entries are made in batches just before they are appended, as a live machine does; making them is not timed. */
async function ingestOnce(path: string, locality: Locality): Promise<{ ms: number; bytes: number }> {
  const log = openLogStore(path);
  log.createRoot('main', config, 'bench');
  const trace = new Trace(locality);
  let ms = 0;
  for (let from = 0; from < INGEST_ENTRIES; from += BATCH_ENTRIES) {
    const batch = trace.take(BATCH_ENTRIES);
    ms += await timed(() => log.append(1, from, batch));
  }
  ms += await timed(() => log.flush());
  await log.close();
  return { ms, bytes: statSync(path).size };
}

async function rawOnce(
  path: string,
  values: readonly Uint8Array[],
  valuesPerCommit: number,
): Promise<number> {
  const db = rawDatabase(path);
  const ms = await timed(() => appendRaw(db, values, valuesPerCommit));
  await db.close();
  return ms;
}

async function ingestRows(locality: Locality): Promise<Row[]> {
  const entries = new Trace(locality).take(INGEST_ENTRIES);
  const segments = segmentsOf(entries);
  const packr = new Packr({ useRecords: true, structures: [] });
  const events = entries.map((entry) => Uint8Array.from(packr.pack(entry)));
  entries.length = 0;
  const [ours, raw, single]: [number[], number[], number[]] = [[], [], []];
  let bytes = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const at = folder();
    const ingested = await ingestOnce(join(at, 'log.bw'), locality);
    bytes = ingested.bytes;
    ours.push(ingested.ms);
    raw.push(await rawOnce(join(at, 'raw.mdb'), segments, COMMIT_ENTRIES / SEGMENT_ENTRIES));
    single.push(await rawOnce(join(at, 'single.mdb'), events, COMMIT_ENTRIES));
    rmSync(at, { recursive: true });
  }
  const rate = (of: number[]): number => INGEST_ENTRIES / median(of);
  const name = `durable ingest, ${locality}`;
  return [
    row(name, rate(ours), rate(raw), 'entries/ms', '>= 0.15', 'raw LMDB append of the same segments'),
    row(name, rate(ours), rate(single), 'entries/ms', '>= 2', 'one put an entry, packed already'),
    row(
      `log, ${locality}`,
      bytes / INGEST_ENTRIES,
      locality === 'local' ? 10 : 20,
      'bytes/entry',
      '<= 1',
      'wanted bound',
    ),
  ];
}

async function commitRow(): Promise<Row> {
  const at = folder();
  const log = openLogStore(join(at, 'log.bw'));
  log.createRoot('main', config, 'bench');
  const trace = new Trace('local');
  const file = openSync(join(at, 'bare'), 'w');
  const [ours, bare]: [number[], number[]] = [[], []];
  for (let round = 0; round < 400; round += 1) {
    const [entry] = trace.take(1);
    if (entry === undefined) break;
    ours.push(
      await timed(() => {
        log.append(1, round, [entry]);
        return log.flush();
      }),
    );
    bare.push(
      await timed(() => {
        writeSync(file, new Uint8Array(100));
        fdatasyncSync(file);
      }),
    );
  }
  closeSync(file);
  await log.close();
  rmSync(at, { recursive: true });
  return row(
    'one durable commit, p50',
    median(ours),
    median(bare),
    'ms',
    '<= 3.5',
    'bare write and fdatasync',
  );
}

async function forkRow(): Promise<Row> {
  const at = folder();
  const log = openLogStore(join(at, 'log.bw'));
  log.createRoot('main', config, 'bench');
  const trace = new Trace('local');
  log.append(1, 0, trace.take(50_000));
  await log.flush();
  const [forks, commits]: [number[], number[]] = [[], []];
  for (let round = 0; round < 200; round += 1) {
    forks.push(await timed(() => log.fork(`fork ${round}`, 1, 100 * round)));
    const [entry] = trace.take(1);
    if (entry === undefined) break;
    commits.push(
      await timed(() => {
        log.append(1, 50_000 + round, [entry]);
        return log.flush();
      }),
    );
  }
  await log.close();
  rmSync(at, { recursive: true });
  return row('fork, durable, p50', median(forks), median(commits), 'ms', '<= 1.5', 'one durable commit');
}

/** A state of `PAGES` full pages. */
function largeState(): State {
  const state = initialState(config, () => ({}));
  const memory = state.memory.fork();
  for (let pa = 0; pa < PAGES * 4096; pa += 8)
    memory.write64(pa, (BigInt(pa) * 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn);
  memory.seal();
  return { ...state, memory };
}

function packWhole(state: State): Uint8Array {
  const lines = Array.from(state.memory.lines.range(), ([key, line]) => [
    key,
    new Uint8Array(line.words.buffer, line.words.byteOffset, line.words.byteLength),
  ]);
  return new Packr({}).pack(lines);
}

async function snapshotRows(): Promise<Row[]> {
  const at = folder();
  const log = openLogStore(join(at, 'log.bw'));
  log.createRoot('main', config, 'bench');
  log.append(1, 0, new Trace('local').take(2048));
  await log.flush();
  const cache = new CacheFile(log);
  const snapshots = new DiskSnapshots(cache, () => true);
  let state = largeState();
  const packed = packWhole(state).length;
  const whole: number[] = [];
  for (let round = 0; round < 3; round += 1)
    whole.push(await timed(() => writeSynced(join(at, 'whole'), packWhole(state))));
  snapshots.put(1, 1, state);
  const before = statSync(`${log.path}.cache`).size;
  const times: number[] = [];
  for (let round = 0; round < 10; round += 1) {
    const memory: Memory = state.memory.fork();
    for (let page = 0; page < PAGES / 100; page += 1)
      memory.write64(((page * 7919 + round * 31) % PAGES) * 4096, BigInt(round + 1));
    memory.seal();
    state = { ...state, memory };
    times.push(await timed(() => snapshots.put(1, 2 + round, state)));
  }
  const bytes = (statSync(`${log.path}.cache`).size - before) / times.length;
  await cache.close();
  await log.close();
  rmSync(at, { recursive: true });
  return [
    row(
      'snapshot, 1 % of pages changed, time',
      median(times),
      median(whole),
      'ms',
      '<= 0.01',
      `packing and writing ${PAGES} pages`,
    ),
    row('snapshot, 1 % of pages changed, bytes', bytes, packed, 'bytes', '<= 0.01', 'the packed state'),
  ];
}

function writeSynced(path: string, data: Uint8Array): void {
  const file = openSync(path, 'w');
  writeSync(file, data);
  fdatasyncSync(file);
  closeSync(file);
}

async function openRow(): Promise<Row> {
  const at = folder();
  const path = join(at, 'log.bw');
  const log = openLogStore(path);
  log.createRoot('main', config, 'bench');
  const trace = new Trace('local');
  const entries = 1024 * 1024;
  for (let from = 0; from < entries; from += 4096) log.append(1, from, trace.take(4096));
  await log.close();
  const times: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    let opened: ReturnType<typeof openLogStore> | undefined;
    times.push(
      await timed(() => {
        opened = openLogStore(path);
        for (const _ of opened.read(1, 500_000, 500_000)) break;
      }),
    );
    await opened?.close();
  }
  rmSync(at, { recursive: true });
  return row(
    'open to first entry, 10^6 entries',
    median(times),
    10,
    'ms',
    '<= 1',
    'in process; the wanted bound for 10^7',
  );
}
