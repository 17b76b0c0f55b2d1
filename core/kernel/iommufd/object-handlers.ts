/** How the facts about iommufd contexts and their objects evolve the state. */
import { assert, present } from '../../assert.ts';
import type { Handlers } from '../../machine.ts';
import { openMap, sealedMap } from '../../parts.ts';
import type { State } from '../../state.ts';
import { kernelOf } from '../kernel.ts';
import { forgetGaps } from './gaps.ts';
import type { AnyObject, Context } from './state.ts';

type ObjectEvents =
  | 'context.opened'
  | 'context.changed'
  | 'context.closed'
  | 'object.reserved'
  | 'object.finalized'
  | 'object.changed'
  | 'object.removed';

export const objectHandlers: Pick<Handlers, ObjectEvents> = {
  'context.opened': (state, { context: id, accounting }) => {
    const kernel = kernelOf(state);
    kernel.contexts[id] = {
      id,
      users: 1,
      closing: false,
      objects: sealedMap(),
      areas: sealedMap(),
      gaps: sealedMap(),
      free: sealedMap(),
      nextId: 1,
      accounting,
      vfioIoas: 0,
    };
    kernel.nextContext = id + 1;
  },
  'context.changed': (state, { context, set }) => {
    Object.assign(contextIn(state, context), set);
  },
  'context.closed': (state, { context }) => {
    delete kernelOf(state).contexts[context];
  },
  'object.reserved': (state, { context: id, object }) => {
    const context = contextIn(state, id);
    assert(context.objects.get(object.id) === undefined, `id ${object.id} is free`);
    openMap(context, 'objects').set(object.id, object);
    if (object.id === context.nextId) context.nextId += 1;
    else openMap(context, 'free').delete(object.id);
  },
  'object.finalized': (state, { context, object }) =>
    change(contextIn(state, context), object, { ready: true }),
  'object.changed': (state, { context, object, set }) => change(contextIn(state, context), object, set),
  'object.removed': (state, { context: id, object, tombstone }) => {
    const context = contextIn(state, id);
    openMap(context, 'objects').delete(object);
    if (context.areas.get(object) !== undefined) {
      openMap(context, 'areas').delete(object);
      forgetGaps(openMap(context, 'gaps'), object);
    }
    if (!tombstone) openMap(context, 'free').set(object, object);
    if (context.vfioIoas === object) context.vfioIoas = 0;
  },
};

/** The context of that number. */
export function contextIn(state: State, id: number): Context {
  return present(kernelOf(state).contexts[id], `context ${id}`);
}

function change(context: Context, id: number, set: object): void {
  const object = present(context.objects.get(id), `object ${id}`);
  openMap(context, 'objects').set(id, { ...object, ...set } as AnyObject);
}
