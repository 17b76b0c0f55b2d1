/**
 * Interrupts of a VFIO device: arguments of VFIO_DEVICE_SET_IRQS, the doorbell in the page table, messages of the
 * device. Sources: linux, vfio_set_irqs_validate_and_prepare, vfio_pci_set_msi_trigger, iommufd_sw_msi.
 */
import { describe, expect, it } from 'vitest';
import { resolvePath } from '../../../core/path.ts';
import { type Host, host, type Outcome } from '../../support/kernel.ts';
import { of } from '../../support/smmu-driver.ts';

const DOORBELL = 0x809_0040;
/** MSI-X, one eventfd. */
const ON = { argsz: 24, flags: 0x24, index: 2, start: 0, count: 1 };
const OFF = { argsz: 20, flags: 0x21, index: 2, start: 0, count: 0 };

function bound(machine: object = { doorbell: DOORBELL }): Host {
  const made = host({}, { endpoints: [{ name: 'nic0', streamId: 8 }], ...machine });
  made.line({ op: 'open', fd: 'iommu0' });
  made.line({ op: 'open', fd: 'vfio:nic0' });
  made.ioctl('VFIO_DEVICE_BIND_IOMMUFD', { iommufd: 'iommu0' }, { fd: 'vfio:nic0' });
  return made;
}

/** An IOAS, and the device attached to it. */
function attached(made: Host): unknown {
  const { out } = made.ioctl('IOMMU_IOAS_ALLOC', {});
  const ioas = (out as Outcome)['out_ioas_id'];
  made.ioctl('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: ioas }, { fd: 'vfio:nic0' });
  return ioas;
}

const irqs = (made: Host, fields: Outcome): string =>
  made.errno('VFIO_DEVICE_SET_IRQS', fields, { fd: 'vfio:nic0' });

const send = (made: Host): unknown => made.line({ op: 'msi.send', endpoint: 'nic0', data: 7 });

describe('VFIO_DEVICE_SET_IRQS', () => {
  it.each([
    ['a flag that is not known', { ...ON, flags: 0x64 }, 'EINVAL'],
    ['no type of data', { ...ON, flags: 0x20 }, 'EINVAL'],
    ['two types of data', { ...ON, flags: 0x26 }, 'EINVAL'],
    ['an index that is not known', { ...ON, index: 5 }, 'EINVAL'],
    ['more vectors than there can be', { ...ON, argsz: 0x4000, count: 2049 }, 'EINVAL'],
    ['data that argsz does not hold', { ...ON, argsz: 20 }, 'EINVAL'],
    ['masks of messages', { ...ON, flags: 0x0c }, 'ENOTTY'],
    ['eventfds for MSI-X', ON, 'ok'],
    ['eventfds for MSI', { ...ON, index: 1 }, 'ok'],
    ['INTx', { ...ON, index: 0 }, 'ok'],
    ['nothing', OFF, 'ok'],
  ])('%s: %j', (_, fields, errno) => {
    const made = bound();
    attached(made);
    expect(irqs(made, fields)).toBe(errno);
  });

  it('has no vectors to give on a machine without a doorbell', () => {
    expect(irqs(bound({}), ON)).toBe('ENOSPC');
  });
});

describe('a message', () => {
  it('goes through the page that the kernel has put into the window of the HWPT', () => {
    const made = bound();
    attached(made);
    irqs(made, ON);
    expect(resolvePath(made.state, 'nic0.msi')).toMatchObject({ value: 0x800_0040n });
    expect(of(made.look(), 'msi.programmed')).toMatchObject([{ endpoint: 'nic0', address: 0x800_0040n }]);
    expect(send(made)).toEqual({ result: 'ok', pa: '0x8090040' });
    expect(of(made.look(), 'msi.received')).toMatchObject([{ endpoint: 'nic0', pa: DOORBELL, data: 7n }]);
  });

  it('goes through the next HWPT too, and is refused where there is none', () => {
    const made = bound();
    attached(made);
    irqs(made, ON);
    attached(made);
    expect(send(made)).toMatchObject({ result: 'ok' });
    made.ioctl('VFIO_DEVICE_DETACH_IOMMUFD_PT', {}, { fd: 'vfio:nic0' });
    expect(send(made)).toMatchObject({ result: 'abort' });
  });

  it('of 8 bytes, or read, is no message', () => {
    const made = bound();
    attached(made);
    irqs(made, ON);
    const at = { op: 'dma', endpoint: 'nic0', iova: '0x8000040' };
    expect(made.line({ ...at, bytes: 4, access: 'read' })).toMatchObject({ result: 'bus-error' });
    expect(made.line({ ...at, bytes: 8, access: 'write' })).toMatchObject({ result: 'bus-error' });
  });

  it.each([
    ['are off', (made: Host) => irqs(made, OFF)],
    [
      'were forgotten in a reset',
      (made: Host) => made.line({ op: 'endpoint.set', endpoint: 'nic0', reset: true }),
    ],
    ['went with the file', (made: Host) => made.line({ op: 'close', fd: 'vfio:nic0' })],
  ])('is not sent where they %s', (_, end) => {
    const made = bound();
    attached(made);
    irqs(made, ON);
    end(made);
    expect(send(made)).toEqual({ result: 'off' });
  });

  it('cannot be had without memory for the page table', () => {
    const made = bound();
    attached(made);
    made.line({ op: 'set', path: 'kernel.failNth', value: 1 });
    expect(irqs(made, ON)).toBe('ENOMEM');
    expect(made.state.endpoints['nic0']?.msi).toBeUndefined();
  });
});
