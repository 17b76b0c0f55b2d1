/**
 * A VMM whose devices are translated by hardware learns of a guest's STE from CMD_CFGI_STE and CMD_CFGI_STE_RANGE
 * alone (IHI 0070 4.3.1, 4.3.2): when it consumes one, it has read each STE that the command is for and that was
 * stored to, or the stream goes on as it was (I8).
 */

import type { EntryOf } from '../../core/event.ts';
import { decode } from '../../core/layout/layout.ts';
import { quad } from '../../core/layout/words.ts';
import { inSpace } from '../../core/memory/space.ts';
import { commandLayouts } from '../../core/smmu/command-layout.ts';
import type { Finding } from '../finding.ts';
import { hex } from '../obligations/tell.ts';

import { type Deed, deed, tell } from './tell.ts';
import type { RuleRun, World } from './world.ts';

/** Bytes of an STE. */
const STE_BYTES = 64;
/** Range: 2^(Range+1) StreamIDs, all of them with 31. */
const ALL = 31;

interface Stream {
  readonly vm: string;
  readonly smmu: string;
  readonly endpoint: string;
  readonly streamId: number;
  /** Hardware translates for it, or lets it pass. */
  served: boolean;
  /** Where its STE was read, in the machine's memory. */
  at: number | undefined;
  /** The last store to its STE since it was read. */
  stored: Deed | undefined;
}

interface Streams {
  readonly world: World;
  readonly told: Finding[];
  /** By endpoint. */
  readonly all: Map<string, Stream>;
  /** By the place of the STE. */
  readonly places: Map<number, Stream>;
  readonly windows: Map<string, EntryOf<'vm.backed'>['windows']>;
  /** Emulated SMMUs with SMMUEN=1. */
  readonly on: Set<string>;
  /** The command that each of them works on. */
  readonly fetched: Map<string, EntryOf<'command.fetched'>>;
}

/** A run over all VMs. */
export function unreadVstes(world: World): RuleRun {
  const streams: Streams = {
    world,
    told: [],
    all: new Map(),
    places: new Map(),
    windows: new Map(),
    on: new Set(),
    fetched: new Map(),
  };
  const { all, places, windows, on, fetched } = streams;
  return {
    told: () => streams.told,
    handlers: {
      'vm.backed': ({ vm, windows: now }) => void windows.set(vm, now),
      'device.plugged': ({ vm, endpoint, device: { kind, smmu, streamId } }) => {
        if (kind !== 'assigned') return;
        all.set(endpoint, { vm, smmu, endpoint, streamId, served: false, at: undefined, stored: undefined });
      },
      'device.changed': ({ endpoint, set: { attached } }) => {
        const stream = all.get(endpoint);
        if (stream !== undefined && attached !== undefined)
          stream.served = attached === 'nested' || attached === 'bypass';
      },
      'device.unplugged': ({ endpoint }) => {
        const stream = all.get(endpoint);
        if (stream?.at !== undefined) places.delete(stream.at);
        all.delete(endpoint);
      },
      'register.written': ({ smmu, register, value }) => {
        if (register !== 'CR0' || world.units.has(smmu)) return;
        if ((value & 1n) === 1n) on.add(smmu);
        else on.delete(smmu);
      },
      'structure.fetched': (entry) => {
        if (entry.structure === 'STE' && all.size > 0) read(streams, entry);
      },
      'memory.written': (entry) => {
        if (places.size === 0) return;
        const stream = places.get(entry.pa - (entry.pa % STE_BYTES));
        if (stream === undefined) return;
        stream.stored = deed(entry, `store [${hex(entry.pa)}] ${hex(entry.old)} -> ${hex(entry.value)}`);
      },
      'command.fetched': (entry) => {
        if (all.size > 0 && !world.units.has(entry.smmu)) fetched.set(entry.smmu, entry);
      },
      'command.consumed': (entry) => {
        const command = fetched.get(entry.smmu);
        if (command === undefined || !on.has(entry.smmu) || command.index !== entry.index) return;
        const [first, last] = streamIdsOf(command);
        for (const stream of all.values())
          if (stream.smmu === entry.smmu && stream.streamId >= first && stream.streamId <= last)
            passed(streams, stream, command, entry);
      },
    },
  };
}

function read({ all, places, windows }: Streams, { smmu, streamId, pa }: EntryOf<'structure.fetched'>): void {
  for (const stream of all.values()) {
    if (stream.smmu !== smmu || stream.streamId !== streamId) continue;
    const spaces = { [stream.vm]: windows.get(stream.vm) ?? [] };
    const at = inSpace({ spaces } as Parameters<typeof inSpace>[0], stream.vm, pa);
    if (stream.at !== undefined) places.delete(stream.at);
    stream.at = at;
    stream.stored = undefined;
    places.set(at, stream);
  }
}

/** First and last StreamID that a command is for; none, an empty range. */
function streamIdsOf({ command, lo, hi }: EntryOf<'command.fetched'>): readonly [number, number] {
  if (command === 'CMD_CFGI_STE') {
    const { StreamID } = decode(commandLayouts.CMD_CFGI_STE.layout, quad(lo, hi));
    return [StreamID, StreamID];
  }
  if (command !== 'CMD_CFGI_STE_RANGE') return [0, -1];
  const { StreamID, Range } = decode(commandLayouts.CMD_CFGI_STE_RANGE.layout, quad(lo, hi));
  if (Range === ALL) return [0, 0xffff_ffff];
  const first = StreamID - (StreamID % 2 ** (Range + 1));
  return [first, first + 2 ** (Range + 1) - 1];
}

function passed(
  { world, told }: Streams,
  stream: Stream,
  { command }: EntryOf<'command.fetched'>,
  { seq }: EntryOf<'command.consumed'>,
): void {
  const { vm, endpoint, streamId, served, stored } = stream;
  if (!served || stored === undefined) return;
  const vmm = `${vm}.vmm`;
  told.push(
    tell(world, {
      rule: 'I8',
      title: `vste-not-read: ${command} consumed, ${endpoint} goes on as it was`,
      actor: vmm,
      consequence: 'isolation',
      blame: {
        seq,
        actor: vmm,
        what: `${command} consumed without a look at the STE of StreamID ${hex(streamId)}`,
      },
      after: [],
      needed: `the STE of StreamID ${hex(streamId)} read and installed before ${command} is consumed`,
      notes: [
        `${world.at(stored.seq)} ${stored.actor}: ${stored.what}; hardware still has what stood there before`,
      ],
    }),
  );
  stream.stored = undefined;
}
