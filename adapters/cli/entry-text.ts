/**
 * Entries in words and as JSON. Text says first what people look for (a register's fields, a
 * command's operands), so that a line cut at 80 columns still tells its story; JSON has all fields.
 */
import { type Entry, type EntryOf, type EntryType, schemas } from '../../core/event.ts';
import { diff, show } from '../../core/layout/layout.ts';
import { hexOf, jsonValue, showValue } from '../../core/schema.ts';
import { commandByOpcode } from '../../core/smmu/command-layout.ts';
import { eventRecordByNumber } from '../../core/smmu/event-record.ts';
import { registerNamed, registers } from '../../core/smmu/registers.ts';

type Words = { readonly [T in EntryType]?: (entry: EntryOf<T>) => string };

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

// biome-ignore format: a table
const words: Words = {
  'mmio.write':       (e) => `${registerAt(e.smmu, e.offset)} = ${hex(e.value)}`,
  'mmio.read':        (e) => registerAt(e.smmu, e.offset),
  'mem.write':        (e) => `[${hex(e.pa)}] = ${bytesText(e.bytes)}`,
  'mem.read':         (e) => `[${hex(e.pa)}] ${e.size}B`,
  dma:                (e) => `${e.access} ${e.size}B iova=${hex(e.iova)}${e.ssid === undefined ? '' : ` ssid=${hex(e.ssid)}`}`,
  'ats.translate':    (e) => `${e.access} ${e.size}B ${asked(e)}`,
  'pri.request':      (e) => `${e.access} ${asked(e)} group ${e.prgIndex}${e.last ? ' last' : ''}`,
  'command.issue':    (e) => commandText({ command: 'RESERVED', ...e }),
  'cpu.tlbi':         (e) => `${e.operation} ${fieldsText(e, 'operation')}`,
  'endpoint.set':     (e) => Object.entries(e.set).map(([name, value]) => `${name}=${value}`).join(' '),
  turn:               (e) => e.unit,
  set:                (e) => `${e.path} = ${JSON.stringify(e.value)}`,
  note:               (e) => `${e.kind}: ${e.text}`,
  observe:            (e) => `${e.events.length} events`,
  'value.set':        (e) => `${e.path} ${JSON.stringify(e.old)} -> ${JSON.stringify(e.value)}`,
  'memory.written':   (e) => `[${hex(e.pa)}] ${hex(e.old)} -> ${hex(e.value)}`,
  'memory.loaded':    (e) => `[${hex(e.pa)}] = ${bytesText(e.bytes)}`,
  'memory.read':      (e) => `[${hex(e.pa)}] ${e.size}B`,
  'memory.aborted':   (e) => `[${hex(e.pa)}] ${e.size}B`,
  'register.written': registerChange,
  'register.updated': registerChange,
  'register.read':    (e) => `${e.register} is ${hex(e.value)}${registerFields(e.register, e.value)}`,
  'write.ignored':    (e) => `${e.register === '-' ? hex(e.offset) : e.register} = ${hex(e.value)}: ${e.why}`,
  'interrupt.raised': (e) => e.source,
  'msi.sent':         (e) => `${e.source} ${hex(e.data)} to [${hex(e.pa)}]`,
  'event.sent':       (e) => e.source,
  'misuse.noted':     (e) => `${e.rule}: ${e.detail}`,
  'command.fetched':  (e) => `${e.beside === true ? 'beside' : slotText(e)} ${commandText(e)}`,
  'command.consumed': (e) => `${slotText(e)} ${e.command}`,
  'command.performed': (e) => `${slotText(e)} ${e.command}`,
  'command.rejected': (e) => `${slotText(e)} ${e.command} ${e.error}: ${e.why}`,
  'sync.completed':   slotText,
  'broadcast.received': (e) => `${e.operation} ${fieldsText(e, 'operation')}`,
  'config.filled':    (e) => `${e.cache} sid=${hex(e.streamId)} ssid=${hex(e.substreamId)} from [${hex(e.pa)}]`,
  'tlb.filled':       (e) => `${e.cache} ${hex(e.va)}/${sizeText(e.sizeLog2)} -> ${hex(e.pa)} asid=${hex(e.asid)} vmid=${hex(e.vmid)} S${e.stage} L${e.level}`,
  'port.filled':      (e) => `${e.endpoint} ${hex(e.va)}/${sizeText(e.sizeLog2)} sid=${hex(e.streamId)} of @${e.tlb}, STE @${e.ste}`,
  'cache.invalidated': (e) => `${e.cache} ${e.removed.length} removed: ${e.removed.join(' ')}`,
  'cache.evicted':    (e) => `${e.cache} ${e.removed.length} removed (${e.why}): ${e.removed.join(' ')}`,
  'structure.fetched': (e) => `${e.structure} sid=${hex(e.streamId)} ssid=${hex(e.substreamId)} [${hex(e.pa)}]`,
  'descriptor.fetched': (e) => `S${e.stage} L${e.level} [${hex(e.pa)}] is ${hex(e.value)}`,
  'fetch.aborted':    (e) => `${e.structure} [${hex(e.pa)}]`,
  'access.completed': (e) => `${e.access} ${e.size}B iova=${hex(e.iova)} -> ${hex(e.pa)} via ${e.via} sid=${hex(e.streamId)}`,
  'access.terminated': (e) => `${e.access} ${e.size}B iova=${hex(e.iova)} ${e.result} ${e.reason} sid=${hex(e.streamId)}`,
  'access.stalled':   (e) => `${e.access} ${asked({ ...e, ssid: e.substreamId })} ${e.held === true ? 'held' : `STAG=${e.stag}`} ${e.reason}`,
  'stall.decided':    (e) => `${e.how} @${e.stalled.join(' @')}`,
  'stall.ended':      (e) => `${e.how} @${e.stalled}`,
  'ats.answered':     (e) => `${e.answer} ${hex(e.iova)}/${sizeText(e.sizeLog2)} -> ${hex(e.pa)} ${e.permissions || '-'} ${e.reason}`,
  'atc.filled':       (e) => `${hex(e.iova)}/${sizeText(e.sizeLog2)} -> ${hex(e.pa)} ${e.permissions}`,
  'atc.invalidated':  (e) => `${e.endpoint} ${e.removed.length} removed: ${e.removed.join(' ')}`,
  'atc.timedout':     (e) => `${e.endpoint} did not answer @${e.fetched}`,
  'page.requested':   (e) => `group ${e.prgIndex} ${e.wants || '-'}${e.last ? ' last' : ''} iova=${hex(e.iova)} sid=${hex(e.streamId)}`,
  'page.queued':      (e) => `priq[${e.index}] group ${e.prgIndex} ${e.endpoint} @${e.requested}`,
  'page.dropped':     (e) => `group ${e.prgIndex} ${e.endpoint} @${e.requested}: ${e.why}`,
  'page.responded':   (e) => `group ${e.prgIndex} ${e.endpoint} ${e.response}${e.fetched === 0 ? ' by itself' : ` @${e.fetched}`}`,
  'msi.send':         (e) => `EventID ${e.data ?? 0}`,
  'msi.programmed':   (e) => `messages of ${e.endpoint} ${e.address === undefined ? 'are off' : `go to ${hex(e.address)}`}`,
  'msi.received':     (e) => `[${hex(e.pa)}] EventID ${e.data} from ${e.endpoint}`,
  'msi.routed':       (e) => `messages of ${e.endpoint} to ${hex(e.iova)} go to ${e.vm} [${hex(e.gpa)}] via ${e.via}`,
  'request.withheld': (e) => `${e.request} iova=${hex(e.iova)}: ${e.why}`,
  'ioctl.begun':      (e) => `${e.name} fd=${e.fd} by ${e.process} size=${e.size}`,
  'ioctl.completed':  (e) => `${e.name} ${e.errno ?? `ret=${e.ret ?? 0}`} for ${e.process} @${e.ioctl}`,
  'record.raised':    (e) => recordText(e.words, e.record),
  'record.written':   (e) => `evtq[${e.index}] ${e.record}`,
  'record.dropped':   (e) => `${e.record}: ${e.why}`,
};

