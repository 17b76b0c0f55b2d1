/**
 * Puts the lines of several host threads into the order in which things must have happened.
 *
 * - A store or register write is held until the pages that became reachable by it, printed after it,
 *   are in place.
 * - Lines of a CPU that stand between the lines of a translation are held while the translation only
 *   tells its result; they are let go before it reads memory again, for a read agrees with all that
 *   was printed before it.
 *
 * One thread is waited for at a time, so the order is total. No wait is longer than `WAITING_MAX` lines.
 */
import { beginAccess, belongs, extendAccess, readsState, type TracedAccess } from './access.ts';
import { type EventName, type EventRow, events, type LineOf, type Part, type TraceLine } from './events.ts';

export type PageLine = LineOf<'cap_range' | 'cap_page' | 'cap_drop' | 'cap_rekind'>;
export type StoreLine = LineOf<'cap_store' | 'cap_unseen' | 'cap_devstore'>;

/** What is done with the lines, in order. */
export interface Enactor {
  page(line: PageLine): void;
  store(line: StoreLine): void;
  writeRegister(line: LineOf<'cap_mmio_write'>): void;
  readRegister(line: LineOf<'smmuv3_read_mmio'>): void;
  /** A line about commands and their effects. */
  round(line: TraceLine): void;
  note(line: TraceLine): void;
  /** The SMMU reads memory for an access: the check value can be compared now. */
  check(access: TracedAccess, line: TraceLine): void;
  access(access: TracedAccess): void;
  /** A line that says nothing new. */
  unused(line: TraceLine): void;
}

type Anchor = StoreLine | LineOf<'cap_mmio_write'>;

const WAITING_MAX = 256;
/** Threads of a trace whose lines have no prefix. */
const DEVICE_THREAD = -1;
const CPU_THREAD = -2;

const parts: Readonly<Record<string, Part>> = Object.fromEntries(
  Object.entries<EventRow>(events).map(([name, { part }]) => [name, part]),
);

/** What a line is part of. The SMMU's stores are its access's; another device's are stores. */
export function partOf(line: TraceLine): Part {
  if (line.name === 'cap_devstore' && line.by !== 'smmu') return 'cpu';
  return parts[line.name satisfies EventName] ?? 'unused';
}

const STRUCTURE_BYTES = 64;
const DOUBLEWORD = 8;

/** Whether the line stores to a structure or descriptor that the access has read. */
function changesWhatWasRead({ stePa, cdPa, walk }: TracedAccess, line: TraceLine): boolean {
  if (partOf(line) !== 'cpu' || !('pa' in line) || typeof line.pa !== 'number') return false;
  const { pa } = line;
  const inside = (base: number | undefined): boolean =>
    base !== undefined && pa >= base && pa < base + STRUCTURE_BYTES;
  return inside(stePa) || inside(cdPa) || walk.some((read) => pa - (pa % DOUBLEWORD) === read.pa);
}

export class Sequencer {
  readonly #enactor: Enactor;
  /** Accesses that are being told, by thread. */
  readonly #open = new Map<number, TracedAccess>();
  #anchor: Anchor | undefined;
  #waitFor: number | undefined;
  #waiting: TraceLine[] = [];
  /** The thread whose open access is not waited for now. */
  #passing: number | undefined;

  constructor(enactor: Enactor) {
    this.#enactor = enactor;
  }

  /** Nothing is held and nothing is half told. */
  get idle(): boolean {
    return this.#waitFor === undefined && this.#open.size === 0;
  }

