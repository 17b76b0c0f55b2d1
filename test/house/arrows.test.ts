/**
 * Who may import whom: an allow-list of arrows between rooms, of packages by room, and the debts, which
 * are arrows that exist although they should not. An arrow that is not listed fails, and so does a
 * listed debt that nobody has any more.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Import, packageOf, type Source, sourceOf, sources, top } from './sources.ts';

interface Room {
  /** Folders (with a slash at the end) and files. The longest that fits a file is its room. */
  readonly holds: readonly string[];
  /** Rooms it may import besides itself. */
  readonly to: readonly string[];
}

// biome-ignore format: a table
const rooms: Readonly<Record<string, Room>> = {
  base:        { holds: ['core/assert.ts', 'core/lookup.ts', 'core/pow2.ts', 'core/schema.ts', 'core/random.ts', 'core/changed.ts'], to: [] },
  layout:      { holds: ['core/layout/'], to: ['base'] },
  memory:      { holds: ['core/memory/'], to: ['base'] },
  config:      { holds: ['core/config.ts'], to: ['memory'] },
  smmu:        { holds: ['core/smmu/', 'core/endpoint/', 'core/cmdqv/'], to: ['base', 'layout', 'memory', 'config'] },
  kernel:      { holds: ['core/kernel/', 'core/driver/', 'core/dma-api/', 'core/mm/', 'core/vm/', 'core/vmm/', 'core/kvm/', 'core/virtio-iommu/', 'core/tasks/', 'core/turns.ts', 'core/parts.ts'], to: ['base', 'layout', 'memory', 'config', 'smmu', 'machine'] },
  machine:     { holds: ['core/event.ts', 'core/stimulus.ts', 'core/state.ts', 'core/handlers.ts', 'core/deciders.ts', 'core/settings.ts', 'core/working.ts', 'core/fold.ts', 'core/machine.ts'],
                 to: ['base', 'memory', 'config', 'smmu', 'kernel'] },
  live:        { holds: ['core/run.ts', 'core/outcome.ts', 'core/simulation.ts'], to: ['base', 'memory', 'smmu', 'kernel', 'machine'] },
  history:     { holds: ['core/history/'], to: ['base', 'memory', 'config', 'kernel', 'machine'] },
  path:        { holds: ['core/path.ts', 'core/path/'], to: ['base', 'layout', 'memory', 'config', 'smmu', 'kernel', 'machine', 'history'] },
  projections: { holds: ['projections/'], to: ['base', 'layout', 'memory', 'config', 'smmu', 'kernel', 'machine', 'live', 'history', 'path'] },
  snapshots:   { holds: ['snapshots/'], to: ['base', 'memory', 'config', 'smmu', 'kernel', 'machine', 'history'] },
  adapters:    { holds: ['adapters/'], to: ['base', 'layout', 'memory', 'config', 'smmu', 'kernel', 'machine', 'live', 'history', 'path', 'projections', 'snapshots'] },
  test:        { holds: ['test/'], to: ['*'] },
};

/** Packages by file or folder; `node:` stands for all that Node brings. */
// biome-ignore format: a table
const packages: Readonly<Record<string, readonly string[]>> = {
  'core/working.ts':    ['immer'],
  'core/simulation.ts': ['rxjs'],
  'projections/live.ts': ['rxjs'],
  'snapshots/':         ['lmdb', 'msgpackr', 'node:'],
  'adapters/':          ['cli-progress', 'commander', 'immer', 'rxjs', 'tsx', 'zod', 'node:'],
  'test/':              ['fast-check', 'immer', 'lmdb', 'msgpackr', 'rxjs', 'vitest', 'zod', 'node:'],
};

/** Arrows that point the wrong way, all of them types that are gone when compiled. */
// biome-ignore format: a table
const debts: readonly { readonly from: string; readonly to: string; readonly why: string }[] = [
  { from: 'smmu',   to: 'core/machine.ts',  why: 'Context and Decider are what machine.ts gives its parts; they stand where they are made' },
  { from: 'smmu',   to: 'core/event.ts',    why: 'emit takes the joined Event, so that one log holds all parts' },
  { from: 'smmu',   to: 'core/state.ts',    why: 'a decider sees the whole State: accesses reach memory and endpoints' },
  { from: 'smmu',   to: 'core/stimulus.ts', why: 'a decider names the stimulus it decides on' },
  { from: 'memory', to: 'core/machine.ts',  why: 'Context and Handlers, as for the SMMU' },
  { from: 'memory', to: 'core/state.ts',    why: 'its handlers put the open memory into the State; a space is looked up there' },
];

