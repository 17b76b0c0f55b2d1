/**
 * What iommufd costs when there is much of it: areas of one IOAS, objects of one context, and a gibibyte mapped in
 * pages of 4 KiB: its time, its entries, its bytes in the log. BACKWALK_BENCH_AREAS says how many areas (10^6).
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setAutoFreeze } from 'immer';
import { openStores } from '../../adapters/cli/stores.ts';
import { ScenarioRunner } from '../../adapters/scenario/runner.ts';
import { Session } from '../../adapters/session.ts';
import type { MachineConfig } from '../../core/config.ts';
import { type IoctlName, ioctlCode, ioctls } from '../../core/kernel/uapi/ioctls.ts';
import { encodeStruct, type Struct } from '../../core/kernel/uapi/struct.ts';
import { ioctlStructs } from '../../core/kernel/uapi/structs.ts';
import { Simulation } from '../../core/simulation.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { initialState } from '../../core/state.ts';
import { median, type Row, timed } from './row.ts';

const AREAS = Number(process.env['BACKWALK_BENCH_AREAS'] ?? 1_000_000);
const FEW = 1_000;
const OBJECTS = 100_000;
const ROUNDS = 5;
const OPS = 400;
const GIB = 2 ** 30;
const PAGE = 0x1000;
/** Every second page, so that no area joins its neighbour and every gap is one. */
const STRIDE = 2 * PAGE;
const FIRST = 0x1_0000_0000;

type Line = Readonly<Record<string, unknown>> & { readonly op: string };

/** A booted host, by scenario lines and by plain ioctls. */
interface Bench {
  readonly simulation: Simulation;
  readonly config: MachineConfig;
  line(line: Line): Readonly<Record<string, unknown>>;
  /** An ioctl on `iommu0`; its errno, and what the struct holds after it. */
  ask(name: IoctlName, fields: Readonly<Record<string, number | bigint>>): Readonly<Record<string, unknown>>;
}

/** @param onBegin sees the machine before anything happens in it */
function host(
  ram: number,
  onBegin: (simulation: Simulation, config: MachineConfig) => void = () => {},
): Bench {
  const made: { simulation?: Simulation; config?: MachineConfig } = {};
  const runner = new ScenarioRunner({
    begin: (config) => {
      made.config = config;
      made.simulation = new Simulation(initialState(config, resetRegisters));
      onBegin(made.simulation, config);
      return made.simulation;
    },
    label: (name) => ({ position: name }),
  });
  let at = 0;
  const line = (raw: Line): Readonly<Record<string, unknown>> => {
    at += 1;
    return runner.run(raw, { file: 'bench', line: at }).outcome;
  };
  const endpoints = [{ name: 'dev0', streamId: 8 }];
  line({ op: 'machine', ram: [{ base: GIB, size: ram }], smmus: [{ name: 'smmu0' }], endpoints, kernel: {} });
  runner.boot();
  line({ op: 'open', fd: 'iommu0' });
  const { simulation, config } = made;
  if (simulation === undefined || config === undefined) throw new Error('the machine line makes a machine');
  return {
    simulation,
    config,
    line,
    ask: (name, fields) => {
      const { nr, struct } = ioctls[name];
      const of: Struct = ioctlStructs[struct];
      const bytes = encodeStruct(of, { size: of.bytes, ...fields });
      return simulation.dispatch({ type: 'ioctl', fd: 'iommu0', code: ioctlCode(nr), bytes }).outcome;
    },
  };
}

export async function rows(): Promise<readonly Row[]> {
  setAutoFreeze(false);
  return [...(await areaRows()), await objectRow(), ...(await mapRows())];
}

type Cost = Readonly<Record<'map' | 'automatic' | 'unmap' | 'look', number>>;

/** Microseconds of a call, the median of rounds. @param undo is not counted, and follows each round */
async function cost(work: (op: number) => void, undo?: (op: number) => void): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const ms = await timed(() => {
      for (let op = 0; op < OPS; op += 1) work(round * OPS + op);
    });
    rounds.push((ms / OPS) * 1000);
    for (let op = 0; undo !== undefined && op < OPS; op += 1) undo(round * OPS + op);
  }
  return median(rounds);
}

function checked(outcome: Readonly<Record<string, unknown>>, errno?: string): void {
  if (outcome['errno'] !== errno)
    throw new Error(`expected ${errno ?? 'success'}, found ${outcome['errno']}`);
}

