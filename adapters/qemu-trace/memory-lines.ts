/** Lines about memory, and remarks: they are put the same way, whether the rest is re-enacted or observed. */
import type { TraceLine } from './events.ts';
import type { Live } from './live.ts';
import { littleEndian, pageRuns, zeroRuns } from './pages.ts';
import type { EventMemory } from './records.ts';
import type { PageLine, StoreLine } from './sequencer.ts';

interface MemoryBench {
  readonly live: Live;
  readonly eventMemory: EventMemory;
}

/** Puts what became known of memory. Returns false for a line that tells of none. */
export function applyPage({ live, eventMemory }: MemoryBench, line: PageLine): boolean {
  if (line.name === 'cap_drop' || line.name === 'cap_rekind') return false;
  if (line.kind === 'evtq' && line.name === 'cap_range') eventMemory.range(line);
  if (line.kind === 'evtq' && line.name === 'cap_page') eventMemory.page(line);
  const runs =
    line.name === 'cap_range'
      ? zeroRuns(live.memory, line.pa, line.len)
      : pageRuns(live.memory, line.pa, line.words);
  if (runs === undefined)
    live.note('trace', `line ${line.line}: the words of the page are garbled`, line.line);
  for (const { pa, bytes } of runs ?? []) live.put({ type: 'mem.write', pa, bytes, line: line.line });
  return true;
}

/** A store of a CPU, or of a device other than the SMMU. */
export function applyStore({ live, eventMemory }: MemoryBench, line: StoreLine): void {
  if (line.kind === 'evtq' && line.name === 'cap_devstore') eventMemory.store(line);
  live.put({
    type: 'mem.write',
    pa: line.pa,
    bytes: littleEndian(line.val, line.size),
    actor: line.name === 'cap_store' ? `cpu${line.cpu}` : line.by,
    line: line.line,
    ...(line.name === 'cap_store' ? { cpu: line.cpu, pc: line.pc } : {}),
  });
}

/** A console line, or a write to a register of a device. */
export function applyNote(live: Live, line: TraceLine): void {
  if (line.name === 'cap_console') live.note('console', readable(line.text), line.line);
  else if (line.name === 'cap_dev_write') {
    const text = `${line.device} 0x${line.addr.toString(16)} = 0x${line.val.toString(16)}`;
    live.put({ type: 'note', kind: 'device', text, cpu: line.cpu, line: line.line });
  }
}

/** Console text came as bytes, one a character. */
function readable(text: string): string {
  return /[\x80-\xff]/.test(text) ? Buffer.from(text, 'latin1').toString('utf8') : text;
}
