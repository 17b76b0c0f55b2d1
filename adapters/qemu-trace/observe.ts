/**
 * Observation: the trace's facts become events as they are, through `observe` stimuli. Nothing is decided
 * and nothing compared, so a trace without memory lines will do. What the lines do not tell (operands of
 * commands, bytes of structures) is 0 unless memory lines tell it.
 */
import type { Simulation } from '../../core/simulation.ts';
import type { TracedAccess } from './access.ts';
import { endpointsOf } from './bench.ts';
import { Emulator } from './emulator.ts';
import type { LineOf, TraceLine } from './events.ts';
import { Live } from './live.ts';
import { applyNote, applyPage, applyStore } from './memory-lines.ts';
import { ObservedAccesses } from './observed-accesses.ts';
import { ObservedCaches } from './observed-caches.ts';
import { ObservedCommands } from './observed-commands.ts';
import { Facts } from './observed-facts.ts';
import { observedRead, observedWrite } from './observed-registers.ts';
import { EventMemory } from './records.ts';
import { type Enactor, type PageLine, Sequencer, type StoreLine } from './sequencer.ts';
import type { StaleState } from './stale.ts';
import type { Tally } from './tally.ts';
import type { Watch } from './watch.ts';

export class Observer implements Enactor {
  readonly #watch: Watch;
  readonly #tally: Tally;
  readonly #accesses: ObservedAccesses;
  readonly #commands: ObservedCommands;
  readonly #sequencer = new Sequencer(this);
  /** The recorder's own line of each register write is there; the emulator's is its echo. */
  #recorded = false;

  constructor(simulation: Simulation, tally: Tally) {
    const live = new Live(simulation);
    const facts = new Facts(live);
    this.#tally = tally;
    this.#watch = {
      live,
      facts,
      emulator: new Emulator(),
      eventMemory: new EventMemory(),
      caches: new ObservedCaches(facts),
      endpoints: endpointsOf(simulation.state),
    };
    this.#accesses = new ObservedAccesses(this.#watch);
    this.#commands = new ObservedCommands(this.#watch);
  }

  get idle(): boolean {
    return this.#sequencer.idle && this.#commands.idle;
  }

  feed(line: TraceLine): void {
    this.#sequencer.feed(line);
  }

  finish(): void {
    this.#sequencer.finish(true);
    this.#commands.finish();
    this.#watch.live.close();
  }

  /** An observation keeps nothing that its lines do not say. */
  state(): StaleState {
    return { outlived: [], failing: [], flushedAlone: false, misaligned: false };
  }

  recall(on: boolean): void {
    this.#watch.live.dry = on;
    // While nothing was put, nothing had its seq.
    if (!on) this.#watch.caches.relearn(this.#watch.live.smmu);
  }

  page(line: PageLine): void {
    if (!applyPage(this.#watch, line)) this.#tally.ignored += 1;
  }

  store(line: StoreLine): void {
    applyStore(this.#watch, line);
  }

  writeRegister(line: LineOf<'cap_mmio_write'>): void {
    this.#recorded = true;
    observedWrite(this.#watch, {
      offset: line.off,
      size: line.size,
      value: line.val,
      by: `cpu${line.cpu}`,
      line: line.line,
    });
  }

  readRegister(line: LineOf<'smmuv3_read_mmio'>): void {
    observedRead(this.#watch, line);
  }

  round(line: TraceLine): void {
    this.#commands.take(line);
  }

  note(line: TraceLine): void {
    applyNote(this.#watch.live, line);
  }

  check(): void {}

  access(access: TracedAccess): void {
    this.#accesses.take(access);
  }

  unused(line: TraceLine): void {
    if (line.name === 'smmuv3_write_mmio' && !this.#recorded) {
      this.#commands.finish();
      observedWrite(this.#watch, {
        offset: line.addr,
        size: line.size,
        value: line.val,
        by: 'cpu',
        line: line.line,
      });
    } else if (line.name !== 'smmu_add_mr') this.#tally.ignored += 1;
  }
}
