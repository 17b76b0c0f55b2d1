/**
 * Wants to show: whatever two contexts do with memory, IOASes, HWPTs and devices on two SMMUs, in whatever order and
 * with devices at work in between, what devices reach is what the IOASes hold, page by page; what was unmapped is
 * neither in tables nor in TLBs; references, ids, tags and memory are in order; and at the end all is as it was. How:
 * random calls; after each the rules are made anew from who holds what, and a DMA goes where an area is or is not.
 * IOMMUFD_RUNS says how many sequences, IOMMUFD_SEED which.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AnyObject, Area, Context, HwptNested, HwptPaging } from '../../core/kernel/iommufd/state.ts';
import { runsOf } from '../../core/kernel/process/memory.ts';
import type { State } from '../../core/state.ts';
import { checkHistory } from '../../projections/check.ts';
import { wrongIn } from '../support/iommufd-rules.ts';
import { type Host, host, type Outcome } from '../support/kernel.ts';
import { freePages } from '../support/reach.ts';

const RUNS = Number(process.env['IOMMUFD_RUNS'] ?? 30);
const SEED = Number(process.env['IOMMUFD_SEED'] ?? 7);
const CALLS_MAX = 60;
const PAGE = 0x1000;
const HUGE = 0x20_0000;

const machine = {
  smmus: [
    { name: 'smmu0', base: 0x1000_0000, choices: { tegra241Param: 0x1221 } },
    { name: 'smmu1', base: 0x1100_0000 },
  ],
  endpoints: [
    { name: 'dev0', streamId: 0x108, ssidBits: 5, ats: true },
    { name: 'dev1', streamId: 0x109, ssidBits: 0 },
    { name: 'dev2', smmu: 'smmu1', streamId: 0x208, ssidBits: 0 },
  ],
};
const contexts = ['iommu0', 'iommu1'];
const devices = machine.endpoints.map(({ name }) => name);
/** Nobody's stage 1: abort, bypass, abort by Config. */
const BYPASS = '09'.padEnd(32, '0');
const VSTES = [BYPASS, BYPASS, '01'.padEnd(32, '0'), '00'.padEnd(32, '0')];
const NH_ALL = '10'.padEnd(32, '0');

interface Drawn {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly fd: string;
  readonly dev: string;
}

/** A host, and the memory that its process has. */
interface World extends Host {
  readonly memory: string[];
}

type Step = (of: World, drawn: Drawn) => void;

function contextOf({ state }: Host, fd: string): Context | undefined {
  const file = state.kernel!.files[state.kernel!.names[fd] ?? -1];
  return file?.kind === 'iommufd' ? state.kernel!.contexts[file.context] : undefined;
}

/** An object of one of these kinds, and now and then any id. */
function pick(of: Host, fd: string, draw: number, ...kinds: readonly AnyObject['kind'][]): number {
  const all = [...(contextOf(of, fd)?.objects.range() ?? [])].map(([, object]) => object);
  const fit = all.filter(({ kind }) => kinds.length === 0 || kinds.includes(kind));
  return fit.length === 0 || draw % 16 === 0 ? (draw % 12) + 1 : fit[draw % fit.length]!.id;
}

const places = [0x10_0000, 2 * HUGE, 2 * HUGE + HUGE / 2, 0x4000_0000 - 0x4000, 0x7f_ffff_e000];
const place = (draw: number): number => places[draw % places.length]! + PAGE * (Math.floor(draw / 8) % 4);
const sizes = [PAGE, 4 * PAGE, 16 * PAGE, HUGE / 2, HUGE, HUGE + PAGE];
const size = (draw: number): number => sizes[draw % sizes.length]!;

const vfio = (of: Host, dev: string, name: string, arg: object): Outcome =>
  of.line({ op: 'ioctl', fd: `vfio:${dev}`, name, arg });
const ask = (of: Host, fd: string, name: string, arg: object): Outcome =>
  of.line({ op: 'ioctl', fd, name, arg });
const deviceIn = (of: Host, fd: string, draw: number): number => pick(of, fd, draw, 'device');
const ATTACH = 'VFIO_DEVICE_ATTACH_IOMMUFD_PT';
const DETACH = 'VFIO_DEVICE_DETACH_IOMMUFD_PT';

function areaOf(of: Host, fd: string, draw: number): { ioas: number; area: Area } | undefined {
  const context = contextOf(of, fd);
  const all = [...(context?.areas.range() ?? [])].flatMap(([ioas, each]) =>
    [...each.range()].flatMap(([, list]) => list.map((area) => ({ ioas, area }))),
  );
  return all[draw % Math.max(1, all.length)];
}

