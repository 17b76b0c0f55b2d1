/**
 * Effects as single steps in the host (qemu: virtio_iommu_notify_map_unmap): mappings in pieces that are
 * aligned powers of two, one after the other. A step is found by where the one before ended, so that an effect
 * over a million mappings is never a list.
 */
import { areasIn } from '../kernel/iommufd/areas.ts';
import { reachesHost } from './serve.ts';
import { ADDRESS_LAST, type AddressSpace, choicesOf, type Effect } from './space.ts';
import type { IommuDevice, Mapping } from './state.ts';
import { names } from './structs.ts';

export type HostStep =
  | {
      readonly do: 'map';
      readonly endpoint: number;
      readonly iova: bigint;
      readonly size: bigint;
      readonly gpa: bigint;
      readonly readable: boolean;
      readonly writeable: boolean;
    }
  | { readonly do: 'unmap'; readonly endpoint: number; readonly iova: bigint; readonly size: bigint }
  | { readonly do: 'switch'; readonly endpoint: number; readonly to: AddressSpace };

/** A step, and where the next begins; the effect is done where that is undefined. */
export interface Stepped {
  readonly step: HostStep;
  readonly next: bigint | undefined;
}

/** The largest piece that a 64-bit length can say. */
const PIECE_MAX = 2n ** 63n;

/**
 * The next step of an effect; undefined where nothing is left to do.
 * @param from input address where the step before ended; 0 for the first
 */
export function nextHostStep(device: IommuDevice, effect: Effect, from: bigint): Stepped | undefined {
  const { endpoint } = effect;
  switch (effect.do) {
    case 'switch':
      return { step: effect, next: undefined };
    case 'map':
      return mapStep(endpoint, effect, from, effect.last);
    case 'replay': {
      const mapping = mappingFrom(device, effect.domain, from, ADDRESS_LAST, true);
      return mapping && mapStep(endpoint, mapping, from, ADDRESS_LAST);
    }
    case 'unmap': {
      const start = from > effect.iova ? from : effect.iova;
      const mapping = mappingFrom(device, effect.domain, start, effect.last, false);
      return mapping && unmapStep(endpoint, mapping, start, effect.last);
    }
  }
}

/** Every step of an effect. */
export function* hostSteps(device: IommuDevice, effect: Effect): Generator<HostStep> {
  for (let from: bigint | undefined = 0n; from !== undefined; ) {
    const stepped: Stepped | undefined = nextHostStep(device, effect, from);
    if (stepped === undefined) return;
    yield stepped.step;
    from = stepped.next;
  }
}

/** The first mapping that has addresses at `from` or above; of those the host knows, where only they count. */
function mappingFrom(
  device: IommuDevice,
  domain: number,
  from: bigint,
  last: bigint,
  mapped: boolean,
): Mapping | undefined {
  const choices = choicesOf(device);
  for (const mapping of areasIn(device.domains[domain]?.mappings, { start: from, last })) {
    if (!mapped || reachesHost(choices, mapping.flags)) return mapping;
  }
  return undefined;
}

function mapStep(endpoint: number, { iova, last, gpa, flags }: Mapping, from: bigint, end: bigint): Stepped {
  const start = from > iova ? from : iova;
  const size = alignedPiece(start, last);
  const { READ, WRITE } = names.map.members;
  return {
    step: {
      do: 'map',
      endpoint,
      iova: start,
      size,
      gpa: BigInt.asUintN(64, gpa + (start - iova)),
      readable: (flags & READ[0]) !== 0,
      writeable: (flags & WRITE[0]) !== 0,
    },
    next: after(start + size, end),
  };
}

function unmapStep(endpoint: number, { iova, last }: Mapping, from: bigint, end: bigint): Stepped {
  const start = from > iova ? from : iova;
  const size = alignedPiece(start, last);
  return { step: { do: 'unmap', endpoint, iova: start, size }, next: after(start + size, end) };
}

const after = (next: bigint, end: bigint): bigint | undefined => (next > end ? undefined : next);

/** The largest power of two that a piece from `start` is aligned to and that does not pass `last` (inclusive). */
export function alignedPiece(start: bigint, last: bigint): bigint {
  const left = last - start + 1n;
  let size = start === 0n ? PIECE_MAX : start & -start;
  if (size > PIECE_MAX) size = PIECE_MAX;
  const fits = 1n << BigInt(left.toString(2).length - 1);
  return size < fits ? size : fits;
}
