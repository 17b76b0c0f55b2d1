/** Random machines and random stories for the drivers: one seed makes everything. */
import * as fc from 'fast-check';
import type { Entry } from '../../core/event.ts';
import { Simulation } from '../../core/simulation.ts';
import { commandLayouts } from '../../core/smmu/command-layout.ts';
import { registers } from '../../core/smmu/registers.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { at, reset } from './build.ts';
import {
  type Action,
  type Dma,
  type Driver,
  type Flush,
  openDriver,
  type Rights,
  type Slip,
} from './drivers.ts';
import { FRAMES, PAGES, type Page, type Setup, SPACES, worldConfig } from './world.ts';

export interface Story {
  readonly setup: Setup;
  readonly actions: readonly Action[];
}

const capacity = fc.constantFrom(0, 1, 3, 'unbounded' as const);
/** Few pages, so that stories come back to them. */
const pageOf: fc.Arbitrary<Page> = fc.record({
  space: fc.nat(SPACES - 1),
  upper: fc.boolean(),
  page: fc.constantFrom(...PAGES),
});
const frameOf = fc.nat(FRAMES - 1);
const rightsOf = fc.constantFrom<Rights>('rw', 'ro', 'priv');
const flushOf = fc.constantFrom<Flush>('VA', 'TTL', 'RANGE', 'ASID', 'ALL', 'NSNH');
const slipOf = fc.constantFrom<Slip>('no-tlbi', 'no-sync', 'nothing', 'wrong-asid');
const dmaOf: fc.Arbitrary<Dma> = fc.record({
  page: pageOf,
  offset: fc.constantFrom(0, 8, 0x123, 0xff8),
  size: fc.constantFrom(1, 8, 64, 0x1800),
  write: fc.boolean(),
  privileged: fc.boolean(),
  exec: fc.boolean(),
});

export const setups: fc.Arbitrary<Setup> = fc.record({
  caches: fc.record({ ste: capacity, cd: capacity, tlb: capacity, walk: capacity }),
  invalidation: fc.constantFrom('literal', 'generous'),
  replacement: fc.constantFrom('oldest', 'flush-all'),
  schedule: fc.constantFrom('eager', 'seeded', 'manual'),
  seed: fc.nat(),
  twoLevel: fc.boolean(),
});

/** Half of all are accesses, so that caches fill and what they hold is met again. */
export const correctAction: fc.Arbitrary<Action> = fc.oneof(
  { weight: 16, arbitrary: dmaOf.map((dma): Action => ({ do: 'dma', ...dma })) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('map' as const), page: pageOf, frame: frameOf, rights: rightsOf }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('remap' as const),
      page: pageOf,
      frame: frameOf,
      rights: rightsOf,
      by: flushOf,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('unmap' as const),
      pages: fc.array(pageOf, { minLength: 1, maxLength: 3 }),
      by: flushOf,
      meanwhile: dmaOf,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('block' as const), page: pageOf, by: flushOf }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('context' as const),
      space: fc.nat(SPACES - 1),
      change: fc.constantFrom('asid', 'epd0', 'wxn'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('stream' as const),
      sid: fc.constantFrom(8, 9),
      config: fc.constantFrom('S1', 'S1', 'S1', 'S1', 'BYPASS', 'ABORT'),
      leaf: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(true, true, true, false).map((on): Action => ({ do: 'level1', on })),
  },
  { weight: 1, arbitrary: fc.constant<Action>({ do: 'drain' }) },
);

const word = fc.oneof(
  fc.nat(),
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.constantFrom(0, 1, 0xf, 0xffff_ffff),
);
export const u64 = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), word.map(BigInt));
const offsetOf = fc.oneof(fc.constantFrom(...registers.list.map(({ offset }) => offset)), fc.nat(0x2_1000));

/** Commands by name with random bits above the opcode, and entries that are no command at all. */
export const commandWords: fc.Arbitrary<Uint32Array> = fc
  .tuple(
    fc.constantFrom(...Object.values(commandLayouts).map(({ opcode }) => opcode), 0, 0xff),
    fc.array(word, { minLength: 4, maxLength: 4 }),
  )
  .map(([opcode, words]) =>
    Uint32Array.from(words, (each, index) => (index === 0 ? (each & ~0xff) | opcode : each)),
  );

/** Somewhere in the structures of the world, where a stray store hurts. */
const structurePa = fc
  .tuple(
    fc.constantFrom(
      at.strtab,
      at.strtab + 0x1000,
      at.cd,
      at.cd + 0x1000,
      at.cmdq,
      0x20_0000,
      0x20_2000,
      0x23_3000,
    ),
    fc.nat(0x280),
  )
  .map(([base, offset]) => base + offset);

const settings: fc.Arbitrary<readonly [string, unknown]> = fc.oneof(
  fc.tuple(
    fc.constantFrom('ste', 'cd', 'tlb', 'walk').map((name) => `smmu0.caches.${name}`),
    capacity,
  ),
  fc.tuple(fc.constant('smmu0.invalidation'), fc.constantFrom('literal', 'generous')),
  fc.tuple(fc.constant('smmu0.replacement'), fc.constantFrom('oldest', 'flush-all')),
  fc.tuple(fc.constant('schedule'), fc.constantFrom('eager', 'seeded', 'manual')),
  fc.tuple(fc.constantFrom('smmu0.choices.checkAccessFlag', 'dev0.ats', 'no.such.path'), fc.boolean()),
);

