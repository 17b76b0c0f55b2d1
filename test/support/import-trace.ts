/** Imports traces in tests: from a file, or from text through a temporary one; the history is an array. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type ImportOptions, importQemuTrace } from '../../adapters/qemu-trace/import.ts';
import type { ImportResult } from '../../adapters/qemu-trace/tally.ts';
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { Simulation } from '../../core/simulation.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { initialState } from '../../core/state.ts';

export interface Imported {
  readonly result: ImportResult;
  readonly entries: readonly Entry[];
  readonly machine: MachineConfig;
  readonly simulation: Simulation;
}

export async function importFile(
  file: string,
  options: Partial<Omit<ImportOptions, 'file' | 'begin'>> = {},
): Promise<Imported> {
  const entries: Entry[] = [];
  let made: { machine: MachineConfig; simulation: Simulation } | undefined;
  const result = await importQemuTrace({
    file,
    ...options,
    begin: (machine) => {
      const simulation = new Simulation(initialState(machine, resetRegisters));
      simulation.entries$.subscribe((step) => entries.push(...step));
      made = { machine, simulation };
      return simulation;
    },
  });
  return { result, entries, ...made! };
}

/** Does `work` with a file that holds `content`, and removes it. */
export async function withFile<T>(
  name: string,
  content: string | Uint8Array,
  work: (file: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'backwalk-'));
  try {
    const file = join(folder, name);
    writeFileSync(file, content);
    return await work(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function importText(text: string, options: Parameters<typeof importFile>[1] = {}): Promise<Imported> {
  return withFile('text.trace', text, (file) => importFile(file, options));
}

export const captures = {
  clean: 'test/data/qemu/boot-nvme-virtio-strict.trace.gz',
  stale: 'test/data/qemu/stale-after-unmap.trace.gz',
  faults: 'test/data/qemu/faults.trace.gz',
} as const;

/** The lines of a capture. */
export function captureText(name: keyof typeof captures): string {
  return gunzipSync(readFileSync(captures[name])).toString('latin1');
}
