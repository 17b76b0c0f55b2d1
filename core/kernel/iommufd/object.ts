/**
 * The object table of a context: ids, references, and the three ends of an object. A new object is
 * reserved (its id is taken, nobody finds it), then finalized when the whole call succeeded, or aborted;
 * the dispatcher does either for every ioctl, so no row can forget. linux: iommufd/main.c.
 */
import type { Context as Machine } from '../../machine.ts';
import type { AnyObject, Context, ObjectKind, ObjectOf } from './state.ts';

/** The lowest free id, from 1 on; tombstones stay taken. */
export function freeId({ objects, tombstones }: Context): number {
  let id = 1;
  while (objects[id] !== undefined || tombstones.includes(id)) id += 1;
  return id;
}

/** The object, if it is there, published and of that kind. */
export function find<K extends ObjectKind>(context: Context, id: number, kind: K): ObjectOf<K> | undefined {
  const found = context.objects[id];
  return found?.kind === kind && found.ready ? (found as ObjectOf<K>) : undefined;
}

/** The object of any kind, if it is there and published. */
export function findAny(context: Context, id: number): AnyObject | undefined {
  const found = context.objects[id];
  return found?.ready === true ? found : undefined;
}

/** Reserves an id for a new object. Returns the id. */
export function reserve({ emit }: Machine, context: Context, object: Omit<AnyObject, 'id' | 'ready' | 'users'>): number {
  const id = freeId(context);
  emit('kernel', { type: 'object.reserved', context: context.id, object: { ...object, id, ready: false, users: 1 } as AnyObject });
  return id;
}
