/**
 * Random stories of an operating system whose processes map, unmap, protect and go while devices are bound to them and
 * do DMA. Who takes a turn is drawn too. A model of what is mapped follows the answers; where nothing is under way
 * for a page and its bond, a device must meet just what the model has.
 */
import * as fc from 'fast-check';
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import type { Outcome } from '../../core/outcome.ts';
import { readyUnits } from '../../core/run.ts';
import { Simulation } from '../../core/simulation.ts';
import { smmuConfig } from '../../core/smmu/profiles.ts';
import type { State } from '../../core/state.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { host } from './kernel.ts';
import { follow, isUnbinding, isUnsettled, newModel, PAGE, type Rights } from './sva-model.ts';

const BASE = 0x40_0000;
/** Pages stand on both sides of a border between two tables. */
const FIRST = BASE + 0x1f_c000;
const PAGES = 8;
const PROCESSES = ['app', 'db'] as const;
const ENDPOINTS = ['acc0', 'acc1'] as const;

export type Kind = 'host' | 'host without ranges' | 'guest';

export type Action =
  | {
      readonly do: 'map' | 'unmap' | 'protect';
      readonly cpu: number;
      readonly mm: number;
      readonly page: number;
      readonly pages: number;
      readonly access: Rights;
    }
  | { readonly do: 'bind' | 'unbind'; readonly cpu: number; readonly mm: number; readonly endpoint: number }
  | { readonly do: 'exit'; readonly cpu: number; readonly mm: number }
  | {
      readonly do: 'dma';
      readonly mm: number;
      readonly endpoint: number;
      readonly page: number;
      readonly write: boolean;
      readonly ats: boolean;
    }
  | { readonly do: 'turns'; readonly draws: readonly number[] }
  | { readonly do: 'run' };

const cpu = fc.nat({ max: 2 });
const mm = fc.nat({ max: 1 });
const endpoint = fc.nat({ max: 1 });
const page = fc.nat({ max: PAGES - 1 });
const range = {
  cpu,
  mm,
  page,
  pages: fc.integer({ min: 1, max: 4 }),
  access: fc.constantFrom<Rights>('read', 'read-write', 'read-write'),
};
const dma = { do: fc.constant('dma' as const), mm, endpoint, page, write: fc.boolean(), ats: fc.boolean() };
const draws = fc.array(fc.nat({ max: 999 }), { minLength: 1, maxLength: 40 });

export const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('map' as const), ...range }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('unmap' as const), ...range }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('protect' as const), ...range }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('bind' as const), cpu, mm, endpoint }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unbind' as const), cpu, mm, endpoint }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('exit' as const), cpu, mm }) },
  { weight: 12, arbitrary: fc.record(dma) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('turns' as const), draws }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('run' as const) }) },
);

export interface World {
  readonly kind: Kind;
  readonly config: MachineConfig;
  readonly state: State;
  readonly entries: readonly Entry[];
}

const NONE = { ste: 0, cd: 0, tlb: 0, walk: 0 } as const;
const RIL = 1 << 10;
/** `everything` without IDR3.RIL: a command for each page, or one for all. */
const WITHOUT_RIL = { IDR3: Number(smmuConfig('everything', { name: 'smmu0', base: 0 }).idr['IDR3']) & ~RIL };
const booted = new Map<string, World>();

/** A machine that is up, each made once. */
export function svaWorld(kind: Kind, caches: boolean, quirk?: string): World {
  const key = `${kind} ${caches} ${quirk}`;
  const known = booted.get(key);
  if (known !== undefined) return known;
  const made = host(
    {},
    {
      ram: [{ base: '0x40000000', size: '0x20000000' }],
      smmus: [
        {
          name: 'smmu0',
          profile: 'everything',
          ...(caches ? {} : { caches: NONE }),
          ...(kind === 'host without ranges' ? { idr: WITHOUT_RIL } : {}),
        },
      ],
      endpoints: ENDPOINTS.map((name, at) => ({
        name,
        streamId: 8 + at,
        ssidBits: 4,
        ats: at === 0,
        atc: caches ? 'unbounded' : 0,
      })),
    },
  );
  if (kind === 'guest') {
    made.line({
      op: 'vm.create',
      vm: 'vm0',
      profile: 'qemu-accel',
      cpus: 3,
      properties: { ssidsize: 4, ats: true },
    });
    for (const [at, name] of ENDPOINTS.entries())
      made.line({ op: 'vm.plug', vm: 'vm0', endpoint: name, streamId: 16 + at, ssidBits: 4, ats: at === 0 });
    made.line({ op: 'guest.boot', vm: 'vm0' });
  }
  const driver = kind === 'guest' ? 'vm0.smmu' : 'smmu0';
  if (quirk !== undefined) made.line({ op: 'set', path: `${driver}.quirks.${quirk}`, value: true });
  made.line({ op: 'set', path: 'schedule', value: 'manual' });
  const world = { kind, config: made.machine, state: made.state, entries: made.look() };
  booted.set(key, world);
  return world;
}

