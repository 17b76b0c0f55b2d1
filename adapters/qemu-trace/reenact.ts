/**
 * Re-enactment: the trace's stores, register accesses and translations become stimuli of a machine, in
 * the order the sequencer finds, and what the machine makes of them is compared with the trace.
 */
import type { Simulation } from '../../core/simulation.ts';
import type { TracedAccess } from './access.ts';
import { Accesses } from './accesses.ts';
import { type Bench, endpointsOf } from './bench.ts';
import { Edu } from './edu.ts';
import { Emulator } from './emulator.ts';
import type { LineOf, TraceLine } from './events.ts';
import { Iotlb } from './iotlb.ts';
import { Live } from './live.ts';
import { applyNote, applyPage, applyStore } from './memory-lines.ts';
import { littleEndian, wordList } from './pages.ts';
import { EventMemory } from './records.ts';
import { readRegister, writeRegister } from './registers.ts';
import { Rounds } from './rounds.ts';
import { type Enactor, type PageLine, Sequencer, type StoreLine } from './sequencer.ts';
import { Stale, type StaleState } from './stale.ts';
import type { Tally } from './tally.ts';

export class Reenactor implements Enactor {
  readonly #bench: Bench;
  readonly #accesses: Accesses;
  readonly #rounds: Rounds;
  readonly #sequencer = new Sequencer(this);
  /** CPU number of each host thread that showed one. */
  readonly #cpus = new Map<number, number>();
  #line = 0;
  /** The recording's own end was seen. */
  #ended = false;

  constructor(simulation: Simulation, tally: Tally) {
    const live = new Live(simulation);
    this.#bench = {
      live,
      tally,
      emulator: new Emulator(),
      iotlb: new Iotlb(),
      eventMemory: new EventMemory(),
      edu: new Edu(),
      stale: new Stale(live, tally),
      endpoints: endpointsOf(simulation.state),
    };
    this.#accesses = new Accesses(this.#bench);
    this.#rounds = new Rounds(this.#bench);
  }

  /** Nothing is held back: the history stands at the end of a line. */
  get idle(): boolean {
    return this.#sequencer.idle && this.#rounds.idle;
  }

  /** What an import that goes on from here must know besides the lines before. */
  state(): StaleState {
    return this.#bench.stale.state();
  }

  /** Goes through lines that are applied already, only to know what they said. */
  recall(on: boolean, state?: StaleState): void {
    this.#bench.live.dry = on;
    if (state !== undefined) this.#bench.stale.restore(state);
  }

  feed(line: TraceLine): void {
    this.#line = line.line;
    if (line.name === 'cap_end') this.#ended = true;
    this.#sequencer.feed(line);
  }

  finish(): void {
    this.#sequencer.finish(!this.#ended);
    this.#rounds.finish(this.#line, true);
    this.#bench.live.close();
  }

  page(line: PageLine): void {
    if (!applyPage(this.#bench, line)) this.#bench.tally.ignored += 1;
  }

  store(line: StoreLine): void {
    if (line.name === 'cap_store') this.#cpus.set(line.thread, line.cpu);
    applyStore(this.#bench, line);
  }

  writeRegister(line: LineOf<'cap_mmio_write'>): void {
    this.#cpus.set(line.thread, line.cpu);
    if (!this.#rounds.idle) this.#rounds.finish(line.line);
    this.#rounds.followed(writeRegister(this.#bench, line), line.line);
  }

  readRegister(line: LineOf<'smmuv3_read_mmio'>): void {
    readRegister(this.#bench, line, this.#cpus.get(line.thread));
  }

  round(line: TraceLine): void {
    this.#rounds.take(line);
  }

  note(line: TraceLine): void {
    if (line.name === 'cap_dev_write') this.#bench.edu.write(line);
    applyNote(this.#bench.live, line);
  }

  /** A check value is compared with memory as it is now, and memory made to agree: the trace saw it. */
  check(access: TracedAccess, line: TraceLine): void {
    if (line.name === 'smmu_get_pte') this.#checkWords(access, line.pa, [line.pte], line.line);
    else if (line.name === 'cap_fetch')
      this.#checkWords(access, line.pa, wordList(line.words) ?? [], line.line);
  }

  access(access: TracedAccess): void {
    this.#accesses.enact(access);
  }

  unused(line: TraceLine): void {
    // The survey used it.
    if (line.name !== 'smmu_add_mr') this.#bench.tally.ignored += 1;
    // A record's words that come late still stand in the queue.
    if (line.name === 'cap_devstore') this.#bench.eventMemory.store(line);
  }

  #checkWords(access: TracedAccess, pa: number, words: readonly bigint[], line: number): void {
    const { live } = this.#bench;
    for (const [at, word] of words.entries()) {
      const address = pa + at * 8;
      const held = live.memory.read64(address);
      if (held === word) continue;
      access.mismatch ??= `0x${word.toString(16)} at 0x${address.toString(16)}, memory 0x${held.toString(16)}`;
      live.put({ type: 'mem.write', pa: address, bytes: littleEndian(word, 8), line });
    }
  }
}
