/**
 * Makes captures of any length in the recorder's format, by a small model of the emulator of its own:
 * devices that map, use and unmap pages, CPUs that invalidate and wait, faults whose records are read.
 * Seeded; lines come one by one, so a capture of 10^7 lines needs no memory.
 */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createGzip } from 'node:zlib';
import {
  configurationLines,
  type Device,
  type Granule,
  hex,
  lookupLine,
  makeDevice,
  place,
  walkLines,
} from './big-trace-lines.ts';

export interface BigTraceOptions {
  /** At least so many lines. */
  readonly lines: number;
  readonly seed?: number;
  readonly cpus?: number;
  readonly devices?: number;
  /** log2 of the granule: 12, 14, 16. */
  readonly granule?: Granule;
  readonly commandLog2?: number;
  readonly eventLog2?: number;
  /** One step in so many is a refused access; 0 for none. */
  readonly faultEvery?: number;
  /** The records are taken away at one fault in so many; more than the queue holds are lost. */
  readonly drainEvery?: number;
  /** Lines begin with thread and time. */
  readonly prefix?: boolean;
  /** One unmap in so many forgets its invalidation; 0 for none. */
  readonly forgetEvery?: number;
}

const { cmdq: CMDQ, evtq: EVTQ, strtab: STRTAB, stes: STES, data: DATA } = place;
const DEVICE_THREAD = 100;

/** The lines of a capture. */
export function* bigTrace(options: BigTraceOptions): Generator<string> {
  const maker = new Maker(options);
  yield* maker.boot();
  while (maker.made < options.lines) yield* maker.step();
  yield* maker.end();
}

/** Writes a capture to a file, gzip when its name ends so. Returns how many lines. */
export async function writeBigTrace(file: string, options: BigTraceOptions): Promise<number> {
  const out = createWriteStream(file);
  const sink = file.endsWith('.gz') ? createGzip() : out;
  if (sink !== out) sink.pipe(out);
  let block = '';
  let lines = 0;
  for (const line of bigTrace(options)) {
    block += `${line}\n`;
    lines += 1;
    if (block.length < 1 << 16) continue;
    if (!sink.write(block)) await once(sink, 'drain');
    block = '';
  }
  sink.end(block);
  await once(out, 'close');
  return lines;
}

class Maker {
  made = 0;
  readonly #options: Required<BigTraceOptions>;
  readonly #devices: Device[] = [];
  readonly #tlb = new Map<string, bigint>();
  readonly #memory = new Map<number, bigint>();
  #random: number;
  #micros = 0;
  #commandProd = 0;
  #eventProd = 0;
  #eventCons = 0;
  #gerror = 0;
  #gerrorn = 0;

