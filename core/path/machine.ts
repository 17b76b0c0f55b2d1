/** The tables of what a path can begin with and go on to: the machine, its SMMUs, endpoints, memory. */

import type { EndpointState } from '../endpoint/state.ts';
import { touchKey } from '../history/touch.ts';
import type { Register } from '../layout/register.ts';
import { viewOf as memoryOf } from '../memory/space.ts';
import { CD } from '../smmu/cd.ts';
import { registersOf } from '../smmu/register-blocks.ts';
import { type HeldName, registers, viewOf } from '../smmu/registers.ts';
import { activeErrors, regHigh, regValue } from '../smmu/regs.ts';
import { absentPointerBits } from '../smmu/rings.ts';
import type { SmmuState } from '../smmu/state.ts';
import { STE } from '../smmu/ste.ts';
import type { State } from '../state.ts';
import { atcNode, cacheNode } from './caches.ts';
import { contextNodes, kernelNode } from './kernel.ts';
import {
  absent,
  type Children,
  group,
  hex,
  joinWatched,
  leaf,
  NOTHING,
  type PathNode,
  structure,
  type Watched,
} from './node.ts';
import { enhancedQueuesNode, queueNode } from './queue.ts';
import {
  bitsRead,
  fieldRead,
  findCd,
  findSte,
  memoryRead,
  type Placed,
  registersRead,
} from './structures.ts';
import { vmNode } from './vm.ts';

/** The whole machine: where every path begins. */
export function machineNode(state: State): PathNode {
  // What belongs to a VM stands under its name.
  const own = <T>(all: Readonly<Record<string, T>>): readonly (readonly [string, T])[] =>
    Object.entries(all).filter(([name]) => !name.includes('.'));
  const smmus = own(state.smmus).map(([name, smmu]) => [name, () => smmuNode(state, smmu)] as const);
  const { kernel } = state;
  const endpoints = own(state.endpoints).map(
    ([name, endpoint]) => [name, () => endpointNode(endpoint)] as const,
  );
  return group({
    ...Object.fromEntries(smmus),
    ...Object.fromEntries(endpoints),
    ...Object.fromEntries(
      Object.values(state.vms).map((vm) => [vm.name, () => vmNode(state, vm, { smmuNode, endpointNode })]),
    ),
    ...contextNodes(state),
    ...(kernel === undefined ? {} : { kernel: () => kernelNode(kernel, state) }),
    mem: () => memoryNode(state),
    schedule: () => setting('schedule', state.schedule),
  });
}

function smmuNode(state: State, smmu: SmmuState): PathNode {
  const memory = memoryOf(state, smmu.config.space);
  const { name } = smmu.config;
  return group({
    regs: () => registersNode(smmu),
    cmdq: () => queueNode(memory, smmu, 'CMDQ'),
    evtq: () => queueNode(memory, smmu, 'EVENTQ'),
    ...(smmu.features.pri ? { priq: () => queueNode(memory, smmu, 'PRIQ') } : {}),
    ...(smmu.features.ecmdq ? { ecmdq: () => enhancedQueuesNode(memory, smmu) } : {}),
    gerror: () => errorsNode(smmu),
    tlb: () => cacheNode(smmu, 'tlb'),
    walk: () => cacheNode(smmu, 'walk'),
    ste: () =>
      cacheNode(smmu, 'ste', { means: 'StreamID', item: (streamId) => steNode(state, smmu, streamId) }),
    cd: () =>
      cacheNode(smmu, 'cd', { means: 'StreamID', item: (streamId) => contextsNode(state, smmu, streamId) }),
    l1std: () => cacheNode(smmu, 'l1std'),
    l1cd: () => cacheNode(smmu, 'l1cd'),
    inFlight: () => inFlightNode(smmu),
    records: () => recordsNode(smmu),
    stalls: () => stallsNode(smmu),
    ...(smmu.features.pri ? { pageRequests: () => pageRequestsNode(smmu) } : {}),
    profile: () => leaf(smmu.config.profile, NOTHING),
    base: () => leaf(hex(smmu.config.base), NOTHING),
    caches: () => settingsNode(`${name}.caches`, smmu.config.caches),
    invalidation: () => setting(`${name}.invalidation`, smmu.config.invalidation),
    replacement: () => setting(`${name}.replacement`, smmu.config.replacement),
    choices: () => settingsNode(`${name}.choices`, smmu.config.choices),
  });
}

