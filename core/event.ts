/** Joins the event tables of the parts. */
import { dmaApiEvents } from './dma-api/events.ts';
import { driverEvents } from './driver/events.ts';
import { endpointEvents } from './endpoint/events.ts';
import { kernelEvents } from './kernel/events.ts';
import { memoryEvents } from './memory/events.ts';
import { mmEvents } from './mm/events.ts';
import { json, type Payload, type Schema, text } from './schema.ts';
import { smmuEvents } from './smmu/events.ts';
import { type StimulusMap, stimuli } from './stimulus.ts';
import { taskEvents } from './tasks/events.ts';
import { virtioEvents } from './virtio-iommu/events.ts';
import { vmEvents } from './vm/events.ts';

export const machineEvents = {
  /** A turn was offered and its unit had nothing to do. */
  'turn.passed': { unit: text() },
  'value.set': { path: text('path'), value: json<unknown>(), old: json<unknown>() },
} as const;

export const events = {
  ...machineEvents,
  ...memoryEvents,
  ...smmuEvents,
  ...endpointEvents,
  ...taskEvents,
  ...driverEvents,
  ...dmaApiEvents,
  ...mmEvents,
  ...kernelEvents,
  ...vmEvents,
  ...virtioEvents,
} as const satisfies Record<string, Schema>;

export type EventMap = typeof events;
export type EventType = keyof EventMap;
export type EventOf<T extends EventType> = { readonly type: T } & Payload<EventMap[T]>;
export type Event = { [T in EventType]: EventOf<T> }[EventType];

/** What an entry has besides its payload. */
export interface EntryHead {
  /** 1, 2, 3, ... without gaps in a branch. */
  readonly seq: number;
  /** Counts the stimuli; an entry has the tick of its stimulus. */
  readonly tick: number;
  /** The seq of the entry it follows from; a stimulus from outside has 0. */
  readonly cause: number;
  readonly actor: string;
}
export type EntryType = StimulusType | EventType;
type StimulusType = keyof StimulusMap;
export type EntryOf<T extends EntryType> = EntryHead & { readonly type: T } & (T extends EventType
    ? Payload<EventMap[T]>
    : T extends StimulusType
      ? Payload<StimulusMap[T]>
      : never);
export type Entry = { [T in EntryType]: EntryOf<T> }[EntryType];

/** The schema of every entry, stimuli and events. */
export const schemas: Readonly<Record<EntryType, Schema>> = { ...stimuli, ...events };

/** Whether the entry is something asked of the machine rather than something that followed. */
export function isStimulus(entry: { readonly type: string }): boolean {
  return entry.type in stimuli;
}
