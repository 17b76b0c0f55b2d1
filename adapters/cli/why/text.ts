/** An explanation as lines for people: each begins with a position, none is wider than asked. */
import { showPosition } from '../position.ts';
import type { Told } from './tree.ts';

interface Page {
  readonly branch: { readonly name: string };
  readonly width: number | undefined;
  /** Columns of a position. */
  readonly column: number;
  /** Sections named so far: each is cited once. */
  readonly cited: Set<string>;
}

/** The tree as lines. */
export function treeLines(
  told: Told,
  branch: { readonly name: string },
  width: number | undefined,
): readonly string[] {
  const column = Math.max(...seqsOf(told).map((seq) => showPosition({ branch, seq }).length));
  const lines: string[] = [];
  write({ branch, width, column, cited: new Set() }, told, '', '', lines);
  return lines;
}

function seqsOf({ seq, below }: Told): number[] {
  return [seq, ...below.flatMap(seqsOf)];
}

function write(page: Page, told: Told, head: string, indent: string, lines: string[]): void {
  const { seq, role, what, cite, below, more, next, again } = told;
  const text = [
    role === '' ? what : `${role}: ${what}`,
    ...(again ? ['(told above)'] : []),
    ...(cite === undefined || page.cited.has(cite) ? [] : [`[${cite}]`]),
  ].join(' ');
  if (cite !== undefined) page.cited.add(cite);
  const bar = below.length > 0 || more > 0 ? '│' : ' ';
  lines.push(...fitted(page, seq, `${head}${text}`, `${indent}${bar} `));
  for (const [at, each] of below.entries()) {
    const last = at === below.length - 1 && more === 0;
    write(page, each, `${indent}${last ? '└─ ' : '├─ '}`, `${indent}${last ? '   ' : '│  '}`, lines);
  }
  if (more > 0) {
    const command = `backwalk why ${showPosition({ branch: page.branch, seq: next })}`;
    const way = below.length > 0 && next === seq ? `${command} --all` : command;
    lines.push(...fitted(page, seq, `${indent}└─ ${more} more: ${way}`, `${indent}   `));
  }
}

/** One line, or several that all begin with the position. */
function fitted({ branch, width, column }: Page, seq: number, text: string, indent: string): string[] {
  const position = `${showPosition({ branch, seq }).padEnd(column)}  `;
  const room = width === undefined ? Number.POSITIVE_INFINITY : Math.max(24, width - position.length);
  const lines: string[] = [];
  let rest = text;
  while (rest.length > room) {
    const least = lines.length === 0 ? 8 : indent.length + 2;
    const blank = rest.lastIndexOf(' ', room);
    const cut = blank > least ? blank : room;
    lines.push(`${position}${rest.slice(0, cut)}`.trimEnd());
    rest = `${indent}  ${rest.slice(cut).trimStart()}`;
  }
  return [...lines, `${position}${rest}`.trimEnd()];
}