function registersNode(smmu: SmmuState): PathNode {
  const all = registersOf(smmu);
  const children = Object.fromEntries(
    all.map((register) => [register.name, () => registerNode(smmu, register)]),
  );
  const node = group(children);
  // Fifty registers that are 0 tell nothing: people see the others, programs see all.
  const held = (): Register[] => all.filter(({ name }) => regValue(smmu, name as HeldName) !== 0n);
  return {
    ...node,
    lines: () =>
      held().flatMap((register) =>
        registerNode(smmu, register)
          .lines(true)
          .map(({ text }) => ({ below: `.${register.name}`, text })),
      ),
  };
}

function registerNode(smmu: SmmuState, register: Register): PathNode {
  const name = register.name as HeldName;
  const value = regValue(smmu, name) & ~BigInt(absentPointerBits(smmu, name));
  const raw = `0x${value.toString(16).padStart(register.width / 4, '0')}`;
  const words = [Number(value & 0xffff_ffffn), regHigh(smmu, name)];
  return structure(viewOf(register, words), words, registersRead(smmu, name), {
    value: hex(value),
    raw,
    narrow: (field) => bitsRead(smmu, name, field),
  });
}

/** Names of the errors that are active: GERROR differs from GERRORN (7.5). */
function errorsNode(smmu: SmmuState): PathNode {
  const { fields } = registers.byName.GERROR;
  const active = Object.entries(fields).flatMap(([name, field]) =>
    field.read([activeErrors(smmu)]) ? [name] : [],
  );
  return leaf(
    active,
    registersRead(smmu, 'GERROR', 'GERRORN'),
    active.length === 0 ? 'none active' : active.join(' '),
  );
}

function steNode(state: State, smmu: SmmuState, streamId: number): PathNode {
  return placedNode(findSte(memoryOf(state, smmu.config.space), smmu, streamId), STE);
}

/** `smmu0.cd[8]`: the next index is the SubstreamID. */
function contextsNode(state: State, smmu: SmmuState, streamId: number): PathNode {
  const item = (substreamId: number): PathNode =>
    placedNode(findCd(memoryOf(state, smmu.config.space), smmu, streamId, substreamId), CD);
  const first = item(0);
  return {
    ...first,
    lines: (brief) => first.lines(brief).map(({ below, text }) => ({ below: `[0]${below}`, text })),
    index: 'SubstreamID',
    item,
  };
}

function placedNode(placed: Placed, of: typeof STE | typeof CD): PathNode {
  if ('why' in placed) return absent(placed.why, placed.read);
  return structure(of, placed.words, placed.read, {
    head: { pa: hex(placed.pa) },
    raw: `at ${hex(placed.pa)}`,
    narrow: (field) => joinWatched([placed.before, fieldRead(placed.place, field)]),
  });
}

function inFlightNode(smmu: SmmuState): PathNode {
  const watched = past('command', 'fetched', 'consumed', 'performed', 'rejected');
  const all = smmu.inFlight.map(({ queue, index, command, fetched, consumed }) => ({
    queue,
    index,
    command,
    fetched,
    consumed,
  }));
  const text = all.map(({ queue, index, command, consumed }) => {
    const from = queue === 'CMDQ' ? '' : queue.toLowerCase();
    return `${from}[${index}] ${command} ${consumed ? 'consumed' : 'fetched'}`;
  });
  return leaf(all, watched, all.length === 0 ? 'no commands' : text.join(', '));
}

function recordsNode(smmu: SmmuState): PathNode {
  const watched = past('record', 'raised', 'written', 'dropped');
  const all = smmu.records.map(({ record, raised }) => ({ record, raised }));
  return leaf(all, watched, all.length === 0 ? 'none waiting' : all.map(({ record }) => record).join(' '));
}

