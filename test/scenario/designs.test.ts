/**
 * One scenario, every design: the same guest's work ends with the same bytes in guest memory, all that the lines
 * expect comes true, no rule is broken, and it drains to quiet.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { vmmProfiles } from '../../core/vmm/profiles.ts';
import { openShell } from '../adapters/cli/backwalk.ts';

const WORK = 'test/scenario/good-vm-same-work.jsonl';
const text = readFileSync(WORK, 'utf8');
const bytesOf = new Map<string, readonly unknown[]>();

describe('the same work on', () => {
  it.each(Object.keys(vmmProfiles))('%s', { timeout: 60_000 }, async (profile) => {
    const shell = openShell();
    const file = shell.file(`${profile}.jsonl`, text.replace('"cpus":2', `"cpus":2,"profile":"${profile}"`));
    const said = await shell.backwalk('--json', 'run', file);
    const lines = said.out.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    expect(lines.at(-1)?.['summary']).toMatchObject({ findings: 0, checksFailed: 0 });
    expect(said.code).toBe(0);
    bytesOf.set(
      profile,
      lines.filter(({ op }) => op === 'mem.read').map(({ outcome }) => outcome),
    );
  });

  it('all of them leaves the same bytes', () => {
    expect(bytesOf.size).toBe(Object.keys(vmmProfiles).length);
    expect(new Set([...bytesOf.values()].map((bytes) => JSON.stringify(bytes))).size).toBe(1);
  });
});