  constructor(options: BigTraceOptions) {
    this.#options = {
      seed: 1,
      cpus: 1,
      devices: 2,
      granule: 12,
      commandLog2: 8,
      eventLog2: 7,
      faultEvery: 40,
      drainEvery: 1,
      prefix: true,
      forgetEvery: 0,
      ...options,
    };
    this.#random = this.#options.seed >>> 0 || 1;
  }

  *boot(): Generator<string> {
    const { devices, commandLog2, eventLog2 } = this.#options;
    for (let at = 0; at < devices; at += 1) this.#devices.push(makeDevice(at, this.#options.granule));
    for (const { sid } of this.#devices)
      yield this.#by(DEVICE_THREAD, `smmu_add_mr smmuv3-iommu-memory-region-${sid}-1`);
    yield this.#cpu(0, 'cap_console [    0.000000]   node   0: [mem 0x0000000040000000-0x000000005fffffff]');
    yield* this.#write(0, 0x80, 8, 0x4000_0000_0000_0000n + BigInt(STRTAB));
    yield* this.#write(0, 0x88, 4, 0x10210n);
    yield this.#cpu(0, `cap_page pa=${hex(STRTAB)} kind=l1st ic=1 words=`);
    yield* this.#write(0, 0x90, 8, BigInt(CMDQ) + BigInt(commandLog2));
    yield this.#cpu(0, `cap_range pa=${hex(CMDQ)} len=${hex(16 * 2 ** commandLog2)} kind=cmdq ic=1`);
    yield* this.#write(0, 0x98, 4, 0n);
    yield* this.#write(0, 0x9c, 4, 0n);
    yield* this.#write(0, 0xa0, 8, BigInt(EVTQ) + BigInt(eventLog2));
    yield this.#cpu(0, `cap_range pa=${hex(EVTQ)} len=${hex(32 * 2 ** eventLog2)} kind=evtq ic=1`);
    yield* this.#write(0, 0x100a8, 4, 0n);
    yield* this.#write(0, 0x100ac, 4, 0n);
    yield* this.#write(0, 0x50, 4, 5n);
    yield* this.#write(0, 0x20, 4, 0xdn);
    yield this.#store(0, STRTAB, BigInt(STES) + 9n, 'l1st');
    for (let page = 0; page < 4; page += 1)
      yield this.#cpu(0, `cap_page pa=${hex(STES + page * 4096)} kind=st ic=1 words=`);
    for (const device of this.#devices) yield* this.#attach(device);
  }

  *step(): Generator<string> {
    const device = this.#devices[this.#draw(this.#devices.length)]!;
    const cpu = this.#draw(this.#options.cpus);
    const { faultEvery } = this.#options;
    if (faultEvery > 0 && this.#draw(faultEvery) === 0) return yield* this.#fault(device, cpu);
    const page = this.#draw(400);
    if (!device.pages.has(page)) yield* this.#map(device, cpu, page);
    const uses = 1 + this.#draw(4);
    for (let use = 0; use < uses; use += 1) yield* this.#use(device, page);
    if (this.#draw(3) === 0) yield* this.#unmap(device, cpu, page);
  }

  *end(): Generator<string> {
    yield this.#by(DEVICE_THREAD, `cap_end stores=0 unseen=0 devstores=0 pages=0 live=0 ic=1`);
  }

  *#attach(device: Device): Generator<string> {
    const { granule } = this.#options;
    const tg = granule === 12 ? 0n : granule === 14 ? 2n : 1n;
    const cd0 = (0x3510n & ~0xc0n) | (tg << 6n) | 0x1_e204_8000_0000n | (1n << 30n) | (4n << 32n);
    const word0 = (cd0 & 0xffff_ffff_ffffn) | (BigInt(device.asid) << 48n);
    const ste = STES + device.sid * 64;
    yield this.#store(0, ste, BigInt(device.cd) + 0xbn, 'st');
    const ttb = device.tables[0]!.pa;
    yield this.#cpu(0, `cap_page pa=${hex(device.cd)} kind=cd ic=1 words=0x0:${hex(word0)},0x8:${hex(ttb)}`);
    this.#memory.set(device.cd, word0);
    this.#memory.set(device.cd + 8, BigInt(ttb));
    yield this.#cpu(
      0,
      `cap_page pa=${hex(ttb)} kind=pt level=${device.tables[0]!.level} granule=${2 ** granule} ic=1 words=`,
    );
    yield* this.#commands(0, [[0x3n | (BigInt(device.sid) << 32n), 1n]]);
    for (let at = 0; at + 1 < device.tables.length; at += 1) {
      const { pa, level, index } = device.tables[at]!;
      const next = device.tables[at + 1]!.pa;
      yield this.#store(0, pa + index * 8, BigInt(next) + 3n, `pt level=${level}`);
      for (let page = 0; page < 2 ** granule; page += 4096) {
        yield this.#cpu(
          0,
          `cap_page pa=${hex(next + page)} kind=pt level=${level + 1} granule=${2 ** granule} ic=1 words=`,
        );
      }
    }
  }

  *#map(device: Device, cpu: number, page: number): Generator<string> {
    const { granule } = this.#options;
    const frame = this.#draw(256);
    const pte = BigInt(DATA + frame * 2 ** granule) + (this.#draw(4) === 0 ? 0xfc7n : 0xf47n);
    device.pages.set(page, pte);
    yield this.#store(cpu, device.leafTable + page * 8, pte, 'pt level=3');
  }

  *#unmap(device: Device, cpu: number, page: number): Generator<string> {
    const { granule, forgetEvery } = this.#options;
    device.pages.delete(page);
    yield this.#store(cpu, device.leafTable + page * 8, 0n, 'pt level=3');
    if (forgetEvery > 0 && this.#draw(forgetEvery) === 0) return;
    const address = device.window + page * 2 ** granule;
    const tg = BigInt((granule - 10) / 2);
    yield* this.#commands(cpu, [
      [0x12n | (BigInt(device.asid) << 48n), BigInt(address) | (tg << 10n) | (3n << 8n) | 1n],
    ]);
  }

  /** One access by the device, as the model prints it. */
  *#use(device: Device, page: number): Generator<string> {
    const { granule } = this.#options;
    const address = device.window + page * 2 ** granule;
    const offset = this.#draw(2 ** granule);
    yield* this.#lines(configurationLines(device, granule, (pa) => this.#memory.get(pa) ?? 0n));
    const key = `${device.asid}:${address}`;
    let pte = this.#tlb.get(key);
    if (pte !== undefined) {
      yield this.#by(DEVICE_THREAD, lookupLine(device, 'hit', address));
    } else {
      pte = device.pages.get(page) ?? 0n;
      yield this.#by(DEVICE_THREAD, lookupLine(device, 'miss', address));
      yield* this.#lines(walkLines(device, granule, address, pte));
      const leaf = device.leafTable + page * 8;
      yield this.#by(
        DEVICE_THREAD,
        `smmu_ptw_page_pte stage=1 level=3 iova=${hex(address)} base@=${hex(device.leafTable)} pte@=${hex(leaf)} pte=${hex(pte)} page address = ${hex(frameOf(pte, granule))}`,
      );
      if (this.#tlb.size >= 256) {
        this.#tlb.clear();
        yield this.#by(DEVICE_THREAD, 'smmu_iotlb_inv_all IOTLB invalidate all');
      }
      this.#tlb.set(key, pte);
      yield this.#by(
        DEVICE_THREAD,
        `smmu_iotlb_insert IOTLB ++ asid=${device.asid} addr=${hex(address)} tg=${(granule - 10) / 2} level=3`,
      );
    }
    const perm = (pte & 0x80n) !== 0n ? 1 : 3;
    const translated = frameOf(pte, granule) + offset;
    yield this.#by(
      DEVICE_THREAD,
      `smmuv3_translate_success smmuv3-iommu-memory-region-${device.sid}-1 sid=${hex(device.sid)} iova=${hex(address + offset)} translated=${hex(translated)} perm=${hex(perm)}`,
    );
  }

  /** An access beyond what is ever mapped, and its record; then a CPU that takes records away. */
  *#fault(device: Device, cpu: number): Generator<string> {
    const { granule } = this.#options;
    const page = 400 + this.#draw(100);
    const iova = device.window + page * 2 ** granule + 4 * this.#draw(64);
    const read = this.#draw(2) === 0;
    yield* this.#lines(configurationLines(device, granule, (pa) => this.#memory.get(pa) ?? 0n));
    const address = device.window + page * 2 ** granule;
    yield this.#by(DEVICE_THREAD, lookupLine(device, 'miss', address));
    yield* this.#lines(walkLines(device, granule, address, 0n));
    const leaf = device.leafTable + page * 8;
    yield this.#by(
      DEVICE_THREAD,
      `smmu_ptw_invalid_pte stage=1 level=3 base@=${hex(device.leafTable)} pte@=${hex(leaf)} offset=${page} pte=0x0`,
    );
    yield* this.#record(device, [
      0x10n | (BigInt(device.sid) << 32n),
      read ? 0x8_0000_0000n : 0n,
      BigInt(iova),
      0n,
    ]);
    if (this.#draw(this.#options.drainEvery) === 0) yield* this.#drain(cpu);
  }

  /** A record gets into the queue, or finds it full. */
  *#record(device: Device, words: readonly bigint[]): Generator<string> {
    const { eventLog2 } = this.#options;
    yield this.#by(DEVICE_THREAD, `smmuv3_record_event SMMU_EVT_F_TRANSLATION sid=${hex(device.sid)}`);
    if ((this.#eventProd ^ this.#eventCons) === 2 ** eventLog2) {
      if (this.#gerror !== this.#gerrorn) return;
      this.#gerror ^= 4;
      yield this.#by(DEVICE_THREAD, `smmuv3_write_gerror toggled=0x4, new GERROR=${hex(this.#gerror)}`);
      yield this.#by(DEVICE_THREAD, 'smmuv3_trigger_irq irq=3');
      return;
    }
    yield this.#by(DEVICE_THREAD, 'smmuv3_trigger_irq irq=0');
    const slot = EVTQ + (this.#eventProd % 2 ** eventLog2) * 32;
    for (const [at, word] of words.entries()) {
      const old = this.#memory.get(slot + at * 8) ?? 0n;
      if (old === word) continue;
      this.#memory.set(slot + at * 8, word);
      yield this.#by(
        DEVICE_THREAD,
        `cap_devstore pa=${hex(slot + at * 8)} size=8 val=${hex(word)} kind=evtq old=${hex(old)} by=smmu`,
      );
    }
    this.#eventProd = (this.#eventProd + 1) & (2 ** (eventLog2 + 1) - 1);
  }

  *#drain(cpu: number): Generator<string> {
    yield this.#cpu(cpu, `smmuv3_read_mmio addr: 0xa8 val:${hex(this.#eventProd)} size: 0x4(0)`);
    this.#eventCons = this.#eventProd;
    yield* this.#write(cpu, 0x100ac, 4, BigInt(this.#eventCons));
    yield this.#cpu(cpu, `smmuv3_read_mmio addr: 0x60 val:${hex(this.#gerror)} size: 0x4(0)`);
    // Now and then the error is left active for a while.
    if (this.#gerror === this.#gerrorn || this.#draw(2) === 0) return;
    this.#gerrorn = this.#gerror;
    yield* this.#write(cpu, 0x64, 4, BigInt(this.#gerrorn));
  }

  /** Puts the commands and a CMD_SYNC in the queue, and has them taken. */
  *#commands(cpu: number, commands: readonly (readonly [bigint, bigint])[]): Generator<string> {
    const { commandLog2 } = this.#options;
    const size = 2 ** commandLog2;
    const all = [...commands, [0xfc02046n, 0n] as const];
    const first = this.#commandProd;
    for (const [at, [low, high]] of all.entries()) {
      const pa = CMDQ + ((first + at) % size) * 16;
      yield this.#store(cpu, pa, low, 'cmdq');
      yield this.#store(cpu, pa + 8, high, 'cmdq');
    }
    const prod = (first + all.length) % (size * 2);
    yield this.#cpu(cpu, `cap_mmio_write off=0x98 val=${hex(prod)} size=4 cpu=${cpu} ic=1`);
    const ends = `prod.wrap=${Math.floor(prod / size)}`;
    for (const [at, [low, high]] of all.entries()) {
      const cons = (first + at) % (size * 2);
      yield this.#cpu(
        cpu,
        `smmuv3_cmdq_consume prod=${prod % size} cons=${cons % size} ${ends} cons.wrap=${Math.floor(cons / size)}`,
      );
      yield* this.#effect(cpu, low, high);
    }
    this.#commandProd = prod;
    const wrap = Math.floor(prod / size);
    yield this.#cpu(
      cpu,
      `smmuv3_cmdq_consume_out prod:${prod % size}, cons:${prod % size}, prod_wrap:${wrap}, cons_wrap:${wrap} `,
    );
    yield this.#cpu(cpu, `smmuv3_write_mmio addr: 0x98 val:${hex(prod)} size: 0x4(0)`);
    yield this.#cpu(cpu, `smmuv3_read_mmio addr: 0x9c val:${hex(prod)} size: 0x4(0)`);
  }

  *#effect(cpu: number, low: bigint, high: bigint): Generator<string> {
    const opcode = Number(low & 0xffn);
    if (opcode === 3) {
      const sid = Number(low >> 32n);
      for (const device of this.#devices) if (device.sid === sid) device.configured = false;
      yield this.#cpu(cpu, 'smmuv3_cmdq_opcode <--- SMMU_CMD_CFGI_STE');
      yield this.#cpu(cpu, `smmuv3_cmdq_cfgi_ste streamid= ${hex(sid)}`);
      yield this.#cpu(cpu, `smmuv3_config_cache_inv Config cache INV for sid=${hex(sid)}`);
    } else if (opcode === 0x12) {
      const asid = Number(low >> 48n);
      const address = Number((high >> 12n) << 12n);
      this.#tlb.delete(`${asid}:${address}`);
      yield this.#cpu(cpu, 'smmuv3_cmdq_opcode <--- SMMU_CMD_TLBI_NH_VA');
      yield this.#cpu(
        cpu,
        `smmuv3_s1_range_inval vmid=0 asid=${asid} addr=${hex(address)} tg=${(this.#options.granule - 10) / 2} num_pages=0x1 ttl=3 leaf=1`,
      );
    } else yield this.#cpu(cpu, 'smmuv3_cmdq_opcode <--- SMMU_CMD_SYNC');
  }

  *#write(cpu: number, offset: number, size: number, value: bigint): Generator<string> {
    yield this.#cpu(cpu, `cap_mmio_write off=${hex(offset)} val=${hex(value)} size=${size} cpu=${cpu} ic=1`);
    yield this.#cpu(
      cpu,
      `smmuv3_write_mmio addr: ${hex(offset & 0xffff)} val:${hex(value)} size: 0x${size}(0)`,
    );
  }

  #store(cpu: number, pa: number, value: bigint, kind: string): string {
    const old = this.#memory.get(pa) ?? 0n;
    if (value === 0n) this.#memory.delete(pa);
    else this.#memory.set(pa, value);
    return this.#cpu(
      cpu,
      `cap_store pa=${hex(pa)} size=8 val=${hex(value)} kind=${kind} old=${hex(old)} cpu=${cpu} pc=0xffff8000088b4734 ic=1`,
    );
  }

  *#lines(texts: Iterable<string>): Generator<string> {
    for (const text of texts) yield this.#by(DEVICE_THREAD, text);
  }

  #cpu(cpu: number, text: string): string {
    return this.#by(DEVICE_THREAD + 1 + cpu, text);
  }

  #by(thread: number, text: string): string {
    this.made += 1;
    this.#micros += 3;
    if (!this.#options.prefix) return text;
    const seconds = 1_700_000_000 + Math.floor(this.#micros / 1e6);
    return `${thread}@${seconds}.${String(this.#micros % 1e6).padStart(6, '0')}:${text}`;
  }

  /** 0 to `below` - 1; xorshift. */
  #draw(below: number): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0;
    return this.#random % below;
  }
}

function frameOf(pte: bigint, granule: number): number {
  return Number(((pte & 0xffff_ffff_ffffn) >> BigInt(granule)) << BigInt(granule));
}
