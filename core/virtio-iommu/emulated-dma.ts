/**
 * DMA of devices that a VMM emulates behind a virtio-iommu: page by page through the device's mappings into the
 * guest's memory, up to the first page that faults. Everything else is DMA through an SMMU.
 */
import { accessMemory } from '../endpoint/translated.ts';
import type { Entry } from '../event.ts';
import type { Context, Decider } from '../machine.ts';
import { inSpace } from '../memory/space.ts';
import { hexOf } from '../schema.ts';
import type { State } from '../state.ts';
import { endpointOf } from '../vm/vm.ts';
import { accessEmulated } from './fault.ts';
import { isGuestRam, memoryFor } from './guest-memory.ts';
import { endpointIdOf } from './virtio.ts';

const PAGE = 0x1000;

/** The VM and the id of an emulated device behind a virtio-iommu; undefined for any other endpoint. */
function behindVirtio(
  { vms }: State,
  endpoint: string,
): { readonly vm: string; readonly id: number } | undefined {
  for (const vm of Object.values(vms)) {
    if (vm.virtio === undefined) continue;
    const device = Object.values(vm.devices).find(
      (each) => each.kind === 'emulated' && endpointOf(vm, each) === endpoint,
    );
    const id = device && endpointIdOf(vm.virtio, device.endpoint);
    if (id !== undefined) return { vm: vm.name, id };
  }
  return undefined;
}

export const accessAny: Decider<'dma'> = (context, stimulus) => {
  const found = behindVirtio(context.state, stimulus.endpoint);
  if (found === undefined) return accessMemory(context, stimulus);
  const { iova, size, data } = stimulus;
  for (let done = 0; done < size; ) {
    const at = BigInt.asUintN(64, iova + BigInt(done));
    const length = Math.min(size - done, PAGE - Number(at % BigInt(PAGE)));
    if (!accessPiece(context, found, stimulus, at, length, data?.subarray(done, done + length))) return;
    done += length;
  }
};

type Asked = Parameters<Decider<'dma'>>[1];

/** Returns whether the DMA goes on. */
function accessPiece(
  context: Context,
  { vm, id }: { readonly vm: string; readonly id: number },
  { endpoint, access }: Asked,
  iova: bigint,
  size: number,
  data: Uint8Array | undefined,
): boolean {
  const found = accessEmulated(context, vm, { endpoint: id, iova, access });
  if (found.kind === 'fault') return false;
  const gpa = found.kind === 'msi' ? undefined : Number(found.gpa);
  const ram = gpa !== undefined && isGuestRam(context.state, vm, gpa, size);
  const reached = ram ? 'ok' : 'bus-error';
  const result: 'ok' | 'msi' | 'bus-error' = found.kind === 'msi' ? 'msi' : reached;
  const about = { vm, endpoint, iova, size, access, result, gpa: gpa ?? 0 };
  context.emit(endpoint, { type: 'virtio.accessed', ...about });
  if (!ram || gpa === undefined) return found.kind === 'msi';
  if (access === 'write' && data !== undefined) memoryFor(context, vm, endpoint).write(gpa, data);
  return true;
}

/** What such a DMA answers, as one through an SMMU does; undefined for any other. */
export function emulatedOutcome(
  state: State,
  entries: readonly Entry[],
): Readonly<Record<string, unknown>> | undefined {
  const fault = entries.find((entry) => entry.type === 'virtio.faulted');
  if (fault?.type === 'virtio.faulted') return { result: 'abort', event: fault.decoded };
  const done = entries.filter((entry) => entry.type === 'virtio.accessed');
  const [first] = done;
  if (first === undefined) return undefined;
  if (done.some(({ result }) => result === 'bus-error')) return { result: 'bus-error' };
  const read = done.filter(({ access, result }) => access === 'read' && result === 'ok');
  const bytes = read.map(({ vm, gpa, size }) => hexOf(state.memory.readBytes(inSpace(state, vm, gpa), size)));
  const pa = first.result === 'ok' ? { pa: inSpace(state, first.vm, first.gpa) } : {};
  return { result: 'ok', ...pa, ...(bytes.length > 0 ? { hex: bytes.join('') } : {}) };
}
