/**
 * Messages of a device (MSI, MSI-X): writes of 4 bytes to an address that whoever serves the device has given it.
 * They are translated as its other writes are, without PASID; at the doorbell they are interrupts.
 */
import type { Context, Decider } from '../machine.ts';
import { accessDevice } from '../smmu/access.ts';
import { aboutEndpoint, findEndpoint } from './atc.ts';
import type { EndpointState } from './state.ts';

/** Bytes of a message. */
const MESSAGE_BYTES = 4;

/** The device sends a message. One whose MSIs are off sends none. */
export const sendMessage: Decider<'msi.send'> = (context, { endpoint: name, data = 0 }) => {
  const found = findEndpoint(context.state, name);
  if (found === undefined) return;
  const { endpoint } = found;
  const { msi } = endpoint;
  if (msi === undefined) {
    const about = { ...aboutEndpoint(endpoint), request: 'message', iova: 0n, why: 'its MSIs are off' };
    context.emit(name, { type: 'request.withheld', ...about });
    return;
  }
  const bytes = new Uint8Array(MESSAGE_BYTES);
  new DataView(bytes.buffer).setUint32(0, data, true);
  accessDevice(context, {
    type: 'dma',
    endpoint: name,
    iova: msi,
    size: MESSAGE_BYTES,
    access: 'write',
    data: bytes,
  });
};

/** Tells the device where its MSIs go; undefined: nowhere, they are off. */
export function programMessages({ emit }: Context, endpoint: EndpointState, address?: bigint): void {
  const { msi, config } = endpoint;
  if (msi === address) return;
  const to = address === undefined ? {} : { address };
  emit(config.name, { type: 'msi.programmed', ...aboutEndpoint(endpoint), ...to });
}
