/**
 * Who walks the tables of a process is told of their change (linux: arm64 __flush_tlb_range,
 * mmu_notifier_arch_invalidate_secondary_tlbs): CPUs by their broadcasts, which SMMUs leave alone with CR2.PTM=1;
 * then each driver that has a domain over them, by commands that it waits for.
 */
import { findPaging } from '../driver/domains.ts';
import { driverOf } from '../driver/port.ts';
import type { QuirkName } from '../driver/quirks.ts';
import { broadcastOf } from '../kvm/tlbi.ts';
import type { Context } from '../machine.ts';
import { receiveBroadcast } from '../smmu/broadcast.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { type Mm, mmOf, pageBytes } from './state.ts';

/** Pages from which CPUs invalidate the whole ASID (linux: arm64, MAX_DVM_OPS). */
const DVM_PAGES_MAX = 512;

export interface NotifyFrame extends Frame {
  readonly do: 'mm.notify';
  readonly mm: string;
  readonly va: number;
  readonly bytes: number;
  /** Tables were taken away too. */
  readonly tables: boolean;
}

export const notifyRow: FrameRow<NotifyFrame> = {
  run: (context, { mm: key, va, bytes, tables }) => {
    const mm = mmOf(context.state, key);
    broadcast(context, mm, va, bytes);
    if (mm.notifiers.length === 0 || mm.exited) return [];
    context.emit(`${mm.owner}.mm`, { type: 'mm.notified', mm: key, va: BigInt(va), bytes });
    return mm.notifiers.flatMap((domain) => {
      const { quirks } = findPaging(context.state, domain).driver;
      if (quirks['notifier-silent'] === true) return [];
      // linux: arm_smmu_mm_arch_invalidate_secondary_tlbs knows no level: tables may have gone.
      const leaf = tables && quirks['leaf-only'] === true;
      const noAtc = quirks['notifier-skip-atc'] === true ? { noAtc: true } : {};
      return [{ do: 'invs.range', domain, iova: va, size: bytes, granule: pageBytes(mm), leaf, ...noAtc }];
    });
  },
};

/** TLBI instructions of the process's CPU, with the CPUs' ASID. */
function broadcast(context: Context, mm: Mm, va: number, bytes: number): void {
  const page = pageBytes(mm);
  const all = bytes === 0 || bytes >= DVM_PAGES_MAX * page;
  const addresses = all
    ? [undefined]
    : Array.from({ length: bytes / page }, (_, at) => BigInt(va + at * page));
  for (const each of addresses) send(context, mm, each);
}

function send(context: Context, { owner, asid, driver }: Mm, va: bigint | undefined): void {
  const { vhe } = driverOf(context.state, driver).setup.platform;
  const about = va === undefined ? { asid } : { asid, va };
  const operation = va === undefined ? 'ASIDE' : 'VAE';
  if (owner !== 'host') broadcastOf(context, owner, { operation: `${operation}1`, ...about });
  else
    receiveBroadcast(context, {
      type: 'cpu.tlbi',
      operation: `${operation}${vhe ? 2 : 1}`,
      e2h: vhe,
      ...about,
    });
}

/** Whether a driver that is told of the process's changes, or writes its tables, has a quirk. */
export function hasQuirk(state: State, { driver, notifiers }: Mm, quirk: QuirkName): boolean {
  const told = notifiers.map((domain) => findPaging(state, domain).driver);
  return [driverOf(state, driver), ...told].some(({ quirks }) => quirks[quirk] === true);
}
