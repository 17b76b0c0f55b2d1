/**
 * Commands of a queue as things of their own. In a file a command is a store into a slot and, later, a move of
 * CMDQ_PROD: neither can go without shifting all that follow. So stores and moves become commands, lists of
 * commands are cut, and what is left is put into slots anew.
 */
import type { ScenarioLine } from '../scenario/scenario.ts';
import { wholeNumber } from '../scenario/values.ts';

/** A line, or what a move of PROD gave the SMMU. */
export type Item =
  | { readonly line: ScenarioLine }
  | { readonly commands: readonly (readonly [lo: string, hi: string])[]; readonly move: ScenarioLine };

interface Queue {
  readonly base: number;
  readonly log2: number;
  prod: number;
  /** Commands by slot, as memory holds them. */
  readonly slots: Map<number, readonly [string, string]>;
}

const SLOT = 16;

/** Lines with the commands of each SMMU's queue taken out of their stores. */
export function itemsOf(lines: readonly ScenarioLine[]): readonly Item[] {
  const queues = new Map<string, Queue>();
  return lines.flatMap((line): Item[] => {
    const { op, smmu, reg } = line as Record<string, unknown>;
    if (op === 'mmio.write' && reg === 'CMDQ_BASE') {
      const value = wholeNumber(line['value']) ?? 0n;
      const base = Number(value & 0xf_ffff_ffff_ffe0n);
      queues.set(String(smmu), { base, log2: Number(value & 31n), prod: 0, slots: new Map() });
      return [{ line }];
    }
    if (op === 'mem.write' && stored(line, queues)) return [];
    const queue = op === 'mmio.write' && reg === 'CMDQ_PROD' ? queues.get(String(smmu)) : undefined;
    return queue === undefined ? [{ line }] : [movedItem(line, queue)];
  });
}

/** Whether the store was one of whole commands into a queue. */
function stored(line: ScenarioLine, queues: ReadonlyMap<string, Queue>): boolean {
  const { u64, pa } = line as Record<string, unknown>;
  if (!Array.isArray(u64) || u64.length % 2 !== 0) return false;
  const at = Number(wholeNumber(pa) ?? -1n);
  for (const { base, log2, slots } of queues.values()) {
    if (at < base || at + u64.length * 8 > base + SLOT * 2 ** log2 || (at - base) % SLOT !== 0) continue;
    for (let word = 0; word < u64.length; word += 2)
      slots.set((at - base) / SLOT + word / 2, [String(u64[word]), String(u64[word + 1])]);
    return true;
  }
  return false;
}

function movedItem(line: ScenarioLine, queue: Queue): Item {
  const to = Number(wholeNumber(line['value']) ?? 0n);
  const [size, around] = [2 ** queue.log2, 2 ** (queue.log2 + 1)];
  const count = (((to - queue.prod) % around) + around) % around;
  const slots = Array.from({ length: count }, (_, at) => queue.slots.get((queue.prod + at) % size));
  queue.prod = to % around;
  if (count === 0 || count > size || slots.includes(undefined)) return { line };
  return { commands: slots as (readonly [string, string])[], move: line };
}

/** The lines of items: each command in the next slot, each item with one move of PROD. */
export function linesOf(items: readonly Item[]): readonly ScenarioLine[] {
  const queues = new Map<string, { base: number; log2: number; prod: number }>();
  return items.flatMap((item): readonly ScenarioLine[] => {
    if ('commands' in item) {
      const queue = queues.get(String(item.move['smmu']));
      return queue === undefined ? [] : placed(item, queue);
    }
    const { op, smmu, reg, value } = item.line as Record<string, unknown>;
    if (op !== 'mmio.write') return [item.line];
    const number = wholeNumber(value) ?? 0n;
    if (reg === 'CMDQ_BASE') {
      const base = Number(number & 0xf_ffff_ffff_ffe0n);
      queues.set(String(smmu), { base, log2: Number(number & 31n), prod: 0 });
    }
    const queue = queues.get(String(smmu));
    if (reg === 'CMDQ_PROD' && queue !== undefined) queue.prod = Number(number) % 2 ** (queue.log2 + 1);
    return [item.line];
  });
}

function placed(
  { commands, move }: Extract<Item, { readonly move: ScenarioLine }>,
  queue: { readonly base: number; readonly log2: number; prod: number },
): readonly ScenarioLine[] {
  const size = 2 ** queue.log2;
  const stores: ScenarioLine[] = [];
  let run: string[] = [];
  let start = queue.prod % size;
  const end = (next: number): void => {
    if (run.length > 0)
      stores.push({ op: 'mem.write', pa: `0x${(queue.base + start * SLOT).toString(16)}`, u64: run });
    run = [];
    start = next;
  };
  for (const [lo, hi] of commands) {
    run.push(lo, hi);
    queue.prod = (queue.prod + 1) % (2 * size);
    if (queue.prod % size === 0) end(0);
  }
  end(0);
  return [...stores, { ...move, value: `0x${queue.prod.toString(16)}` }];
}

/** Each command an item of its own. */
export function apart(items: readonly Item[]): readonly Item[] {
  return items.flatMap((item): readonly Item[] =>
    'commands' in item ? item.commands.map((command) => ({ commands: [command], move: item.move })) : [item],
  );
}

/** Commands that follow one another in one item. */
export function together(items: readonly Item[]): readonly Item[] {
  const out: Item[] = [];
  for (const item of items) {
    const last = out.at(-1);
    if (
      last !== undefined &&
      'commands' in last &&
      'commands' in item &&
      last.move['smmu'] === item.move['smmu']
    )
      out[out.length - 1] = { ...last, commands: [...last.commands, ...item.commands] };
    else out.push(item);
  }
  return out;
}