const size = fc.constantFrom(4, 8);
const bytes = fc.uint8Array({ minLength: 1, maxLength: 80 });
const units = fc.constantFrom('acknowledge', 'evtq', 'priq', 'consume', 'perform', 'cmdq', 'nobody');
const endpoints = fc.constantFrom('dev0', 'dev1', 'nobody');
const ssid = fc.option(fc.nat(0xf_ffff), { nil: undefined });

/** Anything that may be asked of the machine. */
export const anyStimulus: fc.Arbitrary<Stimulus> = fc.oneof(
  fc.record({
    type: fc.constant('mmio.write' as const),
    smmu: fc.constant('smmu0'),
    offset: offsetOf,
    size,
    value: u64,
  }),
  fc.record({ type: fc.constant('mmio.read' as const), smmu: fc.constant('smmu0'), offset: offsetOf, size }),
  fc.record({ type: fc.constant('mem.write' as const), pa: structurePa, bytes }),
  fc.record({ type: fc.constant('mem.write' as const), pa: fc.nat(2 ** 34), bytes }),
  fc.record({ type: fc.constant('mem.read' as const), pa: fc.nat(2 ** 34), size: fc.nat(64) }),
  fc.record({
    type: fc.constant('dma' as const),
    endpoint: endpoints,
    iova: u64,
    size: fc.nat(0x3000),
    access: fc.constantFrom('read', 'write'),
    ssid: fc.nat(0xf_ffff),
    translated: fc.boolean(),
  }),
  fc
    .record({
      iova: u64,
      size: fc.nat(0x3000),
      access: fc.constantFrom('read', 'write'),
      ssid,
      exec: fc.boolean(),
    })
    .chain((asked) =>
      endpoints.map((endpoint) => ({ type: 'ats.translate', endpoint, ...asked }) as Stimulus),
    ),
  fc
    .record({
      iova: u64,
      access: fc.constantFrom('read', 'write', 'none'),
      prgIndex: fc.nat(600),
      last: fc.boolean(),
      ssid,
    })
    .chain((asked) => endpoints.map((endpoint) => ({ type: 'pri.request', endpoint, ...asked }) as Stimulus)),
  units.map((unit): Stimulus => ({ type: 'turn', unit: `smmu0.${unit}` })),
  settings.map(([path, value]): Stimulus => ({ type: 'set', path, value })),
  fc
    .record({ ats: fc.boolean(), pri: fc.boolean(), silent: fc.boolean(), reset: fc.boolean() })
    .map((set): Stimulus => ({ type: 'endpoint.set', endpoint: 'dev1', set })),
  commandWords.map(([a = 0, b = 0, c = 0, d = 0]): Stimulus => {
    const [lo, hi] = [(BigInt(b >>> 0) << 32n) | BigInt(a >>> 0), (BigInt(d >>> 0) << 32n) | BigInt(c >>> 0)];
    return { type: 'command.issue', smmu: 'smmu0', lo, hi };
  }),
  fc.constant<Stimulus>({ type: 'note', kind: 'remark', text: 'nothing happens' }),
  fc
    .nat(2 ** 30)
    .map((pa): Stimulus => ({ type: 'observe', events: [{ type: 'memory.read', pa, size: 8 }] })),
);

/** How often a careless driver does what; the defaults are those of the property tests. */
export interface Mix {
  readonly correct: number;
  readonly slipped: number;
  readonly raw: number;
  readonly command: number;
  readonly run: number;
  readonly acknowledge: number;
}

export function carelessActionOf(mix: Mix): fc.Arbitrary<Action> {
  const slipped = fc.tuple(correctAction, slipOf).map(([action, slip]): Action => ({ ...action, slip }));
  return fc.oneof(
    { weight: mix.correct, arbitrary: correctAction },
    { weight: mix.slipped, arbitrary: slipped },
    { weight: mix.raw, arbitrary: anyStimulus.map((stimulus): Action => ({ do: 'stimulus', stimulus })) },
    { weight: mix.command, arbitrary: commandWords.map((words): Action => ({ do: 'command', words })) },
    { weight: mix.run, arbitrary: fc.nat(6).map((turnsMax): Action => ({ do: 'run', turnsMax })) },
    { weight: mix.acknowledge, arbitrary: fc.constant<Action>({ do: 'acknowledge' }) },
  );
}

const storyOf = (action: fc.Arbitrary<Action>): fc.Arbitrary<Story> =>
  fc.record({ setup: setups, actions: fc.array(action, { maxLength: 40, size: 'max' }) });

export const correctStories = storyOf(correctAction);
export const carelessStories = storyOf(
  carelessActionOf({ correct: 6, slipped: 4, raw: 2, command: 1, run: 1, acknowledge: 1 }),
);

export interface Played {
  readonly simulation: Simulation;
  readonly entries: readonly Entry[];
  readonly driver: Driver;
}

/** Plays a story on a new machine. `after` is called when each action is over. */
export function play({ setup, actions }: Story, after?: (simulation: Simulation) => void): Played {
  const simulation = new Simulation(reset(worldConfig(setup)));
  const entries: Entry[] = [];
  simulation.entries$.subscribe((step) => entries.push(...step));
  const driver = openDriver(simulation, setup);
  for (const action of actions) {
    driver.act(action);
    after?.(simulation);
  }
  simulation.run();
  return { simulation, entries, driver };
}
