/**
 * Logs of every format version, kept for ever: each still folds to the state it had, prints the same
 * lines and gives the same findings. `LOG.txt` beside a log holds what it says; its last line is the
 * digest of the state, the same on every machine and every supported Node.
 */
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { fold } from '../../core/fold.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { initialState } from '../../core/state.ts';
import { checkHistory } from '../../projections/check.ts';
import { openLogStore } from '../../snapshots/log-store.ts';
import { openShell } from '../adapters/cli/backwalk.ts';
import { visibleDigest } from '../support/digest.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'backwalk-golden-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const versions = readdirSync(here).filter((name) => /^v\d+$/.test(name));
const logs = versions.flatMap((version) =>
  readdirSync(join(here, version))
    .filter((name) => name.endsWith('.bw'))
    .map((name) => ({ version, name, path: join(here, version, name) })),
);

describe.each(logs)('$version/$name', ({ version, name, path }) => {
  const copy = join(folder, `${version}-${name}`);
  copyFileSync(path, copy);
  const shell = openShell();

  it('still says what it said', async () => {
    const log = await shell.backwalk('log', '-s', copy);
    const check = await shell.backwalk('check', '--json', '-s', copy);
    const store = openLogStore(copy, { readOnly: true });
    const [main] = store.branches();
    if (main === undefined) throw new Error('a golden log has a branch');
    const entries = [...store.read(main.id, 1, store.head(main.id))];
    const state = fold(initialState(main.machine, resetRegisters), entries);
    await store.close();
    expect(checkHistory(entries, main.machine, main.name).length).toBe(check.out.length);
    const said = [...log.out, ...check.out, `digest ${visibleDigest(state)}`, ''].join('\n');
    await expect(said).toMatchFileSnapshot(path.replace(/\.bw$/, '.txt'));
  });
});

it('has logs of the present version', () => {
  expect(versions).toContain('v1');
  expect(logs.length).toBeGreaterThan(1);
});
