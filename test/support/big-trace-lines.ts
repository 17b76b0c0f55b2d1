/** The lines that the emulator prints for a device of a made capture: its configuration and its walks. */

// biome-ignore format: a table
export const place = {
  cmdq: 0x5b70_0000, evtq: 0x5b80_0000, strtab: 0x4308_a000, stes: 0x5b66_0000, tables: 0x4800_0000, data: 0x4a00_0000,
} as const;

export interface Device {
  readonly sid: number;
  readonly asid: number;
  readonly cd: number;
  /** Tables from the first level to the last. */
  readonly tables: readonly { readonly pa: number; readonly level: number; readonly index: number }[];
  readonly leafTable: number;
  /** First address of the window that the last table maps. */
  readonly window: number;
  readonly pages: Map<number, bigint>;
  hits: number;
  misses: number;
  configured: boolean;
}

export type Granule = 12 | 14 | 16;

/** As the trace prints numbers. */
export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

/** The device of index `at`: StreamIDs 0x10, 0x18, ..., a window of addresses and tables of its own. */
export function makeDevice(at: number, granule: Granule): Device {
  const stride = granule - 3;
  const first = 4 - Math.ceil((48 - granule) / stride);
  const base = place.tables + at * 0x10_0000;
  const window = (at + 1) * 2 ** (granule + stride);
  const tables = [];
  for (let level = first; level <= 3; level += 1) {
    const index = Math.floor(window / 2 ** (granule + stride * (3 - level))) % 2 ** stride;
    tables.push({ pa: base + (level - first) * 0x1_0000, level, index });
  }
  return {
    sid: 0x10 + at * 8,
    asid: at + 1,
    cd: base + 0x8_0000,
    tables,
    leafTable: tables.at(-1)!.pa,
    window,
    pages: new Map(),
    hits: 0,
    misses: 0,
    configured: false,
  };
}

/** The configuration is found in the cache, or read: STE and CD. */
export function* configurationLines(
  device: Device,
  granule: Granule,
  read: (pa: number) => bigint,
): Generator<string> {
  const about = `for sid=${hex(device.sid)} (hits=1, misses=1, hit rate=50)`;
  if (device.configured) return yield `smmuv3_config_cache_hit Config cache HIT ${about}`;
  device.configured = true;
  const ste = place.stes + device.sid * 64;
  yield `smmuv3_config_cache_miss Config cache MISS ${about}`;
  yield `smmuv3_find_ste sid=${hex(device.sid)} features:0x1, sid_split:0x8`;
  yield `smmuv3_find_ste_2lvl strtab_base:0x4000000043${'08a000'} l1ptr:${hex(place.strtab)} l1_off:0x0, l2ptr:${hex(place.stes)} l2_off:${hex(device.sid)} max_l2_ste:511`;
  yield `cap_fetch pa=${hex(ste)} kind=ste words=${hex(read(ste))},0x0,0x0,0x0,0x0,0x0,0x0,0x0`;
  yield `smmuv3_get_ste STE addr: ${hex(ste)}`;
  const [cd0, cd1] = [read(device.cd), read(device.cd + 8)];
  yield `cap_fetch pa=${hex(device.cd)} kind=cd words=${hex(cd0)},${hex(cd1)},0x0,0x0,0x0,0x0,0x0,0x0`;
  yield `smmuv3_get_cd CD addr: ${hex(device.cd)}`;
  yield 'smmuv3_decode_cd oas=44';
  yield `smmuv3_decode_cd_tt TT[0]:tsz:16 ttb:${hex(device.tables[0]!.pa)} granule_sz:${granule} had:0`;
}

/** The look-up in the TLB, counted. */
export function lookupLine(device: Device, result: 'hit' | 'miss', address: number): string {
  if (result === 'hit') device.hits += 1;
  else device.misses += 1;
  const { asid, hits, misses } = device;
  const rate = Math.floor((100 * hits) / (hits + misses));
  return `smmu_iotlb_lookup_${result} IOTLB cache ${result.toUpperCase()} asid=${asid} addr=${hex(address)} hit=${hits} miss=${misses} hit rate=${rate}`;
}

/** The walk down to the leaf, or to what is not one. */
export function* walkLines(
  device: Device,
  granule: Granule,
  address: number,
  leaf: bigint,
): Generator<string> {
  for (const [at, { pa, level, index }] of device.tables.entries()) {
    const last = at + 1 === device.tables.length;
    const slot = last ? (address - device.window) / 2 ** granule : index;
    const pte = last ? leaf : BigInt(device.tables[at + 1]!.pa) + 3n;
    const span = 2 ** (granule + (granule - 3) * (3 - level));
    yield `smmu_get_pte baseaddr=${hex(pa)} index=${hex(slot)}, pteaddr=${hex(pa + slot * 8)}, pte=${hex(pte)}`;
    yield `smmu_ptw_level level=${level} iova=${hex(address)} subpage_sz=${hex(span)} baseaddr=${hex(pa)} offset=${slot} => pte=${hex(pte)}`;
  }
}
