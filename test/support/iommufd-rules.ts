/**
 * What must hold of iommufd and its drivers between any two calls, made anew from who holds what: references, ids,
 * memory, what domains map against what their IOASes hold, tags, and what SMMUs remember against memory.
 */
import type { Domain, DriverState, PagingDomain } from '../../core/driver/state.ts';
import type { AnyObject, Area, Context, HwptPaging } from '../../core/kernel/iommufd/state.ts';
import { runsOf } from '../../core/kernel/process/memory.ts';
import type { KernelState } from '../../core/kernel/state.ts';
import type { TlbEntry } from '../../core/smmu/state.ts';
import type { State } from '../../core/state.ts';
import { leavesOf, tablesOf } from './reach.ts';

const PAGE = 0x1000;

/** What is wrong with a state in which nothing is under way; nothing, mostly. */
export function wrongIn(state: State): readonly string[] {
  const { kernel } = state;
  if (kernel === undefined) return ['there is no kernel'];
  const wrong: string[] = [];
  if (state.tasks.length > 0) wrong.push('something is under way');
  for (const context of Object.values(kernel.contexts)) {
    wrong.push(...wrongUsers(kernel, context), ...wrongIds(context), ...wrongAreas(context));
    wrong.push(...wrongAttachments(state, context), ...wrongDomains(state, context));
  }
  wrong.push(...wrongBackings(kernel), ...wrongTags(state));
  for (const driver of Object.values(state.drivers)) wrong.push(...wrongEntries(state, driver));
  return wrong;
}

function objectsIn({ objects }: Context): readonly AnyObject[] {
  return [...objects.range()].map(([, object]) => object);
}

/** Users of each object of a context, from who holds it; and what is held and gone. */
function wrongUsers({ files, profile: _ }: KernelState, context: Context): readonly string[] {
  const objects = objectsIn(context);
  const held = [...objects.flatMap(heldBy)];
  let users = 0;
  for (const file of Object.values(files)) {
    if (!('context' in file) || file.context !== context.id) continue;
    users += 1;
    if (file.kind === 'fault' || file.kind === 'veventq') held.push(file.object);
    if (file.kind === 'vfio') held.push(file.device);
  }
  for (const object of objects) if (object.kind === 'viommu') users += object.maps.length;
  const counts = new Map(objects.map(({ id }) => [id, 1]));
  const wrong: string[] = [];
  for (const id of held.filter((each) => each !== 0)) {
    const before = counts.get(id);
    if (before === undefined) wrong.push(`object ${id} is referred to, and gone`);
    else counts.set(id, before + 1);
  }
  for (const { id, kind, users: has, ready } of objects) {
    if (has !== counts.get(id)) wrong.push(`${kind} ${id} has ${has} users, not ${counts.get(id)}`);
    if (!ready) wrong.push(`${kind} ${id} is not published`);
  }
  if (users !== context.users) wrong.push(`context ${context.id} has ${context.users} users, not ${users}`);
  return wrong;
}

/** The ids that an object keeps, each as often as it does. */
export function heldBy(object: AnyObject): readonly number[] {
  if (object.kind === 'device') return Object.values(object.attached).flatMap((hwpt) => [hwpt, object.id]);
  if (object.kind === 'hwpt_paging') return [object.ioas, object.fault];
  if (object.kind === 'hwpt_nested') return [object.viommu, object.parent, object.fault];
  if (object.kind === 'viommu') return [object.hwpt, ...object.maps.map(() => object.id)];
  if (object.kind === 'hw_queue') return [object.viommu, object.access, object.below];
  if (object.kind === 'access') return [object.ioas];
  return object.kind === 'vdevice' || object.kind === 'veventq' ? [object.viommu] : [];
}

/** Ids are in use, free, or never given; none is two of these. */
function wrongIds({ objects, free, nextId }: Context): readonly string[] {
  const wrong = [...free.range()].filter(([id]) => objects.get(id) !== undefined || id >= nextId);
  const beyond = [...objects.range()].filter(([id]) => id >= nextId);
  return [...wrong, ...beyond].map(([id]) => `id ${id} is in use and free`);
}

function areasIn(context: Context, ioas: number): readonly Area[] {
  const all = context.areas.get(ioas);
  return [...(all?.range() ?? [])].flatMap(([, list]) => list);
}

