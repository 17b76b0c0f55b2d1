/** Progress on the stderr of a terminal, with a rate and a time to go; only for work of over a second. */
import type { SingleBar } from 'cli-progress';
import type { Io } from './io.ts';

const SILENT_MS = 1_000;

export interface Progress {
  /** So much is done in all. */
  at(done: number): void;
  stop(): void;
}

/** @param total how much there is to do; undefined when nobody knows. */
export function startProgress(io: Io, what: string, total: number | undefined): Progress {
  if (!io.showsProgress || total === undefined || total === 0) return { at: () => {}, stop: () => {} };
  const started = Date.now();
  let bar: SingleBar | undefined;
  let wanted = false;
  let stopped = false;
  let done = 0;
  const open = async (): Promise<void> => {
    const { Presets, SingleBar: Bar } = await import('cli-progress');
    if (stopped) return;
    bar = new Bar(
      { format: `${what} {bar} {percentage}% {rate}/s, {eta_formatted} to go`, hideCursor: true },
      Presets.shades_classic,
    );
    bar.start(total, done, { rate: 0 });
  };
  return {
    at(now) {
      done = now;
      const elapsed = Date.now() - started;
      if (elapsed < SILENT_MS) return;
      if (!wanted) void open();
      wanted = true;
      bar?.update(done, { rate: Math.round((done * 1_000) / elapsed) });
    },
    stop() {
      stopped = true;
      bar?.stop();
    },
  };
}
