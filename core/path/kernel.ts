/** The kernel's side in paths: iommufd contexts by the name that opened them, and the kernel itself. */
import { touchKey } from '../history/touch.ts';
import type { AnyObject, Context } from '../kernel/iommufd/state.ts';
import type { KernelState } from '../kernel/state.ts';
import type { State } from '../state.ts';
import { absent, type Children, group, hex, joinWatched, leaf, type PathNode, type Watched } from './node.ts';

const types = (...names: readonly string[]): Watched => ({
  keys: names.map((name) => `type:${name}`),
  spans: [],
});
/** A context is there from its opening on. */
const CONTEXT = types('file.opened', 'file.closed', 'context.opened', 'context.closed');
const OBJECTS = joinWatched([
  types('object.reserved', 'object.finalized', 'object.changed', 'object.removed'),
  CONTEXT,
]);
const FILES = types('file.opened', 'file.changed', 'file.closed');

/** `iommu0` and its like: every open /dev/iommu by the name that scenarios gave it. */
export function contextNodes({ kernel }: State): Children {
  if (kernel === undefined) return {};
  const found = Object.entries(kernel.names).flatMap(([name, fd]) => {
    const file = kernel.files[fd];
    const context = file?.kind === 'iommufd' ? kernel.contexts[file.context] : undefined;
    return context === undefined ? [] : [[name, () => contextNode(context)] as const];
  });
  return Object.fromEntries(found);
}

function contextNode(context: Context): PathNode {
  return group({
    objects: () => objectsNode(context),
    accounting: () => leaf(context.accounting, joinWatched([types('context.changed'), CONTEXT])),
    vfioIoas: () => leaf(context.vfioIoas, joinWatched([types('context.changed'), CONTEXT])),
  });
}

function objectsNode({ objects }: Context): PathNode {
  const all = (): AnyObject[] => [...objects.range()].map(([, object]) => object);
  const lines = () => all().map((object) => ({ below: `[${object.id}]`, text: showObject(object) }));
  return {
    json: () => all().map(plain),
    lines: (brief) => (brief ? [{ below: '', text: `${objects.size} objects` }] : lines()),
    watched: () => OBJECTS,
    names: [],
    index: 'the id of an object',
    child: () => undefined,
    item: (id) => {
      const object = objects.get(id);
      const watched = joinWatched([{ keys: [touchKey('object', id)], spans: [] }, CONTEXT]);
      return object === undefined ? absent('no object of that id', watched) : valuesNode(object, watched);
    },
  };
}

/** `hwpt_nested viommu=5 fault=0`: the kind, and what is not 0. */
function showObject({ kind, id, ready, users, ...rest }: AnyObject): string {
  const parts = Object.entries(rest)
    .filter(([, value]) => value !== 0 && value !== false)
    .map(
      ([name, value]) =>
        `${name}=${typeof value === 'object' ? JSON.stringify(plain(value)) : String(plain(value))}`,
    );
  return [kind, ...(ready ? [] : ['(not published)']), `users=${users}`, ...parts].join(' ');
}

function valuesNode(object: AnyObject, watched: Watched): PathNode {
  const rows: Children = Object.fromEntries(
    Object.entries(object).map(([name, value]) => [name, () => leaf(plain(value), watched)]),
  );
  return group(rows, { brief: () => showObject(object) });
}

/** As JSON can say it. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return hex(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Uint8Array)
    return Array.from(value, (each) => each.toString(16).padStart(2, '0')).join('');
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
}

/** `kernel`: its profile, open files and processes, and the tasks it works on. */
export function kernelNode(kernel: KernelState, { tasks }: State): PathNode {
  const TASKS = types('task.begun', 'task.paused', 'task.ended');
  return group({
    profile: () => leaf(kernel.profile, { keys: [], spans: [] }),
    files: () =>
      leaf(
        Object.entries(kernel.names).map(([name, fd]) => ({
          name,
          fd,
          kind: kernel.files[fd]?.kind ?? 'closed',
        })),
        FILES,
      ),
    processes: () => leaf(Object.keys(kernel.processes), types('process.made', 'process.exited')),
    tasks: () =>
      leaf(
        tasks.map(({ id, unit, what, frames }) => ({ id, unit, what, next: frames[0]?.do ?? '' })),
        TASKS,
      ),
  });
}
