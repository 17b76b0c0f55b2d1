/** Commands as facts: fetched when named, performed and consumed when the next line moves on. */
import { at } from './emulator.ts';
import type { LineOf, TraceLine } from './events.ts';
import { SMMU } from './machine.ts';
import { updateRegister } from './observed-registers.ts';
import { commandName, errorName } from './rounds.ts';
import type { Watch } from './watch.ts';

interface Current {
  readonly index: number;
  readonly command: string;
  readonly fetched: number;
  readonly line: number;
}

/** Assumed while the queue's size was not seen. */
const QUEUE_LOG2 = 19;
const SOURCES: Readonly<Record<number, string>> = { 0: 'EVENTQ', 1: 'PRIQ', 2: 'CMD_SYNC', 3: 'GERROR' };

export class ObservedCommands {
  readonly #watch: Watch;
  #next = 0;
  #current: Current | undefined;

  constructor(watch: Watch) {
    this.#watch = watch;
  }

  get idle(): boolean {
    return this.#current === undefined;
  }

  take(line: TraceLine): void {
    const { caches, facts } = this.#watch;
    const fetched = this.#current?.fetched;
    switch (line.name) {
      case 'smmuv3_cmdq_consume':
        this.finish();
        this.#comesUp(line);
        break;
      case 'smmuv3_cmdq_opcode':
        this.#fetch(commandName(line.opcode), line.line);
        break;
      case 'smmuv3_cmdq_consume_error':
        this.#reject(errorName(line.error), line.error, line.line);
        break;
      case 'smmuv3_cmdq_consume_out':
        this.finish();
        break;
      case 'smmuv3_config_cache_inv':
        caches.dropConfiguration(line.sid, fetched);
        break;
      case 'smmuv3_s1_range_inval':
        caches.dropTranslations(caches.iotlb.dropPiece(line), fetched);
        break;
      case 'smmu_iotlb_inv_asid':
        caches.dropTranslations(caches.iotlb.dropAsid(line.asid), fetched);
        break;
      case 'smmu_iotlb_inv_all':
        caches.dropTranslations(caches.iotlb.dropAll(), fetched);
        break;
      case 'smmuv3_write_gerror':
        updateRegister(this.#watch, 'GERROR', BigInt(line.gerror));
        break;
      case 'smmuv3_trigger_irq':
        facts.add({
          type: 'interrupt.raised',
          actor: SMMU,
          smmu: SMMU,
          source: SOURCES[line.irq] ?? `irq ${line.irq}`,
        });
        break;
    }
    facts.put(line.line);
  }

  /** The command that was taken last is done. */
  finish(): void {
    const { facts } = this.#watch;
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    const { index, command, fetched, line } = current;
    const about = { actor: SMMU, smmu: SMMU, index, command, fetched };
    facts.add({ type: 'command.consumed', ...about });
    this.#passes(index + 1);
    if (command === 'CMD_SYNC')
      facts.add({ type: 'sync.completed', actor: SMMU, smmu: SMMU, index, fetched });
    else facts.add({ type: 'command.performed', ...about });
    facts.put(line);
  }

  get #log2(): number {
    return this.#watch.emulator.commandLog2 || QUEUE_LOG2;
  }

  #comesUp({ prod, prodWrap, cons, consWrap }: LineOf<'smmuv3_cmdq_consume'>): void {
    const { facts, live } = this.#watch;
    const wrap = 2 ** this.#log2;
    this.#next = cons + consWrap * wrap;
    const value = prod + prodWrap * wrap;
    const old = live.register('CMDQ_PROD');
    if (old === value) return;
    facts.add({
      type: 'register.written',
      actor: 'cpu',
      smmu: SMMU,
      register: 'CMDQ_PROD',
      value: BigInt(value),
      old: BigInt(old),
    });
  }

  #fetch(command: string, line: number): void {
    const { facts, emulator, live } = this.#watch;
    const index = this.#next;
    const base =
      (emulator.get(at.CMDQ_BASE + 4) & 0xf_ffff) * 2 ** 32 +
      ((emulator.get(at.CMDQ_BASE) & 0xffff_ffe0) >>> 0);
    const pa = base + (index % 2 ** this.#log2) * 16;
    const told = base !== 0 && live.memory.isRam(pa, 16);
    const lo = told ? live.memory.read64(pa) : 0n;
    const hi = told ? live.memory.read64(pa + 8) : 0n;
    const fetched = facts.add({ type: 'command.fetched', actor: SMMU, smmu: SMMU, index, command, lo, hi });
    this.#current = { index, command, fetched, line };
  }

  #reject(error: string, code: number, line: number): void {
    const { facts, live } = this.#watch;
    const { index, command, fetched } = this.#current ?? { index: this.#next, command: '-', fetched: 0 };
    this.#current = undefined;
    facts.add({
      type: 'command.rejected',
      actor: SMMU,
      smmu: SMMU,
      index,
      command,
      fetched,
      error,
      why: 'the trace says so',
    });
    const cons = ((live.register('CMDQ_CONS') & 0x80ff_ffff) | (code << 24)) >>> 0;
    updateRegister(this.#watch, 'CMDQ_CONS', BigInt(cons));
    facts.put(line);
  }

  #passes(pointer: number): void {
    updateRegister(this.#watch, 'CMDQ_CONS', BigInt(pointer % 2 ** (this.#log2 + 1)));
  }
}