/** The place of a command, as a path says it: `cmdq[3]`, `ecmdq[1][3]`. */
function slotText({ queue = 'CMDQ', index }: { readonly queue?: string; readonly index: number }): string {
  return `${queue.toLowerCase().replace(/(\d+)$/, '[$1]')}[${index}]`;
}

/** What an entry says, without its position, actor and type. */
export function entryText(entry: Entry): string {
  const say = words[entry.type] as ((entry: Entry) => string) | undefined;
  return say === undefined ? fieldsText(entry) : say(entry);
}

/** Every field of the entry; stable names. */
export function entryJson(entry: Entry, branch: string): Record<string, unknown> {
  const { seq, tick, cause, actor, type } = entry;
  const out: Record<string, unknown> = { position: `${branch}@${seq}`, seq, tick, cause, actor, type };
  for (const [name, kind] of Object.entries(schemas[type])) {
    const value = (entry as unknown as Record<string, unknown>)[name];
    if (value !== undefined) out[name] = jsonValue(kind, value);
  }
  return out;
}

/** The address of a request, and its SubstreamID. */
function asked({ iova, ssid }: { readonly iova: bigint; readonly ssid?: number | undefined }): string {
  return `iova=${hex(iova)}${ssid === undefined ? '' : ` ssid=${hex(ssid)}`}`;
}

