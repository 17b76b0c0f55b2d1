/**
 * The README's table of the catalogue of bugs says what the stories show. `UPDATE_CATALOGUE=1` writes it anew. That
 * each bad story is found as its row says is held by `stories.test.ts`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bugs, catalogueTable, storiesOf, twinsOf } from './catalogue.ts';
import { harmStories } from './harm-stories.ts';
import { protocolStories } from './protocol-stories.ts';

const README = new URL('../../README.md', import.meta.url);
const BEGIN = '<!-- catalogue: from test/scenario/catalogue.ts -->\n';
const END = '\n<!-- end of the catalogue -->';

describe('the catalogue of bugs', () => {
  it('has each of its bugs once, in order', () => {
    const ids = Array.from({ length: 49 }, (_, index) => `B${String(index + 1).padStart(2, '0')}`);
    expect(bugs.map(({ id }) => id)).toEqual(ids);
  });

  it('is in the README as the stories have it', () => {
    const text = readFileSync(README, 'utf8');
    const [begin, end] = [text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)];
    if (process.env['UPDATE_CATALOGUE'] === '1')
      writeFileSync(README, `${text.slice(0, begin)}${catalogueTable()}${text.slice(end)}`);
    else expect(text.slice(begin, end)).toBe(catalogueTable());
  });

  it.each(bugs)('$id has stories with expectations, or a reason why not', (bug) => {
    const stories = storiesOf(bug);
    expect(stories.length > 0).toBe(bug.untold === undefined);
    for (const file of stories)
      expect((harmStories[file] ?? protocolStories[file])?.rule, file).toBeDefined();
    if (stories.some((file) => file.startsWith('bad-b'))) expect(twinsOf(bug)).not.toEqual([]);
  });
});
