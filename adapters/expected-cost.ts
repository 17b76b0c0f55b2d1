/** Which formula a line of a scenario should follow, and the sizes that go into it. */

import { driverFor } from '../core/dma-api/drivers.ts';
import { isFull } from '../core/dma-api/flush-queue.ts';
import { opsOf } from '../core/dma-api/iommu.ts';
import type { DmaDomain } from '../core/dma-api/state.ts';
import type { DriverState } from '../core/driver/state.ts';
import type { State } from '../core/state.ts';
import type { VmDevice, VmState } from '../core/vm/state.ts';
import { devicesBehind, findVm } from '../core/vm/vm.ts';
import { policiesOf } from '../core/vmm/profiles.ts';
import { type Case, type Design, formulas } from '../projections/cost/formulas.ts';
import { commandsFor, piecesOf, type Sizes } from '../projections/cost/sizes.ts';

export interface Expected {
  readonly case: Case;
  readonly design: Design;
  readonly sizes: Sizes;
}

type Raw = Readonly<Record<string, unknown>>;

const PAGE = 0x1000;
/** From so many pages on, a lazy unmap takes a table away, and waits for that. */
const TABLE_PAGES = 512;

/** The device as its guest has it. */
interface Served {
  readonly owner: VmState;
  readonly device: VmDevice;
  readonly domain: DmaDomain | undefined;
  readonly guest: Pick<DriverState, 'features'> | undefined;
  readonly attached: string | number;
  readonly ats: boolean;
  readonly onMap: 'page' | 'mask' | undefined;
}

/** The formula of a line, before it runs; undefined where none is meant for it. */
export function expectedOf(state: State, raw: Raw): Expected | undefined {
  const served = servedBy(state, raw);
  if (served === undefined) return undefined;
  const design = designOf(served);
  const found = caseOf(raw, served);
  if (design === undefined || found === undefined || formulas[found][design] === undefined) return undefined;
  const sizes = sizesOf(raw, served);
  // A queue that fills up is polled for room as well.
  const { cmdqLog2 = 0 } = served.guest?.features ?? {};
  const commands = found === 'unmap' && design !== 'virtio' ? commandsFor(sizes.n, sizes.ril) + 1 : 0;
  return commands > 2 ** cmdqLog2 ? undefined : { case: found, design, sizes };
}

function servedBy(state: State, { vm, endpoint }: Raw): Served | undefined {
  const owner = typeof vm === 'string' ? findVm(state, vm) : undefined;
  const device = owner?.devices[String(endpoint)];
  if (owner === undefined || device === undefined) return undefined;
  const driver = driverFor(state, owner.name, device.endpoint);
  if (driver === undefined) return undefined;
  const guest = state.drivers[driver.name];
  const master = guest?.masters[device.endpoint];
  const attached = opsOf(driver).attached(driver, device.endpoint);
  const { tlbiOnMap: onMap } = driver.setup.platform;
  return {
    owner,
    device,
    guest,
    attached,
    onMap,
    domain: driver.dma?.[Number(attached)],
    ats: master?.atsEnabled === true,
  };
}

function designOf({ owner, onMap }: Served): Design | undefined {
  const { strategy, batch } = policiesOf(owner.config);
  switch (strategy) {
    case 'trap-emulate':
      return 'emulated';
    case 'tlbi-on-map':
      return onMap === 'mask' ? 'shadow-mask' : 'shadow';
    case 'virtio-iommu':
      return 'virtio';
    case 'nested':
      return batch === 'run' ? 'nested-run' : 'nested-each';
    default:
      return hasOwnQueue(owner) ? 'own-queue' : undefined;
  }
}

/** Whether the guest has a queue of the host's hardware or kernel, and uses it. */
function hasOwnQueue({ smmus }: VmState): boolean {
  return Object.values(smmus).some(({ seconds = {} }) =>
    Object.values(seconds).some(({ object }) => object !== 0),
  );
}

/** What kind of operation a line is, for a device in that state. */
function caseOf(raw: Raw, { domain, attached }: Served): Case | undefined {
  const { op, bytes, to, ssid, cpu = 0 } = raw;
  const isLazy = domain?.kind === 'dma-fq';
  switch (op) {
    case 'guest.map':
      return isLazy ? undefined : 'map';
    case 'guest.unmap':
      if (!isLazy) return 'unmap';
      if (Number(bytes) >= TABLE_PAGES * PAGE) return undefined;
      return isFull(domain.rings[Number(cpu)]) ? 'flush' : 'queue';
    case 'guest.attach':
      if (ssid !== undefined || (to !== 'dma' && to !== 'dma-fq')) return undefined;
      if (attached === 'blocked') return 'attach';
      return isLazy && to === 'dma' && domain.maps.size === 0 ? 'switch' : undefined;
    case 'guest.dma':
      return 'dma';
    default:
      return undefined;
  }
}

function sizesOf({ op, bytes, iova }: Raw, { owner, device, guest, ats }: Served): Sizes {
  const first = Math.floor(Number(iova ?? 0) / PAGE);
  const n =
    op === 'guest.dma'
      ? Math.floor((Number(iova) + Number(bytes) - 1) / PAGE) - first + 1
      : Math.ceil(Number(bytes ?? 0) / PAGE);
  return {
    n,
    a: ats || (op === 'guest.attach' && device.ats) ? 1 : 0,
    k: 1,
    d: devicesBehind(owner, device.smmu).filter(({ kind }) => kind === 'assigned').length,
    e: device.kind === 'assigned' ? 1 : 0,
    ril: guest?.features?.rangeInv ?? true,
    r: piecesOf(first, n),
    m: owner.config.ram.length,
  };
}
