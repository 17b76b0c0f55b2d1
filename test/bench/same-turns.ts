/**
 * The turns of the SMMU under two busy VMs, and the same turns re-enacted on a bare SMMU: of the same code and the same
 * state, with nothing but what reached hardware in between. What they differ by is what it costs a step to be one of many.
 */
import { assert } from '../../core/assert.ts';
import type { Entry } from '../../core/event.ts';
import { openSession } from '../../core/machine.ts';
import { type RegisterName, registers } from '../../core/smmu/registers.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { reset } from '../support/build.ts';
import { busyConfig, twoVms, type Watch } from './busy-vms.ts';
import type { Row } from './row.ts';

const ROUNDS = 160;
/** The first ones warm up. */
const WARM = 40;
const SMMU = 'smmu0';
/** What these do to memory, the bare machine does by itself. */
const HARDWARE: ReadonlySet<string> = new Set([SMMU, 'nic0', 'nic1']);

/** Microseconds a turn, on both sides. */
export function sameTurns(): Row {
  const busy = { ns: 0, turns: 0 };
  const bare = { ns: 0, turns: 0 };
  let asked: Stimulus[] = [];
  const watch: Watch = (stimulus, step) => {
    const start = process.hrtime.bigint();
    const entries = step();
    const took = Number(process.hrtime.bigint() - start);
    if (isTurn(stimulus)) count(busy, took);
    asked.push(...reaching(stimulus, entries));
    return entries;
  };
  const round = twoVms(watch);
  const { kernel: _, ...config } = busyConfig;
  const session = openSession(reset(config));
  const reenact = (): void => {
    for (const stimulus of asked) {
      const start = process.hrtime.bigint();
      session.step(stimulus);
      if (isTurn(stimulus)) count(bare, Number(process.hrtime.bigint() - start));
    }
    asked = [];
  };
  for (let at = 0; at < ROUNDS; at += 1) {
    if (at === WARM) for (const side of [busy, bare]) Object.assign(side, { ns: 0, turns: 0 });
    round();
    reenact();
  }
  assert(busy.turns > 0 && bare.turns === busy.turns, 'the bare SMMU took the same turns');
  const us = ({ ns, turns }: typeof busy): number => ns / turns / 1000;
  return {
    measure: 'a turn of the SMMU under two busy VMs over the same turn, bare',
    ours: `${us(busy).toFixed(1)} us`,
    against: `${us(bare).toFixed(1)} us bare`,
    ratio: (us(bare) / us(busy)).toFixed(3),
    wanted: '-',
    met: true,
  };
}

function count(side: { ns: number; turns: number }, ns: number): void {
  side.ns += ns;
  side.turns += 1;
}

function isTurn(stimulus: Stimulus): boolean {
  return stimulus.type === 'turn' && stimulus.unit.startsWith(`${SMMU}.`);
}

/** What of a step reaches hardware: the SMMU's turns, stores, accesses and register writes. */
function reaching(stimulus: Stimulus, entries: readonly Entry[]): readonly Stimulus[] {
  return isTurn(stimulus) ? [stimulus] : entries.flatMap((entry) => askedBy(entry) ?? []);
}

function askedBy(entry: Entry): Stimulus | undefined {
  if (entry.type === 'memory.loaded' && !HARDWARE.has(entry.actor))
    return { type: 'mem.write', pa: entry.pa, bytes: entry.bytes };
  if (entry.type === 'memory.written' && !HARDWARE.has(entry.actor))
    return { type: 'mem.write', pa: entry.pa, bytes: doubleword(entry.value) };
  if (entry.type === 'register.written' && entry.smmu === SMMU) {
    const { offset, width } = registers.byName[entry.register as RegisterName];
    return { type: 'mmio.write', smmu: SMMU, offset, size: width / 8, value: entry.value };
  }
  if (entry.type !== 'access.completed') return undefined;
  const { endpoint, iova, size, access } = entry;
  return { type: 'dma', endpoint, iova, size, access: access === 'write' ? 'write' : 'read' };
}

function doubleword(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}