/** Accesses that wait for software, and those whose end is decided and not yet done (3.12.2). */
function stallsNode(smmu: SmmuState): PathNode {
  const watched = joinWatched([past('access', 'stalled'), past('stall', 'decided', 'ended')]);
  const all = smmu.stalls.map(({ id, endpoint, streamId, substreamId, iova, access, stag, held, fate }) => ({
    id,
    endpoint,
    streamId,
    ...(substreamId === undefined ? {} : { substreamId }),
    iova: hex(iova),
    access,
    ...(held ? { held } : { stag }),
    ...(fate === undefined ? {} : { fate }),
  }));
  const text = smmu.stalls.map(({ endpoint, iova, access, stag, held, fate }) =>
    [endpoint, access, hex(iova), held ? 'held' : `STAG=${stag}`, ...(fate === undefined ? [] : [fate])].join(
      ' ',
    ),
  );
  return leaf(all, watched, all.length === 0 ? 'none' : text.join(', '));
}

/** Page Requests that wait to be written to the PRI queue (8.1). */
function pageRequestsNode(smmu: SmmuState): PathNode {
  const watched = past('page', 'requested', 'queued', 'dropped');
  const all = smmu.pageRequests.map(({ id, endpoint, prgIndex, wants, last }) => ({
    id,
    endpoint,
    prgIndex,
    wants,
    last,
  }));
  const text = all.map(({ endpoint, prgIndex, wants }) => `${endpoint} group ${prgIndex} ${wants}`);
  return leaf(all, watched, all.length === 0 ? 'none waiting' : text.join(', '));
}

/** Where the facts of these names are found. */
function past(about: string, ...names: readonly string[]): Watched {
  return { keys: names.map((name) => `type:${about}.${name}`), spans: [] };
}

/** What opens and closes Page Request groups. */
const GROUP_KEYS = ['page.requested', 'page.responded', 'endpoint.reset'].map((type) => `type:${type}`);

/** What sets where MSIs go. */
const MSI_KEYS = ['msi.programmed', 'endpoint.reset'].map((type) => `type:${type}`);

function endpointNode(endpoint: EndpointState): PathNode {
  const { name, smmu, streamId, ssidBits, atc } = endpoint.config;
  return group({
    smmu: () => leaf(smmu, NOTHING),
    streamId: () => leaf(streamId, NOTHING),
    ssidBits: () => leaf(ssidBits, NOTHING),
    ats: () => setting(`${name}.ats`, endpoint.ats),
    pri: () => setting(`${name}.pri`, endpoint.pri),
    atcCapacity: () => leaf(atc, NOTHING),
    atc: () => atcNode(endpoint),
    silent: () => setting(`${name}.silent`, endpoint.silent),
    msi: () => leaf(endpoint.msi ?? 'off', { keys: MSI_KEYS, spans: [] }),
    groups: () => leaf(endpoint.groups, { keys: GROUP_KEYS, spans: [] }),
  });
}

function memoryNode(state: State): PathNode {
  const { ram } = state.memory;
  const ranges = ram.map(({ base, size }) => ({ base: hex(base), size: hex(size) }));
  return {
    ...leaf(ranges, NOTHING, ranges.map(({ base, size }) => `RAM ${base} + ${size}`).join(', ')),
    index: 'address, a multiple of 8',
    item: (pa) => (pa % 8 === 0 ? doubleword(state, pa) : undefined),
  };
}

function doubleword(state: State, pa: number): PathNode {
  if (!state.memory.isRam(pa, 8)) return absent('not RAM', NOTHING);
  return leaf(hex(state.memory.read64(pa)), memoryRead(pa, 8));
}

function settingsNode(path: string, values: Readonly<Record<string, unknown>> | object): PathNode {
  const rows: Children = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, () => setting(`${path}.${name}`, value)]),
  );
  const brief = (): string =>
    Object.entries(values)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ');
  return { ...group(rows, { brief }) };
}

/** A value that `set` can change. */
function setting(path: string, value: unknown): PathNode {
  return leaf(value, { keys: [touchKey('path', path)], spans: [] });
}