  feed(line: TraceLine): void {
    const thread = this.#threadOf(line);
    if (this.#waitFor === undefined) this.#take(line, thread);
    else if (thread === this.#waitFor) this.#awaited(line, thread);
    else {
      this.#waiting.push(line);
      if (this.#waiting.length > WAITING_MAX) this.#resolve();
    }
  }

  /**
   * The end of the trace: what is held is let go.
   * @param cut the trace breaks off, perhaps in the midst of an access.
   */
  finish(cut: boolean): void {
    while (this.#waitFor !== undefined) {
      if (cut && this.#anchor === undefined) this.#cutOff(this.#waitFor);
      this.#resolve();
    }
    for (const thread of [...this.#open.keys()]) {
      if (cut) this.#cutOff(thread);
      this.#close(thread);
    }
  }

  /** The access may lack its end: without a record it says nothing. */
  #cutOff(thread: number): void {
    const access = this.#open.get(thread);
    if (access?.record === undefined) this.#open.delete(thread);
    else access.cut = true;
  }

  #threadOf(line: TraceLine): number {
    if (line.thread !== 0) return line.thread;
    const open = this.#open.get(DEVICE_THREAD);
    if (open !== undefined && belongs(open, line)) return DEVICE_THREAD;
    return partOf(line) === 'group' ? DEVICE_THREAD : CPU_THREAD;
  }

  #take(line: TraceLine, thread: number): void {
    const open = this.#open.get(thread);
    if (open !== undefined) {
      if (belongs(open, line)) return this.#extend(open, line, thread);
      this.#close(thread);
    }
    const part = partOf(line);
    // The words of a record come after it, and the next record after them.
    const recorded =
      part === 'group' ? this.#otherOpen(thread, (access) => access.record !== undefined) : undefined;
    if (recorded !== undefined) {
      this.#waitFor = recorded;
      this.#waiting.push(line);
      return;
    }
    if (part === 'group') return this.#begin(line, thread);
    if (part === 'note') return this.#enactor.note(line);
    if (part === 'unused') return this.#enactor.unused(line);
    if (part === 'page') return this.#enactor.page(line as PageLine);
    const other = this.#otherOpen(thread, () => true);
    if (other !== undefined) {
      this.#waitFor = other;
      this.#waiting.push(line);
    } else if (part === 'round') this.#enactor.round(line);
    else if (line.name === 'smmuv3_read_mmio') this.#enactor.readRegister(line);
    else {
      this.#anchor = line as Anchor;
      this.#waitFor = thread;
    }
  }

  /** A line of the thread that is waited for. */
  #awaited(line: TraceLine, thread: number): void {
    if (this.#anchor !== undefined) {
      if (partOf(line) === 'page') return this.#enactor.page(line as PageLine);
      // The echo of the write that is held.
      if (line.name === 'smmuv3_write_mmio') return this.#enactor.unused(line);
      this.#resolve();
      return this.feed(line);
    }
    const open = this.#open.get(thread);
    if (open !== undefined && belongs(open, line)) {
      if (readsState(line)) return this.#readOn(open, line, thread);
      this.#extend(open, line, thread);
      if (!this.#open.has(thread)) this.#resolve();
      return;
    }
    this.#resolve();
    this.feed(line);
  }

  #begin(line: TraceLine, thread: number): void {
    const access = beginAccess(line);
    if (access === undefined) return this.#enactor.unused(line);
    if (access.end !== undefined) return this.#enactor.access(access);
    this.#open.set(thread, access);
  }

  #extend(access: TracedAccess, line: TraceLine, thread: number): void {
    if (readsState(line)) this.#enactor.check(access, line);
    if (extendAccess(access, line)) this.#close(thread);
  }

  #close(thread: number): void {
    const access = this.#open.get(thread);
    this.#open.delete(thread);
    if (access !== undefined) this.#enactor.access(access);
  }

  /** Another thread with an open access that is waited for. */
  #otherOpen(thread: number, which: (access: TracedAccess) => boolean): number | undefined {
    for (const [other, access] of this.#open) {
      if (other !== thread && other !== this.#passing && which(access)) return other;
    }
    return undefined;
  }

  /** Ends the wait: what was held happens, then the lines that waited for it. */
  #resolve(): void {
    const anchor = this.#anchor;
    const thread = this.#waitFor;
    this.#anchor = undefined;
    this.#waitFor = undefined;
    if (anchor !== undefined) this.#enactAnchor(anchor);
    else if (thread !== undefined) this.#close(thread);
    this.#drain();
  }

  /**
   * The access reads memory again: the lines that wait for it happen first, but for a store to what it
   * has read already, and what that thread does after it.
   */
  #readOn(open: TracedAccess, line: TraceLine, thread: number): void {
    const held = this.#keepBack(open);
    this.#waitFor = undefined;
    const before = this.#passing;
    this.#passing = thread;
    this.#drain();
    this.#passing = before;
    // Something is waited for anew: what is held back joins it, and the order stays that of the trace.
    if (this.#waitFor !== undefined) {
      for (const each of [...held, line]) this.feed(each);
      return;
    }
    this.#take(line, thread);
    if (held.length === 0) return;
    if (this.#waitFor === undefined && this.#open.has(thread)) {
      this.#waitFor = thread;
      this.#waiting = held;
    } else for (const each of held) this.feed(each);
  }

  /** Takes the lines out of those that wait which must not happen before the access ends. */
  #keepBack(open: TracedAccess): TraceLine[] {
    const threads = new Set<number>();
    const held: TraceLine[] = [];
    this.#waiting = this.#waiting.filter((line) => {
      if (!threads.has(line.thread) && !changesWhatWasRead(open, line)) return true;
      threads.add(line.thread);
      held.push(line);
      return false;
    });
    return held;
  }

  #drain(): void {
    const lines = this.#waiting;
    this.#waiting = [];
    for (const line of lines) this.feed(line);
  }

  #enactAnchor(line: Anchor): void {
    if (line.name === 'cap_mmio_write') this.#enactor.writeRegister(line);
    else this.#enactor.store(line);
  }
}
