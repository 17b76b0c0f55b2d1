/**
 * A command line in lines of at most 80 columns that can be pasted as they stand: a shell joins lines after a
 * backslash. What is too long for a line is quoted and broken too; its pieces begin at the left edge, where
 * nothing parts them.
 */

const WIDTH = 80;
const INDENT = '  ';

/** The lines of a command whose quoted words have no quotes inside. */
export function shellLines(command: string): readonly string[] {
  const lines: string[] = [];
  let line = INDENT;
  const end = (next: string): void => {
    lines.push(line);
    line = next;
  };
  for (const word of command.match(/'[^']*'|\S+/g) ?? []) {
    const blank = line.trim() === '' ? '' : ' ';
    if (line.length + blank.length + word.length + 2 <= WIDTH) {
      line += `${blank}${word}`;
      continue;
    }
    if (line.trim() !== '') {
      line += ' \\';
      end(`${INDENT}${INDENT}`);
    }
    for (const [at, piece] of piecesOf(word, WIDTH - 2 * INDENT.length - 1).entries()) {
      if (at > 0) {
        line += '\\';
        end('');
      }
      line += piece;
    }
  }
  return [...lines, line];
}

/** A quoted word in quoted pieces, broken behind commas where it can be. */
function piecesOf(word: string, width: number): readonly string[] {
  if (word.length <= width || !word.startsWith("'")) return [word];
  const pieces: string[] = [];
  let rest = word.slice(1, -1);
  while (rest.length > width - 2) {
    const comma = rest.lastIndexOf(',', width - 3);
    const cut = comma > 0 ? comma + 1 : width - 2;
    pieces.push(`'${rest.slice(0, cut)}'`);
    rest = rest.slice(cut);
  }
  return [...pieces, `'${rest}'`];
}
