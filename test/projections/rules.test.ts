/** The table of rules: each is asked for by its id, its name or an older name, and its findings carry the id. */
import { describe, expect, it } from 'vitest';
import { checkHistory } from '../../projections/check.ts';
import { rules, rulesNamed } from '../../projections/rules.ts';
import { openShell } from '../adapters/cli/backwalk.ts';
import { at, dma, map, unmap } from '../support/build.ts';
import { given } from '../support/entries.ts';

const { entries, machine } = given(map(0x5000, at.data), dma(0x5000), unmap(0x5000), dma(0x5000));

describe('the table of rules', () => {
  it('has ids and names of their own', () => {
    for (const key of ['id', 'name'] as const)
      expect(new Set(rules.map((rule) => rule[key])).size).toBe(rules.length);
  });

  it('gives rules by id and by name, and those that were one before by its old name', () => {
    expect(rulesNamed('I3').map(({ name }) => name)).toEqual(['coverage']);
    expect(rulesNamed('coverage').map(({ id }) => id)).toEqual(['I3']);
    expect(rulesNamed('stale-translation').map(({ id }) => id)).toEqual(['I1', 'I2', 'I3', 'I8']);
    expect(rulesNamed('I0')).toEqual([]);
  });

  it('decides whose findings are told', () => {
    const found = (name: string) => checkHistory(entries, machine, 'main', rulesNamed(name));
    expect(checkHistory(entries, machine, 'main')).toHaveLength(1);
    expect(found('coverage')).toHaveLength(1);
    expect(found('I9')).toEqual([]);
  });
});

describe('check --rule and help rules', () => {
  it('take names, and say which there are', async () => {
    const shell = openShell();
    await shell.backwalk('run', 'test/scenario/bad-unmap-without-tlbi.jsonl');
    expect((await shell.backwalk('check', '--rule', 'stale-translation', '--json')).out).toHaveLength(1);
    expect((await shell.backwalk('check', '--rule', 'I1,I9', '--json')).out).toEqual([]);
    const wrong = await shell.backwalk('check', '--rule', 'coverag');
    expect(wrong.code).toBe(2);
    expect(wrong.err.join('\n')).toContain('did you mean coverage?');
    const help = (await shell.backwalk('help', 'rules')).out.join('\n');
    for (const { id, name } of rules) expect(help).toMatch(new RegExp(`${id} +${name}`));
    expect((await shell.backwalk('help', 'rules', '--json')).out).toHaveLength(rules.length);
  });
});
