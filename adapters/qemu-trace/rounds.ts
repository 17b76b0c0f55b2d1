/**
 * Rounds of the Command queue. The machine takes all its commands when PROD is written; the trace then
 * tells one by one what the emulator took. Both lists are compared when the round is over, and where
 * ours stopped at a command that the emulator lets pass, it is helped over it.
 */
import type { Entry } from '../../core/event.ts';
import type { Bench } from './bench.ts';
import type { DeviationName } from './deviations.ts';
import { at } from './emulator.ts';
import type { TraceLine } from './events.ts';
import type { IotlbEntry } from './iotlb.ts';
import { entriesOf } from './live.ts';
import { showDifference } from './tally.ts';

interface Taken {
  /** Pointer with its wrap bit. */
  readonly index: number;
  readonly command: string;
  error: string;
  readonly why: string;
  readonly line: number;
}

const CERRORS: Readonly<Record<number, string>> = {
  1: 'CERROR_ILL',
  2: 'CERROR_ABT',
  3: 'CERROR_ATC_INV_SYNC',
};
const CMDQ_ERR = 1;
/** Opcodes that the emulator prints under another name. */
const NAMES: Readonly<Record<string, string>> = { CMD_CFGI_ALL: 'CMD_CFGI_VMS_PIDM', INVALID: 'UNKNOWN' };
const UNSUPPORTED = /^CMD_(TLBI_(EL3|EL2|S12|S2)_|ATC_INV|PRI_RESP|RESUME|STALL_TERM)/;
/** Commands that the emulator has no name for: it prints INVALID. */
const NAMELESS = /^CMD_(TLBI_S_|TLBI_SNH_|DPTI_)/;

export class Rounds {
  readonly #bench: Bench;
  #theirs: Taken[] = [];
  #ours: Taken[] = [];
  /** The command that comes up, before its name is told. */
  #next: { readonly index: number; readonly line: number } | undefined;
  #dropped: IotlbEntry[] = [];
  #misaligned = false;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  /** No round is half told. */
  get idle(): boolean {
    return this.#theirs.length === 0 && this.#next === undefined;
  }

