/**
 * A first pass over the file: what the machine must have been, which has to be known before the first
 * stimulus. StreamIDs appear as they are used, memory as it is touched.
 */
import type { RamRange } from '../../core/memory/memory.ts';
import { registers } from '../../core/smmu/registers.ts';
import type { TraceLine } from './events.ts';

export interface Survey {
  /** StreamIDs, and the name of the device where the console tells it. */
  readonly streams: ReadonlyMap<number, string | undefined>;
  readonly ram: readonly RamRange[];
  /** Physical address of the SMMU's registers. */
  readonly smmuBase: number;
  /** Identification registers, as the kernel read them. */
  readonly idr: Readonly<Record<string, number>>;
  /** Whether the recorder's memory lines are there, without which nothing can be re-enacted. */
  readonly hasMemory: boolean;
}

/** QEMU's virt board: registers of the SMMU, and where RAM and high device memory begin. */
const VIRT = { smmu: 0x0905_0000, ram: 0x4000_0000, devices: 0x40_0000_0000 } as const;
const PAGE = 4096;
const RAM_UNIT = 64 * 1024 * 1024;
/** Pages outside RAM that devices reached (MSI doorbells); more are not kept. */
const OUTSIDE_MAX = 4096;

/** PCI vendor and device to a name for people. */
// biome-ignore format: a table
const devices: readonly (readonly [ids: RegExp, name: string])[] = [
  [/^1234:11e8$/, 'edu'],
  [/^1b36:0010$/, 'nvme'],
  [/^1b36:000d$/, 'xhci'],
  [/^1b36:0008$/, 'bridge'],
  [/^8086:/,      'e1000'],
  [/^1af4:/,      'virtio'],
];

export class Surveyor {
  readonly #streams = new Set<number>();
  readonly #regions = new Map<string, number>();
  readonly #pci = new Map<number, string>();
  readonly #nodes: RamRange[] = [];
  readonly #idr: Record<string, number> = {};
  readonly #reached = new Set<number>();
  #lowest: number = VIRT.ram;
  #highest: number = VIRT.ram;
  #smmuBase: number = VIRT.smmu;
  #hasMemory = false;

  take(line: TraceLine): void {
    switch (line.name) {
      case 'smmu_add_mr':
        if (!this.#regions.has(line.region)) this.#regions.set(line.region, -1);
        break;
      case 'smmuv3_config_cache_hit':
      case 'smmuv3_config_cache_miss':
      case 'smmuv3_record_event':
        this.#streams.add(line.sid);
        break;
      case 'smmuv3_translate_success':
        this.#streams.add(line.sid);
        this.#regions.set(line.region, line.sid);
        this.#reach(line.pa);
        break;
      case 'smmuv3_translate_bypass':
      case 'smmuv3_translate_disable':
        this.#streams.add(line.sid);
        this.#regions.set(line.region, line.sid);
        this.#reach(line.iova);
        break;
      case 'smmuv3_translate_abort':
        this.#streams.add(line.sid);
        break;
      case 'cap_page':
      case 'cap_store':
        this.#hasMemory = true;
        this.#touch(line.pa);
        break;
      case 'cap_range':
        this.#touch(line.pa);
        this.#touch(line.pa + line.len - 1);
        break;
      case 'smmu_get_pte':
        this.#touch(line.pa);
        break;
      case 'smmuv3_read_mmio':
        this.#readRegister(line.addr, line.val);
        break;
      case 'cap_console':
        this.#console(line.text);
        break;
    }
  }

  done(): Survey {
    const ram = this.#ram();
    const outside = [...this.#reached].filter((pa) => !ram.some((range) => inside(range, pa)));
    return {
      streams: this.#named(),
      ram: [...ram, ...joined(outside)].sort((a, b) => a.base - b.base),
      smmuBase: this.#smmuBase,
      idr: this.#idr,
      hasMemory: this.#hasMemory,
    };
  }

  /** Streams seen, and devices that were added but stay silent: their device and function number. */
  #named(): Map<number, string | undefined> {
    for (const [region, sid] of this.#regions) {
      const devfn = /-(\d+)-\d+$/.exec(region)?.[1];
      if (sid < 0 && devfn !== undefined) this.#streams.add(Number(devfn));
    }
    const sorted = [...this.#streams].sort((a, b) => a - b);
    return new Map(sorted.map((sid) => [sid, this.#pci.get(sid)]));
  }

  #ram(): readonly RamRange[] {
    if (this.#nodes.length > 0) return this.#nodes;
    const base = this.#lowest - (this.#lowest % RAM_UNIT);
    return [{ base, size: Math.ceil((this.#highest + 1 - base) / RAM_UNIT) * RAM_UNIT }];
  }

  /** An address the SMMU or a CPU used as memory. */
  #touch(pa: number): void {
    if (pa < this.#lowest) this.#lowest = pa;
    if (pa > this.#highest) this.#highest = pa;
  }

  /** An address a device got to: RAM, or a doorbell. */
  #reach(pa: number): void {
    if (pa >= VIRT.ram && pa < VIRT.devices) this.#touch(pa);
    else if (this.#reached.size < OUTSIDE_MAX) this.#reached.add(pa - (pa % PAGE));
  }

  #readRegister(offset: number, value: bigint): void {
    const register = registers.at(offset)?.register.name;
    if (register !== undefined && /^(IDR[0-5]|IIDR|AIDR)$/.test(register))
      this.#idr[register] = Number(value);
  }

  #console(text: string): void {
    const node = /node\s+\d+: \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]/.exec(text);
    if (node !== null) {
      const base = Number.parseInt(node[1] ?? '', 16);
      const range = { base, size: Number.parseInt(node[2] ?? '', 16) + 1 - base };
      if (!this.#nodes.some((known) => known.base === base)) this.#nodes.push(range);
      return;
    }
    const pci = /pci [0-9a-f]{4}:([0-9a-f]{2}):([0-9a-f]{2})\.([0-7]): \[([0-9a-f]{4}:[0-9a-f]{4})\]/.exec(
      text,
    );
    if (pci !== null) {
      const [, bus = '', device = '', fn = '', ids = ''] = pci;
      const sid = Number.parseInt(bus, 16) * 256 + Number.parseInt(device, 16) * 8 + Number(fn);
      const found = devices.find(([match]) => match.test(ids));
      if (found !== undefined) this.#pci.set(sid, found[1]);
      return;
    }
    const smmu = /arm-smmu-v3 ([0-9a-f]+)\.smmuv3:/.exec(text);
    if (smmu !== null) this.#smmuBase = Number.parseInt(smmu[1] ?? '', 16);
  }
}

function inside({ base, size }: RamRange, pa: number): boolean {
  return pa >= base && pa < base + size;
}

/** Pages as ranges, neighbours in one. */
function joined(pages: readonly number[]): RamRange[] {
  const ranges: { base: number; size: number }[] = [];
  for (const page of [...pages].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last.base + last.size === page) last.size += PAGE;
    else ranges.push({ base: page, size: PAGE });
  }
  return ranges;
}
