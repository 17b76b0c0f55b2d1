/**
 * What must not compile: an event without a handler, a stimulus without a decider, a payload of another
 * shape. `tsc` is the test: an expected error that does not occur is an error.
 */
import { deciders } from '../../core/deciders.ts';
import type { Entry, EntryOf, Event, EventType } from '../../core/event.ts';
import { handlers } from '../../core/handlers.ts';
import type { Context, Deciders, Handlers } from '../../core/machine.ts';
import type { smmuEvents } from '../../core/smmu/events.ts';
import { smmuHandlers } from '../../core/smmu/handlers.ts';
import type { Stimulus } from '../../core/stimulus.ts';

const { 'sync.completed': _sync, ...withoutSync } = handlers;
// @ts-expect-error an event lacks its handler
export const incomplete: Handlers = withoutSync;

const { 'tlb.filled': _fill, ...withoutFill } = smmuHandlers;
// @ts-expect-error a part lacks the handler of one of its events
export const incompletePart: Pick<Handlers, keyof typeof smmuEvents> = withoutFill;

const { dma: _dma, ...withoutDma } = deciders;
// @ts-expect-error a stimulus lacks its decider
export const undecided: Deciders = withoutDma;

export const unknownHandler: Handlers = {
  ...handlers,
  // @ts-expect-error a handler of an event that is not declared
  'tlb.forgotten': () => {},
};

export const read: Event = { type: 'memory.read', pa: 0x1000, size: 8 };
// @ts-expect-error a field of another type
export const wrongType: Event = { type: 'memory.read', pa: '0x1000', size: 8 };
// @ts-expect-error a number where a 64-bit value is meant
export const wrongWidth: Event = { type: 'memory.written', pa: 0, value: 1, old: 0n };
// @ts-expect-error a field is missing
export const missing: Event = { type: 'memory.read', pa: 0x1000 };
// @ts-expect-error a field too many
export const excess: Event = { type: 'memory.read', pa: 0x1000, size: 8, value: 1n };
// @ts-expect-error an optional field is left out, not undefined
export const undefinedField: Stimulus = { type: 'mem.read', pa: 0, size: 8, line: undefined };
// @ts-expect-error no such event
export const unknown: EventType = 'memory.forgotten';
// @ts-expect-error no such access
export const execute: Stimulus = { type: 'dma', endpoint: 'dev0', iova: 0n, size: 8, access: 'execute' };
// @ts-expect-error an input address has 64 bits
export const narrow: Stimulus = { type: 'dma', endpoint: 'dev0', iova: 0, size: 8, access: 'read' };

/** Entries are facts: nobody changes one. */
export function change(entry: Entry, fill: EntryOf<'tlb.filled'>, { emit }: Context): void {
  // @ts-expect-error an entry is read-only
  entry.seq = 1;
  // @ts-expect-error its payload too
  fill.va = 0n;
  // @ts-expect-error a stimulus is not emitted: only what follows from it
  emit('smmu0', { type: 'mem.read', pa: 0, size: 8 });
}

/** The type tells the payload. */
export function payload(entry: Entry): bigint | number {
  if (entry.type === 'register.read') return entry.value;
  // @ts-expect-error not every entry has a value
  return entry.value;
}
