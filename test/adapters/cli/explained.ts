/** Shells with a history, and their explanations as one text. */
import { beforeAll, expect } from 'vitest';
import type { ScenarioLine } from '../../../adapters/scenario/scenario.ts';
import { encodeCommand } from '../../../core/smmu/command-layout.ts';
import { at, jsonl, store } from '../story.ts';
import { openShell, type Shell } from './backwalk.ts';

/** A shell with the history of these lines. */
export function history(lines: readonly ScenarioLine[]): Shell {
  const shell = openShell();
  beforeAll(async () => {
    await shell.backwalk('run', shell.file('story.jsonl', jsonl(lines)));
  }, 60_000);
  return shell;
}

/** The answer as one text; every line has its position and keeps to 80 columns. */
export async function why(shell: Shell, ...args: readonly string[]): Promise<string> {
  const { out, err, code } = await shell.backwalk('why', ...args);
  expect(err).toEqual([]);
  expect(code).toBe(0);
  for (const line of out) expect(line).toMatch(/^main@\d+ .{0,80}$/);
  for (const line of out) expect(line.length).toBeLessThanOrEqual(80);
  return `\n${out.join('\n')}\n`;
}

/** A turn of a unit of smmu0. */
export const turn = (unit: string): ScenarioLine => ({ op: 'turn', unit: `smmu0.${unit}` });

/** A command in a slot of the queue. */
export const command = (slot: number, ...args: Parameters<typeof encodeCommand>): ScenarioLine =>
  store(at.cmdq + 16 * slot, encodeCommand(...args));