/** Areas do not meet, and meet nothing that is reserved; gaps are what is between them. */
function wrongAreas(context: Context): readonly string[] {
  const wrong: string[] = [];
  for (const object of objectsIn(context)) {
    if (object.kind !== 'ioas') continue;
    const areas = areasIn(context, object.id);
    for (const [at, area] of areas.entries()) {
      const next = areas[at + 1];
      if (next !== undefined && next.iova <= area.last)
        wrong.push(`areas of IOAS ${object.id} meet at ${next.iova}`);
      const hit = object.reserved.find(({ start, last }) => start <= area.last && area.iova <= last);
      if (hit !== undefined) wrong.push(`an area of IOAS ${object.id} is in what ${hit.owner} reserves`);
      const pinned = object.hwpts.length > 0 || area.accesses > 0;
      if (pinned !== (area.pins !== undefined))
        wrong.push(`area ${area.iova} of IOAS ${object.id}: pinned ${!pinned}`);
    }
  }
  return wrong;
}

/** The driver has attached what the objects say. */
function wrongAttachments(state: State, context: Context): readonly string[] {
  const wrong: string[] = [];
  for (const device of objectsIn(context)) {
    if (device.kind !== 'device') continue;
    const { smmu } = state.endpoints[device.endpoint]!.config;
    const { attached, ssidBits } = state.drivers[smmu]!.masters[device.endpoint]!;
    for (const pasid of new Set([
      0,
      ...Object.keys(attached).map(Number),
      ...Object.keys(device.attached).map(Number),
    ])) {
      // An endpoint without PASIDs is passed over (`pasidWithoutPasid`).
      if (pasid !== 0 && ssidBits === 0) continue;
      const hwpt = context.objects.get(device.attached[pasid] ?? 0);
      const domain =
        hwpt !== undefined && 'domain' in hwpt ? hwpt.domain : pasid === 0 ? 'blocked' : undefined;
      if (attached[pasid] !== domain)
        wrong.push(`${device.endpoint} at ${pasid}: ${attached[pasid]}, not ${domain}`);
    }
  }
  return wrong;
}

/** Page by page, a HWPT's domain maps what its IOAS holds, and nothing else. */
function wrongDomains(state: State, context: Context): readonly string[] {
  const wrong: string[] = [];
  for (const hwpt of objectsIn(context)) {
    if (hwpt.kind !== 'hwpt_paging') continue;
    const domain = state.drivers[hwpt.smmu]!.domains.get(hwpt.domain);
    if (domain === undefined || domain.kind === 'nested') wrong.push(`HWPT ${hwpt.id} has no domain`);
    else wrong.push(...compare(state, context, hwpt, domain));
  }
  return wrong;
}

function compare(state: State, context: Context, hwpt: HwptPaging, domain: PagingDomain): readonly string[] {
  const wanted = new Map<number, string>();
  for (const { iova, pins = [], readable, writeable } of areasIn(context, hwpt.ioas)) {
    let page = Number(iova) / PAGE;
    for (const { pa, size } of pins.flatMap((slice) => runsOf(state, slice)))
      for (let at = 0; at < size; at += PAGE, page += 1)
        wanted.set(page, `${pa + at} ${rightsOf(domain, readable, writeable)}`);
  }
  const wrong: string[] = [];
  for (const { iova, bytes, pa, descriptor } of leavesOf(state, domain)) {
    const rights =
      domain.kind === 's1' ? writes1(descriptor) : `${(descriptor >> 6n) & 1n}${(descriptor >> 7n) & 1n}`;
    for (let at = 0; at < bytes; at += PAGE) {
      const page = (iova + at) / PAGE;
      const has = `${pa + at} ${rights}`;
      if (wanted.get(page) !== has)
        wrong.push(`HWPT ${hwpt.id} maps page ${page} to ${has}, not ${wanted.get(page)}`);
      wanted.delete(page);
    }
  }
  for (const [page] of wanted) wrong.push(`HWPT ${hwpt.id} does not map page ${page}`);
  return wrong;
}

/** Stage 1 always reads. */
function rightsOf({ kind }: PagingDomain, read: boolean, write: boolean): string {
  if (kind === 's1') return write ? 'w' : '';
  return `${read ? 1 : 0}${write ? 1 : 0}`;
}

/** AP[2]=0, or DBM: hardware lets it be written then. */
function writes1(descriptor: bigint): string {
  return (descriptor & (1n << 7n)) === 0n || (descriptor & (1n << 51n)) !== 0n ? 'w' : '';
}

