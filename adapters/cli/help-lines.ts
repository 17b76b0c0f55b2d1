/** Lines of the help, as wide as there is room for. */

/** What stands before the text that goes on: a name and the gap behind it, or blanks alone. */
const HEAD = /^ *\S.*? {2,}(?=\S)|^ */;

/**
 * The line, or as many lines as it takes, each as far in as its text begins: under a name's second
 * column, or two further than a line without one.
 */
export function hangingLines(line: string, width: number): string[] {
  if (line.length <= width) return [line];
  const blanks = line.length - line.trimStart().length;
  const found = HEAD.exec(line)?.[0].length ?? 0;
  const column = found > blanks && found <= width / 2 ? found : blanks;
  const indent = ' '.repeat(column > blanks ? column : blanks + 2);
  const [first = '', ...rest] = foldedLines(line.slice(column), width - indent.length);
  return [`${line.slice(0, column)}${first}`, ...rest.map((each) => `${indent}${each}`)];
}

/** The text, broken at spaces, no line longer than `width` but for words that are. */
function foldedLines(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
