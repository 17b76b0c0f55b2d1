/**
 * Random bytes as the arguments of ioctls, on files of every kind of a host with two SMMUs, in every kernel.
 * Each call ends, with a value or with an errno of the table; and one that fails leaves what the kernel, its
 * drivers and the SMMUs hold as it was: cheap parts are compared each time something was touched, the whole
 * state now and then.
 */
import { createHash } from 'node:crypto';
import type { Entry } from '../../core/event.ts';
import { digestState } from '../../core/history/digest.ts';
import { type Errno, errnos } from '../../core/kernel/errno.ts';
import { kernelProfiles, type ProfileName } from '../../core/kernel/profiles.ts';
import { type Request, requestsOf } from '../../core/kernel/requests.ts';
import type { StructField } from '../../core/kernel/uapi/struct.ts';
import type { State } from '../../core/state.ts';
import { Luck } from './fuzz.ts';
import { heldByKernel } from './held.ts';
import { type Host, host, memory } from './kernel.ts';

/** Structs that a host is given before a fresh one takes its place. */
const STORY_STRUCTS = 1_000;
/** One call in so many is looked at by the digest of the whole state. */
const DIGEST_EVERY = 250;
const PAGE = 0x1000n;
const BUFFER_BYTES = 0x1_0000;

/** What a host was made of, and what is known of its processes' memory. */
interface World {
  readonly of: Host;
  readonly profile: ProfileName;
  readonly requests: readonly Request[];
  readonly files: readonly string[];
  /** Where structs are put: the last page before a hole. */
  readonly page: bigint;
  /** Where pointers lead: buffers of the process. */
  readonly buffers: readonly bigint[];
}

export interface Fuzzed {
  readonly structs: number;
  /** How often each errno came; `ok` for success. */
  readonly answers: Readonly<Record<string, number>>;
  /** Failures whose whole state was compared. */
  readonly compared: number;
}

const machine = {
  smmus: [
    { name: 'smmu0', base: 0x1000_0000, choices: { tegra241Param: 0x1221 } },
    { name: 'smmu1', base: 0x1100_0000 },
  ],
  endpoints: [
    { name: 'dev0', streamId: 0x108, ssidBits: 5, ats: true },
    { name: 'dev1', streamId: 0x109, ssidBits: 0 },
    { name: 'dev2', smmu: 'smmu1', streamId: 0x208, ssidBits: 11 },
  ],
};
const devices = machine.endpoints.map(({ name }) => `vfio:${name}`);
const profiles = Object.keys(kernelProfiles) as ProfileName[];

function fresh(luck: Luck): World {
  const profile = luck.below(2) === 0 ? 'linux-7.3' : (profiles[luck.below(profiles.length)] ?? 'linux-7.3');
  const of = host({ profile }, { ...machine, schedule: luck.below(4) === 0 ? 'seeded' : 'eager' });
  for (const fd of ['iommu0', 'iommu1', 'container0', ...devices]) of.line({ op: 'open', fd });
  const page = BigInt(memory(of, Number(PAGE)));
  const kinds = ['anon-shared', 'scattered', 'contiguous'];
  const buffers = kinds.map((kind) => BigInt(memory(of, BUFFER_BYTES, { kind })));
  of.line({ op: 'mem.memfd', bytes: BUFFER_BYTES });
  const files = Object.keys(of.state.kernel?.files ?? {});
  for (const fd of devices)
    of.line({
      op: 'ioctl',
      fd,
      name: 'VFIO_DEVICE_BIND_IOMMUFD',
      arg: { iommufd: of.state.kernel?.names['iommu0'] ?? -1 },
    });
  const va = String(buffers[0]);
  if (luck.below(8) > 0) {
    // Ids follow from the order: devices 1 to 3, IOAS 4, parent 5, vIOMMU 6.
    of.ioctl('IOMMU_IOAS_ALLOC', {});
    of.ioctl('IOMMU_IOAS_MAP', { ioas_id: 4, flags: 7, user_va: va, length: 0x8000, iova: 0x10_0000 });
    of.ioctl('IOMMU_HWPT_ALLOC', { dev_id: 1, pt_id: 4, flags: 1 });
    of.ioctl('IOMMU_VIOMMU_ALLOC', { type: 1 + luck.below(2), dev_id: 1, hwpt_id: 5 });
  }
  return { of, profile, requests: [...requestsOf(profile).values()], files, page, buffers };
}

