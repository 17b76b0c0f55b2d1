/**
 * Random stories of a host whose CPUs map and unmap for their devices while the devices do DMA: who takes a turn
 * is drawn too, so that CPUs, the timer and the SMMU come between each other anywhere. A device uses what is mapped
 * for it and nothing else; what it meets is kept, with what it should have met.
 */
import * as fc from 'fast-check';
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { readyUnits } from '../../core/run.ts';
import { Simulation } from '../../core/simulation.ts';
import type { State } from '../../core/state.ts';
import { dmaHost } from './dma-api.ts';

export const CPUS = 4;
const PAGE = 0x1000;
const FRAMES_AT = 0x10_0000;
const FRAMES = 64;

export type Action =
  | { readonly do: 'map'; readonly cpu: number; readonly pages: number; readonly frame: number }
  | { readonly do: 'unmap'; readonly cpu: number; readonly which: number }
  | { readonly do: 'dma'; readonly which: number; readonly page: number }
  | { readonly do: 'turns'; readonly draws: readonly number[] };

const draws = fc.array(fc.nat({ max: 999 }), { minLength: 1, maxLength: 12 });

/** What stories are made of. @param pages of a mapping, at most and at least */
export function actionOf(
  cpus: number,
  pages: { readonly min: number; readonly max: number },
): fc.Arbitrary<Action> {
  const cpu = fc.nat({ max: cpus - 1 });
  const map = {
    do: fc.constant('map' as const),
    cpu,
    pages: fc.integer(pages),
    frame: fc.nat({ max: FRAMES - 1 }),
  };
  const which = fc.nat({ max: 99 });
  const dma = { do: fc.constant('dma' as const), which, page: fc.nat({ max: 3 }) };
  return fc.oneof(
    { weight: 4, arbitrary: fc.record(map) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('unmap' as const), cpu, which }) },
    { weight: 3, arbitrary: fc.record(dma) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('turns' as const), draws }) },
  );
}
export const action = actionOf(CPUS, { min: 1, max: 4 });

export type Kind = 'dma' | 'dma-fq';
const NONE = { ste: 0, cd: 0, tlb: 0, walk: 0 } as const;

export interface World {
  readonly config: MachineConfig;
  /** The state, and the log so far. */
  readonly state: State;
  readonly entries: readonly Entry[];
}

/** A machine that is up, by its default domain and whether its SMMU caches anything; each is made once. */
export function bootedWorld(kind: Kind, caches: boolean, quirk?: string): World {
  const key = `${kind} ${caches} ${quirk}`;
  const known = booted.get(key);
  if (known !== undefined) return known;
  const smmu = caches ? {} : { caches: NONE };
  const host = dmaHost({
    driver: { defaultDomain: kind },
    smmu,
    machine: { ram: [{ base: '0x0', size: '0x20000000' }] },
  });
  if (quirk !== undefined) host.line({ op: 'set', path: `smmu0.quirks.${quirk}`, value: true });
  host.line({ op: 'set', path: 'schedule', value: 'manual' });
  const world = { config: host.machine, state: host.state, entries: host.look() };
  booted.set(key, world);
  return world;
}
const booted = new Map<string, World>();

interface Live {
  readonly iova: bigint;
  readonly pa: number;
  readonly bytes: number;
}

export interface Played {
  readonly entries: readonly Entry[];
  /** Each DMA: what it met. */
  readonly met: readonly string[];
  /** What it should have met. */
  readonly meant: readonly string[];
  readonly simulation: Simulation;
}

/**
 * Plays a story, and in the end lets all that is under way end.
 * @param strays the device goes on with each range for one access more when a strict unmap of it has ended.
 */
export function playDma({ state }: Pick<World, 'state'>, actions: readonly Action[], strays = false): Played {
  const simulation = new Simulation(state);
  const entries: Entry[] = [];
  const live: Live[] = [];
  const met: string[] = [];
  const meant: string[] = [];
  const gone: bigint[] = [];
  simulation.entries$.subscribe((step) => {
    for (const entry of step) {
      entries.push(entry);
      if (entry.type === 'dma.mapped' && entry.iova !== undefined && entry.pa !== undefined)
        live.push({ iova: entry.iova, pa: entry.pa, bytes: entry.bytes });
      if (strays && entry.type === 'dma.unmapped' && entry.lazy !== true && entry.errno === undefined)
        gone.push(entry.iova);
    }
  });
  const use = ({ iova, pa, bytes }: Live, page: number): void => {
    const offset = (page * PAGE) % bytes;
    const at = iova + BigInt(offset);
    const { outcome } = simulation.dispatch({
      type: 'dma',
      endpoint: 'nvme0',
      iova: at,
      size: 8,
      access: 'write',
    });
    met.push(`${at} ${outcome['result']} ${outcome['pa']}`);
    meant.push(`${at} ok ${pa + offset}`);
  };
  for (const each of actions) {
    if (each.do === 'map') {
      const pa = FRAMES_AT + each.frame * PAGE;
      simulation.dispatch({
        type: 'guest.map',
        endpoint: 'nvme0',
        cpu: each.cpu,
        pa,
        bytes: each.pages * PAGE,
      });
    } else if (each.do === 'turns') turns(simulation, each.draws, () => stray(simulation, gone));
    else if (live.length > 0) {
      const at = each.which % live.length;
      const found = live[at]!;
      if (each.do === 'dma') use(found, each.page);
      else {
        live.splice(at, 1);
        const { iova, bytes } = found;
        simulation.dispatch({ type: 'guest.unmap', endpoint: 'nvme0', cpu: each.cpu, iova, bytes });
      }
    }
  }
  simulation.run();
  for (const each of live) use(each, 0);
  return { entries, met, meant, simulation };
}

/** Nothing is mapped there any more, and whoever unmapped it was told so. */
function stray(simulation: Simulation, gone: bigint[]): void {
  for (const iova of gone.splice(0))
    simulation.dispatch({ type: 'dma', endpoint: 'nvme0', iova, size: 8, access: 'read' });
}

function turns(simulation: Simulation, draws: readonly number[], after: () => void): void {
  for (const draw of draws) {
    const ready = readyUnits(simulation.glance);
    const unit = ready[draw % Math.max(1, ready.length)];
    if (unit === undefined) return;
    simulation.dispatch({ type: 'turn', unit });
    after();
  }
}
