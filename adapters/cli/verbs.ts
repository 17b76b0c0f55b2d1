/** The verbs: one line each here, one file each beside this one. `help` tells of these, and stands in `cli.ts`. */
import type { Verb } from './verb.ts';

export interface VerbRow {
  readonly summary: string;
  load(): Promise<{ readonly verb: Verb }>;
}

// biome-ignore format: a table
export const verbs: Readonly<Record<string, VerbRow>> = {
  run:      { summary: 'run a scenario into the store',                     load: () => import('./run.ts') },
  new:      { summary: 'copy a scenario of the library out, or list them',  load: () => import('./new.ts') },
  import:   { summary: 'bring a foreign trace in',                          load: () => import('./import.ts') },
  log:      { summary: 'entries, one a line',                               load: () => import('./log.ts') },
  show:     { summary: 'the state at a moment, decoded',                    load: () => import('./show.ts') },
  diff:     { summary: 'what differs between two moments or branches',      load: () => import('./diff.ts') },
  last:     { summary: 'the last change of something before a position',    load: () => import('./last.ts') },
  watch:    { summary: 'every change of something in a range',              load: () => import('./watch.ts') },
  search:   { summary: 'entries by what they are about, from the indexes',   load: () => import('./search.ts') },
  why:      { summary: 'the chain that led here, and why something did not happen', load: () => import('./why.ts') },
  bisect:   { summary: 'the first position, or kernel, at which something holds', load: () => import('./bisect.ts') },
  fork:     { summary: 'make a branch that leaves another at a position',   load: () => import('./fork.ts') },
  branch:   { summary: 'list, choose and remove branches',                  load: () => import('./branch.ts') },
  rerun:    { summary: 'what if: change something and decide the rest anew', load: () => import('./rerun.ts') },
  compare:  { summary: 'two branches by findings, outcomes and work',       load: () => import('./compare.ts') },
  check:    { summary: 'rules over a history: findings with explanation',   load: () => import('./check.ts') },
  cost:     { summary: 'exits, ioctls, commands, waits, walks: counted and priced', load: () => import('./cost.ts') },
  shrink:   { summary: 'a small scenario that shows the same finding',      load: () => import('./shrink.ts') },
  export:   { summary: 'a history as a scenario file that runs again',    load: () => import('./export.ts') },
  bookmark: { summary: 'name a position, list the names',                   load: () => import('./bookmark.ts') },
  verify:   { summary: 'look for damage; with --rerun decide all again',    load: () => import('./verify.ts') },
  demo:     { summary: 'find and repair a real stale DMA, step by step',    load: () => import('./demo.ts') },
};

/** Verbs of the design that later versions will have. */
export const laterVerbs: readonly string[] = ['caps', 'gc', 'serve', 'dap'];
