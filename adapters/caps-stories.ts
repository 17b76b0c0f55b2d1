/**
 * Capabilities that a guest is told of though nothing stands behind them, each as a run: the guest relies on the
 * field, and the wrong thing happens; and its good twin, which differs in a word. Sources are those of the fields.
 */
import type { Entry } from '../core/event.ts';
import {
  DEVICE,
  dma,
  lastAccess,
  map,
  PAGE,
  type Proof,
  type Run,
  refusalIn,
  type Setup,
  unmap,
  VM,
} from './caps-run.ts';

export interface LeakStory {
  readonly name: string;
  readonly field: string;
  /** What is wrong, in a line. */
  readonly about: string;
  readonly setup: Setup;
  /** What makes it right. */
  readonly twin: Setup;
  prove(run: Run): Proof;
}

/** ID registers of the profile `everything` and of `qemu-accel`, which stories change. */
const IDR0 = 0x08df_f6bb;
const IDR3 = 0x7714;
const IDR5 = 0x0040_0075;
const GUEST_IDR0 = 0x0d44_101a;
const GUEST_IDR5 = 0x74;
const RIL = 1 << 10;
const STALL_MODEL = 3 << 24;
const NO_CHECKS = { checks: 'none' } as const;

const isRaised = (entry: Entry, record: string): boolean =>
  entry.type === 'record.raised' && entry.record === record;

/** Mapped memory is reached; the record that tells why not. */
function reaches(run: Run, record: string, bytes = PAGE, pa?: number): Proof {
  const iova = map(run, bytes, pa);
  const result = iova === undefined ? 'no mapping' : dma(run, iova);
  const raised = run.entries.find((entry) => isRaised(entry, record));
  const good = result === 'ok';
  const proof = good
    ? 'DMA reaches the page'
    : `DMA of mapped memory ends in ${raised === undefined ? String(result) : record}`;
  return { good, proof, seq: raised?.seq ?? lastAccess(run) };
}

/** Memory of several pages is mapped, used and unmapped; then the device tries the last page again. */
function unmapped(run: Run, pages: number, more: { readonly translated?: boolean } = {}): Proof {
  const bytes = pages * PAGE;
  const iova = map(run, bytes) ?? 0n;
  for (let page = 0; page < pages; page += 1) {
    const at = iova + BigInt(page * PAGE);
    if (more.translated === true)
      run.ask({ type: 'ats.translate', endpoint: DEVICE, iova: at, size: PAGE, access: 'read' });
    dma(run, at, 'read', more);
  }
  unmap(run, iova, bytes);
  const last = iova + BigInt((pages - 1) * PAGE);
  const good = dma(run, last, 'read', more) !== 'ok';
  const proof = good ? 'DMA after the unmap is refused' : 'DMA after the unmap reaches the page';
  return { good, proof, seq: lastAccess(run) };
}

/** The guest waits for its CMD_SYNCs: it is told of their end, or not. */
function signalled(
  run: Run,
  told: (entry: Entry) => boolean,
  words: readonly [good: string, bad: string],
): Proof {
  const iova = map(run);
  if (iova !== undefined) unmap(run, iova);
  const seen = run.entries.find(told);
  const last = run.entries.findLast((each) => each.type === 'sync.completed' && each.smmu === 'vm0.smmu');
  const good = seen !== undefined;
  return { good, proof: words[good ? 0 : 1], seq: seen?.seq ?? last?.seq ?? 0 };
}

const isSignal = (type: 'msi.sent' | 'event.sent') => (entry: Entry) =>
  entry.type === type && entry.smmu === 'vm0.smmu' && entry.source === 'CMD_SYNC';

