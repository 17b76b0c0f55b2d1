/**
 * What the kernel and its drivers hold, as text: objects, areas, files, memory, attachments, domains. Not in it:
 * places in queues, CD tables (an endpoint keeps its own), and which of the free ids came back when.
 */
import type { State } from '../../core/state.ts';

const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value);

/** The same text for two states where everything that is held is the same. */
export function heldByKernel(state: State): string {
  return JSON.stringify(parts(state), plain);
}

function parts({ kernel, drivers, tasks }: State): unknown {
  if (kernel === undefined) return {};
  const contexts = Object.values(kernel.contexts).map(
    ({ objects, areas, free, nextId, id, users, vfioIoas, accounting }) => ({
      id,
      users,
      vfioIoas,
      accounting,
      objects: [...objects.range()],
      areas: [...areas.range()]
        .map(([ioas, each]) => [ioas, [...each.range()]])
        .filter(([, each]) => (each as unknown[]).length > 0),
      tombstones: Array.from({ length: nextId - 1 }, (_, at) => at + 1).filter(
        (each) => free.get(each) === undefined && objects.get(each) === undefined,
      ),
    }),
  );
  const { files, names, calls } = kernel;
  return {
    contexts,
    files,
    names,
    calls,
    backings: [...kernel.backings.range()].map(([id, { users }]) => [id, users]),
    drivers: Object.values(drivers).map(({ domains, masters, asids, vmids }) => [
      [...domains.range()],
      Object.values(masters).map(({ attached, atsEnabled, vmaster }) => [attached, atsEnabled, vmaster]),
      [...asids.range()],
      [...vmids.range()],
    ]),
    tasks: tasks.length,
  };
}
