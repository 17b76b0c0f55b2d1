/**
 * A little driver of the world in `world.ts`. It is told what to do in actions. Without a slip it does
 * them as a correct driver must: what hardware may have cached is invalidated and synced before the
 * next access can meet it. A slip, a raw stimulus or raw command is what a careless one does.
 */
import type { Entry } from '../../core/event.ts';
import { draw, nextRandom } from '../../core/random.ts';
import { readyUnits } from '../../core/run.ts';
import type { Simulation } from '../../core/simulation.ts';
import type { Cd } from '../../core/smmu/cd.ts';
import type { Ste } from '../../core/smmu/ste.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { at, command, PAGE_RW, read, store, storeWords, write } from './build.ts';
import { logText } from './content.ts';
import { type Mutation, mutated } from './mutations.ts';
import type { Page, Setup } from './world.ts';
import * as world from './world.ts';

/** Which command takes translations away. */
export type Flush = 'VA' | 'TTL' | 'RANGE' | 'ASID' | 'ALL' | 'NSNH';
export type Slip = 'no-tlbi' | 'no-sync' | 'nothing' | 'wrong-asid';

export interface Dma {
  readonly page: Page;
  readonly offset: number;
  readonly size: number;
  readonly write: boolean;
  readonly privileged: boolean;
  readonly exec: boolean;
}

export type Action = { readonly slip?: Slip | Mutation } & (
  | { readonly do: 'map'; readonly page: Page; readonly frame: number; readonly rights: Rights }
  | {
      readonly do: 'remap';
      readonly page: Page;
      readonly frame: number;
      readonly rights: Rights;
      readonly by: Flush;
    }
  | { readonly do: 'unmap'; readonly pages: readonly Page[]; readonly by: Flush; readonly meanwhile: Dma }
  | { readonly do: 'block'; readonly page: Page; readonly by: Flush }
  | { readonly do: 'context'; readonly space: number; readonly change: 'asid' | 'epd0' | 'wxn' }
  | { readonly do: 'stream'; readonly sid: number; readonly config: Ste['Config']; readonly leaf: boolean }
  | { readonly do: 'level1'; readonly on: boolean }
  | ({ readonly do: 'dma' } & Dma)
  | { readonly do: 'drain' }
  | { readonly do: 'acknowledge' }
  | { readonly do: 'command'; readonly words: Uint32Array }
  | { readonly do: 'stimulus'; readonly stimulus: Stimulus }
  | { readonly do: 'run'; readonly turnsMax: number }
);

export type Rights = 'rw' | 'ro' | 'priv';
const rightsBits: Readonly<Record<Rights, bigint>> = {
  rw: PAGE_RW,
  ro: PAGE_RW | 0x80n,
  priv: PAGE_RW & ~0x40n,
};

export interface Driver {
  act(action: Action): void;
  /** What devices saw: a line for each piece of an access and each event record. */
  readonly accesses: readonly string[];
}

