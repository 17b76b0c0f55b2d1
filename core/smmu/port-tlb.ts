/**
 * A TLB beside the device (choice `portTlb`): what it holds is found by StreamID and SubstreamID, before the STE is
 * looked at (IHI 0070 2.1, 3.21.3). It keeps no more than the caches behind it: what TLBI takes from the TLB, and
 * CMD_CFGI_* from the caches of STEs and CDs, is gone here too. With `erratumPortTlb` CMD_CFGI_* stops short of it.
 */
import type { Context } from '../machine.ts';
import type { Dma, Piece } from './dma.ts';
import { limits, type PortEntry, type SmmuState } from './state.ts';
import type { Request, Served } from './translate.ts';

/** The entry that serves the access, with the configuration that it was filled under. */
export function fromPort(smmu: SmmuState, { streamId, substreamId, iova }: Request): PortEntry | undefined {
  const { ports, caches, config } = smmu;
  if (ports === undefined || config.choices['portTlb'] !== true) return undefined;
  const found = ports.find(
    (each) =>
      each.streamId === streamId &&
      each.substreamId === substreamId &&
      each.va === startOf(iova, each.sizeLog2) &&
      caches.tlb.fills.get(each.tlb) !== undefined,
  );
  if (found === undefined || config.choices['erratumPortTlb'] === true) return found;
  const { ste, cd } = found;
  const configured =
    caches.ste.fills.get(ste.id) !== undefined &&
    (cd === undefined || caches.cd.fills.get(cd.id) !== undefined);
  return configured ? found : undefined;
}

/** Keeps what served an access, where all of it stands in the caches behind. */
export function fillPort(
  { emit }: Context,
  smmu: SmmuState,
  { endpoint, streamId, substreamId }: Dma,
  { iova }: Piece,
  { basis, output, via }: Served,
): void {
  const { ports = [], caches, config } = smmu;
  const { ste, cd, tlb, tlb2 } = basis;
  const entry = caches.tlb.fills.get(tlb);
  if (config.choices['portTlb'] !== true || output === undefined || entry === undefined || tlb2 !== undefined)
    return;
  if (caches.ste.fills.get(ste) === undefined) return;
  // A Translated transaction is not translated again.
  if (via === 'atc' || via === 'translated') return;
  // Stage 1 has a CD, which may not be cached.
  if (entry.stage !== 2 && caches.cd.fills.get(cd) === undefined) return;
  const va = startOf(iova, output.sizeLog2);
  const held = ports.some(
    (each) =>
      each.streamId === streamId && each.substreamId === substreamId && each.va === va && each.tlb === tlb,
  );
  if (held) return;
  emit(config.name, {
    type: 'port.filled',
    smmu: config.name,
    endpoint,
    streamId,
    ...(substreamId === undefined ? {} : { substreamId }),
    va,
    sizeLog2: output.sizeLog2,
    ste,
    cd,
    tlb,
  });
}

/** The list with one entry more, in place of that of the same page; the oldest goes when it is full. */
export function withPort(ports: readonly PortEntry[], added: PortEntry): PortEntry[] {
  const others = ports.filter(
    ({ streamId, substreamId, va, sizeLog2 }) =>
      streamId !== added.streamId ||
      substreamId !== added.substreamId ||
      va !== added.va ||
      sizeLog2 !== added.sizeLog2,
  );
  return [...others, added].slice(-limits.ports);
}

function startOf(iova: bigint, sizeLog2: number): bigint {
  return (iova >> BigInt(sizeLog2)) << BigInt(sizeLog2);
}
