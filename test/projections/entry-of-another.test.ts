/**
 * I4 on hardware that leaves a part of the tag out of its look-ups: six streams use one address, each with tables of its
 * own. What a machine without caches answers otherwise is named with the part that differs, whichever cache it was, and
 * nothing is found where the whole tag is compared.
 */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../core/event.ts';
import { checkHistory, seqOf } from '../../projections/check.ts';
import { runScenario } from '../support/run-scenario.ts';

type Line = Readonly<Record<string, unknown>>;

function play(file: string, ignored: string, caches: object) {
  const { machine, entries } = runScenario(file, ({ expect: _, ...line }: Line) => {
    if (line['op'] !== 'machine') return line;
    const own = { choices: { erratumTagIgnored: ignored, cacheRefusedLeaf: false }, caches };
    return { ...line, smmus: (line['smmus'] as Line[]).map((smmu) => ({ ...smmu, ...own })) };
  });
  return { entries, findings: checkHistory(entries, machine, 'main') };
}

type Access = Extract<Entry, { type: 'access.completed' | 'access.terminated' }>;
const answersOf = (entries: readonly Entry[]): readonly (readonly [seq: number, answer: unknown])[] =>
  entries
    .filter((entry): entry is Access => /^access\.(completed|terminated)$/.test(entry.type))
    .map((access) => [access.seq, access.type === 'access.completed' ? access.pa : access.reason]);

const NONE = { ste: 0, cd: 0, tlb: 0, walk: 0 };
const FULL = { ste: 8, cd: 8, tlb: 8, walk: 8 };
const SIX = 'good-tags-compared.jsonl';
const HALVES = 'good-b14-halves-apart.jsonl';

describe.each([
  ['all caches', FULL],
  ['no TLB', { ...FULL, tlb: 0 }],
  ['no walk cache', { ...FULL, walk: 0 }],
  ['no cache of STEs and CDs', { ...FULL, ste: 0, cd: 0 }],
  ['caches of one entry', { ste: 1, cd: 1, tlb: 1, walk: 1 }],
])('with %s', (_, caches) => {
  it.each([
    ['ASID', SIX, /^(VMID|ASID) 0x\w+, not 0x\w+$/],
    ['VMID', SIX, /^VMID 0x\w+, not 0x\w+$/],
    ['StreamWorld', SIX, /^EL1, not EL2_E2H$/],
    ['address', HALVES, /^for 0x40200000, not 0xffff000040200000$/],
    ['none', SIX, /^$/],
    ['none', HALVES, /^$/],
  ])('names what is served by leaving the %s out (3.17)', (ignored, file, why) => {
    const { entries, findings } = play(file, ignored, caches);
    const bare = answersOf(play(file, ignored, NONE).entries);
    const differ = answersOf(entries).filter(([, answer], at) => answer !== bare[at]?.[1]);
    expect(findings.map(seqOf)).toEqual(differ.map(([seq]) => seq));
    for (const { rule, verdict, blame } of findings) {
      expect(`${rule} ${verdict} ${blame.actor}`).toBe('I4 used-stale smmu0');
      expect(blame.what.replace(/^look-up of the (TLB|walk cache) took an entry that is /, '')).toMatch(why);
    }
    const serves = ignored === 'none' ? [] : ['something'];
    if (Object.values(caches).every((capacity) => capacity === 8))
      expect(findings.length > 0).toBe(serves.length > 0);
  });
});

it('is told at the Translated access, and blames the answer that the ATC keeps (3.9)', () => {
  const { machine, entries } = runScenario(
    'bad-asid-not-compared.jsonl',
    ({ expect: _, ...line }: Line) => {
      if (line['op'] === 'machine')
        return {
          ...line,
          endpoints: (line['endpoints'] as Line[]).map((each) => ({ ...each, ats: true, atc: 8 })),
        };
      // STE.EATS=1.
      const stes = ['0x10200', '0x10240'].includes(String(line['pa']));
      if (stes) return { ...line, u64: (line['u64'] as string[]).with(1, '0x100010000000') };
      if (line['op'] !== 'dma' || line['endpoint'] !== 'nic1') return line;
      return { op: 'ats.translate', endpoint: 'nic1', iova: line['iova'], bytes: 4096, access: 'read' };
    },
    [{ op: 'dma', endpoint: 'nic1', iova: '0x4000', bytes: 8, access: 'read', translated: true }],
  );
  const [found, ...more] = checkHistory(entries, machine, 'main');
  expect(more).toEqual([]);
  expect(`${found?.rule} ${found?.verdict}`).toBe('I4 used-stale');
  const kept = entries.find(({ type }) => type === 'atc.filled');
  expect(found?.blame.position).toBe(`main@${kept?.seq}`);
});
