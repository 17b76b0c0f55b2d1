/** Arguments for random ioctls: what could be meant, with some bits turned, or nothing but chance. */
import type { Request } from '../../core/kernel/requests.ts';
import type { StructField } from '../../core/kernel/uapi/struct.ts';
import type { Luck } from './fuzz.ts';
import { BUFFER_BYTES, PAGE, pick, type World } from './fuzz-ioctl-world.ts';

/** Doublewords that mean something behind a pointer: vSTEs, commands, ranges. */
const words: readonly bigint[] = [
  0x10n,
  0x11n,
  0x9n,
  0xbn,
  0x1n,
  0x0n,
  0xdn,
  0x2000bn,
  0x10n,
  0x30n,
  0x12n,
  0x11n,
  0x5n,
  0x46n,
  0x40n,
  0x1000n,
  0xffffn,
  0x4_0000_0000n,
];
export const iovas: readonly bigint[] = [
  0n,
  0x1000n,
  0x10_0000n,
  0x20_0000n,
  0x800_0000n,
  2n ** 48n,
  2n ** 64n - 1n,
  0x1800n,
];
const lengths: readonly bigint[] = [
  0x1000n,
  0x2000n,
  0x1_0000n,
  0x20_0000n,
  0n,
  1n,
  0x1800n,
  2n ** 63n,
  2n ** 64n - 1n,
];

function pointer(luck: Luck, { buffers, page }: World): bigint {
  const base = luck.below(8) === 0 ? page : pick(luck, buffers);
  return luck.below(3) === 0 ? base + BigInt(luck.below(BUFFER_BYTES)) : base + PAGE * BigInt(luck.below(16));
}

/** The kind of object that a field's name asks for. */
const kindOf: Readonly<Record<string, string>> = {
  dev_id: 'device',
  ioas_id: 'ioas',
  src_ioas_id: 'ioas',
  dst_ioas_id: 'ioas',
  viommu_id: 'viommu',
  fault_id: 'fault',
};

/** Mostly an object that is there, of the kind that is asked for. */
function someId(luck: Luck, world: World, name: string, context: number): bigint {
  return luck.below(6) === 0 ? BigInt(luck.below(24)) : idOf(luck, world, kindOf[name], context);
}

function idOf(luck: Luck, { of }: World, kind: string | undefined, context = 1): bigint {
  const objects = of.simulation.glance.kernel?.contexts[context]?.objects;
  const all = [...(objects?.range() ?? [])].map(([, object]) => object);
  const fit = all.filter((each) => kind === undefined || each.kind === kind);
  return fit.length === 0 ? 1n : BigInt(pick(luck, fit).id);
}

/** Fields that only together make a call go further than its first checks. */
const together: Readonly<Record<string, (luck: Luck, world: World) => Readonly<Record<string, bigint>>>> = {
  IOMMU_IOAS_MAP: (luck) => ({
    flags: pick(luck, [7n, 7n, 6n, 3n]),
    length: pick(luck, lengths.slice(0, 3)),
  }),
  IOMMU_IOAS_MAP_FILE: (luck) => ({ flags: 6n, length: pick(luck, lengths.slice(0, 3)), start: 0n }),
  IOMMU_IOAS_COPY: (luck) => ({
    flags: pick(luck, [6n, 3n, 7n]),
    length: pick(luck, lengths.slice(0, 2)),
    src_iova: 0x10_0000n,
  }),
  IOMMU_IOAS_UNMAP: (luck, world) => someArea(luck, world),
  IOMMU_HWPT_ALLOC: (luck) =>
    pick(luck, [
      { data_type: 0n, data_len: 0n },
      { data_type: 2n, data_len: 16n, flags: 0n },
    ]),
  IOMMU_HWPT_INVALIDATE: (luck, world) => ({
    hwpt_id: idOf(luck, world, 'viommu'),
    data_type: 1n,
    entry_len: 16n,
    data_uptr: world.page,
  }),
  IOMMU_VIOMMU_ALLOC: (luck, world) => ({
    hwpt_id: idOf(luck, world, 'hwpt_paging'),
    ...pick<Readonly<Record<string, bigint>>>(luck, [{ type: 1n }, { type: 2n, data_len: 16n }]),
  }),
  IOMMU_HW_QUEUE_ALLOC: () => ({ type: 1n, index: 0n, nesting_parent_iova: 0x10_0000n, length: 0x1000n }),
  IOMMU_HWPT_GET_DIRTY_BITMAP: (luck, world) => ({
    hwpt_id: idOf(luck, world, 'hwpt_paging'),
    iova: 0x10_0000n,
    length: 0x8000n,
  }),
};

