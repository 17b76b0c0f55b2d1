/**
 * MSIs of devices that a VFIO user has: their doorbell gets an IOVA of the window that every IOAS keeps free, in the
 * page table of whatever the device is attached to, and the device is told that address (linux: iommufd_sw_msi,
 * vfio_pci_set_msi_trigger). With one doorbell in the machine that is the first page, in every HWPT alike.
 */
import { isMapped, mapPages } from '../../driver/ops.ts';
import { programMessages } from '../../endpoint/msi.ts';
import type { Context as Machine } from '../../machine.ts';
import type { State } from '../../state.ts';
import type { Frame } from '../../tasks/task.ts';
import type { Errno } from '../errno.ts';
import type { Result } from '../ioctl.ts';
import { constants, numbers } from '../uapi/enums.ts';
import type { Values } from '../uapi/struct.ts';
import type { ioctlStructs } from '../uapi/structs.ts';
import { type DevicePlace, deviceAt } from './group.ts';
import { hwptAt, pagingOf } from './hwpt-at.ts';

type IrqSet = Values<(typeof ioctlStructs)['vfio_irq_set']>;

/** Bytes that each interrupt has behind the struct, by the type of data; no others are known. */
const dataBytes: ReadonlyMap<number, number> = new Map([
  [numbers.VFIO_IRQ_SET_DATA_NONE, 0],
  [numbers.VFIO_IRQ_SET_DATA_BOOL, 1],
  [numbers.VFIO_IRQ_SET_DATA_EVENTFD, 4],
]);
const DATA = 0x7;
const ACTION = 0x38;
/** Interrupts by index: INTx, MSI, MSI-X; one each for errors and requests. */
const counts: readonly number[] = [1, 32, 2048, 1, 1];
const PAGE = 0x1000;

/** Whether the arguments are in order (linux: vfio_set_irqs_validate_and_prepare). */
export function irqProblem({ argsz, flags, index, start, count }: IrqSet, min: number): Errno | undefined {
  const most = counts[index];
  const each = dataBytes.get(flags & DATA);
  if ((flags & ~(DATA | ACTION)) !== 0 || most === undefined || start + count > most || start >= most)
    return 'EINVAL';
  if (each === undefined || argsz - min < each * count) return 'EINVAL';
  const isMessage = index === numbers.VFIO_PCI_MSI_IRQ_INDEX || index === numbers.VFIO_PCI_MSIX_IRQ_INDEX;
  const isTrigger = (flags & ACTION) === numbers.VFIO_IRQ_SET_ACTION_TRIGGER;
  return isMessage && !isTrigger ? 'ENOTTY' : undefined;
}

/** Turns MSIs on, or off with a count of 0; other interrupts are not modelled, and are a success. */
export function setIrqs(machine: Machine, place: DevicePlace, { flags, index, count }: IrqSet): Result {
  const { state } = machine;
  if (index !== numbers.VFIO_PCI_MSI_IRQ_INDEX && index !== numbers.VFIO_PCI_MSIX_IRQ_INDEX) return {};
  const { endpoint } = deviceAt(state, place);
  const device = state.endpoints[endpoint];
  if (device === undefined) return {};
  if (count === 0) {
    programMessages(machine, device);
    return {};
  }
  if ((flags & DATA) !== numbers.VFIO_IRQ_SET_DATA_EVENTFD) return {};
  const { doorbell } = state;
  if (doorbell === undefined) return { errno: 'ENOSPC' };
  return prepare(machine, place, device.config.name, doorbell);
}

/** The address that reaches the doorbell through a page table. */
function messageAddress(doorbell: number): bigint {
  return BigInt(constants.ARM_SW_MSI_IOVA_BASE + (doorbell % PAGE));
}

function prepare(machine: Machine, place: DevicePlace, endpoint: string, doorbell: number): Result {
  const { state } = machine;
  const domain = pagingDomain(state, place);
  const frames: Frame[] = [];
  const errno = domain === undefined ? undefined : mapDoorbell(machine, domain, doorbell, frames);
  if (errno !== undefined) return { errno, frames };
  const device = state.endpoints[endpoint];
  // Attached to nothing with a page table, it would write to the doorbell's own address.
  if (device !== undefined)
    programMessages(machine, device, domain === undefined ? BigInt(doorbell) : messageAddress(doorbell));
  return { frames };
}

/** Puts the doorbell into a domain that a device with MSIs is about to be attached to (linux: iommufd_group_setup_msi). */
export function mapDoorbell(
  machine: Machine,
  domain: number,
  doorbell: number,
  after: Frame[],
): Errno | undefined {
  const iova = BigInt(constants.ARM_SW_MSI_IOVA_BASE);
  if (isMapped(machine.state, domain, iova)) return undefined;
  const page = [{ pa: doorbell - (doorbell % PAGE), size: PAGE }];
  const protection = { read: true, write: true, device: true, noExecute: true };
  return mapPages(machine, domain, iova, page, protection, after);
}

function pagingDomain(state: State, place: DevicePlace): number | undefined {
  const { attached } = deviceAt(state, place);
  const id = attached[constants.IOMMU_NO_PASID];
  return id === undefined
    ? undefined
    : pagingOf(state, place.context, hwptAt(state, place.context, id)).domain;
}
