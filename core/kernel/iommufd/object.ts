/**
 * The object table of a context: ids, references, and the three ends of an object. A new object is
 * reserved (its id is taken, nobody finds it), then finalized when the whole call succeeded, or aborted;
 * the dispatcher does either for every ioctl, so no row can forget. linux: iommufd/main.c.
 */
import { assert, present } from '../../assert.ts';
import type { Context as Machine } from '../../machine.ts';
import type { State } from '../../state.ts';
import { allocates } from '../kernel.ts';
import { contextIn } from './object-handlers.ts';
import type { AnyObject, Context, NewObject, ObjectKind, ObjectOf } from './state.ts';

/** The lowest free id, from 1 on; tombstones stay taken. */
export function freeId({ free, nextId }: Context): number {
  return free.firstKey() ?? nextId;
}

/** The object, if it is there, published and of that kind. */
export function find<K extends ObjectKind>(context: Context, id: number, kind: K): ObjectOf<K> | undefined {
  const found = findAny(context, id);
  return found?.kind === kind ? (found as ObjectOf<K>) : undefined;
}

/** The object of any kind, if it is there and published. */
export function findAny({ objects }: Context, id: number): AnyObject | undefined {
  const found = objects.get(id);
  return found?.ready === true ? found : undefined;
}

/** The object of that kind, published or not, which is known to be there. */
export function objectOf<K extends ObjectKind>(
  state: State,
  context: number,
  id: number,
  kind: K,
): ObjectOf<K> {
  const found = present(contextIn(state, context).objects.get(id), `object ${id}`);
  assert(found.kind === kind, `object ${id} is of kind ${kind}`);
  return found as ObjectOf<K>;
}

/** All objects of a kind, published or not, by id. */
export function* objectsOf<K extends ObjectKind>({ objects }: Context, kind: K): Generator<ObjectOf<K>> {
  for (const [, object] of objects.range()) if (object.kind === kind) yield object as ObjectOf<K>;
}

/** Reserves an id for a new object, which has its one user. Returns the id; undefined: ENOMEM. */
export function reserve(machine: Machine, context: number, made: NewObject): number | undefined {
  if (!allocates(machine, made.kind)) return undefined;
  const id = freeId(contextIn(machine.state, context));
  const object = { ...made, id, ready: false, users: 1 } as AnyObject;
  machine.emit('kernel', { type: 'object.reserved', context, object });
  return id;
}

/** From now on look-ups find it. */
export function finalize({ emit }: Machine, context: number, object: number): void {
  emit('kernel', { type: 'object.finalized', context, object });
}

/** Puts other values into an object. */
export function change<K extends ObjectKind>(
  { emit }: Machine,
  context: number,
  { id }: ObjectOf<K>,
  set: Partial<Omit<ObjectOf<K>, 'id' | 'kind' | 'ready'>>,
): void {
  emit('kernel', {
    type: 'object.changed',
    context,
    object: id,
    set: set as Readonly<Record<string, unknown>>,
  });
}

/** Takes a reference that keeps the object, or gives it back (`by` -1). */
export function refer({ state, emit }: Machine, context: number, id: number, by: 1 | -1): void {
  const users = present(contextIn(state, context).objects.get(id), `object ${id}`).users + by;
  assert(users > 0, `the id itself keeps object ${id}`);
  emit('kernel', { type: 'object.changed', context, object: id, set: { users } });
}

/** Its id is free, or a tombstone. What it had and held is the business of its kind (`kinds.ts`). */
export function remove({ state, emit }: Machine, context: number, id: number, tombstone = false): void {
  const { kind } = present(contextIn(state, context).objects.get(id), `object ${id}`);
  emit('kernel', { type: 'object.removed', context, object: id, kind, tombstone });
}
