/** How records come into the queues of a context, and leave them. */
import { present } from '../../assert.ts';
import type { Handlers } from '../../machine.ts';
import { openMap } from '../../parts.ts';
import type { State } from '../../state.ts';
import type { iommufdEvents } from './events.ts';
import { contextIn } from './object-handlers.ts';
import type { Fault, ObjectKind, ObjectOf, Veventq } from './state.ts';

export const iommufdHandlers: Pick<Handlers, keyof typeof iommufdEvents> = {
  'hwinfo.reported': () => {},
  'commands.unissued': () => {},
  'vevent.queued': (state, { context, veventq, sequence, lost, words }) => {
    change<'veventq'>(state, context, veventq, ({ events }) => {
      const kept = events.at(-1)?.lost === true ? events.slice(0, -1) : events;
      return { sequence: nextSequence(sequence), events: [...kept, { sequence, lost, words }] };
    });
  },
  'vevents.read': (state, { context, veventq, count }) => {
    change<'veventq'>(state, context, veventq, ({ events }: Veventq) => ({ events: events.slice(count) }));
  },
  'fault.queued': (state, { context, fault, group }) => {
    change<'fault'>(state, context, fault, ({ queue }) => ({
      nextGroup: group.number + 1,
      queue: [...queue, group],
    }));
  },
  'faults.read': (state, { context, fault, cookies }) => {
    change<'fault'>(state, context, fault, ({ queue, pending }: Fault) => {
      const read = cookies.map((cookie, at) => [cookie, present(queue[at], 'group that was read')]);
      return { queue: queue.slice(cookies.length), pending: { ...pending, ...Object.fromEntries(read) } };
    });
  },
  'faults.answered': (state, { context, fault, groups }) => {
    const left = ({ number }: { readonly number: number }): boolean => !groups.includes(number);
    change<'fault'>(state, context, fault, ({ queue, pending }: Fault) => ({
      queue: queue.filter(left),
      pending: Object.fromEntries(Object.entries(pending).filter(([, group]) => left(group))),
    }));
  },
};

/** Sequence numbers have 31 bits. */
function nextSequence(sequence: number): number {
  return (sequence + 1) % 2 ** 31;
}

function change<K extends ObjectKind>(
  state: State,
  contextId: number,
  id: number,
  to: (object: ObjectOf<K>) => object,
): void {
  const context = contextIn(state, contextId);
  const object = present(context.objects.get(id), `object ${id}`) as ObjectOf<K>;
  openMap(context, 'objects').set(id, { ...object, ...to(object) });
}