/** The device uses a SubstreamID of as many bits as the guest was told. */
function substream(run: Run): Proof {
  const bits = Number(rowBits(run));
  const ssid = 2 ** bits - 1;
  run.ask({ type: 'guest.attach', vm: VM, endpoint: DEVICE, to: 'dma', ssid });
  const iova = map(run) ?? 0n;
  const good = dma(run, iova, 'read', { ssid }) === 'ok';
  const raised = run.entries.find((entry) => isRaised(entry, 'C_BAD_SUBSTREAMID'));
  const proof = good
    ? `DMA with SubstreamID ${ssid} reaches the page`
    : `DMA with SubstreamID ${ssid} ends in C_BAD_SUBSTREAMID`;
  return { good, proof, seq: raised?.seq ?? lastAccess(run) };
}

function rowBits({ entries }: Run): number {
  const made = entries.findLast((each) => each.type === 'smmu.made');
  return made?.type === 'smmu.made' ? ((made.config.idr['IDR1'] ?? 0) >> 6) & 0x1f : 0;
}

/** A device whose walks miss what has not left the CPU's cache: what the guest stores comes late. */
function cached(run: Run): Proof {
  const why = refusalIn(run);
  if (why !== undefined) return { good: true, proof: `the device is refused: ${why}`, seq: lastRefusal(run) };
  const iova = map(run) ?? 0n;
  const leaf = run.entries.findLast((each) => each.type === 'memory.written' && each.actor === VM);
  if (leaf?.type !== 'memory.written') return { good: false, proof: 'nothing was mapped', seq: 0 };
  const store = (value: bigint): void => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    run.ask({ type: 'mem.write', pa: leaf.pa, bytes });
  };
  const isCoherent = run.machine.smmus.every(({ idr }) => ((idr['IDR0'] ?? 0) & COHACC) !== 0);
  if (!isCoherent) store(leaf.old);
  const good = dma(run, iova) === 'ok';
  const proof = good
    ? 'DMA reaches what was just mapped'
    : 'the walk misses a descriptor that is in the cache of a CPU';
  const seq = lastAccess(run);
  if (!isCoherent) store(leaf.value);
  return { good, proof, seq };
}

function lastRefusal({ entries }: Run): number {
  return entries.findLast((each) => each.type === 'vm.answered' && each.refused !== undefined)?.seq ?? 0;
}

const COHACC = 1 << 4;
const LARGE_PAGE = 0x1_0000;
const HIGH = 0x10_0000_0000;

/** Memory above 36 bits is plugged, and the device uses it. */
function highMemory(run: Run): Proof {
  run.ask({ type: 'vm.slot', vm: VM, gpa: HIGH, bytes: 0x20_0000, present: true });
  return reaches(run, 'F_ADDR_SIZE', PAGE, HIGH);
}

