/** Accesses of devices as facts: fetches and fills, the end, the event record. */
import { type EventRecordName, eventRecords } from '../../core/smmu/event-record.ts';
import type { TracedAccess } from './access.ts';
import { at, EVENT_BYTES } from './emulator.ts';
import { SMMU } from './machine.ts';
import { updateRegister } from './observed-registers.ts';
import type { Watch } from './watch.ts';

const STRUCTURE_BYTES = 64;

export class ObservedAccesses {
  readonly #watch: Watch;

  constructor(watch: Watch) {
    this.#watch = watch;
  }

  take(traced: TracedAccess): void {
    const { caches, facts, endpoints, eventMemory } = this.#watch;
    for (const store of traced.stores) eventMemory.store(store);
    const endpoint = endpoints.get(traced.sid) ?? `dev0x${traced.sid.toString(16)}`;
    const kept = traced.lookup !== undefined || traced.end !== undefined;
    if (traced.configMiss && kept) caches.fillConfiguration(traced, (pa) => this.#bytes(pa));
    this.#descriptors(traced);
    if (traced.flushed) caches.dropTranslations(caches.iotlb.dropAll(), undefined);
    const filled = caches.fillTlb(traced);
    const { ste, cd } = caches.configuration(traced.sid);
    const tlb =
      filled || (traced.lookup === 'hit' ? caches.serving(traced.asid ?? 0, traced.lookupAddress ?? 0) : 0);
    const iova = BigInt(traced.iova ?? traced.lookupAddress ?? 0);
    const about = {
      actor: endpoint,
      smmu: SMMU,
      endpoint,
      streamId: traced.sid,
      iova,
      size: 1,
      // Only a write is refused a permission.
      access: traced.record === 'F_PERMISSION' ? 'write' : 'read',
      ste,
      cd,
      tlb,
    } as const;
    if (traced.end !== undefined && traced.end !== 'abort') {
      const via = traced.end === 'success' ? (traced.lookup === 'hit' ? 'hit' : 'walk') : 'bypass';
      facts.add({ type: 'access.completed', ...about, pa: traced.translated ?? traced.iova ?? 0, via });
    } else {
      const words = traced.record === undefined ? undefined : this.#raise(traced, traced.record);
      const reason =
        traced.record ?? (traced.end === 'abort' ? 'STE.Config=0b0xx' : 'refused without a record');
      facts.add({ type: 'access.terminated', ...about, result: 'abort', reason });
      if (traced.record !== undefined && words !== undefined) this.#write(traced, traced.record);
    }
    facts.put(traced.line);
  }

  #bytes(pa: number): Uint8Array {
    const { memory } = this.#watch.live;
    return memory.isRam(pa, STRUCTURE_BYTES)
      ? memory.readBytes(pa, STRUCTURE_BYTES)
      : new Uint8Array(STRUCTURE_BYTES);
  }

  /** The levels end at the leaf, or at the descriptor that was not valid. */
  #descriptors({ walk, leaf, invalidLevel }: TracedAccess): void {
    const last = leaf?.level ?? invalidLevel ?? walk.length - 1;
    for (const [index, { pa, pte }] of walk.entries()) {
      const level = Math.max(0, last - (walk.length - 1 - index));
      this.#watch.facts.add({
        type: 'descriptor.fetched',
        actor: SMMU,
        smmu: SMMU,
        stage: 1,
        level,
        pa,
        value: pte,
      });
    }
  }

  #raise(traced: TracedAccess, record: string): Uint8Array {
    const { emulator, eventMemory, facts } = this.#watch;
    const told = eventMemory.known && !emulator.eventsFull;
    const words = told ? eventMemory.record(emulator.eventPa) : sketch(traced, record);
    facts.add({ type: 'record.raised', actor: SMMU, smmu: SMMU, record, streamId: traced.sid, words });
    return words;
  }

  /** The record gets into the queue, or is lost. */
  #write(traced: TracedAccess, record: string): void {
    const { emulator, facts } = this.#watch;
    const about = { actor: SMMU, smmu: SMMU, record };
    if (traced.gerror !== undefined || emulator.eventsFull) {
      facts.add({ type: 'record.dropped', ...about, why: 'the queue is full, or the write aborted' });
      if (traced.gerror !== undefined) updateRegister(this.#watch, 'GERROR', BigInt(traced.gerror));
      return;
    }
    const pa = emulator.eventPa;
    const index = emulator.get(at.EVENTQ_PROD) & (2 ** (emulator.eventLog2 + 1) - 1);
    for (const { pa: at8, val: value, old } of traced.stores) {
      facts.add({ type: 'memory.written', actor: SMMU, pa: at8, value, old });
    }
    facts.add({ type: 'record.written', ...about, index, pa });
    emulator.pushEvent();
    updateRegister(this.#watch, 'EVENTQ_PROD', BigInt(emulator.get(at.EVENTQ_PROD)));
    if (traced.irq) facts.add({ type: 'interrupt.raised', actor: SMMU, smmu: SMMU, source: 'EVENTQ' });
  }
}

/** A record of which only the number, the stream and perhaps the address are known. */
function sketch(traced: TracedAccess, record: string): Uint8Array {
  const words = new Uint8Array(EVENT_BYTES);
  const view = new DataView(words.buffer);
  view.setUint32(0, eventRecords[record as EventRecordName]?.number ?? 0, true);
  view.setUint32(4, traced.sid, true);
  view.setBigUint64(16, BigInt(traced.iova ?? traced.lookupAddress ?? 0), true);
  return words;
}
