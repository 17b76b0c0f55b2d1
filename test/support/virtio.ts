/** Devices, memory and small steps for the tests of virtio-iommu. */
import { type Answer, answerRequest } from '../../core/virtio-iommu/answer.ts';
import { featureBits, type Reserved } from '../../core/virtio-iommu/codec.ts';
import { evolveDevice } from '../../core/virtio-iommu/evolve.ts';
import { type HostStep, hostSteps } from '../../core/virtio-iommu/host.ts';
import { type DeviceSetup, newDevice } from '../../core/virtio-iommu/initial.ts';
import type { IommuDevice } from '../../core/virtio-iommu/state.ts';
import type { QueueMemory, QueuePlace } from '../../core/virtio-iommu/virtqueue.ts';
import { queueBytes } from '../../core/virtio-iommu/virtqueue.ts';

export const msiWindow: Reserved = { subtype: 'MSI', start: 0x800_0000n, last: 0x80f_ffffn };

/** Bytes in the order that they are written in. */
export function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

/** A device with endpoints 8 (with an MSI window), 9 and 10, which has negotiated all it offers. */
export function deviceOf(setup: Omit<DeviceSetup, 'endpoints'>): IommuDevice {
  const device = newDevice({ endpoints: { 8: [msiWindow], 9: [], 10: [] }, ...setup });
  evolveDevice(device, [{ do: 'negotiate', features: featureBits(device.offered) }]);
  return device;
}

/** Answers, gives the steps in the host, and applies the changes. */
export function serveRequest(
  device: IommuDevice,
  readable: Uint8Array,
  writable: number,
): Answer & { readonly steps: readonly HostStep[] } {
  const answer = answerRequest(device, readable, writable);
  const steps = answer.effects.flatMap((effect) => [...hostSteps(device, effect)]);
  evolveDevice(device, answer.changes);
  return { ...answer, steps };
}

/** `map 8 0x1000+0x1000=0xa000 rw`. */
export function showStep(step: HostStep): string {
  if (step.do === 'switch') return `switch ${step.endpoint} ${step.to}`;
  const range = `${step.endpoint} 0x${step.iova.toString(16)}+0x${step.size.toString(16)}`;
  if (step.do === 'unmap') return `unmap ${range}`;
  return `map ${range}=0x${step.gpa.toString(16)} ${step.readable ? 'r' : ''}${step.writeable ? 'w' : ''}`;
}

/** Plain memory from address 0 on. */
export function plainMemory(size: number): QueueMemory & { readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(size);
  const inside = (gpa: number, count: number): boolean => gpa >= 0 && gpa + count <= size;
  return {
    bytes,
    read: (gpa, count) => (inside(gpa, count) ? bytes.slice(gpa, gpa + count) : undefined),
    write: (gpa, data) => {
      if (!inside(gpa, data.length)) return false;
      bytes.set(data, gpa);
      return true;
    },
  };
}

/** A queue's three parts one behind the other. */
export function placedAt(base: number, size: number, eventIdx: boolean): QueuePlace {
  const { desc, avail } = queueBytes(size);
  const used = Math.ceil((base + desc + avail) / 4) * 4;
  return { size, desc: base, avail: base + desc, used, eventIdx };
}