export interface Played {
  readonly entries: readonly Entry[];
  /** Each DMA where nothing was under way: what it met, and what it should have met. */
  readonly met: readonly string[];
  readonly meant: readonly string[];
  readonly simulation: Simulation;
}

type Use = Extract<Action, { do: 'dma' }>;
type Asked = Exclude<Action, { do: 'dma' | 'turns' | 'run' }>;

/** Plays a story, devices doing DMA at any time, and in the end lets all that is under way end. */
export function playSva({ state, kind }: World, actions: readonly Action[]): Played {
  const simulation = new Simulation(state);
  const model = newModel();
  const [entries, met, meant]: [Entry[], string[], string[]] = [[], [], []];
  simulation.entries$.subscribe((step) => {
    entries.push(...step);
    for (const entry of step) follow(model, entry);
  });
  const physical = kind === 'guest' ? guestMemory(state) : (pa: number): number => pa;
  const use = (action: Use): void => {
    const [process, name, va] = [nameOf(action.mm), endpointOf(action.endpoint), vaOf(action.page)];
    const bond = model.bonds.get(`${process} ${name}`);
    if (bond === undefined || (action.ats && name !== 'acc0')) return;
    // What a device meets while something is under way is anybody's guess.
    const settled = !isUnsettled(model, process, va, name);
    // Who unbinds has stopped the device.
    if (isUnbinding(model, process, name)) return;
    const outcome = accessOf(simulation, action, bond.ssid);
    if (!settled) return;
    const found = model.pages.get(`${process} ${va}`);
    const may = found !== undefined && (!action.write || found.access === 'read-write');
    const at = `${process} ${name} ${action.write ? 'write' : 'read'} ${va.toString(16)}`;
    met.push(`${at} ${outcome['result'] === 'ok' ? `ok ${outcome['pa']}` : 'refused'}`);
    meant.push(`${at} ${may ? `ok ${physical(found.pa)}` : 'refused'}`);
  };
  const owner = kind === 'guest' ? { vm: 'vm0' } : {};
  for (const each of actions) {
    if (each.do === 'turns') turns(simulation, each.draws);
    else if (each.do === 'run') simulation.run();
    else if (each.do === 'dma') use(each);
    else simulation.dispatch(stimulusOf(each, owner));
  }
  simulation.run();
  for (const mm of PROCESSES.keys())
    for (const endpoint of ENDPOINTS.keys())
      for (let page = 0; page < PAGES + 4; page += 1)
        use({ do: 'dma', mm, endpoint, page, write: page % 2 === 0, ats: false });
  return { entries, met, meant, simulation };
}

const nameOf = (mm: number): string => PROCESSES[mm] ?? 'app';
const endpointOf = (endpoint: number): string => ENDPOINTS[endpoint] ?? 'acc0';
const vaOf = (page: number): number => FIRST + page * PAGE;

/** An access by its address, or by what ATS says to it. */
function accessOf(simulation: Simulation, { endpoint, page, write, ats }: Use, ssid: number): Outcome {
  const iova = BigInt(vaOf(page));
  const about = { endpoint: endpointOf(endpoint), iova, access: write ? 'write' : 'read', ssid } as const;
  // A device that keeps nothing asks nothing.
  const keeps = simulation.glance.endpoints[endpointOf(endpoint)]?.config.atc !== 0;
  const asked =
    ats && keeps ? simulation.dispatch({ type: 'ats.translate', ...about, size: PAGE }).outcome : {};
  const translated = asked['result'] === 'ok' ? { translated: true } : {};
  return simulation.dispatch({ type: 'dma', ...about, size: 8, ...translated }).outcome;
}

function stimulusOf(action: Asked, owner: { readonly vm?: string }): Stimulus {
  const about = { ...owner, mm: nameOf(action.mm), cpu: action.cpu };
  if (action.do === 'exit') return { type: 'mm.exit', ...about };
  if ('endpoint' in action)
    return { type: `sva.${action.do}`, ...about, endpoint: endpointOf(action.endpoint) };
  const range = { va: BigInt(vaOf(action.page)), bytes: action.pages * PAGE };
  if (action.do === 'unmap') return { type: 'mm.unmap', ...about, ...range };
  return { type: `mm.${action.do}`, ...about, ...range, access: action.access };
}

function turns(simulation: Simulation, list: readonly number[]): void {
  for (const draw of list) {
    const ready = readyUnits(simulation.glance);
    const unit = ready[draw % Math.max(1, ready.length)];
    if (unit === undefined) return;
    simulation.dispatch({ type: 'turn', unit });
  }
}

/** Where guest memory is. */
function guestMemory({ spaces }: State): (gpa: number) => number {
  const windows = spaces['vm0'] ?? [];
  return (gpa) => {
    const found = windows.find(({ base, bytes }) => gpa >= base && gpa < base + bytes);
    return found === undefined ? -1 : gpa - found.base + found.pa;
  };
}
