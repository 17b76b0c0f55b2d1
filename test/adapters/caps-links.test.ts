/**
 * Findings and rows of the ledger lead to each other, for every story that breaks I10; the ledger that is folded on
 * from what was kept is the one folded from the start, at every position, on disk and in memory.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { checkAndKeep, findingsAt, rowsAt } from '../../adapters/caps-links.ts';
import { begin, type Run, rowsOf } from '../../adapters/caps-run.ts';
import { leakStories } from '../../adapters/caps-stories.ts';
import { openStores } from '../../adapters/cli/stores.ts';
import { Session } from '../../adapters/session.ts';
import type { Branch } from '../../core/history/store.ts';
import { ledger } from '../../projections/caps/ledger.ts';
import { findingsOfRow, rowsOfFinding } from '../../projections/caps/links.ts';
import { checkHistory } from '../../projections/check.ts';
import { runProjections } from '../../projections/projection.ts';
import { sessionOf } from '../support/memory-session.ts';
import { runScenario } from '../support/run-scenario.ts';

const folder = mkdtempSync(join(tmpdir(), 'backwalk-links-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function leaking(): Run {
  const story = leakStories.find(({ name }) => name === 'ats-without-vdevice');
  if (story === undefined) throw new Error('no such story');
  const run = begin(story.setup);
  story.prove(run);
  return run;
}

describe('stories that break I10', () => {
  const files = readdirSync('test/scenario').filter((name) => name.startsWith('bad-i10-'));

  it.each(files)('%s: each finding has a row, and the row has it', (file) => {
    const { entries, machine } = runScenario(file);
    const findings = checkHistory(entries, machine, 'main').filter(({ rule }) => rule === 'I10');
    const [rows] = runProjections(entries, [ledger(machine)]);
    expect(findings.length).toBeGreaterThan(0);
    for (const finding of findings) {
      const [row, ...more] = rowsOfFinding(rows, finding);
      expect(more).toEqual([]);
      expect(row && findingsOfRow(findings, row)).toContain(finding);
      expect(finding.next.join()).toContain(`caps explain ${row?.field} ${finding.position}`);
    }
  });
});

describe('a leak', () => {
  const run = leaking();
  const findings = checkHistory(run.entries, run.machine, 'main');

  it('has the promise and the harm, and each of them has its row', () => {
    const row = rowsOf(run).find(({ field }) => field === 'IDR0.ATS');
    const found = row === undefined ? [] : findingsOfRow(findings, row);
    expect(found.map(({ rule }) => rule)).toEqual(['I10', 'I9']);
    for (const finding of found)
      expect(rowsOfFinding(rowsOf(run), finding).map(({ field }) => field)).toEqual(['IDR0.ATS']);
  });

  it('no other row has anything to do with them', () => {
    const others = rowsOf(run).filter(({ field }) => field !== 'IDR0.ATS');
    expect(others.flatMap((row) => findingsOfRow(findings, row))).toEqual([]);
  });
});

describe('what is kept', () => {
  const run = leaking();
  const head = run.entries.length;

  async function onDisk(name: string): Promise<{ readonly session: Session; readonly branch: Branch }> {
    const session = new Session(await openStores(join(folder, name)));
    const branch = session.log.createRoot('main', run.machine, 'test');
    await session.log.append(branch.id, 0, run.entries).durable;
    return { session, branch };
  }

  it.each(['memory', 'disk'] as const)('is folded on to what the start gives: %s', async (where) => {
    const { session, branch } =
      where === 'memory' ? sessionOf(run.machine, run.entries) : await onDisk('kept.bw');
    for (const seq of [head, 300, 900, head - 1, head]) {
      const [rows] = runProjections(run.entries.slice(0, seq), [ledger(run.machine)]);
      checkAndKeep(session, { branch, seq });
      // Once from what was kept there, and once from what was kept before.
      expect(rowsAt(session, { branch, seq })).toEqual(rows);
      const [next] = runProjections(run.entries.slice(0, Math.min(head, seq + 40)), [ledger(run.machine)]);
      expect(rowsAt(session, { branch, seq: Math.min(head, seq + 40) })).toEqual(next);
    }
    expect(findingsAt(session, { branch, seq: head })).toEqual(
      checkHistory(run.entries, run.machine, 'main'),
    );
    await session.close();
  });

  it('is not given out for another past: a fork that goes on otherwise', async () => {
    const { session, branch } = await onDisk('fork.bw');
    checkAndKeep(session, { branch, seq: head });
    const fork = session.log.fork('other', branch.id, 900);
    const [rows] = runProjections(run.entries.slice(0, 900), [ledger(run.machine)]);
    expect(rowsAt(session, { branch: fork, seq: 900 })).toEqual(rows);
    expect(findingsAt(session, { branch: fork, seq: 900 })).toEqual(
      checkHistory(run.entries.slice(0, 900), run.machine, 'other'),
    );
    await session.close();
  });
});