export function openDriver(simulation: Simulation, setup: Setup): Driver {
  const accesses: string[] = [];
  /** Frames by the place of their leaf. */
  const mapped = new Map<number, number>();
  const blocks = new Set<number>();
  const asidTurn = [0, 0, 0];
  const cds: Partial<Cd>[] = [{}, {}, {}];
  const late: Stimulus[] = [];
  let prod = 0;
  let luck = setup.seed >>> 0;

  const put = (...stimuli: Stimulus[]): void => {
    for (const stimulus of stimuli) simulation.dispatch(stimulus);
  };
  const asid = (space: number): number => world.asidOf(space, asidTurn[space] ?? 0);

  /**
   * Waits for CONS to reach PROD and no longer, as a driver does. Where the schedule leaves turns to us,
   * any unit that is ready may be next. A queue that stopped is given up.
   */
  const poll = (): void => {
    for (let turns = 0; turns < 64; turns += 1) {
      const { value } = simulation.dispatch(read('CMDQ_CONS')).outcome as { value: bigint };
      const ready = readyUnits(simulation.glance);
      if (Number(value & 0xfn) === prod || ready.length === 0) return;
      luck = nextRandom(luck);
      put({ type: 'turn', unit: ready[draw(luck, ready.length)] ?? '' });
    }
  };

  /** The store of a change; one that is moved waits for the end of the invalidation. */
  const alter = (stimulus: Stimulus, slip: Action['slip']): void => {
    if (typeof slip === 'object' && slip.kind === 'store-moved') late.push(stimulus);
    else put(stimulus);
  };

  /** Queues the commands and a CMD_SYNC. Room is made by waiting. */
  const issue = (commands: readonly Uint32Array[], slip: Action['slip']): void => {
    for (const words of sentOf(commands, slip)) {
      put(storeWords(at.cmdq + (prod % 2 ** world.CMDQ_LOG2) * 16, words));
      prod = (prod + 1) % 2 ** (world.CMDQ_LOG2 + 1);
      put(write('CMDQ_PROD', prod));
      if (prod % 4 === 0) poll();
    }
    if (late.length === 0) return;
    poll();
    // Devices are at work meanwhile: what the invalidation took is made again of what still stands in memory.
    for (const space of [0, 1, 2])
      for (const upper of [false, true])
        for (const page of world.PAGES) put(dmaOf({ ...READ, page: { space, upper, page } }));
    put(...late.splice(0));
  };
  const flush = (pages: readonly Page[], by: Flush, leaf: boolean, slip: Action['slip']): Uint32Array[] =>
    pages.flatMap((page) =>
      flushCommands(page, asid(page.space) + (slip === 'wrong-asid' ? 100 : 0), by, leaf),
    );

  const dma = (what: Dma): void => {
    const { entries } = simulation.dispatch(dmaOf(what));
    accesses.push(...entries.flatMap(accessText));
  };

  const steps: { readonly [D in Action['do']]: (action: Extract<Action, { do: D }>) => void } = {
    map: ({ page, frame, rights }) => {
      if (mapped.has(world.leafPaOf(page))) return;
      mapped.set(world.leafPaOf(page), frame);
      put(store(world.leafPaOf(page), leafOf(page, frame, rights)));
    },
    remap: ({ page, frame, rights, by, slip }) => {
      const before = mapped.get(world.leafPaOf(page));
      if (before === undefined) return;
      mapped.set(world.leafPaOf(page), frame);
      const make = store(world.leafPaOf(page), leafOf(page, frame, rights));
      if (before === frame) {
        alter(make, slip);
        return issue(flush([page], by, true, slip), slip);
      }
      // Another output: break before make.
      alter(store(world.leafPaOf(page), 0), slip);
      issue(flush([page], by, true, slip), slip);
      poll();
      put(make);
    },
    unmap: ({ pages, by, meanwhile, slip }) => {
      for (const page of pages) {
        mapped.delete(world.leafPaOf(page));
        alter(store(world.leafPaOf(page), 0), slip);
      }
      issue(flush(pages, by, true, slip), slip);
      // Other pages are not in question, so devices may go on using them before the sync is complete.
      const leaves = new Set(pages.map(world.leafPaOf));
      if (!leaves.has(world.leafPaOf(meanwhile.page))) dma({ ...meanwhile, size: 1 });
    },
    block: ({ page, by, slip }) => {
      const pa = world.regionPaOf(page);
      const pages = Array.from({ length: 8 }, (_, index) => ({
        ...page,
        page: world.regionOf(page.page) * 8 + index,
      }));
      const how = by === 'TTL' || by === 'VA' ? 'RANGE' : by;
      // Break before make.
      alter(store(pa, 0), slip);
      issue(flush(how === 'RANGE' ? pages.slice(0, 1) : [page], how, false, slip), slip);
      poll();
      const make = !blocks.has(pa);
      if (make) blocks.add(pa);
      else blocks.delete(pa);
      put(store(pa, make ? leafOf(page, 0, 'rw') & ~2n : world.regionTable(page)));
    },
    context: ({ space, change, slip }) => {
      const old = asid(space);
      if (change === 'asid') asidTurn[space] = 1 - (asidTurn[space] ?? 0);
      const before = cds[space] ?? {};
      const flip = change === 'epd0' ? { EPD0: !before.EPD0 } : change === 'wxn' ? { WXN: !before.WXN } : {};
      cds[space] = { ...before, ASID: asid(space), ...flip };
      alter(storeWords(world.cdPa(space), world.cdOf(space, cds[space])), slip);
      const fields = { StreamID: world.sidOf(space), SubstreamID: space === 2 ? 1 : 0, Leaf: true };
      issue([command('CMD_CFGI_CD', fields), command('CMD_TLBI_NH_ASID', { ASID: old })], slip);
    },
    stream: ({ sid, config, leaf, slip }) => {
      alter(storeWords(world.stePa(sid, setup.twoLevel), world.steOf(sid, config)), slip);
      issue([command('CMD_CFGI_STE', { StreamID: sid, Leaf: leaf })], slip);
    },
    level1: ({ on, slip }) => {
      if (!setup.twoLevel) return;
      alter(store(at.strtab, world.l1stdOf(on ? 7 : 0)), slip);
      issue([command('CMD_CFGI_STE_RANGE', { Range: 31 })], slip);
    },
    dma,
    drain: () => {
      simulation.run();
      const { value } = simulation.dispatch(read('EVENTQ_PROD')).outcome as { value: bigint };
      put(write('EVENTQ_CONS', value));
    },
    acknowledge: () => {
      const { value } = simulation.dispatch(read('GERROR')).outcome as { value: bigint };
      put(write('GERRORN', value));
    },
    command: ({ words, slip }) => issue([words], slip),
    stimulus: ({ stimulus }) => put(stimulus),
    run: ({ turnsMax }) => {
      simulation.run(turnsMax);
    },
  };

  function act(action: Action): void {
    (steps[action.do] as (action: Action) => void)(action);
    if (action.do === 'dma') simulation.run();
    else if (waits(action.slip) && action.do !== 'stimulus' && action.do !== 'run') poll();
  }

  // One at a time: the enables are handshakes.
  for (const stimulus of world.boot(setup)) {
    put(stimulus);
    simulation.run();
  }
  for (const space of [0, 1, 2]) {
    for (const page of world.PAGES) {
      for (const upper of [false, true])
        act({ do: 'map', page: { space, upper, page }, frame: page, rights: 'rw' });
    }
  }
  return { accesses, act };
}