/**
 * The fields of an entry, but for one that is said already. Its actor need not be said again, and the line of a
 * scenario is not what happened.
 */
function fieldsText(entry: Entry, said?: string): string {
  const parts: string[] = [];
  for (const [name, kind] of Object.entries(schemas[entry.type])) {
    const value = (entry as unknown as Record<string, unknown>)[name];
    if (
      value !== undefined &&
      name !== said &&
      name !== 'line' &&
      !(name === 'smmu' && value === entry.actor)
    )
      parts.push(`${name}=${showValue(kind, value)}`);
  }
  return parts.join(' ');
}

function registerAt(smmu: string, offset: number): string {
  const found = registers.at(offset - (offset % 4));
  if (found === undefined) return `${smmu}+${hex(offset)}`;
  return `${smmu}.${found.register.name}${found.word === 1 ? '[63:32]' : ''}`;
}

function wordsOf(value: bigint): readonly number[] {
  return [Number(value & 0xffff_ffffn), Number(value >> 32n)];
}

function declared(name: string) {
  return registerNamed(name);
}

function registerChange({ register, value, old }: EntryOf<'register.written' | 'register.updated'>): string {
  const of = declared(register);
  const changes = of === undefined ? [] : diff(of, wordsOf(old), wordsOf(value));
  const fields = changes.map(({ field, before, after }) => ` ${field} ${before} -> ${after}`);
  return `${register} ${hex(old)} -> ${hex(value)}${fields.length === 0 ? '' : ` (${fields.join(',').trim()})`}`;
}

function registerFields(name: string, value: bigint): string {
  const of = declared(name);
  return of === undefined ? '' : ` ${show(of, wordsOf(value)).slice(name.length + 1)}`;
}

function commandText({ command, lo, hi }: Pick<EntryOf<'command.fetched'>, 'command' | 'lo' | 'hi'>): string {
  const of = commandByOpcode(Number(lo & 0xffn))?.layout;
  if (of === undefined) return `${command} ${hex(lo)} ${hex(hi)}`;
  return show(of, [...wordsOf(lo), ...wordsOf(hi)]).replace(/ Opcode=\S+/, '');
}

function recordText(bytes: Uint8Array, record: string): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const list = Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => view.getUint32(at * 4, true));
  const of = eventRecordByNumber((list[0] ?? 0) & 0xff)?.layout;
  return of === undefined ? record : show(of, list).replace(/ EventID=\S+/, '');
}

const BYTES_SHOWN = 16;

function bytesText(bytes: Uint8Array): string {
  const more = bytes.length > BYTES_SHOWN ? `... ${bytes.length}B` : '';
  return `${hexOf(bytes.subarray(0, BYTES_SHOWN))}${more}`;
}

function sizeText(sizeLog2: number): string {
  const units = ['B', 'K', 'M', 'G', 'T'];
  return `${2 ** (sizeLog2 % 10)}${units[Math.floor(sizeLog2 / 10)] ?? ''}`;
}