/** Doublewords that mean something behind a pointer: vSTEs, commands, ranges. */
const words: readonly bigint[] = [
  0x10n,
  0x11n,
  0x9n,
  0xbn,
  0x1n,
  0x0n,
  0xdn,
  0x2000bn,
  0x10n,
  0x30n,
  0x12n,
  0x11n,
  0x5n,
  0x46n,
  0x40n,
  0x1000n,
  0xffffn,
  0x4_0000_0000n,
];
const iovas: readonly bigint[] = [
  0n,
  0x1000n,
  0x10_0000n,
  0x20_0000n,
  0x800_0000n,
  2n ** 48n,
  2n ** 64n - 1n,
  0x1800n,
];
const lengths: readonly bigint[] = [
  0x1000n,
  0x2000n,
  0x1_0000n,
  0x20_0000n,
  0n,
  1n,
  0x1800n,
  2n ** 63n,
  2n ** 64n - 1n,
];

function pick<T>(luck: Luck, from: readonly T[]): T {
  return from[luck.below(from.length)] as T;
}

function pointer(luck: Luck, { buffers, page }: World): bigint {
  const base = luck.below(8) === 0 ? page : pick(luck, buffers);
  return luck.below(3) === 0 ? base + BigInt(luck.below(BUFFER_BYTES)) : base + PAGE * BigInt(luck.below(16));
}

/** The kind of object that a field's name asks for. */
const kindOf: Readonly<Record<string, string>> = {
  dev_id: 'device',
  ioas_id: 'ioas',
  src_ioas_id: 'ioas',
  dst_ioas_id: 'ioas',
  viommu_id: 'viommu',
  fault_id: 'fault',
};

/** Mostly an object that is there, of the kind that is asked for. */
function someId(luck: Luck, world: World, name: string, context: number): bigint {
  return luck.below(6) === 0 ? BigInt(luck.below(24)) : idOf(luck, world, kindOf[name], context);
}

function idOf(luck: Luck, { of }: World, kind: string | undefined, context = 1): bigint {
  const objects = of.simulation.glance.kernel?.contexts[context]?.objects;
  const all = [...(objects?.range() ?? [])].map(([, object]) => object);
  const fit = all.filter((each) => kind === undefined || each.kind === kind);
  return fit.length === 0 ? 1n : BigInt(pick(luck, fit).id);
}

/** Fields that only together make a call go further than its first checks. */
const together: Readonly<Record<string, (luck: Luck, world: World) => Readonly<Record<string, bigint>>>> = {
  IOMMU_IOAS_MAP: (luck) => ({
    flags: pick(luck, [7n, 7n, 6n, 3n]),
    length: pick(luck, lengths.slice(0, 3)),
  }),
  IOMMU_IOAS_MAP_FILE: (luck) => ({ flags: 6n, length: pick(luck, lengths.slice(0, 3)), start: 0n }),
  IOMMU_IOAS_COPY: (luck) => ({
    flags: pick(luck, [6n, 3n, 7n]),
    length: pick(luck, lengths.slice(0, 2)),
    src_iova: 0x10_0000n,
  }),
  IOMMU_IOAS_UNMAP: (luck, world) => someArea(luck, world),
  IOMMU_HWPT_ALLOC: (luck) =>
    pick(luck, [
      { data_type: 0n, data_len: 0n },
      { data_type: 2n, data_len: 16n, flags: 0n },
    ]),
  IOMMU_HWPT_INVALIDATE: (luck, world) => ({
    hwpt_id: idOf(luck, world, 'viommu'),
    data_type: 1n,
    entry_len: 16n,
    data_uptr: world.page,
  }),
  IOMMU_VIOMMU_ALLOC: (luck, world) => ({
    hwpt_id: idOf(luck, world, 'hwpt_paging'),
    ...pick<Readonly<Record<string, bigint>>>(luck, [{ type: 1n }, { type: 2n, data_len: 16n }]),
  }),
  IOMMU_HW_QUEUE_ALLOC: () => ({ type: 1n, index: 0n, nesting_parent_iova: 0x10_0000n, length: 0x1000n }),
  IOMMU_HWPT_GET_DIRTY_BITMAP: (luck, world) => ({
    hwpt_id: idOf(luck, world, 'hwpt_paging'),
    iova: 0x10_0000n,
    length: 0x8000n,
  }),
};

