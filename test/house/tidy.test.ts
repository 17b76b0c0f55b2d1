/**
 * Rules of style that a check can hold: lengths, banned words with what to use instead, dead files,
 * docstrings, folder READMEs, and what may stand at the top level. Exceptions are lists with a reason,
 * and an exception that is not needed any more fails too.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  bannedWords,
  classes,
  entryPoints,
  longFiles,
  longFunctions,
  topLevel,
  undocumented,
} from './exceptions.ts';
import { folders, type Source, sources, top } from './sources.ts';

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
const isTest = (path: string): boolean => path.startsWith('test/');
const isPure = (path: string): boolean => path.startsWith('core/') || path.startsWith('projections/');

describe('lengths', () => {
  it(`files over ${FILE_LINES_MAX} lines are those with a reason`, () => {
    const long = sources
      .filter(({ text }) => text.split('\n').length - 1 > FILE_LINES_MAX)
      .map(({ path }) => path);
    expect(long.sort()).toEqual(Object.keys(longFiles).sort());
  });

  it(`functions over ${FUNCTION_LINES_MAX} lines are those with a reason`, () => {
    const long = sources.flatMap((source) =>
      functionsOf(source)
        .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
        .map(({ name }) => `${source.path} ${name}`),
    );
    expect(long.sort()).toEqual(Object.keys(longFunctions).sort());
  });
});

describe('banned words', () => {
  for (const { what, pattern, instead, where, text } of bannedWords) {
    it(`${what}: ${instead}`, () => {
      const found = sources
        .filter(({ path }) => where(path))
        .flatMap((source) => linesWith(source, text ? source.text : source.bare, pattern));
      expect(found).toEqual([]);
    });
  }
});

describe('classes of core and projections', () => {
  it('are those with an identity or a content that immer must leave alone', () => {
    const found = sources
      .filter(({ path }) => isPure(path))
      .flatMap(({ bare }) =>
        [...bare.matchAll(/^(?:export )?(?:abstract )?class (\w+)/gm)].map(([, name]) => name ?? ''),
      );
    expect(found.sort()).toEqual(Object.keys(classes).sort());
  });
});

describe('files', () => {
  it('are all reached from an entry point or a test', () => {
    const reached = new Set<string>();
    const visit = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const { file } of sources.find((source) => source.path === path)?.imports ?? []) {
        if (file !== undefined) visit(file);
      }
    };
    const isEntry = (path: string): boolean =>
      /\.(test(-d)?|scenario)\.ts$/.test(path) || path in entryPoints;
    for (const { path } of sources) if (isEntry(path)) visit(path);
    expect(sources.filter(({ path }) => !reached.has(path)).map(({ path }) => path)).toEqual([]);
  });

  it('open with what they are', () => {
    const silent = sources.filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text)).map(({ path }) => path);
    expect(silent).toEqual([]);
  });
});

describe('exported functions', () => {
  it('have a sentence saying what they promise, but for the debts', () => {
    const silent = sources
      .filter(({ path }) => !isTest(path))
      .flatMap((source) => undocumentedIn(source).map((name) => `${source.path} ${name}`));
    expect(silent.sort()).toEqual([...undocumented].sort());
  });
});

describe('the top level', () => {
  it('holds the fixed names only', () => {
    const made = /^(node_modules|dist|\.git)$|\.bw(-lock|\.cache|\.cache-lock)?$|\.log$/;
    const found = readdirSync(top).filter((name) => !made.test(name));
    expect(found.filter((name) => !topLevel.includes(name))).toEqual([]);
  });

  for (const folder of folders) {
    it(`${folder}/ opens with a README.md`, () => {
      expect(existsSync(join(top, folder, 'README.md'))).toBe(true);
    });
  }
});

interface Measured {
  readonly name: string;
  readonly lines: number;
}

/** Functions by their first line; as the formatter leaves it, a function ends at its own indentation. */
function functionsOf({ bare, path }: Source): Measured[] {
  const lines = bare.split('\n');
  return lines.flatMap((line, at) => {
    const name = headOf(line, isTest(path));
    if (name === undefined || !/\{\s*$/.test(signature(lines, at))) return [];
    const indent = line.length - line.trimStart().length;
    const end = lines.findIndex((each, index) => index > at && each.startsWith(`${' '.repeat(indent)}}`));
    return [{ name, lines: end - at + 1 }];
  });
}

/** The name of the function that begins on a line. A test's callbacks are no functions of the house. */
function headOf(line: string, test: boolean): string | undefined {
  const declared =
    /^\s*(?:export )?(?:async )?function\*? (\w+)/.exec(line) ??
    /^(?:export )?const (\w+)\b.*=> \{$/.exec(line);
  if (declared !== null || test) return declared?.[1];
  return /^ {2}(?:static |async |get )*(#?\w+)\(.*\{$/.exec(line)?.[1];
}

/** A head that was broken over lines, up to its brace. */
function signature(lines: readonly string[], at: number): string {
  const first = lines[at] ?? '';
  if (/\{\s*$/.test(first)) return first;
  const end = lines.findIndex((line, index) => index > at && /^\s*\)/.test(line));
  return end < 0 ? '' : (lines[end] ?? '');
}

/** Names of exported functions without a docstring on the line above (a linter's pragma may stand between). */
function undocumentedIn({ text }: Source): string[] {
  const lines = text.split('\n');
  return lines.flatMap((line, at) => {
    const name = /^export (?:async )?function\*? (\w+)/.exec(line)?.[1];
    if (name === undefined) return [];
    const above =
      lines
        .slice(0, at)
        .filter((each) => !/^\/\/ biome-ignore/.test(each))
        .at(-1) ?? '';
    return /\*\/\s*$/.test(above) ? [] : [name];
  });
}

function linesWith({ path }: Source, text: string, pattern: RegExp): string[] {
  return text
    .split('\n')
    .flatMap((line, at) => (pattern.test(line) ? [`${path}:${at + 1}: ${line.trim()}`] : []));
}
