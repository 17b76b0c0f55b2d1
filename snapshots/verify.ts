/**
 * Whether a log is what was written: its pages, its records, and for every branch a chain of segments
 * without a gap whose hashes follow from one another and whose entries decode. Findings say
 * where: the position where one is meant, and the byte of the file where the value begins.
 */
import { type Branch, FORMAT } from '../core/history/store.ts';
import { branchKey } from './branch-table.ts';
import { type Environment, keyParts, storeKey } from './lmdb.ts';
import { checkPages } from './lmdb-pages.ts';
import { type DiskLog, openLogStore } from './log-store.ts';
import { type Head, headKey } from './log-writer.ts';
import { openRecord, TAG } from './records.ts';
import { parseShape } from './schema-book.ts';
import { decodeSegment, HASH_BYTES, sameBytes, segmentHead } from './segment.ts';
import { messageOf, StoreError } from './store-error.ts';

export interface Damage {
  /** `branch@seq`, where the damage concerns entries. */
  readonly position?: string;
  /** Byte of the file where the damaged value begins, when it is known. */
  readonly byte?: number;
  readonly what: string;
}

export interface Verified {
  readonly branches: number;
  readonly segments: number;
  readonly entries: number;
  readonly damages: readonly Damage[];
}

/** Verifies a file that nobody has open here. What keeps it from being opened is a finding too. */
export async function verifyFile(path: string): Promise<Verified> {
  let log: DiskLog;
  try {
    log = openLogStore(path, { readOnly: true });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const byte = /\(byte (\d+)\)/.exec(error.message)?.[1];
    const damage = byte === undefined ? { what: error.message } : { byte: Number(byte), what: error.message };
    return { branches: 0, segments: 0, entries: 0, damages: [damage] };
  }
  try {
    return verify(log);
  } finally {
    await log.close();
  }
}

/** Verifies an open log; appends that wait are written first. */
export function verify(log: DiskLog): Verified {
  return new Verifier(log).run();
}

interface Chain {
  readonly branch: number;
  /** seq that the next segment must begin with. */
  next: number;
  hash: Uint8Array;
  tail: number;
  broken: boolean;
}

class Verifier {
  readonly #log: DiskLog;
  readonly #environment: Environment;
  readonly #damages: Damage[] = [];
  readonly #places = new Map<string, number>();
  readonly #chains = new Map<number, Chain>();
  #segments = 0;
  #entries = 0;

  constructor(log: DiskLog) {
    this.#log = log;
    this.#environment = log.environment;
  }