/** Where an area is, or is nearly. */
function someArea(luck: Luck, { of }: World): Readonly<Record<string, bigint>> {
  const maps = of.simulation.glance.kernel?.contexts[1]?.areas;
  const areas = [...(maps?.range() ?? [])].flatMap(([, each]) =>
    [...each.range()].flatMap(([, list]) => list),
  );
  const area = areas[luck.below(Math.max(1, areas.length))];
  return area === undefined ? {} : { iova: area.iova, length: area.last - area.iova + 1n };
}

interface Wanted {
  readonly name: string;
  readonly field: StructField;
  /** Of the file that is asked. */
  readonly context: number;
}

/** A value that a program could mean by a field. */
function plausible(luck: Luck, world: World, { name, field, context }: Wanted): bigint {
  if (field.points !== undefined || /va$|vaddr|uptr|^data$|start/.test(name)) return pointer(luck, world);
  if (/iova/.test(name)) return pick(luck, iovas) + PAGE * BigInt(luck.below(16));
  if (/data_len/.test(name)) return pick(luck, [0n, 16n, 16n, 40n]);
  if (/^len|length|bytes/.test(name)) return pick(luck, lengths);
  if (/page_size/.test(name)) return PAGE;
  if (/entry_len/.test(name)) return 16n;
  if (/reserved/.test(name)) return 0n;
  if (/fd$/.test(name)) return BigInt(3 + luck.below(12));
  if (/^(pasid|virt_id)$/.test(name)) return BigInt(luck.below(6));
  if (/id$/.test(name)) return someId(luck, world, name, context);
  if (/^flags$/.test(name)) return BigInt(luck.below(2) === 0 ? 0 : luck.below(16));
  if (/type$/.test(name)) return BigInt(luck.below(3));
  if (/num|depth/.test(name)) return BigInt(luck.below(4));
  return BigInt(luck.below(luck.below(2) === 0 ? 4 : 16));
}