function roomOf(path: string): string | undefined {
  const fits = Object.entries(rooms).flatMap(([name, { holds }]) =>
    holds
      .filter((held) => path === held || (held.endsWith('/') && path.startsWith(held)))
      .map((held) => ({ name, held })),
  );
  return fits.sort((a, b) => b.held.length - a.held.length)[0]?.name;
}

function isAllowed(source: Source, { file, typeOnly }: Import): boolean {
  const from = roomOf(source.path);
  const to = file === undefined ? undefined : roomOf(file);
  if (from === undefined || to === undefined) return false;
  const { to: allowed } = rooms[from]!;
  if (from === to || allowed.includes(to) || allowed.includes('*')) return true;
  return typeOnly && debts.some((debt) => debt.from === from && debt.to === file);
}

function allowedPackages(path: string): readonly string[] {
  return Object.entries(packages).flatMap(([where, names]) =>
    path === where || (where.endsWith('/') && path.startsWith(where)) ? names : [],
  );
}

const ours = sources.flatMap((source) =>
  source.imports
    .filter(({ file }) => file !== undefined)
    .map((each) => ({ source, each, file: each.file ?? '' })),
);

describe('the arrows between rooms', () => {
  it('reach from every file, each of which has a room', () => {
    expect(sources.filter(({ path }) => roomOf(path) === undefined).map(({ path }) => path)).toEqual([]);
  });

  it('are those of the list', () => {
    const wrong = ours.filter(({ source, each }) => !isAllowed(source, each));
    expect(
      wrong.map(({ source, file, each }) => `${source.path} -> ${file}${each.typeOnly ? ' (type)' : ''}`),
    ).toEqual([]);
  });

  it('have no debt that is paid already', () => {
    const owed = (debt: (typeof debts)[number]): boolean =>
      ours.some(({ source, file }) => roomOf(source.path) === debt.from && file === debt.to);
    expect(debts.filter((debt) => !owed(debt))).toEqual([]);
  });

  it('are imports with the extension .ts of files that are there', () => {
    const wrong = ours.filter(({ file }) => !file.endsWith('.json') && sourceOf(file) === undefined);
    expect(wrong.map(({ source, file }) => `${source.path} -> ${file}`)).toEqual([]);
  });
});

describe('packages', () => {
  it('are imported where the list says', () => {
    const wrong = sources.flatMap(({ path, imports }) => {
      const allowed = allowedPackages(path);
      return imports
        .filter(({ file }) => file === undefined)
        .filter(
          ({ specifier }) =>
            !allowed.includes(specifier.startsWith('node:') ? 'node:' : packageOf(specifier)),
        )
        .map(({ specifier }) => `${path} -> ${specifier}`);
    });
    expect(wrong).toEqual([]);
  });

  it('are those of package.json, and what runs in production is no development dependency', () => {
    const manifest = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as Record<
      string,
      Record<string, string>
    >;
    const production = Object.keys(manifest['dependencies'] ?? {});
    const all = [...production, ...Object.keys(manifest['devDependencies'] ?? {})];
    const missing = Object.entries(packages).flatMap(([where, names]) =>
      names.filter((name) => name !== 'node:' && !(where === 'test/' ? all : production).includes(name)),
    );
    expect(missing).toEqual([]);
  });
});

describe('cycles', () => {
  it('there are none, but for types', () => {
    expect(findCycle()).toBeUndefined();
  });
});

/** A circle of imports that remain when compiled, as paths. */
function findCycle(): string[] | undefined {
  const done = new Set<string>();
  const visit = (path: string, above: readonly string[]): string[] | undefined => {
    if (above.includes(path)) return [...above.slice(above.indexOf(path)), path];
    if (done.has(path)) return undefined;
    for (const { file, typeOnly } of sourceOf(path)?.imports ?? []) {
      if (file === undefined || typeOnly) continue;
      const cycle = visit(file, [...above, path]);
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const { path } of sources) {
    const cycle = visit(path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
