/**
 * TLBs beside the devices, found by StreamID before the STE is looked at. Where CMD_CFGI_* reaches them, every good
 * story of a bare SMMU stays as it is. Where it stops short, what is answered otherwise is I8, and the
 * command is named that ought to have been enough.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../core/event.ts';
import { limits } from '../../core/smmu/state.ts';
import { checkHistory, seqOf } from '../../projections/check.ts';
import { runScenario } from '../support/run-scenario.ts';

type Line = Readonly<Record<string, unknown>>;

const here = new URL('../scenario/', import.meta.url);
const stories = readdirSync(here).filter(
  (name) => /^good-.*jsonl$/.test(name) && !/"kernel"/.test(readFileSync(new URL(name, here), 'utf8')),
);

function play(file: string, smmu: Line) {
  const { machine, entries } = runScenario(file, ({ expect: _, ...line }: Line) => {
    if (line['op'] !== 'machine') return line;
    const given = (line['smmus'] as Line[]).map((each) => ({
      ...each,
      ...smmu,
      choices: { ...(each['choices'] as object), ...(smmu['choices'] as object) },
    }));
    return { ...line, smmus: given };
  });
  return { entries, findings: checkHistory(entries, machine, 'main') };
}

type Access = Extract<Entry, { type: 'access.completed' | 'access.terminated' }>;
const answersOf = (entries: readonly Entry[]): readonly (readonly [seq: number, answer: unknown])[] =>
  entries
    .filter((entry): entry is Access => /^access\.(completed|terminated)$/.test(entry.type))
    .map((access) => [access.seq, access.type === 'access.completed' ? access.pa : access.reason]);
const differing = (entries: readonly Entry[], bare: readonly Entry[]): readonly number[] => {
  const other = answersOf(bare);
  return answersOf(entries)
    .filter(([, answer], at) => answer !== other[at]?.[1])
    .map(([seq]) => seq);
};

const SOUND = { choices: { portTlb: true } };
const SHORT = { choices: { portTlb: true, erratumPortTlb: true } };

it.each(stories)('%s is as it was where CMD_CFGI_* reaches them', (file) => {
  const plain = play(file, {});
  const sound = play(file, SOUND);
  expect(answersOf(sound.entries).map(([, answer]) => answer)).toEqual(
    answersOf(plain.entries).map(([, answer]) => answer),
  );
  expect(sound.findings.map(({ title }) => title)).toEqual(plain.findings.map(({ title }) => title));
});

it('keeps what served an access, once', () => {
  const { entries } = play('good-ste-changed-invalidated.jsonl', SOUND);
  const kept = entries.filter(({ type }) => type === 'port.filled');
  expect(kept.length).toBeGreaterThan(0);
  expect(kept.length).toBeLessThanOrEqual(limits.ports);
});

describe('where CMD_CFGI_* stops short', () => {
  const found = stories.map((file) => {
    const { entries, findings } = play(file, SHORT);
    return { file, findings, differ: differing(entries, play(file, SOUND).entries) };
  });

  it.each(found)('$file: what differs is told', ({ differ, findings }) => {
    const stale = findings.filter(({ verdict }) => verdict === 'used-stale');
    expect(stale.map(seqOf)).toEqual(differ);
    for (const { rule, blame } of stale) {
      expect(rule).toBe('I8');
      expect(blame.what).toMatch(/^CMD_CFGI_\w+ .* covers the entry and is complete, the entry stayed$/);
    }
  });

  it('there are such stories, of STEs and of CDs', () => {
    const kinds = new Set(found.flatMap(({ findings }) => findings.map(({ title }) => title.split(' ')[0])));
    expect([...kinds]).toEqual(expect.arrayContaining(['stale-ste-used', 'stale-cd-used']));
  });
});