// biome-ignore format: a table
export const leakStories: readonly LeakStory[] = [
  { name: 'ats-without-vdevice', field: 'IDR0.ATS', about: 'ATS for a device without a vDEVICE: CMD_ATC_INV goes nowhere',
    setup: { kernel: 'linux-6.13', policies: { vdevice: 'never' }, vm: { properties: { ats: true } }, device: { ats: true }, endpoint: { ats: true, atc: 64 } },
    twin: { policies: { vdevice: 'cfgi' } },
    prove: (run) => unmapped(run, 1, { translated: true }) },
  { name: 'ril-absent', field: 'IDR3.RIL', about: 'range invalidation on hardware without it: a range is one page there',
    setup: { kernel: 'linux-7.1', smmu: { idr: { IDR3: IDR3 & ~RIL } }, policies: NO_CHECKS },
    twin: { vm: { properties: { ril: false } } },
    prove: (run) => unmapped(run, 4) },
  { name: 'ril-refused', field: 'IDR3.RIL', about: 'the same where the kernel checks commands: CERROR_ILL, and nothing is invalidated',
    setup: { kernel: 'linux-7.3', smmu: { idr: { IDR3: IDR3 & ~RIL } }, policies: NO_CHECKS },
    twin: { vm: { properties: { ril: false } } },
    prove: (run) => unmapped(run, 4) },
  { name: 'ssidsize-wider-than-table', field: 'IDR1.SSIDSIZE', about: 'more SubstreamIDs than a linear CD table of Linux holds',
    setup: { vm: { properties: { ssidsize: 16 } }, device: { ssidBits: 16 }, endpoint: { ssidBits: 20 } },
    twin: { vm: { properties: { ssidsize: 10 } }, device: { ssidBits: 10 } },
    prove: substream },
  { name: 'msi-never-sent', field: 'IDR0.MSI', about: 'an emulator that sends no message for a CMD_SYNC',
    setup: { vm: { idr: { IDR0: GUEST_IDR0 | (1 << 13) } }, policies: { syncMsi: 'never' } },
    twin: { policies: { syncMsi: 'ignored' } },
    prove: (run) => signalled(run, isSignal('msi.sent'), ['CMD_SYNC tells of itself by its message', 'CMD_SYNC is done, its message never comes: the driver times out']) },
  { name: 'sev-never-sent', field: 'IDR0.SEV', about: 'an emulator that sends no event for a CMD_SYNC',
    setup: { vm: { idr: { IDR0: GUEST_IDR0 | (1 << 14) } }, policies: { syncMsi: 'never' } },
    twin: { policies: { syncMsi: 'ignored' } },
    prove: (run) => signalled(run, isSignal('event.sent'), ['CMD_SYNC wakes who waits', 'CMD_SYNC is done, its event never comes: who waits with WFE sleeps on']) },
  { name: 'stalls-absent', field: 'IDR0.STALL_MODEL', about: 'stalls for a guest whose host terminates alone',
    setup: { smmu: { idr: { IDR0: (IDR0 & ~STALL_MODEL) | (1 << 24) } }, vm: { idr: { IDR0: GUEST_IDR0 & ~STALL_MODEL } }, device: { stall: true }, endpoint: { stall: true } },
    twin: { vm: { idr: { IDR0: GUEST_IDR0 } } },
    prove: (run) => reaches(run, 'C_BAD_CD') },
  { name: 'stalls-forced', field: 'IDR0.STALL_MODEL', about: 'a guest without stalls on hardware that knows nothing else',
    setup: { smmu: { idr: { IDR0: (IDR0 & ~STALL_MODEL) | (2 << 24) } } },
    twin: { vm: { idr: { IDR0: (GUEST_IDR0 & ~STALL_MODEL) | (2 << 24) } } },
    prove: (run) => reaches(run, 'C_BAD_CD') },
  { name: 'granule-absent', field: 'IDR5.GRAN64K', about: 'pages of 64 KiB on hardware that walks 4 KiB alone',
    setup: { smmu: { idr: { IDR5: IDR5 & ~0x60 } }, policies: NO_CHECKS, platform: { pageLog2: 16 } },
    twin: { vm: { idr: { IDR5: GUEST_IDR5 & ~0x60 } }, platform: { pageLog2: 12 } },
    prove: (run) => reaches(run, 'C_BAD_CD', LARGE_PAGE) },
  { name: 'oas-narrower', field: 'IDR5.OAS', about: 'addresses of 44 bits on hardware with 36: memory that is plugged above them',
    setup: { smmu: { idr: { IDR5: (IDR5 & ~7) | 1 } }, policies: NO_CHECKS },
    twin: { smmu: { idr: { IDR5 } } },
    prove: highMemory },
  { name: 'coherence-promised', field: 'IDR0.COHACC', about: 'firmware says that walks are coherent, hardware says not',
    setup: { smmu: { idr: { IDR0: IDR0 & ~COHACC } }, driver: { coherent: true } },
    twin: { smmu: { idr: { IDR0 } } },
    prove: cached },
  { name: 'coherence-denied', field: 'IDR0.COHACC', about: 'the register says that walks are coherent, firmware says not',
    setup: { driver: { coherent: false } },
    twin: { driver: { coherent: true } },
    prove: cached },
];