/** Where an area is, or is nearly. */
function someArea(luck: Luck, { of }: World): Readonly<Record<string, bigint>> {
  const maps = of.simulation.glance.kernel?.contexts[1]?.areas;
  const areas = [...(maps?.range() ?? [])].flatMap(([, each]) =>
    [...each.range()].flatMap(([, list]) => list),
  );
  const area = areas[luck.below(Math.max(1, areas.length))];
  return area === undefined ? {} : { iova: area.iova, length: area.last - area.iova + 1n };
}

interface Wanted {
  readonly name: string;
  readonly field: StructField;
  /** Of the file that is asked. */
  readonly context: number;
}

/** A value that a program could mean by a field. */
function plausible(luck: Luck, world: World, { name, field, context }: Wanted): bigint {
  if (field.points !== undefined || /va$|vaddr|uptr|^data$|start/.test(name)) return pointer(luck, world);
  if (/iova/.test(name)) return pick(luck, iovas) + PAGE * BigInt(luck.below(16));
  if (/data_len/.test(name)) return pick(luck, [0n, 16n, 16n, 40n]);
  if (/^len|length|bytes/.test(name)) return pick(luck, lengths);
  if (/page_size/.test(name)) return PAGE;
  if (/entry_len/.test(name)) return 16n;
  if (/reserved/.test(name)) return 0n;
  if (/fd$/.test(name)) return BigInt(3 + luck.below(12));
  if (/^(pasid|virt_id)$/.test(name)) return BigInt(luck.below(6));
  if (/id$/.test(name)) return someId(luck, world, name, context);
  if (/^flags$/.test(name)) return BigInt(luck.below(2) === 0 ? 0 : luck.below(16));
  if (/type$/.test(name)) return BigInt(luck.below(3));
  if (/num|depth/.test(name)) return BigInt(luck.below(4));
  return BigInt(luck.below(luck.below(2) === 0 ? 4 : 16));
}

/** The bytes of an argument: what could be meant, bits turned in it, or nothing but chance. */
export function argumentOf(
  luck: Luck,
  world: World,
  { name, struct, bytes }: Request,
  context: number,
): Uint8Array {
  const kind = luck.below(12);
  const longer = luck.below(10) === 0 ? luck.below(32) : 0;
  const out = new Uint8Array(Math.max(8, bytes + longer));
  if (kind === 0) for (let at = 0; at < out.length; at += 1) out[at] = luck.below(256);
  else if (struct !== undefined) {
    const set = luck.below(4) > 0 ? together[name]?.(luck, world) : undefined;
    for (const [each, field] of Object.entries(struct.fields)) {
      const width = Math.min(field.bytes, 8);
      let value = set?.[each] ?? plausible(luck, world, { name: each, field, context });
      for (let at = 0; at < width; at += 1, value >>= 8n) out[field.offset + at] = Number(value & 0xffn);
    }
  }
  const view = new DataView(out.buffer);
  const size = luck.below(16) === 0 ? luck.below(2 * bytes + 8) : bytes + longer;
  if (luck.below(24) > 0) view.setUint32(0, size, true);
  for (let turns = kind < 4 ? luck.below(3) : 0; turns > 0; turns -= 1) {
    const bit = luck.below(out.length * 8);
    out[bit >>> 3] = (out[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
  }
  return out;
}

/** Bytes for pointers to lead to. */
export function dataFor(luck: Luck): Uint8Array {
  const out = new Uint8Array(64);
  const view = new DataView(out.buffer);
  for (let at = 0; at < 64; at += 8)
    view.setBigUint64(at, luck.below(4) === 0 ? luck.near(pick(luck, words)) : pick(luck, words), true);
  return out;
}

/** Where the struct begins: mostly so that it fits its page, sometimes so that it does not. */
export function placeFor(luck: Luck, { page }: World, bytes: number): bigint {
  if (luck.below(80) === 0) return luck.below(2) === 0 ? luck.word() : page + PAGE - BigInt(luck.below(32));
  return page + BigInt(luck.below(2) * (Number(PAGE) - Math.ceil(bytes / 8) * 8));
}
