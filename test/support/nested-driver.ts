/**
 * A correct driver of a nested stream, guest and host in one: the guest maps and takes away pages of two
 * contexts, the host moves guest pages (data, tables and CDs alike) and makes and breaks blocks. All that
 * hardware may have cached is invalidated and synced before the next access can meet it (8.4).
 */
import type { MachineConfig, SmmuConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { openSession } from '../../core/machine.ts';
import { runTurns } from '../../core/run.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { ASID, at, bringUp, cd, command, issue, reset, SID, ste, store, storeWords, write } from './build.ts';
import { GUEST, nestedMachine, nestedSte, S2_RW, s2LeafPa, s2Tables, stage2Fields, VMID } from './nested.ts';

/** Pages of input address and of guest memory that stories use. */
export const PAGES = 6;
/** The page that may be global. */
const GLOBAL = PAGES - 1;
/** IPAs of what the host moves about: six data pages, a table of each context, the CDs. */
const DATA = 0x40_0000;
const tableOf = (context: number, level: number): number => 0x10_0000 + context * 0x10000 + level * 0x1000;
const MOVABLE = [
  ...Array.from({ length: PAGES }, (_, page) => DATA + page * 4096),
  ...[0, 1].flatMap((context) => [0, 1, 2, 3].map((level) => tableOf(context, level))),
  at.cd,
];
export const MOVABLES = MOVABLE.length;

export type NestedAction =
  | {
      readonly do: 'map';
      readonly context: number;
      readonly page: number;
      readonly frame: number;
      readonly bits: Bits;
    }
  | {
      readonly do: 'unmap';
      readonly context: number;
      readonly page: number;
      readonly by: 'VA' | 'ASID' | 'ALL' | 'VMALL';
    }
  | { readonly do: 'block'; readonly context: number }
  | { readonly do: 'move'; readonly which: number; readonly by: 'ALL' | 'VAA' | 'NSNH' }
  | { readonly do: 's2block' }
  | {
      readonly do: 'dma';
      readonly device: number;
      readonly page: number;
      readonly write: boolean;
      readonly privileged: boolean;
    };

/** Descriptor bits: read-write, read-only, privileged, AF=0, writable-clean, global. */
export type Bits = 'rw' | 'ro' | 'priv' | 'old' | 'clean' | 'global';
const leafBits: Readonly<Record<Bits, bigint>> = {
  rw: 0xf43n,
  ro: 0xfc3n,
  priv: 0xf03n,
  old: 0xb43n,
  clean: 0xfc3n | (1n << 51n),
  global: 0x743n,
};

export interface NestedStory {
  readonly smmu: Partial<SmmuConfig>;
  readonly schedule: MachineConfig['schedule'];
  readonly seed: number;
  readonly actions: readonly NestedAction[];
  /** It forgets all invalidations. */
  readonly careless?: boolean;
  /** It forgets each fourth invalidation, from that one on. */
  readonly forgets?: number;
}

/** The machine a story is played on. */
export function nestedConfig(story: NestedStory): MachineConfig {
  const endpoint = { smmu: 'smmu0', ats: false, pri: false, atc: 0 } as const;
  return nestedMachine(
    {
      schedule: story.schedule === 'manual' ? 'eager' : story.schedule,
      seed: story.seed,
      endpoints: [
        { ...endpoint, name: 'dev0', streamId: SID, ssidBits: 1 },
        { ...endpoint, name: 'dev1', streamId: SID + 1, ssidBits: 0 },
      ],
    },
    story.smmu,
  );
}

/** Plays the story; what devices saw, a line a piece, and the data at the end. */
export function playNested(story: NestedStory): {
  readonly seen: readonly string[];
  readonly entries: readonly Entry[];
} {
  const config = nestedConfig(story);
  const session = openSession(reset(config));
  const entries: Entry[] = [];
  const seen: string[] = [];
  let prod = 0;
  let cleans = 0;
  let moves = 0;
  /** Where each guest page stands. */
  const placed = new Map(MOVABLE.map((ipa) => [ipa, GUEST + ipa]));
  const mapped = new Set<number>();
  const blocks = new Set<number>();
  let isBlock = false;

  const put = (...stimuli: readonly Stimulus[]): void => {
    for (const stimulus of stimuli) {
      for (const entry of session.step(stimulus)) entries.push(entry);
      runTurns(session, (more) => void entries.push(...more));
    }
  };
  const clean = (...commands: Uint32Array[]): void => {
    const number = cleans;
    cleans += 1;
    if (story.careless === true || (story.forgets !== undefined && number % 4 === story.forgets)) return;
    const words = [...commands, command('CMD_SYNC')];
    put(...issue(prod, ...words));
    prod = (prod + words.length) % 512;
  };
  const guestStore = (ipa: number, value: bigint): void => {
    const page = ipa - (ipa % 4096);
    put(store((placed.get(page) ?? GUEST + page) + (ipa % 4096), value));
  };
  const asidOf = (context: number): number => ASID + context;
  const leafIpa = (context: number, page: number): number => tableOf(context, 3) + page * 8;

  const steps: { readonly [D in NestedAction['do']]: (action: Extract<NestedAction, { do: D }>) => void } = {
    map: ({ context, page, frame, bits }) => {
      const key = context * PAGES + page;
      if (mapped.has(key) || blocks.has(context)) return;
      // A global page is one in all contexts.
      if (bits === 'global' && !(context === 0 && page === GLOBAL && blocks.size === 0)) return;
      if ((bits === 'global') !== (page === GLOBAL)) return;
      mapped.add(key);
      const nG = bits === 'global' ? 0n : 1n << 11n;
      const leaf = BigInt(DATA + frame * 4096) | leafBits[bits] | nG;
      if (bits === 'global') guestStore(leafIpa(1, page), leaf);
      guestStore(leafIpa(context, page), leaf);
    },
    unmap: ({ context, page, by }) => {
      if (!mapped.delete(context * PAGES + page)) return;
      guestStore(leafIpa(context, page), 0n);
      if (page === GLOBAL) guestStore(leafIpa(1, page), 0n);
      const address = { VMID, Address: page * 4096 };
      if (by === 'VA') clean(command('CMD_TLBI_NH_VA', { ...address, ASID: asidOf(context), Leaf: true }));
      // A global leaf is not the ASID's (8.2).
      else if (by === 'ASID')
        clean(
          command('CMD_TLBI_NH_ASID', { VMID, ASID: asidOf(context) }),
          command('CMD_TLBI_NH_VAA', { ...address, Leaf: true }),
        );
      else clean(command(by === 'ALL' ? 'CMD_TLBI_NH_ALL' : 'CMD_TLBI_S12_VMALL', { VMID }));
    },
    block: ({ context }) => {
      // Break before make; one address removes a block and all its fragments (Arm ARM D8.17).
      if (mapped.has(GLOBAL)) return;
      const make = !blocks.has(context);
      guestStore(tableOf(context, 2), 0n);
      const range = { VMID, ASID: asidOf(context), Address: 0x3000 };
      if (make) clean(command('CMD_TLBI_NH_ALL', { VMID }));
      else clean(command('CMD_TLBI_NH_VA', { ...range, Leaf: false }));
      if (make) blocks.add(context);
      else blocks.delete(context);
      guestStore(
        tableOf(context, 2),
        make ? BigInt(DATA) | 0xf41n | (1n << 11n) : BigInt(tableOf(context, 3)) | 3n,
      );
    },
    move: ({ which, by }) => {
      const ipa = MOVABLE[which] ?? DATA;
      if (isBlock && ipa >= DATA) return;
      const to = 0x6000_0000 + moves * 4096;
      moves += 1;
      const leaf = s2LeafPa(ipa);
      put(store(leaf, 0));
      const flush =
        by === 'NSNH'
          ? [command('CMD_TLBI_NSNH_ALL')]
          : by === 'ALL'
            ? [command('CMD_TLBI_NH_ALL', { VMID })]
            : Array.from({ length: 512 }, (_, page) => page)
                .filter((page) => page < PAGES)
                .map((page) => command('CMD_TLBI_NH_VAA', { VMID, Address: page * 4096 }));
      clean(command('CMD_TLBI_S2_IPA', { VMID, Address: ipa, Leaf: true }));
      clean(...flush, ...(ipa === at.cd ? [command('CMD_CFGI_CD_ALL', { StreamID: SID })] : []));
      put({ type: 'mem.write', pa: to, bytes: session.state.memory.readBytes(placed.get(ipa) ?? 0, 4096) });
      placed.set(ipa, to);
      put(store(leaf, BigInt(to) | S2_RW));
    },
    s2block: () => {
      const entry = s2LeafPa(0) - 0x1000 + 2 * 8;
      const data = MOVABLE.slice(0, PAGES);
      if (!isBlock && data.some((ipa) => placed.get(ipa) !== GUEST + ipa)) return;
      put(store(entry, 0));
      clean(command('CMD_TLBI_S2_IPA', { VMID, Address: DATA, Leaf: false }));
      clean(command('CMD_TLBI_NH_ALL', { VMID }));
      isBlock = !isBlock;
      put(store(entry, isBlock ? BigInt(GUEST + DATA) | 0x7fdn : BigInt(s2LeafPa(DATA)) | 3n));
    },
    dma: ({ device, page, write: writes, privileged }) => {
      const data = writes ? { data: new Uint8Array(8).fill(page + 1) } : {};
      const iova = device === 2 ? BigInt(DATA + page * 4096) : BigInt(page * 4096);
      const ssid = device === 1 ? { ssid: 1 } : {};
      const from = entries.length;
      put({
        type: 'dma',
        endpoint: device === 2 ? 'dev1' : 'dev0',
        iova,
        size: 8,
        access: writes ? 'write' : 'read',
        privileged,
        ...ssid,
        ...data,
      });
      for (const entry of entries.slice(from)) {
        if (entry.type === 'access.completed') seen.push(`${device} ${entry.iova} ok ${entry.pa}`);
        if (entry.type === 'access.terminated') seen.push(`${device} ${entry.iova} ${entry.result}`);
        if (entry.type === 'record.written')
          seen.push(`${entry.record} ${session.state.memory.readBytes(entry.pa, 32).join()}`);
      }
      const value = BigInt(session.state.smmus['smmu0']?.regs['EVENTQ_PROD'] ?? 0);
      put(write('EVENTQ_CONS', value));
    },
  };

  put(...bringUp());
  const s1 = { S1CDMax: 1, S1DSS: 'SUBSTREAM0', S2HA: true, S2HD: true } as const;
  put(storeWords(at.strtab + SID * 64, nestedSte({ ...s1 })));
  put(storeWords(at.strtab + (SID + 1) * 64, ste({ Config: 'S2', ...stage2Fields, S2HA: true, S2HD: true })));
  put(...s2Tables(32));
  for (const context of [0, 1]) {
    const fields = { ASID: asidOf(context), TTB0: tableOf(context, 0), HA: true, HD: true };
    put(storeWords(GUEST + at.cd + context * 64, cd(fields)));
    for (const level of [0, 1, 2])
      guestStore(tableOf(context, level), BigInt(tableOf(context, level + 1)) | 3n);
  }
  // SSID 0 is what S1DSS=2 forbids, so context 0 is for accesses without one.
  for (const context of [0, 1]) {
    for (let page = 0; page < PAGES - 2; page += 1)
      steps.map({ do: 'map', context, page, frame: page, bits: 'rw' });
  }
  for (const action of story.actions) (steps[action.do] as (action: NestedAction) => void)(action);
  for (const ipa of MOVABLE.slice(0, PAGES))
    seen.push(session.state.memory.readBytes(placed.get(ipa) ?? 0, 64).join());
  return { seen, entries };
}
