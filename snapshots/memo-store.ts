/**
 * Answers that took long to fold, kept beside the log: the newest at or before a position can be folded on from. Each
 * is bound to the history it was made of by the log's fingerprint, and to the version of what made it; what is missing,
 * damaged or of another version is passed over.
 */
import { Packr } from 'msgpackr';
import type { Memo, MemoKind, MemoStore } from '../core/history/store.ts';
import { CACHE_TAG, type CacheFile } from './cache-file.ts';
import { keyParts, storeKey } from './lmdb.ts';
import { sealRecord } from './records.ts';

interface MemoRecord {
  readonly version: number;
  readonly history: string;
  readonly packed: Uint8Array;
}

/** Maps stay maps, and objects objects: the small records of the log know objects alone. */
const packr = new Packr({
  useRecords: true,
  mapsAsObjects: false,
  useBigIntExtension: true,
  moreTypes: true,
});

const TAGS: Readonly<Record<MemoKind, number>> = { ledger: CACHE_TAG.ledger, findings: CACHE_TAG.findings };
/** Records of others that are passed over before it gives up. */
const TRIES = 8;

export class DiskMemos implements MemoStore {
  readonly #cache: CacheFile;

  constructor(cache: CacheFile) {
    this.#cache = cache;
  }

  nearest(kind: MemoKind, version: number, branch: number, at: number): Memo | undefined {
    const { log, environment } = this.#cache;
    for (const span of log.lineage(branch, at).reverse()) {
      let last = span.last;
      for (let tries = 0; tries < TRIES && last >= span.from; tries += 1) {
        const key = environment?.floorKey(storeKey(TAGS[kind], span.branch, last));
        const parts = key === undefined ? undefined : keyParts(key);
        if (key === undefined || parts?.tag !== TAGS[kind] || parts.branch !== span.branch) break;
        if (parts.number < span.from) break;
        const record = this.#cache.record(key) as MemoRecord | undefined;
        if (record?.version === version && record.history === log.fingerprint(span.branch, parts.number))
          return { seq: parts.number, value: packr.unpack(record.packed) };
        last = parts.number - 1;
      }
    }
    return undefined;
  }

  put(kind: MemoKind, version: number, branch: number, { seq, value }: Memo): void {
    if (!this.#cache.writable || seq < 1) return;
    const { log } = this.#cache;
    const history = log.fingerprint(branch, seq);
    if (history === undefined) return;
    const key = storeKey(TAGS[kind], log.ownerOf(branch, seq), seq);
    const record: MemoRecord = { version, history, packed: packr.pack(value) };
    const sealed = sealRecord(key, record);
    this.#cache.write(sealed.length + 4096, (put) => put(key, sealed));
  }
}
