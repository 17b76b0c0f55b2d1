/** Where an entry came from, as far as its stimulus tells: line of the source, CPU, program counter, or whose turn. */
import { type Entry, isStimulus } from '../../../core/event.ts';
import type { Evidence } from './reason.ts';
import { hex } from './reason.ts';

/** Stimuli that an event merely repeats: their origin is told with it. */
const CARRIERS: readonly string[] = ['mem.write', 'mmio.write', 'user.write', 'dma', 'mmio.read', 'mem.read'];

/** Events that tell where their stimulus came from: others follow from it less directly. */
const DIRECT = /^(memory\.(written|loaded)|register\.written|write\.ignored|access\.)/;

/** ` (pc 0xffff8000088b3f00, cpu 0, line 474)`, or nothing. */
export function originText(entry: Entry, evidence: Evidence): string {
  const from = isStimulus(entry) || entry.cause === 0 ? entry : evidence.entry(entry.cause);
  if (from !== entry && !DIRECT.test(entry.type)) return '';
  if (from.type === 'turn' || (from !== entry && !CARRIERS.includes(from.type))) return '';
  const { pc, cpu, line } = from as { readonly pc?: bigint; readonly cpu?: number; readonly line?: number };
  const parts = [
    ...(pc === undefined ? [] : [`pc ${hex(pc)}`]),
    ...(cpu === undefined ? [] : [`cpu ${cpu}`]),
    ...(line === undefined ? [] : [`line ${line}`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

/** The stimulus from outside that the entry follows from: beyond turns, which only carry on. */
export function outsideOf(entry: Entry, evidence: Evidence): Entry | undefined {
  let at: Entry = entry;
  for (let round = 0; round < 4; round += 1) {
    if (at.cause === 0) return isStimulus(at) && at !== entry ? at : undefined;
    at = evidence.entry(at.cause);
    if (isStimulus(at) && at.type !== 'turn') return at;
  }
  return undefined;
}