const map: Step = (of, { a, b, c, fd }) => {
  const user_va = of.memory[a % Math.max(1, of.memory.length)] ?? 0x1000;
  const ioas_id = pick(of, fd, b, 'ioas');
  const flags = [7, 7, 7, 5, 3, 6][c % 6]!;
  ask(of, fd, 'IOMMU_IOAS_MAP', { ioas_id, flags, user_va, length: size(b + c), iova: place(c) });
};

const unmap: Step = (of, { a, b, fd }) => {
  const found = areaOf(of, fd, a);
  if (found === undefined) return;
  const { iova, last } = found.area;
  const length = [last - iova + 1n, last - iova + 1n, BigInt(HUGE), BigInt(PAGE)][b % 4]!;
  ask(of, fd, 'IOMMU_IOAS_UNMAP', { ioas_id: found.ioas, iova: Number(iova), length: Number(length) });
};

const attach: Step = (of, { a, dev, b }) => {
  const fd = contexts[b % 8 === 0 ? 1 : 0]!;
  vfio(of, dev, ATTACH, { pt_id: pick(of, fd, a, 'ioas', 'hwpt_paging', 'hwpt_nested') });
};

const bind: Step = (of, { dev, b }) => {
  of.line({ op: 'close', fd: `vfio:${dev}` });
  of.line({ op: 'open', fd: `vfio:${dev}` });
  vfio(of, dev, 'VFIO_DEVICE_BIND_IOMMUFD', { iommufd: of.state.kernel!.names[contexts[b % 2]!] ?? -1 });
};

const access: Step = (of, { a, b, c, dev }) => {
  const pasid = c % 5 === 0 && dev === 'dev0' ? 1 + (b % 2) : 0;
  const { areas = [] } = attachedAt(of.state, dev, pasid) ?? {};
  const area = areas[a % Math.max(1, areas.length)];
  const inside = area === undefined || c % 4 === 0 ? place(b) : Number(area.iova) + PAGE * (b % 4);
  reach(of, dev, inside, c % 2 === 0 ? 'read' : 'write', pasid);
};

/** A DMA, and whether it went where it should. */
function reach(of: Host, endpoint: string, iova: number, how: 'read' | 'write', pasid: number): void {
  const wanted = meant(of.state, endpoint, iova, how, pasid);
  const line = {
    op: 'dma',
    endpoint,
    iova,
    bytes: 8,
    access: how,
    ...(pasid === 0 ? {} : { ssid: pasid }),
  };
  const { result, pa } = of.line(line);
  expect(result === 'ok' ? Number(pa) : undefined, `${how} of ${endpoint} at ${iova.toString(16)}`).toBe(
    wanted,
  );
}

/** What a device is attached to, and the areas there. */
function attachedAt(
  state: State,
  endpoint: string,
  pasid: number,
): { readonly paging: HwptPaging; readonly areas: readonly Area[] } | undefined {
  const files = Object.values(state.kernel!.files);
  const file = files.find((each) => each.kind === 'vfio' && each.endpoint === endpoint);
  if (file?.kind !== 'vfio' || file.device === 0) return undefined;
  const context = state.kernel!.contexts[file.context]!;
  const device = context.objects.get(file.device);
  const hwpt = context.objects.get((device?.kind === 'device' && device.attached[pasid]) || 0);
  const paging = pagingOf(state, context, hwpt as HwptPaging | HwptNested | undefined);
  const areas = [...(context.areas.get(paging?.ioas ?? 0)?.range() ?? [])].flatMap(([, list]) => list);
  return paging && { paging, areas };
}

/** Where an access is to end, by what its device is attached to; undefined for nowhere. */
function meant(state: State, endpoint: string, iova: number, how: string, pasid: number): number | undefined {
  const { paging, areas = [] } = attachedAt(state, endpoint, pasid) ?? {};
  const area = areas.find((each) => each.iova <= BigInt(iova) && BigInt(iova) <= each.last);
  if (paging === undefined || area === undefined) return undefined;
  // Stage 1 always lets read.
  const may = how === 'write' ? area.writeable : area.readable || stageOf(state, paging) === 's1';
  if (!may) return undefined;
  let offset = iova - Number(area.iova);
  for (const { pa, size: bytes } of (area.pins ?? []).flatMap((slice) => runsOf(state, slice))) {
    if (offset < bytes) return pa + offset;
    offset -= bytes;
  }
  return undefined;
}

function stageOf({ drivers }: State, { smmu, domain }: HwptPaging): string | undefined {
  return drivers[smmu]?.domains.get(domain)?.kind;
}

