/** The emulator's caches as its lines tell them, each entry with the seq of the fact that filled it. */
import { attributeBits, leafAttributes } from '../../core/smmu/attributes.ts';
import type { CacheName } from '../../core/smmu/events.ts';
import { contextKey, vaKey } from '../../core/smmu/keys.ts';
import type { SmmuState } from '../../core/smmu/state.ts';
import type { TracedAccess } from './access.ts';
import { granuleLog2, Iotlb, type IotlbEntry, leafSizeLog2 } from './iotlb.ts';
import { SMMU } from './machine.ts';
import type { Facts } from './observed-facts.ts';

interface Configuration {
  readonly ste: number;
  readonly cd: number;
}

const NOTHING: Configuration = { ste: 0, cd: 0 };

export class ObservedCaches {
  readonly #facts: Facts;
  readonly iotlb = new Iotlb();
  readonly #fills = new Map<IotlbEntry, number>();
  readonly #configurations = new Map<number, Configuration>();

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  /** The fills as the machine has them: what the lines alone told has no seqs. */
  relearn({ caches }: SmmuState): void {
    for (const sid of this.#configurations.keys()) {
      this.#configurations.set(sid, {
        ste: caches.ste.find(sid, 0)?.id ?? 0,
        cd: caches.cd.find(sid, 0)?.id ?? 0,
      });
    }
    this.#fills.clear();
    for (const entry of this.iotlb.entries()) {
      const global = (entry.pte & 0x800n) === 0n && entry.pte !== 0n;
      const found = caches.tlb.find(
        contextKey('EL1', 1, 0, entry.asid, global),
        vaKey(BigInt(entry.address), entry.sizeLog2),
      );
      if (found !== undefined) this.#fills.set(entry, found.id);
    }
  }

  configuration(sid: number): Configuration {
    return this.#configurations.get(sid) ?? NOTHING;
  }

  /** The fill that serves an address, 0 when none is known. */
  serving(asid: number, address: number): number {
    const entry = this.iotlb.find(asid, address);
    return entry === undefined ? 0 : (this.#fills.get(entry) ?? 0);
  }

  /** STE and CD of a stream were read and are kept. `read` gives the bytes at an address. */
  fillConfiguration({ sid, stePa, cdPa }: TracedAccess, read: (pa: number) => Uint8Array): void {
    if (stePa === undefined) return;
    this.dropConfiguration(sid, undefined);
    const fill = (cache: CacheName, pa: number): number =>
      this.#facts.add({
        type: 'config.filled',
        actor: SMMU,
        smmu: SMMU,
        cache,
        streamId: sid,
        substreamId: 0,
        span: 1,
        pa,
        words: read(pa),
      });
    const ste = fill('ste', stePa);
    this.#configurations.set(sid, { ste, cd: cdPa === undefined ? 0 : fill('cd', cdPa) });
  }

  /** @param fetched the command that asks for it; undefined: something else. */
  dropConfiguration(sid: number, fetched: number | undefined): void {
    const held = this.#configurations.get(sid);
    if (held === undefined) return;
    this.#configurations.delete(sid);
    this.#remove('ste', [held.ste], fetched);
    if (held.cd !== 0) this.#remove('cd', [held.cd], fetched);
  }

  /** The leaf that an access put into the TLB. Returns its seq. */
  fillTlb({ insert, leaf, translated = 0, perm = 3 }: TracedAccess): number {
    if (insert === undefined) return 0;
    const sizeLog2 = leafSizeLog2(insert.tg, insert.level);
    const pte = leaf?.pte ?? 0n;
    const entry: IotlbEntry = {
      asid: insert.asid,
      address: insert.addr,
      tg: insert.tg,
      level: insert.level,
      sizeLog2,
      pte,
      tablesUnprivileged: false,
      tablesReadOnly: false,
    };
    const same = this.iotlb.exact(entry);
    if (same !== undefined) this.dropTranslations([same], undefined);
    const attributes =
      leaf === undefined
        ? attributeBits.AP1 | (perm === 1 ? attributeBits.AP2 : 0)
        : leafAttributes(0, Number(pte >> 32n), Number(pte & 0xffff_ffffn));
    const seq = this.#facts.add({
      type: 'tlb.filled',
      actor: SMMU,
      smmu: SMMU,
      cache: 'tlb',
      regime: 'EL1',
      stage: 1,
      vmid: 0,
      asid: insert.asid,
      global: leaf !== undefined && (pte & 0x800n) === 0n,
      va: BigInt(insert.addr),
      sizeLog2,
      granuleLog2: granuleLog2(insert.tg),
      level: insert.level,
      leaf: true,
      pa: leaf?.output ?? translated - (translated % 2 ** sizeLog2),
      attributes,
      descriptorPa: leaf?.pa ?? 0,
      descriptor: pte,
      parent: 0,
    });
    this.iotlb.insert(entry);
    this.#fills.set(entry, seq);
    return seq;
  }

  dropTranslations(dropped: readonly IotlbEntry[], fetched: number | undefined): void {
    const ids = dropped.flatMap((entry) => this.#fills.get(entry) ?? []);
    for (const entry of dropped) this.#fills.delete(entry);
    if (ids.length > 0) this.#remove('tlb', ids, fetched);
  }

  #remove(cache: CacheName, removed: readonly number[], fetched: number | undefined): void {
    const about = { actor: SMMU, smmu: SMMU, cache, removed };
    if (fetched !== undefined) this.#facts.add({ type: 'cache.invalidated', ...about, fetched });
    else this.#facts.add({ type: 'cache.evicted', ...about, why: 'the trace says so' });
  }
}
