/**
 * I4 where a guest's StreamID stands for a device with several (IHI 0070 3.2): a command of the guest has to reach all
 * that its StreamID stands for. Where the kernel turned it into the first of them alone, what is left at the others is
 * the doing of the vDEVICE that was made so.
 */
import type { MachineConfig } from '../core/config.ts';
import type { EntryOf } from '../core/event.ts';
import { positions, type Teller } from './explain.ts';
import type { Blame, Finding } from './finding.ts';
import { showCommand } from './obligations/nearest.ts';
import type { Invalidation } from './obligations/obligation.ts';
import { hex } from './obligations/tell.ts';

interface Vdevice {
  readonly seq: number;
  readonly actor: string;
  /** Of its context. */
  readonly id: string;
  readonly virtId: bigint;
}

/** What is known of devices with several StreamIDs. */
export interface Images {
  /** The device of an endpoint that is a further StreamID. */
  readonly deviceOf: ReadonlyMap<string, string>;
  /** All StreamIDs of such devices, by device. */
  readonly streams: ReadonlyMap<string, readonly number[]>;
  readonly vdevices: Map<string, Vdevice>;
}

/** The devices of a machine. */
export function newImages({ endpoints }: MachineConfig): Images {
  const deviceOf = new Map(
    endpoints.flatMap(({ name, of }) => (of === undefined ? [] : [[name, of] as const])),
  );
  const devices = new Set(deviceOf.values());
  const own = (device: string): readonly number[] =>
    endpoints.filter(({ name, of }) => name === device || of === device).map(({ streamId }) => streamId);
  return { deviceOf, streams: new Map([...devices].map((each) => [each, own(each)])), vdevices: new Map() };
}

/** A virtual StreamID stands for a device from now on. */
export function vdeviceMade(
  { images }: { readonly images: Images },
  { seq, actor, context, object }: EntryOf<'object.reserved'>,
): void {
  if (object.kind !== 'vdevice' || !images.streams.has(object.endpoint)) return;
  const { endpoint, virtId, id } = object;
  images.vdevices.set(endpoint, { seq, actor, id: `${context}:${id}`, virtId });
}

/** It stands for it no more. */
export function vdeviceGone(
  { images }: { readonly images: Images },
  { context, object }: EntryOf<'object.removed'>,
): void {
  for (const [endpoint, { id }] of images.vdevices)
    if (id === `${context}:${object}`) images.vdevices.delete(endpoint);
}

/**
 * The finding with the vDEVICE to blame, or undefined: the StreamID is of a device with one, or nothing came to another.
 * @param reached the completed command that would have done it, had it been for that StreamID.
 */
export function blameImage(
  { images, teller }: { readonly images: Images; readonly teller: Teller },
  finding: Finding,
  endpoint: string,
  streamId: number,
  reached: (other: number) => Invalidation | undefined,
): Finding | undefined {
  const device = images.deviceOf.get(endpoint) ?? endpoint;
  const vdevice = images.vdevices.get(device);
  if (vdevice === undefined) return undefined;
  for (const other of images.streams.get(device) ?? []) {
    const command = other === streamId ? undefined : reached(other);
    if (command === undefined) continue;
    const at = positions(teller);
    const [virtual, reachable, left] = [vdevice.virtId, other, streamId].map((each) => hex(each));
    const what = `vDEVICE ${virtual} of ${device} stands for StreamID ${reachable} alone, not for ${left}`;
    const blame: Blame = { position: at(vdevice.seq), actor: vdevice.actor, what };
    const nearest = {
      position: at(command.performed),
      why: `a command for ${virtual}, which was sent to the first stream of ${device} alone`,
      command: showCommand(command),
    };
    return {
      ...finding,
      rule: 'I4',
      blame,
      after: [finding.blame, ...finding.after],
      missing: { ...finding.missing, nearest },
      notes: [
        ...finding.notes,
        `${device} has ${images.streams.get(device)?.length} StreamIDs: refuse such a vDEVICE, or send each command once for each`,
      ],
    };
  }
  return undefined;
}