/** The HWPT whose IOAS an access goes through; a nested one lets pass with a bypass vSTE alone. */
function pagingOf(
  { drivers }: State,
  { objects }: Context,
  hwpt: HwptPaging | HwptNested | undefined,
): HwptPaging | undefined {
  if (hwpt?.kind !== 'hwpt_nested') return hwpt;
  const domain = drivers[hwpt.smmu]!.domains.get(hwpt.domain);
  const viommu = objects.get(hwpt.viommu);
  if (domain?.kind !== 'nested' || viommu?.kind !== 'viommu' || (domain.vste[0] & 0xfn) !== 9n)
    return undefined;
  return objects.get(viommu.hwpt) as HwptPaging;
}

const steps: readonly (readonly [weight: number, step: Step])[] = [
  [2, (of, { fd }) => ask(of, fd, 'IOMMU_IOAS_ALLOC', {})],
  [6, map],
  [5, unmap],
  [
    2,
    (of, { a, b, c, fd }) => {
      const found = areaOf(of, fd, a);
      const src_iova = found === undefined ? 0 : Number(found.area.iova);
      const length = found === undefined ? PAGE : Number(found.area.last - found.area.iova) + 1;
      const [src_ioas_id, dst_ioas_id] = [found?.ioas ?? 1, pick(of, fd, b, 'ioas')];
      const at = { src_iova, dst_iova: place(c), length: b % 4 === 0 ? length + PAGE : length };
      ask(of, fd, 'IOMMU_IOAS_COPY', { flags: c % 3 === 0 ? 6 : 7, src_ioas_id, dst_ioas_id, ...at });
    },
  ],
  [
    2,
    (of, { a }) => {
      const kind = ['anon-shared', 'scattered', 'contiguous', 'hugetlb'][a % 4]!;
      of.memory.push(String(of.line({ op: 'mem.alloc', bytes: size(a) + HUGE, kind })['va']));
    },
  ],
  [
    1,
    (of, { a }) =>
      void (
        of.memory.length > 0 && of.line({ op: 'mem.free', va: of.memory.splice(a % of.memory.length, 1)[0]! })
      ),
  ],
  [
    3,
    (of, { a, b, c, fd }) =>
      ask(of, fd, 'IOMMU_HWPT_ALLOC', {
        dev_id: deviceIn(of, fd, a),
        pt_id: pick(of, fd, b, 'ioas'),
        flags: [0, 1, 1, 2, 8][c % 5]!,
      }),
  ],
  [
    2,
    (of, { a, b, c, fd }) => {
      const data = { data_type: 2, data_len: 16, data_uptr: { bytes: VSTES[c % VSTES.length]! } };
      ask(of, fd, 'IOMMU_HWPT_ALLOC', {
        dev_id: deviceIn(of, fd, a),
        pt_id: pick(of, fd, b, 'viommu'),
        ...data,
      });
    },
  ],
  [
    2,
    (of, { a, b, fd }) =>
      ask(of, fd, 'IOMMU_VIOMMU_ALLOC', {
        type: 1,
        dev_id: deviceIn(of, fd, a),
        hwpt_id: pick(of, fd, b, 'hwpt_paging'),
      }),
  ],
  [
    2,
    (of, { a, b, c, fd }) =>
      ask(of, fd, 'IOMMU_VDEVICE_ALLOC', {
        viommu_id: pick(of, fd, b, 'viommu'),
        dev_id: deviceIn(of, fd, a),
        virt_id: c % 4,
      }),
  ],
  [
    1,
    (of, { a, fd }) =>
      ask(of, fd, 'IOMMU_HWPT_INVALIDATE', {
        hwpt_id: pick(of, fd, a, 'viommu'),
        data_type: 1,
        entry_len: 16,
        entry_num: 1,
        data_uptr: { bytes: NH_ALL },
      }),
  ],
  [
    1,
    (of, { a, fd }) =>
      ask(of, fd, 'IOMMU_HWPT_SET_DIRTY_TRACKING', { hwpt_id: pick(of, fd, a, 'hwpt_paging'), flags: a % 2 }),
  ],
  [3, (of, { a, fd }) => ask(of, fd, 'IOMMU_DESTROY', { id: pick(of, fd, a) })],
  [6, attach],
  [
    1,
    (of, { a, b, fd }) =>
      vfio(of, 'dev0', ATTACH, {
        flags: 1,
        pasid: 1 + (b % 2),
        pt_id: pick(of, fd, a, 'hwpt_paging', 'ioas'),
      }),
  ],
  [2, (of, { dev }) => vfio(of, dev, DETACH, {})],
  [1, (of, { b }) => vfio(of, 'dev0', DETACH, { flags: 1, pasid: 1 + (b % 2) })],
  [1, bind],
  [8, access],
  [
    0.2,
    (of, { fd }) => {
      of.line({ op: 'close', fd });
      of.line({ op: 'open', fd });
    },
  ],
];

