/**
 * Accesses of devices: each translation of the trace becomes a `dma`, and its end is compared with the
 * machine's: result, address and permission; the fault; the event record.
 */
import type { TracedAccess } from './access.ts';
import type { Bench } from './bench.ts';
import type { DeviationName } from './deviations.ts';
import type { Known } from './edu.ts';
import { at } from './emulator.ts';
import { hex, ourEnd, readOurs, sameFault, theirEnd } from './ends.ts';
import {
  type AccessCase,
  explainAccess,
  explainMissingRecord,
  ourFault,
  theirFault,
} from './explain-access.ts';
import { type IotlbEntry, leafSizeLog2 } from './iotlb.ts';
import { entriesOf } from './live.ts';
import { SMMU } from './machine.ts';
import { explainRecord, type RecordFacts, recordFacts } from './records.ts';
import { type ComparedKey, showDifference } from './tally.ts';

const PAGE = 4096;
const AP1 = 0x40n;

/** An access as it is put to the machine. */
interface Asked extends Known {
  readonly iova: number;
  readonly privileged: boolean;
  /** What the trace did not show. */
  readonly assumed: string;
}

export class Accesses {
  readonly #bench: Bench;
  /** The last refused access of each stream, and where its next piece would be. */
  readonly #refused = new Map<number, number>();

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  enact(traced: TracedAccess): void {
    const { live, endpoints, iotlb, stale, tally } = this.#bench;
    const endpoint = endpoints.get(traced.sid);
    const record = this.#takeRecord(traced);
    const served = this.#serve(traced);
    if (endpoint === undefined) {
      // The survey saw every line, so the file changed under our hands.
      tally.ignored += 1;
      return;
    }
    const asked = this.#ask(traced, record?.facts, served);
    stale.beforeAccess(traced);
    const steps = live.put({
      type: 'dma',
      endpoint,
      iova: BigInt(asked.iova),
      size: asked.size,
      access: asked.access,
      ...(asked.privileged ? { privileged: true } : {}),
      ...(asked.assumed === '' ? {} : { assumed: asked.assumed }),
      actor: endpoint,
      line: traced.line,
    });
    const ours = readOurs(entriesOf(steps), live);
    stale.afterAccess(traced, entriesOf(steps));
    if (traced.insert !== undefined && served !== undefined) iotlb.insert(served);
    const is: AccessCase = {
      traced,
      ours,
      iova: asked.iova,
      smmu: live.smmu,
      memory: live.memory,
      emulator: this.#bench.emulator,
      served,
      ...stale.facts,
    };
    this.#compareEnd(is);
    if (traced.record !== undefined) this.#compareRecord(is, record?.bytes);
    this.#countPieces(traced, asked);
    this.#keepInStep(is, record);
  }