  /** What the machine did after a register write. */
  followed(entries: Iterable<Entry>, line: number): void {
    for (const entry of entries) {
      if (entry.type === 'command.consumed') {
        this.#ours.push({ index: entry.index, command: entry.command, error: '', why: '', line });
      } else if (entry.type === 'command.rejected') {
        this.#ours.push({
          index: entry.index,
          command: entry.command,
          error: entry.error,
          why: entry.why,
          line,
        });
      }
    }
  }

  take(line: TraceLine): void {
    const { emulator, iotlb } = this.#bench;
    switch (line.name) {
      case 'smmuv3_cmdq_consume':
        this.#next = { index: line.cons + line.consWrap * 2 ** emulator.commandLog2, line: line.line };
        break;
      case 'smmuv3_cmdq_opcode':
        this.#push(commandName(line.opcode), line.line);
        break;
      case 'smmuv3_cmdq_consume_error':
        if (this.#next !== undefined) this.#push('-', line.line);
        this.#fail(line.error);
        break;
      case 'smmuv3_write_gerror':
        emulator.setGerror(line.gerror);
        break;
      case 'smmuv3_cmdq_consume_out':
        emulator.setCommandCons(line.cons + line.consWrap * 2 ** emulator.commandLog2);
        this.finish(line.line);
        break;
      case 'smmuv3_s1_range_inval':
        if (line.numPages === 0) this.#misaligned = true;
        this.#dropped.push(...iotlb.dropPiece(line));
        break;
      case 'smmu_iotlb_inv_asid':
        this.#dropped.push(...iotlb.dropAsid(line.asid));
        break;
      case 'smmu_iotlb_inv_all':
        this.#dropped.push(...iotlb.dropAll());
        break;
    }
  }

  /** The end of a round, or of the trace in the midst of one. */
  finish(line: number, cut = false): void {
    this.#next = undefined;
    let at = 0;
    for (; at < this.#theirs.length; at += 1) this.#compare(this.#theirs[at], this.#ours[at]);
    if (!cut) for (const extra of this.#ours.slice(at)) this.#compare(undefined, extra);
    const any = this.#theirs.length > 0 || this.#ours.length > 0;
    this.#theirs = [];
    this.#ours = [];
    if (this.#dropped.length > 0 || this.#misaligned)
      this.#bench.stale.afterRound(this.#dropped, this.#misaligned);
    this.#dropped = [];
    this.#misaligned = false;
    if (any && !cut) this.#keepInStep(line);
  }

  #push(command: string, line: number): void {
    const index = this.#next?.index ?? (this.#theirs.at(-1)?.index ?? -1) + 1;
    this.#theirs.push({ index, command, error: '', why: '', line });
    this.#next = undefined;
  }

  #fail(code: number): void {
    const last = this.#theirs.at(-1);
    if (last !== undefined) last.error = errorName(code);
    this.#bench.emulator.setCommandError(code);
  }

  #compare(theirs: Taken | undefined, ours: Taken | undefined): void {
    const { tally, live } = this.#bench;
    if (theirs !== undefined) tally.compared.command += 1;
    const expected = show(theirs);
    const actual = show(ours);
    if (expected === actual) return;
    const line = theirs?.line ?? ours?.line ?? 0;
    const name = this.#explain(theirs, ours);
    const about = { line, what: 'a command', expected, actual };
    if (name === undefined) {
      tally.difference({ key: 'command', ...about });
      live.note('difference', showDifference(about), line);
    } else {
      tally.deviation(name);
      live.note('deviation', `${name}: ${showDifference(about)}`, line);
    }
    if (theirs !== undefined && ours !== undefined && ours.error !== '' && theirs.error === '')
      this.#pass(ours, line, name);
  }

  #explain(theirs: Taken | undefined, ours: Taken | undefined): DeviationName | undefined {
    if (theirs === undefined || ours === undefined || theirs.error !== '' || ours.error !== 'CERROR_ILL') {
      return this.#unaligned() ? 'queue-base-unaligned' : undefined;
    }
    if (theirs.command !== ours.command) return this.#unaligned() ? 'queue-base-unaligned' : undefined;
    if (UNSUPPORTED.test(ours.command)) return 'unsupported-commands-accepted';
    if (ours.command.startsWith('CMD_PREFETCH') && ours.why.startsWith('SSec')) return 'ssec-prefetch';
    if (ours.command === 'CMD_SYNC' && ours.why.startsWith('CS')) return 'sync-cs3';
    if (ours.command.startsWith('CMD_TLBI') && ours.why.startsWith('TG')) return 'tlbi-tg-no-ttl';
    return undefined;
  }

  /** Our queue goes on behind the command at which it stopped. */
  #pass(ours: Taken, line: number, name: DeviationName | undefined): void {
    const { live, emulator, stale } = this.#bench;
    const mask = 2 ** (emulator.commandLog2 + 1) - 1;
    // What the emulator invalidated by it goes from ours as well.
    if (name === 'tlbi-tg-no-ttl')
      live.evict(
        line,
        'tlb',
        this.#dropped.flatMap((each) => stale.heldBy(each)),
        name,
      );
    const steps = live.force(line, [
      ['CMDQ_CONS', (ours.index + 1) & mask],
      ['GERROR', (live.register('GERROR') ^ CMDQ_ERR) >>> 0],
    ]);
    this.followed(entriesOf(steps), line);
  }

  /** After a round the pointer and the error are as the trace says. */
  #keepInStep(line: number): void {
    const { live, emulator } = this.#bench;
    const pointers = 2 ** (emulator.commandLog2 + 1) - 1;
    const steps = live.force(line, [
      ...(((live.register('CMDQ_CONS') ^ emulator.get(at.CMDQ_CONS)) & pointers) === 0
        ? []
        : ([['CMDQ_CONS', emulator.get(at.CMDQ_CONS)]] as const)),
      ['GERROR', emulator.get(at.GERROR)],
    ]);
    this.followed(entriesOf(steps), line);
    this.#ours = [];
  }

  #unaligned(): boolean {
    const { emulator } = this.#bench;
    return (emulator.get(at.CMDQ_BASE) & 0xffff_ffe0) % 2 ** Math.min(32, emulator.commandLog2 + 4) !== 0;
  }
}

/** Our name for the trace's. */
export function commandName(opcode: string): string {
  const name = opcode.replace(/^SMMU_/, '');
  return NAMES[name] ?? name;
}

/** Name of a CERROR code. */
export function errorName(code: number): string {
  return CERRORS[code] ?? `error ${code}`;
}

function show(taken: Taken | undefined): string {
  if (taken === undefined) return 'none';
  const name = NAMELESS.test(taken.command) ? 'UNKNOWN' : taken.command;
  const command = taken.error === 'CERROR_ABT' ? '-' : name;
  return `${command} at ${taken.index}${taken.error === '' ? '' : ` ${taken.error}`}`;
}