  run(): Verified {
    if (!this.#environment.readOnly) void this.#log.flush();
    this.#attempt(undefined, undefined, () =>
      checkPages(this.#log.path, {
        thorough: true,
        visit: (key, byte) => this.#places.set(nameOf(key), byte),
      }),
    );
    const branches = this.#branches();
    for (const { key, value } of this.#environment.range(new Uint8Array(1), new Uint8Array(14).fill(0xff))) {
      this.#attempt(key, undefined, () => this.#record(key, value));
    }
    for (const branch of branches) this.#head(branch);
    for (const branch of branches) this.#parent(branch, branches);
    this.#notes(branches);
    return {
      branches: branches.length,
      segments: this.#segments,
      entries: this.#entries,
      damages: this.#damages,
    };
  }

  #found(key: Uint8Array | undefined, position: string | undefined, what: string): void {
    const byte = key === undefined ? undefined : this.#places.get(nameOf(key));
    this.#damages.push({
      ...(position === undefined ? {} : { position }),
      ...(byte === undefined ? {} : { byte }),
      what,
    });
  }

  #attempt(key: Uint8Array | undefined, position: string | undefined, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#found(key, position, messageOf(error));
    }
  }

  #branches(): readonly Branch[] {
    try {
      return this.#log.branches();
    } catch (error) {
      this.#found(undefined, undefined, `the branches cannot be read: ${messageOf(error)}`);
      return [];
    }
  }

  /** One pair of the file: segments come in the order of branch and seq. */
  #record(key: Uint8Array, value: Uint8Array): void {
    if (key.length !== 13) throw new StoreError(`a key of ${key.length} bytes`);
    const { tag, branch, number } = keyParts(key);
    if (tag === TAG.segment) this.#segment(key, value, branch, number);
    else if (tag === TAG.schema) parseShape(number, new TextDecoder().decode(value));
    else if (tag === TAG.head) this.#chain(branch);
    else if (tag === TAG.header || tag === TAG.branch || tag === TAG.notes) openRecord(key, value);
    else throw new StoreError(`a record of unknown kind ${tag} (format ${FORMAT} has none such)`);
  }

  #chain(branch: number): Chain {
    const known = this.#chains.get(branch);
    if (known !== undefined) return known;
    const record = this.#environment.get(branchKey(branch));
    const made = {
      branch,
      next: (record === undefined ? 0 : forkOf(this.#log, branch)) + 1,
      hash: record?.slice(0, HASH_BYTES) ?? new Uint8Array(HASH_BYTES),
      tail: 0,
      broken: false,
    };
    if (record === undefined)
      this.#found(undefined, `${branch}@1`, `entries of branch ${branch}, which does not exist`);
    this.#chains.set(branch, made);
    return made;
  }

  #segment(key: Uint8Array, value: Uint8Array, branch: number, first: number): void {
    const chain = this.#chain(branch);
    const position = `${branch}@${first}`;
    this.#segments += 1;
    try {
      const head = segmentHead(value);
      if (first !== chain.next && !chain.broken)
        this.#found(key, `${branch}@${chain.next}`, `entries ${chain.next} to ${first - 1} are missing`);
      if (head.first !== first) this.#found(key, position, `the segment says it begins at ${head.first}`);
      if (!sameBytes(head.before, chain.hash) && !chain.broken)
        this.#found(key, position, 'the segment does not follow from the one before');
      const entries = decodeSegment(value, this.#log.book);
      this.#entries += entries.length;
      Object.assign(chain, { next: first + entries.length, hash: head.hash, tail: first, broken: false });
    } catch (error) {
      this.#found(key, position, messageOf(error));
      // One damage is told once, not again for each segment behind it.
      chain.broken = true;
    }
  }

  /** The head record against the chain that was found. */
  #head({ id }: Branch): void {
    const chain = this.#chain(id);
    const key = headKey(id);
    const sealed = this.#environment.get(key);
    this.#attempt(key, `${id}@${chain.next - 1}`, () => {
      if (chain.broken) return;
      if (sealed === undefined) {
        if (chain.tail !== 0) throw new StoreError(`branch ${id} has entries and no head`);
        return;
      }
      const head = openRecord(key, sealed) as Head;
      if (head.seq !== chain.next - 1 || head.tail !== chain.tail || !sameBytes(head.hash, chain.hash))
        throw new StoreError(`the head of branch ${id} is ${head.seq}, its entries end at ${chain.next - 1}`);
    });
  }

  #parent({ id, parent }: Branch, branches: readonly Branch[]): void {
    if (parent === undefined) return;
    this.#attempt(branchKey(id), `${id}@${parent.at}`, () => {
      const found = branches.find((other) => other.id === parent.branch);
      if (found === undefined || parent.branch >= id)
        throw new StoreError(`branch ${id} has the parent ${parent.branch}, which cannot be`);
      if (parent.at > this.#log.head(parent.branch))
        throw new StoreError(`branch ${id} leaves ${parent.branch} at ${parent.at}, where it has no entries`);
    });
  }

  #notes(branches: readonly Branch[]): void {
    this.#attempt(storeKey(TAG.notes, 0, 0), undefined, () => {
      const current = this.#log.current();
      if (current !== undefined && !branches.some(({ id }) => id === current))
        throw new StoreError(`the current branch ${current} does not exist`);
      for (const { name, branch, seq } of this.#log.bookmarks()) {
        if (!branches.some(({ id }) => id === branch) || seq > this.#log.head(branch))
          throw new StoreError(`the bookmark ${name} is at ${branch}@${seq}, which does not exist`);
      }
    });
  }
}

function forkOf(log: DiskLog, branch: number): number {
  return log.branches().find(({ id }) => id === branch)?.parent?.at ?? 0;
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key).toString('hex');
}