/** What calls cost in an IOAS of so many areas. */
async function costAt(count: number): Promise<Cost> {
  const bench = host(GIB / 4);
  const va = BigInt(String(bench.line({ op: 'mem.alloc', bytes: PAGE })['va']));
  bench.ask('IOMMU_IOAS_ALLOC', {});
  const map = (index: number, errno?: string): void =>
    checked(
      bench.ask('IOMMU_IOAS_MAP', {
        flags: 7,
        ioas_id: 1,
        user_va: va,
        length: BigInt(PAGE),
        iova: BigInt(FIRST + index * STRIDE),
      }),
      errno,
    );
  for (let index = 0; index < count; index += 1) map(index);
  // Spread over all of them, in no order.
  const somewhere = (op: number): number => (op * 7919) % count;
  const look = await cost((op) => map(somewhere(op), 'EEXIST'));
  const unmap = await cost(
    (op) => {
      const iova = BigInt(FIRST + somewhere(op) * STRIDE);
      checked(bench.ask('IOMMU_IOAS_UNMAP', { ioas_id: 1, iova, length: BigInt(PAGE) }));
    },
    (op) => map(somewhere(op)),
  );
  const mapped = await cost((op) => map(count + op));
  const automatic = await cost(() =>
    checked(bench.ask('IOMMU_IOAS_MAP', { flags: 6, ioas_id: 1, user_va: va, length: BigInt(PAGE) })),
  );
  return { map: mapped, automatic, unmap, look };
}

async function areaRows(): Promise<readonly Row[]> {
  const [many, few] = [await costAt(AREAS), await costAt(FEW)];
  const names: Readonly<Record<keyof Cost, string>> = {
    map: 'IOAS_MAP at a fixed IOVA',
    automatic: 'IOAS_MAP at an automatic IOVA',
    unmap: 'IOAS_UNMAP',
    look: 'looking up an area (MAP on it)',
  };
  return (Object.keys(names) as (keyof Cost)[]).map((each) =>
    ratioRow(`${names[each]}, ${AREAS} areas`, many[each], few[each], `${FEW} areas`),
  );
}

function ratioRow(measure: string, ours: number, against: number, than: string): Row {
  const ratio = ours / against;
  return {
    measure,
    ours: `${ours.toFixed(0)} us`,
    against: `${against.toFixed(0)} us (${than})`,
    ratio: ratio.toFixed(2),
    wanted: '<= 3',
    met: ratio <= 3,
  };
}

/** Making and ending an object among many. */
async function objectRow(): Promise<Row> {
  const at = async (count: number): Promise<number> => {
    const bench = host(GIB / 4);
    for (let made = 0; made < count; made += 1) bench.ask('IOMMU_IOAS_ALLOC', {});
    return cost((op) => {
      checked(bench.ask('IOMMU_DESTROY', { id: 1 + ((op * 7919) % count) }));
      checked(bench.ask('IOMMU_IOAS_ALLOC', {}));
    });
  };
  const [many, few] = [await at(OBJECTS), await at(FEW)];
  return ratioRow(`DESTROY and IOAS_ALLOC, ${OBJECTS} objects`, many, few, `${FEW} objects`);
}

/** A gibibyte in pages that lie nowhere side by side, mapped into the domain of a device, and unmapped. */
async function mapRows(): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'backwalk-bench-'));
  const file = join(folder, 'map.bw');
  const session = new Session(await openStores(file));
  let recorder: ReturnType<Session['appendFrom']> | undefined;
  const bench = host(3 * GIB, (simulation, config) => {
    recorder = session.appendFrom(simulation, session.log.createRoot('main', config, 'bench'));
  });
  const { simulation, line, ask } = bench;
  const flushed = async (): Promise<{ readonly entries: number; readonly bytes: number }> => {
    await recorder?.commit();
    await session.log.flush();
    return { entries: simulation.glance.seq, bytes: statSync(file).size };
  };
  ask('IOMMU_IOAS_ALLOC', {});
  line({ op: 'open', fd: 'vfio:dev0' });
  const fd = Number(simulation.glance.kernel?.names['iommu0']);
  line({ op: 'ioctl', fd: 'vfio:dev0', name: 'VFIO_DEVICE_BIND_IOMMUFD', arg: { iommufd: fd } });
  line({ op: 'ioctl', fd: 'vfio:dev0', name: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', arg: { pt_id: 1 } });
  const user_va = BigInt(String(line({ op: 'mem.alloc', bytes: GIB, kind: 'scattered' })['va']));
  const length = BigInt(GIB);
  const span = { ioas_id: 1, iova: BigInt(FIRST), length };
  const before = await flushed();
  const mapMs = await timed(() => checked(ask('IOMMU_IOAS_MAP', { flags: 7, user_va, ...span })));
  const mapped = await flushed();
  const unmapMs = await timed(() => checked(ask('IOMMU_IOAS_UNMAP', span)));
  const unmapped = await flushed();
  await recorder?.finish();
  await session.close();
  rmSync(folder, { recursive: true, force: true });
  const pages = GIB / PAGE;
  const row = (what: string, ms: number, from: typeof before, to: typeof before): Row => {
    const entries = to.entries - from.entries;
    const bytes = (to.bytes - from.bytes) / pages;
    return {
      measure: `${what} of 1 GiB in 4 KiB pages`,
      ours: `${ms.toFixed(0)} ms, ${entries} entries, ${bytes.toFixed(1)} bytes/page`,
      against: `${pages} PTEs`,
      ratio: (entries / pages).toFixed(4),
      wanted: '<= 0.02 entries, <= 10 bytes a page',
      met: entries <= 0.02 * pages && bytes <= 10,
    };
  };
  return [row('IOAS_MAP', mapMs, before, mapped), row('IOAS_UNMAP', unmapMs, mapped, unmapped)];
}