const READ = { offset: 0, size: 8, write: false, privileged: true, exec: false };

/** What really goes out. */
function sentOf(commands: readonly Uint32Array[], slip: Action['slip']): readonly Uint32Array[] {
  if (typeof slip === 'object') return mutated(commands, slip);
  if (slip === 'nothing') return [];
  return [...(slip === 'no-tlbi' ? [] : commands), ...(slip === 'no-sync' ? [] : [command('CMD_SYNC', {})])];
}

/** A careless driver goes on at once; one with a single mistake does all else as it should. */
function waits(slip: Action['slip']): boolean {
  return slip === undefined || (typeof slip === 'object' && slip.kind !== 'un-synced');
}

function leafOf(page: Page, frame: number, rights: Rights): bigint {
  const bits = rightsBits[rights];
  return BigInt(world.framePa(frame)) | (page.upper ? bits & ~(1n << 11n) : bits);
}

function flushCommands(page: Page, asid: number, by: Flush, leaf: boolean): Uint32Array[] {
  const { upper } = page;
  if (by === 'ALL' || (by === 'ASID' && upper)) return [command('CMD_TLBI_NH_ALL', {})];
  if (by === 'NSNH') return [command('CMD_TLBI_NSNH_ALL', {})];
  if (by === 'ASID') return [command('CMD_TLBI_NH_ASID', { ASID: asid })];
  const hint =
    by === 'TTL'
      ? ({ TG: '4KB', TTL: 3 } as const)
      : by === 'RANGE' && leaf
        ? ({ TG: '4KB', NUM: 0, SCALE: 1 } as const)
        : by === 'RANGE'
          ? ({ TG: '4KB', NUM: 31, SCALE: 4 } as const)
          : {};
  const fields = { Address: Number(world.iovaOf(page)), Leaf: leaf, ...hint };
  // By address, a global leaf goes whatever the ASID; what is cached of tables belongs to each ASID.
  const anyAsid = upper && !(leaf && by === 'VA');
  return [
    anyAsid ? command('CMD_TLBI_NH_VAA', fields) : command('CMD_TLBI_NH_VA', { ASID: asid, ...fields }),
  ];
}

function dmaOf({ page, offset, size, write: writes, privileged, exec }: Dma): Stimulus {
  const data = new Uint8Array(size).fill(page.page + offset + 1);
  return {
    type: 'dma',
    endpoint: page.space === 0 ? 'dev0' : 'dev1',
    iova: world.iovaOf(page) + BigInt(offset),
    size,
    access: writes ? 'write' : 'read',
    privileged,
    exec,
    ...(page.space === 2 ? { ssid: 1 } : {}),
    ...(writes ? { data } : {}),
  };
}

/** An access as its device sees it: without the way it was served. */
function accessText(entry: Entry): string[] {
  if (entry.type === 'access.completed') return [`${entry.iova.toString(16)} ok ${entry.pa.toString(16)}`];
  if (entry.type === 'access.terminated') return [`${entry.iova.toString(16)} ${entry.result}`];
  if (entry.type === 'record.raised') return [logText([entry]).replace(/"(seq|cause|tick)":\d+,?/g, '')];
  return [];
}
