/** Importing a capture into a store, stopping it half way, and going on. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { writeBigTrace } from '../../support/big-trace.ts';
import { openShell, type Said } from './backwalk.ts';

const data = (name: string): string => new URL(`../../data/qemu/${name}.trace.gz`, import.meta.url).pathname;
const stale = data('stale-after-unmap');
const summaryOf = (said: Said) => JSON.parse(said.out.at(-1) ?? '{}').summary;

describe('import qemu-trace', () => {
  const shell = openShell();

  it('ends with its counts', async () => {
    const said = await shell.backwalk('import', 'qemu-trace', stale, '--json');
    expect(said.code).toBe(0);
    expect(summaryOf(said)).toMatchObject({
      lines: 570,
      unknown: 0,
      compared: { translation: 4, fault: 2, command: 17, register: 24, eventRecord: 2 },
      differences: { translation: 0, fault: 0, command: 0, register: 0, eventRecord: 0 },
      head: `main@${summaryOf(said).entries}`,
    });
  });

  it('makes a history that every view takes', async () => {
    expect((await shell.backwalk('check', '--brief')).out[0]).toContain('I3 used-stale');
    expect((await shell.backwalk('show', '@{first finding}', 'smmu0.tlb')).out.join(' ')).toContain(
      'va=0xfffff000',
    );
    expect((await shell.backwalk('verify', '--rerun')).code).toBe(0);
  });

  it('imports again beside what is there', async () => {
    const said = await shell.backwalk('import', 'qemu-trace', stale, '--json');
    expect(summaryOf(said).head).toMatch(/^run-2@/);
    expect((await shell.backwalk('diff', 'main...run-2')).code).toBe(0);
  });

  it('refuses what is no trace, and makes no store of it', async () => {
    const text = shell.file('notes.txt', 'nothing of the kind\n');
    const said = await shell.backwalk('import', 'qemu-trace', text, '-s', `${shell.folder}/other.bw`);
    expect(said.code).toBe(2);
    expect(said.err[0]).toMatch(/^backwalk: .*notes\.txt/);
    expect((await shell.backwalk('log', '-s', `${shell.folder}/other.bw`)).err[0]).toContain('no store');
    expect((await shell.backwalk('import', 'qemu-trace', '/nowhere/none.trace')).code).toBe(2);
  });

  it('says that a file was cut, and keeps what stands before', async () => {
    const cut = `${shell.folder}/cut.trace.gz`;
    const whole = readFileSync(stale);
    writeFileSync(cut, whole.subarray(0, Math.floor(whole.length * 0.8)));
    const said = await shell.backwalk('import', 'qemu-trace', cut, '-s', `${shell.folder}/cut.bw`);
    expect(said.code).toBe(2);
    expect(said.err.at(-1)).toMatch(/cut\.trace\.gz: .*stored/);
  });
});

describe('an import that was stopped', () => {
  it('goes on where it was, to the same history', async () => {
    const shell = openShell();
    const file = `${shell.folder}/big.trace`;
    await writeBigTrace(file, { lines: 40_000, cpus: 4, faultEvery: 8, drainEvery: 6 });
    const whole = await shell.backwalk('import', 'qemu-trace', file, '--json', '--as', 'whole');
    const other = `${shell.folder}/other.bw`;
    const stopped = await shell.stopped(30, 'import', 'qemu-trace', file, '-s', other);
    expect(stopped.code).toBe(130);
    expect(stopped.err).toEqual([
      expect.stringMatching(/^backwalk: stopped after line \d+; all up to main@\d+ is stored/),
    ]);
    const resumed = await shell.backwalk('import', 'qemu-trace', file, '--json', '-s', other);
    expect(resumed.err).toEqual([
      expect.stringMatching(/^backwalk: an import of this file stopped at main@\d+/),
    ]);
    expect({ ...summaryOf(resumed), head: '' }).toEqual({ ...summaryOf(whole), head: '' });
    expect((await shell.backwalk('verify', '--rerun', '-s', other)).code).toBe(0);
  });
});
