/** What `tidy.test.ts` lets pass, each with its reason, and the words it bans. */

const isTest = (path: string): boolean => path.startsWith('test/');
const isPure = (path: string): boolean => path.startsWith('core/') || path.startsWith('projections/');
const anywhere = (): boolean => true;

/** Files over 400 lines. */
export const longFiles: Readonly<Record<string, string>> = {
  'test/core/smmu/layout-listing.test.ts':
    'a second listing of every layout, kept in one place to be read beside the first',
};

/** Functions over 70 lines: `file name`. */
export const longFunctions: Readonly<Record<string, string>> = {
  'core/smmu/features.ts constructor': 'a line for each field of the identification registers',
  'test/support/drivers.ts openDriver': 'one step for each action, over the little that a driver remembers',
  'test/support/long-story.ts longStory': 'one story, told in order',
  'test/support/store-contract.ts branchContract': 'a contract is a list of sentences, each a test',
  'test/support/store-contract.ts storeContract': 'a contract is a list of sentences, each a test',
};

export const classes: Readonly<Record<string, string>> = {
  Memory: 'bytes, which immer must leave alone',
  Radix: 'the persistent map that large parts of the state are made of',
  Stub: 'a part of a Radix that is still on disk',
  Cache: 'two Radixes that are opened and sealed together',
  Features: 'derived from the identification registers, and in no snapshot',
  Simulation: 'the live machine: subscribers hold on to it',
  ConflictError: 'thrown by stores, caught by its name',
};

/** Files that nobody imports because people or npm scripts start them. */
export const entryPoints: Readonly<Record<string, string>> = {
  'adapters/cli/main.ts': 'the command line',
  'test/bench/main.ts': 'npm run bench',
  'test/bench/fuzz.ts': 'npm run fuzz',
  'test/simulation/kill.ts': 'kills a writer and looks at its store',
  'test/simulation/run.ts': 'npm run simulate',
  'test/simulation/shrink.ts': 'npm run shrink-seeds',
  'test/simulation/mutate.ts': 'npm run mutants',
};

export const topLevel: readonly string[] = [
  '.ci',
  '.gitattributes',
  '.gitignore',
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'adapters',
  'biome.json',
  'core',
  'package-lock.json',
  'package.json',
  'projections',
  'snapshots',
  'test',
  'tsconfig.build.json',
  'tsconfig.json',
  'vitest.config.ts',
];

/** Exported functions without a docstring: `file name`. To be paid off, never added to. */
export const undocumented: readonly string[] = [
  'core/history/travel.ts createTravel',
  'core/smmu/acknowledge.ts acknowledge',
  'core/smmu/acknowledge.ts acknowledgeReady',
  'core/smmu/keys.ts spanCode',
  'core/smmu/regs.ts regHigh',
  'core/state.ts assemble',
  'core/state.ts dismantle',
  'snapshots/branch-table.ts branchKey',
  'snapshots/chunk.ts chunkKey',
  'snapshots/chunk.ts chunkOf',
  'snapshots/column.ts textOf',
  'snapshots/log-reader.ts segmentKey',
  'snapshots/log-writer.ts headKey',
  'snapshots/persist.ts namedBy',
  'snapshots/postings.ts contains',
  'snapshots/records.ts sealRecord',
  'snapshots/schema-book.ts shapeOf',
  'snapshots/segment.ts sameBytes',
];

export interface BannedWord {
  readonly what: string;
  readonly pattern: RegExp;
  readonly instead: string;
  readonly where: (path: string) => boolean;
  /** Look at comments and strings too. */
  readonly text?: boolean;
}

const DEFAULT_EXPORTS = /^(vitest\.config|.*\.scenario|test\/scenario\/.*)\.ts$|^test\/scenario\//;
const thisFile = 'test/house/exceptions.ts';

// biome-ignore format: a table
export const bannedWords: readonly BannedWord[] = [
  { what: 'any',             pattern: /[:<|&]\s*any\b|\bas any\b|\bany\[\]/,              instead: 'unknown, and a check', where: anywhere },
  { what: 'export default',  pattern: /^export default\b/,                              instead: 'a named export', where: (path) => !DEFAULT_EXPORTS.test(path) },
  { what: 'enum',            pattern: /^\s*(export\s+)?(declare\s+)?(const\s+)?enum\s/, instead: 'a table and keyof typeof', where: anywhere },
  { what: 'namespace',       pattern: /^\s*(export\s+)?(declare\s+)?namespace\s/,       instead: 'a file', where: anywhere },
  { what: 'x! of x',         pattern: /[\w)\]]!(?!=)(?=[.,;)\]\s[]|$)/,                 instead: 'present(x, what), or a check', where: (path) => !isTest(path) },
  { what: 'Date',            pattern: /\bDate\b/,                                       instead: 'the tick in the log', where: isPure },
  { what: 'Math.random',     pattern: /\bMath\.random\b/,                               instead: 'core/random.ts, or a seed', where: anywhere },
  { what: 'localeCompare',   pattern: /\blocaleCompare\b|\btoLocale\w+/,                instead: '< and >: output does not depend on the locale', where: anywhere },
  { what: 'Intl',            pattern: /\bIntl\b/,                                       instead: 'a function of our own', where: isPure },
  { what: 'WeakRef',         pattern: /\bWeakRef\b|\bFinalizationRegistry\b/,           instead: 'a bound', where: isPure },
  { what: 'console',         pattern: /\bconsole\./,                                    instead: 'a value that an adapter prints', where: (path) => !isTest(path) },
  { what: 'try',             pattern: /\btry\s*\{/,                                     instead: 'a value in a union, or an assertion that stops the program', where: isPure },
  { what: 'parseFloat',      pattern: /\bparseFloat\b/,                                 instead: 'integers: there are no floats in a state', where: isPure },
  { what: 'TODO',            pattern: /\b(TODO|FIXME|XXX|HACK)\b/,                      instead: 'do it, or say in the file what is left out', where: (path) => path !== thisFile, text: true },
  { what: 'words of a chat', pattern: /\b(this session|in this conversation|as requested|the brief)\b/i, instead: 'what a reader in five years can use', where: (path) => path !== thisFile, text: true },
  { what: 'a machine\'s path', pattern: /(^|[\s'"`(])(\/work\/|\/home\/|\/root\/|\/Users\/|[A-Z]:\\)/, instead: 'a path relative to the file', where: (path) => path !== thisFile, text: true },
];