/** The bytes of an argument: what could be meant, bits turned in it, or nothing but chance. */
function argumentOf(luck: Luck, world: World, { name, struct, bytes }: Request, context: number): Uint8Array {
  const kind = luck.below(12);
  const longer = luck.below(10) === 0 ? luck.below(32) : 0;
  const out = new Uint8Array(Math.max(8, bytes + longer));
  if (kind === 0) for (let at = 0; at < out.length; at += 1) out[at] = luck.below(256);
  else if (struct !== undefined) {
    const set = luck.below(4) > 0 ? together[name]?.(luck, world) : undefined;
    for (const [each, field] of Object.entries(struct.fields)) {
      const width = Math.min(field.bytes, 8);
      let value = set?.[each] ?? plausible(luck, world, { name: each, field, context });
      for (let at = 0; at < width; at += 1, value >>= 8n) out[field.offset + at] = Number(value & 0xffn);
    }
  }
  const view = new DataView(out.buffer);
  const size = luck.below(16) === 0 ? luck.below(2 * bytes + 8) : bytes + longer;
  if (luck.below(24) > 0) view.setUint32(0, size, true);
  for (let turns = kind < 4 ? luck.below(3) : 0; turns > 0; turns -= 1) {
    const bit = luck.below(out.length * 8);
    out[bit >>> 3] = (out[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
  }
  return out;
}

function dataFor(luck: Luck): Uint8Array {
  const out = new Uint8Array(64);
  const view = new DataView(out.buffer);
  for (let at = 0; at < 64; at += 8)
    view.setBigUint64(at, luck.below(4) === 0 ? luck.near(pick(luck, words)) : pick(luck, words), true);
  return out;
}

/** Where the struct begins: mostly so that it fits its page, sometimes so that it does not. */
function placeFor(luck: Luck, { page }: World, bytes: number): bigint {
  if (luck.below(80) === 0) return luck.below(2) === 0 ? luck.word() : page + PAGE - BigInt(luck.below(32));
  return page + BigInt(luck.below(2) * (Number(PAGE) - Math.ceil(bytes / 8) * 8));
}

/** What else a program does now and then. */
function aside(luck: Luck, { of, buffers, page }: World): void {
  const { simulation } = of;
  const kind = luck.below(5);
  const { files = {}, names = {} } = simulation.glance.kernel ?? {};
  if (kind === 0) {
    const endpoint = pick(luck, machine.endpoints).name;
    const iova = pick(luck, iovas) + BigInt(luck.below(0x1_0000));
    simulation.dispatch({
      type: 'dma',
      endpoint,
      iova,
      size: 8,
      access: luck.below(2) === 0 ? 'read' : 'write',
    });
  } else if (kind === 1) {
    const queue = pick(luck, Object.keys(files));
    simulation.dispatch({ type: 'read', fd: queue, bytes: luck.below(256) });
  } else if (kind === 2) {
    simulation.dispatch({ type: 'write', fd: pick(luck, Object.keys(files)), bytes: dataFor(luck) });
  } else if (kind === 3) {
    const device = pick(luck, devices);
    if (names[device] !== undefined) simulation.dispatch({ type: 'close', fd: device });
    simulation.dispatch({ type: 'open', fd: device });
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 16, true);
    view.setInt32(8, names[luck.below(3) === 0 ? 'iommu1' : 'iommu0'] ?? -1, true);
    simulation.dispatch({ type: 'ioctl', fd: device, code: 0x3b76, bytes });
  } else {
    const va = (luck.below(3) === 0 ? page : pick(luck, buffers)) + BigInt(luck.below(8) * 64);
    simulation.dispatch({ type: 'user.write', process: 'proc0', va, bytes: dataFor(luck) });
  }
}

/** Events of a call that do not change what anything holds. */
const harmless = new Set([
  'ioctl',
  'turn',
  'ioctl.begun',
  'ioctl.answered',
  'ioctl.completed',
  'memory.loaded',
  'memory.written',
  'task.begun',
  'task.ended',
  'task.paused',
]);
/** Calls that say how far they came: what comes before the failure stays done. */
const partial =
  /^(IOMMU_IOAS_UNMAP|VFIO_IOMMU_UNMAP_DMA|IOMMU_HWPT_INVALIDATE|IOMMU_VIOMMU_INVALIDATE|IOMMU_DEV_INVALIDATE)$/;

/** The whole state but for its clock, which no call leaves alone. */
function digestOf(state: State): string {
  const hash = createHash('sha256');
  const still = { ...state, seq: 0, tick: 0, outside: 0, random: 0 };
  return digestState(still, { update: (text) => void hash.update(text), digest: () => hash.digest('hex') });
}

/** What the fuzzer keeps from call to call. */
class Watch {
  /** What was held after the last call that touched something; undefined when something may have. */
  #held: string | undefined;
  compared = 0;
  readonly answers: Record<string, number> = {};

  before(state: State): string {
    this.#held ??= heldByKernel(state);
    return this.#held;
  }

  touched(): void {
    this.#held = undefined;
  }
}

function answerOf(entries: readonly Entry[]): { readonly name: string; readonly errno?: string } | undefined {
  for (const entry of entries) if (entry.type === 'ioctl.completed') return entry;
  return undefined;
}

/** Any request, those that end what others need more seldom. */
function someRequest(luck: Luck, requests: readonly Request[]): Request {
  const drawn = pick(luck, requests);
  const again = /DESTROY|UNMAP|^VFIO_(IOMMU|GET|CHECK|SET)/.test(drawn.name) && luck.below(4) > 0;
  return again ? pick(luck, requests) : drawn;
}

/** The iommufd context that a file is of. */
function contextOf({ of }: World, fd: string): number {
  const { names = {}, files = {} } = of.simulation.glance.kernel ?? {};
  const file = files[names[fd] ?? Number(fd)];
  return file !== undefined && 'context' in file ? file.context : 1;
}

/** One call. Throws where it breaks a promise. */
function call(luck: Luck, world: World, watch: Watch, whole: boolean): void {
  const { of, requests, files } = world;
  const { simulation } = of;
  const request =
    luck.below(20) > 0
      ? someRequest(luck, requests)
      : { name: '', code: luck.below(0x1_0000), bytes: luck.below(64) };
  const vfio = /VFIO_DEVICE/.test(request.name);
  const fd =
    luck.below(10) === 0
      ? pick(luck, files)
      : vfio
        ? pick(luck, devices)
        : pick(luck, luck.below(8) > 0 ? ['iommu0'] : ['iommu1', 'container0']);
  const context = contextOf(world, fd);
  const bytes = argumentOf(luck, world, request, context);
  const arg = placeFor(luck, world, bytes.length);
  simulation.dispatch({ type: 'user.write', process: 'proc0', va: arg, bytes });
  const before = watch.before(simulation.glance);
  const digest = whole ? digestOf(of.state) : undefined;
  of.look();
  simulation.dispatch({ type: 'ioctl', fd, process: 'proc0', code: request.code, arg });
  const entries = of.look();
  const answer = answerOf(entries);
  const shown = `${request.name || request.code} on ${fd}, ${world.profile}: ${Buffer.from(bytes).toString('hex')}`;
  if (answer === undefined) throw new Error(`has not ended: ${shown}`);
  const { errno } = answer;
  watch.answers[errno ?? 'ok'] = (watch.answers[errno ?? 'ok'] ?? 0) + 1;
  if (errno !== undefined && !Object.hasOwn(errnos, errno as Errno))
    throw new Error(`errno ${errno}: ${shown}`);
  const quiet = entries.every(({ type }) => harmless.has(type));
  if (!quiet) watch.touched();
  if (errno === undefined || partial.test(answer.name)) return;
  if (!quiet) {
    const after = watch.before(simulation.glance);
    if (after !== before)
      throw new Error(`${errno}, and something is not as before: ${shown}\n${before}\n${after}`);
  } else if (digest !== undefined && !entries.some(({ type }) => type.startsWith('memory.'))) {
    watch.compared += 1;
    if (digestOf(of.state) !== digest) throw new Error(`${errno}, and the state is another: ${shown}`);
  }
}

/** Random arguments until there were `structs`. */
export function fuzzIoctls(
  seed: number,
  structs: number,
  onStory: (done: number) => void = () => {},
): Fuzzed {
  const luck = new Luck(seed);
  const watch = new Watch();
  let done = 0;
  while (done < structs) {
    const world = fresh(luck);
    watch.touched();
    const end = Math.min(structs, done + STORY_STRUCTS);
    for (; done < end; done += 1) {
      if (luck.below(4) === 0) {
        aside(luck, world);
        watch.touched();
      }
      call(luck, world, watch, done % DIGEST_EVERY === 0);
    }
    if (!world.of.simulation.run(100_000).quiet) throw new Error('the machine does not come to rest');
    onStory(done);
  }
  return { structs: done, answers: watch.answers, compared: watch.compared };
}
