/** How an object ends, whoever wants it: DESTROY, an ioctl that failed after making it, the end of its context. */
import { present } from '../../assert.ts';
import type { Context as Machine } from '../../machine.ts';
import type { Frame } from '../../tasks/task.ts';
import { remove } from './object.ts';
import { contextIn } from './object-handlers.ts';
import { kinds } from './rows.ts';
import type { AnyObject, ObjectKind, ObjectOf } from './state.ts';

export interface KindRow<K extends ObjectKind> {
  /** Gives back what the object has and holds, its references included. The id goes after the frames. */
  end(machine: Machine, context: number, object: ObjectOf<K>): readonly Frame[];
}

/** Ends an object: nobody finds it from now on, and its id is free when the frames are done. */
export function endObject(machine: Machine, context: number, id: number): readonly Frame[] {
  const object = present(contextIn(machine.state, context).objects.get(id), `object ${id}`);
  if (object.ready)
    machine.emit('kernel', { type: 'object.changed', context, object: id, set: { ready: false } });
  const row = kinds[object.kind] as KindRow<AnyObject['kind']> | undefined;
  const frames = row?.end(machine, context, object) ?? [];
  if (frames.length > 0) return [...frames, { do: 'object.remove', context, object: id }];
  remove(machine, context, id);
  return [];
}