/** Memory is held by its mappings, its files, and the areas that have pinned it. */
function wrongBackings({ backings, processes, files, contexts }: KernelState): readonly string[] {
  const counts = new Map<number, number>();
  const hold = (backing: number): void => void counts.set(backing, (counts.get(backing) ?? 0) + 1);
  for (const { mappings } of Object.values(processes))
    for (const [, { backing }] of mappings.range()) hold(backing);
  for (const file of Object.values(files)) if (file.kind === 'memfd') hold(file.backing);
  for (const context of Object.values(contexts))
    for (const [ioas] of context.areas.range())
      for (const { source, pins = [] } of areasIn(context, ioas)) {
        if ('backing' in source) hold(source.backing);
        for (const { backing } of pins) hold(backing);
      }
  const wrong: string[] = [];
  for (const [id, { users }] of backings.range()) {
    if (users !== (counts.get(id) ?? 0))
      wrong.push(`backing ${id} has ${users} users, not ${counts.get(id) ?? 0}`);
    counts.delete(id);
  }
  for (const [id] of counts) wrong.push(`backing ${id} is held, and gone`);
  return wrong;
}

/** VMIDs are unique on an SMMU, ASIDs on all of them, while their domains live. */
function wrongTags({ drivers }: State): readonly string[] {
  const wrong: string[] = [];
  const asids = new Set<number>();
  for (const { name, domains } of Object.values(drivers)) {
    const vmids = new Set<number>();
    for (const [, domain] of domains.range()) {
      if (domain.kind === 's1') {
        if (asids.has(domain.asid)) wrong.push(`ASID ${domain.asid} twice`);
        asids.add(domain.asid);
      } else if (domain.kind === 's2') {
        if (vmids.has(domain.vmid)) wrong.push(`VMID ${domain.vmid} twice on ${name}`);
        vmids.add(domain.vmid);
      } else if (domains.get(domain.parent) === undefined) wrong.push(`the parent ${domain.parent} is gone`);
    }
  }
  return wrong;
}

/** Bits that hardware changes: the access flag, and AP[2] of what it makes dirty. */
const BY_HARDWARE = (1n << 10n) | (1n << 7n);

/** What an SMMU remembers of a domain is what its tables say now, and it remembers no other domain. */
function wrongEntries(state: State, driver: DriverState): readonly string[] {
  const { caches } = state.smmus[driver.setup.port.smmu]!;
  const domains = [...driver.domains.range()].map(([, domain]) => domain);
  const tables = new Map<number, ReadonlySet<number>>();
  const wrong: string[] = [];
  for (const [, entry] of [...caches.tlb.fills.range(), ...caches.walk.fills.range()]) {
    if (isOfGuest(domains, entry)) continue;
    const domain = domainOf(domains, entry);
    if (domain === undefined) {
      wrong.push(`${driver.name} holds ${shown(entry)} of nobody`);
      continue;
    }
    const known = tables.get(domain.id) ?? tablesOf(state, domain);
    tables.set(domain.id, known);
    const now = state.memory.read64(entry.descriptorPa);
    const live = known.has(Math.floor(entry.descriptorPa / PAGE));
    if (!live || (now | BY_HARDWARE) !== (entry.descriptor | BY_HARDWARE))
      wrong.push(`${driver.name} holds ${shown(entry)}, which is ${now.toString(16)} now`);
  }
  return wrong;
}

function shown({ cache, va, asid, vmid, stage, descriptor }: TlbEntry): string {
  return `${cache} ${va.toString(16)} ASID ${asid} VMID ${vmid} stage ${stage} ${descriptor.toString(16)}`;
}

/** Of a guest's stage 1 the tables are its own: it is only asked that its VMID lives. */
function isOfGuest(domains: readonly Domain[], { stage, vmid }: TlbEntry): boolean {
  return stage !== 2 && vmid !== 0 && domains.some((domain) => domain.kind === 's2' && domain.vmid === vmid);
}

function domainOf(domains: readonly Domain[], { stage, asid, vmid }: TlbEntry): PagingDomain | undefined {
  for (const domain of domains) {
    if (domain.kind === 's1' && stage === 1 && vmid === 0 && domain.asid === asid) return domain;
    if (domain.kind === 's2' && stage === 2 && domain.vmid === vmid) return domain;
  }
  return undefined;
}