const step = fc.oneof(
  ...steps.map(([weight, act]) => ({ weight: weight * 10, arbitrary: fc.constant(act) })),
);
const drawn = fc.record({
  a: fc.nat(1000),
  b: fc.nat(1000),
  c: fc.nat(1000),
  fd: fc.oneof(
    { weight: 6, arbitrary: fc.constant('iommu0') },
    { weight: 1, arbitrary: fc.constant('iommu1') },
  ),
  dev: fc.constantFrom(...devices),
});

/** Devices bound, an IOAS with memory, the endpoints in it: what most calls need. */
function begun(nesting: boolean): World {
  const of = Object.assign(host({}, machine), { memory: [] as string[] });
  for (const fd of [...contexts, ...devices.map((name) => `vfio:${name}`)]) of.line({ op: 'open', fd });
  for (const dev of devices)
    vfio(of, dev, 'VFIO_DEVICE_BIND_IOMMUFD', { iommufd: of.state.kernel!.names['iommu0'] });
  for (const kind of ['anon-shared', 'contiguous', 'scattered'])
    of.memory.push(String(of.line({ op: 'mem.alloc', bytes: 2 * HUGE, kind })['va']));
  ask(of, 'iommu0', 'IOMMU_IOAS_ALLOC', {});
  const user_va = of.memory[0]!;
  ask(of, 'iommu0', 'IOMMU_IOAS_MAP', { ioas_id: 4, flags: 7, user_va, length: HUGE, iova: 2 * HUGE });
  if (!nesting) {
    for (const dev of devices) expect(vfio(of, dev, ATTACH, { pt_id: 4 })['errno']).toBeUndefined();
    return of;
  }
  // The devices are 1 to 3, the IOAS 4; now a parent 5, a vIOMMU 6, a vDEVICE 7 and a bypass HWPT 8.
  ask(of, 'iommu0', 'IOMMU_HWPT_ALLOC', { dev_id: 1, pt_id: 4, flags: 1 });
  ask(of, 'iommu0', 'IOMMU_VIOMMU_ALLOC', { type: 1, dev_id: 1, hwpt_id: 5 });
  ask(of, 'iommu0', 'IOMMU_VDEVICE_ALLOC', { viommu_id: 6, dev_id: 1, virt_id: 9 });
  const data = { data_type: 2, data_len: 16, data_uptr: { bytes: BYPASS } };
  ask(of, 'iommu0', 'IOMMU_HWPT_ALLOC', { dev_id: 1, pt_id: 6, ...data });
  expect(vfio(of, 'dev0', ATTACH, { pt_id: 8 })['errno']).toBeUndefined();
  return of;
}

function endAll(of: World): void {
  for (const { fd } of Object.values(of.state.kernel!.files)) of.line({ op: 'close', fd: String(fd) });
  of.line({ op: 'process.exit' });
}

/** Pages that endpoints keep for their CD tables. */
function cdPages({ drivers }: State): number {
  const tables = Object.values(drivers).flatMap(({ masters }) => Object.values(masters));
  return tables.reduce((sum, { cdTable }) => sum + Math.ceil((cdTable?.bytes ?? 0) / PAGE), 0);
}

const calls = fc.array(fc.tuple(step, drawn), { minLength: 20, maxLength: CALLS_MAX, size: 'max' });

describe('random calls of two contexts', () => {
  it('keep devices, tables, TLBs and IOASes of one mind, and leave nothing', () => {
    fc.assert(
      fc.property(fc.boolean(), calls, (nesting, sequence) => {
        const of = begun(nesting);
        for (const [act, values] of sequence) {
          act(of, values);
          expect(wrongIn(of.state)).toEqual([]);
        }
        const clean = begun(nesting);
        for (const each of [of, clean]) endAll(each);
        expect(of.state.kernel!.contexts).toEqual({});
        expect([...of.state.kernel!.backings.range()]).toEqual([]);
        expect(wrongIn(of.state)).toEqual([]);
        for (const { name, domains } of Object.values(of.state.drivers))
          expect(domains.size).toBe(clean.state.drivers[name]!.domains.size);
        // A correct driver gives nothing back that hardware may still reach.
        expect(checkHistory(of.look(), of.machine, 'main')).toEqual([]);
        expect(freePages(of.state) + cdPages(of.state)).toBe(freePages(clean.state) + cdPages(clean.state));
      }),
      { numRuns: RUNS, seed: SEED },
    );
  }, 600_000);
});
