/**
 * Two traces of ready entries: register write 20 %, register
 * read 10 %, 8-byte memory write 35 %, DMA 20 %, command 10 %, event record 4 %, irregular 1 %.
 *
 * `local`: tables filled in sequence, sequential addresses, repeated register values. `random`: drawn
 * payloads, one memory write in five and all DMA on pages drawn from all.
 */
import type { Entry } from '../../core/event.ts';

export type Locality = 'local' | 'random';

/** Kinds in the order in which a hundred entries take turns. */
const KINDS = [
  ...spread('write', 20),
  ...spread('read', 10),
  ...spread('memory', 35),
  ...spread('dma', 20),
  ...spread('command', 10),
  ...spread('record', 4),
  ...spread('other', 1),
]
  .sort((one, other) => one.place - other.place)
  .map(({ kind }) => kind);

type KindName = 'write' | 'read' | 'memory' | 'dma' | 'command' | 'record' | 'other';

function spread(kind: KindName, count: number): { readonly kind: KindName; readonly place: number }[] {
  return Array.from({ length: count }, (_, at) => ({ kind, place: (at + 0.5) / count + count / 1e6 }));
}

/** An endless trace. @param pages resident pages of 4 KiB. */
export class Trace {
  readonly #locality: Locality;
  readonly #pages: number;
  #random = 1;
  #seq = 0;
  #fill = 0;
  #dma = 0;
  #produced = 0;

  constructor(locality: Locality, pages = 100_000) {
    this.#locality = locality;
    this.#pages = pages;
  }

  /** The next `count` entries. */
  take(count: number): Entry[] {
    return Array.from({ length: count }, () => this.#next());
  }

  #draw(below: number): number {
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#random / 2 ** 32) * below);
  }

  #draw64(): bigint {
    return (BigInt(this.#draw(2 ** 32)) << 32n) | BigInt(this.#draw(2 ** 32));
  }

  #next(): Entry {
    this.#seq += 1;
    const kind = KINDS[this.#seq % KINDS.length] ?? 'write';
    const seq = this.#seq;
    const tick = Math.floor(seq / 3) + 1;
    const cause = seq % 3 === 0 ? 0 : seq - (seq % 3);
    // As the machine makes them: a copy of the payload first, which V8 does at once and with one shape.
    return { ...this.#payload(kind), seq, tick, cause, actor: 'smmu0' } as unknown as Entry;
  }

  #payload(kind: KindName): object {
    const random = this.#locality === 'random';
    const smmu = 'smmu0';
    switch (kind) {
      case 'write': {
        this.#produced = (this.#produced + 1) % 512;
        const value = random ? this.#draw64() : BigInt(this.#produced);
        return {
          type: 'register.written',
          smmu,
          register: 'CMDQ_PROD',
          value,
          old: random ? 0n : value - 1n < 0n ? 0n : value - 1n,
        };
      }
      case 'read':
        return {
          type: 'register.read',
          smmu,
          register: 'CMDQ_CONS',
          offset: 0x9c,
          size: 4,
          value: random ? this.#draw64() : BigInt(this.#produced),
        };
      case 'memory':
        return this.#memory(random);
      case 'dma': {
        this.#dma += 1;
        const page = random ? this.#draw(this.#pages) : this.#dma % this.#pages;
        const rest = {
          smmu,
          endpoint: 'nvme0',
          streamId: 8,
          size: 4096,
          access: 'read',
          via: 'hit',
          ste: 17,
          cd: 18,
        };
        return {
          type: 'access.completed',
          ...rest,
          iova: BigInt(page) << 12n,
          pa: 0x4000_0000 + page * 4096,
          tlb: 19 + (page % 64),
        };
      }
      case 'command': {
        const lo = random ? this.#draw64() : 0x0000_0005_0000_0012n;
        const hi = random ? this.#draw64() : BigInt(this.#dma) << 12n;
        return { type: 'command.fetched', smmu, index: this.#produced, command: 'CMD_TLBI_NH_VA', lo, hi };
      }
      case 'record': {
        const words = new Uint32Array(8).map((_, at) =>
          random ? this.#draw(2 ** 32) : at === 4 ? this.#dma << 12 : at,
        );
        return {
          type: 'record.raised',
          smmu,
          record: 'F_TRANSLATION',
          streamId: 8,
          words: new Uint8Array(words.buffer),
        };
      }
      case 'other':
        return {
          type: 'value.set',
          path: 'smmu0.choices.x',
          value: { on: true, level: this.#seq % 7 },
          old: null,
        };
    }
  }

  #memory(random: boolean): object {
    this.#fill += 1;
    const far = random && this.#fill % 5 === 0;
    const pa = far
      ? 4096 * this.#draw(this.#pages) + 8 * this.#draw(512)
      : (this.#fill * 8) % (this.#pages * 4096);
    const value = random ? this.#draw64() : 0x40_0000_0000_0703n + (BigInt(this.#fill) << 12n);
    return { type: 'memory.written', pa: 0x4000_0000 + pa, value, old: 0n };
  }
}
