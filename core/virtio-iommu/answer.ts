/**
 * The virtio-iommu device: what it writes for a request, what that changes in it, and what the host has to do
 * for it. Answers decide and change nothing: effects are carried out while the device is as it was, then the
 * changes are applied, then the request is given back.
 */
import { decodeRequest, encodeTail, writableBytes } from './codec.ts';
import { type Fields, type Serve, serve, type Verdict } from './serve.ts';
import { type Consequences, choicesOf } from './space.ts';
import type { IommuDevice } from './state.ts';
import { type RequestName, type StatusName, TAIL_BYTES } from './structs.ts';

export interface Answer extends Consequences {
  /** What is written from the beginning of the writable part on; empty: used length 0. */
  readonly written: Uint8Array;
  readonly status?: StatusName;
}

const NOTHING: Answer = { written: new Uint8Array(), changes: [], effects: [] };

/**
 * The answer to a request.
 * @param readable its first bytes, as many as there are, up to those of the longest request
 * @param writable bytes that there is room for
 */
export function answerRequest(device: IommuDevice, readable: Uint8Array, writable: number): Answer {
  const choices = choicesOf(device);
  if (device.broken !== undefined) return NOTHING;
  const request = decodeRequest(readable);
  if (request === undefined || writable < TAIL_BYTES) {
    return choices.malformed === 'broken' ? broken('request without head or tail') : NOTHING;
  }
  switch (request.name) {
    case 'unknown':
      return choices.unknownType === 'UNSUPP' ? tail('UNSUPP') : NOTHING;
    case 'short':
      return choices.short === 'returned'
        ? NOTHING
        : answered(device, request.of, writable, { status: 'INVAL' });
    case 'PROBE':
      if (choices.flagsNeedFeatures && !device.offered.includes('PROBE')) return NOTHING;
  }
  const verdict = (serve[request.name] as Serve<RequestName>)(device, request.fields as Fields<RequestName>);
  return answered(device, request.name, writable, verdict);
}

function broken(why: string): Answer {
  return { ...NOTHING, changes: [{ do: 'break', why }] };
}

function tail(status: StatusName): Answer {
  return { ...NOTHING, status, written: encodeTail(status) };
}

function answered(device: IommuDevice, name: RequestName, writable: number, verdict: Verdict): Answer {
  const { status, changes = [], effects = [] } = verdict;
  if (writable < writableBytes(name, device.config.probeSize)) {
    // The driver looks for the tail at the end of what it gave.
    if (choicesOf(device).shortProperties === 'broken') return broken('no room for the properties');
    return {
      ...NOTHING,
      status: 'INVAL',
      written: encodeTail('INVAL', new Uint8Array(writable - TAIL_BYTES)),
    };
  }
  const room = name === 'PROBE' ? new Uint8Array(device.config.probeSize) : undefined;
  return { status, changes, effects, written: encodeTail(status, verdict.properties ?? room) };
}
