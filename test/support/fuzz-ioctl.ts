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
import type { Request } from '../../core/kernel/requests.ts';
import type { State } from '../../core/state.ts';
import { Luck } from './fuzz.ts';
import { argumentOf, dataFor, iovas, placeFor } from './fuzz-ioctl-argument.ts';
import { devices, fresh, machine, pick, type World } from './fuzz-ioctl-world.ts';
import { heldByKernel } from './held.ts';

/** Structs that a host is given before a fresh one takes its place. */
const STORY_STRUCTS = 1_000;
/** One call in so many is looked at by the digest of the whole state. */
const DIGEST_EVERY = 50;
export interface Fuzzed {
  readonly structs: number;
  /** How often each errno came; `ok` for success. */
  readonly answers: Readonly<Record<string, number>>;
  /** Failures whose whole state was compared. */
  readonly compared: number;
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