  /** Takes the words of the record into the queue's memory, and reads it there. */
  #takeRecord(
    traced: TracedAccess,
  ): { readonly bytes: Uint8Array; readonly facts: RecordFacts; readonly pa: number } | undefined {
    const { eventMemory, emulator } = this.#bench;
    for (const store of traced.stores) eventMemory.store(store);
    if (traced.record === undefined || traced.cut || emulator.eventsFull || !eventMemory.known)
      return undefined;
    const pa = emulator.eventPa;
    const bytes = eventMemory.record(pa);
    return { bytes, facts: recordFacts(bytes), pa };
  }

  /** The emulator's TLB entry behind the access: found, or made by its walk. */
  #serve(traced: TracedAccess): IotlbEntry | undefined {
    const { iotlb } = this.#bench;
    if (traced.flushed) iotlb.dropAll();
    const { insert, leaf, lookup, lookupAddress, asid = 0 } = traced;
    if (lookup === 'hit' && lookupAddress !== undefined) return iotlb.find(asid, lookupAddress);
    if (insert === undefined || leaf === undefined) return undefined;
    const tables = traced.walk.slice(0, -1);
    return {
      asid: insert.asid,
      address: insert.addr,
      tg: insert.tg,
      level: insert.level,
      sizeLog2: leafSizeLog2(insert.tg, insert.level),
      pte: leaf.pte,
      tablesUnprivileged: tables.some(({ pte }) => ((pte >> 61n) & 1n) === 1n),
      tablesReadOnly: tables.some(({ pte }) => ((pte >> 62n) & 1n) === 1n),
    };
  }

  /** What the access was, as far as the trace tells; the rest is assumed, and said so. */
  #ask(traced: TracedAccess, record: RecordFacts | undefined, served: IotlbEntry | undefined): Asked {
    const { edu } = this.#bench;
    const page = traced.lookupAddress;
    const iova =
      traced.iova ??
      record?.iova ??
      edu.addressIn(traced.sid, page ?? 0, page === undefined ? 2 ** 48 : PAGE);
    const address = iova ?? page ?? 0;
    const privileged = served !== undefined && ((served.pte & AP1) === 0n || served.tablesUnprivileged);
    const known = edu.take(traced.sid, address, spanOf(traced, address, served));
    if (known !== undefined) return { ...known, iova: address, privileged, assumed: '' };
    const access = record?.access ?? accessShown(traced);
    const assumed = [
      ...(iova === undefined ? ['iova'] : []),
      ...(access === undefined ? ['access'] : []),
      'size',
    ];
    return { iova: address, access: access ?? 'read', size: 1, privileged, assumed: assumed.join(',') };
  }

  #compareEnd(is: AccessCase): void {
    const { traced } = is;
    const translated = traced.end !== undefined;
    const key: ComparedKey = translated ? 'translation' : 'fault';
    this.#bench.tally.compared[key] += 1;
    const expected = translated ? theirEnd(is) : theirFault(traced) || 'a refusal';
    const actual = translated ? ourEnd(is) : ourFault(is.ours) || ourEnd(is);
    const same = translated ? expected === actual : sameFault(is);
    if (same && traced.mismatch === undefined) return;
    if (traced.mismatch !== undefined) {
      this.#differs(
        key,
        traced.line,
        `a check value of stream ${hex(traced.sid)}`,
        traced.mismatch,
        'otherwise',
      );
      return;
    }
    const name = explainAccess(is);
    const what = `stream ${hex(traced.sid)} at ${hex(is.iova)}`;
    if (name === undefined) this.#differs(key, traced.line, what, expected, actual);
    else this.#explained(name, traced.line, what, expected, actual);
  }

  /** The 32 bytes of the record, when the queue's memory is told; and whether it got there in both. */
  #compareRecord(is: AccessCase, bytes: Uint8Array | undefined): void {
    const { tally } = this.#bench;
    const { traced, ours } = is;
    if (traced.irq && !ours.interrupt && ours.written !== undefined) tally.deviation('evtq-irq-every-record');
    const lost = is.emulator.eventsFull || traced.gerror !== undefined;
    if (lost === (ours.written !== undefined) || (lost && ours.dropped !== undefined)) {
      const name = explainMissingRecord(is);
      if (name !== undefined) tally.deviation(name);
      else if (sameFault(is))
        this.#differs('eventRecord', traced.line, recordOf(traced), presence(!lost), presence(lost));
    }
    if (bytes === undefined || ours.raised === undefined || !sameFault(is)) return;
    tally.compared.eventRecord += 1;
    const names = explainRecord(bytes, ours.raised.words);
    if (names === undefined) {
      this.#differs(
        'eventRecord',
        traced.line,
        recordOf(traced),
        hexBytes(bytes),
        hexBytes(ours.raised.words),
      );
    }
    for (const name of names ?? []) tally.deviation(name);
  }

  /** A refused transfer that goes on 4 bytes further is the same transaction to the architecture. */
  #countPieces(traced: TracedAccess, asked: Asked): void {
    if (traced.end !== undefined) {
      this.#refused.delete(traced.sid);
      return;
    }
    const size = asked.assumed === '' ? asked.size : 4 - (asked.iova % 4);
    if (this.#refused.get(traced.sid) === asked.iova) this.#bench.tally.deviation('fault-pieces');
    this.#refused.set(traced.sid, asked.iova + size);
  }

  /** The queue's pointer, the record in memory and GERROR are what the trace says, whatever ours did. */
  #keepInStep(is: AccessCase, record: { readonly bytes: Uint8Array; readonly pa: number } | undefined): void {
    const { live, emulator } = this.#bench;
    const { traced, ours } = is;
    if (traced.gerror !== undefined) emulator.setGerror(traced.gerror);
    if (traced.record !== undefined && !emulator.eventsFull && traced.gerror === undefined) {
      emulator.pushEvent();
      if (ours.written === undefined && record !== undefined) {
        live.put({ type: 'mem.write', pa: record.pa, bytes: record.bytes, actor: SMMU, line: traced.line });
      }
    }
    if (traced.record === undefined && ours.raised === undefined) return;
    live.force(traced.line, [
      ['EVENTQ_PROD', emulator.get(at.EVENTQ_PROD)],
      ['GERROR', emulator.get(at.GERROR)],
    ]);
  }

  #differs(key: ComparedKey, line: number, what: string, expected: string, actual: string): void {
    const { tally, live } = this.#bench;
    tally.difference({ key, line, what, expected, actual });
    live.note('difference', showDifference({ line, what, expected, actual }), line);
  }

  #explained(name: DeviationName, line: number, what: string, expected: string, actual: string): void {
    const { tally, live } = this.#bench;
    tally.deviation(name);
    live.note('deviation', `${name}: ${showDifference({ line, what, expected, actual })}`, line);
  }
}

/** Bytes from `iova` to the end of what one translation serves; undefined when it is refused. */
function spanOf({ end }: TracedAccess, iova: number, served: IotlbEntry | undefined): number | undefined {
  if (end === 'bypass' || end === 'disabled') return PAGE - (iova % PAGE);
  if (end !== 'success') return undefined;
  const size = served === undefined ? PAGE : 2 ** served.sizeLog2;
  return size - (iova % size);
}

/** A read-only mapping that served can only have been read; only a write is refused a permission. */
function accessShown(traced: TracedAccess): 'read' | 'write' | undefined {
  const { end, perm, record, lookup, leaf, insert } = traced;
  if (end === 'success' && perm === 1) return 'read';
  if (record === 'F_PERMISSION') return 'write';
  // A refusal without a record, of what was found in the TLB or by the walk.
  const found = lookup === 'hit' || (leaf !== undefined && insert === undefined);
  return end === undefined && record === undefined && found ? 'write' : undefined;
}

function recordOf({ sid }: TracedAccess): string {
  return `the event record of stream ${hex(sid)}`;
}

function presence(there: boolean): string {
  return there ? 'one' : 'none';
}

function hexBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
