/**
 * Structures moved to low pages, with everything that points to them: what a page holds is what lines store at
 * its address, and a pointer to it is any doubleword or register value with that address in bits [51:12].
 */
import type { ScenarioLine } from '../scenario/scenario.ts';
import { wholeNumber } from '../scenario/values.ts';

const PAGE = 0x1000n;
/** The bits of a doubleword that can be the address of a page. */
const ADDRESS = 0xf_ffff_ffff_f000n;
/** Where memory begins when the machine line does not say. */
const RAM_BASE = 0x4000_0000n;

/** Lines with one page in a lower place, for each page that has one, from the lowest on. */
export function* lowerPages(lines: readonly ScenarioLine[]): Generator<readonly ScenarioLine[]> {
  const used = [...pagesOf(lines)].sort((a, b) => (a < b ? -1 : 1));
  const taken = new Set(used);
  let free = baseOf(lines[0]) + PAGE;
  for (const page of used) {
    while (taken.has(free)) free += PAGE;
    if (free >= page) continue;
    yield moved(lines, page, free);
  }
}

/** Pages that physical stores reach. */
function pagesOf(lines: readonly ScenarioLine[]): ReadonlySet<bigint> {
  const found = new Set<bigint>();
  for (const { op, pa } of lines) {
    const address = op === 'mem.write' ? wholeNumber(pa) : undefined;
    if (address !== undefined) found.add(address & ADDRESS);
  }
  return found;
}

function baseOf(machine: ScenarioLine | undefined): bigint {
  const [first] = (machine?.['ram'] ?? []) as readonly { readonly base?: unknown }[];
  return wholeNumber(first?.base) ?? RAM_BASE;
}

function moved(lines: readonly ScenarioLine[], from: bigint, to: bigint): readonly ScenarioLine[] {
  const move = (value: unknown): unknown => {
    const number = wholeNumber(value);
    if (number === undefined || (number & ADDRESS) !== from) return value;
    return `0x${((number & ~ADDRESS) | to).toString(16)}`;
  };
  return lines.map((line) => {
    const { op, pa, u64, value } = line as Record<string, unknown>;
    if (op === 'mmio.write') return { ...line, value: move(value) };
    if (op !== 'mem.write' || pa === undefined) return line;
    return { ...line, pa: move(pa), ...(Array.isArray(u64) ? { u64: u64.map(move) } : {}) };
  });
}
