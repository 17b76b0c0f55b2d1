/** The source files and their imports, for the checks of this folder. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, resolve } from 'node:path';

export const top = resolve(import.meta.dirname, '../..');
export const folders = ['core', 'projections', 'snapshots', 'adapters', 'test'] as const;

export interface Source {
  /** Path from the top, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments blanked out, line for line. */
  readonly code: string;
  /** The code with the contents of strings blanked out as well. */
  readonly bare: string;
  readonly imports: readonly Import[];
}

export interface Import {
  readonly specifier: string;
  /** The file it leads to, from the top; undefined for a package. */
  readonly file: string | undefined;
  /** Gone when compiled. */
  readonly typeOnly: boolean;
}

const IMPORT =
  /^\s*(?:import|export)(\s+type)?\s+(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;

export const sources: readonly Source[] = folders
  .flatMap((folder) => filesUnder(folder))
  .filter((path) => path.endsWith('.ts'))
  .map(readSource);

/** Files under a folder of the house, from the top, in order. Build output and data are no sources. */
export function filesUnder(folder: string): string[] {
  const under = join(top, folder);
  if (!existsSync(under)) return [];
  return readdirSync(under, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(top, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((path) => !/(^|\/)(node_modules|dist)\//.test(path))
    .sort();
}

export function sourceOf(path: string): Source | undefined {
  return sources.find((source) => source.path === path);
}

function readSource(path: string): Source {
  const text = readFileSync(join(top, path), 'utf8');
  const code = blank(text, /\/\*[\s\S]*?\*\/|(?<=^|[\s;,{}()])\/\/[^\n]*/g);
  const bare = blank(code, /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g);
  // What stands in a template is a program of its own.
  return { path, text, code, bare, imports: importsOf(path, blank(code, /`(?:[^`\\]|\\.)*`/g)) };
}

/** Blanks what matches, line ends kept; a comment mark inside a string of one line is left alone. */
function blank(text: string, what: RegExp): string {
  return text.replace(what, (found) => found.replace(/[^\n]/g, ' '));
}

function importsOf(path: string, code: string): Import[] {
  return [...code.matchAll(IMPORT)].map((found) => {
    const specifier = found[2] ?? found[3] ?? '';
    const file = specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : undefined;
    return { specifier, file, typeOnly: found[1] !== undefined };
  });
}

/** The package of a specifier: `node:fs`, `rxjs`, `@scope/name`. */
export function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
